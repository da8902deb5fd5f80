
/*
 * Copyright (C) The Optcache authors
 */


/*
 * The table of locks: who leads, who is woken, what is remembered, and what
 * is left when a worker is killed.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <ngx_optcache_l1.h>
#include <ngx_optcache_l1_shm.h>
#include <ngx_optcache_lock.h>

#include "l1_zone.h"


#define KEYS   16
#define KILLS  300


/* in shared memory: the locks that the one that is killed had */

typedef struct {
    volatile ngx_uint_t  running;
    volatile ngx_uint_t  steps;
} diary_t;


static ngx_int_t take(zone_t *z, ngx_optcache_lock_t *lock, ngx_uint_t key,
    ngx_int_t number, uint64_t now);
static ngx_int_t watch(zone_t *z, ngx_optcache_lock_t *lock, ngx_uint_t key,
    ngx_int_t number);
static void lock_init(zone_t *z, ngx_optcache_lock_t *lock, ngx_uint_t key);
static ngx_uint_t release(zone_t *z, ngx_optcache_lock_t *lock,
    ngx_optcache_lock_outcome_e outcome, uint64_t now);
static pid_t holder(zone_t *z, ngx_uint_t first, ngx_uint_t last);
static pid_t worker(zone_t *z, diary_t *diary, unsigned seed);
static void next_worker(zone_t *z);
static void worker_killed(pid_t pid);


/* a map as a number: of one worker + 1, or 0; 1000: of several */

static ngx_uint_t
map_one(ngx_optcache_lock_map_t map)
{
    ngx_uint_t  i, n;

    n = 0;

    for (i = 0; i < NGX_OPTCACHE_LOCK_MAP * 64; i++) {
        if (map[i / 64] >> i % 64 & 1) {
            n = n ? 1000 : i + 1;
        }
    }

    return n;
}


static void
test_turns(void **state)
{
    zone_t               *z = *state;
    ngx_optcache_lock_t   a, b, c;

    assert_int_equal(take(z, &a, 1, 0, 1), NGX_OK);
    assert_int_equal(take(z, &b, 1, 3, 1), NGX_AGAIN);
    assert_int_equal(take(z, &c, 2, 3, 1), NGX_OK);
    assert_true(ngx_optcache_lock_taken(&b));

    /* one who waits is woken, and nobody else */

    assert_int_equal(release(z, &c, NGX_OPTCACHE_LOCK_STORED, 1), 0);
    assert_true(ngx_optcache_lock_taken(&b));
    assert_int_equal(release(z, &a, NGX_OPTCACHE_LOCK_STORED, 1), 4);
    assert_false(ngx_optcache_lock_taken(&b));

    /* what was for others is not for who comes after */

    assert_int_equal(take(z, &b, 1, 3, 1), NGX_OK);
    assert_int_equal(release(z, &b, NGX_OPTCACHE_LOCK_FAILED, 1), 0);

    /* the highest number there is, and none */

    assert_int_equal(take(z, &a, 1, 0, 1), NGX_OK);
    assert_int_equal(take(z, &b, 1, 255, 1), NGX_AGAIN);
    assert_int_equal(take(z, &b, 1, -1, 1), NGX_AGAIN);
    assert_int_equal(take(z, &b, 1, 256, 1), NGX_AGAIN);
    assert_int_equal(release(z, &a, NGX_OPTCACHE_LOCK_FAILED, 1), 256);
}


/* who does not lead any more, ends nothing */

static void
test_late(void **state)
{
    zone_t               *z = *state;
    ngx_optcache_lock_t   a, b, c;

    assert_int_equal(take(z, &a, 1, 0, 1), NGX_OK);
    assert_int_equal(take(z, &c, 1, 2, 1), NGX_AGAIN);

    /* who went upstream alone has stored it: all who wait may know */

    lock_init(z, &b, 1);
    assert_int_equal(release(z, &b, NGX_OPTCACHE_LOCK_FAILED, 1), 0);
    assert_true(ngx_optcache_lock_taken(&c));
    assert_int_equal(release(z, &b, NGX_OPTCACHE_LOCK_STORED, 1), 3);
    assert_false(ngx_optcache_lock_taken(&c));

    assert_int_equal(take(z, &b, 1, 0, 1), NGX_OK);
    assert_int_equal(take(z, &c, 1, 2, 1), NGX_AGAIN);
    assert_int_equal(release(z, &a, NGX_OPTCACHE_LOCK_FAILED, 1), 0);
    assert_true(ngx_optcache_lock_taken(&c));
    assert_int_equal(release(z, &b, NGX_OPTCACHE_LOCK_FAILED, 1), 3);
    assert_int_equal(release(z, &b, NGX_OPTCACHE_LOCK_FAILED, 1), 0);
}


