
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <ngx_optcache_field.h>


#define HEADER  6


static ngx_optcache_field_e field_id(const char *name);
static ngx_uint_t field_valid(const char *name, size_t name_len,
    const char *value, size_t value_len);
static u_char *field_add(u_char *p, ngx_optcache_field_e id, const char *name,
    const char *value);
static ngx_int_t field_check(u_char *data, size_t len);
static ngx_int_t field_check_one(ngx_optcache_field_e id, const char *name,
    const char *value);


static void
test_id(void **state)
{
    assert_int_equal(field_id("Content-Type"),
                     NGX_OPTCACHE_FIELD_CONTENT_TYPE);
    assert_int_equal(field_id("content-encoding"),
                     NGX_OPTCACHE_FIELD_CONTENT_ENCODING);
    assert_int_equal(field_id("LAST-MODIFIED"),
                     NGX_OPTCACHE_FIELD_LAST_MODIFIED);
    assert_int_equal(field_id("ETag"), NGX_OPTCACHE_FIELD_ETAG);
    assert_int_equal(field_id("dAtE"), NGX_OPTCACHE_FIELD_DATE);
    assert_int_equal(field_id("Expires"), NGX_OPTCACHE_FIELD_EXPIRES);
    assert_int_equal(field_id("Cache-Control"),
                     NGX_OPTCACHE_FIELD_CACHE_CONTROL);
    assert_int_equal(field_id("Vary"), NGX_OPTCACHE_FIELD_VARY);
    assert_int_equal(field_id("Location"), NGX_OPTCACHE_FIELD_LOCATION);
    assert_int_equal(field_id("server"), NGX_OPTCACHE_FIELD_SERVER);
    assert_int_equal(field_id("WWW-Authenticate"),
                     NGX_OPTCACHE_FIELD_WWW_AUTHENTICATE);

    assert_int_equal(field_id("X-Location"), NGX_OPTCACHE_FIELD_OTHER);
    assert_int_equal(field_id("X-RateLimit"), NGX_OPTCACHE_FIELD_OTHER);
    assert_int_equal(field_id("RateLimiter"), NGX_OPTCACHE_FIELD_OTHER);
    assert_int_equal(field_id("Dat"), NGX_OPTCACHE_FIELD_OTHER);
    assert_int_equal(field_id("Dates"), NGX_OPTCACHE_FIELD_OTHER);
    assert_int_equal(field_id(""), NGX_OPTCACHE_FIELD_OTHER);
}


static void
test_never(void **state)
{
    size_t  i;

    static const char  *names[] = {

        /* RFC 9110, 7.6.1 and RFC 9111, 3.1 */
        "Connection", "Keep-Alive", "Proxy-Connection", "TE", "Trailer",
        "Transfer-Encoding", "Upgrade", "Proxy-Authenticate",
        "Proxy-Authentication-Info", "Proxy-Authorization",

        /* the frame of one message, or one part of it */
        "Content-Length", "Accept-Ranges",

        "Age", "X-Cache",

        "RateLimit", "RateLimit-Policy", "RateLimit-Limit",
        "RateLimit-Remaining", "RateLimit-Reset", "X-RateLimit-Limit",
        "X-RateLimit-Remaining", "x-ratelimit-reset", "X-RateLimit-Used",
        "RateLimit-x", "X-Rate-Limit-Limit", "x-rate-limit-y"
    };

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (field_id(names[i]) != NGX_OPTCACHE_FIELD_NEVER) {
            fail_msg("%s", names[i]);
        }
    }
}


/* RFC 9110, 5.1 and 5.6.2 */

static void
test_valid_name(void **state)
{
    char        name[3];
    ngx_uint_t  ch, token;

    assert_true(field_valid("x", 1, "", 0));
    assert_false(field_valid("", 0, "x", 1));

    for (ch = 0; ch < 256; ch++) {
        name[0] = 'x';
        name[1] = (char) ch;
        name[2] = 'y';

        token = (ch >= '0' && ch <= '9') || (ch >= 'a' && ch <= 'z')
                || (ch >= 'A' && ch <= 'Z')
                || (ch && strchr("!#$%&'*+-.^_`|~", (int) ch));

        if (field_valid(name, 3, "v", 1) != token
            || field_valid(&name[1], 1, "v", 1) != token)
        {
            fail_msg("byte %d in a name", (int) ch);
        }
    }
}


