
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <ngx_redis_reply.h>

#include "../no_memory.h"


#define MAX  10000


static redisReply *reply_of(const char *wire);
static const char *reply_error(const char *wire, size_t max);
static void feed(ngx_redis_reader_t *rd, const char *wire, size_t len);


static void
test_split(void **state)
{
    size_t               i, len;
    redisReply          *reply;
    ngx_redis_reader_t   rd;

    static const char  wire[] = "*5\r\n$5\r\na\0\r\nb\r\n:-42\r\n$-1\r\n"
                                "*2\r\n+s\r\n-ERR e\r\n*-1\r\n";

    /* byte by byte, in memory that ends where the bytes end */

    assert_int_equal(ngx_redis_reader_init(&rd, MAX), NGX_OK);

    len = sizeof(wire) - 1;

    for (i = 0; i < len; i++) {
        assert_int_equal(ngx_redis_reader_next(&rd, &reply), NGX_AGAIN);
        feed(&rd, wire + i, 1);
    }

    assert_int_equal(ngx_redis_reader_next(&rd, &reply), NGX_OK);

    assert_int_equal(ngx_redis_reply_array(reply, 5), NGX_OK);
    assert_int_equal(reply->element[0]->len, 5);
    assert_memory_equal(reply->element[0]->str, "a\0\r\nb", 5);
    assert_int_equal(reply->element[1]->integer, -42);
    assert_true(ngx_redis_reply_nil(reply->element[2]));
    assert_int_equal(ngx_redis_reply_array(reply->element[3], 2), NGX_OK);
    assert_true(ngx_redis_reply_error(reply->element[3]->element[1], "ERR"));
    assert_true(ngx_redis_reply_nil(reply->element[4]));

    freeReplyObject(reply);

    assert_int_equal(ngx_redis_reader_next(&rd, &reply), NGX_AGAIN);

    ngx_redis_reader_free(&rd);
    ngx_redis_reader_free(&rd);
}


static void
test_many_in_one(void **state)
{
    ngx_uint_t           i;
    redisReply          *reply;
    ngx_redis_reader_t   rd;

    assert_int_equal(ngx_redis_reader_init(&rd, 100), NGX_OK);

    /* together they are longer than any of them may be */

    for (i = 0; i < 1000; i++) {
        feed(&rd, "$10\r\n0123456789\r\n", 17);
    }

    for (i = 0; i < 1000; i++) {
        assert_int_equal(ngx_redis_reader_next(&rd, &reply), NGX_OK);
        assert_int_equal(reply->len, 10);
        freeReplyObject(reply);
    }

    assert_int_equal(ngx_redis_reader_next(&rd, &reply), NGX_AGAIN);

    ngx_redis_reader_free(&rd);
}


static void
test_freed_half_way(void **state)
{
    redisReply          *reply;
    ngx_redis_reader_t   rd;

    assert_int_equal(ngx_redis_reader_init(&rd, MAX), NGX_OK);

    feed(&rd, "*3\r\n$1\r\na\r\n*2\r\n:1\r\n", 19);
    assert_int_equal(ngx_redis_reader_next(&rd, &reply), NGX_AGAIN);

    /* the leak checker watches */

    ngx_redis_reader_free(&rd);
}


static void
test_garbage(void **state)
{
    char **row;

    static char  *rows[] = {
        "HTTP/1.1 400 Bad Request\r\n", "\r\n", "x", " +OK\r\n",
        ":\r\n", ":x\r\n", ":1x\r\n", ":99999999999999999999\r\n",
        "$x\r\n", "$-2\r\n", "$1x\r\na\r\n", "$99999999999999999999\r\n",
        "*x\r\n", "*-2\r\n", "*99999999999999999999\r\n",
        "$3\r\nabcde", "$0\r\nxx", "*1\r\n$1\r\nab\n",
        "*1\r\nx", "%1\r\n+a\r\n+b\r\n", "_\r\n", "#t\r\n",
        "~1\r\n+a\r\n", ",1.5\r\n", "(1\r\n", "=5\r\ntxt:a\r\n",
        ">1\r\n+a\r\n", "*1\r\n_\r\n", "*1\r\n#t\r\n", NULL
    };

    for (row = rows; *row; row++) {
        if (reply_error(*row, MAX) == NULL) {
            fail_msg("\"%s\" is understood", *row);
        }
    }
}