/* who takes the place of one that has failed is waited for in its place */

static void
test_followed(void **state)
{
    ngx_uint_t            i;
    zone_t               *z = *state;
    ngx_optcache_lock_t   a, b, c;

    assert_int_equal(take(z, &a, 1, 0, 1), NGX_OK);
    assert_int_equal(take(z, &b, 1, 3, 1), NGX_AGAIN);
    assert_false(ngx_optcache_lock_followed(&b));

    /* one after the other, and whoever waits is known to each of them */

    for (i = 0; i < 5; i++) {
        assert_int_equal(release(z, &a, NGX_OPTCACHE_LOCK_FAILED, 1), 4);
        assert_false(ngx_optcache_lock_followed(&b));

        assert_int_equal(take(z, &a, 1, 0, 1), NGX_OK);
        assert_false(ngx_optcache_lock_taken(&b));
        assert_true(ngx_optcache_lock_followed(&b));
    }

    /* not by one that came after an answer */

    assert_int_equal(release(z, &a, NGX_OPTCACHE_LOCK_STORED, 1), 4);
    assert_false(ngx_optcache_lock_followed(&b));
    assert_int_equal(take(z, &a, 1, 0, 1), NGX_OK);
    assert_false(ngx_optcache_lock_followed(&b));

    assert_int_equal(take(z, &c, 1, 5, 1), NGX_AGAIN);
    assert_int_equal(release(z, &a, NGX_OPTCACHE_LOCK_PASSED, 1), 6);
    assert_int_equal(take(z, &a, 1, 0, 9000), NGX_OK);
    assert_false(ngx_optcache_lock_followed(&c));
    assert_int_equal(release(z, &a, NGX_OPTCACHE_LOCK_FAILED, 9000), 0);

    /* nor if it was stored by one that did not lead, while none did */

    assert_int_equal(take(z, &a, 3, 0, 1), NGX_OK);
    assert_int_equal(take(z, &b, 3, 3, 1), NGX_AGAIN);
    (void) release(z, &a, NGX_OPTCACHE_LOCK_FAILED, 1);
    (void) release(z, &b, NGX_OPTCACHE_LOCK_STORED, 1);
    assert_int_equal(take(z, &a, 3, 0, 1), NGX_OK);
    assert_false(ngx_optcache_lock_followed(&b));

    /* nor by one of another key */

    assert_int_equal(take(z, &a, 2, 0, 1), NGX_OK);
    assert_false(ngx_optcache_lock_followed(&c));
}


static void
test_uncacheable(void **state)
{
    zone_t               *z = *state;
    ngx_optcache_lock_t   a, b;

    assert_int_equal(take(z, &a, 1, 0, 1000), NGX_OK);
    assert_int_equal(take(z, &b, 1, 5, 1000), NGX_AGAIN);
    assert_int_equal(release(z, &a, NGX_OPTCACHE_LOCK_PASSED, 1000), 6);

    /* nobody leads or waits for five seconds */

    assert_int_equal(take(z, &a, 1, 0, 1000), NGX_DECLINED);
    assert_int_equal(take(z, &b, 1, 5, 5999), NGX_DECLINED);
    assert_int_equal(take(z, &a, 2, 0, 1000), NGX_OK);
    assert_int_equal(take(z, &a, 1, 0, 6000), NGX_OK);

    /* and another five when it is said again, by whomever */

    assert_int_equal(release(z, &a, NGX_OPTCACHE_LOCK_PASSED, 6000), 0);
    lock_init(z, &b, 1);
    assert_int_equal(release(z, &b, NGX_OPTCACHE_LOCK_PASSED, 9000), 0);
    assert_int_equal(take(z, &a, 1, 0, 13999), NGX_DECLINED);

    /* unless an answer could be stored */

    assert_int_equal(release(z, &b, NGX_OPTCACHE_LOCK_STORED, 9000), 0);
    assert_int_equal(take(z, &a, 1, 0, 9000), NGX_OK);
    assert_int_equal(release(z, &a, NGX_OPTCACHE_LOCK_FAILED, 9000), 0);

    /* said of a key that nobody leads */

    lock_init(z, &b, 3);
    assert_int_equal(release(z, &b, NGX_OPTCACHE_LOCK_PASSED, 9000), 0);
    assert_int_equal(take(z, &a, 3, 0, 9001), NGX_DECLINED);

    /* ngx_current_msec of 32 bits begins anew */

    lock_init(z, &b, 4);
    assert_int_equal(release(z, &b, NGX_OPTCACHE_LOCK_PASSED, 0xffffffff), 0);
    assert_int_equal(take(z, &a, 4, 0, 0xffffffff), NGX_DECLINED);
    assert_int_equal(take(z, &a, 4, 0, 3), NGX_OK);
}


