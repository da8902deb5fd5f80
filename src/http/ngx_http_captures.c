
/*
 * Copyright (C) The Optcache authors
 */


/*
 * nginx measures all parts of a value before it copies the first.  A variable
 * that matches something in between changes what $1 is, and the variables of
 * named groups: what is copied would not be what was measured, and longer than
 * the memory for it, at the choice of a client.  Here a part is its bytes and
 * their number, taken at one moment.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_captures.h"
#include "ngx_text.h"


/* more than that are in memory of the request */

#define NGX_HTTP_CAPTURES_PARTS  16


static ngx_uint_t ngx_http_captures_count(ngx_http_complex_value_t *value);
static ngx_int_t ngx_http_captures_evaluate(ngx_http_request_t *r,
    ngx_http_complex_value_t *value, ngx_uint_t strict, ngx_str_t *result);
static ngx_int_t ngx_http_captures_parts(ngx_http_request_t *r,
    ngx_http_complex_value_t *value, ngx_uint_t strict,
    ngx_http_captures_t *kept, ngx_str_t *parts, ngx_uint_t n);
static u_char *ngx_http_captures_next(u_char *ip);
static ngx_int_t ngx_http_captures_variable(ngx_http_request_t *r,
    ngx_http_captures_t *kept, ngx_uint_t index, ngx_uint_t strict,
    ngx_str_t *part);
static void ngx_http_captures_again(ngx_http_request_t *r,
    ngx_http_captures_t *kept);
static ngx_int_t ngx_http_captures_group(ngx_http_captures_t *kept,
    u_char *ip, ngx_str_t *part);


/* of $token_failed, of this worker; -1: there is none */

static ngx_int_t  ngx_http_captures_failed = -1;


ngx_int_t
ngx_http_captures_value(ngx_http_request_t *r, ngx_http_complex_value_t *value,
    ngx_str_t *result)
{
    return ngx_http_captures_evaluate(r, value, 0, result);
}


ngx_int_t
ngx_http_captures_value_strict(ngx_http_request_t *r,
    ngx_http_complex_value_t *value, ngx_str_t *result)
{
    return ngx_http_captures_evaluate(r, value, 1, result);
}


static ngx_int_t
ngx_http_captures_evaluate(ngx_http_request_t *r,
    ngx_http_complex_value_t *value, ngx_uint_t strict, ngx_str_t *result)
{
    ngx_int_t            rc;
    ngx_str_t            some[NGX_HTTP_CAPTURES_PARTS], *parts;
    ngx_uint_t           n;
    ngx_http_captures_t  kept;

    if (value->lengths == NULL) {
        *result = value->value;
        return NGX_OK;
    }

    n = ngx_http_captures_count(value);
    parts = some;

    if (n > NGX_HTTP_CAPTURES_PARTS) {
        parts = ngx_palloc(r->pool, n * sizeof(ngx_str_t));
        if (parts == NULL) {
            return NGX_ERROR;
        }
    }

    if (ngx_http_captures_keep(r, &kept) != NGX_OK) {
        return NGX_ERROR;
    }

    rc = ngx_http_captures_parts(r, value, strict, &kept, parts, n);

    ngx_http_captures_back(r, &kept);

    if (rc != NGX_OK || ngx_http_captures_lost(r)) {
        return NGX_ERROR;
    }

    return ngx_http_captures_join(r, parts, n, result);
}


static ngx_uint_t
ngx_http_captures_count(ngx_http_complex_value_t *value)
{
    u_char      *ip;
    ngx_uint_t   n;

    ip = value->values;

    for (n = 0; *(uintptr_t *) ip; n++) {
        ip = ngx_http_captures_next(ip);
    }

    return n;
}


/*
 * A directive's value has codes of three kinds: texts, variables and captures.
 * The fourth is that of a file's name, which none of ours is.
 */

static u_char *
ngx_http_captures_next(u_char *ip)
{
    ngx_http_script_code_pt       code;
    ngx_http_script_copy_code_t  *copy;

    code = *(ngx_http_script_code_pt *) ip;

    if (code == ngx_http_script_copy_var_code) {
        return ip + sizeof(ngx_http_script_var_code_t);
    }

    if (code == ngx_http_script_copy_code) {
        copy = (ngx_http_script_copy_code_t *) ip;

        return ip + sizeof(ngx_http_script_copy_code_t)
               + ngx_align(copy->len, sizeof(uintptr_t));
    }

    return ip + sizeof(ngx_http_script_copy_capture_code_t);
}


