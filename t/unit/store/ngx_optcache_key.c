
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <ngx_optcache_key.h>


typedef struct {
    ngx_str_t                user;
    ngx_str_t                uri;
    ngx_str_t                value;
    ngx_optcache_key_kind_e  kind;
    ngx_str_t                identity;
} key_tuple_t;


static ngx_log_t  key_log;

static u_char     key_source[] = "(source)";


static int setup(void **state);
static int teardown(void **state);
static ngx_optcache_key_t key_create(ngx_pool_t *pool, const char *user,
    ngx_optcache_key_kind_e kind, const char *uri, const char *value);
static ngx_str_t key_random(ngx_pool_t *pool);
static int key_compare(const void *one, const void *two);
static ngx_uint_t key_same(ngx_str_t *one, ngx_str_t *two);
static ngx_uint_t key_holds(ngx_str_t *text, ngx_str_t *part);


/* The key of a user, shared, is what the request has without one. */

static void
test_share(void **state)
{
    ngx_pool_t          *pool = *state;
    size_t               i;
    ngx_str_t            own;
    ngx_optcache_key_t   key, shared;

    static const ngx_optcache_key_kind_e  kinds[] = {
        NGX_OPTCACHE_KEY_MAIN, NGX_OPTCACHE_KEY_INTERNAL,
        NGX_OPTCACHE_KEY_SUBREQUEST, NGX_OPTCACHE_KEY_POST
    };

    for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        key = key_create(pool, "abc", kinds[i], "/u", "k");
        shared = key_create(pool, "", kinds[i], "/u", "k");
        own = key.identity;

        assert_false(key.shared);
        assert_int_equal(ngx_optcache_key_share(pool, &key), NGX_OK);

        assert_true(key.shared);
        assert_int_equal(key.identity.len, shared.identity.len);
        assert_memory_equal(key.identity.data, shared.identity.data,
                            shared.identity.len);
        assert_int_equal(own.data[0], 'u');

        assert_int_equal(ngx_optcache_key_share(pool, &key), NGX_OK);
        assert_int_equal(key.identity.len, shared.identity.len);
    }
}


static void
test_layout(void **state)
{
    ngx_pool_t          *pool = *state;
    ngx_optcache_key_t   key;

    /* SHA-256 of "abc" (FIPS 180-2, B.1) */

    static const u_char  digest[] = {
        0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea,
        0x41, 0x41, 0x40, 0xde, 0x5d, 0xae, 0x22, 0x23,
        0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c,
        0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad
    };

    key = key_create(pool, "", NGX_OPTCACHE_KEY_MAIN, "", "k");
    assert_int_equal(key.identity.len, 3);
    assert_memory_equal(key.identity.data, "smk", 3);
    assert_true(key.shared);

    key = key_create(pool, "", NGX_OPTCACHE_KEY_SUBREQUEST, "/u", "k");
    assert_int_equal(key.identity.len, 9);
    assert_memory_equal(key.identity.data, "sr\2\0\0\0/uk", 9);

    key = key_create(pool, "", NGX_OPTCACHE_KEY_INTERNAL, "/u", "k");
    assert_int_equal(key.identity.len, 9);
    assert_memory_equal(key.identity.data, "si\2\0\0\0/uk", 9);

    key = key_create(pool, "", NGX_OPTCACHE_KEY_HEADER, "", "");
    assert_int_equal(key.identity.len, 6);
    assert_memory_equal(key.identity.data, "sh\0\0\0\0", 6);

    key = key_create(pool, "abc", NGX_OPTCACHE_KEY_MAIN, "", "k");
    assert_int_equal(key.identity.len, 1 + 32 + 8 + 1 + 1);
    assert_memory_equal(key.identity.data, "u", 1);
    assert_memory_equal(key.identity.data + 1, digest, 32);
    assert_memory_equal(key.identity.data + 33, "(source)mk", 10);
    assert_false(key.shared);
}


static void
test_uri_of_main(void **state)
{
    ngx_pool_t          *pool = *state;
    ngx_optcache_key_t   one, two;

    one = key_create(pool, "a", NGX_OPTCACHE_KEY_MAIN, "/x", "k");
    two = key_create(pool, "a", NGX_OPTCACHE_KEY_MAIN, "/y", "k");

    assert_true(key_same(&one.identity, &two.identity));

    one = key_create(pool, "a", NGX_OPTCACHE_KEY_SUBREQUEST, "/x", "k");
    two = key_create(pool, "a", NGX_OPTCACHE_KEY_SUBREQUEST, "/y", "k");

    assert_false(key_same(&one.identity, &two.identity));
}