/* who may wait, but not lead */

static void
test_watch(void **state)
{
    pid_t                 pid;
    zone_t               *z = *state;
    ngx_optcache_lock_t   a, b;

    assert_int_equal(watch(z, &b, 1, 2), NGX_DECLINED);
    assert_int_equal(take(z, &a, 1, 0, 1), NGX_OK);
    assert_int_equal(watch(z, &b, 1, 2), NGX_AGAIN);
    assert_int_equal(release(z, &a, NGX_OPTCACHE_LOCK_FAILED, 1), 3);
    assert_int_equal(watch(z, &b, 1, 2), NGX_DECLINED);

    pid = holder(z, 1, 1);
    assert_int_equal(watch(z, &b, 1, 2), NGX_AGAIN);
    worker_killed(pid);
    assert_int_equal(watch(z, &b, 1, 2), NGX_DECLINED);
}


/* as many as there is room for; what is only remembered makes room */

static void
test_full(void **state)
{
    zone_t               *z = *state;
    ngx_uint_t            i, led, all;
    ngx_optcache_lock_t   locks[1000], other;

    led = 0;

    for (i = 0; i < 1000; i++) {
        switch (take(z, &locks[i], i, 0, 1)) {

        case NGX_OK:
            led++;
            break;

        case NGX_DECLINED:
            locks[i].lead = 0;
            break;

        default:
            fail();
        }
    }

    assert_in_range(led, 16, 999);
    all = led;

    for (i = 0; i < 1000; i++) {
        if (locks[i].lead) {
            (void) release(z, &locks[i], NGX_OPTCACHE_LOCK_PASSED, 1);
        }
    }

    led = 0;

    for (i = 1000; i < 2000; i++) {
        led += (take(z, &other, i, 0, 2) == NGX_OK);
    }

    assert_int_equal(led, all);
}


static void
test_killed(void **state)
{
    pid_t                     pid;
    zone_t                   *z = *state;
    ngx_optcache_lock_t       b, c;
    ngx_optcache_lock_map_t   map;

    pid = holder(z, 1, 3);

    assert_int_equal(take(z, &b, 1, 7, 1), NGX_AGAIN);
    assert_int_equal(take(z, &c, 2, 9, 1), NGX_AGAIN);

    /* as long as it lives, nobody takes anything from it */

    ngx_optcache_lock_sweep(z->l1, map);
    assert_int_equal(map_one(map), 0);

    worker_killed(pid);

    /* who looks again leads; others still wait, for the one that leads now */

    assert_int_equal(take(z, &b, 1, 8, 1), NGX_OK);
    assert_int_equal(take(z, &c, 1, 8, 1), NGX_AGAIN);
    assert_int_equal(release(z, &b, NGX_OPTCACHE_LOCK_FAILED, 1), 1000);

    /* and who does not is woken by the next worker to start */

    ngx_optcache_lock_sweep(z->l1, map);
    assert_int_equal(map_one(map), 10);
    assert_int_equal(take(z, &c, 2, 9, 1), NGX_OK);
    assert_int_equal(take(z, &c, 3, 9, 1), NGX_OK);
}


/* one that exits, and whose slot another one has by now */

static void
test_exits(void **state)
{
    int                       status;
    pid_t                     pid, next;
    zone_t                   *z = *state;
    ngx_optcache_lock_t       b;
    ngx_optcache_lock_map_t   map;

    pid = zone_worker(z);

    if (pid == 0) {
        (void) take(z, &b, 1, 1, 1);
        ngx_optcache_l1_detach(z->l1);
        _exit(0);
    }

    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);

    next = holder(z, 2, 2);

    assert_int_equal(take(z, &b, 2, 4, 1), NGX_AGAIN);
    ngx_optcache_lock_sweep(z->l1, map);
    assert_int_equal(map_one(map), 0);
    assert_int_equal(take(z, &b, 2, 4, 1), NGX_AGAIN);
    assert_int_equal(take(z, &b, 1, 4, 1), NGX_OK);

    worker_killed(next);
}


/* wherever it happens: every key can be led after a sweep, and is free again */

static void
test_anywhere(void **state)
{
    pid_t                     pid;
    zone_t                   *z = *state;
    diary_t                  *diary;
    ngx_int_t                 rc;
    ngx_uint_t                n, i;
    ngx_optcache_lock_t       lock;

    diary = mmap(NULL, sizeof(diary_t), PROT_READ|PROT_WRITE,
                 MAP_ANON|MAP_SHARED, -1, 0);
    assert_true(diary != MAP_FAILED);

    srandom(5861);

    for (n = 0; n < KILLS; n++) {
        diary->running = 0;
        pid = worker(z, diary, n);

        while (!diary->running) {
            usleep(100);
        }

        usleep(random() % 1000);
        worker_killed(pid);

        if (n % 2) {
            next_worker(z);
        }

        for (i = 0; i < KEYS; i++) {
            rc = take(z, &lock, i, 0, 1000000);

            if (rc == NGX_DECLINED && n % 2 == 0) {
                /* what the dead one led fills the set of this key */
                continue;
            }

            assert_int_equal(rc, NGX_OK);
            (void) release(z, &lock, NGX_OPTCACHE_LOCK_FAILED, 1000000);
            assert_false(ngx_optcache_lock_taken(&lock));
        }
    }

    assert_true(diary->steps > KILLS);
    (void) munmap(diary, sizeof(diary_t));
}


