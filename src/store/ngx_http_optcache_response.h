
/*
 * Copyright (C) The Optcache authors
 */


#ifndef _NGX_HTTP_OPTCACHE_RESPONSE_H_INCLUDED_
#define _NGX_HTTP_OPTCACHE_RESPONSE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_optcache.h"
#include "ngx_http_rfc9111_freshness.h"
#include "ngx_http_rfc9111_storage.h"


/* what the header of a response means to the cache */

typedef struct {
    ngx_http_rfc9111_freshness_t  freshness;
    int64_t                       lifetime;       /* seconds */
    int64_t                       age;            /* seconds, now */
    ngx_str_t                     date;           /* as the origin sent it */

    unsigned                      set_cookie:1;
    unsigned                      varies:1;       /* says Vary */
    unsigned                      vary:1;         /* beyond encoding */
    unsigned                      no_transform:1;
    unsigned                      streaming:1;    /* text/event-stream */
    unsigned                      invalid:1;      /* a field not to be kept */
} ngx_http_optcache_response_t;


/*
 * Reads the header of a response and decides whether it may be stored
 * (RFC 9111, 3).  NGX_OK: it may; NGX_DECLINED: it may not, the reason is in
 * the debug log.
 */

ngx_int_t ngx_http_optcache_response_read(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_http_optcache_response_t *resp);

/*
 * Writes the header fields that are stored to one piece of r->pool.  Only for
 * a response that may be stored.  NGX_ERROR when out of memory.
 */

ngx_int_t ngx_http_optcache_response_head(ngx_http_request_t *r,
    ngx_http_optcache_response_t *resp, ngx_str_t *head);


#endif /* _NGX_HTTP_OPTCACHE_RESPONSE_H_INCLUDED_ */
