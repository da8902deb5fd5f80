
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_optcache_api_purge_read.h"
#include "ngx_http_optcache_tags.h"
#include "ngx_sha256.h"


static ngx_int_t ngx_http_optcache_api_read_path(
    ngx_http_optcache_api_read_t *read, const char *name,
    ngx_input_json_t *json, ngx_str_t *path);
static ngx_int_t ngx_http_optcache_api_read_string(
    ngx_http_optcache_api_read_t *read, const char *name,
    ngx_input_json_t *json, size_t max, ngx_str_t *text);
static ngx_uint_t ngx_http_optcache_api_read_below(ngx_str_t *text, u_char c);


ngx_int_t
ngx_http_optcache_api_read_uri(ngx_http_optcache_api_read_t *read,
    const char *name, ngx_input_json_t *json)
{
    return ngx_http_optcache_api_read_path(read, name, json,
                                           &read->target.uri);
}


/* Who writes "*" elsewhere takes it for more than it is. */

ngx_int_t
ngx_http_optcache_api_read_prefix(ngx_http_optcache_api_read_t *read,
    const char *name, ngx_input_json_t *json)
{
    ngx_int_t   rc;
    ngx_str_t  *prefix;

    prefix = &read->target.prefix;

    rc = ngx_http_optcache_api_read_path(read, name, json, prefix);

    if (rc != NGX_OK) {
        return rc;
    }

    if (prefix->data[prefix->len - 1] == '*') {
        prefix->len--;
    }

    if (ngx_strlchr(prefix->data, prefix->data + prefix->len, '*')) {
        return ngx_http_optcache_api_read_bad(read, name,
                                     "must not have a \"*\" but at its end");
    }

    if (prefix->len > NGX_OPTCACHE_MARK_PREFIX_MAX) {
        return ngx_http_optcache_api_read_bad(read, name,
                                     "must not be longer than 4095 bytes");
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_optcache_api_read_tag(ngx_http_optcache_api_read_t *read,
    const char *name, ngx_input_json_t *json)
{
    ngx_int_t   rc;
    ngx_str_t  *tag;

    tag = &read->target.tag;

    rc = ngx_http_optcache_api_read_string(read, name, json,
                                           NGX_HTTP_OPTCACHE_TAG_MAX, tag);

    if (rc == NGX_OK && ngx_http_optcache_api_read_below(tag, ' ')) {
        return ngx_http_optcache_api_read_bad(read, name,
                                          "must not have control characters");
    }

    return rc;
}


/* They are looked at now, and each taken when the host is known. */

ngx_int_t
ngx_http_optcache_api_read_tags(ngx_http_optcache_api_read_t *read,
    const char *name, ngx_input_json_t *json)
{
    ngx_int_t          rc;
    ngx_input_json_t  *item;

    if (ngx_input_json_type(json) != NGX_INPUT_JSON_ARRAY
        || ngx_input_json_first(json) == NULL)
    {
        return ngx_http_optcache_api_read_bad(read, name,
                                      "must be an array that is not empty");
    }

    for (item = ngx_input_json_first(json);
         item;
         item = ngx_input_json_next(item))
    {
        rc = ngx_http_optcache_api_read_tag(read, name, item);

        if (rc != NGX_OK) {
            return rc;
        }
    }

    read->tags = json;

    return NGX_OK;
}


/* as ngx_optcache_key_create() does */

ngx_int_t
ngx_http_optcache_api_read_user(ngx_http_optcache_api_read_t *read,
    const char *name, ngx_input_json_t *json)
{
    u_char     digest[NGX_SHA256_LEN];
    ngx_int_t  rc;
    ngx_str_t  user;

    rc = ngx_http_optcache_api_read_string(read, name, json,
                                           NGX_HTTP_OPTCACHE_PURGE_VALUE,
                                           &user);

    if (rc != NGX_OK) {
        return rc;
    }

    ngx_sha256(&user, digest);
    ngx_explicit_memzero(user.data, user.len);

    read->target.user = ngx_optcache_mark_user(digest);

    return NGX_OK;
}


/* As $host is: lowercase, and without a port. */

ngx_int_t
ngx_http_optcache_api_read_host(ngx_http_optcache_api_read_t *read,
    const char *name, ngx_input_json_t *json)
{
    u_char     *p, *last;
    ngx_int_t   rc;
    ngx_str_t  *host;

    host = &read->target.host;

    rc = ngx_http_optcache_api_read_string(read, name, json,
                                           NGX_HTTP_OPTCACHE_PURGE_HOST, host);

    if (rc != NGX_OK) {
        return rc;
    }

    last = host->data + host->len;
    p = host->data;

    if (*p == '[' && last[-1] == ']') {
        /* an IPv6 address */
        p = last;
    }

    if (ngx_http_optcache_api_read_below(host, '!')
        || ngx_strlchr(host->data, last, '/')
        || ngx_strlchr(p, last, ':'))
    {
        return ngx_http_optcache_api_read_bad(read, name,
                                 "must be the name of a host without a port");
    }

    ngx_strlow(host->data, host->data, host->len);

    if (host->len > 1 && last[-1] == '.') {
        host->len--;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_optcache_api_read_all(ngx_http_optcache_api_read_t *read,
    const char *name, ngx_input_json_t *json)
{
    ngx_uint_t  all;

    if (ngx_input_json_boolean(json, &all) != NGX_OK || !all) {
        return ngx_http_optcache_api_read_bad(read, name, "must be true");
    }

    read->target.all = 1;

    return NGX_OK;
}


ngx_int_t
ngx_http_optcache_api_read_soft(ngx_http_optcache_api_read_t *read,
    const char *name, ngx_input_json_t *json)
{
    ngx_uint_t  soft;

    if (ngx_input_json_boolean(json, &soft) != NGX_OK) {
        return ngx_http_optcache_api_read_bad(read, name,
                                              "must be true or false");
    }

    read->target.soft = soft;

    return NGX_OK;
}


static ngx_int_t
ngx_http_optcache_api_read_path(ngx_http_optcache_api_read_t *read,
    const char *name, ngx_input_json_t *json, ngx_str_t *path)
{
    ngx_int_t  rc;

    rc = ngx_http_optcache_api_read_string(read, name, json,
                                           NGX_HTTP_OPTCACHE_PURGE_VALUE,
                                           path);

    if (rc != NGX_OK) {
        return rc;
    }

    if (path->data[0] != '/') {
        return ngx_http_optcache_api_read_bad(read, name,
                                              "must begin with a slash");
    }

    /* nginx takes no request with these */

    if (ngx_http_optcache_api_read_below(path, '!')) {
        return ngx_http_optcache_api_read_bad(read, name,
                                "must not have spaces or control characters");
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_optcache_api_read_string(ngx_http_optcache_api_read_t *read,
    const char *name, ngx_input_json_t *json, size_t max, ngx_str_t *text)
{
    if (ngx_input_json_string(json, text) != NGX_OK) {
        return ngx_http_optcache_api_read_bad(read, name, "must be a string");
    }

    if (text->len == 0) {
        return ngx_http_optcache_api_read_bad(read, name, "must not be empty");
    }

    if (text->len > max) {
        return ngx_http_optcache_api_read_bad(read, name, "is too long");
    }

    return NGX_OK;
}


/* Whether there is a byte less than "c", or DEL. */

static ngx_uint_t
ngx_http_optcache_api_read_below(ngx_str_t *text, u_char c)
{
    size_t  i;

    for (i = 0; i < text->len; i++) {
        if (text->data[i] < c || text->data[i] == 0x7f) {
            return 1;
        }
    }

    return 0;
}