static ngx_int_t
take(zone_t *z, ngx_optcache_lock_t *lock, ngx_uint_t key, ngx_int_t number,
    uint64_t now)
{
    lock_init(z, lock, key);

    return ngx_optcache_lock_take(z->l1, lock, 1, number, now);
}


static ngx_int_t
watch(zone_t *z, ngx_optcache_lock_t *lock, ngx_uint_t key, ngx_int_t number)
{
    lock_init(z, lock, key);

    return ngx_optcache_lock_take(z->l1, lock, 0, number, 1);
}


static void
lock_init(zone_t *z, ngx_optcache_lock_t *lock, ngx_uint_t key)
{
    u_char     text[64];
    ngx_str_t  name;

    name.data = text;
    name.len = ngx_sprintf(text, "sm/uri/%ui", key) - text;

    ngx_optcache_lock_init(z->l1, &name, lock);
}


static ngx_uint_t
release(zone_t *z, ngx_optcache_lock_t *lock,
    ngx_optcache_lock_outcome_e outcome, uint64_t now)
{
    ngx_optcache_lock_map_t  map;

    memset(map, 0xff, sizeof(map));

    ngx_optcache_lock_release(z->l1, lock, outcome, now, map);

    return map_one(map);
}


/* a worker that leads some keys and does nothing about it */

static pid_t
holder(zone_t *z, ngx_uint_t first, ngx_uint_t last)
{
    int                  fds[2];
    char                 ok;
    pid_t                pid;
    ngx_optcache_lock_t  lock;

    assert_int_equal(pipe(fds), 0);

    pid = zone_worker(z);

    if (pid == 0) {
        ok = 1;

        for ( /* void */ ; first <= last; first++) {
            ok &= (take(z, &lock, first, 1, 1) == NGX_OK);
        }

        (void) !write(fds[1], &ok, 1);

        for ( ;; ) {
            (void) pause();
        }
    }

    assert_int_equal(read(fds[0], &ok, 1), 1);
    assert_int_equal(ok, 1);

    (void) close(fds[0]);
    (void) close(fds[1]);

    return pid;
}


static pid_t
worker(zone_t *z, diary_t *diary, unsigned seed)
{
    pid_t                pid;
    uint64_t             now;
    ngx_optcache_lock_t  lock;

    pid = zone_worker(z);

    if (pid) {
        return pid;
    }

    srandom(seed);

    for (now = 1; /* void */ ; now++) {
        diary->running = 1;
        diary->steps++;

        if (take(z, &lock, random() % KEYS, random() % 256, now) == NGX_OK
            && random() % 4)
        {
            (void) release(z, &lock, random() % 3, now);
        }
    }
}


/* It gives back the slots of the dead, and then what they led. */

static void
next_worker(zone_t *z)
{
    int                       status;
    pid_t                     pid;
    ngx_optcache_lock_map_t   map;

    pid = zone_worker(z);

    if (pid == 0) {
        ngx_optcache_lock_sweep(z->l1, map);
        ngx_optcache_l1_detach(z->l1);
        _exit(0);
    }

    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}


static void
worker_killed(pid_t pid)
{
    int  status;

    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
}


static int
setup(void **state)
{
    zone_t  *z;

    z = malloc(sizeof(zone_t));
    if (z == NULL) {
        return -1;
    }

    *state = z;

    return (zone_create(z, 512 * 1024) == NGX_OK) ? 0 : -1;
}


static int
teardown(void **state)
{
    zone_t  *z = *state;

    zone_destroy(z);
    free(z);

    return 0;
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test_setup_teardown(test_turns, setup, teardown),
        cmocka_unit_test_setup_teardown(test_late, setup, teardown),
        cmocka_unit_test_setup_teardown(test_followed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_uncacheable, setup, teardown),
        cmocka_unit_test_setup_teardown(test_watch, setup, teardown),
        cmocka_unit_test_setup_teardown(test_full, setup, teardown),
        cmocka_unit_test_setup_teardown(test_killed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_exits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_anywhere, setup, teardown),
    };

    zone_process();

    return cmocka_run_group_tests(tests, NULL, NULL);
}
