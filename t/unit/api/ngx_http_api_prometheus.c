
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <ngx_http_api_prometheus.h>


static ngx_log_t                   logger;
static ngx_pool_t                 *pool;
static ngx_http_api_prometheus_t  *p;

/* what was sent */

static u_char                     *sent;
static size_t                      nsent;


static ngx_int_t
header_filter(ngx_http_request_t *r)
{
    assert_int_equal(r->headers_out.status, NGX_HTTP_OK);
    assert_int_equal(strncmp((char *) r->headers_out.content_type.data,
                             "text/plain; version=0.0.4", 25), 0);

    return NGX_OK;
}


static ngx_int_t
body_filter(ngx_http_request_t *r, ngx_chain_t *in)
{
    sent = in->buf->pos;
    nsent = in->buf->last - in->buf->pos;

    return NGX_OK;
}


static int
setup(void **state)
{
    ngx_http_top_header_filter = header_filter;
    ngx_http_top_body_filter = body_filter;

    pool = ngx_create_pool(4096, &logger);
    p = ngx_http_api_prometheus_create(pool);

    return (pool && p) ? 0 : -1;
}


static int
teardown(void **state)
{
    ngx_destroy_pool(pool);

    return 0;
}


static ngx_int_t
answer(ngx_http_api_prometheus_t *writer)
{
    ngx_connection_t    c;
    ngx_http_request_t  r;

    ngx_memzero(&c, sizeof(c));
    ngx_memzero(&r, sizeof(r));

    c.log = &logger;
    r.connection = &c;
    r.main = &r;
    r.pool = pool;
    r.discard_body = 1;

    sent = NULL;
    nsent = 0;

    return ngx_http_api_prometheus_send(&r, writer);
}


static void
assert_sent(const char *expected)
{
    assert_int_equal(answer(p), NGX_OK);
    assert_int_equal(nsent, strlen(expected));
    assert_memory_equal(sent, expected, nsent);
}


static void
label(const char *name, const char *value)
{
    ngx_str_t  text;

    text.data = (u_char *) value;
    text.len = strlen(value);

    ngx_http_api_prometheus_label(p, name, &text);
}


static void
test_families(void **state)
{
    ngx_http_api_prometheus_counter(p, "a_total", "How many.");
    ngx_http_api_prometheus_number(p, 0);
    ngx_http_api_prometheus_gauge(p, "b_seconds", "How long.");
    ngx_http_api_prometheus_text(p, "x", "1");
    ngx_http_api_prometheus_text(p, "y", "");
    ngx_http_api_prometheus_usec(p, 1000001);
    ngx_http_api_prometheus_msec(p, 20);
    ngx_http_api_prometheus_number(p, (uint64_t) -1);

    assert_sent("# HELP a_total How many.\n"
                "# TYPE a_total counter\n"
                "a_total 0\n"
                "# HELP b_seconds How long.\n"
                "# TYPE b_seconds gauge\n"
                "b_seconds{x=\"1\",y=\"\"} 1.000001\n"
                "b_seconds 0.020000\n"
                "b_seconds 18446744073709551615\n");
}


/* labels that no sample has taken are not those of the next family */

static void
test_labels_left(void **state)
{
    ngx_http_api_prometheus_gauge(p, "a", "A.");
    ngx_http_api_prometheus_text(p, "x", "1");
    ngx_http_api_prometheus_gauge(p, "b", "B.");
    ngx_http_api_prometheus_number(p, 1);

    assert_sent("# HELP a A.\n# TYPE a gauge\n"
                "# HELP b B.\n# TYPE b gauge\nb 1\n");
}


static void
test_escapes(void **state)
{
    ngx_http_api_prometheus_gauge(p, "a", "A.");
    label("x", "\"\\\n\t{}=,#\x7f");
    ngx_http_api_prometheus_number(p, 1);

    assert_sent("# HELP a A.\n# TYPE a gauge\n"
                "a{x=\"\\\"\\\\\\n\t{}=,#\x7f\"} 1\n");
}


/* bytes that are no UTF-8 become some that are */

static void
test_utf8(void **state)
{
    ngx_http_api_prometheus_gauge(p, "a", "A.");
    label("x", "\xc3\xa4 \xff\xc3 \xed\xa0\x80 \xf0\x9f\x98\x80");
    ngx_http_api_prometheus_number(p, 1);

#define R  "\xef\xbf\xbd"

    assert_sent("# HELP a A.\n# TYPE a gauge\n"
                "a{x=\"\xc3\xa4 " R R " " R R R " \xf0\x9f\x98\x80\"} 1\n");
}


