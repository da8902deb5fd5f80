
/*
 * Copyright (C) The Optcache authors
 */


/*
 * What Redis answers when it is asked for events, or whoever is there does.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <ngx_optcache_stream.h>
#include <ngx_redis_reply.h>

#include "ledger_zone.h"


#define HELLO     "*2\r\n$5\r\nhello\r\n$1\r\nx\r\n"
#define TAG       "*2\r\n$3\r\ntag\r\n$1\r\nx\r\n"
#define TAGS      "*2\r\n$4\r\ntags\r\n$1\r\nx\r\n"
#define OWN       "*4\r\n$4\r\nmark\r\n$16\r\n089b851890dafb68\r\n"           \
                  "$4\r\nfrom\r\n$16\r\n0000000000000005\r\n"
#define EVENT(id, fields)  "*2\r\n$3\r\n" id "\r\n" fields


static ngx_optcache_teller_t       teller;
static ngx_optcache_ledger_id_t    last;
static ngx_optcache_stream_told_t  told;


/* what is behind the last one */

static ngx_int_t
take(const char *wire)
{
    ngx_int_t            rc;
    redisReply          *reply;
    ngx_redis_reader_t   rd;

    assert_int_equal(ngx_redis_reader_init(&rd, 1000000), NGX_OK);
    assert_int_equal(ngx_redis_reader_feed(&rd, (u_char *) wire,
                                           strlen(wire)),
                     NGX_OK);
    assert_int_equal(ngx_redis_reader_next(&rd, &reply), NGX_OK);

    teller.ledger = &ledger;
    teller.host = 5;

    ngx_optcache_ledger_id(&ledger, &last);
    rc = ngx_optcache_stream_take(&teller, &last, reply, &told);
    ngx_optcache_ledger_id(&ledger, &last);

    freeReplyObject(reply);
    ngx_redis_reader_free(&rd);

    return rc;
}


static uint64_t
now(void)
{
    ngx_optcache_moment_t  moment;

    ngx_optcache_ledger_now(&ledger, &moment);

    return moment.clock;
}


static void
test_begin(void **state)
{
    uint64_t  clock;

    clock = now();

    assert_int_equal(take("*3\r\n:0\r\n:1\r\n*2\r\n" EVENT("1-0", HELLO)
                          EVENT("3-7", TAG)),
                     NGX_OK);

    assert_int_equal(told.n, 2);
    assert_int_equal(told.gap, 0);
    assert_int_equal(told.more, 1);
    assert_true(last.ms == 3 && last.number == 7);
    assert_int_equal(now(), clock + 1);
    assert_int_equal(ngx_optcache_ledger_stream(&ledger)->gaps, 0);

    /* nothing new, and then something */

    assert_int_equal(take("*3\r\n:1\r\n:0\r\n*0\r\n"), NGX_OK);
    assert_int_equal(told.n, 0);
    assert_int_equal(told.more, 0);
    assert_true(last.ms == 3);

    assert_int_equal(take("*3\r\n:1\r\n:0\r\n*1\r\n" EVENT("3-8", TAG)),
                     NGX_OK);
    assert_true(last.number == 8);
    assert_int_equal(now(), clock + 2);
}


/* L2 is not used before all that there is has been read */

static void
test_more(void **state)
{
    ngx_optcache_marks_t     marks;
    ngx_optcache_position_t  position;

    memset(&marks, 0, sizeof(marks));
    position = (uint64_t) 1 << 20;

    take("*3\r\n:0\r\n:1\r\n*2\r\n" EVENT("1-0", HELLO) EVENT("3-7", TAG));
    assert_int_equal(ngx_optcache_ledger_check_l2(&ledger, &marks, position),
                     NGX_OPTCACHE_LEDGER_GONE);

    take("*3\r\n:1\r\n:0\r\n*1\r\n" EVENT("3-8", TAG));
    assert_int_equal(ngx_optcache_ledger_check_l2(&ledger, &marks, position),
                     NGX_OPTCACHE_LEDGER_VALID);
}


/* another stream, whose clock may be behind */

static void
test_gap(void **state)
{
    uint64_t  clock;

    take("*3\r\n:0\r\n:0\r\n*1\r\n" EVENT("7-0", HELLO));
    clock = now();

    assert_int_equal(take("*3\r\n:0\r\n:0\r\n*2\r\n" EVENT("2-0", HELLO)
                          EVENT("3-0", TAG)),
                     NGX_OK);
    assert_int_equal(told.gap, 1);
    assert_int_equal(told.n, 2);
    assert_true(last.ms == 3);
    assert_int_equal(now(), clock + 2);
    assert_int_equal(ngx_optcache_ledger_stream(&ledger)->gaps, 1);
}


