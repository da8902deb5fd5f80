
/*
 * Copyright (C) The Optcache authors
 */


/*
 * Redis answers, and refuses to keep responses, or to give those that it has:
 * its memory is full, or its user has lost a right.  To the client that is no
 * outage, and to a request it is a miss: nobody else would say why there is no
 * second level.
 */


#ifndef _NGX_HTTP_OPTCACHE_REFUSAL_H_INCLUDED_
#define _NGX_HTTP_OPTCACHE_REFUSAL_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <hiredis/hiredis.h>


typedef enum {
    NGX_HTTP_OPTCACHE_REFUSAL_GET = 0,
    NGX_HTTP_OPTCACHE_REFUSAL_SET,
    NGX_HTTP_OPTCACHE_REFUSALS
} ngx_http_optcache_refusal_e;


/*
 * To be called for each reply to a question of this kind; NULL if there was
 * none.  Logs when this worker is refused, and when it is not any more.
 */

void ngx_http_optcache_refusal(ngx_http_optcache_refusal_e kind,
    redisReply *reply);


#endif /* _NGX_HTTP_OPTCACHE_REFUSAL_H_INCLUDED_ */
