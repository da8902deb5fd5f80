
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "ngx_http_rfc9111_freshness.h"
#include "ngx_optcache_entry.h"
#include "ngx_rare.h"


/* what can be validated is kept for so long when it is of no other use */

#define NGX_OPTCACHE_ENTRY_KEEP  3600

/* how far the date of an entry may be ahead, seconds */

#define NGX_OPTCACHE_ENTRY_AHEAD  5


static ngx_rare int64_t ngx_optcache_entry_age_ahead(ngx_optcache_entry_t *e,
    time_t now);
static uint32_t ngx_optcache_entry_longer(uint32_t window, uint32_t more);
static ngx_int_t ngx_optcache_entry_numbers(ngx_str_t *value,
    ngx_optcache_entry_t *e);
static ngx_uint_t ngx_optcache_entry_status(ngx_optcache_entry_t *e);
static ngx_uint_t ngx_optcache_entry_tagged(ngx_optcache_entry_t *e);
static ngx_uint_t ngx_optcache_entry_marks(ngx_optcache_entry_t *e);
static void ngx_optcache_entry_date(ngx_optcache_entry_t *e, time_t now);
static ngx_int_t ngx_optcache_entry_tags(ngx_pool_t *pool, u_char *p,
    ngx_optcache_entry_t *e);
static u_char *ngx_optcache_chain_copy(u_char *p, ngx_chain_t *cl);
static ngx_int_t ngx_optcache_chain_over(ngx_pool_t *pool, u_char *data,
    size_t len, ngx_chain_t **chain);
static uint32_t ngx_optcache_entry_sum(ngx_str_t *value);
static u_char *ngx_optcache_put32(u_char *p, uint32_t n);
static u_char *ngx_optcache_put64(u_char *p, uint64_t n);
static uint32_t ngx_optcache_get32(u_char *p);
static uint64_t ngx_optcache_get64(u_char *p);


int64_t
ngx_optcache_entry_age(ngx_optcache_entry_t *e, time_t now)
{
    if (ngx_rarely(e->date > now)) {
        return ngx_optcache_entry_age_ahead(e, now);
    }

    return (int64_t) e->age + (now - e->date);
}


/* A clock that was set back does not make an entry younger. */

static int64_t
ngx_optcache_entry_age_ahead(ngx_optcache_entry_t *e, time_t now)
{
    return ngx_optcache_entry_ahead(e, now) ? ngx_max(e->age, e->lifetime)
                                            : e->age;
}


/* What answers depend on (status 0) does not get old. */

ngx_uint_t
ngx_optcache_entry_ahead(ngx_optcache_entry_t *e, time_t now)
{
    return e->status && e->date - now > NGX_OPTCACHE_ENTRY_AHEAD;
}


ngx_uint_t
ngx_optcache_entry_fresh(ngx_optcache_entry_t *e, time_t now)
{
    return ngx_optcache_entry_age(e, now) < e->lifetime;
}


int64_t
ngx_optcache_entry_staleness(ngx_optcache_entry_t *e, time_t now)
{
    int64_t  stale;

    stale = ngx_optcache_entry_age(e, now) - e->lifetime;

    return ngx_max(stale, 0);
}


