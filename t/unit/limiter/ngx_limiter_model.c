
/*
 * Copyright (C) The Optcache authors
 */


/*
 * The same random schedules of requests, costs, rates and clock steps through
 * a model, through the arithmetic in C, through shared memory with a host's
 * own counts, and through the scripts in a real Redis, special ones and
 * general one: all agree on every decision, and on what has room afterwards.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "model.h"
#include "redis_server.h"


static uint64_t             periods[ZONES][PERIODS];
static ngx_limiter_state_t  states[ZONES][SUBJECTS];
static ngx_str_t            special = ngx_string("rs:");
static ngx_str_t            general = ngx_string("rg:");

/* what the schedules came across, so that it is known to have been tried */

static ngx_uint_t           singles, declined, refusals, expiries;


/* The arithmetic in C, and in shared memory. */

static ngx_uint_t
state_ask(ngx_limiter_item_t **items, ngx_uint_t n, ngx_uint_t subject,
    uint64_t now, ngx_uint_t memory, answer_t *answers)
{
    uint64_t               units;
    ngx_uint_t             i, k, z, counted, had, write[ZONES];
    ngx_limiter_zone_t    *zone;
    ngx_limiter_item_t    *item;
    ngx_limiter_entry_t    entries[ZONES];
    ngx_limiter_share_t    alone, *share;
    ngx_limiter_state_t   *state;
    ngx_limiter_record_t  *record;

    alone.hosts = 1;
    alone.rank = 0;
    share = memory ? &alone : NULL;
    counted = 1;

    for (i = 0; i < n; i++) {
        item = items[i];
        zone = item->zone;
        z = zone - zones;
        state = &entries[i].state;

        if (memory) {
            had = (ngx_limiter_local_load(zone, &item->subject.key,
                                          item->policy, &entries[i], now)
                   == NGX_OK);
            write[i] = 0;    /* its clock never steps back */

        } else {
            had = (states[z][subject].n != 0);
            write[i] = ngx_limiter_state_open(state, item->policy,
                                              &states[z][subject], now);
        }

        ngx_limiter_state_count(state, item->policy, item->add, share);

        if (memory) {
            for (k = 0; k < item->policy->nrates; k++) {
                record = &state->records[k];
                units = item->sub;

                if (item->policy->algorithm == NGX_LIMITER_GCRA) {
                    units *= record->period;
                }

                record->own -= ngx_min(record->own, units);
            }

        } else {
            ngx_limiter_state_uncount(state, item->policy, item->sub);
        }

        units = ngx_limiter_state_room(state, item->policy, now, share);

        write[i] |= item->add || (item->sub && had);
        answers[i].room = (units >= item->need);
        answers[i].granted = ngx_max(item->take, ngx_min(item->want, units));

        if (!answers[i].room && !item->soft) {
            counted = 0;
        }
    }

    for (i = 0; i < n; i++) {
        item = items[i];
        zone = item->zone;
        state = &entries[i].state;

        if (!counted || !answers[i].room || item->peek) {
            answers[i].granted = 0;
        }

        ngx_limiter_state_count(state, item->policy, answers[i].granted,
                                share);

        for (k = 0; k < item->policy->nrates; k++) {
            answers[i].rooms[k] = ngx_limiter_state_rate_room(state,
                                               item->policy, k, now, share);
        }

        if (item->peek || (!write[i] && !answers[i].granted)) {
            continue;
        }

        if (memory) {
            ngx_limiter_local_save(zone, &item->subject.key, &entries[i]);

        } else {
            states[zone - zones][subject] = *state;
        }
    }

    return counted;
}


/* The scripts in Redis. */

static ngx_uint_t
redis_ask(ngx_limiter_item_t **items, ngx_uint_t n, ngx_str_t *prefix,
    uint64_t now, answer_t *answers)
{
    ngx_int_t              rc;
    ngx_uint_t             i, k;
    redisReply            *reply;
    ngx_limiter_script_t  *script;

    script = (prefix == &special) ? ngx_limiter_script_choose(&scripts, items,
                                                              n)
                                  : &scripts.general;

    singles += (script != &scripts.general);

    reply = script_call(script, items, n, prefix, now);
    rc = ngx_limiter_script_reply(reply, items, n, now);
    freeReplyObject(reply);

    if (rc == NGX_DECLINED) {
        assert_ptr_not_equal(script, &scripts.general);
        declined++;

        reply = script_call(&scripts.general, items, n, prefix, now);
        rc = ngx_limiter_script_reply(reply, items, n, now);
        freeReplyObject(reply);
    }

    assert_true(rc == NGX_OK || rc == NGX_BUSY);

    for (i = 0; i < n; i++) {
        answers[i].room = (items[i]->verdict == NGX_LIMITER_PASSED);
        answers[i].granted = items[i]->granted;

        for (k = 0; k < items[i]->policy->nrates; k++) {
            answers[i].rooms[k] = ngx_limiter_state_rate_room(
                             &items[i]->state, items[i]->policy, k, now, NULL);
        }
    }

    return (rc == NGX_OK);
}