/* refused when it is announced, not when it is here */

static void
test_announced(void **state)
{
    assert_string_equal(reply_error("$10001\r\n", MAX), "too large reply");
    assert_string_equal(reply_error("$10001", MAX), "too large reply");
    assert_string_equal(reply_error("*1\r\n$536870912\r\n", MAX),
                        "too large reply");

    /* which no size_t has room for, and hiredis knows, where that is short */

    assert_string_equal(reply_error("$9223372036854775807\r\n", MAX),
                        (NGX_PTR_SIZE == 8) ? "too large reply"
                                            : "protocol error");
    assert_string_equal(reply_error("*65537\r\n", MAX),
                        "too many elements in reply");
    assert_string_equal(reply_error("*2147483647\r\n", MAX),
                        "too many elements in reply");
    assert_string_equal(reply_error("*60000\r\n*60000\r\n", MAX),
                        "too many elements in reply");

    assert_null(reply_error("$10000\r\n", MAX));
    assert_null(reply_error("*65536\r\n", MAX));
}


static void
test_depth(void **state)
{
    assert_null(reply_error("*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n", MAX));
    assert_string_equal(reply_error("*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n", MAX),
                        "too deep reply");
    assert_non_null(reply_error("*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n"
                                "*1\r\n*1\r\n*1\r\n", MAX));
}


static void
test_endless(void **state)
{
    char                 line[1000];
    ngx_int_t            rc;
    ngx_uint_t           i;
    redisReply          *reply;
    ngx_redis_reader_t   rd;

    memset(line, 'a', sizeof(line));

    assert_int_equal(ngx_redis_reader_init(&rd, MAX), NGX_OK);
    feed(&rd, "+", 1);

    for (i = 0; i < 11; i++) {
        feed(&rd, line, sizeof(line));

        rc = ngx_redis_reader_next(&rd, &reply);

        if (rc == NGX_ERROR) {
            break;
        }

        assert_int_equal(rc, NGX_AGAIN);
    }

    assert_int_equal(i, 9);
    assert_string_equal(rd.err, "too large reply");
    ngx_redis_reader_free(&rd);

    /* many short ones in one array */

    assert_int_equal(ngx_redis_reader_init(&rd, MAX), NGX_OK);
    feed(&rd, "*60000\r\n", 8);

    for (i = 0; i < 2000; i++) {
        feed(&rd, "$4\r\naaaa\r\n", 10);

        rc = ngx_redis_reader_next(&rd, &reply);

        if (rc == NGX_ERROR) {
            break;
        }

        assert_int_equal(rc, NGX_AGAIN);
    }

    assert_in_range(i, 900, 1000);
    assert_string_equal(rd.err, "too large reply");
    ngx_redis_reader_free(&rd);
}


/* all of it is here at once: still nothing is made of it */

static void
test_large_in_one(void **state)
{
    size_t       len;
    char        *wire;
    ngx_uint_t   i;

    wire = malloc(3 * MAX);
    assert_non_null(wire);

    len = sprintf(wire, "*1100\r\n");

    for (i = 0; i < 1100; i++) {
        len += sprintf(wire + len, "$10\r\n0123456789\r\n");
    }

    assert_string_equal(reply_error(wire, MAX), "too large reply");
    assert_null(reply_error(wire, 2 * MAX));

    free(wire);
}


/* what one reply has is not held against the next */

static void
test_elements_in_two(void **state)
{
    char        *wire, *p;
    ngx_uint_t   i, n;

    wire = malloc(400000);
    assert_non_null(wire);

    p = wire;

    for (n = 0; n < 2; n++) {
        p += sprintf(p, "*40000\r\n");

        for (i = 0; i < 40000; i++) {
            p += sprintf(p, ":1\r\n");
        }
    }

    assert_null(reply_error(wire, 400000));

    free(wire);
}


/* a reply of just the allowed length, and then another */

