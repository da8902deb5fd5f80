
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <ngx_optcache_entry.h>


#define NOW     ((time_t) 1700000000)

/* offsets of the numbers in a value */

#define SUM            4
#define STATUS         8
#define AGE            12
#define LIFETIME       16
#define DATE           20
#define LAST_MODIFIED  28
#define MAX_STALE      36
#define POSITION       48
#define HOST           56
#define URI            60
#define KEY_LEN        64
#define HEAD_LEN       68
#define BODY_LEN       72
#define GZIP_LEN       76
#define TAGS           80


static ngx_log_t  entry_log;
static uint64_t   entry_tags[] = { 1, 0xfedcba9876543210 };
static ngx_str_t  entry_key = ngx_string("s:the identity");


static int setup(void **state);
static int teardown(void **state);
static void entry_init(ngx_pool_t *pool, ngx_optcache_entry_t *e);
static void entry_head(ngx_pool_t *pool, ngx_optcache_entry_t *e,
    ngx_optcache_field_e id, const char *name, const char *value);
static ngx_chain_t *entry_chain(ngx_pool_t *pool, const char *data,
    size_t len, size_t piece);
static ngx_str_t entry_encode(ngx_pool_t *pool, ngx_optcache_entry_t *e);
static ngx_int_t entry_decode(ngx_str_t *value, ngx_str_t *key);
static ngx_int_t entry_decode_bytes(u_char *data, size_t len,
    ngx_str_t *key);
static ngx_int_t entry_decode_signed(ngx_str_t *value);
static void entry_sign(ngx_str_t *value);
static void entry_put(ngx_str_t *value, size_t offset, size_t size,
    uint64_t n);
static void assert_chain(ngx_chain_t *cl, const char *data, size_t len);


static void
test_round_trip(void **state)
{
    ngx_str_t              value;
    ngx_pool_t            *pool = *state;
    ngx_optcache_entry_t   in, out;

    entry_init(pool, &in);
    value = entry_encode(pool, &in);

    memset(&out, 0xff, sizeof(out));
    assert_int_equal(ngx_optcache_entry_decode(pool, &value, &in.key, NOW,
                                               &out),
                     NGX_OK);

    assert_int_equal(out.status, 203);
    assert_int_equal(out.age, 7);
    assert_int_equal(out.lifetime, 60);
    assert_int_equal(out.date, NOW - 5);
    assert_int_equal(out.last_modified, NOW - 1000);

    assert_int_equal(out.key.len, in.key.len);
    assert_memory_equal(out.key.data, in.key.data, in.key.len);

    assert_int_equal(out.head.len, in.head.len);
    assert_memory_equal(out.head.data, in.head.data, in.head.len);

    assert_int_equal(out.body_len, 11);
    assert_chain(out.body, "hello world", 11);

    assert_int_equal(out.gzip_len, 4);
    assert_chain(out.gzip, "zip!", 4);

    assert_int_equal(out.origin.host, 0x8abcdef1);
    assert_int_equal(out.origin.uri, 2);
    assert_int_equal(out.moment.position, 0x1234567890);
    assert_int_equal(out.moment.clock, 0);
    assert_null(out.compared);
    assert_int_equal(out.ntags, 2);
    assert_true(out.tags[0] == 1 && out.tags[1] == 0xfedcba9876543210);

    /* nothing was copied */

    assert_true(out.key.data >= value.data
                && out.key.data < value.data + value.len);
    assert_ptr_equal(out.gzip->buf->last, value.data + value.len);
}


/* The bytes of version 3, which other hosts have written. */