static void
test_too_long(void **state)
{
    ngx_int_t            rc;
    ngx_str_t            empty, value, uri;
    ngx_pool_t          *pool = *state;
    ngx_optcache_key_t   key;
    ngx_optcache_user_t  none, user;

    ngx_str_null(&empty);
    ngx_str_null(&none.value);
    ngx_str_set(&user.value, "abc");
    user.source = key_source;

    value.data = ngx_pcalloc(pool, NGX_OPTCACHE_KEY_MAX + 1);
    assert_non_null(value.data);

    value.len = NGX_OPTCACHE_KEY_MAX - 2;
    rc = ngx_optcache_key_create(pool, &none, NGX_OPTCACHE_KEY_MAIN, &empty,
                                 &value, &key);
    assert_int_equal(rc, NGX_OK);
    assert_int_equal(key.identity.len, NGX_OPTCACHE_KEY_MAX);

    value.len++;
    rc = ngx_optcache_key_create(pool, &none, NGX_OPTCACHE_KEY_MAIN, &empty,
                                 &value, &key);
    assert_int_equal(rc, NGX_DECLINED);

    value.len = NGX_OPTCACHE_KEY_MAX - 2 - 32 - 8;
    rc = ngx_optcache_key_create(pool, &user, NGX_OPTCACHE_KEY_MAIN, &empty,
                                 &value, &key);
    assert_int_equal(rc, NGX_OK);
    assert_int_equal(key.identity.len, NGX_OPTCACHE_KEY_MAX);

    value.len++;
    rc = ngx_optcache_key_create(pool, &user, NGX_OPTCACHE_KEY_MAIN, &empty,
                                 &value, &key);
    assert_int_equal(rc, NGX_DECLINED);

    uri.data = value.data;
    uri.len = 100;
    value.len = NGX_OPTCACHE_KEY_MAX - 2 - 32 - 8 - 4 - 100;
    rc = ngx_optcache_key_create(pool, &user, NGX_OPTCACHE_KEY_HEADER, &uri,
                                 &value, &key);
    assert_int_equal(rc, NGX_OK);
    assert_int_equal(key.identity.len, NGX_OPTCACHE_KEY_MAX);

    uri.len++;
    rc = ngx_optcache_key_create(pool, &user, NGX_OPTCACHE_KEY_HEADER, &uri,
                                 &value, &key);
    assert_int_equal(rc, NGX_DECLINED);

    /* a long user is hashed, and never too long */

    user.value.data = value.data;
    user.value.len = NGX_OPTCACHE_KEY_MAX + 1;
    value.len = 10;
    rc = ngx_optcache_key_create(pool, &user, NGX_OPTCACHE_KEY_MAIN, &empty,
                                 &value, &key);
    assert_int_equal(rc, NGX_OK);
    assert_int_equal(key.identity.len, 1 + 32 + 8 + 1 + 10);
}


/* A value in parts is that value. */

static void
test_parts(void **state)
{
    ngx_str_t            uri, empty, value;
    ngx_pool_t          *pool = *state;
    ngx_optcache_key_t   one, two;
    ngx_optcache_user_t  none, user;

    ngx_str_t  parts[] = {
        ngx_string("http"), ngx_string("://"), ngx_null_string,
        ngx_string("a/b")
    };

    ngx_str_null(&empty);
    ngx_str_null(&none.value);
    ngx_str_set(&user.value, "abc");
    user.source = key_source;
    ngx_str_set(&uri, "/u?");
    ngx_str_set(&value, "http://a/b");

    assert_int_equal(ngx_optcache_key_join(pool, &user,
                                           NGX_OPTCACHE_KEY_INTERNAL, &uri,
                                           parts, 4, &one),
                     NGX_OK);
    assert_int_equal(ngx_optcache_key_create(pool, &user,
                                             NGX_OPTCACHE_KEY_INTERNAL, &uri,
                                             &value, &two),
                     NGX_OK);

    assert_int_equal(one.identity.len, two.identity.len);
    assert_memory_equal(one.identity.data, two.identity.data,
                        one.identity.len);

    assert_int_equal(ngx_optcache_key_join(pool, &none, NGX_OPTCACHE_KEY_MAIN,
                                           &empty, parts, 0, &one),
                     NGX_OK);
    assert_int_equal(one.identity.len, 2);
    assert_memory_equal(one.identity.data, "sm", 2);

    parts[0].len = NGX_OPTCACHE_KEY_MAX;

    assert_int_equal(ngx_optcache_key_join(pool, &none, NGX_OPTCACHE_KEY_MAIN,
                                           &empty, parts, 4, &one),
                     NGX_DECLINED);
}


