
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_optcache_field.h"


typedef struct {
    ngx_str_t                 name;
    ngx_optcache_field_e      id;
} ngx_optcache_field_name_t;


static ngx_optcache_field_name_t  ngx_optcache_field_names[] = {

    { ngx_string("content-type"), NGX_OPTCACHE_FIELD_CONTENT_TYPE },
    { ngx_string("content-encoding"), NGX_OPTCACHE_FIELD_CONTENT_ENCODING },
    { ngx_string("last-modified"), NGX_OPTCACHE_FIELD_LAST_MODIFIED },
    { ngx_string("etag"), NGX_OPTCACHE_FIELD_ETAG },
    { ngx_string("date"), NGX_OPTCACHE_FIELD_DATE },
    { ngx_string("expires"), NGX_OPTCACHE_FIELD_EXPIRES },
    { ngx_string("cache-control"), NGX_OPTCACHE_FIELD_CACHE_CONTROL },
    { ngx_string("vary"), NGX_OPTCACHE_FIELD_VARY },
    { ngx_string("location"), NGX_OPTCACHE_FIELD_LOCATION },
    { ngx_string("content-range"), NGX_OPTCACHE_FIELD_CONTENT_RANGE },
    { ngx_string("set-cookie"), NGX_OPTCACHE_FIELD_SET_COOKIE },
    { ngx_string("set-cookie2"), NGX_OPTCACHE_FIELD_SET_COOKIE },

    { ngx_string("connection"), NGX_OPTCACHE_FIELD_NEVER },
    { ngx_string("keep-alive"), NGX_OPTCACHE_FIELD_NEVER },
    { ngx_string("proxy-authenticate"), NGX_OPTCACHE_FIELD_NEVER },
    { ngx_string("proxy-authentication-info"), NGX_OPTCACHE_FIELD_NEVER },
    { ngx_string("proxy-authorization"), NGX_OPTCACHE_FIELD_NEVER },
    { ngx_string("proxy-connection"), NGX_OPTCACHE_FIELD_NEVER },
    { ngx_string("te"), NGX_OPTCACHE_FIELD_NEVER },
    { ngx_string("trailer"), NGX_OPTCACHE_FIELD_NEVER },
    { ngx_string("transfer-encoding"), NGX_OPTCACHE_FIELD_NEVER },
    { ngx_string("upgrade"), NGX_OPTCACHE_FIELD_NEVER },

    { ngx_string("content-length"), NGX_OPTCACHE_FIELD_NEVER },
    { ngx_string("accept-ranges"), NGX_OPTCACHE_FIELD_NEVER },

    { ngx_string("age"), NGX_OPTCACHE_FIELD_NEVER },
    { ngx_string("x-cache"), NGX_OPTCACHE_FIELD_NEVER },
    { ngx_string("ratelimit"), NGX_OPTCACHE_FIELD_NEVER },

    { ngx_null_string, NGX_OPTCACHE_FIELD_OTHER }
};


/* rate limit fields have many last names: Limit, Used, Reset-After, .. */

static ngx_str_t  ngx_optcache_field_limits[] = {
    ngx_string("ratelimit-"),
    ngx_string("x-ratelimit-"),
    ngx_string("x-rate-limit-"),
    ngx_null_string
};


#define NGX_OPTCACHE_FIELD_NAMES                                              \
    (sizeof(ngx_optcache_field_names) / sizeof(ngx_optcache_field_name_t))

#define ngx_optcache_field_bucket(name)                                       \
    ((ngx_tolower((name)->data[0]) + 8 * (name)->len) % 64)


static void ngx_optcache_field_index(void);
static ngx_uint_t ngx_optcache_field_token(u_char ch);


/* of this process: numbers of names from 1, by first letter and length */

static u_char  ngx_optcache_field_first[64];
static u_char  ngx_optcache_field_next[NGX_OPTCACHE_FIELD_NAMES + 1];


