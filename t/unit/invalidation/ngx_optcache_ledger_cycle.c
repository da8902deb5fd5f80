
/*
 * Copyright (C) The Optcache authors
 */


/* Workers of several configurations, and of several streams. */


#include <ngx_config.h>
#include <ngx_core.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "ngx_optcache_ledger_shm.h"
#include "ledger_zone.h"


#define NONE   0
#define FIRST  11
#define OTHER  22


static ngx_optcache_ledger_t   made[8];
static ngx_uint_t              nmade;


static ngx_optcache_ledger_id_t
id_of(uint64_t ms)
{
    ngx_optcache_ledger_id_t  id;

    id.ms = ms;
    id.number = 0;

    return id;
}


/* what a worker knows of a configuration that comes next */

static ngx_optcache_ledger_t *
next_cycle(void)
{
    ngx_optcache_ledger_t  *next;

    next = &made[nmade++ % 8];

    *next = ledger;
    next->cycle = ++ledger.sh->cycles;
    next->turn = 0;

    return next;
}


static ngx_optcache_ledger_t *
enter(uint64_t source)
{
    ngx_optcache_ledger_t  *next;

    next = next_cycle();
    ngx_optcache_ledger_enter(next, source);

    return next;
}


static ngx_optcache_event_t
event_of(char *tag)
{
    ngx_optcache_event_t   event;
    ngx_optcache_target_t  target;

    ngx_memzero(&target, sizeof(target));
    target.tag.data = (u_char *) tag;
    target.tag.len = strlen(tag);

    assert_int_equal(ngx_optcache_mark_event(&target, &event), NGX_OK);

    return event;
}


static ngx_optcache_event_t
all(void)
{
    ngx_optcache_event_t   event;
    ngx_optcache_target_t  target;

    ngx_memzero(&target, sizeof(target));
    target.all = 1;

    assert_int_equal(ngx_optcache_mark_event(&target, &event), NGX_OK);

    return event;
}


/* of an entry with a tag that was asked for at "ms" */

static ngx_optcache_ledger_verdict_e
verdict_l2(ngx_optcache_ledger_t *l, char *tag, uint64_t ms)
{
    uint64_t              mark;
    ngx_str_t             s;
    ngx_optcache_marks_t  marks;

    s.data = (u_char *) tag;
    s.len = strlen(tag);
    mark = ngx_optcache_mark_tag(&s);

    ngx_memzero(&marks, sizeof(marks));
    marks.origin.host = 1;
    marks.origin.uri = 1;
    marks.tags = &mark;
    marks.ntags = 1;

    return ngx_optcache_ledger_check_l2(l, &marks, ms << 20);
}


static void
all_read(ngx_optcache_ledger_t *l, uint64_t first, uint64_t last)
{
    ngx_optcache_ledger_id_t  id;

    id = id_of(first);
    ngx_optcache_ledger_reset(l, &id, 0);

    id = id_of(last);
    ngx_optcache_ledger_read(l, &id);
    ngx_optcache_ledger_whole(l);
}


/* one that is written at "ms", when all is there */

static void
hello(ngx_optcache_ledger_t *l, uint64_t ms)
{
    ngx_optcache_moment_t     moment;
    ngx_optcache_ledger_id_t  id;

    id = id_of(ms);
    ngx_optcache_ledger_now(l, &moment);

    assert_int_equal(ngx_optcache_ledger_settle(l, &id, moment.clock), NGX_OK);
}


static void
test_past(void **state)
{
    ngx_optcache_ledger_t  *next, *late, *last;

    ngx_optcache_ledger_enter(&ledger, FIRST);
    assert_false(ngx_optcache_ledger_past(&ledger));

    /* not before a worker begins, and one that fails has none */

    (void) next_cycle();
    late = next_cycle();
    next = next_cycle();
    assert_false(ngx_optcache_ledger_past(&ledger));

    ngx_optcache_ledger_enter(next, FIRST);
    assert_true(ngx_optcache_ledger_past(&ledger));
    assert_true(ngx_optcache_ledger_follows(&ledger));
    assert_false(ngx_optcache_ledger_past(next));
    assert_true(ngx_optcache_ledger_follows(next));

    /* of one that came before it */

    ngx_optcache_ledger_enter(late, OTHER);
    assert_true(ngx_optcache_ledger_past(late));
    assert_false(ngx_optcache_ledger_follows(late));
    assert_false(ngx_optcache_ledger_past(next));
    assert_true(ngx_optcache_ledger_follows(next));

    /* another stream and back */

    (void) enter(OTHER);
    last = enter(FIRST);
    assert_false(ngx_optcache_ledger_follows(&ledger));
    assert_false(ngx_optcache_ledger_follows(next));
    assert_true(ngx_optcache_ledger_follows(last));

    ngx_exiting = 1;
    assert_true(ngx_optcache_ledger_past(last));
    ngx_exiting = 0;
}