static void
test_layout(void **state)
{
    ngx_str_t              value;
    uint64_t               tag;
    ngx_pool_t            *pool = *state;
    ngx_optcache_entry_t   e;

    static const u_char  expected[] = {
        0xc8, 0, 0, 0,
        1, 0, 0, 0,
        2, 1, 0, 0,
        0x10, 0x32, 0x54, 0x76, 0, 0, 0, 0,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0, 0, 0, 0x80,
        7, 0, 0, 0,
        3, 1, 0, 0,
        0xf0, 0xde, 0xbc, 0x9a, 0x78, 0x56, 0x34, 0x12,
        4, 3, 2, 1,
        8, 7, 6, 5,
        1, 0, 0, 0,
        8, 0, 0, 0,
        3, 0, 0, 0,
        2, 0, 0, 0,
        1, 0, 0, 0,
        'k',
        1, 0, 0, 0, 0, 0, 0, 2,
        0, 1, 1, 0, 0, 0, 'n', 'v',
        'b', 'o', 'd',
        'g', 'z'
    };

    ngx_memzero(&e, sizeof(e));

    e.status = 200;
    e.age = 1;
    e.lifetime = 258;
    e.date = 0x76543210;
    e.last_modified = -1;
    e.max_stale = 0x80000000;
    e.stale_while_revalidate = 7;
    e.stale_if_error = 259;
    e.moment.position = 0x123456789abcdef0;
    e.origin.host = 0x01020304;
    e.origin.uri = 0x05060708;
    tag = 0x0200000000000001;
    e.tags = &tag;
    e.ntags = 1;
    ngx_str_set(&e.key, "k");
    entry_head(pool, &e, NGX_OPTCACHE_FIELD_OTHER, "n", "v");
    e.body = entry_chain(pool, "bod", 3, 2);
    e.body_len = 3;
    e.gzip = entry_chain(pool, "gz", 2, 2);
    e.gzip_len = 2;

    value = entry_encode(pool, &e);

    assert_int_equal(value.len, 8 + sizeof(expected));
    assert_memory_equal(value.data, "OPC4", 4);
    assert_memory_equal(value.data + 8, expected, sizeof(expected));
}


static void
test_empty(void **state)
{
    ngx_str_t              value;
    ngx_pool_t            *pool = *state;
    ngx_optcache_entry_t   in, out;

    ngx_memzero(&in, sizeof(in));

    ngx_str_set(&in.key, "k");
    ngx_str_set(&in.head, "");
    in.status = 204;
    in.last_modified = -1;
    in.lifetime = 1;
    in.origin.host = 1;
    in.origin.uri = 1;

    value = entry_encode(pool, &in);
    assert_int_equal(value.len, NGX_OPTCACHE_ENTRY_HEADER + 1);

    assert_int_equal(ngx_optcache_entry_decode(pool, &value, &in.key, NOW,
                                               &out),
                     NGX_OK);

    assert_int_equal(out.status, 204);
    assert_int_equal(out.last_modified, -1);
    assert_int_equal(out.date, 0);
    assert_int_equal(out.head.len, 0);
    assert_null(out.body);
    assert_null(out.gzip);
    assert_null(out.tags);
}


/* a gzip that was given up may leave its chain behind: it is not taken */

static void
test_gzip_not_kept(void **state)
{
    ngx_str_t              value;
    ngx_pool_t            *pool = *state;
    ngx_optcache_entry_t   in, out;

    entry_init(pool, &in);
    in.gzip_len = 0;

    value = entry_encode(pool, &in);

    assert_int_equal(ngx_optcache_entry_decode(pool, &value, &in.key, NOW,
                                               &out),
                     NGX_OK);
    assert_null(out.gzip);
    assert_chain(out.body, "hello world", 11);
}


static void
test_truncated(void **state)
{
    size_t                 i;
    ngx_str_t              value;
    ngx_pool_t            *pool = *state;
    ngx_optcache_entry_t   e;

    entry_init(pool, &e);
    value = entry_encode(pool, &e);

    assert_int_equal(entry_decode(&value, &entry_key), NGX_OK);

    for (i = 0; i < value.len; i++) {
        if (entry_decode_bytes(value.data, i, &entry_key) != NGX_DECLINED) {
            fail_msg("cut at %d", (int) i);
        }
    }
}


static void
test_longer(void **state)
{
    ngx_str_t              value, longer;
    ngx_pool_t            *pool = *state;
    ngx_optcache_entry_t   e;

    entry_init(pool, &e);
    value = entry_encode(pool, &e);

    longer.len = value.len + 1;
    longer.data = ngx_pcalloc(pool, longer.len);
    assert_non_null(longer.data);
    memcpy(longer.data, value.data, value.len);

    assert_int_equal(entry_decode(&longer, &entry_key), NGX_DECLINED);
    assert_int_equal(entry_decode_signed(&longer), NGX_DECLINED);
}


/* each byte is a part of the checksum */

