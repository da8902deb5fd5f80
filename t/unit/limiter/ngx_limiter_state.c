
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <ngx_limiter_state.h>


#define DAY  ((uint64_t) 24 * 60 * 60 * 1000)

/* the only thing that is not 0 in the beginning: the time */
#define T0   ((uint64_t) 1700000000000)


static const ngx_uint_t  algorithms[] = {
    NGX_LIMITER_FIXED_WINDOW, NGX_LIMITER_SLIDING_WINDOW, NGX_LIMITER_GCRA
};


static uint64_t
pick(uint64_t n)
{
    return (uint64_t) random() % n;
}


static void
policy_set(ngx_limiter_policy_t *policy, ngx_uint_t algorithm, uint64_t limit,
    uint64_t period)
{
    ngx_memzero(policy, sizeof(ngx_limiter_policy_t));

    policy->algorithm = algorithm;
    policy->nrates = 1;
    policy->rates[0].limit = limit;
    policy->rates[0].period = period;
}


/* 1 if the units have room, which are counted then */

static ngx_uint_t
ask(ngx_limiter_state_t *known, const ngx_limiter_policy_t *policy,
    uint64_t units, uint64_t now, const ngx_limiter_share_t *share)
{
    ngx_limiter_state_t  state;

    (void) ngx_limiter_state_open(&state, policy, known, now);

    if (ngx_limiter_state_room(&state, policy, now, share) < units) {
        return 0;
    }

    ngx_limiter_state_count(&state, policy, units, share);
    *known = state;

    return 1;
}


static uint64_t
room_at(const ngx_limiter_state_t *known, const ngx_limiter_policy_t *policy,
    uint64_t now, const ngx_limiter_share_t *share)
{
    ngx_limiter_state_t  state;

    (void) ngx_limiter_state_open(&state, policy, known, now);

    return ngx_limiter_state_room(&state, policy, now, share);
}


static void
test_policy(void **state)
{
    uint64_t             most;
    ngx_uint_t           i;
    const char          *err;
    ngx_limiter_rate_t   rate;

    static const uint64_t  periods[] = {
        1000, 7000, 60000, 3600000, DAY, 31 * DAY
    };

    for (i = 0; i < sizeof(periods) / sizeof(periods[0]); i++) {

        rate.period = periods[i];
        rate.limit = rate.period / 1000 * NGX_LIMITER_MAX_PER_SEC;

        /* whatever can be written is counted by a fixed window */

        assert_int_equal(ngx_limiter_policy_check(NGX_LIMITER_FIXED_WINDOW, 0,
                                                  &rate, &err),
                         NGX_OK);

        /* limit * period < 2^52 */

        most = (((uint64_t) 1 << 52) - 1) / rate.period;

        rate.limit = most - 1;
        assert_int_equal(ngx_limiter_policy_check(NGX_LIMITER_SLIDING_WINDOW,
                                                  0, &rate, &err),
                         NGX_OK);

        rate.limit = most + 1;
        err = NULL;
        assert_int_equal(ngx_limiter_policy_check(NGX_LIMITER_SLIDING_WINDOW,
                                                  0, &rate, &err),
                         NGX_ERROR);
        assert_non_null(err);

        /* (burst + 1) * period is at most half of what a level can be */

        most = NGX_LIMITER_MAX_COUNT / 2 / rate.period;
        rate.limit = 1;

        assert_int_equal(ngx_limiter_policy_check(NGX_LIMITER_GCRA, most - 1,
                                                  &rate, &err),
                         NGX_OK);
        err = NULL;
        assert_int_equal(ngx_limiter_policy_check(NGX_LIMITER_GCRA, most + 1,
                                                  &rate, &err),
                         NGX_ERROR);
        assert_non_null(err);

        assert_int_equal(ngx_limiter_policy_check(NGX_LIMITER_GCRA,
                                                  (uint64_t) -1, &rate, &err),
                         NGX_ERROR);
    }

    rate.period = 1000;
    rate.limit = 0;

    for (i = 0; i < 3; i++) {
        assert_int_equal(ngx_limiter_policy_check(algorithms[i], 0, &rate,
                                                  &err),
                         NGX_OK);
    }
}


/* 60r/m, 500r/h and 2000r/d: a day of somebody who never stops asking */

