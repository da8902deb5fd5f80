
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_limiter_local.h"
#include "ngx_token_digest.h"
#include "ngx_token_watch.h"


#define NGX_TOKEN_WATCH_MAGIC    0x6f707477      /* "optw" */
#define NGX_TOKEN_WATCH_VERSION  2

#define NGX_TOKEN_WATCH_TURN     250     /* ms, to see who listens */
#define NGX_TOKEN_WATCH_LATE     1000    /* ms, then another worker does */


/* what the compiler must not move stores across */

#define ngx_token_watch_fence()  __atomic_signal_fence(__ATOMIC_SEQ_CST)


typedef struct {
    uint64_t                  value;
    uint32_t                  epoch;
    uint32_t                  since;
} ngx_token_watch_entry_t;


static void ngx_token_watch_timer_handler(ngx_event_t *ev);
static void ngx_token_watch_up_handler(void *data, uint64_t *servers,
    ngx_uint_t n);
static void ngx_token_watch_down_handler(void *data);
static void ngx_token_watch_heard_handler(void *data, ngx_msec_t age);
static void ngx_token_watch_changed_handler(void *data, ngx_str_t *key);
static void ngx_token_watch_keep(ngx_token_watch_entry_t *entry,
    uint32_t epoch, ngx_uint_t since, uint64_t value);
static ngx_uint_t ngx_token_watch_reports(ngx_token_watch_shm_t *shm,
    uint64_t server);
static ngx_uint_t ngx_token_watch_trusted(ngx_token_watch_t *watch);
static ngx_uint_t ngx_token_watch_kind(const u_char *digest);
static void ngx_token_watch_key(ngx_str_t *key, u_char *buf,
    const u_char *digest);


static ngx_redis_tracking_handlers_t  ngx_token_watch_handlers = {
    ngx_token_watch_up_handler,
    ngx_token_watch_down_handler,
    ngx_token_watch_changed_handler,
    ngx_token_watch_heard_handler
};


ngx_int_t
ngx_token_watch_init(ngx_slab_pool_t *shpool, ngx_log_t *log)
{
    ngx_token_watch_shm_t  *shm;

    shm = shpool->data;

    if (shm) {

        if (shm->magic == NGX_TOKEN_WATCH_MAGIC
            && shm->version == NGX_TOKEN_WATCH_VERSION)
        {
            return NGX_OK;
        }

        ngx_log_error(NGX_LOG_EMERG, log, 0,
                      "the zone of watched tokens was laid out by another "
                      "version of the module, nginx must be restarted");
        return NGX_ERROR;
    }

    shm = ngx_slab_calloc(shpool, sizeof(ngx_token_watch_shm_t));
    if (shm == NULL) {
        return NGX_ERROR;
    }

    shm->magic = NGX_TOKEN_WATCH_MAGIC;
    shm->version = NGX_TOKEN_WATCH_VERSION;
    shm->epoch = 1;

    shpool->data = shm;

    return NGX_OK;
}


ngx_token_watch_t *
ngx_token_watch_create(ngx_cycle_t *cycle, ngx_slab_pool_t *own,
    ngx_slab_pool_t *shpool, ngx_limiter_table_t *table,
    ngx_limiter_table_t *revoked, ngx_redis_conf_t *conf, ngx_str_t *prefixes,
    ngx_uint_t n)
{
    ngx_token_watch_t  *watch;

    watch = ngx_pcalloc(cycle->pool, sizeof(ngx_token_watch_t));
    if (watch == NULL) {
        return NULL;
    }

    watch->shm = own->data;
    watch->shpool = shpool;
    watch->table = table;
    watch->revoked = revoked;
    watch->log = cycle->log;

    watch->tracker = ngx_redis_tracker_create(cycle, conf, prefixes, n,
                                              &ngx_token_watch_handlers,
                                              watch);
    if (watch->tracker == NULL) {
        return NULL;
    }

    watch->timer.handler = ngx_token_watch_timer_handler;
    watch->timer.data = watch;
    watch->timer.log = cycle->log;
    watch->timer.cancelable = 1;

    ngx_add_timer(&watch->timer, 1 + ngx_worker * 10 % 100);

    return watch;
}