static void
test_limit(void **state)
{
    size_t               len;
    char                *wire;
    redisReply          *reply;
    ngx_redis_reader_t   rd;

    wire = malloc(MAX + 100);
    assert_non_null(wire);

    len = sprintf(wire, "$%d\r\n", MAX - 10);
    memset(wire + len, 'a', MAX - 10);
    memcpy(wire + len + MAX - 10, "\r\n", 2);
    len += MAX - 10 + 2;

    assert_int_equal(ngx_redis_reader_init(&rd, MAX), NGX_OK);

    feed(&rd, wire, len / 2);
    assert_int_equal(ngx_redis_reader_next(&rd, &reply), NGX_AGAIN);
    feed(&rd, wire + len / 2, len - len / 2);
    assert_int_equal(ngx_redis_reader_next(&rd, &reply), NGX_OK);
    assert_int_equal(reply->len, MAX - 10);
    freeReplyObject(reply);

    feed(&rd, wire, len);
    assert_int_equal(ngx_redis_reader_next(&rd, &reply), NGX_OK);
    freeReplyObject(reply);

    ngx_redis_reader_free(&rd);
    free(wire);
}


/*
 * The buffer that a large reply has left is replaced, whichever allocations fail
 * meanwhile.
 */

static void
test_large_then_small(void **state)
{
    int                  n, failed;
    char                *wire;
    size_t               len;
    ngx_int_t            rc;
    redisReply          *reply;
    redisReader         *before;
    ngx_redis_reader_t   rd;

    wire = malloc(40100);
    assert_non_null(wire);

    len = sprintf(wire, "$40000\r\n");
    memset(wire + len, 'a', 40000);
    memcpy(wire + len + 40000, "\r\n", 2);
    len += 40000 + 2;

    n = 1;

    do {
        assert_int_equal(ngx_redis_reader_init(&rd, 100000), NGX_OK);
        before = rd.reader;

        feed(&rd, "+a\r\n", 4);
        assert_int_equal(ngx_redis_reader_next(&rd, &reply), NGX_OK);
        freeReplyObject(reply);
        assert_ptr_equal(rd.reader, before);

        feed(&rd, wire, len);

        no_memory(n++, 0);

        rc = ngx_redis_reader_next(&rd, &reply);

        if (rc == NGX_OK) {
            freeReplyObject(reply);
            rc = ngx_redis_reader_feed(&rd, (u_char *) "+OK\r\n", 5);
        }

        failed = no_memory_end();

        if (rc == NGX_OK) {
            assert_int_equal(ngx_redis_reader_next(&rd, &reply), NGX_OK);
            assert_memory_equal(reply->str, "OK", 2);
            freeReplyObject(reply);

        } else {
            assert_true(failed);
            assert_non_null(rd.err);
        }

        assert_true(failed || rd.reader != before);
        ngx_redis_reader_free(&rd);

    } while (failed);

    assert_true(n > 3);

    free(wire);
}


static void
test_integer(void **state)
{
    int64_t      n;
    char       **row;
    redisReply  *reply;

    static char  *good[] = {
        ":9223372036854775807\r\n", "$19\r\n9223372036854775807\r\n",
        "+9223372036854775807\r\n", NULL
    };

    static char  *bad[] = {
        "$0\r\n\r\n", "$1\r\n-\r\n", "$2\r\n1x\r\n", "$2\r\n+1\r\n",
        "$2\r\n 1\r\n", "$3\r\n1.0\r\n", "$19\r\n9223372036854775808\r\n",
        "$20\r\n10000000000000000000\r\n", "-ERR 1\r\n", "*1\r\n:1\r\n",
        "$-1\r\n", NULL
    };

    for (row = good; *row; row++) {
        reply = reply_of(*row);
        assert_int_equal(ngx_redis_reply_integer(reply, &n), NGX_OK);
        assert_true(n == 9223372036854775807LL);
        freeReplyObject(reply);
    }

    reply = reply_of("$20\r\n-9223372036854775807\r\n");
    assert_int_equal(ngx_redis_reply_integer(reply, &n), NGX_OK);
    assert_true(n == -9223372036854775807LL);
    freeReplyObject(reply);

    for (row = bad; *row; row++) {
        reply = reply_of(*row);
        assert_int_equal(ngx_redis_reply_integer(reply, &n), NGX_ERROR);
        freeReplyObject(reply);
    }

    assert_int_equal(ngx_redis_reply_integer(NULL, &n), NGX_ERROR);
}


