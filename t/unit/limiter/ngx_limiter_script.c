
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <ngx_limiter_script.h>


#define TOLD  ((uint64_t) 1700000000000)
#define NOW   ((uint64_t) 5000000)


static ngx_log_t              logger;
static ngx_pool_t            *pool;
static ngx_limiter_scripts_t  scripts;
static ngx_limiter_zone_t     zones[2];
static ngx_limiter_item_t     items[2];
static ngx_limiter_item_t    *both[] = { &items[0], &items[1] };
static ngx_str_t              prefix = ngx_string("rl:");

/* a reply that is being written */

static u_char                 bytes[4096];
static size_t                 size;


static int
start(void **state)
{
    pool = ngx_create_pool(4096, &logger);

    return (pool && ngx_limiter_scripts_init(&scripts, pool) == NGX_OK)
           ? 0 : -1;
}


static int
finish(void **state)
{
    ngx_destroy_pool(pool);

    return 0;
}


static void
items_init(ngx_uint_t algorithm)
{
    ngx_uint_t  i;
    ngx_str_t   raw;

    ngx_memzero(zones, sizeof(zones));
    ngx_memzero(items, sizeof(items));

    for (i = 0; i < 2; i++) {
        ngx_str_set(&zones[i].name, "zone");
        zones[i].policy.algorithm = algorithm;
        zones[i].policy.burst = 9;
        zones[i].policy.nrates = 1 + i;
        zones[i].policy.rates[0].limit = 10;
        zones[i].policy.rates[0].period = 60000;
        zones[i].policy.rates[1].limit = 1000;
        zones[i].policy.rates[1].period = 3600000;

        items[i].zone = &zones[i];
        items[i].policy = &zones[i].policy;
        items[i].need = 2;
        items[i].take = 2;
        items[i].want = 5;

        ngx_str_set(&raw, "a b}{");
        assert_int_equal(ngx_limiter_subject_init(&items[i].subject, &raw,
                                                  pool),
                         NGX_OK);
    }
}


static void
put(uint64_t n, ngx_uint_t width)
{
    while (width--) {
        bytes[size++] = (u_char) (n >> (8 * width));
    }
}


static void
put_begin(ngx_uint_t counted)
{
    size = 0;
    put(counted, 1);
    put(TOLD, 6);
}


static void
put_zone(ngx_uint_t room, uint64_t granted, size_t len)
{
    put(room, 1);
    put(granted, 6);
    put(len, 2);
}


static void
put_record(ngx_uint_t algorithm, uint64_t period, uint64_t time, uint64_t used)
{
    put(period, 4);
    put(time, 6);
    put(used, 6);

    if (algorithm == NGX_LIMITER_SLIDING_WINDOW) {
        put(1, 6);
    }
}


/* A reply as the script gives it: counted, two zones, one record and two. */

static void
put_good(ngx_uint_t algorithm)
{
    size_t    width;
    uint64_t  end;

    width = (algorithm == NGX_LIMITER_SLIDING_WINDOW) ? 22 : 16;
    end = (algorithm == NGX_LIMITER_GCRA) ? TOLD : TOLD + 50000;

    put_begin(1);
    put_zone(1, 5, 1 + width);
    put(algorithm, 1);
    put_record(algorithm, 60000, end, 5);
    put_zone(1, 2, 1 + 2 * width);
    put(algorithm, 1);
    put_record(algorithm, 60000, end, 7);
    put_record(algorithm, 3600000, end, 9);
}


/* from memory of just this size */

static ngx_int_t
reply_of(size_t len, ngx_uint_t n)
{
    u_char      *p;
    ngx_int_t    rc;
    redisReply   reply;

    p = malloc(len ? len : 1);
    assert_non_null(p);
    ngx_memcpy(p, bytes, len);

    ngx_memzero(&reply, sizeof(reply));
    reply.type = REDIS_REPLY_STRING;
    reply.str = (char *) p;
    reply.len = len;

    rc = ngx_limiter_script_reply(&reply, both, n, NOW);

    free(p);

    return rc;
}


/* refused, and the items are as they were */

