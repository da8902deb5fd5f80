
/*
 * Copyright (C) The Optcache authors
 */


/*
 * Counters of several workers: here "workers" are configurations that were
 * read one after another, each with a process id of its own.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <ngx_metrics.h>


/* pages, besides what the slab pool itself takes */
#define LARGE  1024
#define SMALL  64


typedef struct {
    ngx_conf_t            cf;
    ngx_cycle_t           cycle;
    ngx_metrics_t        *metrics;
    ngx_metrics_block_t  *a;
    ngx_metrics_block_t  *b;
} worker_t;


static ngx_log_t          logger;
static ngx_open_file_t    file;
static ngx_pool_t        *pool;
static ngx_slab_pool_t   *shpool;
static pid_t              own_pid;


static int
setup(void **state)
{
    ngx_pagesize = 4096;
    ngx_pagesize_shift = 12;
    ngx_cacheline_size = NGX_CPU_CACHE_LINE;
    ngx_slab_sizes_init();
    ngx_time_init();

    file.fd = open("/dev/null", O_WRONLY);
    logger.file = &file;

    own_pid = ngx_getpid();

    return (file.fd == -1) ? -1 : 0;
}


static int
teardown(void **state)
{
    return close(file.fd);
}


static int
fresh(void **state, size_t pages)
{
    void                *memory;
    size_t               size;
    static ngx_cycle_t   cycle;

    size = pages * ngx_pagesize;

    if (posix_memalign(&memory, ngx_pagesize, size) != 0) {
        return -1;
    }

    /* what was in it does not matter */
    ngx_memset(memory, 0xa5, size);
    ngx_memzero(memory, sizeof(ngx_slab_pool_t));

    cycle.log = &logger;
    ngx_cycle = &cycle;

    shpool = memory;
    shpool->end = (u_char *) memory + size;
    shpool->min_shift = 3;
    shpool->addr = memory;

    if (ngx_shmtx_create(&shpool->mutex, &shpool->lock, NULL) != NGX_OK) {
        return -1;
    }

    ngx_slab_init(shpool);

    pool = ngx_create_pool(4096, &logger);
    ngx_pid = own_pid;

    return pool ? 0 : -1;
}


static int
fresh_large(void **state)
{
    return fresh(state, LARGE);
}


static int
fresh_small(void **state)
{
    return fresh(state, SMALL);
}


static int
drop(void **state)
{
    ngx_destroy_pool(pool);
    free(shpool);

    return 0;
}


static ngx_metrics_block_t *
add(worker_t *w, const char *name, ngx_uint_t n)
{
    ngx_str_t             text;
    ngx_metrics_block_t  *block;

    text.data = (u_char *) name;
    text.len = strlen(name);

    block = ngx_metrics_add(&w->cf, w->metrics, &text, n);
    assert_non_null(block);

    return block;
}


/* a configuration is read: with the blocks that all have */

static void
configure(worker_t *w)
{
    static ngx_str_t  name = ngx_string("counters");

    ngx_memzero(w, sizeof(worker_t));

    w->cf.cycle = &w->cycle;
    w->cf.pool = pool;
    w->cf.log = &logger;

    assert_int_equal(ngx_list_init(&w->cycle.shared_memory, pool, 1,
                                   sizeof(ngx_shm_zone_t)),
                     NGX_OK);

    w->metrics = ngx_metrics_create(&w->cf, &name, NULL);
    assert_non_null(w->metrics);

    w->a = add(w, "a", 3);
    w->b = add(w, "b", NGX_METRICS_MAX);
}


/* ... and its memory is there */

static ngx_int_t
attach(worker_t *w)
{
    ngx_shm_zone_t  *shm_zone;

    shm_zone = w->cycle.shared_memory.part.elts;

    assert_int_equal(w->cycle.shared_memory.part.nelts, 1);

    shm_zone->shm.addr = (u_char *) shpool;
    shm_zone->shm.log = &logger;

    return shm_zone->init(shm_zone, NULL);
}


static void
start(worker_t *w, ngx_pid_t pid)
{
    configure(w);
    assert_int_equal(attach(w), NGX_OK);

    ngx_pid = pid;
    ngx_metrics_start(w->metrics, &logger);
}


static ngx_pid_t
dead(void)
{
    pid_t  pid;

    pid = fork();
    assert_true(pid != -1);

    if (pid == 0) {
        _exit(0);
    }

    assert_int_equal(waitpid(pid, NULL, 0), pid);

    return pid;
}