static void
test_corrupted(void **state)
{
    size_t                 i;
    ngx_str_t              value;
    ngx_uint_t             flip;
    ngx_pool_t            *pool = *state;
    ngx_optcache_entry_t   e;

    entry_init(pool, &e);
    value = entry_encode(pool, &e);

    for (i = 0; i < value.len; i++) {
        for (flip = 1; flip < 256; flip++) {
            value.data[i] ^= (u_char) flip;

            if (entry_decode_bytes(value.data, value.len, &entry_key)
                != NGX_DECLINED)
            {
                fail_msg("byte %d changed by %d", (int) i, (int) flip);
            }

            value.data[i] ^= (u_char) flip;
        }
    }

    assert_int_equal(entry_decode(&value, &entry_key), NGX_OK);
}


static void
test_version(void **state)
{
    ngx_str_t              value;
    ngx_pool_t            *pool = *state;
    ngx_optcache_entry_t   e;

    entry_init(pool, &e);
    value = entry_encode(pool, &e);

    value.data[3] = '5';
    assert_int_equal(entry_decode_signed(&value), NGX_DECLINED);

    value.data[3] = '3';
    assert_int_equal(entry_decode_signed(&value), NGX_DECLINED);

    value.data[3] = '4';
    assert_int_equal(entry_decode_signed(&value), NGX_OK);

    value.data[0] = 'o';
    assert_int_equal(entry_decode_signed(&value), NGX_DECLINED);
}


static void
test_other_key(void **state)
{
    ngx_str_t              value, key;
    ngx_uint_t             i;
    ngx_pool_t            *pool = *state;
    ngx_optcache_entry_t   e;

    entry_init(pool, &e);
    value = entry_encode(pool, &e);

    key.len = entry_key.len;
    key.data = ngx_pstrdup(pool, &entry_key);
    assert_non_null(key.data);

    assert_int_equal(entry_decode(&value, &key), NGX_OK);

    for (i = 0; i < key.len; i++) {
        key.data[i] ^= 1;
        assert_int_equal(entry_decode(&value, &key), NGX_DECLINED);
        key.data[i] ^= 1;
    }

    key.len--;
    assert_int_equal(entry_decode(&value, &key), NGX_DECLINED);

    key.len = 0;
    assert_int_equal(entry_decode(&value, &key), NGX_DECLINED);

    /* one that goes on: with what follows in the value, of all things */

    key.len = e.key.len + 1;
    key.data = value.data + NGX_OPTCACHE_ENTRY_HEADER;
    assert_int_equal(entry_decode(&value, &key), NGX_DECLINED);
}


/* From here on the SUM is right: it keeps off accidents, not strangers. */

static void
test_lengths(void **state)
{
    size_t                 i, offset;
    uint64_t               was;
    ngx_str_t              value, copy;
    ngx_pool_t            *pool = *state;
    ngx_optcache_entry_t   e;

    static const uint64_t  wrong[] = {
        0xffffffff, 0xfffffffe, 0x80000000, 0x7fffffff, 0x10000, 0x100
    };

    entry_init(pool, &e);
    value = entry_encode(pool, &e);

    copy.len = value.len;
    copy.data = ngx_palloc(pool, value.len);
    assert_non_null(copy.data);

    for (offset = KEY_LEN; offset <= TAGS; offset += 4) {
        for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
            memcpy(copy.data, value.data, value.len);
            entry_put(&copy, offset, 4, wrong[i]);
            assert_int_equal(entry_decode_signed(&copy), NGX_DECLINED);
        }

        was = value.data[offset];

        memcpy(copy.data, value.data, value.len);
        entry_put(&copy, offset, 4, was + 1);
        assert_int_equal(entry_decode_signed(&copy), NGX_DECLINED);

        entry_put(&copy, offset, 4, was - 1);
        assert_int_equal(entry_decode_signed(&copy), NGX_DECLINED);
    }

    /* lengths that come to the right sum in 32 bits */

    memcpy(copy.data, value.data, value.len);
    entry_put(&copy, BODY_LEN, 4, 0x80000000 + e.body_len);
    entry_put(&copy, GZIP_LEN, 4, 0x80000000 + e.gzip_len);
    assert_int_equal(entry_decode_signed(&copy), NGX_DECLINED);

    /* as many tags as make it so, the rest being what it was in 64 bits */

    memcpy(copy.data, value.data, value.len);
    entry_put(&copy, TAGS, 4, 0x20000000 + e.ntags);
    assert_int_equal(entry_decode_signed(&copy), NGX_DECLINED);

    memcpy(copy.data, value.data, value.len);
    entry_put(&copy, HEAD_LEN, 4, (uint32_t) (e.head.len - 1));
    entry_put(&copy, BODY_LEN, 4, e.body_len + 1);
    assert_int_equal(entry_decode_signed(&copy), NGX_DECLINED);
}


