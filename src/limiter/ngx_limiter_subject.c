
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_limiter_subject.h"
#include "ngx_token_digest.h"


#define NGX_LIMITER_SUBJECT_HASHED  "sha256:"


ngx_int_t
ngx_limiter_subject_init(ngx_limiter_subject_t *subject, ngx_str_t *raw,
    ngx_pool_t *pool)
{
    size_t   len;
    u_char  *p;

    len = sizeof(NGX_LIMITER_SUBJECT_HASHED) - 1;

    if (raw->len <= NGX_LIMITER_SUBJECT_MAX
        && !(raw->len >= len
             && ngx_memcmp(raw->data, NGX_LIMITER_SUBJECT_HASHED, len) == 0))
    {
        subject->text = *raw;

    } else {
        p = ngx_pnalloc(pool, len + NGX_TOKEN_DIGEST_HEX);
        if (p == NULL) {
            return NGX_ERROR;
        }

        subject->text.data = p;
        subject->text.len = len + NGX_TOKEN_DIGEST_HEX;

        p = ngx_cpymem(p, NGX_LIMITER_SUBJECT_HASHED, len);
        ngx_token_digest_hex(raw, p);
    }

    /*
     * A short text is its own key; of a longer one the table gets the digest,
     * in a form whose length no short text has.
     */

    if (subject->text.len < NGX_LIMITER_TABLE_KEY) {
        subject->key = subject->text;
        return NGX_OK;
    }

    ngx_memzero(subject->buf, NGX_LIMITER_TABLE_KEY);
    ngx_token_digest(&subject->text, subject->buf);

    subject->key.data = subject->buf;
    subject->key.len = NGX_LIMITER_TABLE_KEY;

    return NGX_OK;
}
