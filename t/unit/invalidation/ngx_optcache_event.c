
/*
 * Copyright (C) The Optcache authors
 */


/*
 * What applications write into the stream, and what hosts do.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <ngx_optcache_event.h>


#define SHA  "000102030405060708090a0b0c0d0e0f"                               \
             "101112131415161718191A1B1C1D1E1F"
#define MARK "089b851890dafb68"


static ngx_optcache_event_fields_t  ef;


/* strings up to NULL, each in memory that ends where it does */

static ngx_int_t
event_read(const char *first, ...)
{
    va_list     args;
    ngx_int_t   rc;
    ngx_str_t   fields[200];
    ngx_uint_t  i, n;

    va_start(args, first);

    for (n = 0; first; n++) {
        fields[n].len = strlen(first);
        fields[n].data = malloc(fields[n].len);
        memcpy(fields[n].data, first, fields[n].len);

        first = va_arg(args, const char *);
    }

    va_end(args);

    memset(&ef, 0xff, sizeof(ef));
    rc = ngx_optcache_event_read(fields, n, &ef);

    for (i = 0; i < n; i++) {
        free(fields[i].data);
    }

    return rc;
}


static ngx_str_t
str(const char *text)
{
    ngx_str_t  s;

    s.data = (u_char *) text;
    s.len = strlen(text);

    return s;
}


static uint64_t
tag_of(const char *text)
{
    ngx_str_t  s = str(text);

    return ngx_optcache_mark_tag(&s);
}


static uint32_t
uri_of(const char *text)
{
    ngx_str_t  s = str(text);

    return ngx_optcache_mark_uri(&s);
}


static uint32_t
host_of(const char *text)
{
    ngx_str_t  s = str(text);

    return ngx_optcache_mark_host(&s);
}


static uint64_t
prefix_of(const char *text, uint32_t host, ngx_uint_t soft)
{
    ngx_str_t  s = str(text);

    return ngx_optcache_mark_of_prefix(&s, host, soft);
}


static uint64_t
user_of(void)
{
    u_char      digest[32];
    ngx_uint_t  i;

    for (i = 0; i < 32; i++) {
        digest[i] = i;
    }

    return ngx_optcache_mark_user(digest);
}


#define one(m)                                                                \
    assert_int_equal(ef.n, 1);                                                \
    assert_true(ef.events[0].mark == (m));                                    \
    assert_int_equal(ef.events[0].soft, (m) >> 63)


static void
test_applications(void **state)
{
    uint32_t  host;

    host = host_of("a.example");

    assert_int_equal(event_read("tag", "x:1", NULL), NGX_OK);
    one(ngx_optcache_mark_of_tag(tag_of("x:1"), 0, 0));
    assert_int_equal(ef.events[0].prefix, 0);
    assert_true(ef.from == 0);

    assert_int_equal(event_read("soft", "1", "host", "A.Example", "tag", "x:1",
                                NULL),
                     NGX_OK);
    one(ngx_optcache_mark_of_tag(tag_of("x:1"), host, 1));

    assert_int_equal(event_read("uri", "/a?b=c", "soft", "0", NULL), NGX_OK);
    one(ngx_optcache_mark_of_uri(uri_of("/a?b=c"), 0, 0, 0));

    assert_int_equal(event_read("uri", "/a", "user", SHA, "host", "a.example",
                                NULL),
                     NGX_OK);
    one(ngx_optcache_mark_of_uri(uri_of("/a"), host, user_of(), 0));

    assert_int_equal(event_read("user", SHA, NULL), NGX_OK);
    one(ngx_optcache_mark_of_user(user_of(), 0));

    assert_int_equal(event_read("prefix", "/api/", "host", "a.example", NULL),
                     NGX_OK);
    one(prefix_of("/api/", host, 0));
    assert_int_equal(ef.events[0].prefix, 5);

    assert_int_equal(event_read("prefix", "/api/*", NULL), NGX_OK);
    one(prefix_of("/api/", 0, 0));
    assert_int_equal(ef.events[0].prefix, 5);

    assert_int_equal(event_read("host", "a.example", "soft", "1", NULL),
                     NGX_OK);
    one(ngx_optcache_mark_of_host(host, 1));

    assert_int_equal(event_read("all", "1", NULL), NGX_OK);
    one(ngx_optcache_mark_all(0));

    assert_int_equal(event_read("hello", "whatever", NULL), NGX_OK);
    assert_int_equal(ef.n, 0);
}


