
/*
 * Copyright (C) The Optcache authors
 */


/*
 * The scripts as they are, in a real Redis: its clock, what expires, the bytes
 * that are kept, and values that none of them has written.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "model.h"
#include "redis_server.h"


#define NOW  ((uint64_t) 1 << 32)


static ngx_limiter_policy_t  policy;
static ngx_limiter_item_t    item, *items[] = { &item };
static ngx_limiter_share_t   three = { 3, 0 };
static ngx_str_t             prefix = ngx_string("rl:");
static ngx_str_t             other = ngx_string("other:");
static const char           *keys[] = { "rl:f:{k}", "rl:s:{k}", "rl:g:{k}" };


static void
policy_init(ngx_uint_t algorithm, ngx_uint_t nrates, uint64_t limit,
    uint64_t period)
{
    ngx_uint_t  i;

    ngx_memzero(&policy, sizeof(policy));

    policy.algorithm = algorithm;
    policy.burst = 3;
    policy.nrates = nrates;

    for (i = 0; i < nrates; i++) {
        policy.rates[i].limit = limit + i;
        policy.rates[i].period = period + 1000 * i;
    }

    zones[0].name.data = (u_char *) "fsg" + algorithm - 1;
    zones[0].name.len = 1;
}


static void
item_init(const char *subject, uint64_t cost)
{
    ngx_str_t  raw;

    ngx_memzero(&item, sizeof(item));

    raw.data = (u_char *) subject;
    raw.len = strlen(subject);

    item.zone = &zones[0];
    item.policy = &policy;
    item.need = cost;
    item.take = cost;

    assert_int_equal(ngx_limiter_subject_init(&item.subject, &raw, pool),
                     NGX_OK);
}


/* the script itself, without a second try */

static ngx_int_t
ask(ngx_limiter_script_t *script, ngx_str_t *with)
{
    ngx_int_t    rc;
    redisReply  *reply;

    if (script == NULL) {
        script = ngx_limiter_script_choose(&scripts, items, 1);
    }

    reply = script_call(script, items, 1, with, 0);
    rc = ngx_limiter_script_reply(reply, items, 1, NOW);
    freeReplyObject(reply);

    return rc;
}


static long long
number(const char *command, const char *key)
{
    long long    n;
    redisReply  *reply;

    reply = redisCommand(redis, command, key);
    assert_int_equal(reply->type, REDIS_REPLY_INTEGER);
    n = reply->integer;
    freeReplyObject(reply);

    return n;
}


static void
set(const char *key, const void *value, size_t len)
{
    freeReplyObject(redisCommand(redis, "SET %s %b PX 100000", key, value,
                                 len));
}


static uint64_t
big_endian(const u_char *p, size_t len)
{
    uint64_t  n;

    for (n = 0; len; len--) {
        n = n << 8 | *p++;
    }

    return n;
}


static uint64_t
redis_time(void)
{
    uint64_t     now;
    redisReply  *reply;

    reply = redisCommand(redis, "TIME");
    now = strtoull(reply->element[0]->str, NULL, 10) * 1000
          + strtoull(reply->element[1]->str, NULL, 10) / 1000;
    freeReplyObject(reply);

    return now;
}


static int
flush(void **state)
{
    if (redis) {
        freeReplyObject(redisCommand(redis, "FLUSHALL"));
    }

    return 0;
}


/*
 * In the time of Redis, which it tells with its answer: the model is asked
 * afterwards.  Keys expire by themselves.
 */

static void
test_real_time(void **state)
{
    answer_t     answers[ZONES];
    ngx_uint_t   i, k, r, z, counted;

    if (redis == NULL) {
        skip();
    }

    srandom(1);
    ngx_memzero(model, sizeof(model));

    for (r = 0; r < 1200; r++) {
        i = random() % 2;
        z = random() % ZONES;

        policy_init(1 + z, 2, 3, 1000);
        item_init("real", 1 + random() % 2);
        item.zone = &zones[z];
        zones[z].name = zones[0].name;

        for (k = 0; k < policy.nrates; k++) {
            model[z][i][k].period = policy.rates[k].period;
        }

        item.want = random() % 4;

        k = (ask(i ? &scripts.general : NULL, i ? &other : &prefix)
             == NGX_OK);

        counted = model_ask(items, 1, i, item.told, answers);

        assert_int_equal(k, counted);
        assert_int_equal(item.granted, answers[0].granted);

        for (k = 0; k < policy.nrates; k++) {
            assert_int_equal(ngx_limiter_state_rate_room(&item.state, &policy,
                                                         k, NOW, NULL),
                             answers[0].rooms[k]);
        }

        /* once long enough for everything to be over */

        ngx_msleep((r == 800) ? 4500 : random() % 4);
    }
}


