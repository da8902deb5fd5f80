
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <ngx_http_rfc9111_storage.h>


static void storage_init(ngx_http_rfc9111_storage_t *s, ngx_uint_t shared);


static void
test_store(void **state)
{
    ngx_http_rfc9111_storage_t  s;

    storage_init(&s, 0);
    assert_int_equal(ngx_http_rfc9111_storage(&s), NGX_HTTP_RFC9111_STORE);

    storage_init(&s, 1);
    assert_int_equal(ngx_http_rfc9111_storage(&s), NGX_HTTP_RFC9111_STORE);
}


static void
test_status(void **state)
{
    ngx_uint_t                  i, status, expected;
    ngx_http_rfc9111_storage_t  s;

    static ngx_uint_t  never[] = {
        206, 304, 407, 408, 411, 412, 413, 415, 416, 417, 421, 425, 426, 428,
        429, 431, 511
    };

    for (status = 0; status < 1000; status++) {
        storage_init(&s, status % 2);
        s.status = status;

        expected = (status < 200 || status > 599) ? NGX_HTTP_RFC9111_STATUS
                                                  : NGX_HTTP_RFC9111_STORE;

        for (i = 0; i < sizeof(never) / sizeof(never[0]); i++) {
            if (status == never[i]) {
                expected = NGX_HTTP_RFC9111_STATUS;
            }
        }

        if (ngx_http_rfc9111_storage(&s) != expected) {
            fail_msg("status %d", (int) status);
        }
    }
}


static void
test_no_store(void **state)
{
    ngx_uint_t                  shared;
    ngx_http_rfc9111_storage_t  s;

    for (shared = 0; shared < 2; shared++) {
        storage_init(&s, shared);
        s.cc.no_store = 1;
        assert_int_equal(ngx_http_rfc9111_storage(&s),
                         NGX_HTTP_RFC9111_NO_STORE);

        storage_init(&s, shared);
        s.asked_no_store = 1;
        assert_int_equal(ngx_http_rfc9111_storage(&s),
                         NGX_HTTP_RFC9111_NO_STORE);

        storage_init(&s, shared);
        s.cc.no_cache = 1;
        assert_int_equal(ngx_http_rfc9111_storage(&s),
                         NGX_HTTP_RFC9111_NO_CACHE);

        /* with a validator it matters what may be stored at all */

        s.validator = 1;
        s.unknown = 1;
        s.lifetime = 0;
        assert_int_equal(ngx_http_rfc9111_storage(&s), NGX_HTTP_RFC9111_STORE);

        s.status = 302;
        assert_int_equal(ngx_http_rfc9111_storage(&s),
                         NGX_HTTP_RFC9111_FRESHNESS);

        s.unknown = 0;
        assert_int_equal(ngx_http_rfc9111_storage(&s), NGX_HTTP_RFC9111_STORE);

        s.unknown = 1;
        s.cc.pub = 1;
        assert_int_equal(ngx_http_rfc9111_storage(&s), NGX_HTTP_RFC9111_STORE);

        storage_init(&s, shared);
        s.cc.no_cache = 1;

        /* nothing makes up for it */

        s.cc.pub = 1;
        s.cc.s_maxage = 60;
        s.cc.must_revalidate = 1;
        assert_int_equal(ngx_http_rfc9111_storage(&s),
                         NGX_HTTP_RFC9111_NO_CACHE);
    }
}


/* RFC 9111, 5.2.2.3 */

static void
test_must_understand(void **state)
{
    ngx_http_rfc9111_storage_t  s;

    storage_init(&s, 1);
    s.cc.must_understand = 1;
    assert_int_equal(ngx_http_rfc9111_storage(&s), NGX_HTTP_RFC9111_STORE);

    /* no-store is for those who do not know the status */

    s.cc.no_store = 1;
    assert_int_equal(ngx_http_rfc9111_storage(&s), NGX_HTTP_RFC9111_STORE);

    s.status = 599;
    assert_int_equal(ngx_http_rfc9111_storage(&s), NGX_HTTP_RFC9111_STATUS);

    s.cc.no_store = 0;
    assert_int_equal(ngx_http_rfc9111_storage(&s), NGX_HTTP_RFC9111_STATUS);

    s.status = 226;
    assert_int_equal(ngx_http_rfc9111_storage(&s), NGX_HTTP_RFC9111_STATUS);

    /* what the client asks for, and no-cache, it does not touch */

    storage_init(&s, 1);
    s.cc.must_understand = 1;
    s.asked_no_store = 1;
    assert_int_equal(ngx_http_rfc9111_storage(&s),
                     NGX_HTTP_RFC9111_NO_STORE);

    storage_init(&s, 1);
    s.cc.must_understand = 1;
    s.cc.no_cache = 1;
    assert_int_equal(ngx_http_rfc9111_storage(&s),
                     NGX_HTTP_RFC9111_NO_CACHE);
}


