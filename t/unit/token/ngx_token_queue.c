
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <ngx_token_queue.h>


#define SIZE  (5 * 1024 * 1024)


static ngx_log_t               logger;
static ngx_cycle_t             cycle;
static void                   *memory;
static ngx_slab_pool_t        *shpool;
static ngx_token_queue_t      *queue;
static ngx_token_queue_item_t  item;


static void
queue_create(size_t size)
{
    assert_int_equal(posix_memalign(&memory, 4096, size), 0);
    ngx_memzero(memory, size);

    cycle.log = &logger;
    ngx_cycle = &cycle;

    ngx_pagesize_shift = 12;

    shpool = memory;
    shpool->end = (u_char *) memory + size;
    shpool->min_shift = 3;
    shpool->addr = memory;

    assert_int_equal(ngx_shmtx_create(&shpool->mutex, &shpool->lock, NULL),
                     NGX_OK);

    ngx_slab_init(shpool);
    shpool->log_nomem = 0;

    queue = ngx_slab_calloc(shpool, sizeof(ngx_token_queue_t));
    assert_non_null(queue);
    assert_int_equal(ngx_token_queue_init(queue, shpool), NGX_OK);
}


static ngx_int_t
push(const char *text, uint64_t until)
{
    ngx_str_t  key;

    key.data = (u_char *) text;
    key.len = ngx_strlen(text);

    return ngx_token_queue_push(queue, shpool, &key, until, 0);
}


static ngx_int_t
push_number(ngx_uint_t i)
{
    u_char  buf[NGX_INT_T_LEN + 1];

    *ngx_sprintf(buf, "%ui", i) = '\0';

    return push((char *) buf, 1);
}


static void
expect(const char *text, uint64_t until)
{
    assert_int_equal(ngx_token_queue_peek(queue, shpool, 0, &item), NGX_OK);
    assert_int_equal(item.len, ngx_strlen(text));
    assert_memory_equal(item.key, text, item.len);
    assert_int_equal(item.until, until);
}


static void
test_order(void **state)
{
    queue_create(SIZE);

    assert_int_equal(ngx_token_queue_peek(queue, shpool, 0, &item),
                     NGX_DECLINED);

    assert_int_equal(push("a", 1), NGX_OK);
    assert_int_equal(push("b", 2), NGX_OK);

    expect("a", 1);
    expect("a", 1);
    ngx_token_queue_done(queue, shpool, &item);

    expect("b", 2);
    assert_int_equal(push("a", 3), NGX_OK);
    ngx_token_queue_done(queue, shpool, &item);

    expect("a", 3);
    ngx_token_queue_done(queue, shpool, &item);

    assert_int_equal(ngx_token_queue_peek(queue, shpool, 0, &item),
                     NGX_DECLINED);
    assert_int_equal(queue->n, 0);

    /* twice is once */

    ngx_token_queue_done(queue, shpool, &item);
    assert_int_equal(push("c", 4), NGX_OK);
    expect("c", 4);

    free(memory);
}


static void
test_once(void **state)
{
    queue_create(SIZE);

    assert_int_equal(push("a", 5), NGX_OK);
    expect("a", 5);

    /* for longer, while it is written: it is to be written again */

    assert_int_equal(push("a", 7), NGX_OK);
    assert_int_equal(queue->n, 1);
    ngx_token_queue_done(queue, shpool, &item);
    expect("a", 7);

    /* not for less */

    assert_int_equal(push("a", 6), NGX_OK);
    ngx_token_queue_done(queue, shpool, &item);
    assert_int_equal(queue->n, 0);

    free(memory);
}


static void
test_since(void **state)
{
    ngx_str_t  key;

    queue_create(SIZE);
    ngx_str_set(&key, "a");

    assert_int_equal(ngx_token_queue_push(queue, shpool, &key, 9, 5), NGX_OK);
    expect("a", 9);
    assert_int_equal(item.since, 5);

    /* a later time is to be written, an earlier one is not */

    assert_int_equal(ngx_token_queue_push(queue, shpool, &key, 8, 6), NGX_OK);
    ngx_token_queue_done(queue, shpool, &item);
    expect("a", 9);
    assert_int_equal(item.since, 6);

    assert_int_equal(ngx_token_queue_push(queue, shpool, &key, 8, 0), NGX_OK);
    ngx_token_queue_done(queue, shpool, &item);
    assert_int_equal(queue->n, 0);

    free(memory);
}


static void
test_keys(void **state)
{
    u_char     buf[NGX_TOKEN_QUEUE_KEY + 1];
    ngx_str_t  key;

    queue_create(SIZE);

    ngx_memset(buf, 'x', sizeof(buf));
    key.data = buf;

    key.len = 0;
    assert_int_equal(ngx_token_queue_push(queue, shpool, &key, 1, 0),
                     NGX_DECLINED);

    key.len = sizeof(buf);
    assert_int_equal(ngx_token_queue_push(queue, shpool, &key, 1, 0),
                     NGX_DECLINED);

    key.len = NGX_TOKEN_QUEUE_KEY;
    assert_int_equal(ngx_token_queue_push(queue, shpool, &key, 1, 0), NGX_OK);

    buf[NGX_TOKEN_QUEUE_KEY - 1] = '\0';
    assert_int_equal(ngx_token_queue_push(queue, shpool, &key, 1, 0),
                     NGX_DECLINED);

    assert_int_equal(queue->n, 1);

    free(memory);
}


