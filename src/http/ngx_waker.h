
/*
 * Copyright (C) The Optcache authors
 */


/*
 * One worker wakes another of the same host.  The master makes a number of
 * eventfds, which all workers inherit, those of later generations, too.  A
 * worker takes one of them, listens to it, and is found by its number:
 *
 *     slot      a lock that is held as long as the worker lives
 *               the eventfd
 *               reasons, 64 bits: why it is woken, until it has looked
 *
 * Who sets the first reason writes to the eventfd; more of them cost nothing.
 * A worker that is killed between the two leaves a reason without a word:
 * whoever waits has to have a timer, too, and look by itself what has become of
 * what it waits for.
 */


#ifndef _NGX_WAKER_H_INCLUDED_
#define _NGX_WAKER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_rare.h"


/* workers of all generations that can be woken, at most */

#define NGX_WAKER_SLOTS  256


typedef struct ngx_waker_s  ngx_waker_t;

/*
 * Called in the worker that is woken, from its event loop, with all reasons
 * that were given since the last call.
 */

typedef void (*ngx_waker_handler_pt)(uint64_t reasons);


/*
 * To be called for each cycle (init_module) with the same place, which is
 * NULL at first: makes the waker, or keeps the one that is there.  It goes
 * when the last of these cycles does, and *place is NULL again.
 *
 * Returns NGX_ERROR when out of memory.  That no eventfds can be had is
 * logged, and then nobody gets a number.
 */

ngx_int_t ngx_waker_init(ngx_waker_t **place, ngx_cycle_t *cycle);

/*
 * Gives this worker a number, and listens (init_process).  NGX_DECLINED: all
 * are taken; the worker can be woken by itself only.
 */

ngx_int_t ngx_waker_attach(ngx_waker_t *w, ngx_cycle_t *cycle,
    ngx_waker_handler_pt handler);

/* Listens no more and gives the number back (exit_process). */

void ngx_waker_detach(ngx_waker_t *w);

/* The number of this worker, less than NGX_WAKER_SLOTS; -1: none. */

ngx_int_t ngx_waker_number(ngx_waker_t *w);

/* Wakes worker "number", for one reason at least. */

ngx_rare void ngx_waker_wake(ngx_waker_t *w, ngx_uint_t number,
    uint64_t reasons);

/* Wakes this worker, when it has done what it is doing; number or not. */

ngx_rare void ngx_waker_wake_self(ngx_waker_t *w, uint64_t reasons);

#endif /* _NGX_WAKER_H_INCLUDED_ */