static void
test_other(void **state)
{
    ngx_optcache_ledger_t     *next;
    ngx_optcache_event_t       event;
    ngx_optcache_moment_t      moment;
    ngx_optcache_ledger_id_t   id;

    ngx_optcache_ledger_enter(&ledger, FIRST);
    all_read(&ledger, 100, 300);
    assert_int_equal(verdict_l2(&ledger, "a", 200), NGX_OPTCACHE_LEDGER_VALID);

    next = enter(OTHER);
    assert_int_equal(verdict_l2(&ledger, "a", 200), NGX_OPTCACHE_LEDGER_GONE);
    assert_int_equal(verdict_l2(next, "a", 200), NGX_OPTCACHE_LEDGER_GONE);

    /* who reads the one of before says nothing of this one */

    all_read(&ledger, 100, 400);

    event = event_of("a");
    id = id_of(350);
    ngx_optcache_ledger_now(next, &moment);
    ngx_optcache_ledger_apply(&ledger, &event, &id);
    assert_int_equal(moment.clock, next->sh->clock);

    ngx_optcache_ledger_id(next, &id);
    assert_int_equal(id.ms, 0);
    assert_int_equal(verdict_l2(next, "a", 200), NGX_OPTCACHE_LEDGER_GONE);

    /* L1 is of another one */

    id = id_of(150);
    assert_true(ngx_optcache_ledger_reset(next, &id, 0));
    assert_false(ngx_optcache_ledger_reset(next, &id, 0));
    assert_int_equal(verdict_l2(next, "a", 200), NGX_OPTCACHE_LEDGER_GONE);

    all_read(next, 150, 300);
    assert_int_equal(verdict_l2(next, "a", 200), NGX_OPTCACHE_LEDGER_VALID);
    assert_int_equal(verdict_l2(next, "a", 140), NGX_OPTCACHE_LEDGER_GONE);
    assert_int_equal(verdict_l2(&ledger, "a", 200), NGX_OPTCACHE_LEDGER_GONE);
}


/* what this host has invalidated and the stream does not know of */

static void
test_meanwhile(void **state)
{
    ngx_optcache_ledger_t         *next;
    ngx_optcache_event_t           event, more;
    ngx_optcache_moment_t          moment;
    ngx_optcache_ledger_id_t       id;
    ngx_optcache_ledger_ticket_t   ticket;

    ngx_optcache_ledger_enter(&ledger, FIRST);
    all_read(&ledger, 100, 300);

    next = enter(OTHER);
    all_read(next, 100, 300);

    event = event_of("a");
    id = id_of(250);
    assert_int_equal(ngx_optcache_ledger_post(next, &event, 1, &ticket),
                     NGX_OK);
    ngx_optcache_ledger_apply(next, &event, NULL);
    ngx_optcache_ledger_placed(next, &event, &id, &ticket);
    ngx_optcache_ledger_told(next, &id, &ticket);

    next = enter(FIRST);

    /* of what is read, nothing is later than that */

    id = id_of(120);
    ngx_optcache_ledger_reset(next, &id, 0);
    ngx_optcache_ledger_apply(next, &event, &id);
    ngx_optcache_ledger_placed(next, &event, &id, NULL);
    all_read(next, 100, 400);
    assert_int_equal(verdict_l2(next, "a", 300), NGX_OPTCACHE_LEDGER_GONE);
    assert_int_equal(verdict_l2(next, "b", 300), NGX_OPTCACHE_LEDGER_VALID);

    /* before a hello, though there were others since that was sent */

    ngx_optcache_ledger_now(next, &moment);

    more = event_of("b");
    ngx_optcache_ledger_apply(next, &more, NULL);

    id = id_of(350);
    assert_int_equal(ngx_optcache_ledger_settle(next, &id, moment.clock),
                     NGX_DECLINED);
    assert_int_equal(verdict_l2(next, "a", 300), NGX_OPTCACHE_LEDGER_GONE);
    assert_int_equal(verdict_l2(next, "a", 360), NGX_OPTCACHE_LEDGER_VALID);
    assert_int_equal(verdict_l2(next, "b", 360), NGX_OPTCACHE_LEDGER_GONE);

    /* and not before that when it is read */

    id = id_of(120);
    ngx_optcache_ledger_apply(next, &more, &id);
    assert_int_equal(verdict_l2(next, "b", 300), NGX_OPTCACHE_LEDGER_GONE);
    assert_int_equal(verdict_l2(next, "b", 360), NGX_OPTCACHE_LEDGER_VALID);
}


