
/*
 * Copyright (C) The Optcache authors
 */


/*
 * Workers that are killed: while they read, in the middle of a change of this
 * or that, and wherever the signal hits them.  And what others see meanwhile.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <ngx_optcache_l1.h>
#include <ngx_optcache_l1_shm.h>

#include "l1_zone.h"
#include "l1_sound.h"


#define KEYS     24
#define KILLS    120
#define WORKERS  3
#define REPLACED 200000


/* in shared memory: what the one that is killed was doing */

typedef struct {
    volatile ngx_uint_t  begun[KEYS];     /* the last store or 0: removed */
    volatile ngx_uint_t  done[KEYS];      /* the same, if it has returned */
    volatile ngx_uint_t  failed;
    volatile ngx_uint_t  running;
} diary_t;


static ngx_uint_t slots(zone_t *z);
static ngx_uint_t rebuilt(zone_t *z);
static pid_t worker(zone_t *z, diary_t *diary, unsigned seed);
static void worker_cycle(zone_t *z, diary_t *diary);
static void worker_killed(pid_t pid);
static void worker_reclaim(zone_t *z);
static ngx_uint_t key_gen(zone_t *z, ngx_uint_t key);
static void assert_diary(zone_t *z, diary_t *diary);
static diary_t *diary_create(void);


/* a child that runs "code" as a worker and dies without a word */

#define DIES(z, code)                                                         \
    do {                                                                      \
        int    status_;                                                       \
        pid_t  pid_ = zone_worker(z);                                         \
                                                                              \
        if (pid_ == 0) {                                                      \
            code                                                              \
            _exit(0);                                                         \
        }                                                                     \
                                                                              \
        assert_int_equal(waitpid(pid_, &status_, 0), pid_);                   \
        assert_int_equal(status_, 0);                                         \
    } while (0)


static void
test_reading(void **state)
{
    zone_t                *z = *state;
    ngx_uint_t             i;
    ngx_optcache_entry_t   e;

    assert_int_equal(l1_store(z, 1, 1, 30000, 100), NGX_OK);

    DIES(z, {
        for (i = 0; i < 300; i++) {
            if (l1_lookup(z, 1, &e) == NULL) {
                _exit(1);
            }
        }
    });

    l1_remove(z, 1);
    assert_true(z->l1->sh->free < z->free);

    /* the next to start gives back what the dead one held */

    worker_reclaim(z);

    assert_empty(z);
    assert_int_equal(slots(z), 1);
    assert_int_equal(rebuilt(z), 0);
}


static void
test_writing(void **state)
{
    zone_t                *z = *state;
    ngx_uint_t             lacking;
    ngx_pool_t            *pool;
    ngx_optcache_entry_t   e;

    assert_int_equal(l1_store(z, 1, 1, 1000, 0), NGX_OK);

    pool = ngx_create_pool(4096, &z->log);
    assert_non_null(pool);

    l1_fill(pool, &e, 2, 1, 20000, 3000);

    DIES(z, {
        if (ngx_optcache_l1_mem_build(z->l1->sh,
                                      z->l1->slot - z->l1->sh->slots, &e, 0,
                                      &lacking)
            == 0)
        {
            _exit(1);
        }
    });

    worker_reclaim(z);

    assert_true(l1_holds(z, 1, 1));
    assert_false(l1_holds(z, 2, 1));

    ngx_destroy_pool(pool);

    l1_remove(z, 1);
    assert_empty(z);
}


/* in the middle of a change of the tables and queues */

