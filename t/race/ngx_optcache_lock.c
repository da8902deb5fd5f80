
/*
 * Copyright (C) The Optcache authors
 */


/*
 * Who waits for a lock, and sees at a glance that it is released, without the
 * mutex, sees what was stored before that.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <ngx_optcache_l1.h>
#include <ngx_optcache_l1_shm.h>
#include <ngx_optcache_lock.h>

#include "../unit/store/l1_zone.h"
#include "workers.h"


#define KEYS  200


static void lock_init(ngx_optcache_lock_t *lock, ngx_uint_t key);


static zone_t               zone;
static ngx_optcache_lock_t  held[KEYS];
static ngx_uint_t           nheld;
static ngx_uint_t           stored[KEYS];   /* nothing protects it but them */


/* All are held by the first one; what another key takes is released, too. */

static void *
worker(void *data)
{
    ngx_uint_t                i;
    ngx_optcache_lock_t       lock;
    ngx_optcache_lock_map_t   map;

    for (i = 0; i < nheld; i++) {

        if (data == NULL) {
            stored[i] = 1 + i;

            ngx_optcache_lock_release(zone.l1, &held[i],
                                      i % 3 ? NGX_OPTCACHE_LOCK_STORED
                                            : NGX_OPTCACHE_LOCK_PASSED,
                                      1, map);

            lock_init(&lock, KEYS + i);
            (void) ngx_optcache_lock_take(zone.l1, &lock, 1, -1, 1);

            continue;
        }

        while (ngx_optcache_lock_taken(&held[i])) {
            (void) ngx_optcache_lock_followed(&held[i]);
            sched_yield();
        }

        assert_int_equal(stored[i], 1 + i);
    }

    return NULL;
}


static void
test_released(void **state)
{
    ngx_uint_t  i;

    for (i = 0; i < KEYS; i++) {
        lock_init(&held[nheld], i);

        if (ngx_optcache_lock_take(zone.l1, &held[nheld], 1, -1, 1)
            == NGX_OK)
        {
            nheld++;
        }

        /* else there is no room in its set */
    }

    assert_true(nheld > KEYS / 2);

    workers_run(worker);
}


static void
lock_init(ngx_optcache_lock_t *lock, ngx_uint_t key)
{
    u_char     text[64];
    ngx_str_t  name;

    name.data = text;
    name.len = ngx_sprintf(text, "key %ui", key) - text;

    ngx_optcache_lock_init(zone.l1, &name, lock);
}


static int
create(void **state)
{
    zone_process();

    return zone_create(&zone, 8 * 1024 * 1024) == NGX_OK ? 0 : -1;
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
        cmocka_unit_test_setup_teardown(test_released, create, destroy)
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);

    return cmocka_run_group_tests(tests, NULL, NULL);
}
