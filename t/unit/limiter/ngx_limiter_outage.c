
/*
 * Copyright (C) The Optcache authors
 */


/*
 * Four hosts and one Redis, which is away now for some of them and now for
 * others, with questions under way: together they let in no more than the
 * limit, and when all have settled Redis counts each unit once.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <ngx_limiter_carry.h>
#include <ngx_limiter_mirror.h>


#define HOSTS    4
#define PENDING  32
#define RUNS     300
#define LIMIT    1000
#define PERIOD   3600000


/* a question that was not answered yet */

typedef struct {
    ngx_uint_t               host;
    ngx_uint_t               used;
    uint16_t                 era;
    ngx_limiter_item_t       item;
    ngx_limiter_carry_t      carry[NGX_LIMITER_MAX_RATES];
} question_t;


typedef struct {
    ngx_limiter_zone_t       zone;
    ngx_limiter_subject_t    subject;
    uint16_t                 era;
    ngx_atomic_t             life;
    ngx_uint_t               away;
    ngx_uint_t               settling;
} host_t;


static host_t                hosts[HOSTS];
static uint64_t              now, passed;
static ngx_log_t             logger;
static question_t            pending[PENDING];
static ngx_cycle_t           cycle;
static ngx_limiter_state_t   redis;
static ngx_limiter_policy_t  policy;


/* the clock of shared memory, in place of that of the system */

int
clock_gettime(clockid_t id, struct timespec *ts)
{
    ts->tv_sec = now / 1000;
    ts->tv_nsec = now % 1000 * 1000000;

    return 0;
}


static uint64_t
pick(uint64_t n)
{
    return (uint64_t) random() % n;
}


static void
host_create(host_t *host)
{
    void             *memory;
    ngx_slab_pool_t  *shpool;

    ngx_memzero(host, sizeof(host_t));

    assert_int_equal(posix_memalign(&memory, 4096, 16 * 4096), 0);
    ngx_memzero(memory, 16 * 4096);

    shpool = memory;
    shpool->end = (u_char *) memory + 16 * 4096;
    shpool->min_shift = 3;
    shpool->addr = memory;

    (void) ngx_shmtx_create(&shpool->mutex, &shpool->lock, NULL);
    ngx_slab_init(shpool);

    ngx_str_set(&host->zone.name, "zone");
    ngx_str_set(&host->subject.text, "subject");
    host->subject.key = host->subject.text;
    host->zone.policy = policy;
    host->zone.shpool = shpool;
    host->zone.life = &host->life;
    host->era = 1;

    assert_int_equal(ngx_limiter_local_init(&host->zone, &logger), NGX_OK);
}


static void
create(ngx_uint_t algorithm)
{
    ngx_uint_t  i;

    ngx_memzero(&policy, sizeof(policy));

    policy.algorithm = algorithm;
    policy.nrates = 1;
    policy.rates[0].period = PERIOD;
    policy.rates[0].limit = LIMIT;

    if (algorithm == NGX_LIMITER_GCRA) {
        policy.rates[0].limit = 1;
        policy.burst = LIMIT - 1;
    }

    for (i = 0; i < HOSTS; i++) {
        host_create(&hosts[i]);
    }

    ngx_memzero(pending, sizeof(pending));
    ngx_memzero(&redis, sizeof(redis));

    now = 1000000;
    passed = 0;
}


static void
destroy(void)
{
    ngx_uint_t  i;

    for (i = 0; i < HOSTS; i++) {
        free(hosts[i].zone.shpool);
    }
}


/* as the script does */

static void
redis_answer(ngx_limiter_item_t *item)
{
    uint64_t               room;
    ngx_limiter_state_t    opened;
    ngx_limiter_carry_t   *carry;
    ngx_limiter_record_t  *record;

    (void) ngx_limiter_state_open(&opened, &policy, &redis, now);

    record = &opened.records[0];
    carry = item->carry;

    if (carry) {
        record->used = ngx_max(record->used, carry->used) + carry->own;
        record->used -= ngx_min(record->used, carry->back);
    }

    room = ngx_limiter_state_room(&opened, &policy, now, NULL);

    item->verdict = (room >= item->need) ? NGX_LIMITER_PASSED
                                         : NGX_LIMITER_REJECTED;
    item->granted = 0;

    if (room >= item->need) {
        item->granted = ngx_max(item->take, ngx_min(item->want, room));
    }

    ngx_limiter_state_count(&opened, &policy, item->granted, NULL);

    item->told = now;
    item->state = opened;
    redis = opened;
}


