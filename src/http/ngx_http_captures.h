
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


/* What a request has, for ngx_http_captures_back(). */

static ngx_inline void
ngx_http_captures_save(ngx_http_request_t *r, ngx_http_captures_t *kept)
{
#if (NGX_PCRE)

    kept->captures = r->captures;
    kept->data = r->captures_data;
    kept->n = r->ncaptures;
    kept->realloc = r->realloc_captures;

#else

    *kept = 0;

#endif
}


static ngx_inline void
ngx_http_captures_back(ngx_http_request_t *r, ngx_http_captures_t *kept)
{
#if (NGX_PCRE)

    r->captures = kept->captures;
    r->captures_data = kept->data;
    r->ncaptures = kept->n;
    r->realloc_captures = kept->realloc;

#endif
}


/*
 * Saves them, and lets the request have a copy from r->pool, which is written
 * to by what is matched from now on.  nginx would make memory of its own for
 * that if it is told to, but leaves it as it is where nothing matches.
 * NGX_ERROR when out of memory.
 */

static ngx_inline ngx_int_t
ngx_http_captures_keep(ngx_http_request_t *r, ngx_http_captures_t *kept)
{
#if (NGX_PCRE)

    int                        *copy;
    ngx_http_core_main_conf_t  *cmcf;

#endif

    ngx_http_captures_save(r, kept);

#if (NGX_PCRE)

    /* of a regular expression without groups, nginx counts its match alone */

    if (r->ncaptures == 0 || r->captures == NULL) {
        r->captures = NULL;
        return NGX_OK;
    }

    cmcf = ngx_http_get_module_main_conf(r, ngx_http_core_module);

    copy = ngx_palloc(r->pool, cmcf->ncaptures * sizeof(int));
    if (copy == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(copy, r->captures,
               ngx_min(r->ncaptures, cmcf->ncaptures) * sizeof(int));

    r->captures = copy;
    r->realloc_captures = 0;

#endif

    return NGX_OK;
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


/*
 * ngx_http_complex_value(), whose lengths are not those of another moment: each
 * part is asked for once, with the captures that the request had.  The result
 * is from r->pool, or the text of the configuration.  NGX_ERROR when out of
 * memory, or when a variable of the token was lost.  Another variable that
 * could not be told is empty, as nginx has it; that is an error to the strict
 * one, where empty means everybody.
 */

ngx_int_t ngx_http_captures_value(ngx_http_request_t *r,
    ngx_http_complex_value_t *value, ngx_str_t *result);
ngx_int_t ngx_http_captures_value_strict(ngx_http_request_t *r,
    ngx_http_complex_value_t *value, ngx_str_t *result);

/* "n" parts in one text, from r->pool.  NGX_ERROR when out of memory. */

ngx_int_t ngx_http_captures_join(ngx_http_request_t *r, ngx_str_t *parts,
    ngx_uint_t n, ngx_str_t *result);

/* ngx_http_test_predicates(): NGX_DECLINED if one of them is true. */

ngx_int_t ngx_http_captures_test(ngx_http_request_t *r,
    ngx_array_t *predicates);


static ngx_inline ngx_int_t
ngx_http_captures_predicates(ngx_http_request_t *r, ngx_array_t *predicates)
{
    return predicates ? ngx_http_captures_test(r, predicates) : NGX_OK;
}


/*
 * A variable of a token that there is no memory for is empty to nginx, and so
 * is what a map or "set" makes of it: nobody, no limit, no end.  So where that
 * happens the request has lost it: $token_failed gets a value, which needs no
 * memory and lies beside what was made of it, in r->variables.  From then on
 * ngx_http_captures_value() is NGX_ERROR, in the other module, too, unless the
 * value is a text.  Each of the modules has to be told of its worker.
 */

void ngx_http_captures_init_process(ngx_cycle_t *cycle);
void ngx_http_captures_lose(ngx_http_request_t *r);
ngx_uint_t ngx_http_captures_lost(ngx_http_request_t *r);


#endif /* _NGX_HTTP_CAPTURES_H_INCLUDED_ */
