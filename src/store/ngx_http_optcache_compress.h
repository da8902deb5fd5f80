
/*
 * Copyright (C) The Optcache authors
 */


/*
 * The gzip form of a large body, made by a thread: the entry is stored without
 * it and found at once; when the form is there, the entry is stored again with
 * both, unless it has been removed or replaced meanwhile.
 *
 *     event loop     reserve, while the body passes
 *                    start: the entry just stored is pinned in L1
 *     thread         compresses what is pinned
 *     event loop     stored in place of what is pinned; unpinned
 *
 * A task has a pool of its own; the request, its connection and its pool may
 * be gone when it ends.  Threads are those of the pool "default" of nginx;
 * without them, the body is compressed as it passes.
 */


#ifndef _NGX_HTTP_OPTCACHE_COMPRESS_H_INCLUDED_
#define _NGX_HTTP_OPTCACHE_COMPRESS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_optcache.h"


/*
 * Asks for the thread pool, at postconfiguration, when some location stores
 * gzip and the event method, which has to be known by then, can be used with
 * threads.  NGX_ERROR when out of memory.
 */

ngx_int_t ngx_http_optcache_compress_init(ngx_conf_t *cf,
    ngx_http_optcache_main_conf_t *omcf);

/* Lets go of all tasks (exit_process), when those of threads have ended. */

void ngx_http_optcache_compress_exit_process(void);

/*
 * Whether a body of "size" bytes, or of more than that and up to "limit", is
 * to be compressed by a thread.  If so, a place among the tasks of this worker
 * is kept for the capture, cap->later is set, and the place is given back at
 * the end of the request or by ngx_http_optcache_compress_release().
 */

ngx_uint_t ngx_http_optcache_compress_reserve(ngx_http_request_t *r,
    ngx_http_optcache_capture_t *cap, off_t size, off_t limit);

/* Gives the place back, if there is one. */

void ngx_http_optcache_compress_release(ngx_http_optcache_capture_t *cap);

/*
 * Starts the task for the entry of a capture that has a place, once it is in
 * L1; the place is the task's from then on.  Where that fails, the entry stays
 * without gzip.
 */

void ngx_http_optcache_compress_start(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx);


#endif /* _NGX_HTTP_OPTCACHE_COMPRESS_H_INCLUDED_ */
