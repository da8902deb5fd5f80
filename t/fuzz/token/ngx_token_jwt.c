
/*
 * Copyright (C) The Optcache authors
 */


/*
 * A token.  The last byte of the input tells what it is: the text of a token,
 * which no key verifies as it cannot be signed; or a header, a newline and a
 * payload, which are encoded and signed here, so that what is behind the
 * signature is reached too.  What is accepted is within its bounds.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <ngx_token_base64.h>
#include <ngx_token_claims.h>


#define NOW  1000000


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static ngx_token_keys_t *fuzz_keys(void);
static ngx_str_t fuzz_signed(ngx_pool_t *pool, u_char *data, size_t size);
static u_char *fuzz_part(u_char *p, const u_char *data, size_t size);
static void fuzz_twins(ngx_pool_t *pool, const ngx_str_t *text);
static ngx_uint_t fuzz_same(const ngx_str_t *one, const ngx_str_t *two);
static void fuzz_claims(ngx_pool_t *pool, ngx_token_claims_t *claims);
static void fuzz_text(ngx_str_t *text);


static ngx_log_t  fuzz_log;

static u_char  fuzz_secret[32] = "a secret of thirty-two bytes ...";


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    u_char                   *copy;
    ngx_str_t                 text;
    ngx_pool_t               *pool;
    ngx_uint_t                sign;
    ngx_token_jwt_t           jwt;
    ngx_token_rules_t         rules;
    ngx_token_claims_t        claims;
    ngx_token_verdict_e       verdict;
    static ngx_token_keys_t  *keys;

    if (keys == NULL) {
        keys = fuzz_keys();
    }

    if (size == 0) {
        return 0;
    }

    sign = data[--size] & 1;

    pool = ngx_create_pool(1024, &fuzz_log);
    copy = malloc(size ? size : 1);

    if (pool == NULL || copy == NULL) {
        return 0;
    }

    memcpy(copy, data, size);

    if (sign) {
        text = fuzz_signed(pool, copy, size);

    } else {
        text.data = copy;
        text.len = size;
    }

    ngx_memzero(&rules, sizeof(ngx_token_rules_t));

    verdict = ngx_token_claims_judge(pool, &text, keys, &rules, NOW, &jwt,
                                     &claims);

    if (verdict == NGX_TOKEN_VERDICT_ERROR
        || ngx_token_verdict_text(verdict)->len == 0)
    {
        abort();
    }

    if (verdict == NGX_TOKEN_VERDICT_OK) {

        if (!sign
            || jwt.alg != NGX_TOKEN_ALG_HS256
            || jwt.kid.len > NGX_TOKEN_KEYS_KID
            || (claims.has_exp && claims.exp <= NOW)
            || (claims.has_nbf && claims.nbf > NOW))
        {
            abort();
        }

        fuzz_claims(pool, &claims);
    }

    fuzz_twins(pool, &text);

    ngx_destroy_pool(pool);
    free(copy);

    return 0;
}


static ngx_token_keys_t *
fuzz_keys(void)
{
    u_char             buf[256], *p;
    ngx_str_t          bytes, err;
    ngx_pool_t        *pool;
    ngx_token_keys_t  *keys;

    ngx_pagesize = 4096;
    pool = ngx_create_pool(1024, &fuzz_log);

    p = ngx_sprintf(buf, "{\"kty\":\"oct\",\"alg\":\"HS256\",\"k\":\"");
    p = fuzz_part(p, fuzz_secret, sizeof(fuzz_secret));
    p = ngx_sprintf(p, "\"}");

    bytes.data = buf;
    bytes.len = p - buf;

    keys = ngx_token_keys_parse(pool, &bytes, 0, &err);
    if (keys == NULL) {
        abort();
    }

    return keys;
}


static ngx_str_t
fuzz_signed(ngx_pool_t *pool, u_char *data, size_t size)
{
    u_char        *p, *end, mac[EVP_MAX_MD_SIZE];
    ngx_str_t      text;
    unsigned int   len;

    text.data = ngx_pnalloc(pool, size * 2 + 128);
    if (text.data == NULL) {
        abort();
    }

    end = ngx_strlchr(data, data + size, '\n');
    if (end == NULL) {
        end = data + size;
    }

    p = fuzz_part(text.data, data, end - data);
    *p++ = '.';

    if (end < data + size) {
        p = fuzz_part(p, end + 1, data + size - end - 1);
    }

    HMAC(EVP_sha256(), fuzz_secret, sizeof(fuzz_secret), text.data,
         p - text.data, mac, &len);

    *p++ = '.';
    text.len = fuzz_part(p, mac, len) - text.data;

    return text;
}


static u_char *
fuzz_part(u_char *p, const u_char *data, size_t size)
{
    ngx_str_t  src;

    src.data = (u_char *) data;
    src.len = size;

    ngx_token_base64_encode(&src, p);

    return p + (size * 4 + 2) / 3;
}


/*
 * The twins of a text are others, each found once, and the text is among the
 * twins of each, unless it lacks more zeros than are looked for, or has more
 * than the whole one.
 */

