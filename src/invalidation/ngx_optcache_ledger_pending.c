
/*
 * Copyright (C) The Optcache authors
 */


/*
 * Events of this host that Redis does not have yet.  When there are too many,
 * the rest of them is one event: all.  "npending" counts those that are not
 * free; whoever comes after a worker that was killed meanwhile counts anew.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_optcache_ledger_shm.h"


/* what the compiler must not move stores across */

#define ngx_optcache_ledger_fence()  __atomic_signal_fence(__ATOMIC_SEQ_CST)


static void ngx_optcache_ledger_pending_set(ngx_optcache_ledger_shctx_t *sh,
    ngx_optcache_ledger_pending_t *p, ngx_optcache_ledger_state_e state);
static ngx_uint_t ngx_optcache_ledger_pending_n(
    ngx_optcache_ledger_shctx_t *sh);
static ngx_optcache_ledger_pending_t *ngx_optcache_ledger_pending_get(
    ngx_optcache_ledger_shctx_t *sh, ngx_optcache_ledger_ticket_t *ticket);
static ngx_uint_t ngx_optcache_ledger_pending_next(
    ngx_optcache_ledger_ticket_t *ticket);
static ngx_uint_t ngx_optcache_ledger_pending_due(
    ngx_optcache_ledger_pending_t *p, uint64_t before);


ngx_int_t
ngx_optcache_ledger_post(ngx_optcache_ledger_t *ledger,
    ngx_optcache_event_t *event, uint64_t now,
    ngx_optcache_ledger_ticket_t *ticket)
{
    ngx_uint_t                      i;
    ngx_optcache_ledger_shctx_t    *sh;
    ngx_optcache_ledger_pending_t  *p;

    sh = ledger->sh;

    ngx_shmtx_lock(&ledger->shpool->mutex);

    if (ngx_optcache_ledger_pending_n(sh) == NGX_OPTCACHE_LEDGER_PENDING) {

        p = &sh->overflow;

        p->mark = ngx_optcache_mark_all(0);
        p->number++;
        p->state = NGX_OPTCACHE_LEDGER_UNTOLD;

        ngx_shmtx_unlock(&ledger->shpool->mutex);

        return NGX_DECLINED;
    }

    i = sh->hint;

    while (sh->pending[i].state != NGX_OPTCACHE_LEDGER_FREE) {
        i = (i + 1) % NGX_OPTCACHE_LEDGER_PENDING;
    }

    p = &sh->pending[i];

    p->mark = event->mark;
    p->prefix = event->prefix;
    p->sent = now;
    p->number++;

    ngx_optcache_ledger_pending_set(sh, p, NGX_OPTCACHE_LEDGER_SENT);

    sh->hint = (i + 1) % NGX_OPTCACHE_LEDGER_PENDING;

    ticket->slot = i;
    ticket->number = p->number;

    ngx_shmtx_unlock(&ledger->shpool->mutex);

    return NGX_OK;
}


void
ngx_optcache_ledger_over(ngx_optcache_ledger_t *ledger,
    ngx_optcache_ledger_ticket_t *ticket)
{
    ngx_optcache_ledger_pending_t  *p;

    p = ngx_optcache_ledger_pending_get(ledger->sh, ticket);

    if (p && !ngx_optcache_ledger_follows(ledger)) {
        /* those who read another stream were not told */
        p->state = NGX_OPTCACHE_LEDGER_UNTOLD;

    } else if (p) {
        ngx_optcache_ledger_pending_set(ledger->sh, p,
                                        NGX_OPTCACHE_LEDGER_FREE);
    }
}


/* Makes one free, or one that is free something else. */

static void
ngx_optcache_ledger_pending_set(ngx_optcache_ledger_shctx_t *sh,
    ngx_optcache_ledger_pending_t *p, ngx_optcache_ledger_state_e state)
{
    ngx_uint_t  n;

    if (p == &sh->overflow) {
        p->state = state;
        return;
    }

    n = ngx_optcache_ledger_pending_n(sh);

    sh->counting = 1;
    ngx_optcache_ledger_fence();

    p->state = state;
    sh->npending = (state == NGX_OPTCACHE_LEDGER_FREE) ? n - 1 : n + 1;

    ngx_optcache_ledger_fence();
    sh->counting = 0;
}


static ngx_uint_t
ngx_optcache_ledger_pending_n(ngx_optcache_ledger_shctx_t *sh)
{
    ngx_uint_t  i, n;

    if (sh->counting) {

        for (i = 0, n = 0; i < NGX_OPTCACHE_LEDGER_PENDING; i++) {
            n += (sh->pending[i].state != NGX_OPTCACHE_LEDGER_FREE);
        }

        sh->npending = n;
        ngx_optcache_ledger_fence();

        sh->counting = 0;
    }

    return sh->npending;
}


void
ngx_optcache_ledger_untold(ngx_optcache_ledger_t *ledger,
    ngx_optcache_ledger_ticket_t *ticket)
{
    ngx_optcache_ledger_pending_t  *p;

    ngx_shmtx_lock(&ledger->shpool->mutex);

    p = ngx_optcache_ledger_pending_get(ledger->sh, ticket);

    if (p) {
        p->state = NGX_OPTCACHE_LEDGER_UNTOLD;
    }

    ngx_shmtx_unlock(&ledger->shpool->mutex);
}


/* What a slot that is free was used for last is still there. */