/* RFC 9111, 5.2.2.7 */

static void
test_private(void **state)
{
    ngx_http_rfc9111_storage_t  s;

    storage_init(&s, 1);
    s.cc.priv = 1;
    assert_int_equal(ngx_http_rfc9111_storage(&s), NGX_HTTP_RFC9111_PRIVATE);

    /* said both, the stricter counts */

    s.cc.pub = 1;
    s.cc.s_maxage = 60;
    assert_int_equal(ngx_http_rfc9111_storage(&s), NGX_HTTP_RFC9111_PRIVATE);

    storage_init(&s, 0);
    s.cc.priv = 1;
    assert_int_equal(ngx_http_rfc9111_storage(&s), NGX_HTTP_RFC9111_STORE);
}


/* RFC 9111, 3.5 */

static void
test_authorization(void **state)
{
    ngx_http_rfc9111_storage_t  s;

    storage_init(&s, 0);
    s.authorization = 1;
    assert_int_equal(ngx_http_rfc9111_storage(&s), NGX_HTTP_RFC9111_STORE);

    storage_init(&s, 1);
    s.authorization = 1;
    assert_int_equal(ngx_http_rfc9111_storage(&s),
                     NGX_HTTP_RFC9111_AUTHORIZATION);

    /* a lifetime, or what concerns staleness alone, does not allow it */

    s.cc.max_age = 60;
    s.cc.proxy_revalidate = 1;
    s.cc.no_transform = 1;
    assert_int_equal(ngx_http_rfc9111_storage(&s),
                     NGX_HTTP_RFC9111_AUTHORIZATION);

    /* each of the three does */

    storage_init(&s, 1);
    s.authorization = 1;
    s.cc.pub = 1;
    assert_int_equal(ngx_http_rfc9111_storage(&s), NGX_HTTP_RFC9111_STORE);

    storage_init(&s, 1);
    s.authorization = 1;
    s.cc.s_maxage = 0;
    assert_int_equal(ngx_http_rfc9111_storage(&s), NGX_HTTP_RFC9111_STORE);

    storage_init(&s, 1);
    s.authorization = 1;
    s.cc.must_revalidate = 1;
    assert_int_equal(ngx_http_rfc9111_storage(&s), NGX_HTTP_RFC9111_STORE);
}


static void
test_cookie(void **state)
{
    ngx_http_rfc9111_storage_t  s;

    storage_init(&s, 0);
    s.cookie = 1;
    assert_int_equal(ngx_http_rfc9111_storage(&s), NGX_HTTP_RFC9111_STORE);

    storage_init(&s, 1);
    s.cookie = 1;
    assert_int_equal(ngx_http_rfc9111_storage(&s), NGX_HTTP_RFC9111_COOKIE);

    /* must-revalidate allows an answer to Authorization, not to a cookie */

    s.cc.must_revalidate = 1;
    assert_int_equal(ngx_http_rfc9111_storage(&s), NGX_HTTP_RFC9111_COOKIE);

    s.cc.pub = 1;
    assert_int_equal(ngx_http_rfc9111_storage(&s), NGX_HTTP_RFC9111_STORE);

    s.cc.pub = 0;
    s.cc.s_maxage = 60;
    assert_int_equal(ngx_http_rfc9111_storage(&s), NGX_HTTP_RFC9111_STORE);

    /* what allows a cookie does so beside Authorization too */

    s.authorization = 1;
    assert_int_equal(ngx_http_rfc9111_storage(&s), NGX_HTTP_RFC9111_STORE);

    /* but not if it has to be asked about each time */

    s.validator = 1;
    s.cc.pub = 1;
    s.lifetime = 0;
    assert_int_equal(ngx_http_rfc9111_storage(&s), NGX_HTTP_RFC9111_COOKIE);

    s.lifetime = 60;
    s.cc.no_cache = 1;
    assert_int_equal(ngx_http_rfc9111_storage(&s), NGX_HTTP_RFC9111_COOKIE);

    s.cookie = 0;
    assert_int_equal(ngx_http_rfc9111_storage(&s), NGX_HTTP_RFC9111_STORE);
}


