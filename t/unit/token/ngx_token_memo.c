
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "ngx_token_test.h"
#include <ngx_token_memo.h>


/* {"sub":"alice","jti":"1"}, signed by nobody */
#define TOKEN  "eyJhbGciOiJIUzI1NiJ9." \
               "eyJzdWIiOiJhbGljZSIsImp0aSI6IjEifQ.c2lnbmVk"


static ngx_token_memo_t *
get(u_char *buf, ngx_uint_t n)
{
    ngx_str_t  text;

    text.data = buf;
    text.len = ngx_sprintf(buf, "blacklist:%ui", n) - buf;

    return ngx_token_memo_get(&text, ngx_cycle->log);
}


static void
test_digest(void **state)
{
    u_char             digest[NGX_TOKEN_DIGEST], hex[NGX_TOKEN_DIGEST_HEX];
    ngx_str_t          text = ngx_string("some text");
    ngx_uint_t         i;
    ngx_token_memo_t  *memo;

    assert_null(ngx_token_memo_find(&text));

    for (i = 0; i < 2; i++) {
        memo = ngx_token_memo_get(&text, ngx_cycle->log);
        assert_non_null(memo);
        assert_ptr_equal(ngx_token_memo_find(&text), memo);

        ngx_token_digest(&text, digest);
        assert_memory_equal(memo->digest, digest, NGX_TOKEN_DIGEST);

        ngx_token_digest_hex(&text, hex);
        assert_memory_equal(memo->hex, hex, NGX_TOKEN_DIGEST_HEX);

        ngx_memzero(digest, NGX_TOKEN_DIGEST);
        ngx_token_memo_digest(&text, digest, ngx_cycle->log);
        assert_memory_equal(memo->digest, digest, NGX_TOKEN_DIGEST);
    }

    /* what is remembered is a copy, and nothing that only begins alike */

    assert_ptr_not_equal(memo->text.data, text.data);
    text.len--;
    assert_null(ngx_token_memo_find(&text));
}


/* more texts than places: one that is held stays, and none is another */

static void
test_eviction(void **state)
{
    u_char             buf[64], digest[NGX_TOKEN_DIGEST];
    ngx_str_t          text;
    ngx_uint_t         i, kept;
    ngx_pool_t        *pool;
    ngx_token_memo_t  *held, *memo;

    pool = ngx_create_pool(1024, ngx_cycle->log);
    assert_non_null(pool);

    held = get(buf, 0);
    assert_non_null(held);
    assert_int_equal(ngx_token_memo_hold(held, pool), NGX_OK);

    for (i = 1; i < 20 * NGX_TOKEN_MEMO_SETS; i++) {
        memo = get(buf, i);
        assert_non_null(memo);
        assert_int_equal(memo->bearer, 0);
        memo->bearer = 1;

        ngx_token_digest(&memo->text, digest);
        assert_memory_equal(memo->digest, digest, NGX_TOKEN_DIGEST);
    }

    assert_int_equal(held->text.len, sizeof("blacklist:0") - 1);
    assert_memory_equal(held->text.data, "blacklist:0", held->text.len);

    kept = 0;

    for (i = 1; i < 20 * NGX_TOKEN_MEMO_SETS; i++) {
        text.data = buf;
        text.len = ngx_sprintf(buf, "blacklist:%ui", i) - buf;
        kept += (ngx_token_memo_find(&text) != NULL);
    }

    assert_in_range(kept, NGX_TOKEN_MEMO_SETS, 2 * NGX_TOKEN_MEMO_SETS);

    /* AddressSanitizer looks on */

    ngx_destroy_pool(pool);
}


static void
test_long(void **state)
{
    ngx_str_t  text;

    text.len = NGX_TOKEN_MEMO_MAX + 1;
    text.data = malloc(text.len);
    assert_non_null(text.data);
    ngx_memset(text.data, 'a', text.len);

    assert_null(ngx_token_memo_get(&text, ngx_cycle->log));
    text.len--;
    assert_non_null(ngx_token_memo_get(&text, ngx_cycle->log));

    free(text.data);
}


static void
test_claims(void **state)
{
    ngx_str_t            text = ngx_string(TOKEN);
    ngx_str_t            bad = ngx_string("eyJhbGciOiJIUzI1NiJ9.e30");
    ngx_pool_t          *pool;
    ngx_token_memo_t    *memo;
    ngx_token_claims_t  *claims;

    memo = ngx_token_memo_get(&text, ngx_cycle->log);
    claims = ngx_token_memo_claims(memo);
    assert_non_null(claims);
    assert_int_equal(claims->sub.len, 5);
    assert_memory_equal(claims->sub.data, "alice", 5);

    /* read once */

    assert_ptr_equal(ngx_token_memo_claims(memo), claims);

    pool = ngx_create_pool(1024, ngx_cycle->log);
    assert_int_equal(ngx_token_memo_hold(memo, pool), NGX_OK);
    ngx_destroy_pool(pool);
    assert_memory_equal(claims->sub.data, "alice", 5);

    memo = ngx_token_memo_get(&bad, ngx_cycle->log);
    assert_null(ngx_token_memo_claims(memo));
    assert_null(ngx_token_memo_claims(memo));
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_digest),
        cmocka_unit_test(test_eviction),
        cmocka_unit_test(test_long),
        cmocka_unit_test(test_claims)
    };

    static ngx_cycle_t  cycle;

    ngx_pagesize = 4096;
    cycle.log = &test_log;
    ngx_cycle = &cycle;

    return cmocka_run_group_tests(tests, NULL, NULL);
}