/*
 * A key that has expired held nothing that would still count: then it may be
 * forgotten by all the others too.
 */

static void
redis_expire(ngx_limiter_item_t *item, ngx_uint_t subject, ngx_str_t *prefix,
    uint64_t now)
{
    ngx_str_t    key;
    ngx_uint_t   i, z, over;
    redisReply  *reply;

    z = item->zone - zones;

    assert_int_equal(ngx_limiter_script_key(&key, item, prefix, pool), NGX_OK);

    reply = redisCommand(redis, "GET %b:end", key.data, key.len);
    over = (reply->str && strtoull(reply->str, NULL, 10) <= now);
    freeReplyObject(reply);

    if (!over) {
        return;
    }

    expiries++;

    for (i = 0; i < PERIODS; i++) {
        assert_true(model_empty(&model[z][subject][i],
                                item->policy->algorithm, now));
        model[z][subject][i].touched = 0;
        model[z][subject][i].n = 0;
    }

    states[z][subject].n = 0;
    ngx_limiter_local_forget(item->zone, &item->subject.key);

    for (prefix = &special; prefix; prefix = (prefix == &special) ? &general
                                                                  : NULL)
    {
        assert_int_equal(ngx_limiter_script_key(&key, item, prefix, pool),
                         NGX_OK);
        freeReplyObject(redisCommand(redis, "DEL %b %b:end", key.data, key.len,
                                     key.data, key.len));
    }
}


/* The schedules. */

#define RATES  1    /* change from request to request */
#define BACK   2    /* the clock steps back: not that of shared memory */
#define CARRY  4    /* what Redis has lost is told to it */
#define LARGE  8    /* numbers as large as they may be */


static char  where[128];


static uint64_t
any(uint64_t below)
{
    return ((uint64_t) random() << 31 ^ (uint64_t) random()) % below;
}


static void
zone_create(ngx_uint_t z, ngx_uint_t algorithm, ngx_uint_t flags)
{
    void             *memory;
    ngx_uint_t        i;
    ngx_slab_pool_t  *sp;

    for (i = 0; i < PERIODS; i++) {
        periods[z][i] = 1000 + any((flags & LARGE) ? 2678380000 : 4000);
        periods[z][i] += i * 4001;
    }

    ngx_memzero(&zones[z], sizeof(ngx_limiter_zone_t));

    zones[z].name.data = (u_char *) "abc" + z;
    zones[z].name.len = 1;
    zones[z].policy.algorithm = algorithm;
    zones[z].variable = 1;

    memory = ngx_memalign(4096, 8 * 4096, &logger);
    assert_non_null(memory);
    ngx_memzero(memory, 8 * 4096);

    sp = memory;
    sp->end = (u_char *) memory + 8 * 4096;
    sp->min_shift = 3;
    sp->addr = memory;

    assert_int_equal(ngx_shmtx_create(&sp->mutex, &sp->lock, NULL), NGX_OK);
    ngx_slab_init(sp);

    zones[z].shpool = sp;

    assert_int_equal(ngx_limiter_local_init(&zones[z], &logger), NGX_OK);
}


static void
policy_change(ngx_limiter_policy_t *policy, ngx_uint_t z, ngx_uint_t flags)
{
    uint64_t     most;
    ngx_uint_t   i, first;
    const char  *err;

    policy->algorithm = zones[z].policy.algorithm;
    policy->burst = any(6);
    policy->nrates = 1 + any(3);
    zones[z].variable = 0;

    first = any(PERIODS);

    for (i = 0; i < policy->nrates; i++) {
        policy->rates[i].period = periods[z][(first + i) % PERIODS];
        policy->rates[i].limit = any(9);

        if (flags & LARGE) {
            most = policy->rates[i].period * 1000;

            if (policy->algorithm == NGX_LIMITER_SLIDING_WINDOW) {
                most = ngx_min(most, ((uint64_t) 1 << 52)
                                     / policy->rates[i].period - 1);
            }

            policy->rates[i].limit = most - any(3);
            policy->burst = any(NGX_LIMITER_MAX_COUNT / NGX_LIMITER_MAX_PERIOD
                                / 2);
        }

        if (policy->rates[i].limit == 0) {
            zones[z].variable = 1;
        }

        assert_int_equal(ngx_limiter_policy_check(policy->algorithm,
                                                  policy->burst,
                                                  &policy->rates[i], &err),
                         NGX_OK);
    }
}