static void
assert_hostile(ngx_uint_t n)
{
    ngx_limiter_item_t  before[2];

    ngx_memcpy(before, items, sizeof(items));
    assert_int_equal(reply_of(size, n), NGX_ERROR);
    assert_memory_equal(before, items, sizeof(items));
}


static void
test_argument(void **state)
{
    ngx_str_t            argv[NGX_LIMITER_SCRIPT_ARGS];
    ngx_uint_t           n;
    ngx_limiter_carry_t  carry[2];

    items_init(NGX_LIMITER_GCRA);

    items[1].soft = 1;
    items[1].peek = 1;
    items[1].add = 3;
    items[1].sub = (uint64_t) 1 << 60;
    items[1].kept = 7;
    items[1].at = 1771580000123;
    items[1].since = 11;
    items[1].now = 31;
    items[1].carry = carry;

    for (n = 0; n < 2; n++) {
        carry[n].left = 100 + n;
        carry[n].used = 200 + n;
        carry[n].prev = 300 + n;
        carry[n].own = 400 + n;
        carry[n].own_prev = 500 + n;
        carry[n].back = 600 + n;
    }

    assert_ptr_equal(ngx_limiter_script_choose(&scripts, both, 2),
                     &scripts.general);

    n = ngx_limiter_script_args(&scripts.general, both, 2, &prefix, 0, argv,
                                pool);
    assert_int_equal(n, 7);
    assert_int_equal(argv[0].len, 7);
    assert_memory_equal(argv[0].data, "EVALSHA", 7);
    assert_int_equal(argv[1].len, 40);
    assert_memory_equal(argv[1].data, scripts.general.sha1.data, 40);
    assert_int_equal(argv[2].len, 1);
    assert_memory_equal(argv[2].data, "2", 1);
    assert_int_equal(argv[3].len, 15);
    assert_memory_equal(argv[3].data, "rl:zone:{a b}{}", 15);

    size = 0;
    put(3, 1);
    put(0, 1);
    put(1, 1);
    put(9, 6);
    put(2, 6);
    put(2, 6);
    put(5, 6);
    put(0, 6);
    put(0, 6);
    put(60000, 4);
    put(10, 6);
    assert_int_equal(argv[5].len, size);
    assert_memory_equal(argv[5].data, bytes, size);

    /* a number too large for its place is the largest that has one */

    size = 0;
    put(3, 1);
    put(1 + 2 + 4, 1);
    put(2, 1);
    put(9, 6);
    put(2, 6);
    put(2, 6);
    put(5, 6);
    put(3, 6);
    put(NGX_LIMITER_MAX_COUNT, 6);
    put(60000, 4);
    put(10, 6);
    put(3600000, 4);
    put(1000, 6);

    for (n = 0; n < 2; n++) {
        put(100 + n, 6);
        put(200 + n, 6);
        put(300 + n, 6);
        put(400 + n, 6);
        put(500 + n, 6);
        put(600 + n, 6);
    }

    put(7, 6);
    put(1771580000123, 6);
    put(20, 6);

    assert_int_equal(argv[6].len, size);
    assert_memory_equal(argv[6].data, bytes, size);

    /* sent whole */

    n = ngx_limiter_script_args(&scripts.single[2][0], both, 1, &prefix, 1,
                                argv, pool);
    assert_int_equal(n, 5);
    assert_int_equal(argv[0].len, 4);
    assert_memory_equal(argv[0].data, "EVAL", 4);
    assert_ptr_equal(argv[1].data, scripts.single[2][0].text.data);
}


static void
test_choose(void **state)
{
    ngx_uint_t           k;
    ngx_limiter_carry_t  carry[2];

    for (k = 0; k < 3; k++) {
        items_init(k + 1);
        assert_ptr_equal(ngx_limiter_script_choose(&scripts, both, 1),
                         &scripts.single[k][0]);
        assert_ptr_equal(ngx_limiter_script_choose(&scripts, &both[1], 1),
                         &scripts.single[k][1]);

        items[0].add = 1;
        assert_ptr_equal(ngx_limiter_script_choose(&scripts, both, 1),
                         &scripts.general);
        items[0].add = 0;

        items[0].sub = 1;
        assert_ptr_equal(ngx_limiter_script_choose(&scripts, both, 1),
                         &scripts.general);
        items[0].sub = 0;

        items[0].peek = 1;
        assert_ptr_equal(ngx_limiter_script_choose(&scripts, both, 1),
                         &scripts.general);
        items[0].peek = 0;

        items[0].carry = carry;
        assert_ptr_equal(ngx_limiter_script_choose(&scripts, both, 1),
                         &scripts.general);
        items[0].carry = NULL;

        zones[0].variable = 1;
        assert_ptr_equal(ngx_limiter_script_choose(&scripts, both, 1),
                         &scripts.general);
    }
}


