
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_token_path.h"


static void ngx_token_path_number(double number, u_char *buf,
    ngx_str_t *text);


/* Recursion is bounded by the depth of what is looked into. */

ngx_token_json_t *
ngx_token_path_find(const ngx_token_json_t *json, const ngx_str_t *path)
{
    size_t             i;
    ngx_str_t          rest;
    ngx_token_json_t  *member;

    member = ngx_token_json_find(json, path->data, path->len);

    if (member) {
        return member;
    }

    for (i = path->len; i-- > 0; /* void */ ) {

        if (path->data[i] != '.') {
            continue;
        }

        member = ngx_token_json_find(json, path->data, i);

        if (ngx_token_json_type(member) != NGX_TOKEN_JSON_OBJECT) {
            continue;
        }

        rest.data = path->data + i + 1;
        rest.len = path->len - i - 1;

        member = ngx_token_path_find(member, &rest);

        if (member) {
            return member;
        }
    }

    return NULL;
}


ngx_int_t
ngx_token_path_scalar(const ngx_token_json_t *json, u_char *buf,
    ngx_str_t *text)
{
    double      number;
    ngx_uint_t  value;

    if (ngx_token_json_string(json, text) == NGX_OK) {
        return NGX_OK;
    }

    if (ngx_token_json_number(json, &number) == NGX_OK) {
        ngx_token_path_number(number, buf, text);
        return NGX_OK;
    }

    if (ngx_token_json_boolean(json, &value) == NGX_OK) {

        if (value) {
            ngx_str_set(text, "true");

        } else {
            ngx_str_set(text, "false");
        }

        return NGX_OK;
    }

    return NGX_DECLINED;
}


static void
ngx_token_path_number(double number, u_char *buf, ngx_str_t *text)
{
    int     n, digits;
    size_t  i;

    text->data = buf;

    /* below 2^53, see ngx_token_json.h */

    if (number == (double) (int64_t) number) {
        text->len = ngx_sprintf(buf, "%L", (int64_t) number) - buf;
        return;
    }

    n = 0;

    for (digits = 15; digits <= 17; digits++) {

        n = snprintf((char *) buf, NGX_TOKEN_PATH_NUMBER, "%.*g", digits,
                     number);

        if (strtod((char *) buf, NULL) == number) {
            break;
        }
    }

    text->len = n;

    for (i = 0; i < text->len; i++) {

        /* whatever the locale makes of the point */

        if (strchr("0123456789+-e", buf[i]) == NULL) {
            buf[i] = '.';
        }
    }
}


ngx_uint_t
ngx_token_path_control(const ngx_str_t *text)
{
    size_t  i;

    for (i = 0; i < text->len; i++) {
        if (text->data[i] < 0x20 || text->data[i] == 0x7f) {
            return 1;
        }
    }

    return 0;
}