static void
test_fixed_day(void **state)
{
    uint64_t              now;
    ngx_uint_t            i, total;
    ngx_limiter_state_t   known, s;
    ngx_limiter_policy_t  policy;

    policy_set(&policy, NGX_LIMITER_FIXED_WINDOW, 60, 60000);
    policy.nrates = 3;
    policy.rates[1].limit = 500;
    policy.rates[1].period = 3600000;
    policy.rates[2].limit = 2000;
    policy.rates[2].period = DAY;

    known.n = 0;
    total = 0;

    for (i = 0; i < 60; i++) {
        total += ask(&known, &policy, 1, T0 + i * 10, NULL);
    }

    assert_int_equal(total, 60);
    assert_int_equal(ask(&known, &policy, 1, T0 + 600, NULL), 0);

    /* the window is over 60 seconds after its first request, not before */

    assert_int_equal(ask(&known, &policy, 1, T0 + 59999, NULL), 0);
    assert_int_equal(ask(&known, &policy, 1, T0 + 60000, NULL), 1);

    total = 61;

    for (now = 60001; now < 3600000; now += 500) {
        total += ask(&known, &policy, 1, T0 + now, NULL);
    }

    assert_int_equal(total, 500);

    now = T0 + 3599999;
    (void) ngx_limiter_state_open(&s, &policy, &known, now);
    assert_int_equal(ngx_limiter_state_tightest(&s, &policy, 1, now, NULL), 1);
    assert_int_equal(ngx_limiter_state_retry(&s, &policy, 1, 1, now, NULL), 1);

    for (now = 3600000; now < DAY; now += 500) {
        total += ask(&known, &policy, 1, T0 + now, NULL);
    }

    assert_int_equal(total, 2000);

    now = T0 + DAY - 1;
    (void) ngx_limiter_state_open(&s, &policy, &known, now);
    assert_int_equal(ngx_limiter_state_tightest(&s, &policy, 1, now, NULL), 2);
    assert_int_equal(ngx_limiter_state_retry(&s, &policy, 2, 1, now, NULL), 1);
    assert_int_equal(ask(&known, &policy, 1, now, NULL), 0);
    assert_int_equal(ask(&known, &policy, 1, T0 + DAY, NULL), 1);
}


/* numbers worked out by hand */

static void
test_sliding_hand(void **state)
{
    ngx_limiter_state_t   known, s;
    ngx_limiter_policy_t  policy;

    policy_set(&policy, NGX_LIMITER_SLIDING_WINDOW, 100, 60000);
    known.n = 0;

    assert_int_equal(ask(&known, &policy, 84, T0, NULL), 1);
    assert_int_equal(ask(&known, &policy, 36, T0 + 60000, NULL), 0);
    assert_int_equal(ask(&known, &policy, 16, T0 + 60000, NULL), 1);

    /* a quarter into the second window: 16 + 84 * 3/4 = 79 */

    assert_int_equal(room_at(&known, &policy, T0 + 75000, NULL), 21);
    assert_int_equal(ask(&known, &policy, 20, T0 + 75000, NULL), 1);

    /* 36 + 84 * 45000/60000 = 99; a unit has room, a second one 714.3 later */

    (void) ngx_limiter_state_open(&s, &policy, &known, T0 + 75000);
    assert_int_equal(ngx_limiter_state_rate_room(&s, &policy, 0, T0 + 75000,
                                                 NULL),
                     1);
    assert_int_equal(ngx_limiter_state_retry(&s, &policy, 0, 2, T0 + 75000,
                                             NULL),
                     715);
    assert_int_equal(ngx_limiter_state_reset(&s, &policy, 0, T0 + 75000),
                     45000 + 60000);

    /* a whole window without a request, and nothing counts any more */

    assert_int_equal(room_at(&known, &policy, T0 + 180000 - 1, NULL), 99);
    assert_int_equal(room_at(&known, &policy, T0 + 180000, NULL), 100);
}


/* 10r/s and a burst of 4, as limit_req: a unit leaves every 100 ms */

