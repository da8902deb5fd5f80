
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_optcache_l1.h"
#include "ngx_optcache_l1_shm.h"


/* pins that are allocated at once, bytes */

#define NGX_OPTCACHE_L1_PINS  1024


static const char *ngx_optcache_l1_worker_start(ngx_optcache_l1_t *l1);
static ngx_optcache_l1_slot_t *ngx_optcache_l1_worker_slot(
    ngx_optcache_l1_shctx_t *sh);
static ngx_int_t ngx_optcache_l1_worker_pins(ngx_optcache_l1_t *l1);
static void ngx_optcache_l1_worker_release(ngx_optcache_l1_shctx_t *sh,
    ngx_optcache_l1_slot_t *slot);
static void ngx_optcache_l1_worker_release_pins(ngx_optcache_l1_shctx_t *sh,
    ngx_optcache_l1_ref_t pins);


ngx_int_t
ngx_optcache_l1_attach(ngx_optcache_l1_t *l1, ngx_log_t *log)
{
    const char  *why;

    why = ngx_optcache_l1_worker_start(l1);

    if (why) {
        ngx_log_error(NGX_LOG_CRIT, log, 0,
                      "optcache zone \"%V\" %s, this worker does not use it "
                      "for now", &l1->name, why);
        return NGX_ERROR;
    }

    return NGX_OK;
}


void
ngx_optcache_l1_attach_late(ngx_optcache_l1_t *l1, ngx_log_t *log)
{
    if (l1->tried == ngx_time()) {
        return;
    }

    l1->tried = ngx_time();

    if (ngx_optcache_l1_worker_start(l1) == NULL) {
        ngx_log_error(NGX_LOG_NOTICE, log, 0,
                      "optcache zone \"%V\" is used by this worker from now "
                      "on", &l1->name);
    }
}


/* NULL, or why this worker cannot use the zone */

static const char *
ngx_optcache_l1_worker_start(ngx_optcache_l1_t *l1)
{
    l1->pins = NULL;
    l1->slot = ngx_optcache_l1_worker_slot(l1->sh);

    if (l1->slot == NULL) {
        return "has too many workers";
    }

    if (ngx_optcache_l1_worker_pins(l1) != NGX_OK) {
        ngx_optcache_l1_detach(l1);
        return "has no room that is not being read";
    }

    return NULL;
}


/* A slot for this worker; gives back what workers that died had. */

static ngx_optcache_l1_slot_t *
ngx_optcache_l1_worker_slot(ngx_optcache_l1_shctx_t *sh)
{
    ngx_uint_t               i;
    ngx_optcache_l1_slot_t  *slot, *own;

    own = NULL;

    for (i = 0; i < sh->nslots; i++) {
        slot = &sh->slots[i];

        switch (pthread_mutex_trylock(&slot->lock)) {

        case 0:
            break;

        case EOWNERDEAD:
            ngx_optcache_l1_worker_release(sh, slot);
            (void) pthread_mutex_consistent(&slot->lock);
            break;

        default: /* EBUSY: it lives */
            continue;
        }

        if (own == NULL) {
            own = slot;

        } else {
            ngx_optcache_l1_unlock(&slot->lock);
        }
    }

    return own;
}


ngx_uint_t
ngx_optcache_l1_alive(ngx_optcache_l1_t *l1, ngx_uint_t i)
{
    ngx_optcache_l1_slot_t  *slot;

    slot = &l1->sh->slots[i];

    switch (pthread_mutex_trylock(&slot->lock)) {

    case 0:
        break;

    case EOWNERDEAD:
        ngx_optcache_l1_worker_release(l1->sh, slot);
        (void) pthread_mutex_consistent(&slot->lock);
        break;

    default: /* EBUSY: it lives, it may be this worker's */
        return 1;
    }

    ngx_optcache_l1_unlock(&slot->lock);

    return 0;
}


void
ngx_optcache_l1_detach(ngx_optcache_l1_t *l1)
{
    if (l1->slot == NULL) {
        return;
    }

    ngx_optcache_l1_worker_release(l1->sh, l1->slot);
    ngx_optcache_l1_unlock(&l1->slot->lock);

    l1->slot = NULL;
    l1->pins = NULL;
}