void
ngx_token_watch_close(ngx_token_watch_t *watch)
{
    if (watch->timer.timer_set) {
        ngx_del_timer(&watch->timer);
    }

    ngx_redis_tracker_close(watch->tracker);
    ngx_keeper_leave(&watch->shm->keeper);
}


static void
ngx_token_watch_timer_handler(ngx_event_t *ev)
{
    ngx_token_watch_t  *watch;

    watch = ev->data;

    if (ngx_keeper_is(&watch->shm->keeper, ngx_limiter_local_now(),
                      NGX_TOKEN_WATCH_LATE))
    {
        ngx_redis_tracker_open(watch->tracker);

    } else {
        ngx_redis_tracker_close(watch->tracker);
    }

    if (!ngx_exiting) {
        ngx_add_timer(&watch->timer, NGX_TOKEN_WATCH_TURN);
    }
}


/*
 * Nothing is known of the time before.  Two listeners at once, of which one
 * was thought to be gone, spoil each other's promises but never keep one that
 * is broken: each end of a promise begins another epoch.
 */

static void
ngx_token_watch_up_handler(void *data, uint64_t *servers, ngx_uint_t n)
{
    ngx_token_watch_t *watch = data;

    ngx_token_watch_shm_t  *shm;

    shm = watch->shm;

    ngx_shmtx_lock(&watch->shpool->mutex);

    shm->nservers = ngx_min(n, NGX_REDIS_CLUSTER_MAX_MEMBERS);
    ngx_memcpy(shm->servers, servers, shm->nservers * sizeof(uint64_t));

    (void) ngx_atomic_fetch_add(&shm->epoch, 1);

    ngx_shmtx_unlock(&watch->shpool->mutex);

    ngx_shared_number_set(&shm->heard, 0);
    ngx_memory_barrier();
    shm->up = ngx_pid;
}


static void
ngx_token_watch_down_handler(void *data)
{
    ngx_token_watch_t *watch = data;

    (void) ngx_atomic_cmp_set(&watch->shm->up, ngx_pid, 0);
    (void) ngx_atomic_fetch_add(&watch->shm->epoch, 1);
}


static void
ngx_token_watch_heard_handler(void *data, ngx_msec_t age)
{
    ngx_token_watch_t *watch = data;

    if (watch->shm->up == (ngx_atomic_uint_t) ngx_pid) {
        ngx_shared_number_set(&watch->shm->heard,
                              ngx_limiter_local_now() - age);
    }
}


static void
ngx_token_watch_changed_handler(void *data, ngx_str_t *key)
{
    ngx_token_watch_t *watch = data;

    u_char     digest[NGX_TOKEN_DIGEST], buf[1 + NGX_TOKEN_DIGEST];
    ngx_str_t  slot;

    if (key == NULL) {
        (void) ngx_atomic_fetch_add(&watch->shm->epoch, 1);
        return;
    }

    ngx_token_digest(key, digest);
    ngx_token_watch_key(&slot, buf, digest);

    (void) ngx_atomic_fetch_add(
                      &watch->shm->changes[ngx_token_watch_kind(digest)], 1);

    ngx_shmtx_lock(&watch->shpool->mutex);
    ngx_limiter_table_remove(watch->table, &slot);
    ngx_shmtx_unlock(&watch->shpool->mutex);
}


uint64_t
ngx_token_watch_lookup(ngx_token_watch_t *watch, u_char *digest,
    ngx_uint_t since)
{
    u_char                    buf[1 + NGX_TOKEN_DIGEST];
    uint64_t                  value;
    ngx_str_t                 slot;
    ngx_token_watch_entry_t  *entry;

    if (!ngx_token_watch_trusted(watch)) {
        return NGX_TOKEN_WATCH_NONE;
    }

    ngx_token_watch_key(&slot, buf, digest);
    value = NGX_TOKEN_WATCH_NONE;

    ngx_shmtx_lock(&watch->shpool->mutex);

    entry = ngx_limiter_table_lookup(watch->table, &slot);

    if (entry
        && entry->epoch == (uint32_t) watch->shm->epoch
        && entry->since == since)
    {
        value = entry->value;
    }

    ngx_shmtx_unlock(&watch->shpool->mutex);

    return value;
}