static void
test_gcra_hand(void **state)
{
    uint64_t              now;
    ngx_uint_t            i, n;
    ngx_limiter_state_t   known, s;
    ngx_limiter_policy_t  policy;

    policy_set(&policy, NGX_LIMITER_GCRA, 10, 1000);
    policy.burst = 4;
    known.n = 0;

    for (i = 0; i < 5; i++) {
        assert_int_equal(ask(&known, &policy, 1, T0, NULL), 1);

        /* of those that may wait, each leaves 100 ms after the one before */

        assert_int_equal(ngx_limiter_state_delay(&known, &policy, 0, NULL),
                         i * 100);
        assert_int_equal(ngx_limiter_state_delay(&known, &policy, 2, NULL),
                         (i > 2) ? (i - 2) * 100 : 0);
        assert_int_equal(ngx_limiter_state_delay(&known, &policy, 99, NULL),
                         0);
    }

    (void) ngx_limiter_state_open(&s, &policy, &known, T0 + 30);
    assert_int_equal(ngx_limiter_state_retry(&s, &policy, 0, 1, T0 + 30,
                                             NULL),
                     70);
    assert_int_equal(ngx_limiter_state_retry(&s, &policy, 0, 3, T0 + 30,
                                             NULL),
                     270);
    assert_true(ngx_limiter_state_retry(&s, &policy, 0, 6, T0 + 30, NULL)
                == NGX_LIMITER_NEVER);
    assert_int_equal(ngx_limiter_state_reset(&s, &policy, 0, T0 + 30), 470);

    assert_int_equal(ask(&known, &policy, 1, T0 + 99, NULL), 0);
    assert_int_equal(ask(&known, &policy, 1, T0 + 100, NULL), 1);

    /* who asks all the time gets the rate, and what was left of the burst */

    n = 0;

    for (now = T0 + 101; now <= T0 + 60100; now++) {
        n += ask(&known, &policy, 1, now, NULL);
    }

    assert_int_equal(n, 600);
}


static void
test_refused_burns_nothing(void **state)
{
    ngx_uint_t            i, k;
    ngx_limiter_state_t   known, before;
    ngx_limiter_policy_t  policy;

    for (k = 0; k < 3; k++) {
        policy_set(&policy, algorithms[k], 5, 60000);
        known.n = 0;

        while (ask(&known, &policy, 1, T0, NULL)) { /* void */ }

        before = known;

        for (i = 0; i < 1000; i++) {
            assert_int_equal(ask(&known, &policy, 1, T0 + i, NULL), 0);
        }

        assert_memory_equal(&before, &known, sizeof(known));
    }
}


static void
test_clock_steps_back(void **state)
{
    uint64_t              back;
    ngx_uint_t            k;
    ngx_limiter_state_t   known, s;
    ngx_limiter_policy_t  policy;

    for (k = 0; k < 3; k++) {

        policy_set(&policy, algorithms[k], 10, 60000);
        policy.burst = 9;
        known.n = 0;

        assert_int_equal(ask(&known, &policy, 4, T0, NULL), 1);
        assert_int_equal(ngx_limiter_state_open(&s, &policy, &known, T0 + 1),
                         0);

        for (back = 1; back <= DAY; back *= 10) {

            assert_int_equal(ngx_limiter_state_open(&s, &policy, &known,
                                                    T0 - back),
                             1);

            /* what was used is used, for one period at most */

            assert_int_equal(ngx_limiter_state_room(&s, &policy, T0 - back,
                                                    NULL),
                             6);
            assert_true(s.records[0].time <= T0 - back + 60000);
            assert_true(ngx_limiter_state_reset(&s, &policy, 0, T0 - back)
                        <= 2 * 60000);

            /* it is to be stored once only */

            assert_int_equal(ngx_limiter_state_open(&known, &policy, &s,
                                                    T0 - back + 1),
                             0);

            known.n = 0;
            assert_int_equal(ask(&known, &policy, 4, T0, NULL), 1);
        }
    }
}


/* what was used stays used: records are found by their period */

static void
test_rates_change(void **state)
{
    ngx_uint_t            k;
    ngx_limiter_state_t   known, s;
    ngx_limiter_policy_t  policy, changed;

    for (k = 0; k < 3; k++) {

        policy_set(&policy, algorithms[k], 60, 60000);
        policy.burst = 9;
        policy.nrates = 2;
        policy.rates[1].limit = 2000;
        policy.rates[1].period = DAY;
        known.n = 0;

        assert_int_equal(ask(&known, &policy, 2, T0, NULL), 1);

        /* another order, a new one, and one fewer */

        changed = policy;
        changed.rates[0] = policy.rates[1];
        changed.rates[1].limit = 7;
        changed.rates[1].period = 1000;

        (void) ngx_limiter_state_open(&s, &changed, &known, T0);

        assert_int_equal(s.n, 3);
        assert_true(s.records[0].period == DAY);
        assert_true(s.records[0].used == known.records[1].used);
        assert_true(s.records[1].used == 0);
        assert_memory_equal(&s.records[2], &known.records[0],
                            sizeof(ngx_limiter_record_t));

        /* and back again */

        known = s;
        (void) ngx_limiter_state_open(&s, &policy, &known, T0);
        assert_true(s.records[0].period == 60000);
        assert_int_equal(ngx_limiter_state_rate_room(&s, &policy, 0, T0, NULL),
                         (k == 2) ? 8 : 58);

        /* what has ended is not kept */

        (void) ngx_limiter_state_open(&s, &changed, &known, T0 + 2 * 60000);
        assert_int_equal(s.n, 2);

        /* of a limit below what is used nothing is left */

        policy.rates[0].limit = 1;
        policy.burst = 0;
        assert_int_equal(room_at(&known, &policy, T0, NULL), 0);
        policy.rates[0].limit = 0;
        assert_int_equal(room_at(&known, &policy, T0, NULL), 0);
    }
}


