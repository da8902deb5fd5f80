
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <ngx_redis_url.h>


typedef struct {
    const char  *text;
    const char  *user;
    const char  *host;
    ngx_uint_t   port;
    ngx_uint_t   db;
    ngx_uint_t   tls;
    ngx_uint_t   local;
} url_t;


static ngx_int_t url_parse(const char *text, size_t len,
    ngx_redis_url_t *url, const char **err);
static void url_refused(const char *text, const char *expected);
static void url_equal(ngx_str_t *part, const char *expected);


static void
test_accepted(void **state)
{
    url_t            *row;
    const char       *err;
    ngx_redis_url_t   url;

    static url_t  rows[] = {
        { "redis://localhost", "", "localhost", 6379, 0, 0, 0 },
        { "redis://localhost/", "", "localhost", 6379, 0, 0, 0 },
        { "redis://a.b-c_d.example:1", "", "a.b-c_d.example", 1, 0, 0, 0 },
        { "redis://127.0.0.1:65535/15", "", "127.0.0.1", 65535, 15, 0, 0 },
        { "redis://[::1]", "", "::1", 6379, 0, 0, 0 },
        { "redis://[2001:db8::1]:7000/3", "", "2001:db8::1", 7000, 3, 0, 0 },
        { "redis://app@h", "app", "h", 6379, 0, 0, 0 },
        { "rediss://app@h:6380/1", "app", "h", 6380, 1, 1, 0 },
        { "REDISS://h", "", "h", 6379, 0, 1, 0 },
        { "unix:/run/redis.sock", "", "/run/redis.sock", 0, 0, 0, 1 },
        { "unix:/run/redis.sock:7", "", "/run/redis.sock", 0, 7, 0, 1 },
        { "unix:/run/@x:999999", "", "/run/@x", 0, 999999, 0, 1 },
        { NULL, NULL, NULL, 0, 0, 0, 0 }
    };

    for (row = rows; row->text; row++) {
        assert_int_equal(url_parse(row->text, strlen(row->text), &url, &err),
                         NGX_OK);

        url_equal(&url.user, row->user);
        url_equal(&url.host, row->host);
        assert_int_equal(url.port, row->port);
        assert_int_equal(url.db, row->db);
        assert_int_equal(url.tls, row->tls);
        assert_int_equal(url.local, row->local);
    }
}


static void
test_refused(void **state)
{
    const char **row;

    static const char  *rows[] = {
        "", "expected \"redis://host\"",
        "redis", "expected \"redis://host\"",
        "redis:", "expected \"redis://host\"",
        "redis://", "expected \"redis://host\"",
        "rediss://", "expected \"redis://host\"",
        "http://localhost", "expected \"redis://host\"",
        "localhost:6379", "expected \"redis://host\"",
        "unix:", "expected \"redis://host\"",
        "unix:run/redis.sock", "expected an absolute path",
        "unix:/run/redis.sock:", "invalid database",
        "unix:/run/redis.sock:x", "invalid database",
        "redis:///0", "invalid host",
        "redis://:6379", "invalid host",
        "redis://a b", "unexpected character",
        "redis://a\tb", "unexpected character",
        "redis://a\x7f", "unexpected character",
        "redis://\xc3\xa9", "unexpected character",
        "redis://a?b", "invalid host",
        "redis://a:", "invalid port",
        "redis://a:0", "invalid port",
        "redis://a:65536", "invalid port",
        "redis://a:18446744073709551617", "invalid port",
        "redis://a:-1", "invalid port",
        "redis://a:1x", "invalid port",
        "redis://a/x", "invalid database",
        "redis://a/-1", "invalid database",
        "redis://a/1/2", "invalid database",
        "redis://a/1000000", "invalid database",
        "redis://a/18446744073709551616", "invalid database",
        "redis://[::1", "no \"]\"",
        "redis://[]", "invalid host",
        "redis://[::g]", "invalid host",
        "redis://[127.0.0.1]", "invalid host",
        "redis://[::1]6379", "invalid port",
        "redis://::1", "invalid host",
        "redis://@a", "invalid user",
        "redis://a%40b@c", "invalid user",
        "redis://a@b@c", "invalid host",
        NULL
    };

    for (row = rows; *row; row += 2) {
        url_refused(row[0], row[1]);
    }
}


/* a password in a URL would end up in logs */

static void
test_password(void **state)
{
    url_refused("redis://:secret@a", "password_file");
    url_refused("redis://user:secret@a", "password_file");
    url_refused("rediss://user:@a:1/2", "password_file");
}


static void
test_nul(void **state)
{
    const char       *err;
    ngx_redis_url_t   url;

    assert_int_equal(url_parse("redis://a\0b", 11, &url, &err), NGX_ERROR);
    assert_int_equal(url_parse("unix:/a\0b", 9, &url, &err), NGX_ERROR);
}


static void
test_lengths(void **state)
{
    char              text[600];
    const char       *err;
    ngx_redis_url_t   url;

    memset(text, 'a', sizeof(text));

    memcpy(text, "redis://", 8);
    assert_int_equal(url_parse(text, 8 + 253, &url, &err), NGX_OK);
    assert_int_equal(url_parse(text, 8 + 254, &url, &err), NGX_ERROR);

    /* a socket's path has a terminating zero */

    memcpy(text, "unix:/", 6);
    assert_int_equal(url_parse(text, 5 + 107, &url, &err), NGX_OK);
    assert_int_equal(url_parse(text, 5 + 108, &url, &err), NGX_ERROR);
    assert_string_equal(err, "too long path");
}


/* the text is at the end of what was allocated */

static ngx_int_t
url_parse(const char *text, size_t len, ngx_redis_url_t *url,
    const char **err)
{
    ngx_int_t    rc;
    ngx_str_t    copy;

    static char  kept[1024];

    copy.len = len;
    copy.data = malloc(len ? len : 1);

    assert_non_null(copy.data);
    memcpy(copy.data, text, len);

    *err = NULL;
    rc = ngx_redis_url_parse(&copy, url, err);

    if (rc == NGX_ERROR) {
        assert_non_null(*err);
    }

    /* the parts point into the text */

    memcpy(kept, copy.data, len);

    if (rc == NGX_OK) {
        if (url->user.len) {
            url->user.data = (u_char *) kept + (url->user.data - copy.data);
        }

        url->host.data = (u_char *) kept + (url->host.data - copy.data);
    }

    free(copy.data);

    return rc;
}


static void
url_refused(const char *text, const char *expected)
{
    const char       *err;
    ngx_redis_url_t   url;

    if (url_parse(text, strlen(text), &url, &err) != NGX_ERROR) {
        fail_msg("\"%s\" is accepted", text);
    }

    if (strstr(err, expected) == NULL) {
        fail_msg("\"%s\": \"%s\", not \"%s\"", text, err, expected);
    }
}


static void
url_equal(ngx_str_t *part, const char *expected)
{
    assert_int_equal(part->len, strlen(expected));
    assert_memory_equal(part->data ? (char *) part->data : "", expected,
                        part->len);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_accepted),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_password),
        cmocka_unit_test(test_nul),
        cmocka_unit_test(test_lengths),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
