
/*
 * Copyright (C) The Optcache authors
 */


/*
 * Asks for what is behind an event of the stream, and takes the answer, which
 * tells in one step whether that event is still there.  If it is not, all that
 * there is is told from its begin.  A stream that is empty, or not there, or
 * whose events are all older than that one, gets an event first that says
 * hello, and has no other then: there always is one to be found again.
 *
 *     EVAL .. 1 <stream> <id> <count> <host>
 *
 *     1) 1 if the event is there, or 0
 *     2) 1 if there may be more, or 0
 *     3) the events behind it, as of XRANGE; one that is too large, or has too
 *        many fields, has none
 *
 * An answer is bounded whatever the stream has in it.
 */


#ifndef _NGX_OPTCACHE_STREAM_H_INCLUDED_
#define _NGX_OPTCACHE_STREAM_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_optcache_teller.h"


/* events of one answer, with the one that is known */
#define NGX_OPTCACHE_STREAM_COUNT  1000


/* what an answer has told */

typedef struct {
    ngx_uint_t                n;         /* events */
    ngx_uint_t                failed;    /* of them, not understood */
    ngx_optcache_ledger_id_t  bad;       /* the last of those */
    unsigned                  gap:1;     /* events are lost, or may be */
    unsigned                  more:1;
} ngx_optcache_stream_told_t;


/*
 * Asks for what is behind "id" (0-0: for all).  NULL as of
 * ngx_redis_client_send().
 */

ngx_redis_command_t *ngx_optcache_stream_ask(ngx_optcache_teller_t *teller,
    ngx_optcache_ledger_id_t *id, ngx_redis_reply_pt handler, void *data);

/*
 * Takes the answer to what was asked with "id", which must still be the last
 * that was read: applies events, counts what is not understood.  NGX_DECLINED:
 * it is not an answer, or not to the end; what came before is applied.
 */

ngx_int_t ngx_optcache_stream_take(ngx_optcache_teller_t *teller,
    ngx_optcache_ledger_id_t *id, redisReply *reply,
    ngx_optcache_stream_told_t *told);


#endif /* _NGX_OPTCACHE_STREAM_H_INCLUDED_ */