/* One name in two senses is two users. */

static void
test_source(void **state)
{
    ngx_str_t            value;
    ngx_pool_t          *pool = *state;
    ngx_optcache_key_t   one, two;
    ngx_optcache_user_t  user;

    ngx_str_set(&value, "k");
    ngx_str_set(&user.value, "alice");

    user.source = key_source;
    assert_int_equal(ngx_optcache_key_create(pool, &user,
                                             NGX_OPTCACHE_KEY_MAIN, NULL,
                                             &value, &one),
                     NGX_OK);

    user.source = (u_char *) "[source]";
    assert_int_equal(ngx_optcache_key_create(pool, &user,
                                             NGX_OPTCACHE_KEY_MAIN, NULL,
                                             &value, &two),
                     NGX_OK);

    assert_false(key_same(&one.identity, &two.identity));

    /* what is told to forget a user means both */

    assert_memory_equal(ngx_optcache_key_user(&one.identity),
                        ngx_optcache_key_user(&two.identity), 32);

    assert_int_equal(ngx_optcache_key_share(pool, &one), NGX_OK);
    assert_int_equal(ngx_optcache_key_share(pool, &two), NGX_OK);
    assert_true(key_same(&one.identity, &two.identity));
}


/* What looks alike when written one after the other. */

static void
test_look_alikes(void **state)
{
    size_t               i, k;
    ngx_pool_t          *pool = *state;
    ngx_optcache_key_t   one, two;

    static struct {
        const char               *user;
        ngx_optcache_key_kind_e   kind;
        const char               *uri;
        const char               *value;
    } rows[] = {
        { "", NGX_OPTCACHE_KEY_MAIN, "", "" },
        { "", NGX_OPTCACHE_KEY_MAIN, "", "m" },
        { "", NGX_OPTCACHE_KEY_MAIN, "", "a" },
        { "a", NGX_OPTCACHE_KEY_MAIN, "", "" },
        { "a", NGX_OPTCACHE_KEY_MAIN, "", "a" },
        { "A", NGX_OPTCACHE_KEY_MAIN, "", "a" },
        { "a ", NGX_OPTCACHE_KEY_MAIN, "", "a" },
        { "aa", NGX_OPTCACHE_KEY_MAIN, "", "a" },
        { "", NGX_OPTCACHE_KEY_SUBREQUEST, "", "" },
        { "", NGX_OPTCACHE_KEY_SUBREQUEST, "a", "b" },
        { "", NGX_OPTCACHE_KEY_SUBREQUEST, "ab", "" },
        { "", NGX_OPTCACHE_KEY_SUBREQUEST, "", "ab" },
        { "", NGX_OPTCACHE_KEY_INTERNAL, "a", "b" },
        { "", NGX_OPTCACHE_KEY_INTERNAL, "ab", "" },
        { "", NGX_OPTCACHE_KEY_HEADER, "", "" },
        { "", NGX_OPTCACHE_KEY_HEADER, "a", "b" },
        { "", NGX_OPTCACHE_KEY_HEADER, "ab", "" },
        { "a", NGX_OPTCACHE_KEY_HEADER, "a", "b" },
        { "a", NGX_OPTCACHE_KEY_SUBREQUEST, "a", "b" },
    };

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (k = 0; k < i; k++) {
            one = key_create(pool, rows[i].user, rows[i].kind, rows[i].uri,
                             rows[i].value);
            two = key_create(pool, rows[k].user, rows[k].kind, rows[k].uri,
                             rows[k].value);

            if (key_same(&one.identity, &two.identity)) {
                fail_msg("rows %d and %d", (int) i, (int) k);
            }
        }
    }

    /* a shared key that is written like a user's */

    one = key_create(pool, "abc", NGX_OPTCACHE_KEY_MAIN, "", "k");
    two.identity.data = ngx_pcalloc(pool, 64);
    assert_non_null(two.identity.data);
    memcpy(two.identity.data, one.identity.data, one.identity.len);
    two = key_create(pool, "", NGX_OPTCACHE_KEY_MAIN, "",
                     (char *) two.identity.data);
    assert_false(key_same(&one.identity, &two.identity));
}