/* RFC 9110, 5.5: nothing in a value begins another field */

static void
test_valid_value(void **state)
{
    char        value[3];
    ngx_uint_t  ch, control;

    for (ch = 0; ch < 256; ch++) {
        value[0] = 'x';
        value[1] = (char) ch;
        value[2] = 'y';

        control = (ch < 0x20 && ch != '\t') || ch == 0x7f;

        if (field_valid("n", 1, value, 3) == control
            || field_valid("n", 1, value, 2) == control
            || field_valid("n", 1, &value[1], 1) == control)
        {
            fail_msg("byte %d in a value", (int) ch);
        }
    }
}


/* every byte at every place of a value, which is read in pieces of 8 */

static void
test_valid_every(void **state)
{
    u_char                value[19];
    ngx_uint_t            ch, i, valid;
    ngx_optcache_field_t  field;

    field.name.data = (u_char *) "X";
    field.name.len = 1;
    field.value.data = value;
    field.value.len = sizeof(value);

    for (ch = 0; ch < 256; ch++) {
        valid = (ch >= 0x20 || ch == '\t') && ch != 0x7f;

        for (i = 0; i < sizeof(value); i++) {
            memset(value, (i % 2) ? 0xff : ' ', sizeof(value));
            value[i] = (u_char) ch;

            assert_int_equal(ngx_optcache_field_valid(&field), valid);
        }

        field.name.data = value;
        value[0] = (u_char) ch;

        assert_int_equal(ngx_optcache_field_valid(&field) && ch != 0,
                         valid && ch != 0
                         && (isalnum((int) ch)
                             || strchr("!#$%&'*+-.^_`|~", (int) ch)));

        field.name.data = (u_char *) "X";
    }
}


static void
test_round_trip(void **state)
{
    size_t                i;
    u_char               *p, *data;
    ngx_optcache_field_t  in, out;

    static struct {
        size_t  name;
        size_t  value;
    } sizes[] = {
        { 1, 0 },
        { 1, 1 },
        { NGX_OPTCACHE_NAME_MAX, 0 },
        { NGX_OPTCACHE_NAME_MAX, 255 },
        { 7, 256 },
        { 7, 65535 },
        { 7, 65536 },
        { 7, 16777217 },
    };

    for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {

        in.id = NGX_OPTCACHE_FIELD_VARY;
        in.name.len = sizes[i].name;
        in.value.len = sizes[i].value;
        in.name.data = malloc(in.name.len);
        in.value.data = malloc(in.value.len + 1);

        assert_non_null(in.name.data);
        assert_non_null(in.value.data);

        memset(in.name.data, 'n', in.name.len);
        memset(in.value.data, 'v', in.value.len);

        data = malloc(ngx_optcache_field_size(&in));
        assert_non_null(data);

        p = ngx_optcache_field_write(data, &in);
        assert_ptr_equal(p, data + ngx_optcache_field_size(&in));

        assert_ptr_equal(ngx_optcache_field_read(data, p, &out), p);

        assert_int_equal(out.id, in.id);
        assert_int_equal(out.name.len, in.name.len);
        assert_int_equal(out.value.len, in.value.len);
        assert_memory_equal(out.name.data, in.name.data, in.name.len);

        if (in.value.len) {
            assert_memory_equal(out.value.data, in.value.data, in.value.len);
        }

        free(data);
        free(in.value.data);
        free(in.name.data);
    }
}


/* A module may have added a field without a value. */

static void
test_no_address(void **state)
{
    u_char                data[32], *p;
    ngx_optcache_field_t  field;

    static const u_char  expected[] = { 0, 3, 0, 0, 0, 0, 'X', '-', 'A' };

    field.id = NGX_OPTCACHE_FIELD_OTHER;
    ngx_str_set(&field.name, "X-A");
    ngx_str_null(&field.value);

    p = ngx_optcache_field_write(data, &field);

    assert_int_equal(p - data, sizeof(expected));
    assert_memory_equal(data, expected, sizeof(expected));
}


/* The bytes are in Redis: they are the same on every host. */