/* one window of 31 days, to the last of as many units as there may be */

static void
test_value(void **state)
{
    uint64_t       now, end;
    redisReply    *reply;
    const u_char  *v;

    if (redis == NULL) {
        skip();
    }

    policy_init(NGX_LIMITER_FIXED_WINDOW, 1, 2678400000000ULL, 2678400000ULL);
    item_init("k", 2678399999999ULL);

    assert_int_equal(ask(NULL, &prefix), NGX_OK);
    assert_true(item.state.records[0].used == 2678399999999ULL);
    assert_true(item.state.records[0].time == NOW + 2678400000ULL);

    now = redis_time();

    reply = redisCommand(redis, "GET rl:f:{k}");
    v = (u_char *) reply->str;

    assert_int_equal(reply->len, 17);
    assert_int_equal(v[0], NGX_LIMITER_FIXED_WINDOW);
    assert_true(big_endian(v + 1, 4) == 2678400000ULL);
    assert_true(big_endian(v + 11, 6) == 2678399999999ULL);

    end = big_endian(v + 5, 6);
    assert_true(end > now && end <= now + 2678400000ULL);

    freeReplyObject(reply);

    item_init("k", 1);
    assert_int_equal(ask(NULL, &prefix), NGX_OK);
    assert_int_equal(ask(NULL, &prefix), NGX_BUSY);
    assert_true(item.state.records[0].used == 2678400000000ULL);

    /* the key lives as long as the window, however often it is written */

    assert_true(number("PTTL %s", "rl:f:{k}") <= (long long) (end - now));
    assert_true(number("PTTL %s", "rl:f:{k}")
                >= (long long) (end - redis_time()) - 1000);
}


/* every script: what it writes, it reads, and it lets expire */

static void
test_all(void **state)
{
    char        key[32], subject[32];
    long long   ttl;
    ngx_uint_t  a, n, i;

    if (redis == NULL) {
        skip();
    }

    for (a = 1; a <= 3; a++) {
        for (n = 1; n <= NGX_LIMITER_MAX_RATES; n++) {

            policy_init(a, n, 50, 1000000);
            snprintf(subject, sizeof(subject), "k%d", (int) n);
            item_init(subject, 1);
            snprintf(key, sizeof(key), "rl:%c:{k%d}", "fsg"[a - 1], (int) n);

            for (i = 0; i < 4; i++) {
                assert_int_equal(ask(NULL, &prefix), NGX_OK);
                assert_int_equal(number("STRLEN %s", key),
                                 1 + n * (a == 2 ? 22 : 16));

                ttl = number("PTTL %s", key);
                assert_true(ttl > 0);

                if (a == NGX_LIMITER_GCRA) {
                    assert_true(ttl <= 20000 * (long long) (i + 1) + 10200
                                && ttl > 19000 * (long long) (i + 1));

                } else {
                    assert_true(ttl <= 1007000 * (long long) a);
                    assert_true(ttl > (1000000 + 1000 * ((long long) n - 1))
                                      * (long long) a - 1000);
                }
            }

            /* the fifth: burst=3 makes four at once */

            assert_int_equal(ask(NULL, &prefix), a == 3 ? NGX_BUSY : NGX_OK);
        }
    }
}


/* what it takes beyond the key is bounded */

static void
test_memory(void **state)
{
    char        key[128], subject[64];
    long long   most;
    ngx_uint_t  a, len;

    if (redis == NULL) {
        skip();
    }

    most = 0;

    for (a = 1; a <= 3; a++) {
        for (len = 1; len < NGX_LIMITER_SUBJECT_MAX; len++) {
            policy_init(a, 3, 50, 60000);

            ngx_memset(subject, 'x', len);
            subject[len] = '\0';

            item_init(subject, 1);
            assert_int_equal(ask(NULL, &prefix), NGX_OK);
            assert_int_equal(ask(NULL, &prefix), NGX_OK);

            snprintf(key, sizeof(key), "rl:%c:{%s}", "fsg"[a - 1], subject);

            most = ngx_max(most, number("MEMORY USAGE %s", key)
                                 - (long long) strlen(key));
        }
    }

    assert_true(most <= 200);
}


/* the special scripts leave alone what is not theirs */