/* that it was in force here is known */

static void
test_own(void **state)
{
    uint64_t                   clock;
    ngx_optcache_event_t       event;
    ngx_optcache_marks_t       marks;
    ngx_optcache_position_t    position;
    uint64_t                   tag;
    ngx_str_t                  text = ngx_string("allocations:42");

    take("*3\r\n:0\r\n:0\r\n*1\r\n" EVENT("1-0", HELLO));

    assert_int_equal(ngx_optcache_mark_read(0x089b851890dafb68, 0, &event),
                     NGX_OK);
    ngx_optcache_ledger_apply(&ledger, &event, NULL);
    clock = now();

    tag = ngx_optcache_mark_tag(&text);

    memset(&marks, 0, sizeof(marks));
    marks.tags = &tag;
    marks.ntags = 1;
    position = (uint64_t) 2 << 20;

    assert_int_equal(ngx_optcache_ledger_check_l2(&ledger, &marks, position),
                     NGX_OPTCACHE_LEDGER_GONE);

    assert_int_equal(take("*3\r\n:1\r\n:0\r\n*1\r\n" EVENT("2-0", OWN)),
                     NGX_OK);

    assert_int_equal(now(), clock);
    assert_int_equal(ngx_optcache_ledger_check_l2(&ledger, &marks, position),
                     NGX_OPTCACHE_LEDGER_VALID);
}


static void
test_failed(void **state)
{
    uint64_t  clock;

    clock = now();

    assert_int_equal(take("*3\r\n:0\r\n:0\r\n*5\r\n" EVENT("1-0", TAGS)
                          EVENT("1-1", "*0\r\n") EVENT("1-2", "$-1\r\n")
                          EVENT("1-3", "*2\r\n:1\r\n$1\r\nx\r\n")
                          EVENT("1-4", TAG)),
                     NGX_OK);

    assert_int_equal(told.n, 5);
    assert_int_equal(told.failed, 4);
    assert_true(told.bad.ms == 1 && told.bad.number == 3);
    assert_true(last.number == 4);
    assert_int_equal(now(), clock + 1);
    assert_int_equal(ngx_optcache_ledger_stream(&ledger)->failed, 4);
}


/* not an answer: nothing is taken of it, or what is before the fault */

static void
test_bad(void **state)
{
    uint64_t    clock;
    ngx_uint_t  i;

    static const char  *bad[] = {
        "$-1\r\n",
        "*0\r\n",
        ":1\r\n",
        "*2\r\n:1\r\n:0\r\n",
        "*3\r\n:1\r\n:0\r\n$-1\r\n",
        "*3\r\n:1\r\n+x\r\n*0\r\n",
        "*3\r\n*0\r\n:0\r\n*0\r\n",
        "*3\r\n:0\r\n:0\r\n*0\r\n",
        "*3\r\n:0\r\n:0\r\n*1\r\n:1\r\n",
        "*3\r\n:0\r\n:0\r\n*1\r\n" EVENT("1.0", TAG),
        "*3\r\n:1\r\n:0\r\n*1\r\n" EVENT("5-0", TAG),
        "*3\r\n:1\r\n:0\r\n*1\r\n" EVENT("4-9", TAG),
        "*3\r\n:1\r\n:0\r\n*1\r\n*3\r\n$3\r\n6-0\r\n" TAG TAG,
        "*3\r\n:1\r\n:0\r\n*1\r\n*1\r\n$3\r\n6-0\r\n",
    };

    take("*3\r\n:0\r\n:0\r\n*1\r\n" EVENT("5-0", HELLO));
    clock = now();

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(take(bad[i]), NGX_DECLINED);
        assert_true(last.ms == 5 && last.number == 0);
        assert_int_equal(now(), clock);
    }

    assert_int_equal(take("*3\r\n:1\r\n:0\r\n*2\r\n" EVENT("6-0", TAG)
                          EVENT("6-0", TAG)),
                     NGX_DECLINED);
    assert_true(last.ms == 6);
    assert_int_equal(now(), clock + 1);
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_begin, ledger_create,
                                        ledger_destroy),
        cmocka_unit_test_setup_teardown(test_more, ledger_create,
                                        ledger_destroy),
        cmocka_unit_test_setup_teardown(test_gap, ledger_create,
                                        ledger_destroy),
        cmocka_unit_test_setup_teardown(test_own, ledger_create,
                                        ledger_destroy),
        cmocka_unit_test_setup_teardown(test_failed, ledger_create,
                                        ledger_destroy),
        cmocka_unit_test_setup_teardown(test_bad, ledger_create,
                                        ledger_destroy),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