static void
test_in_shard(void **state)
{
    zone_t                *z = *state;
    ngx_uint_t             i;
    ngx_pool_t            *pool, *removed;
    ngx_optcache_entry_t   e, gone;

    for (i = 1; i < 20; i++) {
        assert_int_equal(l1_store(z, i, 1, 3000, 10), NGX_OK);
    }

    pool = l1_lookup(z, 1, &e);
    removed = l1_lookup(z, 2, &gone);
    assert_non_null(pool);
    assert_non_null(removed);

    l1_remove(z, 2);

    DIES(z, {
        if (l1_lookup(z, 3, &e) == NULL) {
            _exit(1);
        }

        (void) ngx_optcache_l1_shard_lock(z->l1->sh, 0);

        memset(z->l1->sh->shards[0].fifo, 0xff,
               sizeof(z->l1->sh->shards[0].fifo));
        memset(z->l1->sh->buckets, 0xff,
               z->l1->sh->nbuckets * sizeof(uint32_t));
        z->l1->sh->shards[0].entries = 1000000;

        for (i = 1; i < 40000; i++) {
            if (z->l1->sh->pages[i / 64 % z->l1->sh->npages].starts
                >> i % 64 & 1)
            {
                ngx_optcache_l1_node(z->l1->sh, i)->refs += 77;
                ngx_optcache_l1_node(z->l1->sh, i)->next = 0xffffffff;
                ngx_optcache_l1_node(z->l1->sh, i)->newer = 0xffffffff;
                ngx_optcache_l1_node(z->l1->sh, i)->older = 0xffffffff;
            }

            if (i == z->l1->sh->npages * 64 - 1) {
                break;
            }
        }
    });

    /* nothing is lost, and who reads does not notice */

    for (i = 1; i < 20; i++) {
        assert_int_equal(l1_holds(z, i, 1), i != 2);
    }

    assert_int_equal(rebuilt(z), 1);

    worker_reclaim(z);
    assert_sound(z);

    assert_entry(&e, 1, 1);
    assert_entry(&gone, 2, 1);

    ngx_destroy_pool(pool);
    ngx_destroy_pool(removed);

    for (i = 1; i < 20; i++) {
        l1_remove(z, i);
    }

    assert_empty(z);
    assert_int_equal(slots(z), 1);
}


/* in the middle of a change of the maps */

static void
test_in_memory(void **state)
{
    zone_t                *z = *state;
    ngx_uint_t             i;
    ngx_pool_t            *pool;
    ngx_optcache_entry_t   e;

    for (i = 1; i < 20; i++) {
        assert_int_equal(l1_store(z, i, 1, 3000, 10), NGX_OK);
    }

    pool = l1_lookup(z, 1, &e);
    assert_non_null(pool);

    l1_remove(z, 1);

    DIES(z, {
        ngx_optcache_l1_mem_lock(z->l1->sh);

        for (i = 0; i < z->l1->sh->npages; i++) {
            z->l1->sh->pages[i].used ^= i * 0x9e3779b97f4a7c15;
            z->l1->sh->pages[i].next = 0xffffffff;
            z->l1->sh->pages[i].prev = 0xffffffff;
            z->l1->sh->pages[i].run = 77;
        }

        memset(z->l1->sh->lists, 0xff, sizeof(z->l1->sh->lists));
        z->l1->sh->runs = ~0ull;
        z->l1->sh->free = 1000000;
    });

    assert_int_equal(l1_store(z, 20, 1, 3000, 10), NGX_OK);

    assert_int_equal(rebuilt(z), 1);

    worker_reclaim(z);
    assert_sound(z);
    assert_entry(&e, 1, 1);

    ngx_destroy_pool(pool);

    for (i = 2; i < 21; i++) {
        assert_true(l1_holds(z, i, 1));
        l1_remove(z, i);
    }

    assert_empty(z);
}


/* anywhere: what was stored is there, or has left to make room */

static void
test_anywhere(void **state)
{
    pid_t      pid;
    zone_t    *z = *state;
    diary_t   *diary;
    ngx_uint_t n;

    diary = diary_create();
    srandom(9111);

    /* until one has been killed under a lock, which takes a small part */

    for (n = 0; n < KILLS || (rebuilt(z) == 0 && n < 20 * KILLS); n++) {
        diary->running = 0;

        pid = worker(z, diary, n);

        while (!diary->running) {
            ngx_msleep(1);
        }

        usleep(random() % 1500);

        worker_killed(pid);
        assert_int_equal(diary->failed, 0);

        /* before the dead one's place is cleared, or after */

        if (n & 1) {
            worker_reclaim(z);
        }

        assert_diary(z, diary);

        worker_reclaim(z);
        assert_sound(z);
    }

    assert_int_equal(slots(z), 1);

    /* the test was worth something */

    assert_true(rebuilt(z) > 0);

    for (n = 0; n < KEYS; n++) {
        l1_remove(z, n);
    }

    assert_empty(z);
    (void) munmap(diary, sizeof(diary_t));
}


/* several at a time, each with its own keys, in turn */

