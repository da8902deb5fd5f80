
/*
 * Copyright (C) The Optcache authors
 */


/*
 * Values of directives, evaluated without a trace in the captures of a
 * request.  A map with a regular expression puts its own in place of those of
 * the location, which the URI of a proxy_pass or another value may be made of:
 * what a client sends in a cookie would choose what upstream is asked for.
 */


#ifndef _NGX_HTTP_CAPTURES_H_INCLUDED_
#define _NGX_HTTP_CAPTURES_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


#if (NGX_PCRE)

typedef struct {
    int         *captures;
    u_char      *data;
    ngx_uint_t   n;
    ngx_uint_t   realloc;
} ngx_http_captures_t;

#else

typedef ngx_uint_t  ngx_http_captures_t;

#endif


/* Puts the captures aside: what is matched next gets memory of its own. */

static ngx_inline void
ngx_http_captures_keep(ngx_http_request_t *r, ngx_http_captures_t *kept)
{
#if (NGX_PCRE)

    kept->captures = r->captures;
    kept->data = r->captures_data;
    kept->n = r->ncaptures;
    kept->realloc = r->realloc_captures;

    r->realloc_captures = 1;

#else

    *kept = 0;

#endif
}


/* Puts them back; may be called again, for another value after it. */

static ngx_inline void
ngx_http_captures_back(ngx_http_request_t *r, ngx_http_captures_t *kept)
{
#if (NGX_PCRE)

    r->captures = kept->captures;
    r->captures_data = kept->data;
    r->ncaptures = kept->n;
    r->realloc_captures = 1;

#endif
}


/* The same for the last time: they are nobody else's, if they were not. */

static ngx_inline void
ngx_http_captures_done(ngx_http_request_t *r, ngx_http_captures_t *kept)
{
    ngx_http_captures_back(r, kept);

#if (NGX_PCRE)
    r->realloc_captures = kept->realloc;
#endif
}


/*
 * A copy, from r->pool, of what is remembered of the variables of a request, or
 * NULL when out of memory; in place of r->variables, what is evaluated for a
 * while is not remembered behind it.
 */

static ngx_inline ngx_http_variable_value_t *
ngx_http_captures_variables(ngx_http_request_t *r)
{
    size_t                      size;
    ngx_http_variable_value_t  *copy;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_get_module_main_conf(r, ngx_http_core_module);

    size = cmcf->variables.nelts * sizeof(ngx_http_variable_value_t);

    copy = ngx_palloc(r->pool, size);

    if (copy) {
        ngx_memcpy(copy, r->variables, size);
    }

    return copy;
}


/* ngx_http_complex_value(). */

static ngx_inline ngx_int_t
ngx_http_captures_value(ngx_http_request_t *r, ngx_http_complex_value_t *value,
    ngx_str_t *result)
{
    ngx_int_t            rc;
    ngx_http_captures_t  kept;

    if (value->lengths == NULL) {
        *result = value->value;
        return NGX_OK;
    }

    ngx_http_captures_keep(r, &kept);

    rc = ngx_http_complex_value(r, value, result);

    ngx_http_captures_done(r, &kept);

    return rc;
}


/* ngx_http_test_predicates(): NGX_DECLINED if one of them is true. */

static ngx_inline ngx_int_t
ngx_http_captures_predicates(ngx_http_request_t *r, ngx_array_t *predicates)
{
    ngx_str_t                  value;
    ngx_uint_t                 i;
    ngx_http_complex_value_t  *cv;

    if (predicates == NULL) {
        return NGX_OK;
    }

    cv = predicates->elts;

    for (i = 0; i < predicates->nelts; i++) {

        if (ngx_http_captures_value(r, &cv[i], &value) != NGX_OK) {
            return NGX_ERROR;
        }

        if (value.len && (value.len != 1 || value.data[0] != '0')) {
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


#endif /* _NGX_HTTP_CAPTURES_H_INCLUDED_ */
