
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_token_template.h"


static ngx_int_t ngx_token_template_part(ngx_pool_t *pool, u_char **pos,
    u_char *last, ngx_token_template_pt variable, void *data,
    ngx_str_t *part);
static ngx_int_t ngx_token_template_name(ngx_pool_t *pool, u_char **pos,
    u_char *last, ngx_str_t *name);
static ngx_uint_t ngx_token_template_letter(u_char ch);


ngx_int_t
ngx_token_template_expand(ngx_pool_t *pool, const ngx_str_t *value,
    ngx_token_template_pt variable, void *data, ngx_str_t *text)
{
    u_char       *p, *last;
    ngx_int_t     rc;
    ngx_str_t    *part;
    ngx_uint_t    i;
    ngx_array_t   parts;

    if (ngx_array_init(&parts, pool, 4, sizeof(ngx_str_t)) != NGX_OK) {
        return NGX_ERROR;
    }

    p = value->data;
    last = value->data + value->len;
    text->len = 0;

    while (p < last) {

        part = ngx_array_push(&parts);
        if (part == NULL) {
            return NGX_ERROR;
        }

        rc = ngx_token_template_part(pool, &p, last, variable, data, part);

        if (rc != NGX_OK) {
            return rc;
        }

        text->len += part->len;
    }

    text->data = ngx_pnalloc(pool, text->len);
    if (text->data == NULL) {
        return NGX_ERROR;
    }

    part = parts.elts;
    p = text->data;

    for (i = 0; i < parts.nelts; i++) {
        p = ngx_cpymem(p, part[i].data, part[i].len);
    }

    return NGX_OK;
}


/* The next part: what stands between variables, or one of them. */

static ngx_int_t
ngx_token_template_part(ngx_pool_t *pool, u_char **pos, u_char *last,
    ngx_token_template_pt variable, void *data, ngx_str_t *part)
{
    ngx_int_t  rc;
    ngx_str_t  name;

    if (**pos != '$') {

        part->data = *pos;

        while (*pos < last && **pos != '$') {
            (*pos)++;
        }

        part->len = *pos - part->data;

        return NGX_OK;
    }

    (*pos)++;

    rc = ngx_token_template_name(pool, pos, last, &name);

    if (rc == NGX_OK) {
        rc = variable(data, &name, part);
    }

    return (rc == NGX_OK && part->len == 0) ? NGX_DECLINED : rc;
}


/* As ngx_http_script_compile() reads it, which has accepted the value. */

static ngx_int_t
ngx_token_template_name(ngx_pool_t *pool, u_char **pos, u_char *last,
    ngx_str_t *name)
{
    u_char      *p, *start;
    ngx_uint_t   braces;

    p = *pos;
    braces = (p < last && *p == '{');

    if (braces) {
        p++;
    }

    start = p;

    while (p < last && ngx_token_template_letter(*p)) {
        p++;
    }

    name->len = p - start;

    if (name->len == 0 || (braces && (p == last || *p != '}'))) {
        return NGX_DECLINED;
    }

    name->data = ngx_pnalloc(pool, name->len);
    if (name->data == NULL) {
        return NGX_ERROR;
    }

    ngx_strlow(name->data, start, name->len);

    *pos = braces ? p + 1 : p;

    return NGX_OK;
}


static ngx_uint_t
ngx_token_template_letter(u_char ch)
{
    return (ch >= 'a' && ch <= 'z')
           || (ch >= 'A' && ch <= 'Z')
           || (ch >= '0' && ch <= '9')
           || ch == '_';
}
