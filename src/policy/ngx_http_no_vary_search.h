
/*
 * Copyright (C) The Optcache authors
 */


/*
 * No-Vary-Search (draft-ietf-httpbis-no-vary-search): which parts of a query
 * make no difference.
 */


#ifndef _NGX_HTTP_NO_VARY_SEARCH_H_INCLUDED_
#define _NGX_HTTP_NO_VARY_SEARCH_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* more parameters than these, and all make a difference */

#define NGX_HTTP_NO_VARY_SEARCH_NAMES   64    /* that a field names */
#define NGX_HTTP_NO_VARY_SEARCH_PARAMS  128   /* of a query */


typedef struct {
    ngx_str_t                 names[NGX_HTTP_NO_VARY_SEARCH_NAMES];
    ngx_uint_t                n;
    unsigned                  key_order:1;    /* their order does not matter */
    unsigned                  all:1;          /* none matters, */
    unsigned                  except:1;       /* but those that are named */
} ngx_http_no_vary_search_t;


/*
 * Reads the field, of which several lines are to be joined by commas first.
 * Names are decoded, in memory of the pool.  NGX_DECLINED: all of a query
 * matters, also if the field cannot be understood; NGX_ERROR: out of memory.
 * "params" beside "except" is taken as it was first written down: true.
 */

ngx_int_t ngx_http_no_vary_search_parse(ngx_pool_t *pool, ngx_str_t *line,
    ngx_http_no_vary_search_t *nvs);

/*
 * Makes of a path with its query one that is the same for all queries between
 * which there is no difference: parameters that matter, as they were written,
 * and sorted by their names if their order does not.  In memory of the pool.
 * NGX_DECLINED: there are too many; NGX_ERROR: out of memory.
 */

ngx_int_t ngx_http_no_vary_search_target(ngx_pool_t *pool, ngx_str_t *target,
    ngx_http_no_vary_search_t *nvs, ngx_str_t *result);


#endif /* _NGX_HTTP_NO_VARY_SEARCH_H_INCLUDED_ */