static void
fuzz_twins(ngx_pool_t *pool, const ngx_str_t *text)
{
    size_t      whole;
    ngx_str_t   twins[NGX_TOKEN_JWT_TWINS], back[NGX_TOKEN_JWT_TWINS];
    ngx_uint_t  i, j, n, m;

    if (ngx_token_jwt_twins(pool, text, twins, &n) != NGX_OK
        || n > NGX_TOKEN_JWT_TWINS)
    {
        abort();
    }

    whole = 0;

    for (i = 0; i < n; i++) {
        whole = ngx_max(whole, twins[i].len);
    }

    for (i = 0; i < n; i++) {

        if (fuzz_same(&twins[i], text)) {
            abort();
        }

        for (j = 0; j < i; j++) {
            if (fuzz_same(&twins[i], &twins[j])) {
                abort();
            }
        }

        if (ngx_token_jwt_twins(pool, &twins[i], back, &m) != NGX_OK) {
            abort();
        }

        for (j = 0; j < m; j++) {
            if (fuzz_same(&back[j], text)) {
                break;
            }
        }

        if (j == m
            && whole >= text->len
            && whole - text->len <= (NGX_TOKEN_JWT_ZEROS * 4 + 2) / 3)
        {
            abort();
        }
    }
}


static ngx_uint_t
fuzz_same(const ngx_str_t *one, const ngx_str_t *two)
{
    return one->len == two->len
           && ngx_memcmp(one->data, two->data, one->len) == 0;
}


static void
fuzz_claims(ngx_pool_t *pool, ngx_token_claims_t *claims)
{
    size_t      i, cut;
    u_char     *p;
    ngx_str_t   text, path, again;

    static ngx_str_t  paths[] = {
        ngx_string("sub"), ngx_string("a"), ngx_string("a.b"),
        ngx_string("a.b.c"), ngx_string("."), ngx_string(""),
        ngx_string("roles"), ngx_string("exp"), ngx_string("a__b"),
        ngx_string("a__b__c"), ngx_string("____"), ngx_null_string
    };

    fuzz_text(&claims->iss);
    fuzz_text(&claims->sub);
    fuzz_text(&claims->jti);

    for (i = 0; paths[i].data; i++) {
        path = paths[i];

        if (ngx_token_claims_text(pool, claims, &path, &text) != NGX_OK) {
            abort();
        }

        fuzz_text(&text);

        if (ngx_token_claims_variable(pool, claims, &path, &text) != NGX_OK) {
            abort();
        }

        fuzz_text(&text);
    }

    /* the user can be taken apart again */

    if (ngx_token_claims_user(pool, claims, &text) != NGX_OK
        || (text.len == 0) != (claims->sub.len == 0))
    {
        abort();
    }

    if (text.len == 0) {
        return;
    }

    p = ngx_strlchr(text.data, text.data + text.len, '|');
    if (p == NULL) {
        abort();
    }

    cut = p - text.data;
    again.data = ngx_pnalloc(pool, text.len);
    again.len = 0;

    for (i = 0; i < cut; i++) {

        if (text.data[i] == '%') {
            again.data[again.len++] = ngx_hextoi(text.data + i + 1, 2);
            i += 2;

        } else {
            again.data[again.len++] = text.data[i];
        }
    }

    if (again.len != claims->iss.len
        || (again.len
            && ngx_memcmp(again.data, claims->iss.data, again.len) != 0)
        || text.len - cut - 1 != claims->sub.len
        || ngx_memcmp(p + 1, claims->sub.data, claims->sub.len) != 0)
    {
        abort();
    }
}


/* Each byte is there, and none would end a line or a string. */

static void
fuzz_text(ngx_str_t *text)
{
    size_t  i;

    for (i = 0; i < text->len; i++) {
        if (text->data[i] < 0x20 || text->data[i] == 0x7f) {
            abort();
        }
    }
}