/* when something ends, to the millisecond */

static uint64_t
time_mark(void)
{
    model_t  *m;

    m = &model[any(ZONES)][any(SUBJECTS)][any(PERIODS)];

    if (m->limit && any(2)) {
        return m->empty / m->limit + any(2);
    }

    return (m->window ? m->window : m->touched) + (1 + any(2)) * m->period;
}


static uint64_t
time_pass(uint64_t now, ngx_uint_t flags)
{
    uint64_t  scale, then;

    scale = (flags & LARGE) ? 1000000 : 1;

    switch (random() % 20) {
    case 0:
        return now + any(20000 * scale);
    case 1:
        return (flags & BACK) ? now - any(8000 * scale) : now;
    case 2:
    case 3:
        then = time_mark();
        return (then > now && then < now + 20000 * scale) ? then : now;
    default:
        return now + any(400 * scale);
    }
}


static void
item_fill(ngx_limiter_item_t *item, ngx_limiter_carry_t *carry,
    ngx_uint_t subject, uint64_t now, ngx_uint_t flags)
{
    model_t     *m;
    uint64_t     cost, scale, end;
    ngx_uint_t   i, what;

    scale = (flags & LARGE) ? item->policy->rates[0].limit / 6 + 1 : 1;

    if (item->policy->algorithm == NGX_LIMITER_GCRA) {
        scale = (flags & LARGE) ? item->policy->burst / 3 + 1 : 1;
    }

    cost = (random() % 4) ? scale : any(4 * scale);

    item->need = cost;
    item->take = cost;

    what = random() % 16;

    if ((flags & LARGE) && what > 1 && what < 5) {

        /* more may be booked than a counter holds */

        what = 0;
    }

    switch (what) {
    case 0:
        item->take = 0;
        item->need = 1;
        break;
    case 1:
        item->need = 1;
        item->take = 0;
        item->want = any(6 * scale);
        break;
    case 2:
        item->add = any(3 * scale);
        break;
    case 3:
        item->need = 0;
        item->take = 0;
        item->sub = any(5 * scale);
        break;
    case 4:
        item->add = any(3 * scale);
        item->sub = any(3 * scale);
        break;
    case 5:
        item->peek = 1;
        break;
    }

    item->soft = (random() % 5 == 0);

    if (!(flags & CARRY) || item->peek || random() % 4) {
        return;
    }

    scale = (item->policy->algorithm == NGX_LIMITER_GCRA)
            ? item->policy->rates[0].period : 1;

    for (i = 0; i < item->policy->nrates; i++) {
        m = model_find(model[item->zone - zones][subject],
                       item->policy->rates[i].period);
        end = m->window + m->period + any(2);

        carry[i].left = any(3) ? 1 + any(9000) : 0;

        if (any(3) == 0 && end > now + 1000) {

            /* at the border of what is taken for the same window */

            carry[i].left = end - now + (any(2) ? 1000 : -1000);
        }

        carry[i].used = any(5 * scale);
        carry[i].prev = any(5);
        carry[i].own = any(3) ? 0 : any(3 * scale);
        carry[i].own_prev = any(3) ? 0 : any(3);
        carry[i].back = any(3) ? 0 : any(3 * scale);
    }

    item->carry = carry;
}


static void
answers_equal(const char *who, ngx_limiter_item_t **items, ngx_uint_t n,
    ngx_uint_t counted, answer_t *answers, ngx_uint_t other_counted,
    answer_t *others)
{
    answer_t    *a, *b;
    ngx_uint_t   i, k, same;

    same = (counted == other_counted);

    for (i = 0; i < n; i++) {
        a = &answers[i];
        b = &others[i];

        same &= (a->room == b->room && a->granted == b->granted);

        for (k = 0; k < items[i]->policy->nrates; k++) {
            same &= (a->rooms[k] == b->rooms[k]);
        }
    }

    if (same) {
        return;
    }

    print_error("%s: counted %d, model: %d; %s\n", who, (int) other_counted,
                (int) counted, where);

    for (i = 0; i < n; i++) {
        a = &answers[i];
        b = &others[i];

        print_error("zone %d: room %d, model: %d; granted %llu, model: %llu\n",
                    (int) (items[i]->zone - zones), (int) b->room,
                    (int) a->room, (unsigned long long) b->granted,
                    (unsigned long long) a->granted);

        for (k = 0; k < items[i]->policy->nrates; k++) {
            print_error("rate %d: room %llu, model: %llu\n", (int) k,
                        (unsigned long long) b->rooms[k],
                        (unsigned long long) a->rooms[k]);
        }
    }

    fail();
}


