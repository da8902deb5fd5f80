
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <ngx_redis_map.h>


typedef struct {
    const char            *text;
    ngx_int_t              rc;
    ngx_redis_redirect_e   type;
    ngx_uint_t             slot;
    const char            *host;
    ngx_uint_t             port;
} redirect_t;


typedef struct {
    const char            *wire;
    ngx_int_t              rc;
    const char            *ranges;    /* "first-last host:port name, .." */
} map_t;


static redisReply *map_reply(const char *wire);
static void map_format(ngx_array_t *ranges, char *buf, size_t size);


static void
test_redirects(void **state)
{
    char                  wire[512];
    redirect_t           *row;
    redisReply           *reply;
    ngx_redis_redirect_t  redirect;

    static redirect_t  rows[] = {
        { "MOVED 3999 127.0.0.1:6381", NGX_OK,
          NGX_REDIS_REDIRECT_MOVED, 3999, "127.0.0.1", 6381 },
        { "ASK 0 10.0.0.5:1", NGX_OK,
          NGX_REDIS_REDIRECT_ASK, 0, "10.0.0.5", 1 },
        { "MOVED 16383 ::1:65535", NGX_OK,
          NGX_REDIS_REDIRECT_MOVED, 16383, "::1", 65535 },
        { "MOVED 1 2001:db8::7:6379", NGX_OK,
          NGX_REDIS_REDIRECT_MOVED, 1, "2001:db8::7", 6379 },
        { "MOVED 1 host-1.example:6379", NGX_OK,
          NGX_REDIS_REDIRECT_MOVED, 1, "host-1.example", 6379 },

        /* "unknown-endpoint", and a name that was not told */

        { "MOVED 1 :6379", NGX_OK,
          NGX_REDIS_REDIRECT_MOVED, 1, "", 6379 },
        { "ASK 1 ?:6379", NGX_OK,
          NGX_REDIS_REDIRECT_ASK, 1, "", 6379 },

        { "ERR MOVED 1 10.0.0.1:1", NGX_DECLINED, 0, 0, NULL, 0 },
        { "MOVEDX 1 10.0.0.1:1", NGX_DECLINED, 0, 0, NULL, 0 },
        { "moved 1 10.0.0.1:1", NGX_DECLINED, 0, 0, NULL, 0 },
        { "TRYAGAIN Multiple keys", NGX_DECLINED, 0, 0, NULL, 0 },

        { "MOVED", NGX_ERROR, 0, 0, NULL, 0 },
        { "MOVED ", NGX_ERROR, 0, 0, NULL, 0 },
        { "MOVED 1", NGX_ERROR, 0, 0, NULL, 0 },
        { "MOVED 1 ", NGX_ERROR, 0, 0, NULL, 0 },
        { "MOVED  1 10.0.0.1:1", NGX_ERROR, 0, 0, NULL, 0 },
        { "MOVED 1 10.0.0.1", NGX_ERROR, 0, 0, NULL, 0 },
        { "MOVED 1 10.0.0.1:", NGX_ERROR, 0, 0, NULL, 0 },
        { "MOVED 1 10.0.0.1:0", NGX_ERROR, 0, 0, NULL, 0 },
        { "MOVED 1 10.0.0.1:65536", NGX_ERROR, 0, 0, NULL, 0 },
        { "MOVED 1 10.0.0.1:-1", NGX_ERROR, 0, 0, NULL, 0 },
        { "MOVED 1 10.0.0.1:1 x", NGX_ERROR, 0, 0, NULL, 0 },
        { "MOVED 1 10.0.0.1:99999999999999999999", NGX_ERROR, 0, 0, NULL, 0 },
        { "MOVED -1 10.0.0.1:1", NGX_ERROR, 0, 0, NULL, 0 },
        { "MOVED 16384 10.0.0.1:1", NGX_ERROR, 0, 0, NULL, 0 },
        { "MOVED x 10.0.0.1:1", NGX_ERROR, 0, 0, NULL, 0 },
        { "MOVED 1 a b:1", NGX_ERROR, 0, 0, NULL, 0 },
        { "MOVED 1 a:b:1", NGX_ERROR, 0, 0, NULL, 0 },
        { "MOVED 1 [::1]:1", NGX_ERROR, 0, 0, NULL, 0 },
        { "MOVED 1 unix:/tmp/s:1", NGX_ERROR, 0, 0, NULL, 0 },
        { "MOVED 1 \001:1", NGX_ERROR, 0, 0, NULL, 0 },
        { "MOVED 1 \303\244:1", NGX_ERROR, 0, 0, NULL, 0 },
        { NULL, 0, 0, 0, NULL, 0 }
    };

    for (row = rows; row->text; row++) {
        snprintf(wire, sizeof(wire), "-%s\r\n", row->text);
        reply = map_reply(wire);

        if (ngx_redis_redirect_parse(reply, &redirect) != row->rc) {
            fail_msg("\"%s\"", row->text);
        }

        if (row->rc == NGX_OK) {
            assert_int_equal(redirect.type, row->type);
            assert_int_equal(redirect.slot, row->slot);
            assert_int_equal(redirect.endpoint.port, row->port);
            assert_int_equal(redirect.endpoint.host.len, strlen(row->host));
            assert_memory_equal(redirect.endpoint.host.data, row->host,
                                strlen(row->host));
        }

        freeReplyObject(reply);
    }
}