/* A border that moves, the sum staying: it is no longer the same key. */

static void
test_borders(void **state)
{
    ngx_str_t              value;
    ngx_pool_t            *pool = *state;
    ngx_optcache_entry_t   e;

    entry_init(pool, &e);
    value = entry_encode(pool, &e);

    entry_put(&value, KEY_LEN, 4, e.key.len - 1);
    entry_put(&value, HEAD_LEN, 4, e.head.len + 1);
    assert_int_equal(entry_decode_signed(&value), NGX_DECLINED);

    /* between body and gzip there is nothing to tell */

    value = entry_encode(pool, &e);
    entry_put(&value, BODY_LEN, 4, e.body_len - 1);
    entry_put(&value, GZIP_LEN, 4, e.gzip_len + 1);
    assert_int_equal(entry_decode_signed(&value), NGX_OK);
}


static void
test_numbers(void **state)
{
    size_t                 i;
    ngx_str_t              value;
    ngx_pool_t            *pool = *state;
    ngx_optcache_entry_t   e;

    static struct {
        size_t     offset;
        size_t     size;
        uint64_t   n;
        ngx_int_t  rc;
    } rows[] = {
        { STATUS, 4, 200, NGX_OK },
        { STATUS, 4, 404, NGX_OK },
        { STATUS, 4, 599, NGX_OK },
        { STATUS, 4, 0, NGX_DECLINED },
        { STATUS, 4, 100, NGX_DECLINED },
        { STATUS, 4, 199, NGX_DECLINED },
        { STATUS, 4, 600, NGX_DECLINED },
        { STATUS, 4, 65736, NGX_DECLINED },
        { STATUS, 4, 206, NGX_DECLINED },
        { STATUS, 4, 304, NGX_DECLINED },
        { STATUS, 4, 0xffffffff, NGX_DECLINED },

        { AGE, 4, 0xffffffff, NGX_OK },
        { LIFETIME, 4, 0, NGX_OK },
        { LIFETIME, 4, 0xffffffff, NGX_OK },
        { MAX_STALE, 4, 0xffffffff, NGX_OK },

        { DATE, 8, 0, NGX_OK },
        { DATE, 8, 0x7fffffffffffffff, NGX_OK },
        { DATE, 8, 0x8000000000000000, NGX_DECLINED },
        { DATE, 8, 0xffffffffffffffff, NGX_DECLINED },

        { POSITION, 8, 0, NGX_OK },
        { POSITION, 8, 0xfffffffffffffffe, NGX_OK },
        { POSITION, 8, 0xffffffffffffffff, NGX_DECLINED },
        { HOST, 4, 1, NGX_OK },
        { HOST, 4, 0, NGX_DECLINED },
        { URI, 4, 0xffffffff, NGX_OK },
        { URI, 4, 0, NGX_DECLINED },

        { LAST_MODIFIED, 8, 0, NGX_OK },
        { LAST_MODIFIED, 8, 0xffffffffffffffff, NGX_OK },
        { LAST_MODIFIED, 8, 0xfffffffffffffffe, NGX_DECLINED },
        { LAST_MODIFIED, 8, 0x8000000000000000, NGX_DECLINED },
    };

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        entry_init(pool, &e);
        value = entry_encode(pool, &e);

        entry_put(&value, rows[i].offset, rows[i].size, rows[i].n);

        if (entry_decode_signed(&value) != rows[i].rc) {
            fail_msg("row %d", (int) i);
        }
    }
}


