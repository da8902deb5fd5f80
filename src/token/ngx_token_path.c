
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_token_path.h"


#define NGX_TOKEN_PATH_DOTTED  256


static ngx_input_json_t *ngx_token_path_dotted(const ngx_input_json_t *json,
    const ngx_str_t *name);
static ngx_uint_t ngx_token_path_fold(const ngx_input_json_t *json,
    const ngx_str_t *name, ngx_input_json_t **found);
static ngx_int_t ngx_token_path_fold_name(const ngx_str_t *member,
    const ngx_str_t *name, ngx_str_t *rest);
static void ngx_token_path_number(double number, u_char *buf,
    ngx_str_t *text);


/* Recursion is bounded by the depth of what is looked into. */

ngx_input_json_t *
ngx_token_path_find(const ngx_input_json_t *json, const ngx_str_t *path)
{
    size_t             i;
    ngx_str_t          rest;
    ngx_input_json_t  *member;

    member = ngx_input_json_find(json, path->data, path->len);

    if (member) {
        return member;
    }

    for (i = path->len; i-- > 0; /* void */ ) {

        if (path->data[i] != '.') {
            continue;
        }

        member = ngx_input_json_find(json, path->data, i);

        if (ngx_input_json_type(member) != NGX_INPUT_JSON_OBJECT) {
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


ngx_input_json_t *
ngx_token_path_variable(const ngx_input_json_t *json, const ngx_str_t *name)
{
    ngx_input_json_t  *found;

    found = ngx_input_json_find(json, name->data, name->len);

    if (found == NULL) {
        found = ngx_token_path_dotted(json, name);
    }

    if (found) {
        return found;
    }

    return (ngx_token_path_fold(json, name, &found) == 1) ? found : NULL;
}


/* What is longer can only be found by the other way. */

static ngx_input_json_t *
ngx_token_path_dotted(const ngx_input_json_t *json, const ngx_str_t *name)
{
    size_t     i;
    u_char     buf[NGX_TOKEN_PATH_DOTTED];
    ngx_str_t  path;

    if (name->len > NGX_TOKEN_PATH_DOTTED) {
        return NULL;
    }

    path.data = buf;
    path.len = 0;

    for (i = 0; i < name->len; i++) {

        if (name->data[i] == '_'
            && i + 1 < name->len
            && name->data[i + 1] == '_')
        {
            buf[path.len++] = '.';
            i++;

        } else {
            buf[path.len++] = name->data[i];
        }
    }

    return (path.len < name->len) ? ngx_token_path_find(json, &path) : NULL;
}


/*
 * How many values there are, of which "found" is one; 2 stands for more.
 * Recursion is bounded by the depth of what is looked into.
 */

static ngx_uint_t
ngx_token_path_fold(const ngx_input_json_t *json, const ngx_str_t *name,
    ngx_input_json_t **found)
{
    ngx_str_t          member, rest;
    ngx_uint_t         n;
    ngx_input_json_t  *value;

    if (ngx_input_json_type(json) != NGX_INPUT_JSON_OBJECT) {
        return 0;
    }

    n = 0;

    for (value = ngx_input_json_first(json);
         value && n < 2;
         value = ngx_input_json_next(value))
    {
        ngx_input_json_name(value, &member);

        if (ngx_token_path_fold_name(&member, name, &rest) != NGX_OK) {
            continue;
        }

        if (rest.len == 0) {
            *found = value;
            n++;
            continue;
        }

        if (rest.len < 2 || rest.data[0] != '_' || rest.data[1] != '_') {
            continue;
        }

        rest.data += 2;
        rest.len -= 2;

        n += ngx_token_path_fold(value, &rest, found);
    }

    return ngx_min(n, 2);
}


/* NGX_OK if what "name" begins with means the member; "rest" comes after. */

static ngx_int_t
ngx_token_path_fold_name(const ngx_str_t *member, const ngx_str_t *name,
    ngx_str_t *rest)
{
    u_char  *p, *last;
    size_t   i;

    p = name->data;
    last = name->data + name->len;

    for (i = 0; i < member->len; i++) {

        if (member->data[i] == '.') {

            if (last - p < 2 || p[0] != '_' || p[1] != '_') {
                return NGX_DECLINED;
            }

            p += 2;
            continue;
        }

        if (p == last || ngx_tolower(*p) != ngx_tolower(member->data[i])) {
            return NGX_DECLINED;
        }

        p++;
    }

    rest->data = p;
    rest->len = last - p;

    return NGX_OK;
}


ngx_int_t
ngx_token_path_scalar(const ngx_input_json_t *json, u_char *buf,
    ngx_str_t *text)
{
    double      number;
    ngx_uint_t  value;

    if (ngx_input_json_string(json, text) == NGX_OK) {
        return NGX_OK;
    }

    if (ngx_input_json_number(json, &number) == NGX_OK) {
        ngx_token_path_number(number, buf, text);
        return NGX_OK;
    }

    if (ngx_input_json_boolean(json, &value) == NGX_OK) {

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

    /* below 2^53, see ngx_input_json.h */

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