static void
test_set_cookie_and_vary(void **state)
{
    ngx_uint_t                  shared;
    ngx_http_rfc9111_storage_t  s;

    for (shared = 0; shared < 2; shared++) {
        storage_init(&s, shared);
        s.set_cookie = 1;
        s.cc.pub = 1;
        assert_int_equal(ngx_http_rfc9111_storage(&s),
                         NGX_HTTP_RFC9111_SET_COOKIE);

        storage_init(&s, shared);
        s.vary = 1;
        s.cc.pub = 1;
        assert_int_equal(ngx_http_rfc9111_storage(&s),
                         NGX_HTTP_RFC9111_VARY);
    }
}


static void
test_freshness(void **state)
{
    ngx_uint_t                  shared;
    ngx_http_rfc9111_storage_t  s;

    for (shared = 0; shared < 2; shared++) {
        storage_init(&s, shared);

        s.lifetime = 1;
        assert_int_equal(ngx_http_rfc9111_storage(&s),
                         NGX_HTTP_RFC9111_STORE);

        s.lifetime = 0;
        assert_int_equal(ngx_http_rfc9111_storage(&s),
                         NGX_HTTP_RFC9111_FRESHNESS);

        s.lifetime = -1;
        assert_int_equal(ngx_http_rfc9111_storage(&s),
                         NGX_HTTP_RFC9111_FRESHNESS);

        s.lifetime = -NGX_HTTP_RFC9111_DELTA_MAX;
        assert_int_equal(ngx_http_rfc9111_storage(&s),
                         NGX_HTTP_RFC9111_FRESHNESS);

        s.lifetime = NGX_HTTP_RFC9111_DELTA_MAX;
        assert_int_equal(ngx_http_rfc9111_storage(&s),
                         NGX_HTTP_RFC9111_STORE);
    }
}


/*
 * All inputs at once: nothing is stored for everyone that the origin did not
 * allow for everyone.
 */

static void
test_all(void **state)
{
    ngx_uint_t                  i;
    ngx_http_rfc9111_storage_t  s;

    for (i = 0; i < 1 << 13; i++) {
        storage_init(&s, i & 1);

        s.authorization = (i >> 1) & 1;
        s.cookie = (i >> 2) & 1;
        s.set_cookie = (i >> 3) & 1;
        s.vary = (i >> 4) & 1;
        s.cc.no_store = (i >> 5) & 1;
        s.cc.no_cache = (i >> 6) & 1;
        s.cc.priv = (i >> 7) & 1;
        s.cc.pub = (i >> 8) & 1;
        s.cc.must_revalidate = (i >> 9) & 1;
        s.cc.proxy_revalidate = (i >> 10) & 1;
        s.cc.s_maxage = ((i >> 11) & 1) ? 60 : -1;
        s.lifetime = ((i >> 12) & 1) ? 60 : 0;

        if (ngx_http_rfc9111_storage(&s) != NGX_HTTP_RFC9111_STORE) {
            continue;
        }

        assert_false(s.cc.no_store || s.cc.no_cache);
        assert_false(s.set_cookie || s.vary);
        assert_true(s.lifetime > 0);

        if (s.shared) {
            assert_false(s.cc.priv);
            assert_true(!s.authorization || s.cc.pub || s.cc.must_revalidate
                        || s.cc.s_maxage != -1);
            assert_true(!s.cookie || s.cc.pub || s.cc.s_maxage != -1);
        }
    }
}


static void
storage_init(ngx_http_rfc9111_storage_t *s, ngx_uint_t shared)
{
    ngx_memzero(s, sizeof(ngx_http_rfc9111_storage_t));

    ngx_http_rfc9111_control_init(&s->cc);

    s->status = 200;
    s->lifetime = 60;
    s->shared = shared;
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_store),
        cmocka_unit_test(test_status),
        cmocka_unit_test(test_no_store),
        cmocka_unit_test(test_must_understand),
        cmocka_unit_test(test_private),
        cmocka_unit_test(test_authorization),
        cmocka_unit_test(test_cookie),
        cmocka_unit_test(test_set_cookie_and_vary),
        cmocka_unit_test(test_freshness),
        cmocka_unit_test(test_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