static void
local(host_t *host, ngx_limiter_item_t *item)
{
    ngx_limiter_zone_t   *zone;
    ngx_limiter_entry_t   entry;

    zone = &host->zone;

    if (ngx_limiter_local_load(zone, &item->subject.key, &policy, &entry, now)
        != NGX_OK)
    {
        entry.era = host->era;
    }

    if (ngx_limiter_state_room(&entry.state, &policy, now, &item->share) > 0) {
        ngx_limiter_state_count(&entry.state, &policy, 1, &item->share);
        ngx_limiter_local_save(zone, &item->subject.key, &entry);
        passed++;
    }
}


static void
answer(question_t *question)
{
    host_t              *host;
    ngx_limiter_item_t  *item;

    host = &hosts[question->host];
    item = &question->item;
    question->used = 0;

    if (host->away) {
        ngx_limiter_carry_restore(item);
        local(host, item);
        return;
    }

    redis_answer(item);
    ngx_limiter_mirror_learn(item, question->era, now);

    if (item->verdict == NGX_LIMITER_PASSED) {
        passed++;
    }
}


static void
question_ask(question_t *question, ngx_uint_t h)
{
    host_t              *host;
    ngx_int_t            rc;
    ngx_limiter_look_t   look;
    ngx_limiter_item_t  *item;

    if (question->used) {
        answer(question);
    }

    host = &hosts[h];
    item = &question->item;

    ngx_memzero(item, sizeof(ngx_limiter_item_t));

    item->zone = &host->zone;
    item->policy = &policy;
    item->subject = host->subject;
    item->need = 1;
    item->take = 1;
    item->now = now;
    item->share.hosts = HOSTS;
    item->share.rank = h;
    item->settling = host->settling;

    look.era = host->era;
    rc = ngx_limiter_mirror_look(item, &look, question->carry);

    item->carry = look.carry ? question->carry : NULL;

    if (rc == NGX_AGAIN) {
        question->host = h;
        question->era = look.era;
        question->used = 1;
    }
}


static void
ask(ngx_uint_t n)
{
    ngx_uint_t  h;

    while (n--) {
        h = pick(HOSTS);
        question_ask(&pending[pick(PENDING)], h);
    }
}


/* all questions of one host, or of all */

static void
answer_all(ngx_uint_t h)
{
    ngx_uint_t  i;

    for (i = 0; i < PENDING; i++) {
        if (pending[i].used && (h == HOSTS || pending[i].host == h)) {
            answer(&pending[i]);
        }
    }
}


/* "times" Redis goes away, and is back for one host after the other */

static void
outage(ngx_uint_t times, ngx_uint_t empty)
{
    ngx_uint_t  i;

    while (times--) {

        for (i = 0; i < HOSTS; i++) {
            hosts[i].away = (times == 0 || empty || pick(2));
            hosts[i].settling = 1;
        }

        answer_all(HOSTS);

        if (empty) {
            ngx_memzero(&redis, sizeof(redis));
        }

        ask(pick(400));

        for (i = 0; i < HOSTS; i++) {
            answer_all(i);

            hosts[i].away = 0;
            hosts[i].era++;
            hosts[i].life += empty;

            if (pick(2)) {
                ask(pick(100));
            }
        }
    }
}


/* each tells all it has to tell, then none keeps to its share any more */

