
/*
 * Copyright (C) The Optcache authors
 */


/*
 * Workers that are killed while they store what is known of a subject: each of
 * its records is that of before, or that of afterwards, or there is none.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <ngx_limiter_local.h>

#include "../dies.h"


#if (DIES)

#define SIZE   (16 * 4096)
#define RATES  2


static ngx_log_t            logger;
static ngx_cycle_t          cycle;
static ngx_limiter_zone_t   zone;
static ngx_limiter_entry_t  before, after, *saved;
static ngx_str_t            subject = ngx_string("subject");


static void
create(ngx_uint_t algorithm)
{
    ngx_uint_t  i;

    cycle.log = &logger;
    ngx_cycle = &cycle;

    dies_pool = dies_pool_create(SIZE);

    ngx_memzero(&zone, sizeof(ngx_limiter_zone_t));

    ngx_str_set(&zone.name, "zone");

    zone.shpool = dies_pool;
    zone.policy.algorithm = algorithm;
    zone.policy.nrates = RATES;

    for (i = 0; i < RATES; i++) {
        zone.policy.rates[i].limit = 5;
        zone.policy.rates[i].period = 1000 * (i + 1);
    }

    assert_int_equal(ngx_limiter_local_init(&zone, &logger), NGX_OK);
}


static void
fill(ngx_limiter_entry_t *entry, uint64_t n, ngx_uint_t algorithm)
{
    ngx_uint_t             i;
    ngx_limiter_record_t  *record;

    ngx_memzero(entry, sizeof(ngx_limiter_entry_t));

    entry->state.n = RATES;

    for (i = 0; i < RATES; i++) {
        record = &entry->state.records[i];

        /* as many bits as there are */

        record->period = 1000 * (i + 1);
        record->time = n * 0x0102030405;
        record->used = n * 0x010203;
        record->own = n * 0x0304;
        record->told = n * 0x0203;

        if (algorithm == NGX_LIMITER_SLIDING_WINDOW) {
            record->prev = n * 0x040506;
            record->own_prev = n * 0x0506;
            record->prev_told = n & 1;
        }
    }
}


static void
save(void)
{
    ngx_limiter_local_lock(&zone);
    ngx_limiter_local_save(&zone, &subject, saved);
    ngx_limiter_local_unlock(&zone);
}


/* how many records there are, each of which is one of either entry */

static ngx_uint_t
stored(void)
{
    void                  *p;
    ngx_uint_t             i, n;
    ngx_limiter_entry_t    entry;
    ngx_limiter_record_t  *record;

    p = ngx_limiter_table_lookup(zone.table, &subject);
    if (p == NULL) {
        return 0;
    }

    ngx_limiter_local_unpack(&zone, p, &entry);

    for (i = 0; i < entry.state.n; i++) {
        record = &entry.state.records[i];

        assert_true(record->period >= 1000);
        n = record->period / 1000 - 1;
        assert_true(n < RATES);

        assert_true(ngx_memcmp(record, &before.state.records[n],
                               sizeof(ngx_limiter_record_t)) == 0
                    || ngx_memcmp(record, &after.state.records[n],
                                  sizeof(ngx_limiter_record_t)) == 0);
    }

    return entry.state.n;
}


static void
test_save(void **state)
{
    ngx_uint_t  i, k;

    static ngx_uint_t  algorithms[] = {
        NGX_LIMITER_FIXED_WINDOW, NGX_LIMITER_SLIDING_WINDOW, NGX_LIMITER_GCRA
    };

    for (i = 0; i < 3; i++) {

        create(algorithms[i]);

        fill(&before, 3, algorithms[i]);
        fill(&after, 4, algorithms[i]);

        /* a subject that is new, and one that is known */

        saved = &before;
        dies_init(dies_pool, SIZE);

        for (k = 1; dies(save, k); k++) {
            (void) stored();
        }

        assert_int_equal(stored(), RATES);

        saved = &after;
        dies_init(dies_pool, SIZE);

        for (k = 1; dies(save, k); k++) {

            /* of the others nothing is lost */

            assert_true(stored() >= RATES - 1);
        }

        assert_true(k > 5);
        assert_int_equal(stored(), RATES);

        (void) munmap(dies_pool, SIZE);
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_save)
    };

    (void) alarm(60);

    ngx_pagesize = 4096;
    ngx_pagesize_shift = 12;
    ngx_slab_sizes_init();

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int
main(void)
{
    printf("1..0 # SKIP no way to stop at each store here\n");
    return 0;
}

#endif