/* texts that are all different, of whole lines, with nothing left to expand */

static void
test_texts(void **state)
{
    ngx_str_t   *text, *sha1[25];
    ngx_uint_t   i, k, n;

    n = 0;
    sha1[n++] = &scripts.general.sha1;

    for (i = 0; i < 3; i++) {
        for (k = 0; k < NGX_LIMITER_MAX_RATES; k++) {
            text = &scripts.single[i][k].text;

            assert_null(memchr(text->data, '$', text->len));
            assert_null(memchr(text->data, '@', text->len));
            assert_int_equal(text->data[text->len - 1], LF);

            sha1[n++] = &scripts.single[i][k].sha1;
        }
    }

    for (i = 0; i < n; i++) {
        for (k = 0; k < i; k++) {
            assert_memory_not_equal(sha1[i]->data, sha1[k]->data, 40);
        }
    }
}


static void
test_good(void **state)
{
    ngx_uint_t             k;
    ngx_limiter_record_t  *record;

    for (k = 1; k <= 3; k++) {
        items_init(k);
        put_good(k);

        assert_int_equal(reply_of(size, 2), NGX_OK);

        assert_int_equal(items[0].verdict, NGX_LIMITER_PASSED);
        assert_int_equal(items[0].granted, 5);
        assert_true(items[0].told == TOLD);
        assert_true(items[0].now == NOW);
        assert_int_equal(items[1].granted, 2);
        assert_int_equal(items[1].state.n, 2);

        record = &items[1].state.records[1];
        assert_true(record->period == 3600000);
        assert_int_equal(record->used, 9);
        assert_int_equal(record->own, 0);
        assert_int_equal(record->prev, (k == 2) ? 1 : 0);

        /* of the clock of this host */

        assert_true(record->time == ((k == 3) ? NOW : NOW + 50000));

        /* refused by the second, which had no value */

        items_init(k);
        put_begin(0);
        put_zone(1, 0, 0);
        put_zone(0, 0, 0);

        assert_int_equal(reply_of(size, 2), NGX_BUSY);
        assert_int_equal(items[0].verdict, NGX_LIMITER_PASSED);
        assert_int_equal(items[0].granted, 0);
        assert_int_equal(items[1].verdict, NGX_LIMITER_REJECTED);
        assert_int_equal(items[1].state.n, 2);
        assert_int_equal(items[1].state.records[0].used, 0);

        /* the same, but its refusal stops nobody */

        items[1].soft = 1;
        assert_int_equal(reply_of(size, 2), NGX_ERROR);

        put_begin(1);
        put_zone(1, 2, 0);
        put_zone(0, 0, 0);
        assert_int_equal(reply_of(size, 2), NGX_OK);
        assert_int_equal(items[1].verdict, NGX_LIMITER_REJECTED);
    }
}