static void
test_future(void **state)
{
    size_t                 i;
    ngx_str_t              value;
    ngx_pool_t            *pool = *state;
    ngx_optcache_entry_t   in, out;

    struct {
        time_t      ahead;
        ngx_uint_t  status;
        ngx_uint_t  fresh;
    } rows[] = {
        { 0, 200, 1 },
        { 5, 200, 1 },
        { 6, 200, 0 },
        { 100000, 200, 0 },
        { 100000, 0, 1 },     /* what answers depend on does not get old */
    };

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        entry_init(pool, &in);
        in.date = NOW + rows[i].ahead;
        in.age = 59;

        if (rows[i].status == 0) {
            in.status = 0;
            in.gzip_len = 0;
            in.gzip = NULL;
            in.body_len = NGX_OPTCACHE_ENTRY_NUMBER;
            in.body = entry_chain(pool, "12345678", 8, 8);

            entry_head(pool, &in, NGX_OPTCACHE_FIELD_VARY, "Vary", "a");
        }

        value = entry_encode(pool, &in);

        assert_int_equal(ngx_optcache_entry_decode(pool, &value, &in.key, NOW,
                                                   &out),
                         NGX_OK);

        assert_int_equal(out.date, NOW);
        assert_int_equal(ngx_optcache_entry_fresh(&out, NOW), rows[i].fresh);
        assert_false(ngx_optcache_entry_fresh(&out, NOW + 1));
    }
}


static void
test_head(void **state)
{
    size_t                 i;
    ngx_str_t              value;
    ngx_pool_t            *pool = *state;
    ngx_optcache_entry_t   e;

    static struct {
        ngx_optcache_field_e   id;
        const char            *name;
        const char            *value;
        ngx_int_t              rc;
    } rows[] = {
        { NGX_OPTCACHE_FIELD_OTHER, "X-A", "b", NGX_OK },
        { NGX_OPTCACHE_FIELD_OTHER, "X-A", "b\r\nX-B: c", NGX_DECLINED },
        { NGX_OPTCACHE_FIELD_OTHER, "X-A", "b\nX-B: c", NGX_DECLINED },
        { NGX_OPTCACHE_FIELD_OTHER, "X-A\r\n", "b", NGX_DECLINED },
        { NGX_OPTCACHE_FIELD_OTHER, "", "b", NGX_DECLINED },
        { NGX_OPTCACHE_FIELD_OTHER, "Content-Length", "1", NGX_DECLINED },
        { NGX_OPTCACHE_FIELD_OTHER, "Transfer-Encoding", "chunked",
          NGX_DECLINED },
        { NGX_OPTCACHE_FIELD_OTHER, "Set-Cookie", "a=b", NGX_DECLINED },
        { NGX_OPTCACHE_FIELD_NEVER, "Set-Cookie", "a=b", NGX_DECLINED },
        { NGX_OPTCACHE_FIELD_SET_COOKIE, "Set-Cookie", "a=b", NGX_OK },
        { NGX_OPTCACHE_FIELD_ETAG, "X-A", "b", NGX_DECLINED },
        { NGX_OPTCACHE_FIELD_OTHER, "ETag", "b", NGX_DECLINED },
        { NGX_OPTCACHE_FIELD_VARY, "Location", "b", NGX_DECLINED },
        { NGX_OPTCACHE_FIELD_OTHER, "Location", "b", NGX_OK },
    };

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        entry_init(pool, &e);
        entry_head(pool, &e, rows[i].id, rows[i].name, rows[i].value);
        value = entry_encode(pool, &e);

        if (entry_decode(&value, &entry_key) != rows[i].rc) {
            fail_msg("%s", rows[i].name);
        }
    }

    /* NUL ends a C string, not a header field */

    entry_init(pool, &e);
    entry_head(pool, &e, NGX_OPTCACHE_FIELD_OTHER, "X-A", "bc");
    e.head.data[e.head.len - 1] = '\0';
    value = entry_encode(pool, &e);

    assert_int_equal(entry_decode(&value, &entry_key), NGX_DECLINED);
}


/* how long it is kept for does not go by the status; what a 304 means does */

static void
test_use(void **state)
{
    ngx_pool_t            *pool = *state;
    ngx_uint_t             i;
    ngx_optcache_entry_t   e;

    static ngx_uint_t  statuses[] = { 200, 204, 301, 404, 503 };

    for (i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        ngx_memzero(&e, sizeof(ngx_optcache_entry_t));
        entry_head(pool, &e, NGX_OPTCACHE_FIELD_OTHER, "X-A", "b");

        e.status = statuses[i];
        e.date = NOW;
        e.lifetime = 60;

        assert_false(ngx_optcache_entry_validator(&e));
        assert_int_equal(ngx_optcache_entry_use(&e, NOW), 60);

        entry_head(pool, &e, NGX_OPTCACHE_FIELD_ETAG, "ETag", "\"a\"");

        assert_int_equal(ngx_optcache_entry_validator(&e), e.status < 300);
        assert_int_equal(ngx_optcache_entry_use(&e, NOW),
                         60 + 3600);
    }
}


