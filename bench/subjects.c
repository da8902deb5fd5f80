
/*
 * Copyright (C) The Optcache authors
 */


/*
 * What it costs to find a subject in a zone of 16 megabytes, to decide and to
 * count, after so many have come through it:
 *
 *     subjects N CHECKS
 *
 * prints the subjects that are held, and nanoseconds for a check of one of
 * them and of one that is new, which the zone makes room for when it is full.
 * subjects.sh builds it and counts the instructions of known() and others().
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <stdarg.h>

#include <ngx_limiter_local.h>


#define SIZE  (16 * 1024 * 1024)


static void              *pool_start;
static ngx_limiter_zone_t  zone;

ngx_uint_t             ngx_pagesize = 4096;
ngx_uint_t             ngx_worker;
volatile ngx_cycle_t  *ngx_cycle;


/* of nginx: as little of it as the table asks for */

void *
ngx_slab_alloc(ngx_slab_pool_t *pool, size_t size)
{
    void  *p;

    p = pool_start;
    pool_start = (u_char *) pool_start + ngx_align(size, 64);

    return p;
}


void *
ngx_slab_calloc(ngx_slab_pool_t *pool, size_t size)
{
    void  *p;

    p = ngx_slab_alloc(pool, size);

    if (pool->pfree) {
        pool->pfree--;
    }

    return memset(p, 0, size);
}


u_char *
ngx_sprintf(u_char *buf, const char *fmt, ...)
{
    return buf;
}


void
ngx_log_error_core(ngx_uint_t level, ngx_log_t *log, ngx_err_t err,
    const char *fmt, ...)
{
    abort();
}


void
ngx_shmtx_lock(ngx_shmtx_t *mtx)
{
}


void
ngx_shmtx_unlock(ngx_shmtx_t *mtx)
{
}


static ngx_uint_t
check(ngx_uint_t n, uint64_t now)
{
    int                  len;
    char                 buf[NGX_LIMITER_TABLE_KEY];
    ngx_int_t            rc;
    ngx_str_t            key;
    ngx_limiter_entry_t  entry;

    /* an address: printed, so that its cost is the same for each */

    len = 0;

    for (n += 100000000; n; n /= 10) {
        buf[len++] = (char) ('0' + n % 10);
    }

    key.data = (u_char *) buf;
    key.len = len;

    rc = ngx_limiter_local_load(&zone, &key, &zone.policy, &entry, now);

    if (ngx_limiter_state_room(&entry.state, &zone.policy, now, NULL) >= 1) {
        ngx_limiter_state_count(&entry.state, &zone.policy, 1, NULL);
    }

    ngx_limiter_local_save(&zone, &key, &entry);

    return rc == NGX_OK;
}


static void
through(ngx_uint_t n, uint64_t now)
{
    ngx_uint_t  i;

    for (i = 0; i < n; i++) {
        (void) check(i, now);
    }
}


/* those that are held, in an order that no cache likes better than clients' */

static ngx_uint_t __attribute__((noipa))
known(ngx_uint_t n, ngx_uint_t checks, uint64_t now)
{
    ngx_uint_t  i, held, found;

    found = 0;
    held = zone.table->used;

    for (i = 0; i < checks; i++) {
        found += check(n - 1 - (i * 7919) % held, now);
    }

    return found;
}


/* the next ones */

static ngx_uint_t __attribute__((noipa))
others(ngx_uint_t n, ngx_uint_t checks, uint64_t now)
{
    ngx_uint_t  i, found;

    found = 0;

    for (i = 0; i < checks; i++) {
        found += check(n + i, now);
    }

    return found;
}


static double
spent(struct timespec *from, ngx_uint_t checks)
{
    struct timespec  to;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);

    return ((to.tv_sec - from->tv_sec) * 1e9 + (to.tv_nsec - from->tv_nsec))
           / checks;
}


int
main(int argc, char **argv)
{
    double           each;
    ngx_log_t        log;
    ngx_uint_t       i, n, checks;
    struct timespec  from;
    ngx_slab_pool_t  pool;

    static ngx_uint_t  limits[] = { 60, 500, 2000 };
    static ngx_uint_t  periods[] = { 60000, 3600000, 86400000 };

    n = (argc > 1) ? atoi(argv[1]) : 1000000;
    checks = (argc > 2) ? atoi(argv[2]) : 200000;

    ngx_memzero(&pool, sizeof(ngx_slab_pool_t));
    ngx_memzero(&log, sizeof(ngx_log_t));

    /* nginx takes as much of the zone for its pages as this leaves */

    pool_start = malloc(SIZE + 65536);
    pool.pfree = SIZE / ngx_pagesize - 20;

    if (pool_start == NULL) {
        return 1;
    }

    ngx_memzero(pool_start, SIZE + 65536);
    pool_start = ngx_align_ptr(pool_start, 64);

    zone.shpool = &pool;
    zone.policy.algorithm = NGX_LIMITER_FIXED_WINDOW;
    zone.policy.nrates = 3;

    for (i = 0; i < 3; i++) {
        zone.policy.rates[i].limit = limits[i];
        zone.policy.rates[i].period = periods[i];
    }

    if (ngx_limiter_local_init(&zone, &log) != NGX_OK) {
        return 1;
    }

    through(n, 1000000000);

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);

    if (known(n, checks, 1000000001) != checks) {
        fprintf(stderr, "one of them is not held\n");
        return 1;
    }

    each = spent(&from, checks);
    checks = ngx_min(checks, n);

    printf("%lu %.0f", (unsigned long) zone.table->used, each);

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);

    if (others(n, checks, 1000000002) != 0) {
        fprintf(stderr, "one of the others is held\n");
        return 1;
    }

    printf(" %.0f\n", spent(&from, checks));

    return 0;
}