static pid_t
living(void)
{
    pid_t  pid;

    pid = fork();
    assert_true(pid != -1);

    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);

        for ( ;; ) {
            pause();
        }
    }

    return pid;
}


static void
test_sums(void **state)
{
    worker_t  one, two;

    start(&one, own_pid);
    start(&two, getppid());

    assert_int_not_equal(one.metrics->slot, two.metrics->slot);

    ngx_metrics_count(one.a, 0);
    ngx_metrics_count(two.a, 0);
    ngx_metrics_add_to(two.a, 2, ((uint64_t) 1 << 40));
    ngx_metrics_count(one.b, NGX_METRICS_MAX - 1);

    assert_int_equal(ngx_metrics_sum(one.a, 0), 2);
    assert_int_equal(ngx_metrics_sum(two.a, 0), 2);
    assert_int_equal(ngx_metrics_sum(one.a, 1), 0);
    assert_int_equal(ngx_metrics_sum(one.a, 2), (uint64_t) 1 << 40);
    assert_int_equal(ngx_metrics_sum(two.b, NGX_METRICS_MAX - 1), 1);
    assert_int_equal(ngx_metrics_sum(two.b, 0), 0);

    /* there is no such counter */

    assert_int_equal(ngx_metrics_sum(one.a, 3), 0);
}


static void
test_no_line_is_shared(void **state)
{
    worker_t   one, two;
    uintptr_t  a, b;

    start(&one, own_pid);
    start(&two, getppid());

    a = (uintptr_t) &one.a->own[2];
    b = (uintptr_t) &two.a->own[0];

    assert_true(b > a);
    assert_true(b - a >= NGX_CPU_CACHE_LINE - 2 * sizeof(uint64_t));
}


static void
test_slot_is_given_back(void **state)
{
    worker_t   one, two;
    ngx_int_t  slot;

    start(&one, own_pid);
    ngx_metrics_count(one.a, 1);
    slot = one.metrics->slot;
    ngx_metrics_stop(one.metrics);

    /* with what is in it */

    start(&two, getppid());
    assert_int_equal(two.metrics->slot, slot);
    ngx_metrics_count(two.a, 1);
    assert_int_equal(ngx_metrics_sum(two.a, 1), 2);
}


static void
test_dead_worker(void **state)
{
    worker_t   one, two, three;
    ngx_int_t  slot;

    start(&one, dead());
    ngx_metrics_add_to(one.a, 1, 7);
    slot = one.metrics->slot;

    /* it did not stop, and nothing is lost */

    start(&two, own_pid);
    assert_int_equal(two.metrics->slot, slot);
    ngx_metrics_count(two.a, 1);
    assert_int_equal(ngx_metrics_sum(two.a, 1), 8);

    /* one that lives keeps its own */

    start(&three, getppid());
    assert_int_not_equal(three.metrics->slot, slot);

    /* but a process has one, however often it begins */

    start(&one, own_pid);
    assert_int_equal(one.metrics->slot, slot);
}


static void
test_reload(void **state)
{
    worker_t              one, two;
    ngx_metrics_block_t  *c, *other;

    start(&one, own_pid);
    ngx_metrics_add_to(one.a, 0, 5);
    ngx_metrics_add_to(one.b, 0, 6);

    /* the old one still counts while the next does */

    configure(&two);
    c = add(&two, "c", 1);
    other = add(&two, "a", 2);
    assert_int_equal(attach(&two), NGX_OK);

    ngx_pid = getppid();
    ngx_metrics_start(two.metrics, &logger);

    ngx_metrics_count(two.a, 0);
    ngx_metrics_count(c, 0);
    ngx_metrics_count(one.a, 0);

    assert_int_equal(ngx_metrics_sum(two.a, 0), 7);
    assert_int_equal(ngx_metrics_sum(two.b, 0), 6);
    assert_int_equal(ngx_metrics_sum(c, 0), 1);

    /* of the same name, but not the same */

    assert_int_equal(ngx_metrics_sum(other, 0), 0);
}


/*
 * The master does not hear that a worker has died as long as it reads a
 * configuration: it must not wait for what that one had.
 */

static void
test_reload_after_a_death(void **state)
{
    worker_t              one, two;
    ngx_metrics_block_t  *c;

    start(&one, own_pid);

    *shpool->mutex.lock = dead();

    configure(&two);
    c = add(&two, "c", 1);

    (void) alarm(30);
    assert_int_equal(attach(&two), NGX_OK);
    (void) alarm(0);

    *shpool->mutex.lock = 0;

    ngx_metrics_start(two.metrics, &logger);
    ngx_metrics_count(c, 0);
    assert_int_equal(ngx_metrics_sum(c, 0), 1);
}