static void
test_head_size(void **state)
{
    char                  *text;
    ngx_str_t              value;
    ngx_pool_t            *pool = *state;
    ngx_optcache_entry_t   e;

    text = ngx_pcalloc(pool, NGX_OPTCACHE_HEAD_MAX + 1);
    assert_non_null(text);

    /* 6 bytes of lengths and the name */

    memset(text, 'v', NGX_OPTCACHE_HEAD_MAX - 7);

    entry_init(pool, &e);
    entry_head(pool, &e, NGX_OPTCACHE_FIELD_OTHER, "n", text);
    value = entry_encode(pool, &e);
    assert_int_equal(e.head.len, NGX_OPTCACHE_HEAD_MAX);
    assert_int_equal(entry_decode(&value, &entry_key), NGX_OK);

    text[NGX_OPTCACHE_HEAD_MAX - 7] = 'v';

    entry_head(pool, &e, NGX_OPTCACHE_FIELD_OTHER, "n", text);
    value = entry_encode(pool, &e);
    assert_int_equal(entry_decode(&value, &entry_key), NGX_DECLINED);
}


/* RFC 9111, 4.2 and 4.2.3 */

static void
test_age(void **state)
{
    ngx_optcache_entry_t  e;

    ngx_memzero(&e, sizeof(e));

    e.date = NOW;
    e.age = 10;
    e.lifetime = 60;

    assert_int_equal(ngx_optcache_entry_age(&e, NOW), 10);
    assert_int_equal(ngx_optcache_entry_age(&e, NOW + 49), 59);

    assert_true(ngx_optcache_entry_fresh(&e, NOW));
    assert_true(ngx_optcache_entry_fresh(&e, NOW + 49));
    assert_false(ngx_optcache_entry_fresh(&e, NOW + 50));
    assert_false(ngx_optcache_entry_fresh(&e, NOW + 51));

    e.lifetime = 0;
    assert_false(ngx_optcache_entry_fresh(&e, NOW));

    e.age = 0;
    assert_false(ngx_optcache_entry_fresh(&e, NOW));

    /* the largest that a value can hold */

    e.age = 0xffffffff;
    e.lifetime = 0xffffffff;
    e.date = 0;
    assert_false(ngx_optcache_entry_fresh(&e, NOW));
    assert_int_equal(ngx_optcache_entry_age(&e, NOW), NOW + 0xffffffffLL);
}


/* An entry that was stored before the clock was set back. */

static void
test_clock_set_back(void **state)
{
    ngx_optcache_entry_t  e, soft;

    ngx_memzero(&e, sizeof(e));

    e.status = 200;
    e.date = NOW;
    e.age = 10;
    e.lifetime = 60;
    e.max_stale = 1000;
    e.stale_while_revalidate = 30;

    assert_false(ngx_optcache_entry_ahead(&e, NOW + 1));
    assert_false(ngx_optcache_entry_ahead(&e, NOW));
    assert_false(ngx_optcache_entry_ahead(&e, NOW - 5));
    assert_true(ngx_optcache_entry_ahead(&e, NOW - 6));

    /* by a few seconds: no younger than it was */

    assert_int_equal(ngx_optcache_entry_age(&e, NOW - 5), 10);
    assert_true(ngx_optcache_entry_fresh(&e, NOW - 5));
    assert_int_equal(ngx_optcache_entry_use(&e, NOW - 5), 80);

    /* by more: it is not known how old it is, but it is not fresh */

    assert_int_equal(ngx_optcache_entry_age(&e, NOW - 6), 60);
    assert_int_equal(ngx_optcache_entry_age(&e, NOW - 86400), 60);
    assert_false(ngx_optcache_entry_fresh(&e, NOW - 6));
    assert_false(ngx_optcache_entry_fresh(&e, NOW - 86400));
    assert_int_equal(ngx_optcache_entry_staleness(&e, NOW - 86400), 0);
    assert_int_equal(ngx_optcache_entry_use(&e, NOW - 86400), 30);

    soft = e;
    ngx_optcache_entry_soften(&soft, NOW - 86400);
    assert_memory_equal(&soft, &e, sizeof(e));

    /* it was older than that when it came */

    e.age = 70;
    assert_int_equal(ngx_optcache_entry_age(&e, NOW - 86400), 70);
    e.age = 10;

    /* what answers depend on */

    e.status = 0;
    assert_false(ngx_optcache_entry_ahead(&e, NOW - 86400));
    assert_true(ngx_optcache_entry_fresh(&e, NOW - 86400));
}