static void
test_cut(void **state)
{
    char      *quotes;
    size_t     i, len, open;

    len = NGX_HTTP_API_PROMETHEUS_LABELS;

    quotes = malloc(len + 1);
    assert_non_null(quotes);

    /* at every remainder: an escape is not torn apart, nor a character */

    for (i = 0; i < 8; i++) {
        ngx_memset(quotes, 'x', len);
        ngx_memset(quotes + i, '"', len - i);
        quotes[len] = '\0';

        ngx_http_api_prometheus_gauge(p, "a", "A.");
        label("x", quotes);
        label("y", "lost");
        ngx_http_api_prometheus_number(p, 1);
    }

    for (i = 0; i + 4 < len; i += 4) {
        ngx_memcpy(quotes + i, "\xf0\x9f\x98\x80", 4);
    }

    quotes[i] = '\0';
    label("xx", quotes);
    ngx_http_api_prometheus_number(p, 1);

    free(quotes);

    assert_int_equal(answer(p), NGX_OK);
    assert_true(nsent < 9 * (len + 40));

    open = 0;

    for (i = 1; i < nsent; i++) {

        if (sent[i] == '{') {
            open = i;
        }

        /* a sample ends in a quotation mark that is not escaped */

        if (sent[i] == '}') {
            assert_int_equal(sent[i - 1], '"');
            assert_true(i - open - 1 <= len);
            assert_true((sent[i - 2] != '\\') || sent[i - 3] == '\\');
        }
    }

    assert_memory_equal(sent + nsent - sizeof("\x98\x80\"} 1\n") + 1,
                        "\x98\x80\"} 1\n", sizeof("\x98\x80\"} 1\n") - 1);
}


static void
test_histogram(void **state)
{
    const uint64_t  bounds[] = { 100, 2500, 1000000 };
    const uint64_t  counts[] = { 3, 0, 4, 1 };

    ngx_http_api_prometheus_histogram(p, "h_seconds", "H.");
    label("z", "a");
    ngx_http_api_prometheus_buckets(p, bounds, 3, counts, 12345678);

    assert_sent("# HELP h_seconds H.\n"
                "# TYPE h_seconds histogram\n"
                "h_seconds_bucket{z=\"a\",le=\"0.000100\"} 3\n"
                "h_seconds_bucket{z=\"a\",le=\"0.002500\"} 3\n"
                "h_seconds_bucket{z=\"a\",le=\"1.000000\"} 7\n"
                "h_seconds_bucket{z=\"a\",le=\"+Inf\"} 8\n"
                "h_seconds_sum{z=\"a\"} 12.345678\n"
                "h_seconds_count{z=\"a\"} 8\n");
}


/* it grows, and what was there stays */

static void
test_long(void **state)
{
    u_char      line[32];
    u_char     *pos;
    size_t      len;
    ngx_uint_t  i;

    for (i = 0; i < 5000; i++) {
        ngx_http_api_prometheus_gauge(p, "a", "A.");
        ngx_http_api_prometheus_number(p, i);
    }

    assert_int_equal(answer(p), NGX_OK);

    pos = sent;

    for (i = 0; i < 5000; i++) {
        pos += sizeof("# HELP a A.\n# TYPE a gauge\n") - 1;

        len = ngx_sprintf(line, "a %ui\n", i) - line;
        assert_memory_equal(pos, line, len);
        pos += len;
    }

    assert_int_equal(pos - sent, nsent);
}


static void
test_no_memory(void **state)
{
    static const uint64_t  n = 1;

    ngx_http_api_prometheus_gauge(NULL, "a", "A.");
    ngx_http_api_prometheus_text(NULL, "x", "1");
    ngx_http_api_prometheus_number(NULL, 1);
    ngx_http_api_prometheus_buckets(NULL, &n, 0, &n, 1);

    assert_int_equal(answer(NULL), NGX_HTTP_INTERNAL_SERVER_ERROR);
}


int
main(void)
{
#define one(test)  cmocka_unit_test_setup_teardown(test, setup, teardown)

    const struct CMUnitTest  tests[] = {
        one(test_families),
        one(test_labels_left),
        one(test_escapes),
        one(test_utf8),
        one(test_cut),
        one(test_histogram),
        one(test_long),
        one(test_no_memory)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