static void
test_before_the_start(void **state)
{
    worker_t  w;

    configure(&w);

    ngx_metrics_count(w.a, 0);
    assert_int_equal(ngx_metrics_sum(w.a, 0), 0);

    assert_int_equal(attach(&w), NGX_OK);
    ngx_metrics_count(w.a, 0);
    assert_int_equal(ngx_metrics_sum(w.a, 0), 0);

    /* nothing was begun: not of this one's, nor anybody's, slot */

    ngx_metrics_stop(w.metrics);
    assert_int_equal(w.metrics->slot, -1);
}


static void
test_no_slot(void **state)
{
    pid_t       pids[NGX_METRICS_SLOTS];
    worker_t    w;
    ngx_uint_t  i;

    for (i = 0; i < NGX_METRICS_SLOTS; i++) {
        pids[i] = living();
        start(&w, pids[i]);
        assert_int_equal(w.metrics->slot, i);
        ngx_metrics_count(w.a, 0);
    }

    start(&w, own_pid);
    assert_int_equal(w.metrics->slot, -1);

    ngx_metrics_count(w.a, 0);
    assert_int_equal(ngx_metrics_sum(w.a, 0), NGX_METRICS_SLOTS);

    ngx_metrics_stop(w.metrics);

    for (i = 0; i < NGX_METRICS_SLOTS; i++) {
        assert_int_equal(kill(pids[i], SIGKILL), 0);
        assert_int_equal(waitpid(pids[i], NULL, 0), pids[i]);
    }

    start(&w, own_pid);
    assert_int_equal(w.metrics->slot, 0);
}


/* what has no room is counted for nobody, and the rest as ever */

static void
test_no_room(void **state)
{
    worker_t              w;
    ngx_uint_t            i;
    ngx_metrics_block_t  *blocks[16];
    static char           names[16][4];

    configure(&w);

    for (i = 0; i < 16; i++) {
        ngx_sprintf((u_char *) names[i], "x%ui%Z", i);
        blocks[i] = add(&w, names[i], NGX_METRICS_MAX);
    }

    assert_int_equal(attach(&w), NGX_OK);
    ngx_metrics_start(w.metrics, &logger);

    for (i = 0; i < 16; i++) {
        ngx_metrics_count(blocks[i], NGX_METRICS_MAX - 1);
    }

    ngx_metrics_count(w.a, 0);

    assert_int_equal(ngx_metrics_sum(w.a, 0), 1);
    assert_int_equal(ngx_metrics_sum(blocks[15], NGX_METRICS_MAX - 1), 0);
}


static void
test_other_version(void **state)
{
    worker_t  w;

    start(&w, own_pid);

    ((uint32_t *) shpool->data)[1]++;

    configure(&w);
    assert_int_equal(attach(&w), NGX_ERROR);
}


/* a name is cut, and is one of its own; more counters are not made */

static void
test_limits(void **state)
{
    char                  name[NGX_METRICS_NAME + 8];
    char                  like[NGX_METRICS_NAME + 8];
    worker_t              w;
    ngx_metrics_block_t  *block, *other;

    ngx_memset(name, 'n', sizeof(name));
    name[sizeof(name) - 1] = '\0';

    ngx_memcpy(like, name, sizeof(name));
    like[sizeof(like) - 2] = 'm';

    configure(&w);
    block = add(&w, name, NGX_METRICS_MAX + 1);
    other = add(&w, like, NGX_METRICS_MAX);

    assert_int_equal(block->n, NGX_METRICS_MAX);
    assert_int_equal(block->name.len, NGX_METRICS_NAME);

    assert_int_equal(attach(&w), NGX_OK);
    ngx_metrics_start(w.metrics, &logger);

    ngx_metrics_count(block, 0);
    assert_int_equal(ngx_metrics_sum(block, 0), 1);
    assert_int_equal(ngx_metrics_sum(other, 0), 0);
}


int
main(void)
{
#define in(pages, test)                                                       \
    cmocka_unit_test_setup_teardown(test, fresh_##pages, drop)

    const struct CMUnitTest  tests[] = {
        in(large, test_sums),
        in(large, test_no_line_is_shared),
        in(large, test_slot_is_given_back),
        in(large, test_dead_worker),
        in(large, test_reload),
        in(large, test_reload_after_a_death),
        in(large, test_before_the_start),
        in(large, test_no_slot),
        in(small, test_no_room),
        in(large, test_other_version),
        in(large, test_limits)
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
