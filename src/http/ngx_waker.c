
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include <pthread.h>

#if (NGX_HAVE_EVENTFD)
#include <sys/eventfd.h>
#endif

#include "ngx_waker.h"


/* generations of workers that live at once: those of a reload, and older */

#define NGX_WAKER_GENERATIONS  4
#define NGX_WAKER_SLOTS_MIN    32

/* one file of so many that a process may have open is an eventfd, at most */

#define NGX_WAKER_FILES        4


/* in shared memory; a pair of them must not share a cache line */

typedef struct {
    pthread_mutex_t           lock;       /* held as long as it lives */
    uint64_t                  reasons;
    ngx_fd_t                  fd;
    u_char                    unused[64 - sizeof(pthread_mutex_t)
                                     - sizeof(uint64_t) - sizeof(ngx_fd_t)];
} ngx_waker_slot_t;


struct ngx_waker_s {
    ngx_shm_t                 shm;
    ngx_waker_slot_t         *slots;
    ngx_uint_t                nslots;
    ngx_uint_t                cycles;     /* that use it */
    ngx_waker_t             **place;

    /* of this worker */

    ngx_int_t                 number;
    uint64_t                  reasons;    /* by itself */
    ngx_connection_t         *connection;
    ngx_event_t               event;
    ngx_waker_handler_pt      handler;
};


static ngx_waker_t *ngx_waker_create(ngx_cycle_t *cycle);
static ngx_uint_t ngx_waker_room(ngx_uint_t n);
static ngx_int_t ngx_waker_create_slot(ngx_waker_t *w);
static ngx_fd_t ngx_waker_create_fd(void);
static void ngx_waker_cleanup(void *data);
static void ngx_waker_free(ngx_waker_t *w);
static ngx_int_t ngx_waker_take_slot(ngx_waker_t *w);
static ngx_int_t ngx_waker_listen(ngx_waker_t *w, ngx_cycle_t *cycle);
static void ngx_waker_read_handler(ngx_event_t *rev);
static void ngx_waker_posted_handler(ngx_event_t *ev);
static void ngx_waker_look(ngx_waker_t *w);


ngx_int_t
ngx_waker_init(ngx_waker_t **place, ngx_cycle_t *cycle)
{
    ngx_pool_cleanup_t  *cln;

    cln = ngx_pool_cleanup_add(cycle->pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    if (*place == NULL) {
        *place = ngx_waker_create(cycle);

        if (*place == NULL) {
            return NGX_ERROR;
        }

        (*place)->place = place;
    }

    (*place)->cycles++;

    cln->handler = ngx_waker_cleanup;
    cln->data = *place;

    return NGX_OK;
}


static ngx_waker_t *
ngx_waker_create(ngx_cycle_t *cycle)
{
    ngx_uint_t        n, room;
    ngx_waker_t      *w;
    ngx_core_conf_t  *ccf;

    w = ngx_calloc(sizeof(ngx_waker_t), cycle->log);
    if (w == NULL) {
        return NULL;
    }

    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);

    n = (ngx_uint_t) ngx_max(ccf->worker_processes, 1);
    n = ngx_min(n, NGX_WAKER_SLOTS) * NGX_WAKER_GENERATIONS;
    n = ngx_max(n, NGX_WAKER_SLOTS_MIN);
    n = ngx_min(n, NGX_WAKER_SLOTS);

    w->number = -1;
    w->shm.size = n * sizeof(ngx_waker_slot_t);
    w->shm.log = cycle->log;
    ngx_str_set(&w->shm.name, "waker");

    if (ngx_shm_alloc(&w->shm) != NGX_OK) {
        ngx_free(w);
        return NULL;
    }

    w->slots = (ngx_waker_slot_t *) w->shm.addr;

    room = ngx_waker_room(n);
    ngx_set_errno(0);

    while (w->nslots < room && ngx_waker_create_slot(w) == NGX_OK) {
        /* void */
    }

    if (w->nslots < n) {
        ngx_log_error(NGX_LOG_WARN, cycle->log, ngx_errno,
                      "only %ui of %ui eventfds could be made by which "
                      "workers wake each other", w->nslots, n);
    }

    return w;
}


/* The master needs files besides, and workers, which have these as well. */

static ngx_uint_t
ngx_waker_room(ngx_uint_t n)
{
    struct rlimit  limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == -1) {
        return n;
    }

    return ngx_min(n, limit.rlim_cur / NGX_WAKER_FILES);
}


/* one more */

static ngx_int_t
ngx_waker_create_slot(ngx_waker_t *w)
{
    ngx_int_t             rc;
    ngx_waker_slot_t     *slot;
    pthread_mutexattr_t   attr;

    slot = &w->slots[w->nslots];

    if (pthread_mutexattr_init(&attr) != 0) {
        return NGX_ERROR;
    }

    rc = NGX_ERROR;

    if (pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED) == 0
        && pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST) == 0
        && pthread_mutex_init(&slot->lock, &attr) == 0)
    {
        slot->fd = ngx_waker_create_fd();

        if (slot->fd != NGX_INVALID_FILE) {
            w->nslots++;
            rc = NGX_OK;
        }
    }

    (void) pthread_mutexattr_destroy(&attr);

    return rc;
}


static ngx_fd_t
ngx_waker_create_fd(void)
{
#if (NGX_HAVE_EVENTFD)
    return eventfd(0, EFD_NONBLOCK|EFD_CLOEXEC);
#else
    ngx_set_errno(NGX_ENOSYS);
    return NGX_INVALID_FILE;
#endif
}