static void
test_strange(void **state)
{
    u_char      v[23];
    ngx_uint_t  a, n;

    if (redis == NULL) {
        skip();
    }

    for (a = 1; a <= 3; a++) {
        policy_init(a, 1, 5, 60000);

        n = (a == 2) ? 23 : 17;

        ngx_memzero(v, sizeof(v));
        v[0] = a;
        v[3] = 60000 >> 8;
        v[4] = 60000 & 0xff;

        /* theirs, and long over */

        item_init("k", 1);
        set(keys[a - 1], v, n);
        assert_int_equal(ask(NULL, &prefix), NGX_OK);

        /* of another length, algorithm, period, or time that is to come */

        set(keys[a - 1], v, n - 1);
        assert_int_equal(ask(NULL, &prefix), NGX_DECLINED);

        v[0] = a % 3 + 1;
        set(keys[a - 1], v, n);
        assert_int_equal(ask(NULL, &prefix), NGX_DECLINED);
        v[0] = a;

        v[4]++;
        set(keys[a - 1], v, n);
        assert_int_equal(ask(NULL, &prefix), NGX_DECLINED);
        v[4]--;

        v[5] = 0xff;
        v[16] = 3;
        set(keys[a - 1], v, n);
        assert_int_equal(ask(NULL, &prefix), NGX_DECLINED);

        /* the general one makes the best of it: what was used stays used */

        assert_int_equal(ask(&scripts.general, &prefix), NGX_OK);
        assert_int_equal(item.state.records[0].used,
                         a == 3 ? 60003 : 4);
        assert_int_equal(item.state.records[0].time,
                         a == 3 ? NOW : NOW + 60000);
        assert_int_equal(ask(NULL, &prefix), NGX_OK);
    }
}


/* any bytes are as good as none, or some: nothing breaks */

static void
test_random(void **state)
{
    u_char      v[256];
    ngx_int_t   rc;
    ngx_uint_t  i, k, n;

    if (redis == NULL) {
        skip();
    }

    srandom(3);

    for (i = 0; i < 3000; i++) {
        policy_init(1 + i % 3, 1 + random() % 3, 5, 60000);
        item_init("k", random() % 3);

        n = random() % 2 ? random() % sizeof(v)
                         : 1 + (i % 3 == 1 ? 22 : 16) * (random() % 11);

        for (k = 0; k < n; k++) {
            v[k] = random();
        }

        if (n) {
            v[0] = random() % 4;
        }

        for (k = 1; k + 4 < n; k += (i % 3 == 1 ? 22 : 16)) {
            if (random() % 2) {
                ngx_memcpy(&v[k], "\0\0\xea\x60", 4);
            }
        }

        set(keys[i % 3], v, n);

        rc = ask(NULL, &prefix);

        if (rc == NGX_DECLINED) {
            rc = ask(&scripts.general, &prefix);
        }

        assert_true(rc == NGX_OK || rc == NGX_BUSY);
        assert_true(number("PTTL %s", keys[i % 3]) > 0);
    }
}


/* told twice, what Redis had is there once; what it never had is added */

static void
test_carry(void **state)
{
    ngx_uint_t           a, i;
    ngx_limiter_carry_t  carry;

    if (redis == NULL) {
        skip();
    }

    for (a = 1; a <= 3; a++) {
        policy_init(a, 1, 50, 60000);
        policy.burst = 49;

        ngx_memzero(&carry, sizeof(carry));
        carry.left = 30000;
        carry.used = (a == 3) ? 7 * 60000 : 7;

        for (i = 0; i < 3; i++) {
            item_init("k", 0);
            item.carry = &carry;

            assert_int_equal(ask(NULL, &prefix), NGX_OK);
            assert_int_equal(ngx_limiter_state_room(&item.state, &policy, NOW,
                                                    NULL), 43);

            if (a != NGX_LIMITER_GCRA) {
                assert_true(item.state.records[0].time > NOW + 29000
                            && item.state.records[0].time <= NOW + 30000);
            }
        }

        carry.own = (a == 3) ? 2 * 60000 : 2;
        carry.back = (a == 3) ? 60000 : 1;

        item_init("k", 0);
        item.carry = &carry;

        assert_int_equal(ask(NULL, &prefix), NGX_OK);
        assert_int_equal(ngx_limiter_state_room(&item.state, &policy, NOW,
                                                NULL), 42);
    }
}


/* nothing is written that need not be */

static void
test_unwritten(void **state)
{
    ngx_uint_t  a;

    if (redis == NULL) {
        skip();
    }

    for (a = 1; a <= 3; a++) {
        policy_init(a, 1, 5, 60000);

        item_init("cost", 0);
        assert_int_equal(ask(NULL, &prefix), NGX_OK);

        item_init("much", 6);
        assert_int_equal(ask(NULL, &prefix), NGX_BUSY);

        item_init("refund", 0);
        item.sub = 3;
        assert_int_equal(ask(NULL, &prefix), NGX_OK);

        item_init("peek", 1);
        item.peek = 1;
        assert_int_equal(ask(NULL, &prefix), NGX_OK);

        item_init("soft", 6);
        item.soft = 1;
        assert_int_equal(ask(NULL, &prefix), NGX_OK);
        assert_int_equal(item.verdict, NGX_LIMITER_REJECTED);
    }

    assert_int_equal(number("DBSIZE", NULL), 0);
}