/* a name of any length does not get far */

static void
test_long_host(void **state)
{
    char                  wire[512];
    size_t                len;
    redisReply           *reply;
    ngx_redis_redirect_t  redirect;

    for (len = 254; len < 258; len++) {
        snprintf(wire, sizeof(wire), "-MOVED 1 %0*d:1\r\n", (int) len, 0);
        reply = map_reply(wire);

        assert_int_equal(ngx_redis_redirect_parse(reply, &redirect),
                         len > NGX_REDIS_MAP_MAX_HOST ? NGX_ERROR : NGX_OK);
        freeReplyObject(reply);
    }
}


#define MASTER   "*2\r\n$9\r\n127.0.0.1\r\n:7000\r\n"
#define RANGE    "*3\r\n:0\r\n:5\r\n" MASTER


static void
test_maps(void **state)
{
    char          found[512];
    map_t        *row;
    ngx_pool_t   *pool;
    redisReply   *reply;
    const char   *err;
    ngx_array_t   ranges;

    static map_t  rows[] = {

        /* Redis 3, 4 with a replica, 7 */

        { "*1\r\n" RANGE, NGX_OK, "0-5 127.0.0.1:7000 ," },
        { "*2\r\n"
          "*4\r\n:0\r\n:100\r\n"
          "*3\r\n$8\r\n10.0.0.1\r\n:7000\r\n$2\r\nid\r\n"
          "*3\r\n$8\r\n10.0.0.2\r\n:7001\r\n$2\r\nid\r\n"
          "*3\r\n:101\r\n:16383\r\n"
          "*3\r\n$3\r\n::1\r\n:7002\r\n$2\r\nid\r\n",
          NGX_OK, "0-100 10.0.0.1:7000 ,101-16383 ::1:7002 ," },
        { "*1\r\n*3\r\n:7\r\n:7\r\n"
          "*4\r\n$8\r\n10.0.0.1\r\n:7000\r\n$2\r\nid\r\n*0\r\n",
          NGX_OK, "7-7 10.0.0.1:7000 ," },

        /* preferred endpoints: an address, a name, none, one not told */

        { "*1\r\n*3\r\n:7\r\n:7\r\n"
          "*4\r\n$8\r\n10.0.0.1\r\n:7000\r\n$2\r\nid\r\n"
          "*2\r\n$8\r\nhostname\r\n$3\r\na.b\r\n",
          NGX_OK, "7-7 10.0.0.1:7000 a.b," },
        { "*1\r\n*3\r\n:7\r\n:7\r\n"
          "*4\r\n$3\r\na.b\r\n:7000\r\n$2\r\nid\r\n"
          "*2\r\n$2\r\nip\r\n$8\r\n10.0.0.1\r\n",
          NGX_OK, "7-7 10.0.0.1:7000 a.b," },
        { "*1\r\n*3\r\n:7\r\n:7\r\n"
          "*4\r\n$-1\r\n:7000\r\n$2\r\nid\r\n*0\r\n",
          NGX_OK, "7-7 :7000 ," },
        { "*1\r\n*3\r\n:7\r\n:7\r\n"
          "*4\r\n$1\r\n?\r\n:7000\r\n$2\r\nid\r\n"
          "*2\r\n$2\r\nip\r\n$8\r\n10.0.0.1\r\n",
          NGX_OK, "7-7 10.0.0.1:7000 ," },
        { "*1\r\n*3\r\n:7\r\n:7\r\n*2\r\n$3\r\na.b\r\n:7000\r\n",
          NGX_OK, "7-7 a.b:7000 ," },
        { "*1\r\n*3\r\n:7\r\n:7\r\n*2\r\n$0\r\n\r\n:7000\r\n",
          NGX_OK, "7-7 :7000 ," },

        /* what is not known is not looked at */

        { "*1\r\n*3\r\n:7\r\n:7\r\n"
          "*5\r\n$8\r\n10.0.0.1\r\n:7000\r\n$2\r\nid\r\n"
          "*3\r\n$1\r\nx\r\n$1\r\ny\r\n$1\r\nz\r\n:1\r\n",
          NGX_OK, "7-7 10.0.0.1:7000 ," },

        { "*0\r\n", NGX_DECLINED, NULL },

        { "$2\r\nOK\r\n", NGX_ERROR, NULL },
        { ":1\r\n", NGX_ERROR, NULL },
        { "*-1\r\n", NGX_ERROR, NULL },
        { "-ERR no\r\n", NGX_ERROR, NULL },
        { "*1\r\n:1\r\n", NGX_ERROR, NULL },
        { "*1\r\n*2\r\n:0\r\n:5\r\n", NGX_ERROR, NULL },
        { "*1\r\n*3\r\n:0\r\n:5\r\n:1\r\n", NGX_ERROR, NULL },
        { "*1\r\n*3\r\n:0\r\n:5\r\n*0\r\n", NGX_ERROR, NULL },
        { "*1\r\n*3\r\n:0\r\n:5\r\n*1\r\n$1\r\na\r\n", NGX_ERROR, NULL },
        { "*1\r\n*3\r\n:-1\r\n:5\r\n" MASTER, NGX_ERROR, NULL },
        { "*1\r\n*3\r\n:6\r\n:5\r\n" MASTER, NGX_ERROR, NULL },
        { "*1\r\n*3\r\n:0\r\n:16384\r\n" MASTER, NGX_ERROR, NULL },
        { "*1\r\n*3\r\n$1\r\nx\r\n:5\r\n" MASTER, NGX_ERROR, NULL },
        { "*1\r\n*3\r\n*0\r\n:5\r\n" MASTER, NGX_ERROR, NULL },
        { "*2\r\n" RANGE RANGE, NGX_ERROR, NULL },
        { "*2\r\n" RANGE "*3\r\n:5\r\n:6\r\n" MASTER, NGX_ERROR, NULL },
        { "*1\r\n*3\r\n:0\r\n:5\r\n*2\r\n$1\r\na\r\n:0\r\n",
          NGX_ERROR, NULL },
        { "*1\r\n*3\r\n:0\r\n:5\r\n*2\r\n$1\r\na\r\n:65536\r\n",
          NGX_ERROR, NULL },
        { "*1\r\n*3\r\n:0\r\n:5\r\n*2\r\n$3\r\na b\r\n:1\r\n",
          NGX_ERROR, NULL },
        { "*1\r\n*3\r\n:0\r\n:5\r\n*2\r\n$3\r\na\000b\r\n:1\r\n",
          NGX_ERROR, NULL },
        { "*1\r\n*3\r\n:0\r\n:5\r\n*2\r\n:1\r\n:1\r\n", NGX_ERROR, NULL },
        { "*1\r\n*3\r\n:0\r\n:5\r\n"
          "*4\r\n$1\r\na\r\n:1\r\n$2\r\nid\r\n$1\r\nx\r\n",
          NGX_ERROR, NULL },
        { "*1\r\n*3\r\n:0\r\n:5\r\n"
          "*4\r\n$1\r\na\r\n:1\r\n$2\r\nid\r\n*2\r\n$2\r\nip\r\n:1\r\n",
          NGX_ERROR, NULL },
        { "*1\r\n*3\r\n:0\r\n:5\r\n"
          "*4\r\n$1\r\na\r\n:1\r\n$2\r\nid\r\n"
          "*2\r\n$2\r\nip\r\n$3\r\na b\r\n",
          NGX_ERROR, NULL },
        { NULL, 0, NULL }
    };

    for (row = rows; row->wire; row++) {
        pool = ngx_create_pool(1024, ngx_cycle->log);
        assert_non_null(pool);
        assert_int_equal(ngx_array_init(&ranges, pool, 1,
                                        sizeof(ngx_redis_range_t)),
                         NGX_OK);

        reply = map_reply(row->wire);
        err = NULL;

        if (ngx_redis_map_parse(reply, &ranges, &err) != row->rc) {
            fail_msg("%s", row->wire);
        }

        if (row->rc == NGX_OK) {
            map_format(&ranges, found, sizeof(found));
            assert_string_equal(found, row->ranges);
        }

        assert_int_equal(err != NULL, row->rc == NGX_ERROR);

        freeReplyObject(reply);
        ngx_destroy_pool(pool);
    }
}