static ngx_int_t
ngx_http_captures_parts(ngx_http_request_t *r, ngx_http_complex_value_t *value,
    ngx_uint_t strict, ngx_http_captures_t *kept, ngx_str_t *parts,
    ngx_uint_t n)
{
    u_char                       *ip;
    ngx_uint_t                    i;
    ngx_http_script_code_pt       code;
    ngx_http_script_var_code_t   *var;
    ngx_http_script_copy_code_t  *copy;

    ngx_http_script_flush_complex_value(r, value);

    ip = value->values;

    for (i = 0; i < n; i++) {
        code = *(ngx_http_script_code_pt *) ip;

        if (code == ngx_http_script_copy_var_code) {
            var = (ngx_http_script_var_code_t *) ip;

            if (ngx_http_captures_variable(r, kept, var->index, strict,
                                           &parts[i])
                != NGX_OK)
            {
                return NGX_ERROR;
            }

        } else if (code == ngx_http_script_copy_code) {
            copy = (ngx_http_script_copy_code_t *) ip;

            parts[i].len = copy->len;
            parts[i].data = ip + sizeof(ngx_http_script_copy_code_t);

        } else if (ngx_http_captures_group(kept, ip, &parts[i]) != NGX_OK) {
            return NGX_ERROR;
        }

        ip = ngx_http_captures_next(ip);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_captures_variable(ngx_http_request_t *r, ngx_http_captures_t *kept,
    ngx_uint_t index, ngx_uint_t strict, ngx_str_t *part)
{
    ngx_http_variable_value_t  *vv;

    vv = ngx_http_get_indexed_variable(r, index);

    ngx_http_captures_again(r, kept);

    if (vv == NULL || vv->not_found) {
        ngx_str_null(part);
        return (vv == NULL && strict) ? NGX_ERROR : NGX_OK;
    }

    part->len = vv->len;
    part->data = vv->data;

    return NGX_OK;
}


/* For the next variable, which may be made of them. */

static void
ngx_http_captures_again(ngx_http_request_t *r, ngx_http_captures_t *kept)
{
#if (NGX_PCRE)

    ngx_http_core_main_conf_t  *cmcf;

    r->ncaptures = kept->n;
    r->captures_data = kept->data;

    if (kept->n == 0 || kept->captures == NULL) {
        return;
    }

    cmcf = ngx_http_get_module_main_conf(r, ngx_http_core_module);

    ngx_memcpy(r->captures, kept->captures,
               ngx_min(kept->n, cmcf->ncaptures) * sizeof(int));

#endif
}


/* Empty if there is none, as nginx has it. */

static ngx_int_t
ngx_http_captures_group(ngx_http_captures_t *kept, u_char *ip, ngx_str_t *part)
{
#if (NGX_PCRE)

    ngx_uint_t                            n;
    ngx_http_script_copy_capture_code_t  *code;

    code = (ngx_http_script_copy_capture_code_t *) ip;

    if (code->code != ngx_http_script_copy_capture_code) {
        return NGX_ERROR;
    }

    ngx_str_null(part);

    /* an offset */

    n = code->n;

    if (n < kept->n && kept->captures) {
        part->len = kept->captures[n + 1] - kept->captures[n];
        part->data = kept->data + kept->captures[n];
    }

    return NGX_OK;

#else

    return NGX_ERROR;

#endif
}


ngx_int_t
ngx_http_captures_join(ngx_http_request_t *r, ngx_str_t *parts, ngx_uint_t n,
    ngx_str_t *result)
{
    u_char      *p;
    size_t       len;
    ngx_uint_t   i;

    len = 0;

    for (i = 0; i < n; i++) {
        len += parts[i].len;
    }

    p = ngx_pnalloc(r->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    result->data = p;
    result->len = len;

    for (i = 0; i < n; i++) {
        p = ngx_text_copy(p, &parts[i]);
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_captures_test(ngx_http_request_t *r, ngx_array_t *predicates)
{
    ngx_str_t                  value;
    ngx_uint_t                 i;
    ngx_http_complex_value_t  *cv;

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


/* One that a configuration makes by itself can be changed, and is not meant. */

void
ngx_http_captures_init_process(ngx_cycle_t *cycle)
{
    ngx_uint_t                  i;
    ngx_http_variable_t        *v;
    ngx_http_core_main_conf_t  *cmcf;

    static ngx_str_t  name = ngx_string("token_failed");

    ngx_http_captures_failed = -1;

    cmcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_core_module);
    v = cmcf->variables.elts;

    for (i = 0; i < cmcf->variables.nelts; i++) {

        if (v[i].name.len == name.len
            && ngx_memcmp(v[i].name.data, name.data, name.len) == 0
            && !(v[i].flags & NGX_HTTP_VAR_CHANGEABLE))
        {
            ngx_http_captures_failed = (ngx_int_t) i;
        }
    }
}


void
ngx_http_captures_lose(ngx_http_request_t *r)
{
    ngx_http_variable_value_t  *vv;

    if (ngx_http_captures_failed < 0) {
        return;
    }

    vv = &r->variables[ngx_http_captures_failed];

    vv->len = 1;
    vv->valid = 1;
    vv->no_cacheable = 0;
    vv->not_found = 0;
    vv->data = (u_char *) "1";
}


ngx_uint_t
ngx_http_captures_lost(ngx_http_request_t *r)
{
    return ngx_http_captures_failed >= 0
           && r->variables[ngx_http_captures_failed].valid;
}