/*
 * Many small tuples of the bytes that identities are made of: those with the
 * same identity are the same tuples.
 */

static void
test_no_collision(void **state)
{
    ngx_int_t                 rc;
    ngx_uint_t                i, n, same, differ;
    ngx_pool_t               *pool = *state;
    key_tuple_t              *tuples, *t;
    ngx_optcache_key_t        key;
    ngx_optcache_user_t       user;
    ngx_optcache_key_kind_e   kinds[] = {
        NGX_OPTCACHE_KEY_MAIN, NGX_OPTCACHE_KEY_SUBREQUEST,
        NGX_OPTCACHE_KEY_HEADER, NGX_OPTCACHE_KEY_INTERNAL
    };

    n = 30000;
    tuples = ngx_pcalloc(pool, n * sizeof(key_tuple_t));
    assert_non_null(tuples);

    srandom(9111);

    for (i = 0; i < n; i++) {
        t = &tuples[i];

        t->user = key_random(pool);
        t->uri = key_random(pool);
        t->value = key_random(pool);
        t->kind = kinds[random() % 4];

        user.value = t->user;
        user.source = key_source;

        rc = ngx_optcache_key_create(pool, &user, t->kind, &t->uri, &t->value,
                                     &key);
        assert_int_equal(rc, NGX_OK);
        assert_int_equal(key.shared, t->user.len == 0);

        t->identity = key.identity;
    }

    ngx_qsort(tuples, n, sizeof(key_tuple_t), key_compare);

    same = 0;
    differ = 0;

    for (i = 1; i < n; i++) {

        if (!key_same(&tuples[i - 1].identity, &tuples[i].identity)) {
            differ++;
            continue;
        }

        same++;

        assert_true(key_same(&tuples[i - 1].user, &tuples[i].user));
        assert_true(key_same(&tuples[i - 1].value, &tuples[i].value));
        assert_int_equal(tuples[i - 1].kind, tuples[i].kind);

        if (tuples[i].kind != NGX_OPTCACHE_KEY_MAIN) {
            assert_true(key_same(&tuples[i - 1].uri, &tuples[i].uri));
        }
    }

    /* the tuples were small enough to meet, and not all the same */

    assert_true(same > 100);
    assert_true(differ > 1000);
}


static void
test_user_is_not_kept(void **state)
{
    ngx_int_t            rc;
    ngx_str_t            user, prefix, zone, name;
    ngx_uint_t           i;
    ngx_pool_t          *pool = *state;
    ngx_optcache_key_t   key;

    static char  token[] = "Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln";

    ngx_str_set(&prefix, "oc:");
    ngx_str_set(&zone, "z");

    key = key_create(pool, token, NGX_OPTCACHE_KEY_SUBREQUEST, "/u", "k");

    rc = ngx_optcache_key_name(pool, &prefix, &zone, &key, &name);
    assert_int_equal(rc, NGX_OK);

    /* nor any piece of it that is long enough not to be there by chance */

    for (i = 0; i + 6 < sizeof(token); i++) {
        user.data = (u_char *) token + i;
        user.len = 6;

        assert_false(key_holds(&key.identity, &user));
        assert_false(key_holds(&name, &user));
    }
}


static void
test_name(void **state)
{
    ngx_int_t            rc;
    ngx_str_t            prefix, zone, name, other;
    ngx_pool_t          *pool = *state;
    ngx_optcache_key_t   key;

    /* the identity "smk" in SHA-256 */

    static const char  expected[] = "oc:zone:"
        "a75659329cdef6c7285414ea3baea4e0"
        "77b2cfe83048df18bbd7a7c8fd78cf2b";

    ngx_str_set(&prefix, "oc:");
    ngx_str_set(&zone, "zone");

    key = key_create(pool, "", NGX_OPTCACHE_KEY_MAIN, "", "k");

    rc = ngx_optcache_key_name(pool, &prefix, &zone, &key, &name);
    assert_int_equal(rc, NGX_OK);
    assert_int_equal(name.len, sizeof(expected) - 1);
    assert_memory_equal(name.data, expected, name.len);

    /* of another user, another name */

    key = key_create(pool, "a", NGX_OPTCACHE_KEY_MAIN, "", "k");

    rc = ngx_optcache_key_name(pool, &prefix, &zone, &key, &other);
    assert_int_equal(rc, NGX_OK);
    assert_int_equal(other.len, name.len);
    assert_memory_equal(other.data, "oc:zone:", 8);
    assert_false(key_same(&name, &other));
}