static void
test_several(void **state)
{
    ngx_str_t   fields[NGX_OPTCACHE_EVENT_FIELDS + 2];
    ngx_uint_t  i;

    assert_int_equal(event_read("tag", "a", "host", "h", "tag", "b", "soft",
                                "1", NULL),
                     NGX_OK);
    assert_int_equal(ef.n, 2);
    assert_true(ef.events[0].mark
                == ngx_optcache_mark_of_tag(tag_of("a"), host_of("h"), 1));
    assert_true(ef.events[1].mark
                == ngx_optcache_mark_of_tag(tag_of("b"), host_of("h"), 1));

    for (i = 0; i < NGX_OPTCACHE_EVENT_FIELDS + 2; i += 2) {
        fields[i] = str("prefix");
        fields[i + 1] = str("/a");
    }

    for (i = 0; i <= NGX_OPTCACHE_EVENT_FIELDS + 2; i++) {
        assert_int_equal(ngx_optcache_event_read(fields, i, &ef),
                         i && i % 2 == 0 && i <= 2 * NGX_OPTCACHE_EVENT_MAX
                         ? NGX_OK : NGX_DECLINED);
    }
}


static void
test_hosts(void **state)
{
    u_char  buf[NGX_OPTCACHE_EVENT_HEX];

    assert_int_equal(event_read("mark", MARK, NULL), NGX_OK);
    one(0x089b851890dafb68);

    assert_int_equal(event_read("mark", "8408DBcec4a6cb34", "soft", "1",
                                "from", "fedcba9876543210", NULL),
                     NGX_OK);
    one(0x8408dbcec4a6cb34);
    assert_true(ef.from == 0xfedcba9876543210);

    assert_int_equal(event_read("len", "5", "mark", "0a4eb7200ece99e9", NULL),
                     NGX_OK);
    one(0x0a4eb7200ece99e9);
    assert_int_equal(ef.events[0].prefix, 5);

    ngx_optcache_event_hex(buf, 0x0123456789abcdef);
    assert_memory_equal(buf, "0123456789abcdef", 16);

    assert_int_equal(event_read("mark", MARK, "len", "5", NULL), NGX_DECLINED);
    assert_int_equal(event_read("mark", "0a4eb7200ece99e9", NULL),
                     NGX_DECLINED);
    assert_int_equal(event_read("mark", "0a4eb7200ece99e9", "len", "4096",
                                NULL),
                     NGX_DECLINED);
    assert_int_equal(event_read("mark", "0a4eb7200ece99e9", "len",
                                "4294967301", NULL),
                     NGX_DECLINED);
    assert_int_equal(event_read("mark", "0a4eb7200ece99e9", "len", "", NULL),
                     NGX_DECLINED);
    assert_int_equal(event_read("mark", MARK, "soft", "1", NULL),
                     NGX_DECLINED);
    assert_int_equal(event_read("mark", "8408dbcec4a6cb34", NULL),
                     NGX_DECLINED);
    assert_int_equal(event_read("mark", MARK, "mark", MARK, NULL),
                     NGX_DECLINED);
    assert_int_equal(event_read("mark", "", NULL), NGX_DECLINED);
    assert_int_equal(event_read("mark", "89b851890dafb68", NULL),
                     NGX_DECLINED);
    assert_int_equal(event_read("mark", "089b851890dafb6g", NULL),
                     NGX_DECLINED);
    assert_int_equal(event_read("mark", "0000000000000000", NULL),
                     NGX_DECLINED);
    assert_int_equal(event_read("mark", "7f00000000000000", NULL),
                     NGX_DECLINED);
    assert_int_equal(event_read("mark", MARK, "from", "1", NULL),
                     NGX_DECLINED);
    assert_int_equal(event_read("mark", MARK, "host", "h", NULL),
                     NGX_DECLINED);
}


