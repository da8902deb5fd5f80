
/*
 * Copyright (C) The Optcache authors
 */


/*
 * Not a test: what t/ratelimit_redis_model.t runs.  Reads a schedule, a step
 * on a line, and tells of each what the limiter decides:
 *
 *     ngx_limiter_replay scripts       prints their texts
 *     ngx_limiter_replay steps
 *
 * A step, in numbers and, behind "=", the hex of what Redis replied:
 *
 *     NOW SUBJECT MEMORY ZONES { ZONE FLAGS BURST NEED TAKE WANT ADD SUB
 *     RATES { LIMIT PERIOD } [ { LEFT USED PREV OWN OWN_PREV BACK } ] }
 *     [= REPLY ..]
 *
 * NOW is in milliseconds; a zone's algorithm is 1 + ZONE % 3; FLAGS are 1
 * soft, 2 carry, 4 peek, 8 rates from variables.  Printed is a line of
 *
 *     C ANSWER  M ANSWER  R ANSWER  K SCRIPT { KEY ARGUMENT }
 *
 * the arithmetic, shared memory without Redis (if MEMORY), the reply (if there
 * is one), and what Redis is to be asked.  An ANSWER is "DECLINED", "ERROR",
 * or 1 (counted) or 0 and for each zone: had room, granted, room that is left.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <ngx_limiter_check.h>


#define ZONES     6
#define SUBJECTS  1024


static uint64_t               now;
static char                  *next;
static ngx_log_t              logger;
static ngx_pool_t            *pool;
static ngx_cycle_t            cycle;
static ngx_limiter_zone_t     zones[ZONES];
static ngx_limiter_item_t     items[NGX_LIMITER_MAX_ZONES];
static ngx_limiter_item_t    *list[NGX_LIMITER_MAX_ZONES];
static ngx_limiter_state_t    states[SUBJECTS][ZONES];
static ngx_limiter_policy_t   policies[NGX_LIMITER_MAX_ZONES];
static ngx_limiter_redis_t    redis;
static ngx_limiter_scripts_t  scripts;


/* the clock of shared memory, in place of that of the system */

int
clock_gettime(clockid_t id, struct timespec *ts)
{
    ts->tv_sec = now / 1000;
    ts->tv_nsec = now % 1000 * 1000000;

    return 0;
}


static uint64_t
number(void)
{
    return strtoull(next, &next, 10);
}


static void
hex(u_char *p, size_t len)
{
    while (len--) {
        printf("%02x", *p++);
    }
}


static void
zone_create(ngx_uint_t z)
{
    void             *memory;
    ngx_slab_pool_t  *shpool;

    if (posix_memalign(&memory, 4096, 64 * 4096) != 0) {
        exit(1);
    }

    ngx_memzero(memory, 64 * 4096);

    shpool = memory;
    shpool->end = (u_char *) memory + 64 * 4096;
    shpool->min_shift = 3;
    shpool->addr = memory;

    (void) ngx_shmtx_create(&shpool->mutex, &shpool->lock, NULL);
    ngx_slab_init(shpool);

    zones[z].name.data = ngx_pnalloc(pool, 8);
    zones[z].name.len = ngx_sprintf(zones[z].name.data, "z%ui", z)
                        - zones[z].name.data;
    zones[z].policy.algorithm = 1 + z % 3;
    zones[z].policy.nrates = NGX_LIMITER_MAX_RATES;
    zones[z].variable = 1;
    zones[z].shpool = shpool;

    if (ngx_limiter_local_init(&zones[z], &logger) != NGX_OK) {
        exit(1);
    }
}