static void
test_several(void **state)
{
    pid_t       pids[WORKERS];
    zone_t     *z = *state;
    diary_t    *diary;
    ngx_uint_t  n, i;

    diary = diary_create();
    srandom(9112);

    for (i = 0; i < WORKERS; i++) {
        pids[i] = worker(z, diary, i);
    }

    for (n = 0; n < KILLS / 2; n++) {
        usleep(random() % 3000);

        i = n % WORKERS;
        worker_killed(pids[i]);
        pids[i] = worker(z, diary, n);
    }

    for (i = 0; i < WORKERS; i++) {
        worker_killed(pids[i]);
    }

    assert_int_equal(diary->failed, 0);

    worker_reclaim(z);
    assert_sound(z);
    assert_int_equal(slots(z), 1);

    for (n = 0; n < KEYS; n++) {
        (void) key_gen(z, n);
        l1_remove(z, n);
    }

    assert_empty(z);
    (void) munmap(diary, sizeof(diary_t));
}


static pid_t
worker(zone_t *z, diary_t *diary, unsigned seed)
{
    pid_t  pid;

    pid = fork();
    assert_true(pid != -1);

    if (pid) {
        return pid;
    }

    ngx_pid = ngx_getpid();
    z->l1->slot = NULL;
    srandom(seed);

    if (ngx_optcache_l1_attach(z->l1, &z->log) != NGX_OK) {
        diary->failed = 1;
        diary->running = 1;
        _exit(1);
    }

    for ( ;; ) {
        worker_cycle(z, diary);
    }
}


static void
worker_cycle(zone_t *z, diary_t *diary)
{
    ngx_uint_t             key, gen;
    ngx_optcache_entry_t   e;

    static ngx_uint_t      last;
    static ngx_pool_t     *pools[KEYS];

    key = random() % KEYS;
    diary->running = 1;

    switch (random() % 6) {

    case 0:
    case 1:
    case 2:
        gen = ngx_max(last, diary->begun[key]) + 1;
        last = gen;

        diary->begun[key] = gen;

        /* most are small, so that most of the time is spent on changes */

        if (l1_store(z, key, gen, random() % ((gen % 8) ? 300 : 30000),
                     random() % 50)
            == NGX_OK)
        {
            diary->done[key] = gen;

        } else {
            diary->begun[key] = diary->done[key];
        }

        break;

    case 3:
        diary->begun[key] = 0;
        l1_remove(z, key);
        diary->done[key] = 0;
        break;

    default:
        if (pools[key]) {
            ngx_destroy_pool(pools[key]);
            pools[key] = NULL;

        } else {
            pools[key] = l1_lookup(z, key, &e);
        }
    }
}


static void
worker_killed(pid_t pid)
{
    int  status;

    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
}


/* what a worker does that starts in place of a dead one */

static void
worker_reclaim(zone_t *z)
{
    ngx_optcache_l1_t  other;

    other = *z->l1;
    other.slot = NULL;

    assert_int_equal(ngx_optcache_l1_attach(&other, &z->log), NGX_OK);
    ngx_optcache_l1_detach(&other);
}


/* which of a key there is, whole; 0: none */

static ngx_uint_t
key_gen(zone_t *z, ngx_uint_t key)
{
    ngx_uint_t             gen;
    ngx_pool_t            *pool;
    ngx_optcache_entry_t   e;

    pool = l1_lookup(z, key, &e);
    if (pool == NULL) {
        return 0;
    }

    gen = e.date - NOW;
    assert_entry(&e, key, gen);

    ngx_destroy_pool(pool);

    return gen;
}


static void
assert_diary(zone_t *z, diary_t *diary)
{
    ngx_uint_t  key, gen;

    for (key = 0; key < KEYS; key++) {
        gen = key_gen(z, key);

        if (gen) {
            assert_true(gen == diary->done[key] || gen == diary->begun[key]);
        }

        diary->done[key] = gen;
        diary->begun[key] = gen;
    }
}


static diary_t *
diary_create(void)
{
    void  *p;

    p = mmap(NULL, sizeof(diary_t), PROT_READ|PROT_WRITE, MAP_ANON|MAP_SHARED,
             -1, 0);
    assert_ptr_not_equal(p, MAP_FAILED);

    return p;
}


/* places that are taken */

