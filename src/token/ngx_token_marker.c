
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_redis_reply.h"
#include "ngx_redis_slot.h"
#include "ngx_token_digest.h"
#include "ngx_token_marker.h"


#define NGX_TOKEN_MARKER_BEGINS  1000   /* ms, a worker has yet to ask */
#define NGX_TOKEN_MARKER_AGAIN   5      /* ms, while it is absent */

#define NGX_TOKEN_MARKER_TAG    "postgres"


static void ngx_token_marker_info_handler(void *data,
    ngx_redis_result_e result, redisReply *reply);
static void ngx_token_marker_get_handler(void *data,
    ngx_redis_result_e result, redisReply *reply);
static void ngx_token_marker_answered(ngx_token_marker_t *marker);
static void ngx_token_marker_run(ngx_str_t *info, u_char *run, size_t *len);


uint32_t *
ngx_token_marker_tags(ngx_pool_t *pool)
{
    u_char       buf[sizeof(NGX_TOKEN_MARKER_TAG) + NGX_INT32_LEN];
    uint32_t    *tags, n;
    ngx_str_t    tag;
    ngx_uint_t   slot, left;

    tags = ngx_pcalloc(pool, NGX_REDIS_SLOTS * sizeof(uint32_t));
    if (tags == NULL) {
        return NULL;
    }

    tag.data = buf;
    left = NGX_REDIS_SLOTS;

    for (n = 1; left; n++) {

        tag.len = ngx_sprintf(buf, NGX_TOKEN_MARKER_TAG "%uD", n) - buf;
        slot = ngx_redis_slot(&tag);

        if (tags[slot] == 0) {
            tags[slot] = n;
            left--;
        }
    }

    return tags;
}