static void
test_types(void **state)
{
    ngx_uint_t          i;
    redisReply          reply;
    ngx_limiter_item_t  before[2];

    static int  types[] = {
        REDIS_REPLY_ARRAY, REDIS_REPLY_NIL, REDIS_REPLY_STATUS,
        REDIS_REPLY_ERROR, 7, 9, 77
    };

    items_init(NGX_LIMITER_FIXED_WINDOW);
    ngx_memcpy(before, items, sizeof(items));

    put_good(NGX_LIMITER_FIXED_WINDOW);

    ngx_memzero(&reply, sizeof(reply));
    reply.type = REDIS_REPLY_INTEGER;
    assert_int_equal(ngx_limiter_script_reply(&reply, both, 2, NOW),
                     NGX_DECLINED);

    reply.integer = 1;
    assert_int_equal(ngx_limiter_script_reply(&reply, both, 2, NOW),
                     NGX_ERROR);

    reply.str = (char *) bytes;
    reply.len = size;

    /* the clock of a Redis whose scripts have 32 bits for a number */

    reply.type = REDIS_REPLY_STRING;
    ngx_memzero(&bytes[1], 2);
    assert_int_equal(ngx_limiter_script_reply(&reply, both, 2, NOW),
                     NGX_ERROR);
    put_good(NGX_LIMITER_FIXED_WINDOW);

    for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        reply.type = types[i];
        assert_int_equal(ngx_limiter_script_reply(&reply, both, 2, NOW),
                         NGX_ERROR);
    }

    assert_memory_equal(before, items, sizeof(items));
}


static void
test_lengths(void **state)
{
    size_t      len, whole;
    ngx_uint_t  k, n;

    for (k = 1; k <= 3; k++) {
        items_init(k);

        put_good(k);
        whole = size;

        for (len = 0; len < whole; len++) {
            size = len;
            assert_hostile(2);
        }

        put_good(k);

        for (n = 0; n < 64; n++) {
            put(n, 1);
            assert_hostile(2);
        }

        /* of fewer zones, and of more, than were asked for */

        put_good(k);
        assert_hostile(1);

        /* all lengths of a value, right or wrong */

        for (n = 0; n < 300; n++) {
            put_begin(1);
            put_zone(1, 2, n);

            for (len = 0; len < n; len++) {
                put(k, 1);
            }

            if (n == 0
                || ((n - 1) % (k == 2 ? 22 : 16) == 0
                    && (n - 1) / (k == 2 ? 22 : 16) <= NGX_LIMITER_MAX_RATES))
            {
                assert_int_equal(reply_of(size, 1), NGX_OK);
                items_init(k);

            } else {
                assert_hostile(1);
            }
        }

        /* a length that leads out of the reply */

        put_begin(1);
        put_zone(1, 2, 0xffff);
        put(k, 1);
        put_record(k, 60000, TOLD + 1, 2);
        assert_hostile(1);
    }
}


static void
test_contradictions(void **state)
{
    items_init(NGX_LIMITER_FIXED_WINDOW);

    /* neither yes nor no */

    put_good(NGX_LIMITER_FIXED_WINDOW);
    bytes[0] = 2;
    assert_hostile(2);

    put_good(NGX_LIMITER_FIXED_WINDOW);
    bytes[7] = 2;
    assert_hostile(2);

    /* no time */

    put_good(NGX_LIMITER_FIXED_WINDOW);
    ngx_memzero(&bytes[1], 6);
    assert_hostile(2);

    /* another algorithm */

    put_good(NGX_LIMITER_FIXED_WINDOW);
    bytes[16] = NGX_LIMITER_GCRA;
    assert_hostile(2);

    /* counted, but one refuses; not counted, but all have room */

    put_begin(1);
    put_zone(0, 0, 0);
    assert_hostile(1);

    put_begin(0);
    put_zone(1, 0, 0);
    assert_hostile(1);

    /* granted more than was wanted, less than the request took, or to none */

    put_begin(1);
    put_zone(1, 6, 0);
    assert_hostile(1);

    put_begin(1);
    put_zone(1, NGX_LIMITER_MAX_COUNT, 0);
    assert_hostile(1);

    put_begin(1);
    put_zone(1, 1, 0);
    assert_hostile(1);

    put_begin(0);
    put_zone(0, 2, 0);
    assert_hostile(1);

    put_begin(0);
    put_zone(1, 2, 0);
    put_zone(0, 0, 0);
    assert_hostile(2);

    items[0].soft = 1;
    put_begin(1);
    put_zone(0, 2, 0);
    assert_hostile(1);
    items[0].soft = 0;

    items[0].peek = 1;
    put_begin(1);
    put_zone(1, 2, 0);
    assert_hostile(1);

    put_begin(1);
    put_zone(1, 0, 0);
    assert_int_equal(reply_of(size, 1), NGX_OK);

    /* no more than take, where that is more than want */

    items_init(NGX_LIMITER_FIXED_WINDOW);
    items[0].take = 7;
    put_begin(1);
    put_zone(1, 8, 0);
    assert_hostile(1);

    put_begin(1);
    put_zone(1, 7, 0);
    assert_int_equal(reply_of(size, 1), NGX_OK);
}