static void
item_read(ngx_limiter_item_t *item, ngx_limiter_policy_t *policy,
    ngx_uint_t subject, ngx_pool_t *temp)
{
    u_char                buf[16];
    ngx_str_t             raw;
    ngx_uint_t            i, flags;
    ngx_limiter_carry_t  *carry;

    ngx_memzero(item, sizeof(ngx_limiter_item_t));
    ngx_memzero(policy, sizeof(ngx_limiter_policy_t));

    item->zone = &zones[number() % ZONES];
    item->policy = policy;

    flags = number();
    item->soft = flags & 1;
    item->peek = (flags & 4) ? 1 : 0;
    item->zone->variable = (flags & 8) ? 1 : 0;

    policy->algorithm = item->zone->policy.algorithm;
    policy->burst = number();
    item->need = number();
    item->take = number();
    item->want = number();
    item->add = number();
    item->sub = number();
    policy->nrates = number() % (NGX_LIMITER_MAX_RATES + 1);

    for (i = 0; i < policy->nrates; i++) {
        policy->rates[i].limit = number();
        policy->rates[i].period = number();
    }

    if (flags & 2) {
        carry = ngx_palloc(temp, sizeof(ngx_limiter_carry_t) * policy->nrates);
        item->carry = carry;

        for (i = 0; i < policy->nrates; i++) {
            carry[i].left = number();
            carry[i].used = number();
            carry[i].prev = number();
            carry[i].own = number();
            carry[i].own_prev = number();
            carry[i].back = number();
        }
    }

    raw.data = buf;
    raw.len = ngx_sprintf(buf, "s%ui", subject) - buf;

    raw.data = ngx_pstrdup(temp, &raw);

    if (ngx_limiter_subject_init(&item->subject, &raw, temp) != NGX_OK) {
        exit(1);
    }
}


static void
answer(ngx_uint_t n)
{
    ngx_uint_t  i;

    for (i = 0; i < n; i++) {
        printf(" %d %llu %llu", items[i].verdict == NGX_LIMITER_PASSED,
               (unsigned long long) items[i].granted,
               (unsigned long long)
                   ngx_limiter_state_room(&items[i].state, items[i].policy,
                                          now, NULL));
    }
}


/* the arithmetic alone: either all count, or none does */

static void
step_state(ngx_uint_t n, ngx_uint_t subject)
{
    uint64_t             room;
    ngx_uint_t           i, z, counted, write;
    ngx_limiter_item_t  *item;

    counted = 1;

    for (i = 0; i < n; i++) {
        item = &items[i];
        z = item->zone - zones;

        write = ngx_limiter_state_open(&item->state, item->policy,
                                       &states[subject][z], now);

        ngx_limiter_state_count(&item->state, item->policy, item->add, NULL);
        ngx_limiter_state_uncount(&item->state, item->policy, item->sub);

        room = ngx_limiter_state_room(&item->state, item->policy, now, NULL);

        item->verdict = (room >= item->need) ? NGX_LIMITER_PASSED
                                             : NGX_LIMITER_REJECTED;
        item->granted = ngx_max(item->take, ngx_min(item->want, room));

        if ((write || item->add || item->sub) && !item->peek) {
            states[subject][z] = item->state;
        }

        if (item->verdict == NGX_LIMITER_REJECTED && !item->soft) {
            counted = 0;
        }
    }

    for (i = 0; i < n; i++) {
        item = &items[i];
        z = item->zone - zones;

        if (!counted || item->verdict != NGX_LIMITER_PASSED || item->peek) {
            item->granted = 0;
        }

        if (item->granted) {
            ngx_limiter_state_count(&item->state, item->policy, item->granted,
                                    NULL);
            states[subject][z] = item->state;
        }
    }

    printf("C %d", (int) counted);
    answer(n);
}


/* what a host without Redis does */

static void
step_memory(ngx_uint_t n, ngx_pool_t *temp)
{
    ngx_uint_t           i;
    ngx_limiter_item_t  *item;
    ngx_limiter_check_t  check;

    for (i = 0; i < n; i++) {
        item = &items[i];

        if (!item->peek) {
            item->now = ngx_limiter_local_now();
            ngx_limiter_check_book(&redis, item, item->add, item->sub);
        }

        item->granted = 0;
    }

    ngx_memzero(&check, sizeof(check));
    check.items = items;
    check.nitems = n;
    check.redis = &redis;
    check.pool = temp;
    check.log = &logger;

    if (ngx_limiter_check_start(&check) != NGX_OK) {
        exit(1);
    }

    for (i = 0; i < n; i++) {
        item = &items[i];

        if (check.result == NGX_LIMITER_CHECK_PASSED
            && item->verdict == NGX_LIMITER_PASSED
            && !item->peek)
        {
            item->granted = item->take;
        }
    }

    printf(" M %d", check.result == NGX_LIMITER_CHECK_PASSED);
    answer(n);
}


/* "0", or the hex of a string, for each reply until one is an answer */

