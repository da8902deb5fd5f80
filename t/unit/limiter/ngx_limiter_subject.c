
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <ngx_limiter_subject.h>
#include <ngx_token_digest.h>


static ngx_log_t    logger;
static ngx_pool_t  *pool;


static int
start(void **state)
{
    pool = ngx_create_pool(4096, &logger);

    return pool ? 0 : -1;
}


static int
finish(void **state)
{
    ngx_destroy_pool(pool);

    return 0;
}


static void
test_lengths(void **state)
{
    u_char                 raw[200], hex[NGX_TOKEN_DIGEST_HEX];
    ngx_str_t              text;
    ngx_uint_t             len;
    ngx_limiter_subject_t  subject;

    ngx_memset(raw, 'x', sizeof(raw));
    text.data = raw;

    for (len = 1; len < sizeof(raw); len++) {
        text.len = len;

        assert_int_equal(ngx_limiter_subject_init(&subject, &text, pool),
                         NGX_OK);

        if (len <= NGX_LIMITER_SUBJECT_MAX) {
            assert_ptr_equal(subject.text.data, raw);
            assert_int_equal(subject.text.len, len);
            assert_ptr_equal(subject.key.data, raw);
            assert_int_equal(subject.key.len, len);
            continue;
        }

        ngx_token_digest_hex(&text, hex);
        assert_int_equal(subject.text.len, 7 + NGX_TOKEN_DIGEST_HEX);
        assert_memory_equal(subject.text.data, "sha256:", 7);
        assert_memory_equal(subject.text.data + 7, hex, sizeof(hex));

        /* no key of a short text has the length of the others */

        assert_ptr_equal(subject.key.data, subject.buf);
        assert_int_equal(subject.key.len, NGX_LIMITER_TABLE_KEY);
    }
}


/* nobody writes what another's key is hashed to */

static void
test_looks_hashed(void **state)
{
    ngx_str_t              text;
    ngx_limiter_subject_t  subject, other;

    ngx_str_set(&text, "sha256:");
    assert_int_equal(ngx_limiter_subject_init(&subject, &text, pool), NGX_OK);
    assert_int_equal(subject.text.len, 7 + NGX_TOKEN_DIGEST_HEX);

    text = subject.text;
    assert_int_equal(ngx_limiter_subject_init(&other, &text, pool), NGX_OK);
    assert_int_equal(other.text.len, subject.text.len);
    assert_memory_not_equal(other.text.data, subject.text.data,
                            subject.text.len);
    assert_memory_not_equal(other.key.data, subject.key.data,
                            subject.key.len);

    ngx_str_set(&text, "sha256");
    assert_int_equal(ngx_limiter_subject_init(&subject, &text, pool), NGX_OK);
    assert_int_equal(subject.text.len, 6);

    ngx_str_set(&text, "SHA256:x");
    assert_int_equal(ngx_limiter_subject_init(&subject, &text, pool), NGX_OK);
    assert_int_equal(subject.text.len, 8);
}


/* from the key in shared memory, the name in Redis, of any bytes */

static void
test_from_key(void **state)
{
    u_char                 raw[100];
    ngx_str_t              text;
    ngx_uint_t             len, i;
    ngx_limiter_subject_t  subject, back;

    for (len = 1; len <= sizeof(raw); len++) {

        for (i = 0; i < len; i++) {
            raw[i] = (u_char) (i * 37 + len);
        }

        text.data = raw;
        text.len = len;

        assert_int_equal(ngx_limiter_subject_init(&subject, &text, pool),
                         NGX_OK);
        assert_int_equal(ngx_limiter_subject_from_key(&back, &subject.key,
                                                      pool),
                         NGX_OK);

        assert_int_equal(back.text.len, subject.text.len);
        assert_memory_equal(back.text.data, subject.text.data, back.text.len);
        assert_int_equal(back.key.len, subject.key.len);
        assert_memory_equal(back.key.data, subject.key.data, back.key.len);

        /* nothing of it is the slot's */

        assert_ptr_not_equal(back.text.data, subject.key.data);
        assert_ptr_not_equal(back.key.data, subject.key.data);
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_looks_hashed),
        cmocka_unit_test(test_from_key)
    };

    return cmocka_run_group_tests(tests, start, finish);
}