/* numbers that may be believed, but only as far as they can be true */

static void
test_ranges(void **state)
{
    ngx_uint_t             k;
    ngx_limiter_record_t  *record;

    for (k = 1; k <= 3; k++) {

        items_init(k);
        put_begin(0);
        put_zone(0, 0, 1 + ((k == 2) ? 22 : 16));
        put(k, 1);
        put_record(k, 60000, NGX_LIMITER_MAX_COUNT, NGX_LIMITER_MAX_COUNT);

        assert_int_equal(reply_of(size, 1), NGX_BUSY);

        /* no window is longer than its period, no product wraps around */

        record = &items[0].state.records[0];
        assert_true(record->time == NOW + ((k == 3) ? 0 : 60000));
        assert_true(record->used <= ngx_limiter_state_max(k, 60000));
        assert_int_equal(ngx_limiter_state_room(&items[0].state,
                                                items[0].policy, NOW, NULL),
                         0);
        (void) ngx_limiter_state_retry(&items[0].state, items[0].policy, 0, 1,
                                       NOW, NULL);

        /* a window that was over long before this host was started */

        items_init(k);
        put_begin(0);
        put_zone(0, 0, 1 + ((k == 2) ? 22 : 16));
        put(k, 1);
        put_record(k, 60000, 0, 3);

        assert_int_equal(reply_of(size, 1), NGX_BUSY);
        assert_int_equal(ngx_limiter_state_room(&items[0].state,
                                                items[0].policy, NOW, NULL),
                         10);

        /* periods that no rate has */

        items_init(k);
        put_begin(0);
        put_zone(0, 0, 1 + 2 * ((k == 2) ? 22 : 16));
        put(k, 1);
        put_record(k, 0, TOLD + 1, 3);
        put_record(k, 0xffffffff, TOLD + 1, 3);

        assert_int_equal(reply_of(size, 1), NGX_BUSY);
        assert_int_equal(items[0].state.n, 1);
    }
}


/* whatever bytes there are: an error, or a state that can be counted with */

static void
test_random(void **state)
{
    ngx_int_t              rc;
    ngx_uint_t             i, j, k, n, good;
    ngx_limiter_record_t  *record;

    srandom(11);
    good = 0;

    for (i = 0; i < 200000; i++) {
        k = 1 + random() % 3;
        items_init(k);
        put_good(k);

        for (n = random() % 4; n; n--) {
            bytes[random() % size] = (u_char) random();
        }

        size = (random() % 8) ? size : (size_t) random() % sizeof(bytes);

        if (i % 1000 == 0) {
            ngx_reset_pool(pool);
            assert_int_equal(ngx_limiter_scripts_init(&scripts, pool), NGX_OK);
        }

        rc = reply_of(size, 2);

        if (rc == NGX_ERROR) {
            continue;
        }

        good++;

        for (n = 0; n < 2; n++) {
            assert_true(items[n].granted <= 5);
            assert_true(items[n].state.n >= items[n].policy->nrates);
            assert_true(items[n].state.n <= NGX_LIMITER_MAX_RATES);
            assert_true(ngx_limiter_state_room(&items[n].state,
                                               items[n].policy, NOW, NULL)
                        <= 10);

            for (j = 0; j < items[n].policy->nrates; j++) {
                record = &items[n].state.records[j];

                assert_true(record->period
                            == items[n].policy->rates[j].period);
                assert_true(record->time <= NOW + record->period);
                assert_true(record->used
                            <= ngx_limiter_state_max(k, record->period));
                assert_true(record->prev
                            <= ngx_limiter_state_max(k, record->period));
            }
        }
    }

    assert_true(good > 10000);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_argument),
        cmocka_unit_test(test_choose),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_contradictions),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_random)
    };

    return cmocka_run_group_tests(tests, start, finish);
}
