
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_optcache_field.h"
#include "ngx_rare.h"


typedef struct {
    ngx_str_t                 name;
    ngx_optcache_field_e      id;
} ngx_optcache_field_name_t;


/* as they are written mostly: these are compared byte by byte first */

static ngx_optcache_field_name_t  ngx_optcache_field_names[] = {

    { ngx_string("Content-Type"), NGX_OPTCACHE_FIELD_CONTENT_TYPE },
    { ngx_string("Content-Encoding"), NGX_OPTCACHE_FIELD_CONTENT_ENCODING },
    { ngx_string("Last-Modified"), NGX_OPTCACHE_FIELD_LAST_MODIFIED },
    { ngx_string("ETag"), NGX_OPTCACHE_FIELD_ETAG },
    { ngx_string("Date"), NGX_OPTCACHE_FIELD_DATE },
    { ngx_string("Expires"), NGX_OPTCACHE_FIELD_EXPIRES },
    { ngx_string("Cache-Control"), NGX_OPTCACHE_FIELD_CACHE_CONTROL },
    { ngx_string("Vary"), NGX_OPTCACHE_FIELD_VARY },
    { ngx_string("Location"), NGX_OPTCACHE_FIELD_LOCATION },
    { ngx_string("Content-Range"), NGX_OPTCACHE_FIELD_CONTENT_RANGE },
    { ngx_string("Set-Cookie"), NGX_OPTCACHE_FIELD_SET_COOKIE },
    { ngx_string("Set-Cookie2"), NGX_OPTCACHE_FIELD_SET_COOKIE },
    { ngx_string("Server"), NGX_OPTCACHE_FIELD_SERVER },
    { ngx_string("WWW-Authenticate"), NGX_OPTCACHE_FIELD_WWW_AUTHENTICATE },

    { ngx_string("Connection"), NGX_OPTCACHE_FIELD_NEVER },
    { ngx_string("Keep-Alive"), NGX_OPTCACHE_FIELD_NEVER },
    { ngx_string("Proxy-Authenticate"), NGX_OPTCACHE_FIELD_NEVER },
    { ngx_string("Proxy-Authentication-Info"), NGX_OPTCACHE_FIELD_NEVER },
    { ngx_string("Proxy-Authorization"), NGX_OPTCACHE_FIELD_NEVER },
    { ngx_string("Proxy-Connection"), NGX_OPTCACHE_FIELD_NEVER },
    { ngx_string("TE"), NGX_OPTCACHE_FIELD_NEVER },
    { ngx_string("Trailer"), NGX_OPTCACHE_FIELD_NEVER },
    { ngx_string("Transfer-Encoding"), NGX_OPTCACHE_FIELD_NEVER },
    { ngx_string("Upgrade"), NGX_OPTCACHE_FIELD_NEVER },

    { ngx_string("Content-Length"), NGX_OPTCACHE_FIELD_NEVER },
    { ngx_string("Accept-Ranges"), NGX_OPTCACHE_FIELD_NEVER },

    { ngx_string("Age"), NGX_OPTCACHE_FIELD_NEVER },
    { ngx_string("X-Cache"), NGX_OPTCACHE_FIELD_NEVER },
    { ngx_string("RateLimit"), NGX_OPTCACHE_FIELD_NEVER },

    { ngx_null_string, NGX_OPTCACHE_FIELD_OTHER }
};


/* rate limit fields have many last names: Limit, Used, Reset-After, .. */

static ngx_str_t  ngx_optcache_field_limits[] = {
    ngx_string("ratelimit-"),
    ngx_string("x-ratelimit-"),
    ngx_string("x-rate-limit-"),
    ngx_null_string
};


/* the bytes of a token (RFC 9110, 5.6.2), one bit each */

static const uint32_t  ngx_optcache_field_tokens[] = {
    0x00000000,
    0x03ff6cfa,     /* 9876543210  .-  +*  '&%$# ! */
    0xc7fffffe,     /* _^  Z .. A */
    0x57ffffff,     /* ~ |  z .. a ` */
    0, 0, 0, 0
};


/* the same byte eight times */

#define NGX_OPTCACHE_FIELD_BYTES(ch)                                          \
    ((uint64_t) (ch) * 0x0101010101010101ULL)


#define NGX_OPTCACHE_FIELD_NAMES                                              \
    (sizeof(ngx_optcache_field_names) / sizeof(ngx_optcache_field_name_t))

/* the case of letters does not count; no two of the names share one */

#define NGX_OPTCACHE_FIELD_BUCKETS  128

#define ngx_optcache_field_bucket(name)                                       \
    ((((name)->data[0] | 0x20)                                                \
      + ((name)->data[(name)->len - 1] | 0x20)                                \
      + 15 * (name)->len)                                                     \
     % NGX_OPTCACHE_FIELD_BUCKETS)


static ngx_apart ngx_optcache_field_e ngx_optcache_field_caseless(
    ngx_str_t *name);
static void ngx_optcache_field_index(void);
static ngx_uint_t ngx_optcache_field_plain(ngx_optcache_field_e id);
static ngx_uint_t ngx_optcache_field_same(u_char *a, u_char *b, size_t len);
static ngx_uint_t ngx_optcache_field_bytes(ngx_str_t *value);
static uint64_t ngx_optcache_field_controls(u_char *p);


/* of this process: numbers of names from 1, by two letters and the length */