ngx_int_t
ngx_token_marker_init(ngx_token_marker_t *marker, ngx_pool_t *pool,
    ngx_redis_client_t *client, uint32_t *tags, ngx_str_t *prefix,
    ngx_array_t *prefixes, ngx_atomic_t *wanted)
{
    size_t       size;
    u_char      *p, hex[NGX_TOKEN_DIGEST_HEX];
    ngx_str_t   *words, all;
    ngx_uint_t   i;

    words = prefixes->elts;
    size = 0;

    for (i = 0; i < prefixes->nelts; i++) {
        size += words[i].len + 1;
    }

    all.data = ngx_pnalloc(pool, size + 1);
    if (all.data == NULL) {
        return NGX_ERROR;
    }

    p = all.data;

    for (i = 0; i < prefixes->nelts; i++) {
        if (words[i].data) {
            p = ngx_cpymem(p, words[i].data, words[i].len);
            *p++ = '\0';
        }
    }

    all.len = p - all.data;
    ngx_token_digest_hex(&all, hex);

    ngx_memcpy(marker->hex, hex, NGX_TOKEN_MARKER_HEX);

    marker->key.data = ngx_pnalloc(pool, prefix->len + NGX_TOKEN_MARKER_KEY);
    if (marker->key.data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(marker->key.data, prefix->data, prefix->len);

    marker->prefix = prefix->len;
    marker->tags = tags;

    (void) ngx_token_marker_slot(marker, 0);

    marker->client = client;
    marker->wanted = wanted;
    marker->era = (ngx_uint_t) -1;
    marker->began = ngx_current_msec;

    return NGX_OK;
}


ngx_str_t *
ngx_token_marker_key(ngx_token_marker_t *marker, ngx_str_t *key)
{
    if (marker->tags == NULL) {
        return &marker->key;
    }

    return ngx_token_marker_slot(marker, ngx_redis_slot(key));
}


ngx_str_t *
ngx_token_marker_slot(ngx_token_marker_t *marker, ngx_uint_t slot)
{
    u_char  *p;

    p = marker->key.data + marker->prefix;

    if (marker->tags) {
        p = ngx_sprintf(p, "{" NGX_TOKEN_MARKER_TAG "%uD}:",
                        marker->tags[slot]);

    } else {
        p = ngx_cpymem(p, "{" NGX_TOKEN_MARKER_TAG "}:",
                       sizeof("{" NGX_TOKEN_MARKER_TAG "}:") - 1);
    }

    p = ngx_cpymem(p, marker->hex, NGX_TOKEN_MARKER_HEX);

    marker->key.len = p - marker->key.data;

    return &marker->key;
}


void
ngx_token_marker_ask(ngx_token_marker_t *marker)
{
    ngx_uint_t  era;
    ngx_str_t   argv[2];

    era = ngx_redis_client_era(marker->client);

    if (marker->pending || marker->tags) {
        return;
    }

    if (era != marker->era) {
        marker->state = NGX_TOKEN_MARKER_UNKNOWN;
    }

    marker->era = era;
    marker->asked = ngx_current_msec;
    marker->failed = 0;

    ngx_str_set(&argv[0], "INFO");
    ngx_str_set(&argv[1], "server");

    if (ngx_redis_client_send(marker->client, 2, argv, 0,
                              ngx_token_marker_info_handler, marker)
        == NULL)
    {
        return;
    }

    marker->pending = 1;

    ngx_str_set(&argv[0], "GET");
    argv[1] = marker->key;

    if (ngx_redis_client_send(marker->client, 2, argv, 1,
                              ngx_token_marker_get_handler, marker)
        == NULL)
    {
        marker->failed = 1;
        return;
    }

    marker->pending = 2;
}


static void
ngx_token_marker_info_handler(void *data, ngx_redis_result_e result,
    redisReply *reply)
{
    ngx_token_marker_t *marker = data;

    ngx_str_t  info;

    marker->run[0] = '-';
    marker->run_len = 1;

    if (result == NGX_REDIS_REPLY
        && ngx_redis_reply_string(reply, &info) == NGX_OK)
    {
        ngx_token_marker_run(&info, marker->run, &marker->run_len);

    } else if (result != NGX_REDIS_REFUSED) {
        marker->failed = 1;
    }

    ngx_token_marker_answered(marker);
}


static void
ngx_token_marker_get_handler(void *data, ngx_redis_result_e result,
    redisReply *reply)
{
    ngx_token_marker_t *marker = data;

    ngx_str_t  value;

    marker->seen_len = 0;

    if (result == NGX_REDIS_REFUSED) {
        /* it is of another type, or must not be read: it is not there */

    } else if (result != NGX_REDIS_REPLY) {
        marker->failed = 1;

    } else if (ngx_redis_reply_string(reply, &value) == NGX_OK
               && value.len <= NGX_TOKEN_MARKER_RUN)
    {
        ngx_memcpy(marker->seen, value.data, value.len);
        marker->seen_len = value.len;
    }

    ngx_token_marker_answered(marker);
}


static void
ngx_token_marker_answered(ngx_token_marker_t *marker)
{
    if (--marker->pending) {
        return;
    }

    if (marker->failed
        || marker->era != ngx_redis_client_era(marker->client))
    {
        marker->state = NGX_TOKEN_MARKER_UNKNOWN;
        return;
    }

    if (marker->seen_len == marker->run_len
        && ngx_memcmp(marker->seen, marker->run, marker->run_len) == 0)
    {
        marker->state = NGX_TOKEN_MARKER_PRESENT;
        return;
    }

    marker->state = NGX_TOKEN_MARKER_ABSENT;
    ngx_token_marker_missed(marker);
}


static void
ngx_token_marker_run(ngx_str_t *info, u_char *run, size_t *len)
{
    u_char  *p, *last;
    size_t   n;

    last = info->data + info->len;

    p = ngx_strlcasestrn(info->data, last, (u_char *) "run_id:", 7 - 1);
    if (p == NULL) {
        return;
    }

    p += 7;

    for (n = 0; n < NGX_TOKEN_MARKER_RUN && p + n < last; n++) {
        if (p[n] <= ' ') {
            break;
        }
    }

    if (n) {
        ngx_memcpy(run, p, n);
        *len = n;
    }
}


ngx_uint_t
ngx_token_marker_note(ngx_token_marker_t *marker)
{
    if (ngx_token_marker_state(marker) != NGX_TOKEN_MARKER_PRESENT
        && (marker->era != ngx_redis_client_era(marker->client)
            || ngx_current_msec - marker->asked >= NGX_TOKEN_MARKER_AGAIN))
    {
        ngx_token_marker_ask(marker);
    }

    return ngx_redis_client_era(marker->client);
}


ngx_uint_t
ngx_token_marker_trusted(ngx_token_marker_t *marker, ngx_uint_t era)
{
    if (marker->tags) {
        return 1;
    }

    return era == ngx_redis_client_era(marker->client)
           && ngx_token_marker_state(marker) == NGX_TOKEN_MARKER_PRESENT;
}


ngx_token_marker_e
ngx_token_marker_state(ngx_token_marker_t *marker)
{
    if (marker->tags == NULL
        && marker->era != ngx_redis_client_era(marker->client))
    {
        return NGX_TOKEN_MARKER_UNKNOWN;
    }

    return marker->state;
}


ngx_uint_t
ngx_token_marker_doubted(ngx_token_marker_t *marker)
{
    switch (ngx_token_marker_state(marker)) {

    case NGX_TOKEN_MARKER_PRESENT:
        return 0;

    case NGX_TOKEN_MARKER_ABSENT:
        return 1;

    default: /* NGX_TOKEN_MARKER_UNKNOWN */
        return ngx_current_msec - marker->began >= NGX_TOKEN_MARKER_BEGINS;
    }
}


void
ngx_token_marker_set(ngx_token_marker_t *marker, ngx_token_marker_e state)
{
    marker->state = state;
}


void
ngx_token_marker_missed(ngx_token_marker_t *marker)
{
    *marker->wanted = 1;
}