static void
schedule_step(ngx_limiter_policy_t *policies, uint64_t now, ngx_uint_t flags)
{
    char                 text[16];
    answer_t             answers[ZONES], others[ZONES];
    ngx_str_t            raw;
    ngx_uint_t           n, z, subject, counted, other;
    ngx_limiter_item_t   all[ZONES], *items[ZONES];
    ngx_limiter_carry_t  carry[ZONES][NGX_LIMITER_MAX_RATES];

    subject = any(SUBJECTS);
    raw.data = (u_char *) text;
    raw.len = snprintf(text, sizeof(text), "s%lu", (unsigned long) subject);

    n = 0;

    for (z = any(ZONES); z < ZONES; z++) {

        if ((flags & RATES) && random() % 8 == 0) {
            policy_change(&policies[z], z, flags);
        }

        ngx_memzero(&all[n], sizeof(ngx_limiter_item_t));

        all[n].zone = &zones[z];
        all[n].policy = &policies[z];
        item_fill(&all[n], carry[n], subject, now, flags);

        assert_int_equal(ngx_limiter_subject_init(&all[n].subject, &raw, pool),
                         NGX_OK);
        items[n] = &all[n];

        if (redis) {
            redis_expire(items[n], subject, &special, now);
            redis_expire(items[n], subject, &general, now);
        }

        n++;
    }

    counted = model_ask(items, n, subject, now, answers);
    refusals += !counted;

    if (!(flags & CARRY)) {
        other = state_ask(items, n, subject, now, 0, others);
        answers_equal("C", items, n, counted, answers, other, others);
    }

    if (!(flags & (CARRY|BACK))) {
        other = state_ask(items, n, subject, now, 1, others);
        answers_equal("memory", items, n, counted, answers, other, others);
    }

    if (redis) {
        other = redis_ask(items, n, &special, now, others);
        answers_equal("script", items, n, counted, answers, other, others);

        other = redis_ask(items, n, &general, now, others);
        answers_equal("general script", items, n, counted, answers, other,
                      others);
    }
}


static void
schedule(ngx_uint_t algorithm, ngx_uint_t flags, unsigned int seed)
{
    uint64_t              now;
    ngx_uint_t            i, r, z;
    ngx_limiter_policy_t  policies[ZONES];

    srandom(seed);

    ngx_memzero(model, sizeof(model));
    ngx_memzero(states, sizeof(states));

    for (z = 0; z < ZONES; z++) {
        zone_create(z, algorithm, flags);
        policy_change(&policies[z], z, flags);

        for (r = 0; r < SUBJECTS; r++) {
            for (i = 0; i < PERIODS; i++) {
                model[z][r][i].period = periods[z][i];
            }
        }
    }

    if (redis) {
        freeReplyObject(redisCommand(redis, "FLUSHALL"));
    }

    now = 1700000000000ULL;

    for (r = 0; r < 400; r++) {
        now = time_pass(now, flags);

        snprintf(where, sizeof(where),
                 "algorithm %d, flags %d, seed %u, request %d, time %llu",
                 (int) algorithm, (int) flags, seed, (int) r,
                 (unsigned long long) now);

        schedule_step(policies, now, flags);

        if (r % 64 == 0) {
            ngx_reset_pool(pool);
        }
    }

    for (z = 0; z < ZONES; z++) {
        free(zones[z].shpool);
    }
}


static void
test_algorithm(void **state)
{
    ngx_uint_t  flags, algorithm;

    algorithm = (uintptr_t) *state;

    for (flags = 0; flags < 16; flags++) {
        if ((flags & LARGE) && (flags & CARRY)) {
            continue;
        }

        schedule(algorithm, flags, flags + 1);
        schedule(algorithm, flags, flags + 100);
    }

    /* all of it has been tried */

    assert_true(refusals > 1000);

    if (redis == NULL) {
        skip();
    }

    assert_true(singles > 1000 && declined > 100 && expiries > 100);

    singles = declined = refusals = expiries = 0;
}


int
main(void)
{
    static struct CMUnitTest  tests[] = {
        cmocka_unit_test_prestate(test_algorithm,
                                  (void *) NGX_LIMITER_FIXED_WINDOW),
        cmocka_unit_test_prestate(test_algorithm,
                                  (void *) NGX_LIMITER_SLIDING_WINDOW),
        cmocka_unit_test_prestate(test_algorithm, (void *) NGX_LIMITER_GCRA)
    };

    tests[0].name = "fixed_window";
    tests[1].name = "sliding_window";
    tests[2].name = "gcra";

    return cmocka_run_group_tests(tests, server_start, server_stop);
}