static void
test_tags(void **state)
{
    ngx_str_t              value;
    uint64_t               tags[NGX_OPTCACHE_MARK_TAGS + 1];
    ngx_uint_t             i;
    ngx_pool_t            *pool = *state;
    ngx_optcache_entry_t   in, out;

    for (i = 0; i <= NGX_OPTCACHE_MARK_TAGS; i++) {
        tags[i] = i * 0x9e3779b97f4a7c15;
    }

    entry_init(pool, &in);
    in.tags = tags;
    in.ntags = NGX_OPTCACHE_MARK_TAGS;
    value = entry_encode(pool, &in);

    assert_int_equal(ngx_optcache_entry_decode(pool, &value, &in.key, NOW,
                                               &out),
                     NGX_OK);

    assert_int_equal(out.ntags, NGX_OPTCACHE_MARK_TAGS);
    assert_memory_equal(out.tags, tags, in.ntags * sizeof(uint64_t));
    assert_memory_equal(out.head.data, in.head.data, in.head.len);

    in.ntags++;
    value = entry_encode(pool, &in);
    assert_int_equal(entry_decode(&value, &in.key), NGX_DECLINED);
}


/* What was fresh is not, and is there as long as it would have been. */

static void
test_soften(void **state)
{
    ngx_optcache_entry_t  e;

    ngx_memzero(&e, sizeof(e));

    e.date = NOW;
    e.age = 10;
    e.lifetime = 60;
    e.max_stale = 1000;
    e.stale_while_revalidate = 5;

    ngx_optcache_entry_soften(&e, NOW + 20);

    assert_false(ngx_optcache_entry_fresh(&e, NOW + 20));
    assert_int_equal(ngx_optcache_entry_staleness(&e, NOW + 20), 0);
    assert_int_equal(e.lifetime, 30);
    assert_int_equal(e.stale_while_revalidate, 35);
    assert_int_equal(e.stale_if_error, 0);
    assert_int_equal(e.max_stale, 1030);

    /* there is nothing left to end */

    ngx_optcache_entry_soften(&e, NOW + 25);
    assert_int_equal(e.lifetime, 30);
    assert_int_equal(e.stale_while_revalidate, 35);

    /* never stale */

    e.lifetime = 60;
    e.max_stale = 0;
    e.stale_while_revalidate = 0;
    ngx_optcache_entry_soften(&e, NOW);
    assert_int_equal(e.lifetime, 10);
    assert_int_equal(e.max_stale, 0);
    assert_int_equal(e.stale_while_revalidate, 0);

    /* the largest that a value can hold */

    e.age = 0;
    e.lifetime = 0xffffffff;
    e.max_stale = 0xffffffff;
    e.stale_if_error = 0xfffffff0;
    ngx_optcache_entry_soften(&e, NOW);
    assert_int_equal(e.lifetime, 0);
    assert_true(e.max_stale == 0xffffffff);
    assert_true(e.stale_while_revalidate == 0xffffffff);
    assert_true(e.stale_if_error == 0xffffffff);
}


static int
setup(void **state)
{
    ngx_pagesize = getpagesize();

    *state = ngx_create_pool(4096, &entry_log);

    return (*state == NULL) ? -1 : 0;
}


static int
teardown(void **state)
{
    ngx_destroy_pool(*state);

    return 0;
}


static void
entry_init(ngx_pool_t *pool, ngx_optcache_entry_t *e)
{
    ngx_memzero(e, sizeof(ngx_optcache_entry_t));

    e->key = entry_key;
    e->status = 203;
    e->age = 7;
    e->lifetime = 60;
    e->date = NOW - 5;
    e->last_modified = NOW - 1000;
    e->origin.host = 0x8abcdef1;
    e->origin.uri = 2;
    e->moment.clock = 77;
    e->moment.position = 0x1234567890;
    e->tags = entry_tags;
    e->ntags = 2;

    entry_head(pool, e, NGX_OPTCACHE_FIELD_ETAG, "ETag", "\"abc\"");

    e->body = entry_chain(pool, "hello world", 11, 4);
    e->body_len = 11;
    e->gzip = entry_chain(pool, "zip!", 4, 4);
    e->gzip_len = 4;
}


