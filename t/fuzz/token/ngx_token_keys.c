
/*
 * Copyright (C) The Optcache authors
 */


/*
 * A file of keys.  What is accepted has keys that are each for some algorithm,
 * never for both a secret and a public key, and can be asked.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <ngx_token_keys.h>


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_keys(ngx_token_keys_t *keys);


static ngx_log_t  fuzz_log;


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    u_char            *copy;
    ngx_str_t          bytes, err;
    ngx_pool_t        *pool;
    ngx_token_keys_t  *keys;

    ngx_pagesize = 4096;

    pool = ngx_create_pool(1024, &fuzz_log);
    copy = malloc(size ? size : 1);

    if (pool == NULL || copy == NULL) {
        return 0;
    }

    memcpy(copy, data, size);

    bytes.data = copy;
    bytes.len = size;

    keys = ngx_token_keys_parse(pool, &bytes, 0, &err);

    free(copy);

    if (keys) {
        fuzz_keys(keys);

    } else if (err.len == 0) {
        abort();
    }

    ngx_destroy_pool(pool);

    return 0;
}


static void
fuzz_keys(ngx_token_keys_t *keys)
{
    u_char             signature[NGX_TOKEN_KEY_RSA_MAX / 8];
    ngx_str_t          text, kid;
    ngx_uint_t         i, alg;
    ngx_token_key_t   *key;

    if (keys->nelts == 0 || keys->nelts + keys->skipped > NGX_TOKEN_KEYS_MAX
        || (keys->skipped == 0) != (keys->reason == NULL)
        || keys->private > keys->nelts)
    {
        abort();
    }

    ngx_memset(signature, 1, sizeof(signature));
    ngx_str_null(&kid);

    for (i = 0; i < keys->nelts; i++) {
        key = &keys->elts[i];

        if (key->algorithms == 0
            || (key->algorithms & ~NGX_TOKEN_ALG_ALL)
            || ((key->algorithms & NGX_TOKEN_ALG_HS)
                && (key->algorithms & ~NGX_TOKEN_ALG_HS))
            || key->kid.len > NGX_TOKEN_KEYS_KID)
        {
            abort();
        }

        /* what is printed where keys are listed */

        if (key->kid.len && memchr(key->kid.data, 0, key->kid.len)) {
            abort();
        }
    }

    /* a curve that is slow is asked in another target */

    for (alg = 0; alg < NGX_TOKEN_ALG_ES256; alg++) {
        text.data = signature;
        text.len = (keys->elts[0].signature) ? keys->elts[0].signature : 32;

        if (ngx_token_keys_verify(keys, &kid, alg, &text, &text)
            == NGX_TOKEN_VERDICT_OK)
        {
            abort();
        }
    }
}
