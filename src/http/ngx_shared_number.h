
/*
 * Copyright (C) The Optcache authors
 */


/*
 * A number of 64 bits in memory that processes share, which is read and written
 * as a whole, without a lock: a time in milliseconds, or what is counted for
 * long.  An ngx_atomic_t is as long as a pointer, and 32 bits of milliseconds
 * are over after 49 days.
 *
 * What was written before a number is seen by whoever has read it.
 */


#ifndef _NGX_SHARED_NUMBER_H_INCLUDED_
#define _NGX_SHARED_NUMBER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* i386 would be content with 4 bytes: it might lie in two cache lines */

typedef struct {
    uint64_t  n __attribute__((aligned(8)));
} ngx_shared_number_t;


static ngx_inline uint64_t
ngx_shared_number_get(const ngx_shared_number_t *number)
{
    return __atomic_load_n(&number->n, __ATOMIC_ACQUIRE);
}


static ngx_inline void
ngx_shared_number_set(ngx_shared_number_t *number, uint64_t n)
{
    __atomic_store_n(&number->n, n, __ATOMIC_RELEASE);
}


/* Counts; says nothing of what was written before. */

static ngx_inline void
ngx_shared_number_add(ngx_shared_number_t *number, uint64_t n)
{
    (void) __atomic_fetch_add(&number->n, n, __ATOMIC_RELAXED);
}


#endif /* _NGX_SHARED_NUMBER_H_INCLUDED_ */