/* many periods: never more than there is place for, and none twice */

static void
test_many_periods(void **state)
{
    uint64_t              now;
    ngx_uint_t            i, j, k;
    ngx_limiter_state_t   known;
    ngx_limiter_policy_t  policy;

    for (k = 0; k < 3; k++) {

        known.n = 0;
        now = T0;

        for (i = 0; i < 5000; i++) {
            policy_set(&policy, algorithms[k], 5, (1 + pick(20)) * 1000);
            policy.burst = 5;
            policy.nrates = 2;
            policy.rates[1].limit = 5;
            policy.rates[1].period = (21 + pick(20)) * 1000;

            now += pick(3000);
            (void) ask(&known, &policy, 1, now, NULL);

            assert_true(known.n <= NGX_LIMITER_MAX_RATES);

            for (j = 1; j < known.n; j++) {
                assert_true(known.records[j].period
                            != known.records[j - 1].period);
            }
        }

        assert_true(known.n > 2);
    }
}


/*
 * The smallest wait, found by trying: for all algorithms, levels, shares and
 * times, with both kinds of counters.
 */

static void
test_retry_exact(void **state)
{
    uint64_t              now, need, wait, d, reset;
    ngx_uint_t            i, k, nevers, zeros, waits, windows;
    ngx_limiter_state_t   known, s;
    ngx_limiter_share_t   share, *with;
    ngx_limiter_policy_t  policy;

    srandom(7);

    for (k = 0; k < 3; k++) {

        nevers = zeros = waits = windows = 0;

        for (i = 0; i < 4000; i++) {

            policy_set(&policy, algorithms[k], pick(14), 50 + pick(150));
            policy.burst = pick(8);

            share.hosts = 1 + pick(8);
            share.rank = pick(share.hosts);
            with = pick(3) ? &share : NULL;

            /* as it may be found, and as no honest one would leave it */

            known.n = 1;
            ngx_memzero(&known.records[0], sizeof(ngx_limiter_record_t));
            known.records[0].period = policy.rates[0].period;
            known.records[0].time = T0 + pick(400);
            known.records[0].used = pick(12);

            if (pick(2)) {
                known.records[0].own = pick(12);
            }

            if (k == 1) {
                known.records[0].prev = pick(20);
                known.records[0].own_prev = pick(2) * pick(12);
            }

            if (k == 2) {
                known.records[0].used *= pick(policy.rates[0].period);
                known.records[0].own *= pick(policy.rates[0].period);
            }

            now = T0 + pick(300);
            need = 1 + pick(8);

            (void) ngx_limiter_state_open(&s, &policy, &known, now);
            wait = ngx_limiter_state_retry(&s, &policy, 0, need, now, with);
            reset = ngx_limiter_state_reset(&s, &policy, 0, now);

            if (wait == NGX_LIMITER_NEVER) {

                for (d = 0; d <= 2 * reset + 2; d++) {
                    assert_true(room_at(&s, &policy, now + d, with) < need);
                }

                assert_true(room_at(&s, &policy, now + DAY, with) < need);

                nevers++;
                continue;
            }

            for (d = 0; d < wait; d++) {
                assert_true(room_at(&s, &policy, now + d, with) < need);
            }

            for (d = wait; d <= reset; d++) {
                assert_true(room_at(&s, &policy, now + d, with) >= need);
            }

            assert_true(wait <= reset || need == 0);

            /* when it resets everything is forgotten, and not before */

            assert_true(room_at(&s, &policy, now + reset, with)
                        == room_at(&s, &policy, now + reset + DAY, with));

            zeros += (wait == 0);
            waits += (wait != 0);
            windows += (wait > policy.rates[0].period);
        }

        assert_true(nevers > 100 && zeros > 100 && waits > 300);
        assert_true(k == 0 || windows > 30);
    }
}