ngx_int_t
ngx_optcache_entry_field(ngx_optcache_entry_t *e, ngx_optcache_field_e id,
    ngx_optcache_field_t *field)
{
    u_char  *p, *last;

    p = e->head.data;
    last = p + e->head.len;

    while (p < last) {
        p = ngx_optcache_field_read(p, last, field);

        if (p == NULL) {
            break;
        }

        if (field->id == id) {
            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}


ngx_uint_t
ngx_optcache_entry_validator(ngx_optcache_entry_t *e)
{
    return ngx_http_rfc9111_validated_status(e->status)
           && ngx_optcache_entry_tagged(e);
}


/* What is no 2xx is not validated, but may be used stale for as long. */

static ngx_uint_t
ngx_optcache_entry_tagged(ngx_optcache_entry_t *e)
{
    ngx_optcache_field_t  field;

    return ngx_optcache_entry_field(e, NGX_OPTCACHE_FIELD_ETAG, &field)
           == NGX_OK
           || ngx_optcache_entry_field(e, NGX_OPTCACHE_FIELD_LAST_MODIFIED,
                                       &field)
              == NGX_OK;
}


int64_t
ngx_optcache_entry_use(ngx_optcache_entry_t *e, time_t now)
{
    int64_t  left, stale;

    left = e->lifetime - ngx_optcache_entry_age(e, now);

    stale = ngx_max(e->stale_while_revalidate, e->stale_if_error);
    stale = ngx_min(stale, e->max_stale);

    if (stale < NGX_OPTCACHE_ENTRY_KEEP
        && e->status && ngx_optcache_entry_tagged(e))
    {
        stale = NGX_OPTCACHE_ENTRY_KEEP;
    }

    return left + stale;
}


void
ngx_optcache_entry_soften(ngx_optcache_entry_t *e, time_t now)
{
    int64_t   age;
    uint32_t  left;

    age = ngx_optcache_entry_age(e, now);

    if (age >= e->lifetime) {
        return;
    }

    left = e->lifetime - (uint32_t) age;
    e->lifetime = (uint32_t) age;

    if (e->max_stale == 0) {
        /* it was never to be used stale: nor is it now */
        return;
    }

    e->max_stale = ngx_optcache_entry_longer(e->max_stale, left);

    e->stale_while_revalidate =
                  ngx_optcache_entry_longer(e->stale_while_revalidate, left);

    if (e->stale_if_error) {
        e->stale_if_error = ngx_optcache_entry_longer(e->stale_if_error, left);
    }
}


static uint32_t
ngx_optcache_entry_longer(uint32_t window, uint32_t more)
{
    return ngx_min(window, NGX_MAX_UINT32_VALUE - more) + more;
}


size_t
ngx_optcache_entry_size(ngx_optcache_entry_t *e)
{
    return NGX_OPTCACHE_ENTRY_HEADER + e->key.len
           + e->ntags * sizeof(uint64_t) + e->head.len
           + e->body_len + e->gzip_len;
}


ngx_int_t
ngx_optcache_entry_encode(ngx_pool_t *pool, ngx_optcache_entry_t *e,
    ngx_str_t *value)
{
    u_char      *p;
    ngx_uint_t   i;

    value->len = ngx_optcache_entry_size(e);

    p = ngx_palloc(pool, value->len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    value->data = p;

    p = ngx_cpymem(p, "OPC4", 4);
    p += 4;
    p = ngx_optcache_put32(p, (uint32_t) e->status);
    p = ngx_optcache_put32(p, e->age);
    p = ngx_optcache_put32(p, e->lifetime);
    p = ngx_optcache_put64(p, (uint64_t) e->date);
    p = ngx_optcache_put64(p, (uint64_t) e->last_modified);
    p = ngx_optcache_put32(p, e->max_stale);
    p = ngx_optcache_put32(p, e->stale_while_revalidate);
    p = ngx_optcache_put32(p, e->stale_if_error);
    p = ngx_optcache_put64(p, e->moment.position);
    p = ngx_optcache_put32(p, e->origin.host);
    p = ngx_optcache_put32(p, e->origin.uri);
    p = ngx_optcache_put32(p, (uint32_t) e->key.len);
    p = ngx_optcache_put32(p, (uint32_t) e->head.len);
    p = ngx_optcache_put32(p, (uint32_t) e->body_len);
    p = ngx_optcache_put32(p, (uint32_t) e->gzip_len);
    p = ngx_optcache_put32(p, (uint32_t) e->ntags);

    p = ngx_cpymem(p, e->key.data, e->key.len);

    for (i = 0; i < e->ntags; i++) {
        p = ngx_optcache_put64(p, e->tags[i]);
    }

    p = ngx_cpymem(p, e->head.data, e->head.len);
    p = ngx_optcache_chain_copy(p, e->body);

    if (e->gzip_len) {
        (void) ngx_optcache_chain_copy(p, e->gzip);
    }

    (void) ngx_optcache_put32(value->data + 4, ngx_optcache_entry_sum(value));

    return NGX_OK;
}


ngx_int_t
ngx_optcache_entry_decode(ngx_pool_t *pool, ngx_str_t *value, ngx_str_t *key,
    time_t now, ngx_optcache_entry_t *e)
{
    u_char                *p;
    ngx_optcache_field_t   field;

    if (ngx_optcache_entry_numbers(value, e) != NGX_OK) {
        return NGX_DECLINED;
    }

    /* the name in Redis is a hash: what counts is the identity itself */

    if (e->key.len != key->len
        || ngx_memcmp(e->key.data, key->data, key->len) != 0)
    {
        return NGX_DECLINED;
    }

    if (ngx_optcache_field_check(&e->head) != NGX_OK
        || (e->status == 0
            && ngx_optcache_entry_field(e, NGX_OPTCACHE_FIELD_VARY, &field)
               != NGX_OK))
    {
        return NGX_DECLINED;
    }

    ngx_optcache_entry_date(e, now);

    if (ngx_optcache_entry_tags(pool, e->key.data + e->key.len, e) != NGX_OK) {
        return NGX_ERROR;
    }

    p = e->head.data + e->head.len;

    if (ngx_optcache_chain_over(pool, p, e->body_len, &e->body) != NGX_OK) {
        return NGX_ERROR;
    }

    p += e->body_len;

    return ngx_optcache_chain_over(pool, p, e->gzip_len, &e->gzip);
}


/* What is before the identity; NGX_DECLINED: it is not ours, or not whole. */

static ngx_int_t
ngx_optcache_entry_numbers(ngx_str_t *value, ngx_optcache_entry_t *e)
{
    u_char    *p;
    int64_t    date, last_modified;
    uint64_t   len;

    p = value->data;

    if (value->len < NGX_OPTCACHE_ENTRY_HEADER
        || ngx_memcmp(p, "OPC4", 4) != 0)
    {
        return NGX_DECLINED;
    }

    e->status = ngx_optcache_get32(p + 8);
    e->age = ngx_optcache_get32(p + 12);
    e->lifetime = ngx_optcache_get32(p + 16);
    date = ngx_optcache_get64(p + 20);
    last_modified = ngx_optcache_get64(p + 28);
    e->max_stale = ngx_optcache_get32(p + 36);
    e->stale_while_revalidate = ngx_optcache_get32(p + 40);
    e->stale_if_error = ngx_optcache_get32(p + 44);
    e->moment.clock = 0;
    e->moment.position = ngx_optcache_get64(p + 48);
    e->compared = NULL;
    e->untouched = 0;
    e->origin.host = ngx_optcache_get32(p + 56);
    e->origin.uri = ngx_optcache_get32(p + 60);
    e->key.len = ngx_optcache_get32(p + 64);
    e->head.len = ngx_optcache_get32(p + 68);
    e->body_len = ngx_optcache_get32(p + 72);
    e->gzip_len = ngx_optcache_get32(p + 76);
    e->ntags = ngx_optcache_get32(p + 80);

    len = (uint64_t) NGX_OPTCACHE_ENTRY_HEADER + e->key.len
          + (uint64_t) e->ntags * sizeof(uint64_t) + e->head.len
          + e->body_len + e->gzip_len;

    if (len != value->len
        || !ngx_optcache_entry_status(e)
        || !ngx_optcache_entry_marks(e)
        || date < 0
        || last_modified < -1
        || last_modified > NGX_OPTCACHE_TIME_MAX
        || e->head.len > NGX_OPTCACHE_HEAD_MAX)
    {
        return NGX_DECLINED;
    }

    if (ngx_optcache_entry_sum(value) != ngx_optcache_get32(p + 4)) {
        return NGX_DECLINED;
    }

    /* one that time_t has no room for is ahead, or none that is understood */

    e->date = (time_t) ngx_min(date, NGX_MAX_TIME_T_VALUE);
    e->last_modified = ((time_t) last_modified == last_modified)
                       ? (time_t) last_modified : -1;

    e->key.data = p + NGX_OPTCACHE_ENTRY_HEADER;
    e->head.data = e->key.data + e->key.len + e->ntags * sizeof(uint64_t);

    return NGX_OK;
}


ngx_optcache_entry_bad_e
ngx_optcache_entry_bad(ngx_str_t *value, ngx_str_t *key)
{
    size_t     n, key_len;
    u_char    *p;
    uint64_t   len;

    p = value->data;
    n = ngx_min(value->len, 4);

    if (ngx_memcmp(p, "OPC4", ngx_min(n, 3)) != 0) {
        return NGX_OPTCACHE_ENTRY_FOREIGN;
    }

    if (n == 4 && p[3] != '4') {
        return NGX_OPTCACHE_ENTRY_VERSION;
    }

    if (value->len < NGX_OPTCACHE_ENTRY_HEADER) {
        return NGX_OPTCACHE_ENTRY_TRUNCATED;
    }

    key_len = ngx_optcache_get32(p + 64);

    len = (uint64_t) NGX_OPTCACHE_ENTRY_HEADER + key_len
          + (uint64_t) ngx_optcache_get32(p + 80) * sizeof(uint64_t)
          + ngx_optcache_get32(p + 68)
          + ngx_optcache_get32(p + 72)
          + ngx_optcache_get32(p + 76);

    if (len > value->len) {
        return NGX_OPTCACHE_ENTRY_TRUNCATED;
    }

    if (len < value->len
        || ngx_optcache_entry_sum(value) != ngx_optcache_get32(p + 4))
    {
        return NGX_OPTCACHE_ENTRY_CORRUPT;
    }

    if (key_len != key->len
        || ngx_memcmp(p + NGX_OPTCACHE_ENTRY_HEADER, key->data, key->len) != 0)
    {
        return NGX_OPTCACHE_ENTRY_KEY;
    }

    return NGX_OPTCACHE_ENTRY_HOSTILE;
}


/* A 206 or 304 is no whole answer, and nothing that we have written. */

static ngx_uint_t
ngx_optcache_entry_status(ngx_optcache_entry_t *e)
{
    if (e->status == 0) {
        return e->body_len == NGX_OPTCACHE_ENTRY_NUMBER && e->gzip_len == 0;
    }

    return e->status >= 200 && e->status <= 599
           && e->status != 206 && e->status != 304;
}


/*
 * What we write is of some host and URI, and of some time: what is not could
 * not be invalidated.
 */

static ngx_uint_t
ngx_optcache_entry_marks(ngx_optcache_entry_t *e)
{
    return e->origin.host
           && e->origin.uri
           && e->moment.position != NGX_OPTCACHE_POSITION_UNKNOWN
           && e->ntags <= NGX_OPTCACHE_MARK_TAGS;
}


/*
 * Of a host whose clock is ahead it is not known how old it is, but that it may
 * be as old as Redis lets it get: it is not fresh.  Once the clock of this host
 * has got there nothing tells it from others.
 */

static void
ngx_optcache_entry_date(ngx_optcache_entry_t *e, time_t now)
{
    if (e->date <= now) {
        return;
    }

    if (ngx_optcache_entry_ahead(e, now)) {
        e->age = ngx_max(e->age, e->lifetime);
    }

    e->date = now;
}


static ngx_int_t
ngx_optcache_entry_tags(ngx_pool_t *pool, u_char *p, ngx_optcache_entry_t *e)
{
    ngx_uint_t  i;

    e->tags = NULL;

    if (e->ntags == 0) {
        return NGX_OK;
    }

    e->tags = ngx_palloc(pool, e->ntags * sizeof(uint64_t));
    if (e->tags == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < e->ntags; i++) {
        e->tags[i] = ngx_optcache_get64(p);
        p += sizeof(uint64_t);
    }

    return NGX_OK;
}


static u_char *
ngx_optcache_chain_copy(u_char *p, ngx_chain_t *cl)
{
    for ( /* void */ ; cl; cl = cl->next) {
        p = ngx_cpymem(p, cl->buf->pos, cl->buf->last - cl->buf->pos);
    }

    return p;
}


static ngx_int_t
ngx_optcache_chain_over(ngx_pool_t *pool, u_char *data, size_t len,
    ngx_chain_t **chain)
{
    ngx_buf_t  *b;

    *chain = NULL;

    if (len == 0) {
        return NGX_OK;
    }

    b = ngx_calloc_buf(pool);
    if (b == NULL) {
        return NGX_ERROR;
    }

    b->start = data;
    b->pos = data;
    b->last = data + len;
    b->end = b->last;
    b->memory = 1;

    *chain = ngx_alloc_chain_link(pool);
    if (*chain == NULL) {
        return NGX_ERROR;
    }

    (*chain)->buf = b;
    (*chain)->next = NULL;

    return NGX_OK;
}


/* The tenth of a CRC-32's time, which would be a body's dearest part. */

static uint32_t
ngx_optcache_entry_sum(ngx_str_t *value)
{
    return (uint32_t) XXH64(value->data + 8, value->len - 8, 0);
}


static u_char *
ngx_optcache_put32(u_char *p, uint32_t n)
{
    *p++ = (u_char) n;
    *p++ = (u_char) (n >> 8);
    *p++ = (u_char) (n >> 16);
    *p++ = (u_char) (n >> 24);

    return p;
}


static u_char *
ngx_optcache_put64(u_char *p, uint64_t n)
{
    p = ngx_optcache_put32(p, (uint32_t) n);

    return ngx_optcache_put32(p, (uint32_t) (n >> 32));
}


static uint32_t
ngx_optcache_get32(u_char *p)
{
    return (uint32_t) p[0] | (uint32_t) p[1] << 8 | (uint32_t) p[2] << 16
           | (uint32_t) p[3] << 24;
}


static uint64_t
ngx_optcache_get64(u_char *p)
{
    return (uint64_t) ngx_optcache_get32(p)
           | (uint64_t) ngx_optcache_get32(p + 4) << 32;
}
