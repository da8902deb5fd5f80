
/*
 * Copyright (C) The Optcache authors
 */


/*
 * One request upstream for each key: the first request that finds nothing
 * leads, and those that come after it wait, in whatever worker they are.  Who
 * leads has them woken
 *
 *     when its answer is stored        they are answered from the zone
 *     when its header has been read,   they all go upstream, and so does who
 *     and it is not to be stored       comes in the next 5 seconds
 *     when there is no answer          one of them leads
 *
 * A worker has its waiters in 64 lists, by their keys' hash, and is told which
 * of them to look at.  It looks by itself every second, too: a worker that
 * leads may be killed, or one that was about to wake another.
 */


#ifndef _NGX_HTTP_OPTCACHE_LOCK_H_INCLUDED_
#define _NGX_HTTP_OPTCACHE_LOCK_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_optcache.h"
#include "ngx_optcache_lock.h"
#include "ngx_rare.h"
#include "ngx_waker.h"


/* wakes workers, by lists of 6 bits of a hash; for leases, too */

extern ngx_waker_t  *ngx_http_optcache_lock_waker;


/* To be called for each cycle, process and end of a process; NGX_ERROR. */

ngx_int_t ngx_http_optcache_lock_init_module(ngx_cycle_t *cycle);
void ngx_http_optcache_lock_init_process(ngx_cycle_t *cycle,
    ngx_array_t *zones);
void ngx_http_optcache_lock_exit_process(void);

/*
 * To be called, each time the phases are run, for a request that found nothing
 * it can be answered from.  NGX_OK: go upstream, unless ctx->found is set by
 * now; NGX_AGAIN: wait, the phases are run again; NGX_ERROR.
 */

ngx_int_t ngx_http_optcache_lock(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx);

/*
 * Whether a request leads, and how many ms it may wait yet, for what others of
 * this host wait for it.
 */

ngx_uint_t ngx_http_optcache_lock_leads(ngx_http_optcache_ctx_t *ctx,
    ngx_msec_int_t *left);

/*
 * Says that an answer has come: the memory that a release of the lock begins
 * with is on its way to the processor.
 */

void ngx_http_optcache_lock_expect(ngx_http_optcache_ctx_t *ctx);

/*
 * What became of the answer; the first word counts.  Nothing is done for a
 * request that has no part in this.  When a request goes without a word, there
 * was no answer.
 */

void ngx_http_optcache_unlock(ngx_http_optcache_ctx_t *ctx,
    ngx_optcache_lock_outcome_e outcome);

/*
 * The same, when the header of the response is known and it is not going to be
 * stored.
 */

void ngx_http_optcache_unlock_header(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx);

/*
 * To be called for an internal request, which may have been redirected: what
 * it led before that gets no answer of its own.
 */

ngx_rare void ngx_http_optcache_unlock_left(ngx_http_request_t *r);


/* ngx_http_optcache_lock_request.c */

/*
 * Whether the answer may be stored, and one that is stored may be of use to
 * the request: who asks for one that is newer than others would wait in vain.
 * NGX_OK, NGX_DECLINED or NGX_ERROR.
 */

ngx_int_t ngx_http_optcache_lock_applies(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx);

/*
 * Whether others may wait for its answer: to one for a range, or with a
 * condition that is left to upstream, it may say nothing to them.
 */

ngx_uint_t ngx_http_optcache_lock_asks_whole(ngx_http_request_t *r);


#endif /* _NGX_HTTP_OPTCACHE_LOCK_H_INCLUDED_ */
