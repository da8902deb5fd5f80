
/*
 * Copyright (C) The Optcache authors
 */


/*
 * The same schedules of requests through a model that is written down here,
 * through the arithmetic in C, through the shared memory, and through the
 * script in a real Redis: all agree on every decision and every number.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <signal.h>
#include <sys/wait.h>

#include <ngx_limiter_script.h>


#define ZONES     3
#define SUBJECTS  4


typedef struct {
    uint64_t  period;
    uint64_t  start;
    uint64_t  used;
} model_t;


static char                   directory[] = "/tmp/optcache-unit-XXXXXX";
static ngx_log_t              logger;
static ngx_cycle_t            cycle;
static pid_t                  server;
static redisContext          *redis;
static ngx_pool_t            *pool;
static ngx_str_t              prefix = ngx_string("rl:");
static ngx_limiter_script_t   script;
static ngx_limiter_script_t   timed;      /* takes the time from ARGV */
static ngx_limiter_zone_t     zones[ZONES];
static model_t                model[ZONES][SUBJECTS][NGX_LIMITER_MAX_RATES];


static int
start(void **state)
{
    char        path[128];
    ngx_int_t   i;

    /* the slab logs to it */

    cycle.log = &logger;
    ngx_cycle = &cycle;

    ngx_pagesize = 4096;
    ngx_pagesize_shift = 12;
    ngx_slab_sizes_init();

    pool = ngx_create_pool(4096, &logger);

    ngx_limiter_script_init(&script);

    if (mkdtemp(directory) == NULL) {
        return -1;
    }

    snprintf(path, sizeof(path), "%s/redis.sock", directory);

    server = fork();

    if (server == 0) {
        if (freopen("/dev/null", "w", stdout) == NULL) {
            _exit(1);
        }

        execlp("redis-server", "redis-server", "--port", "0",
               "--unixsocket", path, "--save", "", "--dir", directory,
               (char *) NULL);
        _exit(1);
    }

    for (i = 0; i < 1000; i++) {
        redis = redisConnectUnix(path);

        if (redis && redis->err == 0) {
            return 0;
        }

        if (redis) {
            redisFree(redis);
            redis = NULL;
        }

        if (waitpid(server, NULL, WNOHANG) == server) {
            server = 0;
            return 0;
        }

        ngx_msleep(10);
    }

    return -1;
}


static int
finish(void **state)
{
    char  path[128];

    if (redis) {
        redisFree(redis);
    }

    if (server) {
        kill(server, SIGKILL);
        (void) waitpid(server, NULL, 0);
    }

    snprintf(path, sizeof(path), "%s/redis.sock", directory);
    (void) unlink(path);
    (void) rmdir(directory);

    free(timed.text.data);
    ngx_destroy_pool(pool);

    return 0;
}


/* the text between these two is replaced, once */

static char *
replace(char *text, const char *what, const char *with)
{
    char    *p, *out;
    size_t   len;

    p = strstr(text, what);
    assert_non_null(p);
    assert_null(strstr(p + 1, what));

    len = strlen(text) + strlen(with) + 1;
    out = malloc(len);
    assert_non_null(out);

    snprintf(out, len, "%.*s%s%s", (int) (p - text), text, with,
             p + strlen(what));
    free(text);

    return out;
}


/*
 * Time is given, and keys outlive it, since the time of Redis that they
 * expire by is another.
 */

static void
timed_init(void)
{
    char  *text;

    text = malloc(script.text.len + 1);
    assert_non_null(text);

    ngx_memcpy(text, script.text.data, script.text.len);
    text[script.text.len] = '\0';

    text = replace(text, "redis.call('TIME')",
                   "{ARGV[#ARGV - 1], ARGV[#ARGV]}");
    text = replace(text, "'PX', zone.ttl", "'PX', zone.ttl + 1000000");

    timed.text.data = (u_char *) text;
    timed.text.len = strlen(text);
}


static redisReply *
call(ngx_limiter_script_t *s, ngx_limiter_item_t **items, ngx_uint_t n,
    uint64_t now)
{
    char         sec[32], usec[32];
    size_t       len[NGX_LIMITER_SCRIPT_ARGS + 2];
    ngx_str_t    argv[NGX_LIMITER_SCRIPT_ARGS];
    ngx_uint_t   i, argc;
    redisReply  *reply;
    const char  *args[NGX_LIMITER_SCRIPT_ARGS + 2];

    argc = ngx_limiter_script_args(s, items, n, &prefix, 1, argv, pool);
    assert_true(argc > 0 && argc <= NGX_LIMITER_SCRIPT_ARGS);

    for (i = 0; i < argc; i++) {
        args[i] = (char *) argv[i].data;
        len[i] = argv[i].len;
    }

    if (s == &timed) {
        snprintf(sec, sizeof(sec), "%lu", (unsigned long) (now / 1000));
        snprintf(usec, sizeof(usec), "%lu",
                 (unsigned long) (now % 1000 * 1000 + random() % 1000));

        args[argc] = sec;
        len[argc++] = strlen(sec);
        args[argc] = usec;
        len[argc++] = strlen(usec);
    }

    reply = redisCommandArgv(redis, argc, args, len);
    assert_non_null(reply);

    return reply;
}


