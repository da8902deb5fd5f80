
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <openssl/rand.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "ngx_token_memo.h"


#define NGX_TOKEN_MEMO_POOL    1024
#define NGX_TOKEN_MEMO_SECRET  192


static ngx_uint_t ngx_token_memo_prepare(ngx_log_t *log);
static ngx_token_memo_t **ngx_token_memo_set(const ngx_str_t *text,
    uint64_t *hash);
static ngx_uint_t ngx_token_memo_is(const ngx_token_memo_t *memo,
    const ngx_str_t *text, uint64_t hash);
static ngx_token_memo_t *ngx_token_memo_create(const ngx_str_t *text,
    uint64_t hash, ngx_log_t *log);
static void ngx_token_memo_release(void *data);


/* of this worker; never freed */

static ngx_token_memo_t  **ngx_token_memo_places;
static u_char              ngx_token_memo_secret[NGX_TOKEN_MEMO_SECRET];


ngx_token_memo_t *
ngx_token_memo_find(const ngx_str_t *text)
{
    uint64_t            hash;
    ngx_token_memo_t  **set, *memo;

    if (ngx_token_memo_places == NULL || text->len > NGX_TOKEN_MEMO_MAX) {
        return NULL;
    }

    set = ngx_token_memo_set(text, &hash);
    memo = set[0];

    if (ngx_token_memo_is(memo, text, hash)) {
        return memo;
    }

    memo = set[1];

    if (!ngx_token_memo_is(memo, text, hash)) {
        return NULL;
    }

    /* the first place is that of the last one used */

    set[1] = set[0];
    set[0] = memo;

    return memo;
}


ngx_token_memo_t *
ngx_token_memo_get(const ngx_str_t *text, ngx_log_t *log)
{
    uint64_t            hash;
    ngx_token_memo_t  **set, *memo;

    memo = ngx_token_memo_find(text);

    if (memo) {
        return memo;
    }

    if (text->len > NGX_TOKEN_MEMO_MAX
        || (ngx_token_memo_places == NULL && !ngx_token_memo_prepare(log)))
    {
        return NULL;
    }

    set = ngx_token_memo_set(text, &hash);

    memo = ngx_token_memo_create(text, hash, log);
    if (memo == NULL) {
        return NULL;
    }

    if (set[1]) {
        ngx_token_memo_release(set[1]);
    }

    set[1] = set[0];
    set[0] = memo;

    return memo;
}


static ngx_uint_t
ngx_token_memo_prepare(ngx_log_t *log)
{
    if (RAND_bytes(ngx_token_memo_secret, NGX_TOKEN_MEMO_SECRET) != 1) {
        return 0;
    }

    ngx_token_memo_places = ngx_calloc(2 * NGX_TOKEN_MEMO_SETS
                                       * sizeof(ngx_token_memo_t *), log);

    return ngx_token_memo_places != NULL;
}


static ngx_token_memo_t **
ngx_token_memo_set(const ngx_str_t *text, uint64_t *hash)
{
    *hash = XXH3_64bits_withSecret(text->data, text->len,
                                   ngx_token_memo_secret,
                                   NGX_TOKEN_MEMO_SECRET);

    return &ngx_token_memo_places[2 * (*hash % NGX_TOKEN_MEMO_SETS)];
}


static ngx_uint_t
ngx_token_memo_is(const ngx_token_memo_t *memo, const ngx_str_t *text,
    uint64_t hash)
{
    return memo
           && memo->hash == hash
           && memo->text.len == text->len
           && ngx_memcmp(memo->text.data, text->data, text->len) == 0;
}


static ngx_token_memo_t *
ngx_token_memo_create(const ngx_str_t *text, uint64_t hash, ngx_log_t *log)
{
    ngx_token_memo_t  *memo;

    memo = ngx_alloc(sizeof(ngx_token_memo_t) + text->len, log);
    if (memo == NULL) {
        return NULL;
    }

    ngx_memzero(memo, sizeof(ngx_token_memo_t));

    memo->hash = hash;
    memo->refs = 1;
    memo->text.len = text->len;
    memo->text.data = (u_char *) (memo + 1);

    ngx_memcpy(memo->text.data, text->data, text->len);

    ngx_token_digest(text, memo->digest);
    (void) ngx_hex_dump(memo->hex, memo->digest, NGX_TOKEN_DIGEST);

    return memo;
}


static void
ngx_token_memo_release(void *data)
{
    ngx_token_memo_t *memo = data;

    if (--memo->refs) {
        return;
    }

    if (memo->pool) {
        ngx_destroy_pool(memo->pool);
    }

    ngx_explicit_memzero(memo->text.data, memo->text.len);
    ngx_free(memo);
}


ngx_int_t
ngx_token_memo_hold(ngx_token_memo_t *memo, ngx_pool_t *pool)
{
    ngx_pool_cleanup_t  *cln;

    cln = ngx_pool_cleanup_add(pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    cln->handler = ngx_token_memo_release;
    cln->data = memo;

    memo->refs++;

    return NGX_OK;
}


ngx_token_claims_t *
ngx_token_memo_claims(ngx_token_memo_t *memo)
{
    ngx_token_jwt_t      jwt;
    ngx_token_claims_t  *claims;

    if (memo->claims) {
        return memo->claims;
    }

    if (memo->pool == NULL) {
        memo->pool = ngx_create_pool(NGX_TOKEN_MEMO_POOL, ngx_cycle->log);
        if (memo->pool == NULL) {
            return NULL;
        }
    }

    claims = ngx_palloc(memo->pool, sizeof(ngx_token_claims_t));

    if (claims == NULL
        || ngx_token_jwt_parse(memo->pool, &memo->text, &jwt)
           != NGX_TOKEN_VERDICT_OK
        || ngx_token_claims_parse(memo->pool, &jwt, claims)
           != NGX_TOKEN_VERDICT_OK)
    {
        ngx_destroy_pool(memo->pool);
        memo->pool = NULL;

        return NULL;
    }

    memo->claims = claims;

    return claims;
}


void
ngx_token_memo_digest(const ngx_str_t *text, u_char *digest, ngx_log_t *log)
{
    ngx_token_memo_t  *memo;

    memo = ngx_token_memo_get(text, log);

    if (memo) {
        ngx_memcpy(digest, memo->digest, NGX_TOKEN_DIGEST);

    } else {
        ngx_token_digest(text, digest);
    }
}
