
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_optcache_event.h"


/* a longer name is none */
#define NGX_OPTCACHE_EVENT_HOST_MAX  255


typedef enum {
    NGX_OPTCACHE_EVENT_MARK = 0,
    NGX_OPTCACHE_EVENT_HELLO,
    NGX_OPTCACHE_EVENT_ALL,
    NGX_OPTCACHE_EVENT_TAG,
    NGX_OPTCACHE_EVENT_URI,
    NGX_OPTCACHE_EVENT_PREFIX,
    NGX_OPTCACHE_EVENT_USER,
    NGX_OPTCACHE_EVENT_HOST,
    NGX_OPTCACHE_EVENT_SOFT,
    NGX_OPTCACHE_EVENT_LEN,
    NGX_OPTCACHE_EVENT_FROM,
    NGX_OPTCACHE_EVENT_NAMES
} ngx_optcache_event_name_e;


/* which fields may come with one, besides itself: bits of names */

typedef struct {
    ngx_str_t                  name;
    ngx_uint_t                 with;
    ngx_uint_t                 several;  /* are several invalidations */
} ngx_optcache_event_kind_t;


/* the value of each that was there last, and how many there were */

typedef struct {
    ngx_str_t                 *value[NGX_OPTCACHE_EVENT_NAMES];
    ngx_uint_t                 count[NGX_OPTCACHE_EVENT_NAMES];
    ngx_uint_t                 seen;
} ngx_optcache_event_seen_t;


static ngx_int_t ngx_optcache_event_look(ngx_str_t *fields, ngx_uint_t n,
    ngx_optcache_event_seen_t *seen);
static ngx_int_t ngx_optcache_event_kind(ngx_optcache_event_seen_t *seen);
static ngx_int_t ngx_optcache_event_narrow(ngx_optcache_event_seen_t *seen,
    ngx_uint_t kind, ngx_optcache_target_t *target, u_char *host);
static ngx_int_t ngx_optcache_event_of_mark(ngx_optcache_event_seen_t *seen,
    ngx_optcache_event_fields_t *ef);
static ngx_int_t ngx_optcache_event_target(ngx_uint_t kind, ngx_str_t *value,
    ngx_optcache_target_t *target, u_char *host);
static ngx_int_t ngx_optcache_event_host(ngx_str_t *value, ngx_str_t *host,
    u_char *buf);
static ngx_int_t ngx_optcache_event_user(ngx_str_t *value, uint64_t *user);
static ngx_int_t ngx_optcache_event_flag(ngx_str_t *value);
static ngx_int_t ngx_optcache_event_hex_read(ngx_str_t *text,
    uint64_t *number);
static ngx_int_t ngx_optcache_event_number(u_char *p, u_char *last,
    uint64_t *number);


#define ngx_optcache_event_bit(name)  (1 << NGX_OPTCACHE_EVENT_##name)

static ngx_optcache_event_kind_t  ngx_optcache_event_kinds[] = {

    { ngx_string("mark"), ngx_optcache_event_bit(SOFT)
                          |ngx_optcache_event_bit(LEN)
                          |ngx_optcache_event_bit(FROM), 0 },
    { ngx_string("hello"), 0, 0 },
    { ngx_string("all"), ngx_optcache_event_bit(SOFT), 0 },
    { ngx_string("tag"), ngx_optcache_event_bit(SOFT)
                         |ngx_optcache_event_bit(HOST), 1 },
    { ngx_string("uri"), ngx_optcache_event_bit(SOFT)
                         |ngx_optcache_event_bit(HOST)
                         |ngx_optcache_event_bit(USER), 1 },
    { ngx_string("prefix"), ngx_optcache_event_bit(SOFT)
                            |ngx_optcache_event_bit(HOST), 1 },
    { ngx_string("user"), ngx_optcache_event_bit(SOFT), 1 },
    { ngx_string("host"), ngx_optcache_event_bit(SOFT), 1 },

    /* these say nothing by themselves */

    { ngx_string("soft"), 0, 0 },
    { ngx_string("len"), 0, 0 },
    { ngx_string("from"), 0, 0 }
};