/* a head of this one field */

static void
entry_head(ngx_pool_t *pool, ngx_optcache_entry_t *e, ngx_optcache_field_e id,
    const char *name, const char *value)
{
    ngx_optcache_field_t  field;

    field.id = id;
    field.name.data = (u_char *) name;
    field.name.len = strlen(name);
    field.value.data = (u_char *) value;
    field.value.len = strlen(value);

    e->head.len = ngx_optcache_field_size(&field);
    e->head.data = ngx_palloc(pool, e->head.len);
    assert_non_null(e->head.data);

    (void) ngx_optcache_field_write(e->head.data, &field);
}


static ngx_chain_t *
entry_chain(ngx_pool_t *pool, const char *data, size_t len, size_t piece)
{
    ngx_buf_t     *b;
    ngx_chain_t   *cl, *chain, **ll;

    ll = &chain;

    while (len) {
        piece = ngx_min(piece, len);

        b = ngx_create_temp_buf(pool, piece);
        cl = ngx_alloc_chain_link(pool);
        assert_non_null(b);
        assert_non_null(cl);

        b->last = ngx_cpymem(b->last, data, piece);
        data += piece;
        len -= piece;

        cl->buf = b;
        *ll = cl;
        ll = &cl->next;
    }

    *ll = NULL;

    return chain;
}


static ngx_str_t
entry_encode(ngx_pool_t *pool, ngx_optcache_entry_t *e)
{
    ngx_str_t  value;

    assert_int_equal(ngx_optcache_entry_encode(pool, e, &value), NGX_OK);

    return value;
}


static ngx_int_t
entry_decode(ngx_str_t *value, ngx_str_t *key)
{
    return entry_decode_bytes(value->data, value->len, key);
}


/* decodes a copy that ends where the value does, so that overruns are seen */

static ngx_int_t
entry_decode_bytes(u_char *data, size_t len, ngx_str_t *key)
{
    ngx_int_t              rc;
    ngx_str_t              value;
    ngx_pool_t            *pool;
    ngx_optcache_entry_t   e;

    pool = ngx_create_pool(512, &entry_log);
    assert_non_null(pool);

    value.len = len;
    value.data = malloc(len);
    assert_true(value.data != NULL || len == 0);

    memcpy(value.data, data, len);

    rc = ngx_optcache_entry_decode(pool, &value, key, NOW, &e);

    free(value.data);
    ngx_destroy_pool(pool);

    return rc;
}


static ngx_int_t
entry_decode_signed(ngx_str_t *value)
{
    entry_sign(value);

    return entry_decode(value, &entry_key);
}


static void
entry_sign(ngx_str_t *value)
{
    entry_put(value, SUM, 4, XXH64(value->data + 8, value->len - 8, 0));
}


static void
entry_put(ngx_str_t *value, size_t offset, size_t size, uint64_t n)
{
    size_t  i;

    for (i = 0; i < size; i++) {
        value->data[offset + i] = (u_char) (n >> 8 * i);
    }
}


static void
assert_chain(ngx_chain_t *cl, const char *data, size_t len)
{
    size_t  n;

    for ( /* void */ ; cl; cl = cl->next) {
        n = cl->buf->last - cl->buf->pos;

        assert_true(n > 0 && n <= len);
        assert_true(cl->buf->memory);
        assert_memory_equal(cl->buf->pos, data, n);

        data += n;
        len -= n;
    }

    assert_int_equal(len, 0);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_layout),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_gzip_not_kept),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_longer),
        cmocka_unit_test(test_corrupted),
        cmocka_unit_test(test_version),
        cmocka_unit_test(test_other_key),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_borders),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_future),
        cmocka_unit_test(test_clock_set_back),
        cmocka_unit_test(test_head),
        cmocka_unit_test(test_head_size),
        cmocka_unit_test(test_use),
        cmocka_unit_test(test_tags),
        cmocka_unit_test(test_age),
        cmocka_unit_test(test_soften),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