static void
zone_create(ngx_uint_t z)
{
    void             *memory;
    u_char           *p;
    ngx_uint_t        i;
    ngx_slab_pool_t  *sp;

    ngx_memzero(&zones[z], sizeof(ngx_limiter_zone_t));

    zones[z].name.data = ngx_pnalloc(pool, 8);
    zones[z].name.len = ngx_sprintf(zones[z].name.data, "z%ui", z)
                        - zones[z].name.data;

    zones[z].nrates = 1 + random() % (z == 0 ? 1 : 4);

    for (i = 0; i < zones[z].nrates; i++) {
        zones[z].rates[i].limit = 1 + random() % 6 + i * 3;
        zones[z].rates[i].period = 1000 * (1 + random() % 4 + i * 4);

        p = ngx_pnalloc(pool, NGX_INT64_LEN * 2);

        zones[z].args[i * 2].data = p;
        zones[z].args[i * 2].len =
                          ngx_sprintf(p, "%uL", zones[z].rates[i].limit) - p;

        p += NGX_INT64_LEN;

        zones[z].args[i * 2 + 1].data = p;
        zones[z].args[i * 2 + 1].len =
                         ngx_sprintf(p, "%uL", zones[z].rates[i].period) - p;
    }

    if (zones[z].shpool == NULL) {
        assert_int_equal(posix_memalign(&memory, 4096, 8 * 4096), 0);
        ngx_memzero(memory, 8 * 4096);

        sp = memory;
        sp->end = (u_char *) memory + 8 * 4096;
        sp->min_shift = 3;
        sp->addr = memory;

        assert_int_equal(ngx_shmtx_create(&sp->mutex, &sp->lock, NULL),
                         NGX_OK);
        ngx_slab_init(sp);

        zones[z].shpool = sp;
    }

    assert_int_equal(ngx_limiter_local_init(&zones[z], &logger), NGX_OK);
}


/* the model: windows by their start, as one would write it on paper */

static void
model_window(model_t *m, ngx_limiter_rate_t *rate, uint64_t now)
{
    if (m->period != rate->period || now >= m->start + m->period) {
        m->period = rate->period;
        m->start = now;
        m->used = 0;
    }

    if (m->start > now) {
        m->start = now;
    }
}


static ngx_uint_t
model_ask(ngx_limiter_item_t **items, ngx_uint_t n, ngx_uint_t subject,
    uint64_t now, model_t copy[][NGX_LIMITER_MAX_RATES], ngx_uint_t *room)
{
    ngx_uint_t           i, k, counted;
    ngx_limiter_zone_t  *zone;

    counted = 1;

    for (i = 0; i < n; i++) {
        zone = items[i]->zone;
        room[i] = 1;

        ngx_memcpy(copy[i], model[zone - zones][subject], sizeof(copy[i]));

        for (k = 0; k < zone->nrates; k++) {
            model_window(&copy[i][k], &zone->rates[k], now);

            if (copy[i][k].used + items[i]->cost > zone->rates[k].limit) {
                room[i] = 0;
            }
        }

        if (!room[i] && !items[i]->soft) {
            counted = 0;
        }
    }

    for (i = 0; counted && i < n; i++) {
        zone = items[i]->zone;

        for (k = 0; room[i] && k < zone->nrates; k++) {
            copy[i][k].used += items[i]->cost;
        }

        if (room[i]) {
            ngx_memcpy(model[zone - zones][subject], copy[i], sizeof(copy[i]));
        }
    }

    return counted;
}


static ngx_uint_t
local_ask(ngx_limiter_item_t **items, ngx_uint_t n, uint64_t now,
    ngx_limiter_window_t w[][NGX_LIMITER_MAX_RATES])
{
    ngx_int_t            rc[ZONES];
    ngx_uint_t           i, counted;
    ngx_limiter_zone_t  *zone;

    counted = 1;

    for (i = 0; i < n; i++) {
        zone = items[i]->zone;

        ngx_limiter_local_look(zone, &items[i]->subject.key, w[i], now);

        rc[i] = ngx_limiter_window_check(w[i], zone->rates, zone->nrates,
                                         items[i]->cost);

        if (rc[i] != NGX_OK && !items[i]->soft) {
            counted = 0;
        }
    }

    for (i = 0; counted && i < n; i++) {
        if (rc[i] == NGX_OK) {
            zone = items[i]->zone;

            ngx_limiter_window_count(w[i], zone->nrates, items[i]->cost);
            ngx_limiter_local_learn(zone, &items[i]->subject.key, w[i]);
        }
    }

    return counted;
}