static void
test_full(void **state)
{
    ngx_uint_t  i, round, pages;

    queue_create(SIZE);

    pages = shpool->pfree;

    for (round = 0; round < 3; round++) {

        for (i = 0; i < NGX_TOKEN_QUEUE_MAX; i++) {
            assert_int_equal(push_number(i), NGX_OK);
        }

        assert_int_equal(push_number(i), NGX_BUSY);
        assert_int_equal(push_number(0), NGX_OK);

        while (ngx_token_queue_peek(queue, shpool, 0, &item) == NGX_OK) {
            ngx_token_queue_done(queue, shpool, &item);
        }

        assert_int_equal(queue->n, 0);
    }

    /* all of its memory was taken before */

    assert_int_equal(shpool->pfree, pages);

    free(memory);
}


/* keys that are as long as can be */

static void
test_memory(void **state)
{
    u_char      buf[NGX_TOKEN_QUEUE_KEY];
    ngx_str_t   key;
    ngx_uint_t  i;

    queue_create(SIZE);

    ngx_memset(buf, 'x', sizeof(buf));
    key.data = buf;
    key.len = sizeof(buf);

    for (i = 0; i < NGX_TOKEN_QUEUE_MAX; i++) {
        (void) ngx_sprintf(buf, "%08ui", i);

        assert_int_equal(ngx_token_queue_push(queue, shpool, &key, 1, 0),
                         NGX_OK);
    }

    assert_int_equal(queue->n, i);

    (void) ngx_sprintf(buf, "%08ui", i);
    assert_int_equal(ngx_token_queue_push(queue, shpool, &key, 1, 0),
                     NGX_BUSY);

    /* a place that is free is taken */

    assert_int_equal(ngx_token_queue_peek(queue, shpool, 0, &item), NGX_OK);
    ngx_token_queue_done(queue, shpool, &item);
    assert_int_equal(ngx_token_queue_push(queue, shpool, &key, 1, 0), NGX_OK);

    for (i = 1; i <= NGX_TOKEN_QUEUE_MAX; i++) {
        (void) ngx_sprintf(buf, "%08ui", i);

        assert_int_equal(ngx_token_queue_peek(queue, shpool, 0, &item),
                         NGX_OK);
        assert_int_equal(item.len, sizeof(buf));
        assert_memory_equal(item.key, buf, sizeof(buf));

        ngx_token_queue_done(queue, shpool, &item);
    }

    assert_int_equal(queue->n, 0);

    free(memory);
}


/* What was refused is behind the others, and not due before its time. */

static void
test_later(void **state)
{
    queue_create(SIZE);

    assert_int_equal(push("a", 100), NGX_OK);
    assert_int_equal(push("b", 101), NGX_OK);
    assert_int_equal(push("c", 102), NGX_OK);

    expect("a", 100);
    ngx_token_queue_later(queue, shpool, &item, 50, 1);
    expect("b", 101);
    ngx_token_queue_later(queue, shpool, &item, 60, 0);

    /* twice is once */

    ngx_token_queue_later(queue, shpool, &item, 70, 1);

    expect("c", 102);
    ngx_token_queue_later(queue, shpool, &item, 0, 0);
    expect("c", 102);
    ngx_token_queue_done(queue, shpool, &item);

    assert_int_equal(ngx_token_queue_peek(queue, shpool, 49, &item),
                     NGX_DECLINED);
    assert_int_equal(ngx_token_queue_peek(queue, shpool, 50, &item), NGX_OK);
    assert_memory_equal(item.key, "a", 1);

    /* all that were refused, and one that is new */

    ngx_token_queue_again(queue, shpool);
    expect("a", 100);
    ngx_token_queue_later(queue, shpool, &item, 50, 1);
    assert_int_equal(push("d", 103), NGX_OK);
    expect("d", 103);
    ngx_token_queue_done(queue, shpool, &item);

    /* what has expired is seen */

    assert_int_equal(push("e", 20), NGX_OK);
    expect("e", 20);
    ngx_token_queue_later(queue, shpool, &item, 80, 1);
    assert_int_equal(ngx_token_queue_peek(queue, shpool, 20, &item), NGX_OK);
    assert_memory_equal(item.key, "e", 1);

    free(memory);
}


/* A key is wrong, not the role, if others are stored. */

static void
test_wrong(void **state)
{
    ngx_uint_t  i;

    queue_create(SIZE);

    assert_int_equal(push("a", 100), NGX_OK);

    for (i = 0; i < 5; i++) {
        expect("a", 100);
        assert_int_equal(item.wrong, 0);
        assert_int_equal(item.tried, i > 0);
        ngx_token_queue_later(queue, shpool, &item, 0, 1);
    }

    for (i = 1; i < 4; i++) {
        queue->stored++;
        expect("a", 100);
        assert_int_equal(item.wrong, i);
        ngx_token_queue_later(queue, shpool, &item, 0, 1);
        expect("a", 100);
        assert_int_equal(item.wrong, i);
        ngx_token_queue_later(queue, shpool, &item, 0, 0);
    }

    expect("a", 100);
    ngx_token_queue_done(queue, shpool, &item);
    assert_int_equal(push("a", 100), NGX_OK);
    expect("a", 100);
    assert_int_equal(item.wrong, 0);

    free(memory);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_once),
        cmocka_unit_test(test_since),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_later),
        cmocka_unit_test(test_wrong)
    };

    /* once: it counts up */

    ngx_pagesize = 4096;
    ngx_slab_sizes_init();

    return cmocka_run_group_tests(tests, NULL, NULL);
}
