
/*
 * Copyright (C) The Optcache authors
 */


/*
 * Workers look entries up, store, replace and remove them, come and go: all
 * that one reads of another's is ordered by a lock, or is read as a whole.
 * What memory to ask for is only guessed, of whatever is there.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <ngx_optcache_l1.h>
#include <ngx_optcache_l1_shm.h>

#include "../unit/store/l1_zone.h"
#include "workers.h"


#define KEYS   40
#define STEPS  2000


const char *__tsan_default_suppressions(void);

static void step(zone_t *z, ngx_uint_t key, unsigned *seed);
static void search(zone_t *z, ngx_uint_t key, unsigned *seed);
static void found(zone_t *z, ngx_uint_t key, ngx_optcache_entry_t *e,
    ngx_pool_t *pool, unsigned *seed);


static zone_t  zone;


const char *
__tsan_default_suppressions(void)
{
    return "race_top:ngx_optcache_l1_page_prefetch\n"
           "race_top:ngx_optcache_l1_queue_prefetch\n"
           "race_top:ngx_optcache_l1_queue_expect\n"
           "race_top:ngx_optcache_l1_queue_fullest\n"
           "race_top:ngx_optcache_l1_mem_build\n";
}


static void *
worker(void *data)
{
    zone_t              z;
    unsigned            seed;
    ngx_uint_t          i;
    ngx_optcache_l1_t   l1;

    seed = (unsigned) (uintptr_t) data + 1;

    z = zone;
    l1 = *zone.l1;
    z.l1 = &l1;

    l1.slot = NULL;
    ngx_memzero(&l1.next, sizeof(ngx_optcache_l1_next_t));

    for (i = 0; i < STEPS; i++) {

        if (l1.slot == NULL) {
            assert_int_equal(ngx_optcache_l1_attach(&l1, &z.log), NGX_OK);
        }

        step(&z, rand_r(&seed) % KEYS, &seed);

        if (i % 500 == 499) {
            ngx_optcache_l1_detach(&l1);
        }
    }

    return NULL;
}


static void
step(zone_t *z, ngx_uint_t key, unsigned *seed)
{
    ngx_str_t                name = ngx_string("counted");
    ngx_optcache_l1_stats_t  stats;

    switch (rand_r(seed) % 12) {

    case 0:
        (void) l1_store(z, key, rand_r(seed) % 1000, rand_r(seed) % 20000,
                        rand_r(seed) % 8000);
        break;

    case 1:
        l1_remove(z, key);
        break;

    case 2:
        ngx_optcache_l1_stats(z->l1, &stats);
        break;

    case 3:
        (void) ngx_optcache_l1_uses(z->l1, &name, NOW);
        break;

    default:
        search(z, key, seed);
    }
}


static void
search(zone_t *z, ngx_uint_t key, unsigned *seed)
{
    ngx_int_t                  rc;
    ngx_str_t                  name;
    ngx_pool_t                *pool;
    ngx_optcache_entry_t       e, wanted;
    ngx_optcache_l1_absent_t   absent;

    pool = ngx_create_pool(4096, &z->log);
    assert_non_null(pool);

    l1_fill(pool, &wanted, key, rand_r(seed) % 1000, rand_r(seed) % 9000,
            rand_r(seed) % 3000);
    name = wanted.key;

    ngx_optcache_l1_expect(z->l1, &name, &absent);

    rc = ngx_optcache_l1_search(z->l1, &name, pool, &e, &absent);

    if (rc == NGX_OK) {
        found(z, key, &e, pool, seed);

    } else if (absent.key) {
        (void) ngx_optcache_l1_changed(z->l1, &absent);
        (void) ngx_optcache_l1_store_absent(z->l1, &wanted, &absent);
    }

    ngx_destroy_pool(pool);
}


static void
found(zone_t *z, ngx_uint_t key, ngx_optcache_entry_t *e, ngx_pool_t *pool,
    unsigned *seed)
{
    ngx_uint_t            gen;
    ngx_optcache_entry_t  next;

    gen = e->origin.uri;

    assert_entry(e, key, gen);

    ngx_optcache_l1_compared(e, e->moment.clock);

    if (e->body && rand_r(seed) % 8 == 0) {
        l1_fill(pool, &next, key, gen, rand_r(seed) % 9000, 0);
        (void) ngx_optcache_l1_replace(z->l1, e, &next);
    }
}


static void
test_workers(void **state)
{
    workers_run(worker);

    assert_true(zone.l1->sh->free <= zone.free);
}


static int
create(void **state)
{
    zone_process();

    return zone_create(&zone, 1024 * 1024) == NGX_OK ? 0 : -1;
}


static int
destroy(void **state)
{
    zone_destroy(&zone);

    return 0;
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test_setup_teardown(test_workers, create, destroy)
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);

    return cmocka_run_group_tests(tests, NULL, NULL);
}
