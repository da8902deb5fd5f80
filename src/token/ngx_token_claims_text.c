
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_token_claims.h"
#include "ngx_token_path.h"


static ngx_int_t ngx_token_claims_value(ngx_pool_t *pool,
    const ngx_input_json_t *json, ngx_str_t *text);
static ngx_int_t ngx_token_claims_list(ngx_pool_t *pool,
    const ngx_input_json_t *json, ngx_str_t *text);
static u_char *ngx_token_claims_escape(u_char *p, const ngx_str_t *text,
    u_char one, u_char other);


ngx_int_t
ngx_token_claims_text(ngx_pool_t *pool, const ngx_token_claims_t *claims,
    const ngx_str_t *path, ngx_str_t *text)
{
    ngx_input_json_t  *json;

    json = ngx_token_path_find(claims->payload, path);

    return ngx_token_claims_value(pool, json, text);
}


ngx_int_t
ngx_token_claims_variable(ngx_pool_t *pool, const ngx_token_claims_t *claims,
    const ngx_str_t *name, ngx_str_t *text)
{
    ngx_input_json_t  *json;

    json = ngx_token_path_variable(claims->payload, name);

    return ngx_token_claims_value(pool, json, text);
}


static ngx_int_t
ngx_token_claims_value(ngx_pool_t *pool, const ngx_input_json_t *json,
    ngx_str_t *text)
{
    u_char  buf[NGX_TOKEN_PATH_NUMBER], *p;

    if (ngx_input_json_type(json) == NGX_INPUT_JSON_ARRAY) {
        return ngx_token_claims_list(pool, json, text);
    }

    if (ngx_token_path_scalar(json, buf, text) != NGX_OK
        || ngx_token_path_control(text))
    {
        ngx_str_null(text);
        return NGX_OK;
    }

    if (text->data == buf) {

        p = ngx_pnalloc(pool, text->len);
        if (p == NULL) {
            return NGX_ERROR;
        }

        ngx_memcpy(p, buf, text->len);
        text->data = p;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_token_claims_list(ngx_pool_t *pool, const ngx_input_json_t *json,
    ngx_str_t *text)
{
    u_char                   buf[NGX_TOKEN_PATH_NUMBER], *p;
    size_t                   len;
    ngx_str_t                element;
    const ngx_input_json_t  *value;

    ngx_str_null(text);
    len = 0;

    for (value = ngx_input_json_first(json);
         value;
         value = ngx_input_json_next(value))
    {
        if (ngx_token_path_scalar(value, buf, &element) != NGX_OK
            || ngx_token_path_control(&element))
        {
            return NGX_OK;
        }

        /* one more to separate them */

        len += 3 * element.len + 1;
    }

    if (len == 0) {
        return NGX_OK;
    }

    p = ngx_pnalloc(pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    text->data = p;

    for (value = ngx_input_json_first(json);
         value;
         value = ngx_input_json_next(value))
    {
        (void) ngx_token_path_scalar(value, buf, &element);

        p = ngx_token_claims_escape(p, &element, ',', ',');
        *p++ = ',';
    }

    text->len = p - 1 - text->data;

    return NGX_OK;
}


ngx_int_t
ngx_token_claims_user(ngx_pool_t *pool, const ngx_token_claims_t *claims,
    ngx_str_t *user)
{
    u_char  *p;

    ngx_str_null(user);

    if (claims->sub.len == 0) {
        return NGX_OK;
    }

    p = ngx_pnalloc(pool, 3 * claims->iss.len + 1 + claims->sub.len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    user->data = p;

    p = ngx_token_claims_escape(p, &claims->iss, '|', '%');
    *p++ = '|';
    p = ngx_cpymem(p, claims->sub.data, claims->sub.len);

    user->len = p - user->data;

    return NGX_OK;
}


/* Either of two characters becomes %XX. */

static u_char *
ngx_token_claims_escape(u_char *p, const ngx_str_t *text, u_char one,
    u_char other)
{
    size_t  i;

    for (i = 0; i < text->len; i++) {

        if (text->data[i] == one || text->data[i] == other) {
            p = ngx_sprintf(p, "%%%02Xd", text->data[i]);

        } else {
            *p++ = text->data[i];
        }
    }

    return p;
}
