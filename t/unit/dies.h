
/*
 * Copyright (C) The Optcache authors
 */


/*
 * Workers that are killed at each store into shared memory in turn.  What a
 * child does to a memory that it may only read makes a signal, which counts,
 * lets the one instruction be done, and goes on; at the n-th it is the end.
 *
 *     dies_init(memory, size);
 *
 *     for (n = 1; dies(code, n); n++) {
 *         what is true of the memory now
 *     }
 *
 * dies() begins each time with the memory as it was at dies_init(), runs code()
 * in a child, and returns 1 if it was killed, 0 if it has come to its end.  As
 * the master does, it frees a mutex of "dies_pool" that the child had.  What
 * the child does in dies_begin() before is not counted.
 *
 * DIES is 0 where this cannot be done: then the tests are to be skipped.
 */


#ifndef _DIES_H_INCLUDED_
#define _DIES_H_INCLUDED_


#include <sys/mman.h>
#include <sys/wait.h>

#if (NGX_LINUX && defined(__x86_64__))

#include <ucontext.h>

#define DIES  1

#else

#define DIES  0

#endif


#if (DIES)

/* of the processor: to stop behind the next instruction */

#define DIES_TRAP  0x100


static u_char           *dies_memory, *dies_before;
static size_t            dies_size;
static ngx_uint_t        dies_left;
static ngx_slab_pool_t  *dies_pool;       /* NULL: none */
static void            (*dies_begin)(void);    /* NULL: nothing */


static void
dies_store_handler(int signo, siginfo_t *info, void *context)
{
    u_char      *p;
    ucontext_t  *uc = context;

    p = info->si_addr;

    if (p < dies_memory || p >= dies_memory + dies_size) {
        _exit(2);
    }

    /* the kernel writes to robust mutexes of one that is killed */

    (void) mprotect(dies_memory, dies_size, PROT_READ|PROT_WRITE);

    if (--dies_left == 0) {
        (void) kill(getpid(), SIGKILL);
    }

    uc->uc_mcontext.gregs[REG_EFL] |= DIES_TRAP;
}


static void
dies_trap_handler(int signo, siginfo_t *info, void *context)
{
    ucontext_t  *uc = context;

    uc->uc_mcontext.gregs[REG_EFL] &= ~DIES_TRAP;

    (void) mprotect(dies_memory, dies_size, PROT_READ);
}


static void
dies_child(void (*code)(void))
{
    struct sigaction  sa;

    ngx_pid = getpid();

    if (dies_begin) {
        dies_begin();
    }

    ngx_memzero(&sa, sizeof(struct sigaction));
    sa.sa_flags = SA_SIGINFO;

    sa.sa_sigaction = dies_store_handler;
    (void) sigaction(SIGSEGV, &sa, NULL);

    sa.sa_sigaction = dies_trap_handler;
    (void) sigaction(SIGTRAP, &sa, NULL);

    (void) mprotect(dies_memory, dies_size, PROT_READ);

    code();

    _exit(0);
}


static void
dies_init(void *memory, size_t size)
{
    dies_memory = memory;
    dies_size = size;

    free(dies_before);

    dies_before = malloc(size);
    assert_non_null(dies_before);

    ngx_memcpy(dies_before, memory, size);
}


static ngx_uint_t
dies(void (*code)(void), ngx_uint_t n)
{
    int    status;
    pid_t  pid;

    ngx_memcpy(dies_memory, dies_before, dies_size);

    dies_left = n;

    pid = fork();
    assert_true(pid != -1);

    if (pid == 0) {
        dies_child(code);
    }

    assert_int_equal(waitpid(pid, &status, 0), pid);

    if (dies_pool) {
        (void) ngx_shmtx_force_unlock(&dies_pool->mutex, pid);
    }

    if (WIFSIGNALED(status)) {
        assert_int_equal(WTERMSIG(status), SIGKILL);
        return 1;
    }

    assert_int_equal(status, 0);

    return 0;
}

#endif


/* A pool of so many bytes that children share. */

static ngx_inline ngx_slab_pool_t *
dies_pool_create(size_t size)
{
    void             *p;
    ngx_slab_pool_t  *shpool;

    p = mmap(NULL, size, PROT_READ|PROT_WRITE, MAP_ANON|MAP_SHARED, -1, 0);
    assert_ptr_not_equal(p, MAP_FAILED);

    shpool = p;
    shpool->end = (u_char *) p + size;
    shpool->min_shift = 3;
    shpool->addr = p;

    assert_int_equal(ngx_shmtx_create(&shpool->mutex, &shpool->lock, NULL),
                     NGX_OK);

    ngx_slab_init(shpool);
    shpool->log_nomem = 0;

    return shpool;
}


#endif /* _DIES_H_INCLUDED_ */
