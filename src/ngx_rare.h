
/*
 * Copyright (C) The Optcache authors
 */


/*
 * What few requests come to, and what most do, told to the compiler.  A request
 * runs through a thousand lines of code of 64 bytes, most of which the
 * processor has to fetch anew, as others have run meanwhile; it waits longer
 * for these than for its data.  So what is rare is kept apart from what is not:
 * it lies elsewhere, and the lines that all requests need have nothing in them
 * that they do not.  What most requests need lies together, in few pages.
 */


#ifndef _NGX_RARE_H_INCLUDED_
#define _NGX_RARE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * In the declaration of a function: it is rarely called, and so is whatever
 * leads to a call of it.  It is made small rather than fast.
 */

#define ngx_rare       __attribute__((cold))

/* Of one that is called, but need not lie in the midst of its caller. */

#define ngx_apart      __attribute__((noinline))

/*
 * Of one that most of those run through that are answered from the cache, or
 * stored.  A function that is inlined wherever it is called needs no such word.
 */

#define ngx_often      __attribute__((hot))

/*
 * A condition that rarely holds, or leads to more than most requests need; and
 * one that mostly does.  What always leads to a function that is rare needs no
 * such word.
 */

#define ngx_rarely(c)  __builtin_expect((c) != 0, 0)
#define ngx_mostly(c)  __builtin_expect((c) != 0, 1)


/* What is said in the log: an error, or a line for who debugs. */

ngx_rare void ngx_cdecl ngx_log_error_core(ngx_uint_t level, ngx_log_t *log,
    ngx_err_t err, const char *fmt, ...);


#endif /* _NGX_RARE_H_INCLUDED_ */