void
ngx_token_watch_note(ngx_token_watch_t *watch, u_char *digest,
    ngx_token_watch_note_t *note)
{
    note->trusted = ngx_token_watch_trusted(watch);
    note->epoch = watch->shm->epoch;
    note->changes = watch->shm->changes[ngx_token_watch_kind(digest)];
}


void
ngx_token_watch_store(ngx_token_watch_t *watch, u_char *digest,
    const ngx_token_watch_note_t *note, uint64_t server, ngx_uint_t since,
    uint64_t value)
{
    u_char                    buf[1 + NGX_TOKEN_DIGEST];
    ngx_str_t                 slot, revoked;
    ngx_token_watch_entry_t  *entry;

    if (!note->trusted || !ngx_token_watch_trusted(watch)) {
        return;
    }

    ngx_token_watch_key(&slot, buf, digest);

    revoked.data = digest;
    revoked.len = NGX_TOKEN_DIGEST;

    ngx_shmtx_lock(&watch->shpool->mutex);

    if (note->epoch == watch->shm->epoch
        && note->changes
           == watch->shm->changes[ngx_token_watch_kind(digest)]
        && ngx_token_watch_reports(watch->shm, server)
        && ngx_limiter_table_lookup(watch->revoked, &revoked) == NULL)
    {
        entry = ngx_limiter_table_insert(watch->table, &slot);

        ngx_token_watch_keep(entry, (uint32_t) note->epoch, since, value);
    }

    ngx_shmtx_unlock(&watch->shpool->mutex);
}


/* Whoever dies here leaves an answer of no epoch, and not the half of one. */

static void
ngx_token_watch_keep(ngx_token_watch_entry_t *entry, uint32_t epoch,
    ngx_uint_t since, uint64_t value)
{
    entry->epoch = 0;
    ngx_token_watch_fence();

    entry->value = value;
    entry->since = (uint32_t) since;

    ngx_token_watch_fence();
    entry->epoch = epoch;
}


/*
 * A worker may still ask a server that is not the master any more, or another
 * of several addresses.
 */

static ngx_uint_t
ngx_token_watch_reports(ngx_token_watch_shm_t *shm, uint64_t server)
{
    ngx_uint_t  i;

    for (i = 0; i < shm->nservers; i++) {
        if (shm->servers[i] == server) {
            return 1;
        }
    }

    return 0;
}


/* Whether changes are reported now. */

static ngx_uint_t
ngx_token_watch_trusted(ngx_token_watch_t *watch)
{
    uint64_t                heard;
    ngx_token_watch_shm_t  *shm;

    shm = watch->shm;

    /* of this listener, not of one before; and before the time is looked at */

    if (!__atomic_load_n(&shm->up, __ATOMIC_ACQUIRE)) {
        return 0;
    }

    heard = ngx_shared_number_get(&shm->heard);

    return ngx_limiter_local_now() - heard < NGX_REDIS_TRACKING_TRUST;
}


static ngx_uint_t
ngx_token_watch_kind(const u_char *digest)
{
    return (digest[0] << 8 | digest[1]) % NGX_TOKEN_WATCH_KINDS;
}


static void
ngx_token_watch_key(ngx_str_t *key, u_char *buf, const u_char *digest)
{
    buf[0] = 'w';
    ngx_memcpy(&buf[1], digest, NGX_TOKEN_DIGEST);

    key->data = buf;
    key->len = 1 + NGX_TOKEN_DIGEST;
}


void
ngx_token_watch_forget(ngx_token_watch_t *watch, u_char *digest)
{
    u_char     buf[1 + NGX_TOKEN_DIGEST];
    ngx_str_t  slot;

    ngx_token_watch_key(&slot, buf, digest);

    ngx_limiter_table_remove(watch->table, &slot);
}
