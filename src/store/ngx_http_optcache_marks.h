
/*
 * Copyright (C) The Optcache authors
 */


/*
 * What a request and an entry are of, and whether the entry was invalidated
 * since it was asked for, by the ledger of this host.
 */


#ifndef _NGX_HTTP_OPTCACHE_MARKS_H_INCLUDED_
#define _NGX_HTTP_OPTCACHE_MARKS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_optcache.h"


/*
 * The URI by which what is stored for a request is known: that of the request
 * line, without scheme, host and fragment, or that of the subrequest, with its
 * arguments.  NGX_ERROR when out of memory.
 */

ngx_int_t ngx_http_optcache_marks_path(ngx_http_request_t *r,
    ngx_str_t *path);

/*
 * Sets ctx->origin and ctx->path, once: the host is $host as nginx has checked
 * it, or nothing; the URI is as above.  NGX_ERROR when out of memory.
 */

ngx_int_t ngx_http_optcache_marks_origin(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx);

/* Takes ctx->moment; to be called before upstream is asked. */

void ngx_http_optcache_marks_moment(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx);

/*
 * Makes an entry, that is going to be stored, one of this request and of its
 * moment; its tags are left alone.  NGX_ERROR when out of memory.
 */

ngx_int_t ngx_http_optcache_marks_set(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_optcache_entry_t *e);

/*
 * Compares an entry of L1, or one to be stored, with what was invalidated
 * since e->moment.clock, and moves that on.  Out of memory, it is gone.  One
 * that is found by several URIs (No-Vary-Search, or a key that leaves the host
 * or some of the URI away) is compared with what was invalidated of that which
 * it was stored for and of that which is asked for.
 */

ngx_optcache_ledger_verdict_e ngx_http_optcache_marks_check(
    ngx_http_request_t *r, ngx_http_optcache_ctx_t *ctx,
    ngx_optcache_entry_t *e);

/*
 * The same for what Redis gave, by e->moment.position; then the entry has the
 * clock up to which it was compared, as that of L1 has.  ctx->apart: it is not
 * to be stored there, since it was not compared for all URIs that find it.
 */

ngx_optcache_ledger_verdict_e ngx_http_optcache_marks_check_l2(
    ngx_http_request_t *r, ngx_http_optcache_ctx_t *ctx,
    ngx_optcache_entry_t *e);

/*
 * The same for an entry of L1 when there is no request any more, which is to
 * be stored again: on VALID its moment is that of now.  One of several URIs is
 * gone if anything was invalidated.
 */

ngx_optcache_ledger_verdict_e ngx_http_optcache_marks_renew(
    ngx_http_optcache_main_conf_t *omcf, ngx_optcache_l1_t *zone,
    ngx_optcache_entry_t *e);

/*
 * Forgets what ctx holds if it was invalidated since it was found: to be called
 * before it is used after something else may have happened.
 */

void ngx_http_optcache_marks_forget(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx);


#endif /* _NGX_HTTP_OPTCACHE_MARKS_H_INCLUDED_ */