static void
ngx_waker_cleanup(void *data)
{
    ngx_waker_t  *w = data;

    if (--w->cycles == 0) {
        ngx_waker_free(w);
    }
}


static void
ngx_waker_free(ngx_waker_t *w)
{
    ngx_uint_t  i;

    ngx_waker_detach(w);

    for (i = 0; i < w->nslots; i++) {
        (void) ngx_close_file(w->slots[i].fd);
    }

    w->shm.log = ngx_cycle->log;
    ngx_shm_free(&w->shm);

    *w->place = NULL;
    ngx_free(w);
}


ngx_int_t
ngx_waker_attach(ngx_waker_t *w, ngx_cycle_t *cycle,
    ngx_waker_handler_pt handler)
{
    w->handler = handler;
    w->reasons = 0;

    ngx_memzero(&w->event, sizeof(ngx_event_t));

    w->event.handler = ngx_waker_posted_handler;
    w->event.data = w;
    w->event.log = cycle->log;

    w->number = ngx_waker_take_slot(w);

    if (w->number == -1) {
        return NGX_DECLINED;
    }

    if (ngx_waker_listen(w, cycle) != NGX_OK) {
        ngx_waker_detach(w);
        return NGX_DECLINED;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_waker_take_slot(ngx_waker_t *w)
{
    ngx_uint_t         i;
    ngx_waker_slot_t  *slot;

    for (i = 0; i < w->nslots; i++) {
        slot = &w->slots[i];

        switch (pthread_mutex_trylock(&slot->lock)) {

        case EOWNERDEAD:
            (void) pthread_mutex_consistent(&slot->lock);
            break;

        case 0:
            break;

        default: /* EBUSY: it lives */
            continue;
        }

        __atomic_store_n(&slot->reasons, 0, __ATOMIC_SEQ_CST);

        return i;
    }

    return -1;
}


static ngx_int_t
ngx_waker_listen(ngx_waker_t *w, ngx_cycle_t *cycle)
{
    ngx_connection_t  *c;

    c = ngx_get_connection(w->slots[w->number].fd, cycle->log);
    if (c == NULL) {
        return NGX_ERROR;
    }

    c->data = w;
    c->read->handler = ngx_waker_read_handler;
    c->read->log = cycle->log;
    c->write->log = cycle->log;

    if (ngx_add_event(c->read, NGX_READ_EVENT, 0) != NGX_OK) {
        ngx_free_connection(c);
        c->fd = (ngx_socket_t) -1;
        return NGX_ERROR;
    }

    w->connection = c;

    return NGX_OK;
}


void
ngx_waker_detach(ngx_waker_t *w)
{
    ngx_connection_t  *c;

    if (w->event.posted) {
        ngx_delete_posted_event(&w->event);
    }

    w->event.handler = NULL;

    c = w->connection;

    if (c) {
        w->connection = NULL;

        /* the eventfd stays open: others write to it, who gets it reads */

        if (c->read->active) {
            (void) ngx_del_event(c->read, NGX_READ_EVENT, 0);
        }

        if (c->read->posted) {
            ngx_delete_posted_event(c->read);
        }

        ngx_free_connection(c);
        c->fd = (ngx_socket_t) -1;
    }

    if (w->number != -1) {
        (void) pthread_mutex_unlock(&w->slots[w->number].lock);
        w->number = -1;
    }
}


ngx_int_t
ngx_waker_number(ngx_waker_t *w)
{
    return w->number;
}


void
ngx_waker_wake(ngx_waker_t *w, ngx_uint_t number, uint64_t reasons)
{
    uint64_t           one;
    ngx_waker_slot_t  *slot;

    if ((ngx_int_t) number == w->number) {
        ngx_waker_wake_self(w, reasons);
        return;
    }

    if (number >= w->nslots) {
        return;
    }

    slot = &w->slots[number];

    /* what there is to see was written before, and is seen after */

    if (__atomic_fetch_or(&slot->reasons, reasons, __ATOMIC_SEQ_CST) == 0) {
        one = 1;

        /* it fails with EAGAIN only, when there is enough to be read */
        (void) ngx_write_fd(slot->fd, &one, sizeof(uint64_t));
    }
}


void
ngx_waker_wake_self(ngx_waker_t *w, uint64_t reasons)
{
    w->reasons |= reasons;

    if (w->event.handler) {
        ngx_post_event(&w->event, &ngx_posted_events);
    }
}


static void
ngx_waker_read_handler(ngx_event_t *rev)
{
    uint64_t           n;
    ngx_waker_t       *w;
    ngx_connection_t  *c;

    c = rev->data;
    w = c->data;

    if (ngx_read_fd(c->fd, &n, sizeof(uint64_t)) == -1) {
        /* of one whose number this was: there may be a reason all the same */
        ngx_log_debug0(NGX_LOG_DEBUG_CORE, rev->log, ngx_errno,
                       "waker has nothing to read");
    }

    ngx_waker_look(w);
}


static void
ngx_waker_posted_handler(ngx_event_t *ev)
{
    ngx_waker_look(ev->data);
}


/* Calls the handler if there is a reason. */

static void
ngx_waker_look(ngx_waker_t *w)
{
    uint64_t  reasons;

    reasons = w->reasons;
    w->reasons = 0;

    if (w->number != -1) {
        reasons |= __atomic_exchange_n(&w->slots[w->number].reasons, 0,
                                       __ATOMIC_SEQ_CST);
    }

    if (reasons) {
        w->handler(reasons);
    }
}