/* a hello that is answered before anything was read */

static void
test_hello_first(void **state)
{
    ngx_optcache_ledger_t     *next;
    ngx_optcache_event_t       event;
    ngx_optcache_ledger_id_t   id;

    ngx_optcache_ledger_enter(&ledger, FIRST);
    all_read(&ledger, 100, 300);

    next = enter(OTHER);
    all_read(next, 100, 300);

    event = event_of("a");
    ngx_optcache_ledger_apply(next, &event, NULL);

    next = enter(FIRST);
    hello(next, 350);
    all_read(next, 100, 400);
    assert_int_equal(verdict_l2(next, "a", 300), NGX_OPTCACHE_LEDGER_GONE);
    assert_int_equal(verdict_l2(next, "a", 360), NGX_OPTCACHE_LEDGER_VALID);
    assert_int_equal(verdict_l2(next, "b", 300), NGX_OPTCACHE_LEDGER_VALID);

    /* nor is it forgotten when some of it was lost, and is read once more */

    id = id_of(150);
    assert_true(ngx_optcache_ledger_reset(next, &id, 1));
    all_read(next, 150, 400);
    assert_int_equal(verdict_l2(next, "a", 300), NGX_OPTCACHE_LEDGER_GONE);
    assert_int_equal(verdict_l2(next, "b", 300), NGX_OPTCACHE_LEDGER_VALID);
}


/* the same where there was none; all, which is no mark like others */

static void
test_hello_none(void **state)
{
    ngx_optcache_ledger_t     *next;
    ngx_optcache_event_t       event;
    ngx_optcache_ledger_id_t   id;

    ngx_optcache_ledger_enter(&ledger, NONE);

    event = all();
    ngx_optcache_ledger_apply(&ledger, &event, NULL);

    next = enter(FIRST);
    hello(next, 350);
    all_read(next, 100, 400);
    assert_int_equal(verdict_l2(next, "a", 300), NGX_OPTCACHE_LEDGER_GONE);
    assert_int_equal(verdict_l2(next, "a", 360), NGX_OPTCACHE_LEDGER_VALID);

    /* none for a while, and then not all is there that was to be read */

    next = enter(NONE);
    ngx_optcache_ledger_apply(next, &event, NULL);

    next = enter(FIRST);
    hello(next, 450);

    id = id_of(380);
    assert_true(ngx_optcache_ledger_reset(next, &id, 1));
    all_read(next, 380, 500);
    assert_int_equal(verdict_l2(next, "a", 440), NGX_OPTCACHE_LEDGER_GONE);
    assert_int_equal(verdict_l2(next, "a", 460), NGX_OPTCACHE_LEDGER_VALID);
}


/* no event of all: nothing but what is older than the stream is refused */

static void
test_hello_alone(void **state)
{
    ngx_optcache_ledger_t  *next;

    ngx_optcache_ledger_enter(&ledger, NONE);

    next = enter(FIRST);
    hello(next, 350);
    all_read(next, 100, 400);
    assert_int_equal(verdict_l2(next, "a", 300), NGX_OPTCACHE_LEDGER_VALID);
}


/* Some of the other stream was lost, which may have been of anything. */