static void
test_layout(void **state)
{
    u_char  data[32], *p;

    static const u_char  expected[] = {
        4, 4, 3, 0, 0, 0, 'E', 'T', 'a', 'g', '"', 'a', '"'
    };

    p = field_add(data, NGX_OPTCACHE_FIELD_ETAG, "ETag", "\"a\"");

    assert_int_equal(p - data, sizeof(expected));
    assert_memory_equal(data, expected, sizeof(expected));
}


static void
test_read_short(void **state)
{
    size_t                len, i;
    u_char                data[64], *copy, *p;
    ngx_optcache_field_t  field;

    p = field_add(data, NGX_OPTCACHE_FIELD_OTHER, "X-Some", "value");
    len = p - data;

    for (i = 0; i < len; i++) {
        copy = malloc(i);
        assert_true(copy != NULL || i == 0);
        memcpy(copy, data, i);

        assert_null(ngx_optcache_field_read(copy, copy + i, &field));

        free(copy);
    }

    /* a field ends where its lengths say, whatever follows */

    assert_ptr_equal(ngx_optcache_field_read(data, data + len + 1, &field),
                     data + len);
}


static void
test_read_lengths(void **state)
{
    size_t                i;
    u_char                data[HEADER + 4];
    ngx_optcache_field_t  field;

    static const u_char  lengths[][5] = {
        { 1, 4, 0, 0, 0 },
        { 5, 0, 0, 0, 0 },
        { 255, 0, 0, 0, 0 },
        { 0, 5, 0, 0, 0 },
        { 0, 0, 1, 0, 0 },
        { 0, 0, 0, 1, 0 },
        { 0, 0, 0, 0, 1 },
        { 4, 0, 0, 0, 0x80 },
        { 4, 0xff, 0xff, 0xff, 0x7f },
        { 4, 0xff, 0xff, 0xff, 0xff },
        { 0, 0xff, 0xff, 0xff, 0xff },
        { 255, 0xff, 0xff, 0xff, 0xff },
        { 4, 0xfa, 0xff, 0xff, 0xff },
        { 4, 0xfc, 0xff, 0xff, 0xff },
    };

    memset(data, 'x', sizeof(data));
    data[0] = 0;

    for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        memcpy(data + 1, lengths[i], 5);

        if (ngx_optcache_field_read(data, data + sizeof(data), &field)) {
            fail_msg("lengths %d", (int) i);
        }
    }

    memcpy(data + 1, "\4\0\0\0\0", 5);
    assert_non_null(ngx_optcache_field_read(data, data + sizeof(data),
                                            &field));
}


static void
test_check(void **state)
{
    size_t   i, len;
    u_char   data[256], *p;

    p = data;
    p = field_add(p, NGX_OPTCACHE_FIELD_DATE, "Date", "x");
    p = field_add(p, NGX_OPTCACHE_FIELD_CONTENT_TYPE, "CONTENT-type", "a/b");
    p = field_add(p, NGX_OPTCACHE_FIELD_OTHER, "X-Some", "");
    len = p - data;

    assert_int_equal(field_check(data, 0), NGX_OK);
    assert_int_equal(field_check(data, len), NGX_OK);

    /* cut anywhere but between fields, or with a byte too many */

    for (i = 1; i < len; i++) {
        if (i == HEADER + 4 + 1 || i == HEADER + 4 + 1 + HEADER + 12 + 3) {
            continue;
        }

        if (field_check(data, i) != NGX_DECLINED) {
            fail_msg("cut at %d", (int) i);
        }
    }

    data[len] = 0;
    assert_int_equal(field_check(data, len + 1), NGX_DECLINED);
}