/* a clock that began less than a period ago */

static void
test_new_clock(void **state)
{
    ngx_uint_t            algorithm;
    ngx_limiter_state_t   s, none;
    ngx_limiter_policy_t  policy;

    none.n = 0;

    for (algorithm = 1; algorithm <= 2; algorithm++) {
        ngx_memzero(&policy, sizeof(policy));

        policy.algorithm = algorithm;
        policy.nrates = 1;
        policy.rates[0].period = DAY;
        policy.rates[0].limit = 10;

        (void) ngx_limiter_state_open(&s, &policy, &none, 5000);

        assert_int_equal(s.records[0].time, 5000 + DAY);
        assert_int_equal(ngx_limiter_state_reset(&s, &policy, 0, 5000), 0);
    }
}


static void
test_reset_exact(void **state)
{
    uint64_t              now, reset;
    ngx_uint_t            i, k;
    ngx_limiter_state_t   known, s, later;
    ngx_limiter_policy_t  policy;

    srandom(8);

    for (k = 1; k < 3; k++) {

        for (i = 0; i < 2000; i++) {

            policy_set(&policy, algorithms[k], 1 + pick(14), 50 + pick(150));
            policy.burst = pick(8);
            known.n = 0;
            now = T0;

            while (pick(8)) {
                now += pick(200);
                (void) ask(&known, &policy, 1 + pick(4), now, NULL);
            }

            (void) ngx_limiter_state_open(&s, &policy, &known, now);
            reset = ngx_limiter_state_reset(&s, &policy, 0, now);

            (void) ngx_limiter_state_open(&later, &policy, &s, now + reset);
            assert_true(later.records[0].used == 0);
            assert_true(later.records[0].prev == 0);

            if (reset) {
                (void) ngx_limiter_state_open(&later, &policy, &s,
                                              now + reset - 1);
                assert_true(later.records[0].used || later.records[0].prev);
            }
        }
    }
}


/*
 * Hosts that cannot ask share what was left, and all of them together admit no
 * more than one would have, whatever they are asked: in no window of a fixed
 * window, at no moment by the weights of a sliding one; a gcra rate is theirs
 * and one unit of each.
 */

static void
test_shares(void **state)
{
    uint64_t              now, limit, period, used, all, most;
    ngx_uint_t            i, k, h, admitted, step;
    ngx_limiter_state_t   common, hosts[8], s;
    ngx_limiter_share_t   share;
    ngx_limiter_policy_t  policy;

    srandom(9);

    for (k = 0; k < 3; k++) {

        for (i = 0; i < 400; i++) {

            limit = 1 + pick(40);
            period = 1000;
            policy_set(&policy, algorithms[k], limit, period);
            policy.burst = pick(20);
            most = ngx_limiter_policy_capacity(&policy, 0);

            common.n = 0;
            used = pick(most + 1);
            assert_int_equal(ask(&common, &policy, used, T0, NULL), 1);

            share.hosts = 2 + pick(7);

            for (h = 0; h < share.hosts; h++) {
                hosts[h] = common;
            }

            /* everybody at once, in any order and of any cost */

            admitted = 0;

            for (step = 0; step < 600; step++) {
                share.rank = pick(share.hosts);
                all = 1 + pick(3);
                admitted += all * ask(&hosts[share.rank], &policy, all, T0,
                                      &share);
            }

            assert_true(used + admitted <= most + (k == 2 ? share.hosts : 0));

            /* and nothing is left over */

            for (step = 0; step < 60 * share.hosts; step++) {
                share.rank = step % share.hosts;
                admitted += ask(&hosts[share.rank], &policy, 1, T0, &share);
            }

            if (k != 2) {
                assert_int_equal(used + admitted, most);
            }

            /* the weights of all, as time goes by */

            if (k == 0) {
                continue;
            }

            for (now = T0; now < T0 + 5 * period; now += 1 + pick(99)) {
                share.rank = pick(share.hosts);
                all = ask(&hosts[share.rank], &policy, 1, now, &share);

                if (k == 2) {
                    admitted += all;
                    assert_true(admitted <= most + share.hosts
                                + (now - T0) * limit / period + 1);
                    continue;
                }

                all = 0;

                for (h = 0; h < share.hosts; h++) {
                    (void) ngx_limiter_state_open(&s, &policy, &hosts[h],
                                                  now);

                    /* what Redis said last is the same for all of them */

                    if (h == 0) {
                        all += s.records[0].used * period
                               + s.records[0].prev
                                 * (s.records[0].time - now);
                    }

                    all += s.records[0].own * period
                           + s.records[0].own_prev
                             * (s.records[0].time - now);
                }

                assert_true(all <= limit * period);
            }
        }
    }
}


