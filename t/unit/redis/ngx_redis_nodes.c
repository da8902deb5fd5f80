
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <ngx_redis_nodes.h>


/* forty digits */

#define A  "a000000000000000000000000000000000000001"
#define B  "b000000000000000000000000000000000000002"
#define C  "c000000000000000000000000000000000000003"

#define END  " 0 1700000000000 3 connected"


typedef struct {
    const char            *text;
    ngx_int_t              rc;
    const char            *masters;   /* "id host:port name," */
    ngx_uint_t             slots;
    int                    myself;    /* the first digit, or 0 */
    ngx_uint_t             settled;
} nodes_t;


typedef struct {
    const char            *text;
    ngx_int_t              rc;
    ngx_uint_t             ok;
} info_t;


static redisReply *nodes_reply(const char *text);
static ngx_int_t nodes_parse(const char *text, ngx_redis_nodes_t *nodes,
    char *found, size_t size);


static void
test_nodes(void **state)
{
    char                found[512];
    nodes_t            *row;
    ngx_redis_nodes_t   nodes;

    static nodes_t  rows[] = {

        /* Redis 4, 7, with replicas, an IPv6 address, no address of its own */

        { A " 10.0.0.1:7000@17000 myself,master -" END " 0-8191\n"
          B " 10.0.0.2:7000@17000 master -" END " 8192-16382 16383\n"
          C " 10.0.0.3:7000@17000 slave " A END "\n",
          NGX_OK, "a 10.0.0.1:7000 ,b 10.0.0.2:7000 ,", 16384, 'a', 1 },
        { A " ::1:7000@17000,a.b master -" END " 0-16383\n"
          C " :7001@17001,c.d,tls-port=0,shard-id=" B " myself,slave " A
          END "\n",
          NGX_OK, "a ::1:7000 a.b,", 16384, 0, 1 },
        { A " :7000@17000, myself,master -" END " 0-16383\n",
          NGX_OK, "a :7000 ,", 16384, 'a', 1 },
        { A " 10.0.0.1:7000 myself,master -" END " 0-16383\n",
          NGX_OK, "a 10.0.0.1:7000 ,", 16384, 'a', 1 },

        /* a master without slots may import one; one that is down, may not */

        { A " 10.0.0.1:7000@17000 myself,master -" END
          " 0-16383 [7->-" B "] [8-<-" B "]\n"
          B " 10.0.0.2:7000@17000 master -" END "\n",
          NGX_OK, "a 10.0.0.1:7000 ,b 10.0.0.2:7000 ,", 16384, 'a', 1 },
        { A " 10.0.0.1:7000@17000 myself,master -" END " 0-16383\n"
          B " 10.0.0.2:7000@17000 master,fail? -" END "\n",
          NGX_OK, "a 10.0.0.1:7000 ,b 10.0.0.2:7000 ,", 16384, 'a', 1 },
        { A " 10.0.0.1:7000@17000 myself,master -" END " 0-16383\n"
          B " 10.0.0.2:7000@17000 master,fail -" END "\n",
          NGX_OK, "a 10.0.0.1:7000 ,", 16384, 'a', 1 },
        { A " 10.0.0.1:7000@17000 myself,master -" END " 0-16383\n"
          B " :0@0 master,noaddr -" END "\n",
          NGX_OK, "a 10.0.0.1:7000 ,", 16384, 'a', 1 },

        /* with slots it is missed */

        { A " 10.0.0.1:7000@17000 myself,master -" END " 0-8191\n"
          B " 10.0.0.2:7000@17000 master,fail -" END " 8192-16383\n",
          NGX_OK, "a 10.0.0.1:7000 ,b 10.0.0.2:7000 ,", 16384, 'a', 0 },

        /* somebody is about to join, slots are nobody's */

        { A " 10.0.0.1:7000@17000 myself,master -" END " 0-16383\n"
          B " 10.0.0.2:7000@17000 handshake -" END "\n",
          NGX_OK, "a 10.0.0.1:7000 ,", 16384, 'a', 0 },
        { A " 10.0.0.1:7000@17000 myself,master -" END " 0-16383\n"
          B " 10.0.0.2:7000@17000 master,handshake -" END "\n",
          NGX_OK, "a 10.0.0.1:7000 ,", 16384, 'a', 0 },
        { A " 10.0.0.1:7000@17000 myself,master -" END " 0-16382\n",
          NGX_OK, "a 10.0.0.1:7000 ,", 16383, 'a', 0 },
        { A " 10.0.0.1:7000@17000 myself,master -" END "\n",
          NGX_OK, "a 10.0.0.1:7000 ,", 0, 'a', 0 },
        { "", NGX_OK, "", 0, 0, 0 },

        { A " 10.0.0.1:7000@17000 master -" END " 0-16383",
          NGX_ERROR, NULL, 0, 0, 0 },
        { "\n", NGX_ERROR, NULL, 0, 0, 0 },
        { A "\n", NGX_ERROR, NULL, 0, 0, 0 },
        { A " 10.0.0.1:7000@17000 master - 0 0 3\n",
          NGX_ERROR, NULL, 0, 0, 0 },
        { A "1 10.0.0.1:7000@17000 master -" END "\n",
          NGX_ERROR, NULL, 0, 0, 0 },
        { "G" "000000000000000000000000000000000000001"
          " 10.0.0.1:7000@17000 master -" END "\n",
          NGX_ERROR, NULL, 0, 0, 0 },
        { A " 10.0.0.1@17000 master -" END "\n", NGX_ERROR, NULL, 0, 0, 0 },
        { A " 10.0.0.1:@17000 master -" END "\n", NGX_ERROR, NULL, 0, 0, 0 },
        { A " @17000 master -" END "\n", NGX_ERROR, NULL, 0, 0, 0 },
        { A " , master -" END "\n", NGX_ERROR, NULL, 0, 0, 0 },
        { A "  master -" END "\n", NGX_ERROR, NULL, 0, 0, 0 },
        { A " 10.0.0.1:65536@1 master -" END "\n",
          NGX_ERROR, NULL, 0, 0, 0 },
        { A " a/b:7000@17000 master -" END "\n", NGX_ERROR, NULL, 0, 0, 0 },
        { A " 10.0.0.1:7000@1,a/b master -" END "\n",
          NGX_ERROR, NULL, 0, 0, 0 },
        { A " 10.0.0.1:7000@1 master -" END " 16384\n",
          NGX_ERROR, NULL, 0, 0, 0 },
        { A " 10.0.0.1:7000@1 master -" END " 7-6\n",
          NGX_ERROR, NULL, 0, 0, 0 },
        { A " 10.0.0.1:7000@1 master -" END " 7-\n",
          NGX_ERROR, NULL, 0, 0, 0 },
        { A " 10.0.0.1:7000@1 master -" END " -7\n",
          NGX_ERROR, NULL, 0, 0, 0 },
        { A " 10.0.0.1:7000@1 master -" END " x\n",
          NGX_ERROR, NULL, 0, 0, 0 },
        { NULL, 0, NULL, 0, 0, 0 }
    };

    for (row = rows; row->text; row++) {

        if (nodes_parse(row->text, &nodes, found, sizeof(found)) != row->rc) {
            fail_msg("\"%s\"", row->text);
        }

        if (row->rc != NGX_OK) {
            continue;
        }

        assert_string_equal(found, row->masters);
        assert_int_equal(nodes.slots, row->slots);
        assert_int_equal(nodes.settled, row->settled);
        assert_int_equal(nodes.myself ? nodes.myself[0] : 0, row->myself);
    }
}


