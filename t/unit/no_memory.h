
/*
 * Copyright (C) The Optcache authors
 */


/*
 * Lets allocations fail: of this program, and of the libraries that it is linked
 * with.  What is behind these is AddressSanitizer's, or glibc's where the tests
 * are built without it, as for the coverage.
 */


#ifndef _NO_MEMORY_H_INCLUDED_
#define _NO_MEMORY_H_INCLUDED_


#include <errno.h>
#include <stdlib.h>


#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define NO_MEMORY_ASAN  1
#endif
#endif

#if defined(__SANITIZE_ADDRESS__) || defined(NO_MEMORY_ASAN)
#define no_memory_libc(name)  __interceptor_##name
#else
#define no_memory_libc(name)  __libc_##name
#endif


void *no_memory_libc(malloc)(size_t size);
void *no_memory_libc(calloc)(size_t n, size_t size);
void *no_memory_libc(realloc)(void *p, size_t size);


static long  no_memory_left;    /* up to the one that fails; 0: none does */
static long  no_memory_more;    /* that fail behind it */
static int   no_memory_failed;


/* The n-th allocation from now on fails, and "more" after it. */

static inline void
no_memory(long n, long more)
{
    no_memory_left = n;
    no_memory_more = more;
    no_memory_failed = 0;
}


/* Whether it came to that; from now on none fails. */

static inline int
no_memory_end(void)
{
    no_memory_left = 0;

    return no_memory_failed;
}


static inline int
no_memory_now(void)
{
    if (no_memory_left == 0 || --no_memory_left) {
        return 0;
    }

    if (no_memory_more) {
        no_memory_more--;
        no_memory_left = 1;
    }

    no_memory_failed = 1;
    errno = ENOMEM;

    return 1;
}


void *
malloc(size_t size)
{
    return no_memory_now() ? NULL : no_memory_libc(malloc)(size);
}


void *
calloc(size_t n, size_t size)
{
    return no_memory_now() ? NULL : no_memory_libc(calloc)(n, size);
}


void *
realloc(void *p, size_t size)
{
    return no_memory_now() ? NULL : no_memory_libc(realloc)(p, size);
}


#endif /* _NO_MEMORY_H_INCLUDED_ */