static void
test_gap(void **state)
{
    ngx_optcache_ledger_t     *next;
    ngx_optcache_ledger_id_t   id;

    ngx_optcache_ledger_enter(&ledger, FIRST);
    all_read(&ledger, 100, 300);
    assert_int_equal(verdict_l2(&ledger, "a", 200), NGX_OPTCACHE_LEDGER_VALID);

    next = enter(OTHER);
    all_read(next, 100, 200);

    id = id_of(250);
    assert_true(ngx_optcache_ledger_reset(next, &id, 1));
    ngx_optcache_ledger_whole(next);

    next = enter(FIRST);
    all_read(next, 100, 400);
    assert_int_equal(verdict_l2(next, "a", 200), NGX_OPTCACHE_LEDGER_GONE);

    hello(next, 450);
    all_read(next, 100, 500);
    assert_int_equal(verdict_l2(next, "a", 460), NGX_OPTCACHE_LEDGER_VALID);
}


/* an event that only those were told of who read another stream */

static void
test_told(void **state)
{
    ngx_optcache_event_t           event;
    ngx_optcache_ledger_t         *next;
    ngx_optcache_ledger_ticket_t   ticket;
    ngx_optcache_ledger_id_t  id = id_of(100);

    ngx_optcache_ledger_enter(&ledger, FIRST);

    event = event_of("a");
    assert_int_equal(ngx_optcache_ledger_post(&ledger, &event, 1, &ticket),
                     NGX_OK);

    next = enter(OTHER);
    ngx_optcache_ledger_told(&ledger, &id, &ticket);
    assert_int_equal(ngx_optcache_ledger_pending(next), 1);
    ngx_optcache_ledger_told(next, &id, &ticket);
    assert_int_equal(ngx_optcache_ledger_pending(next), 0);
}


static void
test_none(void **state)
{
    ngx_optcache_ledger_t     *next;
    ngx_optcache_ledger_id_t   id;

    /* the first one has lost nothing */

    ngx_optcache_ledger_enter(&ledger, FIRST);
    id = id_of(100);
    assert_false(ngx_optcache_ledger_reset(&ledger, &id, 0));
    all_read(&ledger, 100, 300);

    (void) enter(NONE);
    next = enter(FIRST);

    /* it is read from where it was left, and not before L2 is used */

    ngx_optcache_ledger_id(next, &id);
    assert_int_equal(id.ms, 300);
    assert_int_equal(verdict_l2(next, "a", 200), NGX_OPTCACHE_LEDGER_GONE);

    ngx_optcache_ledger_whole(&ledger);
    assert_int_equal(verdict_l2(next, "a", 200), NGX_OPTCACHE_LEDGER_GONE);

    ngx_optcache_ledger_whole(next);
    assert_int_equal(verdict_l2(next, "a", 200), NGX_OPTCACHE_LEDGER_VALID);

    id = id_of(250);
    assert_false(ngx_optcache_ledger_reset(next, &id, 0));
}


/* one that had none from the start has not heard what was told before */

static void
test_none_first(void **state)
{
    ngx_optcache_ledger_t     *next;
    ngx_optcache_ledger_id_t   id;

    ngx_optcache_ledger_enter(&ledger, NONE);
    next = enter(FIRST);

    id = id_of(100);
    assert_true(ngx_optcache_ledger_reset(next, &id, 0));
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_past, ledger_create,
                                        ledger_destroy),
        cmocka_unit_test_setup_teardown(test_other, ledger_create,
                                        ledger_destroy),
        cmocka_unit_test_setup_teardown(test_meanwhile, ledger_create,
                                        ledger_destroy),
        cmocka_unit_test_setup_teardown(test_hello_first, ledger_create,
                                        ledger_destroy),
        cmocka_unit_test_setup_teardown(test_hello_none, ledger_create,
                                        ledger_destroy),
        cmocka_unit_test_setup_teardown(test_hello_alone, ledger_create,
                                        ledger_destroy),
        cmocka_unit_test_setup_teardown(test_gap, ledger_create,
                                        ledger_destroy),
        cmocka_unit_test_setup_teardown(test_told, ledger_create,
                                        ledger_destroy),
        cmocka_unit_test_setup_teardown(test_none, ledger_create,
                                        ledger_destroy),
        cmocka_unit_test_setup_teardown(test_none_first, ledger_create,
                                        ledger_destroy),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