/* one host that has no share counts on both sides of the same limit */

static void
test_share_of_one(void **state)
{
    uint64_t              now, units;
    ngx_uint_t            i, k;
    ngx_limiter_state_t   a, b;
    ngx_limiter_share_t   share;
    ngx_limiter_policy_t  policy;

    srandom(10);

    share.hosts = 1;
    share.rank = 0;

    for (k = 0; k < 3; k++) {

        policy_set(&policy, algorithms[k], 10, 1000);
        policy.burst = 9;

        a.n = b.n = 0;
        now = T0;

        for (i = 0; i < 5000; i++) {
            now += pick(4) ? pick(100) : pick(2500);
            units = pick(12);

            assert_int_equal(ask(&a, &policy, units, now, NULL),
                             ask(&b, &policy, units, now, &share));
        }
    }
}


/* the largest of everything: no product wraps around, nothing is lost */

static void
test_large(void **state)
{
    uint64_t              max;
    ngx_uint_t            i, k;
    ngx_limiter_state_t   known, s;
    ngx_limiter_share_t   share;
    ngx_limiter_policy_t  policy;

    share.hosts = 1000;
    share.rank = 999;

    for (k = 0; k < 3; k++) {

        policy_set(&policy, algorithms[k],
                   31 * DAY / 1000 * NGX_LIMITER_MAX_PER_SEC, 31 * DAY);

        if (k == 1) {
            policy.rates[0].limit = ((uint64_t) 1 << 52) / (31 * DAY) - 1;
        }

        policy.burst = NGX_LIMITER_MAX_COUNT / (31 * DAY) / 2 - 2;
        max = ngx_limiter_policy_capacity(&policy, 0);

        known.n = 0;
        assert_int_equal(ask(&known, &policy, max, T0, NULL), 1);
        assert_int_equal(ask(&known, &policy, 1, T0, NULL), 0);

        /* charged far beyond the limit, there is no room and stays none */

        for (i = 0; i < 1000; i++) {
            ngx_limiter_state_count(&known, &policy, NGX_LIMITER_MAX_COST,
                                    NULL);
            ngx_limiter_state_count(&known, &policy, NGX_LIMITER_MAX_COST,
                                    &share);
            assert_true(known.records[0].used <= NGX_LIMITER_MAX_COUNT);
            assert_true(known.records[0].own <= NGX_LIMITER_MAX_COUNT);
            assert_int_equal(room_at(&known, &policy, T0, NULL), 0);
            assert_int_equal(room_at(&known, &policy, T0, &share), 0);
            (void) ngx_limiter_state_retry(&known, &policy, 0, 1, T0, &share);
        }

        (void) ngx_limiter_state_open(&s, &policy, &known, T0 + 31 * DAY);
        s.records[0].own_prev = s.records[0].own;
        assert_int_equal(room_at(&s, &policy, T0 + 31 * DAY + 1, NULL),
                         (k == 1) ? 0 : max);

        /* times at which differences are large */

        assert_true(room_at(&known, &policy, NGX_LIMITER_MAX_COUNT, NULL)
                    == max);

        ngx_limiter_state_uncount(&known, &policy, (uint64_t) -1);
        assert_true(known.records[0].used == 0);
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_policy),
        cmocka_unit_test(test_fixed_day),
        cmocka_unit_test(test_sliding_hand),
        cmocka_unit_test(test_gcra_hand),
        cmocka_unit_test(test_refused_burns_nothing),
        cmocka_unit_test(test_clock_steps_back),
        cmocka_unit_test(test_rates_change),
        cmocka_unit_test(test_many_periods),
        cmocka_unit_test(test_retry_exact),
        cmocka_unit_test(test_new_clock),
        cmocka_unit_test(test_reset_exact),
        cmocka_unit_test(test_shares),
        cmocka_unit_test(test_share_of_one),
        cmocka_unit_test(test_large)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
