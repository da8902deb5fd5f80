
/*
 * Copyright (C) The Optcache authors
 */


/*
 * The tags of a response, by which it can be invalidated together with others:
 *
 *     Cache-Groups      RFC 9875, a list of strings
 *     Surrogate-Key     separated by spaces
 *     Cache-Tag         separated by commas
 *     optcache_tags     separated by spaces
 *
 * They are one and the same, wherever they come from.
 */


#ifndef _NGX_HTTP_OPTCACHE_TAGS_H_INCLUDED_
#define _NGX_HTTP_OPTCACHE_TAGS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_optcache.h"
#include "ngx_http_optcache_response.h"


/* bytes of one; a response with a longer one is not stored */

#define NGX_HTTP_OPTCACHE_TAG_MAX  1024


/* Whether a field is one of the three. */

ngx_uint_t ngx_http_optcache_tags_field(ngx_table_elt_t *h);

/*
 * Sets the tags of an entry to those of a response that has been read, and is
 * going to be stored.  With "old", which a 304 has freshened, those that its
 * own fields do not explain stay: they were of a field that is hidden from the
 * client, or of optcache_tags.  Memory is from r->pool.
 *
 * NGX_DECLINED: there are more than NGX_OPTCACHE_MARK_TAGS, or one that is too
 * long, so that it must not be stored; NGX_ERROR: out of memory.
 */

ngx_int_t ngx_http_optcache_tags(ngx_http_request_t *r,
    ngx_http_optcache_response_t *resp, ngx_optcache_entry_t *e,
    ngx_optcache_entry_t *old);

/*
 * The number of a tag that all responses have which take part in
 * optcache_no_vary_search: of the path of a URI.
 */

uint64_t ngx_http_optcache_tags_path(ngx_str_t *uri);


#endif /* _NGX_HTTP_OPTCACHE_TAGS_H_INCLUDED_ */