ngx_optcache_field_e
ngx_optcache_field_id(ngx_str_t *name)
{
    u_char                      ch;
    ngx_str_t                  *prefix;
    ngx_uint_t                  n;
    ngx_optcache_field_name_t  *known;

    if (name->len == 0) {
        return NGX_OPTCACHE_FIELD_OTHER;
    }

    if (ngx_optcache_field_next[0] == 0) {
        ngx_optcache_field_index();
    }

    for (n = ngx_optcache_field_first[ngx_optcache_field_bucket(name)];
         n;
         n = ngx_optcache_field_next[n])
    {
        known = &ngx_optcache_field_names[n - 1];

        if (known->name.len == name->len
            && ngx_strncasecmp(known->name.data, name->data, name->len) == 0)
        {
            return known->id;
        }
    }

    ch = ngx_tolower(name->data[0]);

    for (prefix = ngx_optcache_field_limits; prefix->len; prefix++) {

        if (prefix->data[0] == ch
            && name->len > prefix->len
            && ngx_strncasecmp(prefix->data, name->data, prefix->len) == 0)
        {
            return NGX_OPTCACHE_FIELD_NEVER;
        }
    }

    return NGX_OPTCACHE_FIELD_OTHER;
}


static void
ngx_optcache_field_index(void)
{
    u_char      *first;
    ngx_uint_t   n;

    for (n = 1; n < NGX_OPTCACHE_FIELD_NAMES; n++) {
        first = &ngx_optcache_field_first[
             ngx_optcache_field_bucket(&ngx_optcache_field_names[n - 1].name)];

        ngx_optcache_field_next[n] = *first;
        *first = (u_char) n;
    }

    ngx_optcache_field_next[0] = 1;       /* made */
}


ngx_uint_t
ngx_optcache_field_valid(ngx_optcache_field_t *field)
{
    size_t  i;
    u_char  ch;

    if (field->name.len == 0) {
        return 0;
    }

    for (i = 0; i < field->name.len; i++) {
        if (!ngx_optcache_field_token(field->name.data[i])) {
            return 0;
        }
    }

    for (i = 0; i < field->value.len; i++) {
        ch = field->value.data[i];

        if ((ch < 0x20 && ch != '\t') || ch == 0x7f) {
            return 0;
        }
    }

    return 1;
}


static ngx_uint_t
ngx_optcache_field_token(u_char ch)
{
    static const char  marks[] = "!#$%&'*+-.^_`|~";

    if ((ch >= '0' && ch <= '9')
        || ((ch | 0x20) >= 'a' && (ch | 0x20) <= 'z'))
    {
        return 1;
    }

    return ch != '\0' && strchr(marks, ch) != NULL;
}


size_t
ngx_optcache_field_size(ngx_optcache_field_t *field)
{
    return NGX_OPTCACHE_FIELD_HEADER + field->name.len + field->value.len;
}


u_char *
ngx_optcache_field_write(u_char *p, ngx_optcache_field_t *field)
{
    uint32_t  len;

    len = (uint32_t) field->value.len;

    *p++ = (u_char) field->id;
    *p++ = (u_char) field->name.len;
    *p++ = (u_char) len;
    *p++ = (u_char) (len >> 8);
    *p++ = (u_char) (len >> 16);
    *p++ = (u_char) (len >> 24);

    p = ngx_cpymem(p, field->name.data, field->name.len);

    return ngx_cpymem(p, field->value.data, field->value.len);
}


ngx_int_t
ngx_optcache_field_check(ngx_str_t *head)
{
    u_char                *p, *last;
    ngx_optcache_field_e   id;
    ngx_optcache_field_t   field;

    p = head->data;
    last = p + head->len;

    while (p < last) {
        p = ngx_optcache_field_read(p, last, &field);

        if (p == NULL || !ngx_optcache_field_valid(&field)) {
            return NGX_DECLINED;
        }

        id = ngx_optcache_field_id(&field.name);

        if (id == NGX_OPTCACHE_FIELD_NEVER) {
            return NGX_DECLINED;
        }

        /* a Location that must stay as it is goes as any other field */

        if (field.id != id
            && (id != NGX_OPTCACHE_FIELD_LOCATION
                || field.id != NGX_OPTCACHE_FIELD_OTHER))
        {
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}