void
ngx_optcache_ledger_again(ngx_optcache_ledger_t *ledger, uint64_t since)
{
    ngx_uint_t                      i;
    ngx_optcache_ledger_shctx_t    *sh;
    ngx_optcache_ledger_pending_t  *p;

    sh = ledger->sh;

    ngx_shmtx_lock(&ledger->shpool->mutex);

    for (i = 0; i < NGX_OPTCACHE_LEDGER_PENDING; i++) {
        p = &sh->pending[i];

        if (p->state == NGX_OPTCACHE_LEDGER_FREE
            && p->number
            && p->sent >= since)
        {
            ngx_optcache_ledger_pending_set(sh, p, NGX_OPTCACHE_LEDGER_UNTOLD);
        }
    }

    ngx_shmtx_unlock(&ledger->shpool->mutex);
}


/* NULL: it was told already, and the slot may be that of another event. */

static ngx_optcache_ledger_pending_t *
ngx_optcache_ledger_pending_get(ngx_optcache_ledger_shctx_t *sh,
    ngx_optcache_ledger_ticket_t *ticket)
{
    ngx_optcache_ledger_pending_t  *p;

    p = (ticket->slot < NGX_OPTCACHE_LEDGER_PENDING)
        ? &sh->pending[ticket->slot] : &sh->overflow;

    if (p->number != ticket->number || p->state == NGX_OPTCACHE_LEDGER_FREE) {
        return NULL;
    }

    return p;
}


ngx_int_t
ngx_optcache_ledger_overdue(ngx_optcache_ledger_t *ledger, uint64_t now,
    uint64_t before, ngx_optcache_event_t *event,
    ngx_optcache_ledger_ticket_t *ticket)
{
    ngx_uint_t                      slot;
    ngx_optcache_ledger_shctx_t    *sh;
    ngx_optcache_ledger_pending_t  *p;

    sh = ledger->sh;

    ngx_shmtx_lock(&ledger->shpool->mutex);

    do {
        slot = ngx_optcache_ledger_pending_next(ticket);

        if (slot == NGX_OPTCACHE_LEDGER_FIRST) {
            ngx_shmtx_unlock(&ledger->shpool->mutex);
            return NGX_DECLINED;
        }

        ticket->slot = (uint32_t) slot;

        p = (slot < NGX_OPTCACHE_LEDGER_PENDING) ? &sh->pending[slot]
                                                 : &sh->overflow;

    } while (!ngx_optcache_ledger_pending_due(p, before));

    p->state = NGX_OPTCACHE_LEDGER_SENT;
    p->sent = now;

    event->mark = p->mark;
    event->prefix = p->prefix;
    event->soft = ngx_optcache_mark_soft(p->mark);

    ticket->number = p->number;

    ngx_shmtx_unlock(&ledger->shpool->mutex);

    return NGX_OK;
}


/*
 * The one that is all goes first: what the others are of is in force everywhere
 * then, and they need not be waited for.
 */

static ngx_uint_t
ngx_optcache_ledger_pending_next(ngx_optcache_ledger_ticket_t *ticket)
{
    switch (ticket->slot) {

    case NGX_OPTCACHE_LEDGER_FIRST:
        return NGX_OPTCACHE_LEDGER_PENDING;

    case NGX_OPTCACHE_LEDGER_PENDING:
        return 0;

    case NGX_OPTCACHE_LEDGER_PENDING - 1:
        return NGX_OPTCACHE_LEDGER_FIRST;

    default:
        return ticket->slot + 1;
    }
}


static ngx_uint_t
ngx_optcache_ledger_pending_due(ngx_optcache_ledger_pending_t *p,
    uint64_t before)
{
    return p->state == NGX_OPTCACHE_LEDGER_UNTOLD
           || (p->state == NGX_OPTCACHE_LEDGER_SENT && p->sent < before);
}


ngx_uint_t
ngx_optcache_ledger_pending(ngx_optcache_ledger_t *ledger)
{
    ngx_uint_t                    n;
    ngx_optcache_ledger_shctx_t  *sh;

    sh = ledger->sh;

    ngx_shmtx_lock(&ledger->shpool->mutex);

    n = ngx_optcache_ledger_pending_n(sh)
        + (sh->overflow.state != NGX_OPTCACHE_LEDGER_FREE);

    ngx_shmtx_unlock(&ledger->shpool->mutex);

    return n;
}


ngx_uint_t
ngx_optcache_ledger_refused(ngx_optcache_ledger_t *ledger)
{
    ngx_uint_t                    i, n, untold;
    ngx_optcache_ledger_shctx_t  *sh;

    sh = ledger->sh;

    ngx_shmtx_lock(&ledger->shpool->mutex);

    untold = (sh->overflow.state == NGX_OPTCACHE_LEDGER_UNTOLD);
    n = ngx_optcache_ledger_pending_n(sh);

    for (i = 0; n && i < NGX_OPTCACHE_LEDGER_PENDING; i++) {

        switch (sh->pending[i].state) {

        case NGX_OPTCACHE_LEDGER_FREE:
            continue;

        case NGX_OPTCACHE_LEDGER_UNTOLD:
            untold++;
            break;

        default: /* NGX_OPTCACHE_LEDGER_SENT */
            break;
        }

        n--;
    }

    ngx_shmtx_unlock(&ledger->shpool->mutex);

    return untold;
}


ngx_uint_t
ngx_optcache_ledger_awaits(ngx_optcache_ledger_shctx_t *sh, uint64_t mark)
{
    ngx_uint_t                      i, n;
    ngx_optcache_ledger_pending_t  *p;

    if (sh->overflow.state != NGX_OPTCACHE_LEDGER_FREE) {
        /* it may be one of those that there was no room for */
        return 1;
    }

    n = ngx_optcache_ledger_pending_n(sh);

    for (i = 0; n && i < NGX_OPTCACHE_LEDGER_PENDING; i++) {
        p = &sh->pending[i];

        if (p->state == NGX_OPTCACHE_LEDGER_FREE) {
            continue;
        }

        n--;

        if (p->mark == mark) {
            return 1;
        }
    }

    return 0;
}