static void
settle(void)
{
    ngx_uint_t            i;
    ngx_limiter_item_t    item;
    ngx_limiter_entry_t   entry;
    ngx_limiter_carry_t   carry[NGX_LIMITER_MAX_RATES];

    answer_all(HOSTS);

    for (i = 0; i < 2 * HOSTS; i++) {

        ngx_memzero(&item, sizeof(item));

        item.zone = &hosts[i % HOSTS].zone;
        item.policy = &policy;
        item.subject = hosts[i % HOSTS].subject;
        item.now = now;
        item.share.hosts = HOSTS;
        item.settling = (i < HOSTS);

        if (ngx_limiter_local_load(item.zone, &item.subject.key, &policy,
                                   &entry, now)
            != NGX_OK)
        {
            continue;
        }

        ngx_limiter_carry_renew(item.zone, &entry, &policy, HOSTS, now);

        if (ngx_limiter_carry_take(&entry, &policy, carry,
                                   entry.era != hosts[i % HOSTS].era, HOSTS,
                                   item.settling, now))
        {
            item.carry = carry;
        }

        entry.era = hosts[i % HOSTS].era;

        ngx_limiter_local_save(item.zone, &item.subject.key, &entry);

        redis_answer(&item);
        ngx_limiter_mirror_learn(&item, hosts[i % HOSTS].era, now);

        hosts[i % HOSTS].settling = 0;
    }
}


static uint64_t
counted(void)
{
    ngx_limiter_state_t  opened;

    (void) ngx_limiter_state_open(&opened, &policy, &redis, now);

    return (policy.algorithm == NGX_LIMITER_GCRA)
           ? opened.records[0].used / PERIOD : opened.records[0].used;
}


static void
play(ngx_uint_t algorithm, ngx_uint_t times, ngx_uint_t empty)
{
    uint64_t    more, most, least;
    ngx_uint_t  i;

    create(algorithm);

    ask(pick(600));
    answer_all(HOSTS);

    /* each hears what is used, but for what follows here */

    for (i = 0; i < HOSTS; i++) {
        question_ask(&pending[0], i);
        answer_all(HOSTS);
    }

    outage(times, empty);

    /* who keeps to a share has all of it */

    if (times == 1 && pick(2)) {
        ask(4 * LIMIT);
        answer_all(HOSTS);

        assert_true(passed >= LIMIT - 2 * HOSTS);
    }

    settle();

    /*
     * An empty one may count some before it is told what it had counted, and
     * some twice, which others know to be used by then.
     */

    more = empty ? 4 * PENDING * times : 0;
    most = LIMIT + 2 * HOSTS + more;
    least = LIMIT - ngx_min(more, (uint64_t) PENDING);

    assert_true(passed <= most);

    if (!empty) {
        assert_int_equal(counted(), passed);
    }

    ask(2 * LIMIT);
    answer_all(HOSTS);

    assert_true(passed <= most);
    assert_true(passed >= least);

    destroy();
}


static void
test_once(void **state)
{
    ngx_uint_t  i, algorithm;

    for (algorithm = 1; algorithm <= 3; algorithm++) {
        for (i = 0; i < RUNS; i++) {
            play(algorithm, 1, 0);
        }
    }
}


static void
test_empty(void **state)
{
    ngx_uint_t  i, algorithm;

    for (algorithm = 1; algorithm <= 3; algorithm++) {
        for (i = 0; i < RUNS; i++) {
            play(algorithm, 1, 1);
        }
    }
}


/* Redis goes away again before all have settled */

static void
test_again(void **state)
{
    ngx_uint_t  i, algorithm;

    for (algorithm = 1; algorithm <= 3; algorithm++) {
        for (i = 0; i < RUNS; i++) {
            play(algorithm, 5, 0);
        }
    }
}


static void
test_empty_again(void **state)
{
    ngx_uint_t  i, algorithm;

    for (algorithm = 1; algorithm <= 3; algorithm++) {
        for (i = 0; i < RUNS; i++) {
            play(algorithm, 2 + pick(4), 1);
        }
    }
}


/*
 * An answer of a Redis that is empty comes before that to the question that
 * tells what was used, and Redis is empty once more.
 */