static u_char *
put(u_char *p, uint64_t n, ngx_uint_t bytes)
{
    while (bytes--) {
        *p++ = (u_char) (n >> (8 * bytes));
    }

    return p;
}


/*
 * Of 5 units, 3 are given back that were counted at some time before: 8 are in
 * the window that began 30 seconds ago, or in the bucket, 6 in that before.
 */

static void
test_back(void **state)
{
    u_char               *p, value[23];
    uint64_t              used;
    ngx_uint_t            a, i;
    redisReply           *reply;
    ngx_limiter_state_t   known;

    static struct {
        uint64_t  ago;
        uint64_t  used[3];
        uint64_t  prev;
    } tests[] = {
        {      0, { 5, 5, 8 * 60000 - 3 * 60000 }, 6 },
        {  10000, { 5, 5, 8 * 60000 - 3 * 60000 }, 6 },
        {  20000, { 5, 5, 8 * 60000 - 100000 },    6 },
        {  30000, { 5, 5, 8 * 60000 },             6 },
        {  30001, { 8, 8, 8 * 60000 },             3 },
        {  90000, { 8, 8, 8 * 60000 },             3 },
        {  90001, { 8, 8, 8 * 60000 },             6 }
    };

    for (a = 1; a <= 3; a++) {
        policy_init(a, 1, 10, 60000);

        for (i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {

            p = put(value, a, 1);
            p = put(p, 60000, 4);
            p = put(p, (a == 3) ? NOW : NOW + 30000, 6);
            p = put(p, (a == 3) ? 8 * 60000 : 8, 6);
            p = put(p, 6, 6);

            item_init("k", 0);
            item.sub = 3;
            item.kept = 2;
            item.at = NOW - tests[i].ago;

            known.n = 1;
            known.records[0].period = 60000;
            known.records[0].time = (a == 3) ? NOW : NOW + 30000;
            known.records[0].used = (a == 3) ? 8 * 60000 : 8;
            known.records[0].prev = (a == 2) ? 6 : 0;
            known.records[0].own = 0;
            known.records[0].own_prev = 0;

            ngx_limiter_state_back(&known, &policy, 3, 2, item.at, NULL);

            used = tests[i].used[a - 1];
            assert_int_equal(known.records[0].used, used);
            assert_true(a != 2 || known.records[0].prev == tests[i].prev);

            if (redis) {
                set(keys[a - 1], value, (a == 2) ? 23 : 17);
                reply = script_call(&scripts.general, items, 1, &prefix, NOW);
                assert_int_equal(ngx_limiter_script_reply(reply, items, 1,
                                                          NOW), NGX_OK);
                freeReplyObject(reply);

                assert_int_equal(item.state.records[0].used, used);
                assert_true(a != 2
                            || item.state.records[0].prev == tests[i].prev);
            }
        }
    }

    /* what is counted as a share's own is given back as that */

    ngx_memzero(&known, sizeof(known));
    known.records[0].period = 60000;

    ngx_limiter_state_count(&known, &policy, 5, &three);
    ngx_limiter_state_back(&known, &policy, 3, 2, 0, &three);
    assert_int_equal(known.records[0].own, 2 * 3 * 60000);
}


/* the name under which Redis knows a text it was sent */

static void
test_name(void **state)
{
    redisReply  *reply;

    if (redis == NULL) {
        skip();
    }

    policy_init(NGX_LIMITER_FIXED_WINDOW, 1, 5, 60000);
    item_init("k", 1);
    assert_int_equal(ask(NULL, &prefix), NGX_OK);
    assert_int_equal(ask(&scripts.general, &prefix), NGX_OK);

    reply = redisCommand(redis, "SCRIPT EXISTS %b %b",
                         scripts.general.sha1.data, (size_t) 40,
                         scripts.single[0][0].sha1.data, (size_t) 40);
    assert_int_equal(reply->element[0]->integer, 1);
    assert_int_equal(reply->element[1]->integer, 1);
    freeReplyObject(reply);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test_setup(test_real_time, flush),
        cmocka_unit_test_setup(test_value, flush),
        cmocka_unit_test_setup(test_all, flush),
        cmocka_unit_test_setup(test_memory, flush),
        cmocka_unit_test_setup(test_strange, flush),
        cmocka_unit_test_setup(test_random, flush),
        cmocka_unit_test_setup(test_carry, flush),
        cmocka_unit_test_setup(test_unwritten, flush),
        cmocka_unit_test_setup(test_back, flush),
        cmocka_unit_test_setup(test_name, flush)
    };

    return cmocka_run_group_tests(tests, server_start, server_stop);
}