static int
setup(void **state)
{
    ngx_pagesize = getpagesize();

    *state = ngx_create_pool(4096, &key_log);

    return (*state == NULL) ? -1 : 0;
}


static int
teardown(void **state)
{
    ngx_destroy_pool(*state);

    return 0;
}


static ngx_optcache_key_t
key_create(ngx_pool_t *pool, const char *user, ngx_optcache_key_kind_e kind,
    const char *uri, const char *value)
{
    ngx_int_t            rc;
    ngx_str_t            r, v;
    ngx_optcache_key_t   key;
    ngx_optcache_user_t  u;

    u.value.data = (u_char *) user;
    u.value.len = strlen(user);
    u.source = key_source;
    r.data = (u_char *) uri;
    r.len = strlen(uri);
    v.data = (u_char *) value;
    v.len = strlen(value);

    memset(&key, 0xff, sizeof(key));

    rc = ngx_optcache_key_create(pool, &u, kind, &r, &v, &key);
    assert_int_equal(rc, NGX_OK);

    return key;
}


/* up to three of the bytes that stand for something in an identity */

static ngx_str_t
key_random(ngx_pool_t *pool)
{
    size_t     i;
    ngx_str_t  s;

    static const u_char  bytes[] = {
        's', 'u', 'm', 'r', 'h', 'i', 0, 1, 2
    };

    s.len = random() % 4;
    s.data = ngx_pnalloc(pool, 4);
    assert_non_null(s.data);

    for (i = 0; i < s.len; i++) {
        s.data[i] = bytes[random() % sizeof(bytes)];
    }

    return s;
}


static int
key_compare(const void *one, const void *two)
{
    const key_tuple_t  *a = one;
    const key_tuple_t  *b = two;

    return (int) ngx_memn2cmp(a->identity.data, b->identity.data,
                              a->identity.len, b->identity.len);
}


static ngx_uint_t
key_same(ngx_str_t *one, ngx_str_t *two)
{
    return one->len == two->len
           && ngx_memcmp(one->data, two->data, one->len) == 0;
}


static ngx_uint_t
key_holds(ngx_str_t *text, ngx_str_t *part)
{
    size_t  i;

    for (i = 0; i + part->len <= text->len; i++) {
        if (ngx_memcmp(text->data + i, part->data, part->len) == 0) {
            return 1;
        }
    }

    return 0;
}


/* What several URIs find, also as one of the responses that Vary tells apart. */

static void
test_searched(void **state)
{
    ngx_pool_t          *pool = *state;
    size_t               i, k;
    u_char               vary[13 + 128];
    ngx_str_t            varied;
    ngx_optcache_key_t   key;

    static const ngx_optcache_key_kind_e  kinds[] = {
        NGX_OPTCACHE_KEY_SEARCH, NGX_OPTCACHE_KEY_MAIN,
        NGX_OPTCACHE_KEY_INTERNAL, NGX_OPTCACHE_KEY_RULE
    };

    static const char  *users[] = { "", "q" };

    for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        for (k = 0; k < 2; k++) {
            key = key_create(pool, users[k], kinds[i], "params", "qqq");

            assert_int_equal(ngx_optcache_key_searched(&key.identity),
                             kinds[i] == NGX_OPTCACHE_KEY_SEARCH);

            ngx_memset(vary, 'q', sizeof(vary));
            vary[0] = 'v';
            ngx_memcpy(vary + 13, key.identity.data, key.identity.len);

            varied.data = vary;
            varied.len = 13 + key.identity.len;

            assert_int_equal(ngx_optcache_key_searched(&varied),
                             kinds[i] == NGX_OPTCACHE_KEY_SEARCH);
        }
    }

    /* nothing behind its end is looked at */

    for (varied.len = 0; varied.len <= 14; varied.len++) {
        assert_false(ngx_optcache_key_searched(&varied));
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_layout),
        cmocka_unit_test(test_share),
        cmocka_unit_test(test_uri_of_main),
        cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_source),
        cmocka_unit_test(test_look_alikes),
        cmocka_unit_test(test_no_collision),
        cmocka_unit_test(test_user_is_not_kept),
        cmocka_unit_test(test_name),
        cmocka_unit_test(test_searched),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