/* each of these is a mistake: nothing of it is taken */

static void
test_refused(void **state)
{
    ngx_uint_t  i;

    static const char  *bad[][6] = {
        { "" },
        { "tag", "x", "uri", "/x" },
        { "tag", "x", "prefix", "/x" },
        { "tag", "x", "all", "1" },
        { "tag", "x", "user", SHA },
        { "tag", "x", "ttl", "5" },
        { "tag", "x", "soft", "yes" },
        { "tag", "x", "soft", "1", "soft", "1" },
        { "tag", "x", "host", "a", "host", "b" },
        { "tag", "x", "len", "1" },
        { "tag", "x", "from", "0123456789abcdef" },
        { "tag", "" },
        { "TAG", "x" },
        { "tags", "x" },
        { "ta", "x" },
        { "tag", "x", "host", "" },
        { "uri", "" },
        { "uri", "x" },
        { "uri", "http://h/x" },
        { "uri", "/x", "user", "alice" },
        { "uri", "/x", "user", SHA, "user", SHA },
        { "prefix", "" },
        { "prefix", "*" },
        { "prefix", "x*" },
        { "user", "alice" },
        { "user", SHA "0" },
        { "user", "g00102030405060708090a0b0c0d0e0f"
                  "101112131415161718191A1B1C1D1E1F" },
        { "user", SHA, "host", "h" },
        { "host", "" },
        { "all", "0" },
        { "all", "" },
        { "all", "yes" },
        { "all", "1", "all", "1" },
        { "all", "1", "host", "h" },
        { "soft", "1" },
        { "len", "1" },
        { "hello", "x", "tag", "x" },
        { "hello", "x", "hello", "x" },
        { "hello", "x", "soft", "1" },
    };

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (event_read(bad[i][0], bad[i][1], bad[i][2], bad[i][3], bad[i][4],
                       bad[i][5], NULL)
            != NGX_DECLINED)
        {
            fail_msg("%s %s", bad[i][0], bad[i][1]);
        }
    }
}


static void
test_long(void **state)
{
    char  text[5000];

    memset(text, 'a', sizeof(text));
    text[0] = '/';

    text[NGX_OPTCACHE_MARK_PREFIX_MAX + 1] = '\0';
    assert_int_equal(event_read("prefix", text, NULL), NGX_DECLINED);
    assert_int_equal(event_read("uri", text, NULL), NGX_OK);

    text[NGX_OPTCACHE_MARK_PREFIX_MAX] = '\0';
    assert_int_equal(event_read("prefix", text, NULL), NGX_OK);

    text[256] = '\0';
    assert_int_equal(event_read("host", text, NULL), NGX_DECLINED);
    text[255] = '\0';
    assert_int_equal(event_read("host", text, NULL), NGX_OK);
}


static void
test_id(void **state)
{
    u_char                    buf[NGX_OPTCACHE_EVENT_ID], *p;
    ngx_str_t                 text;
    ngx_uint_t                i;
    ngx_optcache_ledger_id_t  id;

    static const char  *bad[] = {
        "", "-", "1", "1-", "-1", "1-2-3", "+1-2", "1- 2", "1-2\n", "0x1-2",
        "18446744073709551616-0", "1-18446744073709551616",
        "99999999999999999999-0"
    };

    text = str("1795277262343-7");
    assert_int_equal(ngx_optcache_event_id(&text, &id), NGX_OK);
    assert_true(id.ms == 1795277262343 && id.number == 7);

    text = str("18446744073709551615-18446744073709551615");
    assert_int_equal(ngx_optcache_event_id(&text, &id), NGX_OK);

    p = ngx_optcache_event_id_text(buf, &id);
    assert_int_equal(p - buf, text.len);
    assert_memory_equal(buf, text.data, text.len);

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        text = str(bad[i]);
        assert_int_equal(ngx_optcache_event_id(&text, &id), NGX_DECLINED);
    }
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_applications),
        cmocka_unit_test(test_several),
        cmocka_unit_test(test_hosts),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_long),
        cmocka_unit_test(test_id),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