static void
ngx_optcache_l1_worker_release(ngx_optcache_l1_shctx_t *sh,
    ngx_optcache_l1_slot_t *slot)
{
    uint32_t               cell;
    ngx_uint_t             changed;
    ngx_optcache_l1_ref_t  pins;

    /* what it led, it leads no more */

    slot->generation++;

    /* first what takes the lock of a shard */

    ngx_optcache_l1_worker_release_pins(sh, slot->pins);

    ngx_optcache_l1_mem_lock(sh);

    cell = slot->building;

    if (cell && ngx_optcache_l1_mem_builds(sh, slot - sh->slots, cell)) {
        ngx_optcache_l1_mem_free_node(sh, cell);
    }

    slot->building = 0;

    pins = slot->pins;
    ngx_optcache_l1_set(&slot->pins, 0);

    ngx_optcache_l1_fence();

    changed = 0;

    ngx_optcache_l1_page_free(sh, pins, &changed);
    ngx_optcache_l1_page_free_done(sh, changed);

    ngx_optcache_l1_unlock(&sh->lock);
}


static void
ngx_optcache_l1_worker_release_pins(ngx_optcache_l1_shctx_t *sh,
    ngx_optcache_l1_ref_t pins)
{
    size_t                    size;
    uint32_t                  cell;
    ngx_optcache_l1_pin_t    *pin, *last;
    ngx_optcache_l1_shard_t  *shard;

    while (pins) {
        pin = (ngx_optcache_l1_pin_t *)
                  ngx_optcache_l1_piece(sh, &pins, &size);
        last = pin + size / sizeof(ngx_optcache_l1_pin_t);

        for ( /* void */ ; pin < last; pin++) {
            cell = ngx_optcache_l1_pinned(ngx_optcache_l1_get(pin));

            if (cell == 0) {
                continue;
            }

            shard = ngx_optcache_l1_shard_lock(sh,
                                      ngx_optcache_l1_node(sh, cell)->shard);

            ngx_optcache_l1_shard_unpin(sh, cell, pin);

            ngx_optcache_l1_unlock(&shard->lock);
        }
    }
}


ngx_optcache_l1_pin_t *
ngx_optcache_l1_worker_pin(ngx_optcache_l1_t *l1)
{
    ngx_optcache_l1_pin_t  *pin;

    if (l1->pins == NULL && ngx_optcache_l1_worker_pins(l1) != NGX_OK) {
        return NULL;
    }

    pin = l1->pins;
    l1->pins = ngx_optcache_l1_pin_next(*pin);

    return pin;
}


void
ngx_optcache_l1_worker_unpin(ngx_optcache_l1_t *l1,
    ngx_optcache_l1_pin_t *pin)
{
    ngx_optcache_l1_set(pin, ngx_optcache_l1_pin_unused(l1->pins));
    l1->pins = pin;
}


static ngx_int_t
ngx_optcache_l1_worker_pins(ngx_optcache_l1_t *l1)
{
    size_t                  size;
    ngx_int_t               rc;
    ngx_optcache_l1_ref_t   pins;
    ngx_optcache_l1_pin_t  *pin;

    for ( ;; ) {
        ngx_optcache_l1_mem_lock(l1->sh);

        rc = ngx_optcache_l1_mem_pins(l1->sh, l1->slot, NGX_OPTCACHE_L1_PINS);

        ngx_optcache_l1_unlock(&l1->sh->lock);

        if (rc == NGX_OK) {
            break;
        }

        if (ngx_optcache_l1_queue_evict(l1->sh, &l1->next, 1) == 0) {
            return NGX_ERROR;
        }
    }

    pins = l1->slot->pins;
    pin = (ngx_optcache_l1_pin_t *)
              ngx_optcache_l1_piece(l1->sh, &pins, &size);

    while (size >= sizeof(ngx_optcache_l1_pin_t)) {
        ngx_optcache_l1_worker_unpin(l1, pin++);
        size -= sizeof(ngx_optcache_l1_pin_t);
    }

    return NGX_OK;
}
