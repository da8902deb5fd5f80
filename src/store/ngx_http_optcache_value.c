
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_optcache_value.h"


static ngx_int_t ngx_http_optcache_value_parse(ngx_conf_t *cf,
    ngx_str_t *text, ngx_http_optcache_value_t *value);
static u_char *ngx_http_optcache_value_name(u_char *p, u_char *last,
    ngx_str_t *name);
static ngx_int_t ngx_http_optcache_value_join(ngx_http_request_t *r,
    ngx_str_t *parts, ngx_uint_t n, ngx_str_t *result);


ngx_int_t
ngx_http_optcache_value_compile(ngx_conf_t *cf, ngx_str_t *text,
    ngx_http_optcache_value_t *value)
{
    ngx_http_compile_complex_value_t  ccv;

    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

    ccv.cf = cf;
    ccv.value = text;
    ccv.complex_value = &value->complex;

    if (ngx_http_compile_complex_value(&ccv) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_optcache_value_parse(cf, text, value);
}


/* nginx has compiled the text: it has no errors. */

static ngx_int_t
ngx_http_optcache_value_parse(ngx_conf_t *cf, ngx_str_t *text,
    ngx_http_optcache_value_t *value)
{
    u_char                          *p, *last;
    ngx_uint_t                       n;
    ngx_http_optcache_value_part_t  *part;

    value->nparts = 0;

    p = text->data;
    last = p + text->len;

    for (n = 0; p < last; n++) {

        if (n == NGX_HTTP_OPTCACHE_VALUE_PARTS) {
            return NGX_OK;
        }

        part = &value->parts[n];

        if (*p != '$') {
            part->index = -1;
            part->text.data = p;

            while (p < last && *p != '$') {
                p++;
            }

            part->text.len = p - part->text.data;
            continue;
        }

        p = ngx_http_optcache_value_name(p + 1, last, &part->text);

        if (part->text.data[0] >= '1' && part->text.data[0] <= '9') {
            /* a capture */
            return NGX_OK;
        }

        part->index = ngx_http_get_variable_index(cf, &part->text);
        if (part->index == NGX_ERROR) {
            return NGX_ERROR;
        }
    }

    value->nparts = n;

    return NGX_OK;
}


static u_char *
ngx_http_optcache_value_name(u_char *p, u_char *last, ngx_str_t *name)
{
    if (*p == '{') {
        name->data = ++p;

        while (*p != '}') {
            p++;
        }

        name->len = p - name->data;

        return p + 1;
    }

    name->data = p;

    while (p < last
           && (*p == '_' || (*p >= '0' && *p <= '9')
               || ((*p | 0x20) >= 'a' && (*p | 0x20) <= 'z')))
    {
        p++;
    }

    name->len = p - name->data;

    return p;
}


char *
ngx_http_optcache_value_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char  *p = conf;

    ngx_str_t                   *args;
    ngx_http_optcache_value_t  **value;

    value = (ngx_http_optcache_value_t **) (p + cmd->offset);

    if (*value) {
        return "is duplicate";
    }

    *value = ngx_palloc(cf->pool, sizeof(ngx_http_optcache_value_t));
    if (*value == NULL) {
        return NGX_CONF_ERROR;
    }

    args = cf->args->elts;

    if (ngx_http_optcache_value_compile(cf, &args[1], *value) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


ngx_int_t
ngx_http_optcache_value(ngx_http_request_t *r,
    ngx_http_optcache_value_t *value, ngx_str_t *result)
{
    ngx_str_t                        parts[NGX_HTTP_OPTCACHE_VALUE_PARTS];
    ngx_uint_t                       i;
    ngx_http_variable_value_t       *vv;
    ngx_http_optcache_value_part_t  *part;

    if (value->nparts == 0) {
        return ngx_http_complex_value(r, &value->complex, result);
    }

    for (i = 0; i < value->nparts; i++) {
        part = &value->parts[i];

        if (part->index < 0) {
            parts[i] = part->text;
            continue;
        }

        vv = ngx_http_get_flushed_variable(r, part->index);

        if (vv == NULL) {
            /* not the same as empty, which is nobody */
            return NGX_ERROR;
        }

        parts[i].len = vv->not_found ? 0 : vv->len;
        parts[i].data = vv->data;
    }

    if (value->nparts == 1) {
        *result = parts[0];
        return NGX_OK;
    }

    return ngx_http_optcache_value_join(r, parts, value->nparts, result);
}


static ngx_int_t
ngx_http_optcache_value_join(ngx_http_request_t *r, ngx_str_t *parts,
    ngx_uint_t n, ngx_str_t *result)
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
        p = ngx_cpymem(p, parts[i].data, parts[i].len);
    }

    return NGX_OK;
}