static void
test_types(void **state)
{
    ngx_str_t    s;
    redisReply  *reply;

    reply = reply_of("$3\r\na\0b\r\n");
    assert_null(reply);

    reply = reply_of("+status\r\n");
    assert_int_equal(ngx_redis_reply_string(reply, &s), NGX_OK);
    assert_int_equal(s.len, 6);
    assert_int_equal(ngx_redis_reply_array_min(reply, 0), NGX_ERROR);
    assert_false(ngx_redis_reply_nil(reply));
    freeReplyObject(reply);

    reply = reply_of("-ERR text\r\n");
    assert_int_equal(ngx_redis_reply_string(reply, &s), NGX_ERROR);
    freeReplyObject(reply);

    reply = reply_of("*2\r\n:1\r\n:2\r\n");
    assert_int_equal(ngx_redis_reply_array(reply, 2), NGX_OK);
    assert_int_equal(ngx_redis_reply_array(reply, 1), NGX_ERROR);
    assert_int_equal(ngx_redis_reply_array(reply, 3), NGX_ERROR);
    assert_int_equal(ngx_redis_reply_array_min(reply, 1), NGX_OK);
    assert_int_equal(ngx_redis_reply_array_min(reply, 3), NGX_ERROR);
    assert_int_equal(ngx_redis_reply_string(reply, &s), NGX_ERROR);
    freeReplyObject(reply);

    assert_int_equal(ngx_redis_reply_string(NULL, &s), NGX_ERROR);
    assert_int_equal(ngx_redis_reply_array(NULL, 0), NGX_ERROR);
    assert_false(ngx_redis_reply_nil(NULL));
    assert_false(ngx_redis_reply_error(NULL, "ERR"));
}


static void
test_code(void **state)
{
    ngx_str_t    code;
    redisReply  *reply;

    reply = reply_of("-NOSCRIPT No matching script\r\n");
    assert_true(ngx_redis_reply_error(reply, "NOSCRIPT"));
    assert_false(ngx_redis_reply_error(reply, "NOSCRIP"));
    assert_false(ngx_redis_reply_error(reply, "NOSCRIPTS"));
    freeReplyObject(reply);

    reply = reply_of("-LOADING\r\n");
    assert_true(ngx_redis_reply_error(reply, "LOADING"));
    freeReplyObject(reply);

    /* nothing that could forge a line of a log */

    reply = reply_of("-ERR\x1b[31m x\r\n");
    code = ngx_redis_reply_code(reply);
    assert_int_equal(code.len, 0);
    freeReplyObject(reply);

    reply = reply_of("-ABCDEFGHIJKLMNOPQ x\r\n");
    code = ngx_redis_reply_code(reply);
    assert_int_equal(code.len, 0);
    freeReplyObject(reply);

    reply = reply_of("+ERR x\r\n");
    assert_false(ngx_redis_reply_error(reply, "ERR"));
    freeReplyObject(reply);
}


/* as of Redis 6 */

static void
test_code_within_script(void **state)
{
    ngx_str_t    code;
    redisReply  *reply;

#define SCRIPT  "-ERR Error running script (call to f_0a): @user_script:3: "

    reply = reply_of(SCRIPT "@user_script: 3: -READONLY You can't write "
                     "against a read only replica. \r\n");
    assert_true(ngx_redis_reply_error(reply, "READONLY"));
    assert_int_equal(ngx_redis_reply_verdict(reply),
                     NGX_REDIS_VERDICT_LEAVE);
    freeReplyObject(reply);

    reply = reply_of(SCRIPT "x: -OOM\r\n");
    assert_true(ngx_redis_reply_error(reply, "OOM"));
    freeReplyObject(reply);

    reply = reply_of(SCRIPT "attempt to index a nil value\r\n");
    assert_true(ngx_redis_reply_error(reply, "ERR"));
    freeReplyObject(reply);

    reply = reply_of(SCRIPT "x: -odd READONLY\r\n");
    assert_true(ngx_redis_reply_error(reply, "ERR"));
    freeReplyObject(reply);

    reply = reply_of(SCRIPT ": -\r\n");
    assert_true(ngx_redis_reply_error(reply, "ERR"));
    freeReplyObject(reply);

    reply = reply_of("-ERR unknown command: -READONLY x\r\n");
    assert_true(ngx_redis_reply_error(reply, "ERR"));
    freeReplyObject(reply);

    reply = reply_of("-ERR Error\r\n");
    code = ngx_redis_reply_code(reply);
    assert_int_equal(code.len, 3);
    freeReplyObject(reply);
}