static void
test_overtaken(void **state)
{
    ngx_uint_t  i, algorithm;

    for (algorithm = 1; algorithm <= 3; algorithm++) {
        create(algorithm);

        ask(LIMIT / 2);
        answer_all(HOSTS);

        for (i = 0; i < HOSTS; i++) {
            question_ask(&pending[0], i);
            answer_all(HOSTS);
        }

        for (i = 0; i < HOSTS; i++) {
            ngx_memzero(&redis, sizeof(redis));

            hosts[i].settling = 1;
            hosts[i].era++;
            hosts[i].life++;

            question_ask(&pending[0], i);
            question_ask(&pending[1], i);

            assert_non_null(pending[0].item.carry);
            assert_null(pending[1].item.carry);

            answer(&pending[1]);
            answer(&pending[0]);
        }

        ngx_memzero(&redis, sizeof(redis));

        for (i = 0; i < HOSTS; i++) {
            hosts[i].era++;
            hosts[i].life++;
        }

        settle();

        assert_true(counted() >= passed - HOSTS);
        assert_true(counted() <= passed + 2 * HOSTS);

        destroy();
    }
}


/*
 * A question that was to tell of much is not answered; before that is known,
 * Redis was found to be empty, and another one tells the same.
 */

static void
late(ngx_uint_t algorithm, ngx_uint_t answered)
{
    ngx_uint_t  i;

    create(algorithm);

    for (i = 0; i < HOSTS; i++) {
        hosts[i].away = 1;
        hosts[i].settling = 1;
    }

    for (i = 0; i < 100; i++) {
        question_ask(&pending[0], 0);
        answer_all(HOSTS);
    }

    hosts[0].away = 0;
    hosts[0].era++;

    question_ask(&pending[0], 0);

    assert_non_null(pending[0].item.carry);

    ngx_memzero(&redis, sizeof(redis));

    hosts[0].era++;
    hosts[0].life++;

    question_ask(&pending[1], 0);

    assert_non_null(pending[1].item.carry);

    if (answered) {
        answer(&pending[1]);
    }

    hosts[0].away = 1;
    answer(&pending[0]);
    hosts[0].away = 0;

    settle();

    assert_int_equal(passed, 102);

    /* what was reserved for the one is told by the other */

    assert_true(counted() >= passed && counted() <= passed + 1);

    destroy();
}


static void
test_late(void **state)
{
    ngx_uint_t  algorithm;

    for (algorithm = 1; algorithm <= 3; algorithm++) {
        late(algorithm, 0);
        late(algorithm, 1);
    }
}


/* Redis was found to be empty while a question has a unit reserved */

static void
test_late_reserved(void **state)
{
    ngx_uint_t  i, algorithm, answered;

    for (i = 0; i < 6; i++) {
        algorithm = 1 + i / 2;
        answered = i % 2;

        create(algorithm);

        hosts[0].away = 1;
        hosts[0].settling = 1;

        question_ask(&pending[0], 0);
        answer_all(HOSTS);

        hosts[0].away = 0;
        hosts[0].era++;

        question_ask(&pending[0], 0);
        answer_all(HOSTS);

        /* all is told; these have units reserved, and are under way */

        question_ask(&pending[0], 0);
        question_ask(&pending[1], 0);

        assert_null(pending[1].item.carry);
        assert_true(pending[1].item.reserved);

        ngx_memzero(&redis, sizeof(redis));

        hosts[0].life++;

        answer(&pending[0]);

        hosts[0].away = !answered;
        answer(&pending[1]);

        hosts[0].away = 0;
        hosts[0].era++;

        settle();

        assert_int_equal(passed, 4);
        assert_int_equal(counted(), passed);

        destroy();
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_once),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_again),
        cmocka_unit_test(test_empty_again),
        cmocka_unit_test(test_overtaken),
        cmocka_unit_test(test_late),
        cmocka_unit_test(test_late_reserved)
    };

    cycle.log = &logger;
    ngx_cycle = &cycle;

    ngx_pagesize = 4096;
    ngx_pagesize_shift = 12;
    ngx_slab_sizes_init();

    srandom(1);

    return cmocka_run_group_tests(tests, NULL, NULL);
}
