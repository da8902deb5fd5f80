
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_no_vary_search.h"
#include "ngx_http_rfc9651_dictionary.h"


typedef struct {
    ngx_http_no_vary_search_t  *nvs;
    ngx_str_t                   list;       /* of params or except */
    unsigned                    params:1;
    unsigned                    except:1;
    unsigned                    truth:1;    /* of params */
    unsigned                    invalid:1;
} ngx_http_no_vary_search_field_t;


typedef struct {
    ngx_str_t                   text;       /* name=value, as it was written */
    ngx_str_t                   name;       /* decoded */
} ngx_http_no_vary_search_param_t;


static void ngx_http_no_vary_search_member(ngx_http_rfc9651_member_t *m,
    void *data);
static ngx_int_t ngx_http_no_vary_search_names(ngx_pool_t *pool,
    ngx_str_t *list, ngx_http_no_vary_search_t *nvs);
static u_char *ngx_http_no_vary_search_string(u_char *p, u_char *last,
    u_char *dst, ngx_str_t *name);
static ngx_int_t ngx_http_no_vary_search_split(ngx_pool_t *pool,
    ngx_str_t *query, ngx_http_no_vary_search_t *nvs,
    ngx_http_no_vary_search_param_t *params);
static ngx_uint_t ngx_http_no_vary_search_matters(ngx_str_t *name,
    ngx_http_no_vary_search_t *nvs);
static void ngx_http_no_vary_search_sort(
    ngx_http_no_vary_search_param_t *params, ngx_uint_t n);
static size_t ngx_http_no_vary_search_decode(u_char *dst, ngx_str_t *text);
static ngx_int_t ngx_http_no_vary_search_hex(u_char ch);


ngx_int_t
ngx_http_no_vary_search_parse(ngx_pool_t *pool, ngx_str_t *line,
    ngx_http_no_vary_search_t *nvs)
{
    ngx_int_t                        rc;
    ngx_http_no_vary_search_field_t  field;

    ngx_memzero(nvs, sizeof(ngx_http_no_vary_search_t));
    ngx_memzero(&field, sizeof(ngx_http_no_vary_search_field_t));

    field.nvs = nvs;

    if (ngx_http_rfc9651_dictionary(line, ngx_http_no_vary_search_member,
                                    &field)
            == NGX_ERROR
        || field.invalid
        || (field.except && field.params && !field.truth))
    {
        return NGX_DECLINED;
    }

    nvs->except = field.except;
    nvs->all = field.except || field.truth;

    if (field.list.len) {
        rc = ngx_http_no_vary_search_names(pool, &field.list, nvs);

        if (rc != NGX_OK) {
            return rc;
        }
    }

    if (!nvs->all && !nvs->key_order && nvs->n == 0) {
        return NGX_DECLINED;
    }

    return NGX_OK;
}


/* Of members with one key the last counts; those not known do not. */

static void
ngx_http_no_vary_search_member(ngx_http_rfc9651_member_t *m, void *data)
{
    ngx_http_no_vary_search_field_t *field = data;

    if (m->key.len == 9 && ngx_memcmp(m->key.data, "key-order", 9) == 0) {
        field->nvs->key_order = m->truth;
        field->invalid |= (m->type != NGX_HTTP_RFC9651_BOOLEAN);
        return;
    }

    if (m->key.len == 6 && ngx_memcmp(m->key.data, "except", 6) == 0) {
        field->except = 1;
        field->list = m->text;
        field->invalid |= (m->type != NGX_HTTP_RFC9651_LIST);
        return;
    }

    if (m->key.len != 6 || ngx_memcmp(m->key.data, "params", 6) != 0) {
        return;
    }

    field->params = 1;
    field->truth = 0;

    if (m->type == NGX_HTTP_RFC9651_LIST) {

        /* with "except" it is invalid, whichever comes first */

        if (!field->except) {
            field->list = m->text;
        }

        return;
    }

    field->truth = m->truth;
    field->invalid |= (m->type != NGX_HTTP_RFC9651_BOOLEAN);

    if (!field->except) {
        ngx_str_null(&field->list);
    }
}


/* The strings of an inner list, which is known to be one. */

static ngx_int_t
ngx_http_no_vary_search_names(ngx_pool_t *pool, ngx_str_t *list,
    ngx_http_no_vary_search_t *nvs)
{
    u_char      *p, *last, *dst;
    ngx_uint_t   quoted;

    dst = ngx_pnalloc(pool, list->len);
    if (dst == NULL) {
        return NGX_ERROR;
    }

    p = list->data + 1;
    last = list->data + list->len - 1;

    for ( ;; ) {

        while (p < last && *p == ' ') {
            p++;
        }

        if (p >= last) {
            return NGX_OK;
        }

        if (*p != '"' || nvs->n == NGX_HTTP_NO_VARY_SEARCH_NAMES) {
            return NGX_DECLINED;
        }

        p = ngx_http_no_vary_search_string(p + 1, last, dst,
                                           &nvs->names[nvs->n]);

        dst += nvs->names[nvs->n].len;
        nvs->n++;

        /* parameters of the string mean nothing; their values may be strings */

        quoted = 0;

        while (p < last && (quoted || *p != ' ')) {

            if (*p == '"') {
                quoted = !quoted;

            } else if (*p == '\\' && quoted) {
                p++;
            }

            p++;
        }
    }
}


/* Returns what follows the string. */

