
/*
 * Copyright (C) The Optcache authors
 */


/*
 * Makes tokens for the tests of src/token: the text of any header and payload,
 * signed with HS256 and the secret of RFC 7515, A.1, or not signed.
 */


#ifndef _NGX_TOKEN_TEST_H_INCLUDED_
#define _NGX_TOKEN_TEST_H_INCLUDED_


#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <ngx_token_base64.h>


#define TEST_SECRET                                                           \
    "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUu"\
    "TwjAzZr1Z9CAow"

#define TEST_KEY                                                              \
    "{\"kty\":\"oct\",\"alg\":\"HS256\",\"k\":\"" TEST_SECRET "\"}"


static ngx_log_t  test_log;


static inline ngx_str_t
test_str(const char *text)
{
    ngx_str_t  s;

    s.data = (u_char *) text;
    s.len = strlen(text);

    return s;
}


static inline ngx_pool_t *
test_pool(void)
{
    ngx_pool_t  *pool;

    ngx_pagesize = 4096;

    pool = ngx_create_pool(1024, &test_log);
    assert_non_null(pool);

    return pool;
}


static inline void
test_part(ngx_str_t *to, const u_char *data, size_t len)
{
    ngx_str_t  from;

    from.data = (u_char *) data;
    from.len = len;

    if (len) {
        ngx_token_base64_encode(&from, to->data + to->len);
        to->len += (len * 4 + 2) / 3;
    }
}


/* "<header>.<payload>", and room for more. */

static inline ngx_str_t
test_input(ngx_pool_t *pool, const char *header, const char *payload)
{
    ngx_str_t  text;

    text.len = 0;
    text.data = ngx_palloc(pool, (strlen(header) + strlen(payload)) * 2
                                 + 2048);
    assert_non_null(text.data);

    test_part(&text, (u_char *) header, strlen(header));
    text.data[text.len++] = '.';
    test_part(&text, (u_char *) payload, strlen(payload));

    return text;
}


/* Appends a dot and the signature of what there is. */

static inline void
test_sign(ngx_str_t *text, const u_char *secret, size_t len)
{
    u_char        mac[EVP_MAX_MD_SIZE];
    unsigned int  n;

    assert_non_null(HMAC(EVP_sha256(), secret, (int) len, text->data,
                         text->len, mac, &n));

    text->data[text->len++] = '.';
    test_part(text, mac, n);
}


static inline ngx_str_t
test_signed_by(ngx_pool_t *pool, const char *header, const char *payload,
    const u_char *secret, size_t len)
{
    ngx_str_t  text;

    text = test_input(pool, header, payload);
    test_sign(&text, secret, len);

    return text;
}


static inline ngx_str_t
test_signed(ngx_pool_t *pool, const char *header, const char *payload)
{
    u_char     secret[64];
    ngx_str_t  text, bytes;

    text = test_str(TEST_SECRET);
    bytes.data = secret;
    (void) ngx_token_base64_decode(&text, &bytes);

    return test_signed_by(pool, header, payload, secret, bytes.len);
}


#endif /* _NGX_TOKEN_TEST_H_INCLUDED_ */