static void
step_reply(ngx_uint_t n, char *p, ngx_pool_t *temp)
{
    ngx_int_t    rc;
    redisReply   reply;

    rc = NGX_DECLINED;

    while (rc == NGX_DECLINED && *p == ' ') {
        p++;

        ngx_memzero(&reply, sizeof(reply));

        if (p[0] == '0' && (p[1] == ' ' || p[1] == LF)) {
            reply.type = REDIS_REPLY_INTEGER;
            p++;

        } else {
            reply.type = REDIS_REPLY_STRING;
            reply.str = ngx_palloc(temp, ngx_strlen(p) / 2 + 1);

            for ( /* void */ ; *p != ' ' && *p != LF && *p; p += 2) {
                reply.str[reply.len++] = (char) ngx_hextoi((u_char *) p, 2);
            }
        }

        rc = ngx_limiter_script_reply(&reply, list, n, now);

        printf(" R %s", (rc == NGX_OK) ? "1"
                        : (rc == NGX_BUSY) ? "0"
                        : (rc == NGX_DECLINED) ? "DECLINED" : "ERROR");
    }

    if (rc == NGX_OK || rc == NGX_BUSY) {
        answer(n);
    }
}


static void
step_args(ngx_uint_t n, ngx_pool_t *temp)
{
    ngx_str_t              prefix, argv[NGX_LIMITER_SCRIPT_ARGS];
    ngx_uint_t             i;
    ngx_limiter_script_t  *script;

    ngx_str_set(&prefix, "rl:");

    for (i = 0; i < n; i++) {
        items[i].since = items[i].now;
    }

    script = ngx_limiter_script_choose(&scripts, list, n);

    if (ngx_limiter_script_args(script, list, n, &prefix, 0, argv, temp) == 0)
    {
        exit(1);
    }

    printf(" K %.*s", NGX_LIMITER_SCRIPT_SHA1, (char *) script->hex);

    for (i = 0; i < n; i++) {
        putchar(' ');
        hex(argv[3 + i].data, argv[3 + i].len);
        putchar(' ');
        hex(argv[3 + n + i].data, argv[3 + n + i].len);
    }
}


static void
step(char *line)
{
    char        *reply;
    ngx_uint_t   i, n, subject, memory;
    ngx_pool_t  *temp;

    temp = ngx_create_pool(4096, &logger);

    if (temp == NULL) {
        exit(1);
    }

    next = line;
    now = number();
    subject = number() % SUBJECTS;
    memory = number();
    n = number() % (NGX_LIMITER_MAX_ZONES + 1);

    for (i = 0; i < n; i++) {
        item_read(&items[i], &policies[i], subject, temp);
        list[i] = &items[i];
    }

    reply = strchr(next, '=');

    step_state(n, subject);

    if (memory) {
        step_memory(n, temp);
    }

    step_args(n, temp);

    if (reply) {
        step_reply(n, reply + 1, temp);
    }

    putchar(LF);

    ngx_destroy_pool(temp);
}


static void
texts(void)
{
    ngx_uint_t             i;
    ngx_limiter_script_t  *script;

    for (i = 0; i <= 3 * NGX_LIMITER_MAX_RATES; i++) {
        script = (i == 0) ? &scripts.general
                          : &scripts.single[(i - 1) / NGX_LIMITER_MAX_RATES]
                                           [(i - 1) % NGX_LIMITER_MAX_RATES];

        printf("%.*s ", NGX_LIMITER_SCRIPT_SHA1, (char *) script->hex);
        hex(script->text.data, script->text.len);
        putchar(LF);
    }
}


int
main(int argc, char **argv)
{
    ngx_uint_t   z;
    static char  line[65536];

    if (argc != 2) {
        puts("1..0 # SKIP t/ratelimit_redis_model.t runs it");
        return 0;
    }

    /* the slab logs to it */

    cycle.log = &logger;
    ngx_cycle = &cycle;

    ngx_pagesize = 4096;
    ngx_pagesize_shift = 12;
    ngx_slab_sizes_init();

    pool = ngx_create_pool(4096, &logger);

    if (pool == NULL || ngx_limiter_scripts_init(&scripts, pool) != NGX_OK) {
        return 1;
    }

    if (strcmp(argv[1], "scripts") == 0) {
        texts();

    } else {

        for (z = 0; z < ZONES; z++) {
            zone_create(z);
        }

        while (fgets(line, sizeof(line), stdin)) {
            step(line);
        }
    }

    for (z = 0; z < ZONES; z++) {
        free(zones[z].shpool);
    }

    ngx_destroy_pool(pool);

    return 0;
}