static u_char *
ngx_http_no_vary_search_string(u_char *p, u_char *last, u_char *dst,
    ngx_str_t *name)
{
    ngx_str_t  text;

    text.data = dst;

    for ( /* void */ ; p < last && *p != '"'; p++) {

        if (*p == '\\' && p + 1 < last) {
            p++;
        }

        *dst++ = *p;
    }

    text.len = dst - text.data;

    name->data = text.data;
    name->len = ngx_http_no_vary_search_decode(text.data, &text);

    return p + 1;
}


ngx_int_t
ngx_http_no_vary_search_target(ngx_pool_t *pool, ngx_str_t *target,
    ngx_http_no_vary_search_t *nvs, ngx_str_t *result)
{
    u_char                           *p, *last;
    ngx_int_t                         i, n;
    ngx_str_t                         query;
    ngx_http_no_vary_search_param_t  *params;

    last = target->data + target->len;

    query.data = ngx_strlchr(target->data, last, '?');

    if (query.data == NULL) {
        *result = *target;
        return NGX_OK;
    }

    query.len = last - query.data;

    params = ngx_palloc(pool, NGX_HTTP_NO_VARY_SEARCH_PARAMS
                              * sizeof(ngx_http_no_vary_search_param_t));
    if (params == NULL) {
        return NGX_ERROR;
    }

    n = ngx_http_no_vary_search_split(pool, &query, nvs, params);

    if (n < 0) {
        return n;
    }

    if (nvs->key_order) {
        ngx_http_no_vary_search_sort(params, n);
    }

    p = ngx_pnalloc(pool, target->len + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    result->data = p;

    p = ngx_cpymem(p, target->data, query.data - target->data);

    for (i = 0; i < n; i++) {
        *p++ = i ? '&' : '?';
        p = ngx_cpymem(p, params[i].text.data, params[i].text.len);
    }

    result->len = p - result->data;

    return NGX_OK;
}


/* The parameters that matter; "query" begins with the question mark. */

static ngx_int_t
ngx_http_no_vary_search_split(ngx_pool_t *pool, ngx_str_t *query,
    ngx_http_no_vary_search_t *nvs, ngx_http_no_vary_search_param_t *params)
{
    u_char     *p, *last, *end, *dst;
    ngx_int_t   n;
    ngx_str_t   text, name;

    dst = ngx_pnalloc(pool, query->len);
    if (dst == NULL) {
        return NGX_ERROR;
    }

    n = 0;
    last = query->data + query->len;

    for (p = query->data + 1; p < last; p = end + 1) {

        end = ngx_strlchr(p, last, '&');

        if (end == NULL) {
            end = last;
        }

        if (end == p) {
            continue;
        }

        text.data = p;
        text.len = end - p;

        name = text;

        p = ngx_strlchr(p, end, '=');

        if (p) {
            name.len = p - name.data;
        }

        name.len = ngx_http_no_vary_search_decode(dst, &name);
        name.data = dst;
        dst += name.len;

        if (!ngx_http_no_vary_search_matters(&name, nvs)) {
            continue;
        }

        if (n == NGX_HTTP_NO_VARY_SEARCH_PARAMS) {
            return NGX_DECLINED;
        }

        params[n].text = text;
        params[n].name = name;
        n++;
    }

    return n;
}


static ngx_uint_t
ngx_http_no_vary_search_matters(ngx_str_t *name,
    ngx_http_no_vary_search_t *nvs)
{
    ngx_uint_t  i;

    if (nvs->all && !nvs->except) {
        return 0;
    }

    for (i = 0; i < nvs->n; i++) {
        if (nvs->names[i].len == name->len
            && ngx_memcmp(nvs->names[i].data, name->data, name->len) == 0)
        {
            return nvs->except;
        }
    }

    return !nvs->except;
}


/* Those of one name stay in the order they have. */

static void
ngx_http_no_vary_search_sort(ngx_http_no_vary_search_param_t *params,
    ngx_uint_t n)
{
    ngx_uint_t                       i, j;
    ngx_http_no_vary_search_param_t  param;

    for (i = 1; i < n; i++) {
        param = params[i];

        for (j = i; j > 0; j--) {
            if (ngx_memn2cmp(params[j - 1].name.data, param.name.data,
                             params[j - 1].name.len, param.name.len)
                <= 0)
            {
                break;
            }

            params[j] = params[j - 1];
        }

        params[j] = param;
    }
}


/* As of application/x-www-form-urlencoded; may be done in place. */

static size_t
ngx_http_no_vary_search_decode(u_char *dst, ngx_str_t *text)
{
    u_char     *p, *last, *begin;
    ngx_int_t   high, low;

    begin = dst;
    last = text->data + text->len;

    for (p = text->data; p < last; p++) {

        if (*p == '+') {
            *dst++ = ' ';
            continue;
        }

        if (*p == '%' && last - p > 2) {
            high = ngx_http_no_vary_search_hex(p[1]);
            low = ngx_http_no_vary_search_hex(p[2]);

            if (high >= 0 && low >= 0) {
                *dst++ = (u_char) (high << 4 | low);
                p += 2;
                continue;
            }
        }

        *dst++ = *p;
    }

    return dst - begin;
}


static ngx_int_t
ngx_http_no_vary_search_hex(u_char ch)
{
    if (ch >= '0' && ch <= '9') {
        return ch - '0';
    }

    ch |= 0x20;

    return (ch >= 'a' && ch <= 'f') ? ch - 'a' + 10 : -1;
}