static void
schedule(ngx_uint_t requests)
{
    char                   key[16];
    uint64_t               now;
    model_t                copy[ZONES][NGX_LIMITER_MAX_RATES];
    ngx_str_t              raw;
    ngx_uint_t             i, k, n, r, subject, counted, room[ZONES];
    redisReply            *reply;
    ngx_limiter_item_t     all[ZONES], *items[ZONES];
    ngx_limiter_window_t   w[ZONES][NGX_LIMITER_MAX_RATES];

    now = 1700000000000ULL;

    for (r = 0; r < requests; r++) {

        switch (random() % 20) {
        case 0:
            now += 1000 * (random() % 20);
            break;
        case 1:
            now -= random() % 8000;
            break;
        default:
            now += random() % 400;
        }

        subject = random() % SUBJECTS;
        raw.data = (u_char *) key;
        raw.len = snprintf(key, sizeof(key), "s%lu", (unsigned long) subject);

        n = 0;

        for (i = 0; i < ZONES; i++) {
            if (random() % 2 && !(n == 0 && i == ZONES - 1)) {
                continue;
            }

            ngx_memzero(&all[i], sizeof(ngx_limiter_item_t));
            all[i].zone = &zones[i];
            all[i].cost = (random() % 5) ? 1 : random() % 3;
            all[i].soft = (random() % 4 == 0);
            assert_int_equal(ngx_limiter_subject_init(&all[i].subject, &raw,
                                                      pool), NGX_OK);
            items[n++] = &all[i];
        }

        counted = model_ask(items, n, subject, now, copy, room);

        assert_int_equal(local_ask(items, n, now, w), counted);

        reply = call(&timed, items, n, now);

        assert_int_equal(ngx_limiter_script_reply(reply, items, n, now),
                         counted ? NGX_OK : NGX_BUSY);
        freeReplyObject(reply);

        for (i = 0; i < n; i++) {

            assert_int_equal(items[i]->verdict,
                             room[i] ? NGX_LIMITER_PASSED
                                     : NGX_LIMITER_REJECTED);

            for (k = 0; k < items[i]->zone->nrates; k++) {
                assert_int_equal(items[i]->windows[k].used, copy[i][k].used);
                assert_int_equal(w[i][k].used, copy[i][k].used);
                assert_true(items[i]->windows[k].end
                            == copy[i][k].start + copy[i][k].period);
                assert_true(w[i][k].end == items[i]->windows[k].end);
            }
        }
    }
}