static ngx_uint_t
slots(zone_t *z)
{
    ngx_uint_t                i, n;
    ngx_optcache_l1_shctx_t  *sh;

    sh = z->l1->sh;

    for (i = 0, n = 0; i < sh->nslots; i++) {

        if (pthread_mutex_trylock(&sh->slots[i].lock) == 0) {
            ngx_optcache_l1_unlock(&sh->slots[i].lock);

        } else {
            n++;
        }
    }

    return n;
}


static ngx_uint_t
rebuilt(zone_t *z)
{
    ngx_uint_t                i, n;
    ngx_optcache_l1_shctx_t  *sh;

    sh = z->l1->sh;
    n = sh->rebuilt;

    for (i = 0; i < sh->nshards; i++) {
        n += sh->shards[i].rebuilt;
    }

    return n;
}


/* who makes a shard sound is killed on the way: whoever looks goes on */

static void
test_rebuilding(void **state)
{
    zone_t      *z = *state;
    ngx_uint_t   i;

    for (i = 1; i < 20; i++) {
        assert_int_equal(l1_store(z, i, 1, 3000, 10), NGX_OK);
    }

    DIES(z, {
        (void) ngx_optcache_l1_shard_lock(z->l1->sh, 0);

        z->l1->sh->shards[0].rebuilding = 1;
        memset(z->l1->sh->buckets, 0, z->l1->sh->nbuckets * sizeof(uint32_t));
    });

    for (i = 1; i < 20; i++) {
        assert_true(l1_holds(z, i, 1));
    }

    assert_int_equal(rebuilt(z), 1);
    assert_int_equal(z->l1->sh->shards[0].rebuilding, 0);

    worker_reclaim(z);
    assert_sound(z);
}


/* an entry that is replaced is there all the time, also for who takes no lock */

static void
test_replaced(void **state)
{
    zone_t                    *z = *state;
    int                        status;
    pid_t                      pid;
    ngx_int_t                  rc;
    ngx_uint_t                 i, missed;
    ngx_pool_t                *pool, *found;
    ngx_optcache_entry_t       e, looked;
    ngx_optcache_l1_absent_t   absent;

    assert_int_equal(l1_store(z, 1, 1, 1000, 0), NGX_OK);

    pool = ngx_create_pool(4096, &z->log);
    assert_non_null(pool);

    pid = zone_worker(z);

    if (pid == 0) {
        l1_fill(pool, &e, 1, 1, 1000, 0);

        for (i = 0; i < REPLACED; i++) {
            if (ngx_optcache_l1_store(z->l1, &e) != NGX_OK) {
                _exit(1);
            }
        }

        _exit(0);
    }

    l1_fill(pool, &looked, 1, 1, 0, 0);

    for (missed = 0; waitpid(pid, &status, WNOHANG) == 0; /* void */ ) {

        for (i = 0; i < 100; i++) {
            found = ngx_create_pool(1024, &z->log);
            assert_non_null(found);

            absent.hashed = NULL;

            rc = ngx_optcache_l1_search(z->l1, &looked.key, found, &e,
                                        &absent);
            missed += (rc != NGX_OK);

            ngx_destroy_pool(found);
        }
    }

    assert_int_equal(status, 0);
    assert_int_equal(missed, 0);

    ngx_destroy_pool(pool);

    worker_reclaim(z);
    assert_sound(z);
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

    return (zone_create(z, 256 * 1024) == NGX_OK) ? 0 : -1;
}


/* one with several shards, and with less room than there is to store */

static int
setup_large(void **state)
{
    zone_t  *z;

    z = malloc(sizeof(zone_t));
    if (z == NULL) {
        return -1;
    }

    *state = z;

    return (zone_create(z, 5 * 1024 * 1024) == NGX_OK) ? 0 : -1;
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
        cmocka_unit_test_setup_teardown(test_reading, setup, teardown),
        cmocka_unit_test_setup_teardown(test_writing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_in_shard, setup, teardown),
        cmocka_unit_test_setup_teardown(test_in_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rebuilding, setup, teardown),
        cmocka_unit_test_setup_teardown(test_replaced, setup, teardown),
        cmocka_unit_test_setup_teardown(test_anywhere, setup, teardown),
        cmocka_unit_test_setup_teardown(test_several, setup, teardown),
        cmocka_unit_test_setup_teardown(test_several, setup_large, teardown),
    };

    zone_process();

    return cmocka_run_group_tests(tests, NULL, NULL);
}
