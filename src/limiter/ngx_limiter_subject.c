
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_limiter_subject.h"
#include "ngx_token_digest.h"


#define NGX_LIMITER_SUBJECT_HASHED  "sha256:"


static ngx_int_t ngx_limiter_subject_hashed(ngx_limiter_subject_t *subject,
    ngx_pool_t *pool);


ngx_int_t
ngx_limiter_subject_init(ngx_limiter_subject_t *subject, ngx_str_t *raw,
    ngx_pool_t *pool)
{
    size_t  len;

    len = sizeof(NGX_LIMITER_SUBJECT_HASHED) - 1;

    if (raw->len <= NGX_LIMITER_SUBJECT_MAX
        && !(raw->len >= len
             && ngx_memcmp(raw->data, NGX_LIMITER_SUBJECT_HASHED, len) == 0))
    {
        subject->text = *raw;
        subject->key = *raw;

        return NGX_OK;
    }

    ngx_token_digest(raw, subject->buf);

    return ngx_limiter_subject_hashed(subject, pool);
}


ngx_int_t
ngx_limiter_subject_from_key(ngx_limiter_subject_t *subject,
    const ngx_str_t *key, ngx_pool_t *pool)
{
    if (key->len < NGX_LIMITER_TABLE_KEY) {

        subject->text.data = ngx_pnalloc(pool, key->len);
        if (subject->text.data == NULL) {
            return NGX_ERROR;
        }

        ngx_memcpy(subject->text.data, key->data, key->len);
        subject->text.len = key->len;

        subject->key = subject->text;

        return NGX_OK;
    }

    ngx_memcpy(subject->buf, key->data, NGX_TOKEN_DIGEST);

    return ngx_limiter_subject_hashed(subject, pool);
}


/* The table's key is the digest, in a form whose length no short text has. */

static ngx_int_t
ngx_limiter_subject_hashed(ngx_limiter_subject_t *subject, ngx_pool_t *pool)
{
    u_char  *p;

    p = ngx_pnalloc(pool, sizeof(NGX_LIMITER_SUBJECT_HASHED) - 1
                          + 2 * NGX_TOKEN_DIGEST);
    if (p == NULL) {
        return NGX_ERROR;
    }

    subject->text.data = p;

    p = ngx_cpymem(p, NGX_LIMITER_SUBJECT_HASHED,
                   sizeof(NGX_LIMITER_SUBJECT_HASHED) - 1);
    p = ngx_hex_dump(p, subject->buf, NGX_TOKEN_DIGEST);

    subject->text.len = p - subject->text.data;

    ngx_memzero(subject->buf + NGX_TOKEN_DIGEST,
                NGX_LIMITER_TABLE_KEY - NGX_TOKEN_DIGEST);

    subject->key.data = subject->buf;
    subject->key.len = NGX_LIMITER_TABLE_KEY;

    return NGX_OK;
}
