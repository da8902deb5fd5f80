
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <zlib.h>

#include <ngx_optcache_gzip.h>


#define EXACT    0
#define UNKNOWN  1
#define TOO_LOW  2
#define TOO_HIGH 3


static ngx_log_t  gzip_log;


static int setup(void **state);
static int teardown(void **state);
static size_t gzip_round_trip(u_char *data, size_t len, ngx_int_t level,
    off_t size, size_t chunk);
static ngx_chain_t *gzip_make(ngx_pool_t *pool, u_char *data, size_t len,
    ngx_int_t level, off_t size, size_t chunk, size_t *out_len);
static void assert_inflates(ngx_chain_t *cl, size_t out_len, u_char *data,
    size_t len);
static void gzip_fill(u_char *data, size_t len, ngx_uint_t kind);


static void
test_empty_body(void **state)
{
    (void) gzip_round_trip(NULL, 0, 1, 0, 0);
    (void) gzip_round_trip(NULL, 0, 1, -1, 0);
    (void) gzip_round_trip(NULL, 0, 9, 100, 0);
}


/* the window shrinks with the body: around each of its sizes */

static void
test_sizes(void **state)
{
    size_t      size;
    u_char     *data = *state;
    ngx_int_t   n, k;

    for (n = 0; n <= 17; n++) {
        for (k = -1; k <= 1; k++) {
            size = ((size_t) 1 << n) + k;

            gzip_fill(data, size, n % 3);

            (void) gzip_round_trip(data, size, 1, size, 0);
            (void) gzip_round_trip(data, size, 6, -1, 0);
        }
    }
}


static void
test_levels(void **state)
{
    u_char     *data = *state;
    ngx_int_t   level;

    gzip_fill(data, 50000, 1);

    for (level = 1; level <= 9; level++) {
        (void) gzip_round_trip(data, 50000, level, 50000, 0);
    }
}


/* byte by byte, and at sizes that fill a buffer exactly */

static void
test_chunks(void **state)
{
    size_t  chunk;
    u_char *data = *state;

    gzip_fill(data, 30000, 2);

    for (chunk = 1; chunk < 40000; chunk = chunk * 3 + 1) {
        (void) gzip_round_trip(data, 30000, 1, 30000, chunk);
        (void) gzip_round_trip(data, 30000, 1, -1, chunk);
    }
}


/* what was announced and what came differ: it is only slower */

static void
test_wrong_size(void **state)
{
    u_char  *data = *state;

    gzip_fill(data, 100000, 1);

    (void) gzip_round_trip(data, 100000, 1, 0, 0);
    (void) gzip_round_trip(data, 100000, 9, 1, 1000);
    (void) gzip_round_trip(data, 10, 1, 100000, 3);
    (void) gzip_round_trip(data, 10, 1, NGX_MAX_OFF_T_VALUE, 3);
}


static void
test_random(void **state)
{
    off_t       size;
    size_t      len;
    u_char     *data = *state;
    ngx_uint_t  i;

    srandom(1952);

    for (i = 0; i < 300; i++) {
        len = (size_t) random() % ((size_t) 1 << random() % 18);
        gzip_fill(data, len, random() % 3);

        switch (random() % 4) {

        case EXACT:
            size = len;
            break;

        case TOO_LOW:
            size = len / 3;
            break;

        case TOO_HIGH:
            size = len * 3;
            break;

        default: /* UNKNOWN */
            size = -1;
            break;
        }

        (void) gzip_round_trip(data, len, 1 + random() % 9, size, 0);
    }
}


/* with a window of the right size nothing is lost in compression */

static void
test_compresses(void **state)
{
    size_t   known, unknown;
    u_char  *data = *state;

    memset(data, 'x', 100000);

    known = gzip_round_trip(data, 100000, 1, 100000, 0);
    unknown = gzip_round_trip(data, 100000, 1, -1, 0);

    assert_int_equal(known, unknown);
    assert_in_range(known, 1, 1000);

    assert_in_range(gzip_round_trip(data, 200, 1, 200, 0), 1, 40);
}


static void
test_given_up(void **state)
{
    u_char               *data = *state;
    ngx_pool_t           *pool;
    ngx_optcache_gzip_t  *gz;

    pool = ngx_create_pool(4096, &gzip_log);
    assert_non_null(pool);

    /* at once, and under way; closing twice is no harm */

    gz = ngx_optcache_gzip_create(pool, 1, -1);
    assert_non_null(gz);
    ngx_optcache_gzip_close(gz);
    ngx_optcache_gzip_close(gz);

    gz = ngx_optcache_gzip_create(pool, 1, -1);
    assert_non_null(gz);
    assert_int_equal(ngx_optcache_gzip_add(gz, data, 5000, 0), NGX_OK);
    ngx_optcache_gzip_close(gz);

    ngx_destroy_pool(pool);
}