/* the same masters, whoever says so; the slots do not matter */

static void
test_same(void **state)
{
    char                found[512];
    ngx_uint_t          i, k;
    ngx_redis_nodes_t   nodes[4];

    static const char  *texts[] = {
        A " 10.0.0.1:1@1 myself,master -" END " 0-8191\n"
        B " 10.0.0.2:1@1 master -" END " 8192-16383\n",

        B " 10.0.0.2:1@1 myself,master -" END " 0-16383\n"
        C " 10.0.0.3:1@1 slave " A END "\n"
        A " :1@1 master -" END "\n",

        A " 10.0.0.1:1@1 myself,master -" END " 0-8191\n"
        C " 10.0.0.2:1@1 master -" END " 8192-16383\n",

        A " 10.0.0.1:1@1 myself,master -" END " 0-16383\n"
        B " 10.0.0.2:1@1 master -" END "\n"
        C " 10.0.0.3:1@1 master -" END "\n"
    };

    for (i = 0; i < 4; i++) {
        assert_int_equal(nodes_parse(texts[i], &nodes[i], found,
                                     sizeof(found)),
                         NGX_OK);
    }

    for (i = 0; i < 4; i++) {
        for (k = 0; k < 4; k++) {
            assert_int_equal(ngx_redis_nodes_same(&nodes[i], &nodes[k]),
                             i == k || i + k == 1);
        }
    }
}