static void
test_unserved(void **state)
{
    redisReply  *reply;

    reply = map_reply("-CLUSTERDOWN Hash slot not served\r\n");
    assert_int_equal(ngx_redis_map_unserved(reply), 1);
    freeReplyObject(reply);

    reply = map_reply("-CLUSTERDOWN The cluster is down\r\n");
    assert_int_equal(ngx_redis_map_unserved(reply), 0);
    freeReplyObject(reply);

    reply = map_reply("$33\r\nCLUSTERDOWN Hash slot not served \r\n");
    assert_int_equal(ngx_redis_map_unserved(reply), 0);
    freeReplyObject(reply);

    reply = map_reply("-CLUSTERDOWN\r\n");
    assert_int_equal(ngx_redis_map_unserved(reply), 0);
    freeReplyObject(reply);
}


static redisReply *
map_reply(const char *wire)
{
    size_t               len;
    redisReply          *reply;
    ngx_redis_reader_t   rd;

    /* one row has a zero byte, before its last 6 */

    len = strlen(wire);

    if (len && wire[len - 1] != '\n') {
        len += 1 + strlen(wire + len + 1);
    }

    assert_int_equal(ngx_redis_reader_init(&rd, 4096), NGX_OK);
    assert_int_equal(ngx_redis_reader_feed(&rd, (u_char *) wire, len),
                     NGX_OK);
    assert_int_equal(ngx_redis_reader_next(&rd, &reply), NGX_OK);

    ngx_redis_reader_free(&rd);

    return reply;
}


static void
map_format(ngx_array_t *ranges, char *buf, size_t size)
{
    u_char             *p, *last;
    ngx_uint_t          i;
    ngx_redis_range_t  *range;

    range = ranges->elts;

    p = (u_char *) buf;
    last = p + size - 1;

    for (i = 0; i < ranges->nelts; i++) {
        p = ngx_slprintf(p, last, "%ui-%ui %V:%d %V,", range[i].first,
                         range[i].last, &range[i].endpoint.host,
                         (int) range[i].endpoint.port,
                         &range[i].endpoint.name);
    }

    *p = '\0';
}


int
main(void)
{
    static ngx_log_t    log;
    static ngx_cycle_t  cycle;

    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_redirects),
        cmocka_unit_test(test_long_host),
        cmocka_unit_test(test_maps),
        cmocka_unit_test(test_unserved)
    };

    cycle.log = &log;
    ngx_cycle = &cycle;

    return cmocka_run_group_tests(tests, NULL, NULL);
}