static void
test_check_content(void **state)
{
    size_t  i;

    static const char  *never[] = {
        "Content-Length", "transfer-encoding", "Connection", "Age",
        "Trailer", "X-RateLimit-Limit"
    };

    assert_int_equal(field_check_one(NGX_OPTCACHE_FIELD_OTHER, "X-A", "b"),
                     NGX_OK);

    /* what would begin another field, or a body */

    assert_int_equal(field_check_one(0, "X-A", "b\r\nSet-Cookie: c"),
                     NGX_DECLINED);
    assert_int_equal(field_check_one(0, "X-A", "b\n\n<html>"), NGX_DECLINED);
    assert_int_equal(field_check_one(0, "X-A: b\r\nX-B", "c"), NGX_DECLINED);
    assert_int_equal(field_check_one(0, "X-A ", "c"), NGX_DECLINED);
    assert_int_equal(field_check_one(0, "X-A:", "c"), NGX_DECLINED);
    assert_int_equal(field_check_one(0, "", "c"), NGX_DECLINED);
    assert_int_equal(field_check_one(0, ":status", "500"), NGX_DECLINED);

    /* a name that is known says nothing of the value */

    assert_int_equal(field_check_one(NGX_OPTCACHE_FIELD_ETAG, "etag", "b"),
                     NGX_OK);
    assert_int_equal(field_check_one(NGX_OPTCACHE_FIELD_ETAG, "etag",
                                     "b\r\nSet-Cookie: c"),
                     NGX_DECLINED);
    assert_int_equal(field_check_one(NGX_OPTCACHE_FIELD_ETAG, "etag", "\x7f"),
                     NGX_DECLINED);

    /* whatever id they pretend to have */

    for (i = 0; i < sizeof(never) / sizeof(never[0]); i++) {
        assert_int_equal(field_check_one(0, never[i], "1"), NGX_DECLINED);
        assert_int_equal(field_check_one(NGX_OPTCACHE_FIELD_NEVER, never[i],
                                         "1"),
                         NGX_DECLINED);
        assert_int_equal(field_check_one(NGX_OPTCACHE_FIELD_ETAG, never[i],
                                         "1"),
                         NGX_DECLINED);
    }
}


/* The id alone decides where nginx puts a field. */

static void
test_check_id(void **state)
{
    size_t      i;
    ngx_uint_t  id, own;

    static const char  *names[] = {
        "Content-Type", "Content-Encoding", "Last-Modified", "ETag", "Date",
        "Expires", "Cache-Control", "Vary", "Location", "X-Other", "Server",
        "WWW-Authenticate"
    };

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        own = field_id(names[i]);

        for (id = 0; id < 256; id++) {
            if ((field_check_one(id, names[i], "v") == NGX_OK)
                != (id == own
                    || ((own == NGX_OPTCACHE_FIELD_LOCATION
                         || own == NGX_OPTCACHE_FIELD_SERVER
                         || own == NGX_OPTCACHE_FIELD_WWW_AUTHENTICATE)
                        && id == NGX_OPTCACHE_FIELD_OTHER)))
            {
                fail_msg("%s with id %d", names[i], (int) id);
            }
        }
    }
}


static ngx_optcache_field_e
field_id(const char *name)
{
    ngx_str_t  s;

    s.data = (u_char *) name;
    s.len = strlen(name);

    return ngx_optcache_field_id(&s);
}


static ngx_uint_t
field_valid(const char *name, size_t name_len, const char *value,
    size_t value_len)
{
    ngx_optcache_field_t  field;

    field.id = NGX_OPTCACHE_FIELD_OTHER;
    field.name.data = (u_char *) name;
    field.name.len = name_len;
    field.value.data = (u_char *) value;
    field.value.len = value_len;

    return ngx_optcache_field_valid(&field);
}


static u_char *
field_add(u_char *p, ngx_optcache_field_e id, const char *name,
    const char *value)
{
    ngx_optcache_field_t  field;

    field.id = id;
    field.name.data = (u_char *) name;
    field.name.len = strlen(name);
    field.value.data = (u_char *) value;
    field.value.len = strlen(value);

    return ngx_optcache_field_write(p, &field);
}


/* checks a copy that ends where the head does, so that overruns are seen */

static ngx_int_t
field_check(u_char *data, size_t len)
{
    ngx_int_t  rc;
    ngx_str_t  head;

    head.len = len;
    head.data = malloc(len);
    assert_true(head.data != NULL || len == 0);

    memcpy(head.data, data, len);

    rc = ngx_optcache_field_check(&head);

    free(head.data);

    return rc;
}


static ngx_int_t
field_check_one(ngx_optcache_field_e id, const char *name, const char *value)
{
    u_char  data[256], *p;

    p = field_add(data, id, name, value);

    return field_check(data, p - data);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_id),
        cmocka_unit_test(test_never),
        cmocka_unit_test(test_valid_name),
        cmocka_unit_test(test_valid_value),
        cmocka_unit_test(test_valid_every),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_no_address),
        cmocka_unit_test(test_layout),
        cmocka_unit_test(test_read_short),
        cmocka_unit_test(test_read_lengths),
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_check_content),
        cmocka_unit_test(test_check_id),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