/* zlib's memory does not stay in the pool until the end of a request */

static void
test_memory(void **state)
{
    size_t                len;
    ngx_uint_t            n, before;
    u_char               *data = *state;
    ngx_pool_t           *pool;
    ngx_chain_t          *out;
    ngx_pool_large_t     *l;
    ngx_optcache_gzip_t  *gz;

    pool = ngx_create_pool(4096, &gzip_log);
    assert_non_null(pool);

    gz = ngx_optcache_gzip_create(pool, 1, -1);
    assert_non_null(gz);
    assert_int_equal(ngx_optcache_gzip_add(gz, data, 5000, 1), NGX_OK);

    for (before = 0, l = pool->large; l; l = l->next) {
        before += (l->alloc != NULL);
    }

    ngx_optcache_gzip_close(gz);

    for (n = 0, l = pool->large; l; l = l->next) {
        n += (l->alloc != NULL);
    }

    assert_true(n < before);

    /* the result stays */

    out = ngx_optcache_gzip_result(gz, &len);
    assert_inflates(out, len, data, 5000);

    ngx_destroy_pool(pool);
}


static int
setup(void **state)
{
    ngx_pagesize = getpagesize();

    *state = malloc(1 << 18);
    if (*state == NULL) {
        return -1;
    }

    memset(*state, 'x', 1 << 18);

    return 0;
}


static int
teardown(void **state)
{
    free(*state);

    return 0;
}


/* returns the compressed length; "chunk" 0: pieces of random sizes */

static size_t
gzip_round_trip(u_char *data, size_t len, ngx_int_t level, off_t size,
    size_t chunk)
{
    size_t        out_len;
    ngx_pool_t   *pool;
    ngx_chain_t  *out;

    pool = ngx_create_pool(4096, &gzip_log);
    assert_non_null(pool);

    out = gzip_make(pool, data, len, level, size, chunk, &out_len);
    assert_inflates(out, out_len, data, len);

    ngx_destroy_pool(pool);

    return out_len;
}


static ngx_chain_t *
gzip_make(ngx_pool_t *pool, u_char *data, size_t len, ngx_int_t level,
    off_t size, size_t chunk, size_t *out_len)
{
    size_t                n;
    ngx_uint_t            last;
    ngx_chain_t          *out;
    ngx_optcache_gzip_t  *gz;

    gz = ngx_optcache_gzip_create(pool, level, size);
    assert_non_null(gz);

    do {
        n = chunk ? chunk : (size_t) random() % (len / 3 + 2);
        n = ngx_min(n, len);

        /* the last bytes come with "last", or before it */

        last = (n == len && (chunk || random() % 2));

        assert_int_equal(ngx_optcache_gzip_add(gz, data, n, last), NGX_OK);

        data += n;
        len -= n;

    } while (len);

    if (!last) {
        assert_int_equal(ngx_optcache_gzip_add(gz, NULL, 0, 1), NGX_OK);
    }

    out = ngx_optcache_gzip_result(gz, out_len);
    ngx_optcache_gzip_close(gz);

    return out;
}


static void
assert_inflates(ngx_chain_t *cl, size_t out_len, u_char *data, size_t len)
{
    int        rc;
    size_t     n;
    u_char    *plain;
    z_stream   z;

    plain = malloc(len + 1);
    assert_non_null(plain);

    memset(&z, 0, sizeof(z));

    /* 16: gzip, and nothing else, is accepted */

    assert_int_equal(inflateInit2(&z, MAX_WBITS + 16), Z_OK);

    z.next_out = plain;
    z.avail_out = len + 1;
    rc = Z_OK;

    for ( /* void */ ; cl; cl = cl->next) {
        n = cl->buf->last - cl->buf->pos;

        /* nginx takes an empty buffer on its way out for a mistake */

        assert_true(n > 0 && n <= out_len);
        assert_int_equal(rc, Z_OK);

        out_len -= n;

        z.next_in = cl->buf->pos;
        z.avail_in = n;
        rc = inflate(&z, Z_NO_FLUSH);
    }

    assert_int_equal(rc, Z_STREAM_END);
    assert_int_equal(out_len, 0);
    assert_int_equal(z.avail_in, 0);
    assert_int_equal(z.total_out, len);

    if (len) {
        assert_memory_equal(plain, data, len);
    }

    (void) inflateEnd(&z);
    free(plain);
}


/* one byte, text, or noise */

static void
gzip_fill(u_char *data, size_t len, ngx_uint_t kind)
{
    size_t  i;

    for (i = 0; i < len; i++) {
        data[i] = (kind == 0) ? 'x'
                  : (kind == 1) ? (u_char) ('a' + random() % 4)
                  : (u_char) random();
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_empty_body),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_chunks),
        cmocka_unit_test(test_wrong_size),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_compresses),
        cmocka_unit_test(test_given_up),
        cmocka_unit_test(test_memory),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