#define INFO  "cluster_state:ok\r\ncluster_slots_assigned:16384\r\n"           \
              "cluster_known_nodes:6\r\ncluster_size:3\r\n"                   \
              "cluster_current_epoch:6\r\ncluster_my_epoch:1\r\n"


static void
test_info(void **state)
{
    info_t                  *row;
    redisReply              *reply;
    ngx_redis_nodes_info_t   info;

    static info_t  rows[] = {
        { INFO, NGX_OK, 1 },
        { INFO "cluster_stats_messages_sent:7\r\nx\r\n\r\n:\r\n", NGX_OK, 1 },
        { "cluster_state:fail\r\ncluster_known_nodes:6\ncluster_size:3\n"
          "cluster_current_epoch:6\ncluster_my_epoch:1", NGX_OK, 0 },
        { "", NGX_ERROR, 0 },
        { "cluster_state:ok\r\ncluster_known_nodes:6\r\ncluster_size:3\r\n"
          "cluster_current_epoch:6\r\n", NGX_ERROR, 0 },
        { INFO "cluster_size:x\r\n", NGX_ERROR, 0 },
        { INFO "cluster_size\r\n", NGX_ERROR, 0 },
        { INFO "cluster_size:\r\n", NGX_ERROR, 0 },
        { INFO "cluster_size:99999999999999999999\r\n", NGX_ERROR, 0 },
        { NULL, 0, 0 }
    };

    for (row = rows; row->text; row++) {
        reply = nodes_reply(row->text);

        if (ngx_redis_nodes_info(reply, &info) != row->rc) {
            fail_msg("\"%s\"", row->text);
        }

        if (row->rc == NGX_OK) {
            assert_int_equal(info.ok, row->ok);
            assert_int_equal(info.nodes, 6);
            assert_int_equal(info.size, 3);
            assert_int_equal(info.epoch, 6);
            assert_int_equal(info.own, 1);
            assert_int_equal(ngx_redis_nodes_info_same(&info, &info), row->ok);
        }

        freeReplyObject(reply);
    }
}


static void
test_info_same(void **state)
{
    ngx_uint_t               i;
    ngx_redis_nodes_info_t   info, other;

    info.nodes = 6;
    info.size = 3;
    info.epoch = 6;
    info.own = 1;
    info.ok = 1;

    for (i = 0; i < 5; i++) {
        other = info;

        other.nodes += (i == 1);
        other.size += (i == 2);
        other.epoch += (i == 3);
        other.own += (i == 4);

        assert_int_equal(ngx_redis_nodes_info_same(&info, &other), i == 0);
    }
}