static void
test_agree(void **state)
{
    ngx_uint_t  i, z;

    if (redis == NULL) {
        skip();
    }

    timed_init();
    srandom(7);

    for (i = 0; i < 20; i++) {

        for (z = 0; z < ZONES; z++) {
            zone_create(z);
        }

        ngx_memzero(model, sizeof(model));
        freeReplyObject(redisCommand(redis, "FLUSHALL"));

        schedule(400);

        for (z = 0; z < ZONES; z++) {
            free(zones[z].shpool);
            zones[z].shpool = NULL;
        }

        ngx_reset_pool(pool);
    }
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


/* the real text: its clock, its expiry, and the bytes it writes */

static void
test_real(void **state)
{
    ngx_str_t            raw;
    redisReply          *reply, *time;
    const u_char        *v;
    uint64_t             now, end;
    ngx_limiter_item_t   item, *items[1];
    ngx_limiter_window_t w[NGX_LIMITER_MAX_RATES];

    if (redis == NULL) {
        skip();
    }

    ngx_str_set(&raw, "real");

    zone_create(0);
    zones[0].nrates = 1;
    zones[0].rates[0].limit = 2678400000000ULL;
    zones[0].rates[0].period = 2678400000ULL;
    ngx_str_set(&zones[0].args[0], "2678400000000");
    ngx_str_set(&zones[0].args[1], "2678400000");

    ngx_memzero(&item, sizeof(item));
    item.zone = &zones[0];
    item.cost = 2678399999999ULL;
    items[0] = &item;
    assert_int_equal(ngx_limiter_subject_init(&item.subject, &raw, pool),
                     NGX_OK);

    reply = call(&script, items, 1, 0);
    assert_int_equal(ngx_limiter_script_reply(reply, items, 1, 0), NGX_OK);
    freeReplyObject(reply);

    assert_true(item.windows[0].used == 2678399999999ULL);
    assert_true(item.windows[0].end == 2678400000ULL);

    reply = redisCommand(redis, "PTTL rl:z0:real");
    assert_true(reply->integer > 2678390000LL
                && reply->integer <= 2678400000LL);
    freeReplyObject(reply);

    time = redisCommand(redis, "TIME");
    now = strtoull(time->element[0]->str, NULL, 10) * 1000;
    freeReplyObject(time);

    reply = redisCommand(redis, "GET rl:z0:real");
    v = (u_char *) reply->str;
    assert_int_equal(reply->len, 17);
    assert_int_equal(v[0], 1);
    assert_true(big_endian(v + 1, 4) == 2678400000ULL);

    end = big_endian(v + 5, 6);
    assert_true(end > now + 2678390000ULL && end < now + 2678410000ULL);
    freeReplyObject(reply);

    /* to the last unit */

    item.cost = 1;
    reply = call(&script, items, 1, 0);
    assert_int_equal(ngx_limiter_script_reply(reply, items, 1, 0), NGX_OK);
    freeReplyObject(reply);

    reply = call(&script, items, 1, 0);
    assert_int_equal(ngx_limiter_script_reply(reply, items, 1, 0), NGX_BUSY);
    freeReplyObject(reply);

    assert_true(item.windows[0].used == 2678400000000ULL);

    /* shared memory holds as much */

    ngx_limiter_local_learn(&zones[0], &item.subject.key, item.windows);
    ngx_limiter_local_look(&zones[0], &item.subject.key, w, 1);

    assert_true(w[0].used == 2678400000000ULL);
    assert_true(w[0].end == item.windows[0].end);

    /* the name under which Redis knows it */

    reply = redisCommand(redis, "EVALSHA %b 0", script.sha1.data,
                         script.sha1.len);
    assert_int_equal(reply->type, REDIS_REPLY_ARRAY);
    freeReplyObject(reply);

    free(zones[0].shpool);
    zones[0].shpool = NULL;
}


static void
test_reply(void **state)
{
    ngx_uint_t           i;
    redisReply           reply, e[4], *element[4];
    ngx_limiter_item_t   item, *items[1];
    ngx_limiter_zone_t   zone;

    ngx_memzero(&zone, sizeof(zone));
    zone.nrates = 1;
    zone.rates[0].limit = 5;
    zone.rates[0].period = 1000;

    ngx_memzero(&item, sizeof(item));
    item.zone = &zone;
    items[0] = &item;

    ngx_memzero(&reply, sizeof(reply));
    ngx_memzero(e, sizeof(e));

    reply.type = REDIS_REPLY_ARRAY;
    reply.elements = 4;
    reply.element = element;

    for (i = 0; i < 4; i++) {
        element[i] = &e[i];
        e[i].type = REDIS_REPLY_INTEGER;
        e[i].integer = 1;
    }

    assert_int_equal(ngx_limiter_script_reply(&reply, items, 1, 7), NGX_OK);
    assert_int_equal(item.windows[0].end, 8);

    /* no window is longer than its period */

    e[3].integer = 1LL << 40;
    assert_int_equal(ngx_limiter_script_reply(&reply, items, 1, 7), NGX_OK);
    assert_int_equal(item.windows[0].end, 1007);

    e[3].integer = 1LL << 47;
    assert_int_equal(ngx_limiter_script_reply(&reply, items, 1, 7), NGX_ERROR);
    e[3].integer = 1;

    for (i = 0; i < 4; i++) {
        e[i].integer = -1;
        assert_int_equal(ngx_limiter_script_reply(&reply, items, 1, 7),
                         NGX_ERROR);
        e[i].integer = 1;

        e[i].type = REDIS_REPLY_STRING;
        assert_int_equal(ngx_limiter_script_reply(&reply, items, 1, 7),
                         NGX_ERROR);
        e[i].type = REDIS_REPLY_INTEGER;
    }

    /* what contradicts itself */

    e[0].integer = 0;
    assert_int_equal(ngx_limiter_script_reply(&reply, items, 1, 7), NGX_ERROR);
    e[1].integer = 0;
    assert_int_equal(ngx_limiter_script_reply(&reply, items, 1, 7), NGX_BUSY);
    e[0].integer = 1;
    assert_int_equal(ngx_limiter_script_reply(&reply, items, 1, 7), NGX_ERROR);
    item.soft = 1;
    assert_int_equal(ngx_limiter_script_reply(&reply, items, 1, 7), NGX_OK);

    for (i = 0; i < 4; i++) {
        reply.elements = i;
        assert_int_equal(ngx_limiter_script_reply(&reply, items, 1, 7),
                         NGX_ERROR);
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_reply),
        cmocka_unit_test(test_agree),
        cmocka_unit_test(test_real)
    };

    return cmocka_run_group_tests(tests, start, finish);
}
