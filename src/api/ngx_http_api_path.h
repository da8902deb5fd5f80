
/*
 * Copyright (C) The Optcache authors
 */


/*
 * Which resource a URI names.  Pure: neither a request nor a clock.
 *
 * Of the two forms of a URI, nginx finds locations, and with them the rules of
 * who may come in, by the one it has decoded, without dot segments and without
 * doubled slashes.  It is that form which is matched here, so that nobody gets
 * at a resource by another way of writing it than the one its location was
 * made for.  The bytes that the client wrote only say what the tail of a path
 * is, where "//", "%2F" and "." are to be kept apart, and only if all that
 * stands before the tail is the same in both forms.
 */


#ifndef _NGX_HTTP_API_PATH_H_INCLUDED_
#define _NGX_HTTP_API_PATH_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#define NGX_HTTP_API_PATH_NAMES  2


typedef struct {
    ngx_str_t                 names[NGX_HTTP_API_PATH_NAMES];  /* of each "*" */
    ngx_str_t                 tail;      /* of "**"; may be empty */
} ngx_http_api_path_t;


/*
 * Compares a path with a pattern, in which "*" stands for a segment that is
 * not empty and, at its end, "**" for all the rest.  Returns NGX_OK with what
 * they stood for, which points into "path", or NGX_DECLINED.
 */

ngx_int_t ngx_http_api_path_match(const ngx_str_t *pattern,
    const ngx_str_t *path, ngx_http_api_path_t *found);

/*
 * The tail of the URI as the client wrote it ("raw", with a query or not),
 * decoded once.  "uri" is the same as nginx has decoded it, "head" the number
 * of its bytes that stand before the tail.  "tail" is allocated from the pool.
 *
 * Returns NGX_OK; NGX_DECLINED when the two differ before the tail and "tail"
 * is left alone, NGX_ERROR when out of memory.
 */

ngx_int_t ngx_http_api_path_tail(const ngx_str_t *raw, const ngx_str_t *uri,
    size_t head, ngx_str_t *tail, ngx_pool_t *pool);


#endif /* _NGX_HTTP_API_PATH_H_INCLUDED_ */