/* an error, a number, an array: nothing is taken from them */

static void
test_types(void **state)
{
    redisReply              *reply;
    const char              *err;
    ngx_uint_t               i;
    redisReader             *reader;
    ngx_redis_nodes_t        nodes;
    ngx_redis_nodes_info_t   info;

    static const char  *wires[] = {
        "-ERR This instance has cluster support disabled\r\n",
        ":1\r\n", "*0\r\n", "$-1\r\n"
    };

    for (i = 0; i < 4; i++) {
        reader = redisReaderCreate();
        redisReaderFeed(reader, wires[i], strlen(wires[i]));
        assert_int_equal(redisReaderGetReply(reader, (void **) &reply),
                         REDIS_OK);
        redisReaderFree(reader);

        assert_int_equal(ngx_redis_nodes_parse(reply, NULL, &nodes, &err),
                         NGX_ERROR);
        assert_non_null(err);
        assert_int_equal(ngx_redis_nodes_info(reply, &info), NGX_ERROR);

        freeReplyObject(reply);
    }
}


static ngx_int_t
nodes_parse(const char *text, ngx_redis_nodes_t *nodes, char *found,
    size_t size)
{
    char                      *p;
    ngx_int_t                  rc;
    ngx_uint_t                 i;
    ngx_log_t                  log;
    ngx_pool_t                *pool;
    redisReply                *reply;
    const char                *err;
    ngx_array_t                masters;
    ngx_redis_nodes_t          counted;
    ngx_redis_nodes_master_t  *master;

    static u_char              myself[NGX_REDIS_NODES_ID];

    ngx_memzero(&log, sizeof(ngx_log_t));

    pool = ngx_create_pool(1024, &log);
    assert_int_equal(ngx_array_init(&masters, pool, 1,
                                    sizeof(ngx_redis_nodes_master_t)),
                     NGX_OK);

    reply = nodes_reply(text);
    rc = ngx_redis_nodes_parse(reply, &masters, nodes, &err);

    assert_int_equal(rc == NGX_ERROR, err != NULL);

    /* to count them is the same */

    assert_int_equal(ngx_redis_nodes_parse(reply, NULL, &counted, &err), rc);

    if (rc == NGX_OK) {
        assert_int_equal(ngx_redis_nodes_same(nodes, &counted), 1);
        assert_int_equal(nodes->n, masters.nelts);
    }

    if (nodes->myself) {
        ngx_memcpy(myself, nodes->myself, NGX_REDIS_NODES_ID);
        nodes->myself = myself;
    }

    p = found;
    *p = '\0';
    master = masters.elts;

    for (i = 0; i < masters.nelts; i++) {
        p += snprintf(p, found + size - p, "%c %.*s:%u %.*s,",
                      master[i].id[0], (int) master[i].endpoint.host.len,
                      master[i].endpoint.host.data,
                      (unsigned) master[i].endpoint.port,
                      (int) master[i].endpoint.name.len,
                      master[i].endpoint.name.data);
    }

    freeReplyObject(reply);
    ngx_destroy_pool(pool);

    return rc;
}


static redisReply *
nodes_reply(const char *text)
{
    char          len[32];
    redisReply   *reply;
    redisReader  *reader;

    reader = redisReaderCreate();

    snprintf(len, sizeof(len), "$%u\r\n", (unsigned) strlen(text));

    redisReaderFeed(reader, len, strlen(len));
    redisReaderFeed(reader, text, strlen(text));
    redisReaderFeed(reader, "\r\n", 2);

    assert_int_equal(redisReaderGetReply(reader, (void **) &reply), REDIS_OK);
    assert_non_null(reply);

    redisReaderFree(reader);

    return reply;
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_nodes),
        cmocka_unit_test(test_same),
        cmocka_unit_test(test_info),
        cmocka_unit_test(test_info_same),
        cmocka_unit_test(test_types)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