static void
test_verdict(void **state)
{
    redisReply  *reply;

    struct {
        const char           *wire;
        ngx_redis_verdict_e   verdict;

    } *row, rows[] = {
        { "+OK\r\n", NGX_REDIS_VERDICT_WELL },
        { "+LOADING\r\n", NGX_REDIS_VERDICT_WELL },
        { "-ERR x\r\n", NGX_REDIS_VERDICT_WELL },
        { "-NOSCRIPT x\r\n", NGX_REDIS_VERDICT_WELL },
        { "-OOM x\r\n", NGX_REDIS_VERDICT_WELL },
        { "-MOVED 1 a:1\r\n", NGX_REDIS_VERDICT_WELL },
        { "-NOPERM x\r\n", NGX_REDIS_VERDICT_WELL },
        { "-LOADING x\r\n", NGX_REDIS_VERDICT_LEAVE },
        { "-READONLY x\r\n", NGX_REDIS_VERDICT_LEAVE },
        { "-MASTERDOWN x\r\n", NGX_REDIS_VERDICT_LEAVE },
        { "-NOAUTH x\r\n", NGX_REDIS_VERDICT_LEAVE },
        { "-WRONGPASS x\r\n", NGX_REDIS_VERDICT_LEAVE },
        { "-BUSY x\r\n", NGX_REDIS_VERDICT_FAILED },
        { "-CLUSTERDOWN x\r\n", NGX_REDIS_VERDICT_FAILED },
        { NULL, NGX_REDIS_VERDICT_WELL }
    };

    for (row = rows; row->wire; row++) {
        reply = reply_of(row->wire);
        assert_int_equal(ngx_redis_reply_verdict(reply), row->verdict);
        freeReplyObject(reply);
    }
}


static redisReply *
reply_of(const char *wire)
{
    redisReply          *reply;
    ngx_redis_reader_t   rd;

    assert_int_equal(ngx_redis_reader_init(&rd, MAX), NGX_OK);

    feed(&rd, wire, strlen(wire));

    if (ngx_redis_reader_next(&rd, &reply) != NGX_OK) {
        reply = NULL;
    }

    ngx_redis_reader_free(&rd);

    return reply;
}


static const char *
reply_error(const char *wire, size_t max)
{
    ngx_int_t            rc;
    const char          *err;
    redisReply          *reply;
    ngx_redis_reader_t   rd;

    assert_int_equal(ngx_redis_reader_init(&rd, max), NGX_OK);

    feed(&rd, wire, strlen(wire));

    while ((rc = ngx_redis_reader_next(&rd, &reply)) == NGX_OK) {
        freeReplyObject(reply);
    }

    err = (rc == NGX_ERROR) ? rd.err : NULL;

    ngx_redis_reader_free(&rd);

    return err;
}


static void
feed(ngx_redis_reader_t *rd, const char *wire, size_t len)
{
    u_char  *copy;

    copy = malloc(len ? len : 1);
    assert_non_null(copy);

    memcpy(copy, wire, len);
    assert_int_equal(ngx_redis_reader_feed(rd, copy, len), NGX_OK);

    free(copy);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_split),
        cmocka_unit_test(test_many_in_one),
        cmocka_unit_test(test_freed_half_way),
        cmocka_unit_test(test_garbage),
        cmocka_unit_test(test_announced),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_endless),
        cmocka_unit_test(test_large_in_one),
        cmocka_unit_test(test_elements_in_two),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_large_then_small),
        cmocka_unit_test(test_integer),
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_code),
        cmocka_unit_test(test_code_within_script),
        cmocka_unit_test(test_verdict),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
