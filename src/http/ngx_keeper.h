
/*
 * Copyright (C) The Optcache authors
 */


/*
 * One worker of all that share a memory does what needs to be done once a
 * host: whoever finds that nobody does takes it over.  A worker that leaves
 * gives it up; one that dies is not there any more, and one that hangs is found
 * out by its silence.
 */


#ifndef _NGX_KEEPER_H_INCLUDED_
#define _NGX_KEEPER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_shared_number.h"


/* in shared memory, zeroed at first */

typedef struct {
    ngx_atomic_t              pid;
    ngx_shared_number_t       beat;      /* ms, when it did so last */
} ngx_keeper_t;


/*
 * Whether this process is the keeper at "now", in milliseconds of a clock all
 * workers share; it may have become it just now.  To be called by all of them
 * again and again: who has not done so for "late" milliseconds is replaced.
 * Never a worker that is to exit.
 */

ngx_uint_t ngx_keeper_is(ngx_keeper_t *keeper, uint64_t now, uint64_t late);

/*
 * Whether there is one: it lives, and has called ngx_keeper_is() within "late"
 * milliseconds.
 */

ngx_uint_t ngx_keeper_there(ngx_keeper_t *keeper, uint64_t now,
    uint64_t late);

/* It is not any more. */

void ngx_keeper_leave(ngx_keeper_t *keeper);


#endif /* _NGX_KEEPER_H_INCLUDED_ */
