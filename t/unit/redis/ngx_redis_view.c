
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


#define MAX  100


typedef struct {
    char        text[400];   /* of all replies */
    ngx_uint_t  views;       /* of them, not copied */
    const char *err;
} read_t;


static void read_in(read_t *rr, const char *wire, size_t len, size_t chunk);
static ngx_int_t read_chunk(read_t *rr, ngx_redis_reader_t *rd, u_char *pos,
    u_char *last);
static void read_reply(read_t *rr, redisReply *reply);
static void refused(const char *wire, const char *err);


static void
test_any_cut(void **state)
{
    read_t      rr;
    size_t      i, len;
    ngx_uint_t  views;

    static const char  wire[] = "$3\r\nabc\r\n" "$0\r\n\r\n" "$-1\r\n"
                                "*2\r\n$1\r\nx\r\n$12\r\n$3\r\nabc\r\n...\r\n"
                                ":5\r\n" "$12\r\n$3\r\nabc\r\n...\r\n"
                                "+OK\r\n" "$1\r\n\0\r\n" "$2\r\n\r\n\r\n";

    static const char  text[] = "<abc><>nil[<x><$3\r\nabc\r\n...>]"
                                "5<$3\r\nabc\r\n...>OK<.><\r\n>";

    /* whatever the cut, the same replies, and most of them where they are */

    len = sizeof(wire) - 1;
    views = 0;

    for (i = 1; i <= len; i++) {
        read_in(&rr, wire, len, i);
        assert_null(rr.err);
        assert_string_equal(rr.text, text);
        views += rr.views;
    }

    assert_true(views > len);
}


static void
test_rest_of_reply(void **state)
{
    read_t  rr;

    static const char  wire[] = "$5\r\nabcde\r\n$4\r\nabcd\r\n$3\r\nabc\r\n"
                                "$2\r\nab\r\n";

    /* what lacks a few bytes is copied, and nothing behind it */

    read_in(&rr, wire, sizeof(wire) - 1, 17);

    assert_string_equal(rr.text, "<abcde><abcd><abc><ab>");
    assert_int_equal(rr.views, 2);
}


static void
test_limit(void **state)
{
    read_t  rr;
    char    wire[MAX + 20];
    size_t  len;

    len = sprintf(wire, "$%d\r\n%0*d\r\n", MAX, MAX, 0);
    read_in(&rr, wire, len, len);
    assert_null(rr.err);
    assert_int_equal(rr.views, 1);

    len = sprintf(wire, "$%d\r\n%0*d\r\n", MAX + 1, MAX + 1, 0);
    read_in(&rr, wire, len, len);
    assert_string_equal(rr.err, "too large reply");
    assert_int_equal(rr.views, 0);

    refused("$4294967297\r\n", (NGX_PTR_SIZE == 8) ? "too large reply"
                                                  : "protocol error");
    refused("$18446744073709551617\r\nx\r\n", "protocol error");
}


static void
test_garbage(void **state)
{
    refused("$1\r\nabc\r\n", "protocol error");
    refused("$1\r\na\r\r\n", "protocol error");
    refused("$1\r\na\n\n", "protocol error");
    refused("$-2\r\nab\r\n", "protocol error");
    refused("$x\r\nab\r\n", "protocol error");
    refused("$\r\nab\r\n", "protocol error");
    refused("$1x\r\na\r\n", "protocol error");
}


static void
refused(const char *wire, const char *err)
{
    read_t  rr;

    read_in(&rr, wire, strlen(wire), strlen(wire));

    assert_non_null(rr.err);
    assert_string_equal(rr.err, err);
    assert_int_equal(rr.views, 0);
    assert_string_equal(rr.text, "");
}


/* as a connection does, in memory that ends where the bytes end */

static void
read_in(read_t *rr, const char *wire, size_t len, size_t chunk)
{
    u_char              *copy;
    size_t               size;
    ngx_int_t            rc;
    ngx_redis_reader_t   rd;

    memset(rr, 0, sizeof(read_t));

    assert_int_equal(ngx_redis_reader_init(&rd, MAX), NGX_OK);

    for (rc = NGX_OK; len && rc == NGX_OK; len -= size, wire += size) {
        size = ngx_min(chunk, len);

        copy = malloc(size);
        assert_non_null(copy);
        memcpy(copy, wire, size);

        rc = read_chunk(rr, &rd, copy, copy + size);

        free(copy);
    }

    ngx_redis_reader_free(&rd);
}


static ngx_int_t
read_chunk(read_t *rr, ngx_redis_reader_t *rd, u_char *pos, u_char *last)
{
    size_t       size;
    ngx_int_t    rc;
    redisReply  *reply, view;

    while (pos < last) {

        if (ngx_redis_reader_view(rd, &pos, last, &view) == NGX_OK) {
            read_reply(rr, &view);
            rr->views++;
            continue;
        }

        size = ngx_redis_reader_share(rd, last - pos);
        assert_in_range(size, 1, last - pos);

        assert_int_equal(ngx_redis_reader_feed(rd, pos, size), NGX_OK);
        pos += size;

        while ((rc = ngx_redis_reader_next(rd, &reply)) == NGX_OK) {
            read_reply(rr, reply);
            freeReplyObject(reply);
        }

        if (rc == NGX_ERROR) {
            rr->err = rd->err;
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static void
read_reply(read_t *rr, redisReply *reply)
{
    char    *p;
    size_t   i;

    p = rr->text + strlen(rr->text);

    switch (reply->type) {

    case REDIS_REPLY_STRING:
        *p++ = '<';

        for (i = 0; i < (size_t) reply->len; i++) {
            *p++ = reply->str[i] ? reply->str[i] : '.';
        }

        strcpy(p, ">");
        break;

    case REDIS_REPLY_ARRAY:
        strcpy(p, "[");

        for (i = 0; i < reply->elements; i++) {
            read_reply(rr, reply->element[i]);
        }

        strcat(p, "]");
        break;

    case REDIS_REPLY_INTEGER:
        sprintf(p, "%lld", reply->integer);
        break;

    case REDIS_REPLY_NIL:
        strcpy(p, "nil");
        break;

    default:
        strcpy(p, reply->str);
        break;
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_any_cut),
        cmocka_unit_test(test_rest_of_reply),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_garbage),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