static u_char  ngx_optcache_field_first[NGX_OPTCACHE_FIELD_BUCKETS];
static u_char  ngx_optcache_field_next[NGX_OPTCACHE_FIELD_NAMES + 1];


ngx_often ngx_optcache_field_e
ngx_optcache_field_id(ngx_str_t *name)
{
    ngx_uint_t                  n;
    ngx_optcache_field_name_t  *known;

    if (name->len == 0) {
        return NGX_OPTCACHE_FIELD_OTHER;
    }

    n = ngx_optcache_field_first[ngx_optcache_field_bucket(name)];

    if (n) {
        known = &ngx_optcache_field_names[n - 1];

        if (known->name.len == name->len
            && ngx_optcache_field_same(known->name.data, name->data,
                                       name->len))
        {
            return known->id;
        }
    }

    return ngx_optcache_field_caseless(name);
}


/*
 * A name that is not known, or is written in other letters, or the first of
 * all in this process.
 */

static ngx_optcache_field_e
ngx_optcache_field_caseless(ngx_str_t *name)
{
    u_char                      ch;
    ngx_str_t                  *prefix;
    ngx_uint_t                  n;
    ngx_optcache_field_name_t  *known;

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


/* Names are short: less than it takes to call memcmp(). */

static ngx_uint_t
ngx_optcache_field_same(u_char *a, u_char *b, size_t len)
{
    size_t    i;
    uint64_t  x, y;

    if (len < 8) {

        while (len) {
            len--;

            if (a[len] != b[len]) {
                return 0;
            }
        }

        return 1;
    }

    /* the last ones may be among those before them, too */

    len -= 8;

    for (i = 0; i < len; i += 8) {
        ngx_memcpy(&x, a + i, 8);
        ngx_memcpy(&y, b + i, 8);

        if (x != y) {
            return 0;
        }
    }

    ngx_memcpy(&x, a + len, 8);
    ngx_memcpy(&y, b + len, 8);

    return x == y;
}


ngx_uint_t
ngx_optcache_field_valid(ngx_optcache_field_t *field)
{
    u_char  *p, *last;

    if (field->name.len == 0) {
        return 0;
    }

    p = field->name.data;
    last = p + field->name.len;

    for ( /* void */ ; p < last; p++) {
        if (!(ngx_optcache_field_tokens[*p / 32] >> *p % 32 & 1)) {
            return 0;
        }
    }

    return ngx_optcache_field_valid_value(&field->value);
}


ngx_often ngx_uint_t
ngx_optcache_field_valid_value(ngx_str_t *value)
{
    u_char    *p, *last;
    uint64_t   controls;

    if (value->len < 8) {
        return ngx_optcache_field_bytes(value);
    }

    /* all at once: the last ones may be among those before them, too */

    p = value->data;
    last = p + value->len - 8;

    controls = ngx_optcache_field_controls(last);

    while (p < last) {
        controls |= ngx_optcache_field_controls(p);
        p += 8;
    }

    return (controls & NGX_OPTCACHE_FIELD_BYTES(0x80)) == 0
           || ngx_optcache_field_bytes(value);
}


static ngx_uint_t
ngx_optcache_field_bytes(ngx_str_t *value)
{
    u_char  *p, *last;

    p = value->data;
    last = p + value->len;

    for ( /* void */ ; p < last; p++) {

        if ((*p < 0x20 && *p != '\t') || *p == 0x7f) {
            return 0;
        }
    }

    return 1;
}


/*
 * No high bit is set if none of 8 bytes is below 0x20, or 0x7f: a borrow comes
 * only from a byte that is.  One may be set for a tab, too.
 */

static uint64_t
ngx_optcache_field_controls(u_char *p)
{
    uint64_t  x, del;

    ngx_memcpy(&x, p, 8);

    del = x ^ NGX_OPTCACHE_FIELD_BYTES(0x7f);

    return ((x - NGX_OPTCACHE_FIELD_BYTES(0x20)) & ~x)
           | ((del - NGX_OPTCACHE_FIELD_BYTES(0x01)) & ~del);
}


size_t
ngx_optcache_field_size(ngx_optcache_field_t *field)
{
    return NGX_OPTCACHE_FIELD_HEADER + field->name.len + field->value.len;
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

        if (p == NULL) {
            return NGX_DECLINED;
        }

        id = ngx_optcache_field_id(&field.name);

        if (id == NGX_OPTCACHE_FIELD_NEVER) {
            return NGX_DECLINED;
        }

        /* a name that is known is a token: its bytes need no second look */

        if (id == NGX_OPTCACHE_FIELD_OTHER
            ? !ngx_optcache_field_valid(&field)
            : !ngx_optcache_field_valid_value(&field.value))
        {
            return NGX_DECLINED;
        }

        if (field.id != id
            && (field.id != NGX_OPTCACHE_FIELD_OTHER
                || !ngx_optcache_field_plain(id)))
        {
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


/*
 * What may be stored as any other field: a Location that must stay as it is,
 * and names that were not known by what has stored it.
 */

static ngx_uint_t
ngx_optcache_field_plain(ngx_optcache_field_e id)
{
    return id == NGX_OPTCACHE_FIELD_LOCATION
           || id == NGX_OPTCACHE_FIELD_SERVER
           || id == NGX_OPTCACHE_FIELD_WWW_AUTHENTICATE;
}
