
/*
 * Copyright (C) The Optcache authors
 */


/*
 * Threads in place of workers: ThreadSanitizer tells of memory that one of them
 * writes and another reads with nothing to order the two, on whatever machine
 * it runs.  That of x86-64 would not show it.
 */


#ifndef _WORKERS_H_INCLUDED_
#define _WORKERS_H_INCLUDED_


#include <pthread.h>


#define WORKERS  4


static void
workers_run(void *(*worker)(void *data))
{
    uintptr_t  i;
    pthread_t  threads[WORKERS];

    for (i = 0; i < WORKERS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, worker,
                                        (void *) i),
                         0);
    }

    for (i = 0; i < WORKERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
}


#endif /* _WORKERS_H_INCLUDED_ */