ngx_int_t
ngx_optcache_event_read(ngx_str_t *fields, ngx_uint_t n,
    ngx_optcache_event_fields_t *ef)
{
    u_char                      host[NGX_OPTCACHE_EVENT_HOST_MAX];
    ngx_int_t                   kind;
    ngx_str_t                  *name;
    ngx_uint_t                  i;
    ngx_optcache_target_t       target;
    ngx_optcache_event_seen_t   seen;

    ef->n = 0;
    ef->from = 0;

    if (ngx_optcache_event_look(fields, n, &seen) != NGX_OK) {
        return NGX_DECLINED;
    }

    kind = ngx_optcache_event_kind(&seen);

    switch (kind) {

    case NGX_DECLINED:
        return NGX_DECLINED;

    case NGX_OPTCACHE_EVENT_HELLO:
        return NGX_OK;

    case NGX_OPTCACHE_EVENT_MARK:
        return ngx_optcache_event_of_mark(&seen, ef);
    }

    ngx_memzero(&target, sizeof(ngx_optcache_target_t));

    if (ngx_optcache_event_narrow(&seen, kind, &target, host) != NGX_OK) {
        return NGX_DECLINED;
    }

    name = &ngx_optcache_event_kinds[kind].name;

    for (i = 0; i < n; i += 2) {

        if (fields[i].len != name->len
            || ngx_memcmp(fields[i].data, name->data, name->len) != 0)
        {
            continue;
        }

        if (ngx_optcache_event_target(kind, &fields[i + 1], &target, host)
            != NGX_OK
            || ngx_optcache_mark_event(&target, &ef->events[ef->n]) != NGX_OK)
        {
            return NGX_DECLINED;
        }

        ef->n++;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_optcache_event_look(ngx_str_t *fields, ngx_uint_t n,
    ngx_optcache_event_seen_t *seen)
{
    ngx_str_t   *name;
    ngx_uint_t   i, k;

    ngx_memzero(seen, sizeof(ngx_optcache_event_seen_t));

    if (n == 0 || n % 2 || n > NGX_OPTCACHE_EVENT_FIELDS) {
        return NGX_DECLINED;
    }

    for (i = 0; i < n; i += 2) {

        for (k = 0; k < NGX_OPTCACHE_EVENT_NAMES; k++) {
            name = &ngx_optcache_event_kinds[k].name;

            if (fields[i].len == name->len
                && ngx_memcmp(fields[i].data, name->data, name->len) == 0)
            {
                break;
            }
        }

        if (k == NGX_OPTCACHE_EVENT_NAMES) {
            return NGX_DECLINED;
        }

        seen->value[k] = &fields[i + 1];
        seen->count[k]++;
        seen->seen |= 1 << k;
    }

    return NGX_OK;
}


/* The first one, in the order of the names, that can have all the others. */

static ngx_int_t
ngx_optcache_event_kind(ngx_optcache_event_seen_t *seen)
{
    ngx_uint_t                  k, i;
    ngx_optcache_event_kind_t  *kind;

    for (k = 0; !(seen->seen & (1 << k)); k++) {
        /* void */
    }

    kind = &ngx_optcache_event_kinds[k];

    if (k >= NGX_OPTCACHE_EVENT_SOFT
        || (seen->seen & ~(kind->with | 1 << k))
        || seen->count[k] > (kind->several ? NGX_OPTCACHE_EVENT_MAX : 1))
    {
        return NGX_DECLINED;
    }

    for (i = 0; i < NGX_OPTCACHE_EVENT_NAMES; i++) {
        if (i != k && seen->count[i] > 1) {
            return NGX_DECLINED;
        }
    }

    return k;
}


static ngx_int_t
ngx_optcache_event_narrow(ngx_optcache_event_seen_t *seen, ngx_uint_t kind,
    ngx_optcache_target_t *target, u_char *host)
{
    ngx_int_t    flag;
    ngx_str_t  **value;

    value = seen->value;

    if (value[NGX_OPTCACHE_EVENT_SOFT]) {
        flag = ngx_optcache_event_flag(value[NGX_OPTCACHE_EVENT_SOFT]);

        if (flag == NGX_DECLINED) {
            return NGX_DECLINED;
        }

        target->soft = flag;
    }

    if (kind != NGX_OPTCACHE_EVENT_HOST
        && value[NGX_OPTCACHE_EVENT_HOST]
        && ngx_optcache_event_host(value[NGX_OPTCACHE_EVENT_HOST],
                                   &target->host, host)
           != NGX_OK)
    {
        return NGX_DECLINED;
    }

    if (kind != NGX_OPTCACHE_EVENT_USER && value[NGX_OPTCACHE_EVENT_USER]) {
        return ngx_optcache_event_user(value[NGX_OPTCACHE_EVENT_USER],
                                       &target->user);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_optcache_event_of_mark(ngx_optcache_event_seen_t *seen,
    ngx_optcache_event_fields_t *ef)
{
    uint64_t     mark, len;
    ngx_int_t    soft;
    ngx_str_t  **value, *text;

    value = seen->value;
    len = 0;

    if (ngx_optcache_event_hex_read(value[NGX_OPTCACHE_EVENT_MARK], &mark)
        != NGX_OK)
    {
        return NGX_DECLINED;
    }

    text = value[NGX_OPTCACHE_EVENT_LEN];

    if (text
        && (ngx_optcache_event_number(text->data, text->data + text->len, &len)
            != NGX_OK
            || len > NGX_OPTCACHE_MARK_PREFIX_MAX))
    {
        return NGX_DECLINED;
    }

    text = value[NGX_OPTCACHE_EVENT_FROM];

    if (text && ngx_optcache_event_hex_read(text, &ef->from) != NGX_OK) {
        return NGX_DECLINED;
    }

    if (ngx_optcache_mark_read(mark, (uint32_t) len, &ef->events[0])
        != NGX_OK)
    {
        return NGX_DECLINED;
    }

    text = value[NGX_OPTCACHE_EVENT_SOFT];
    soft = text ? ngx_optcache_event_flag(text) : 0;

    if (soft != (ngx_int_t) ef->events[0].soft) {
        return NGX_DECLINED;
    }

    ef->n = 1;

    return NGX_OK;
}


static ngx_int_t
ngx_optcache_event_target(ngx_uint_t kind, ngx_str_t *value,
    ngx_optcache_target_t *target, u_char *host)
{
    switch (kind) {

    case NGX_OPTCACHE_EVENT_ALL:
        target->all = (ngx_optcache_event_flag(value) == 1);
        return target->all ? NGX_OK : NGX_DECLINED;

    case NGX_OPTCACHE_EVENT_USER:
        return ngx_optcache_event_user(value, &target->user);

    case NGX_OPTCACHE_EVENT_HOST:
        return ngx_optcache_event_host(value, &target->host, host);

    case NGX_OPTCACHE_EVENT_TAG:
        target->tag = *value;
        return value->len ? NGX_OK : NGX_DECLINED;
    }

    if (value->len == 0 || value->data[0] != '/') {
        return NGX_DECLINED;
    }

    if (kind == NGX_OPTCACHE_EVENT_URI) {
        target->uri = *value;
        return NGX_OK;
    }

    /* NGX_OPTCACHE_EVENT_PREFIX */

    target->prefix = *value;

    if (value->data[value->len - 1] == '*') {
        target->prefix.len--;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_optcache_event_host(ngx_str_t *value, ngx_str_t *host, u_char *buf)
{
    if (value->len == 0 || value->len > NGX_OPTCACHE_EVENT_HOST_MAX) {
        return NGX_DECLINED;
    }

    ngx_strlow(buf, value->data, value->len);

    host->data = buf;
    host->len = value->len;

    return NGX_OK;
}


/* The SHA-256 of what optcache_user says. */

static ngx_int_t
ngx_optcache_event_user(ngx_str_t *value, uint64_t *user)
{
    u_char      digest[32];
    ngx_int_t   n;
    ngx_uint_t  i;

    if (value->len != 2 * sizeof(digest)) {
        return NGX_DECLINED;
    }

    for (i = 0; i < sizeof(digest); i++) {
        n = ngx_hextoi(&value->data[2 * i], 2);

        if (n == NGX_ERROR) {
            return NGX_DECLINED;
        }

        digest[i] = (u_char) n;
    }

    *user = ngx_optcache_mark_user(digest);

    return NGX_OK;
}


static ngx_int_t
ngx_optcache_event_flag(ngx_str_t *value)
{
    if (value->len != 1 || (value->data[0] != '0' && value->data[0] != '1')) {
        return NGX_DECLINED;
    }

    return value->data[0] - '0';
}


static ngx_int_t
ngx_optcache_event_hex_read(ngx_str_t *text, uint64_t *number)
{
    ngx_int_t   n;
    ngx_uint_t  i;

    if (text->len != NGX_OPTCACHE_EVENT_HEX) {
        return NGX_DECLINED;
    }

    *number = 0;

    /* ngx_hextoi() reads what an ngx_int_t holds, which may be 31 bits */

    for (i = 0; i < NGX_OPTCACHE_EVENT_HEX; i += 4) {
        n = ngx_hextoi(text->data + i, 4);

        if (n == NGX_ERROR) {
            return NGX_DECLINED;
        }

        *number = *number << 16 | (uint64_t) n;
    }

    return NGX_OK;
}


ngx_int_t
ngx_optcache_event_id(ngx_str_t *text, ngx_optcache_ledger_id_t *id)
{
    u_char  *p, *last;

    last = text->data + text->len;
    p = ngx_strlchr(text->data, last, '-');

    if (p == NULL
        || ngx_optcache_event_number(text->data, p, &id->ms) != NGX_OK
        || ngx_optcache_event_number(p + 1, last, &id->number) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_optcache_event_number(u_char *p, u_char *last, uint64_t *number)
{
    uint64_t    n;
    ngx_uint_t  digit;

    if (p == last) {
        return NGX_DECLINED;
    }

    for (n = 0; p < last; p++) {

        if (*p < '0' || *p > '9') {
            return NGX_DECLINED;
        }

        digit = *p - '0';

        if (n > ((uint64_t) -1 - digit) / 10) {
            return NGX_DECLINED;
        }

        n = n * 10 + digit;
    }

    *number = n;

    return NGX_OK;
}


u_char *
ngx_optcache_event_id_text(u_char *p, ngx_optcache_ledger_id_t *id)
{
    return ngx_sprintf(p, "%uL-%uL", id->ms, id->number);
}


u_char *
ngx_optcache_event_hex(u_char *p, uint64_t number)
{
    ngx_uint_t  i;

    static u_char  hex[] = "0123456789abcdef";

    for (i = 0; i < NGX_OPTCACHE_EVENT_HEX; i++) {
        *p++ = hex[number >> 60];
        number <<= 4;
    }

    return p;
}
