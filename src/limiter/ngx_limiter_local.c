
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_limiter_local.h"


/* so many records fit before a reload with more rates forgets what is known */
#define NGX_LIMITER_LOCAL_RECORDS  3

/* rates from variables: those of one plan beside those of another */
#define NGX_LIMITER_LOCAL_VARIABLE  4


typedef struct {
    uint32_t                  lease;
    uint32_t                  lease_end;
    uint32_t                  told;
    uint16_t                  era;
    uint16_t                  refill:12;
    uint16_t                  life:4;
} ngx_limiter_local_head_t;


typedef struct {
    uint32_t                  period;
    uint64_t                  used:48;
    uint64_t                  own:48;
    uint64_t                  time:48;
    uint64_t                  told:48;
} __attribute__((packed)) ngx_limiter_local_record_t;


typedef struct {
    uint32_t                  period;
    uint32_t                  prev;
    uint32_t                  own_prev;
    uint64_t                  used:43;
    uint64_t                  own:43;
    uint64_t                  time:41;
    uint64_t                  told:24;
    uint64_t                  prev_told:1;
} __attribute__((packed)) ngx_limiter_local_sliding_t;


#define NGX_LIMITER_LOCAL_COUNT  (((uint64_t) 1 << 43) - 1)
#define NGX_LIMITER_LOCAL_TOLD   (((uint64_t) 1 << 24) - 1)

/* what the compiler must not move stores across */

#define ngx_limiter_local_fence()  __atomic_signal_fence(__ATOMIC_SEQ_CST)


static void ngx_limiter_local_head(void *payload, ngx_limiter_entry_t *entry);
static void ngx_limiter_local_records(ngx_limiter_zone_t *zone, void *payload,
    ngx_limiter_state_t *state);
static ngx_uint_t ngx_limiter_local_nrecords(size_t payload,
    ngx_uint_t algorithm);
static size_t ngx_limiter_local_stride(ngx_uint_t algorithm);
static void ngx_limiter_local_read(ngx_limiter_record_t *record,
    const u_char *p, ngx_uint_t algorithm);
static void ngx_limiter_local_write(u_char *p,
    const ngx_limiter_record_t *record, ngx_uint_t algorithm);
static void ngx_limiter_local_write_sliding(u_char *p,
    const ngx_limiter_record_t *record);
static size_t ngx_limiter_local_payload(ngx_limiter_zone_t *zone);


uint64_t
ngx_limiter_local_now(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return (uint64_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}


ngx_int_t
ngx_limiter_local_init(ngx_limiter_zone_t *zone, ngx_log_t *log)
{
    size_t                payload;
    ngx_limiter_table_t  *table;

    payload = ngx_limiter_local_payload(zone);
    table = zone->shpool->data;

    if (table == NULL) {

        table = ngx_limiter_table_create(zone->shpool, 0, payload,
                                         "ratelimit_redis_zone", &zone->name);
        if (table == NULL) {
            ngx_log_error(NGX_LOG_EMERG, log, 0,
                          "ratelimit_redis_zone \"%V\" is too small",
                          &zone->name);
            return NGX_ERROR;
        }

        table->format = zone->policy.algorithm;
        table->cycles = 1;

        zone->table = table;
        zone->cycle = 1;

        return NGX_OK;
    }

    if (table->magic != NGX_LIMITER_TABLE_MAGIC
        || table->version != NGX_LIMITER_TABLE_VERSION)
    {
        ngx_log_error(NGX_LOG_EMERG, log, 0,
                      "ratelimit_redis_zone \"%V\" was laid out by another "
                      "version of the module, nginx must be restarted",
                      &zone->name);
        return NGX_ERROR;
    }

    if (!ngx_limiter_table_fits(table, payload)) {
        ngx_log_error(NGX_LOG_EMERG, log, 0,
                      "ratelimit_redis_zone \"%V\" is too small for its "
                      "rates", &zone->name);
        return NGX_ERROR;
    }

    zone->table = table;
    zone->cycle = ++table->cycles;

    return NGX_OK;
}


static size_t
ngx_limiter_local_payload(ngx_limiter_zone_t *zone)
{
    ngx_uint_t  n;

    n = zone->variable ? NGX_LIMITER_LOCAL_VARIABLE
                       : NGX_LIMITER_LOCAL_RECORDS;
    n = ngx_max(n, zone->policy.nrates);
    n = ngx_max(n, zone->nrates);

    return sizeof(ngx_limiter_local_head_t)
           + n * ngx_limiter_local_stride(zone->policy.algorithm);
}


/*
 * A reload that fails has no worker, and those that go on find all as it was.
 * Workers of the configuration before read the new layout from the table: they
 * may meet records of another algorithm for as long as they live, and take
 * nothing from them.
 */

void
ngx_limiter_local_enter(ngx_limiter_zone_t *zone)
{
    size_t                payload;
    ngx_limiter_table_t  *table;

    table = zone->table;
    payload = ngx_limiter_local_payload(zone);

    ngx_limiter_local_lock(zone);

    /* one that was slow to begin, after a reload, leaves it as it is */

    if (zone->cycle >= table->cycle) {
        table->cycle = zone->cycle;

        if (table->format != zone->policy.algorithm
            || table->payload < payload)
        {
            (void) ngx_limiter_table_carve(table, payload);
            table->format = zone->policy.algorithm;
        }
    }

    ngx_limiter_local_unlock(zone);
}


ngx_int_t
ngx_limiter_local_load(ngx_limiter_zone_t *zone, ngx_str_t *key,
    const ngx_limiter_policy_t *policy, ngx_limiter_entry_t *entry,
    uint64_t now)
{
    void                 *p;
    ngx_limiter_state_t   from;

    p = ngx_limiter_table_lookup(zone->table, key);

    if (p == NULL || zone->table->format != policy->algorithm) {
        ngx_memzero(entry, offsetof(ngx_limiter_entry_t, state));
        entry->slot = NULL;
        entry->life = ngx_limiter_local_life(zone);

        from.n = 0;
        (void) ngx_limiter_state_open(&entry->state, policy, &from, now);

        return NGX_DECLINED;
    }

    ngx_limiter_local_head(p, entry);
    ngx_limiter_local_records(zone, p, &from);

    (void) ngx_limiter_state_open(&entry->state, policy, &from, now);

    return NGX_OK;
}


void
ngx_limiter_local_save(ngx_limiter_zone_t *zone, ngx_str_t *key,
    const ngx_limiter_entry_t *entry)
{
    size_t                     stride;
    u_char                    *p;
    ngx_uint_t                 i, n, algorithm;
    ngx_limiter_local_head_t  *head;

    algorithm = zone->policy.algorithm;

    if (zone->table->format != algorithm) {
        return;
    }

    head = ngx_limiter_table_insert(zone->table, key);

    head->lease = entry->lease;
    head->lease_end = entry->lease_end;
    head->told = entry->told;
    head->era = entry->era;
    head->refill = entry->refill;
    head->life = entry->life;

    p = (u_char *) (head + 1);
    stride = ngx_limiter_local_stride(algorithm);
    n = ngx_limiter_local_nrecords(zone->table->payload, algorithm);

    for (i = 0; i < n; i++, p += stride) {

        if (i < entry->state.n) {
            ngx_limiter_local_write(p, &entry->state.records[i], algorithm);

        } else {
            /* a record of no period is none */
            ngx_memzero(p, sizeof(uint32_t));
        }
    }
}


void
ngx_limiter_local_unpack(ngx_limiter_zone_t *zone, void *payload,
    ngx_limiter_entry_t *entry)
{
    ngx_limiter_local_head(payload, entry);
    ngx_limiter_local_records(zone, payload, &entry->state);
}


void
ngx_limiter_local_spend(ngx_limiter_entry_t *entry)
{
    ngx_limiter_local_head_t  *head;

    head = entry->slot;

    head->lease = entry->lease;
    head->refill = entry->refill;
}


static void
ngx_limiter_local_head(void *payload, ngx_limiter_entry_t *entry)
{
    ngx_limiter_local_head_t  *head;

    head = payload;

    entry->lease = head->lease;
    entry->lease_end = head->lease_end;
    entry->told = head->told;
    entry->era = head->era;
    entry->refill = head->refill;
    entry->life = head->life;
    entry->slot = payload;
}


static void
ngx_limiter_local_records(ngx_limiter_zone_t *zone, void *payload,
    ngx_limiter_state_t *state)
{
    size_t                 stride;
    u_char                *p;
    ngx_uint_t             i, n, algorithm;
    ngx_limiter_record_t  *record;

    algorithm = zone->table->format;

    p = (u_char *) payload + sizeof(ngx_limiter_local_head_t);
    stride = ngx_limiter_local_stride(algorithm);
    n = ngx_limiter_local_nrecords(zone->table->payload, algorithm);
    n = ngx_min(n, NGX_LIMITER_MAX_RATES);

    state->n = 0;

    for (i = 0; i < n; i++, p += stride) {

        record = &state->records[state->n];
        ngx_limiter_local_read(record, p, algorithm);

        if (record->period) {
            state->n++;
        }
    }
}


/* divided by constants, which is done without a division */

static ngx_uint_t
ngx_limiter_local_nrecords(size_t payload, ngx_uint_t algorithm)
{
    payload -= sizeof(ngx_limiter_local_head_t);

    if (algorithm == NGX_LIMITER_SLIDING_WINDOW) {
        return payload / sizeof(ngx_limiter_local_sliding_t);
    }

    return payload / sizeof(ngx_limiter_local_record_t);
}


static size_t
ngx_limiter_local_stride(ngx_uint_t algorithm)
{
    return (algorithm == NGX_LIMITER_SLIDING_WINDOW)
           ? sizeof(ngx_limiter_local_sliding_t)
           : sizeof(ngx_limiter_local_record_t);
}


static void
ngx_limiter_local_read(ngx_limiter_record_t *record, const u_char *p,
    ngx_uint_t algorithm)
{
    const ngx_limiter_local_record_t   *from;
    const ngx_limiter_local_sliding_t  *sliding;

    if (algorithm == NGX_LIMITER_SLIDING_WINDOW) {
        sliding = (const ngx_limiter_local_sliding_t *) p;

        record->period = sliding->period;
        record->time = sliding->time;
        record->used = sliding->used;
        record->own = sliding->own;
        record->told = sliding->told;
        record->prev = sliding->prev;
        record->own_prev = sliding->own_prev;
        record->prev_told = sliding->prev_told;

        return;
    }

    from = (const ngx_limiter_local_record_t *) p;

    record->period = from->period;
    record->time = from->time;
    record->used = from->used;
    record->own = from->own;
    record->told = from->told;
    record->prev = 0;
    record->own_prev = 0;
    record->prev_told = 0;
}


/*
 * A record of no period is none: that is what a worker that is killed here
 * leaves, rather than halves of numbers, which may be greater than either, or
 * less told of than was own.
 */

static void
ngx_limiter_local_write(u_char *p, const ngx_limiter_record_t *record,
    ngx_uint_t algorithm)
{
    ngx_limiter_local_record_t  *to;

    if (algorithm == NGX_LIMITER_SLIDING_WINDOW) {
        ngx_limiter_local_write_sliding(p, record);
        return;
    }

    to = (ngx_limiter_local_record_t *) p;

    to->period = 0;
    ngx_limiter_local_fence();

    to->time = record->time;
    to->used = record->used;
    to->own = record->own;
    to->told = record->told;

    ngx_limiter_local_fence();
    to->period = (uint32_t) record->period;
}


/*
 * More than "told" holds is stored as "used": no unit is told twice, or never,
 * but the share of the host is a little larger while it settles.
 */

static void
ngx_limiter_local_write_sliding(u_char *p, const ngx_limiter_record_t *record)
{
    uint64_t                      excess, used, own;
    ngx_limiter_local_sliding_t  *to;

    to = (ngx_limiter_local_sliding_t *) p;

    excess = record->told - ngx_min(record->told, NGX_LIMITER_LOCAL_TOLD);
    used = record->used + excess;
    own = record->own - excess;

    to->period = 0;
    ngx_limiter_local_fence();

    to->prev = ngx_min(record->prev, NGX_MAX_UINT32_VALUE);
    to->own_prev = ngx_min(record->own_prev, NGX_MAX_UINT32_VALUE);
    to->used = ngx_min(used, NGX_LIMITER_LOCAL_COUNT);
    to->own = ngx_min(own, NGX_LIMITER_LOCAL_COUNT);
    to->time = record->time;
    to->told = record->told - excess;
    to->prev_told = record->prev_told;

    ngx_limiter_local_fence();
    to->period = (uint32_t) record->period;
}


void
ngx_limiter_local_forget(ngx_limiter_zone_t *zone, ngx_str_t *key)
{
    zone->table->forgets++;

    ngx_limiter_table_remove(zone->table, key);
}


void
ngx_limiter_local_forget_all(ngx_limiter_zone_t *zone)
{
    zone->table->forgets++;

    (void) ngx_limiter_table_carve(zone->table, zone->table->payload);
}


uint64_t
ngx_limiter_local_tallied(ngx_limiter_zone_t *zone, ngx_limiter_tally_e what)
{
    return ngx_limiter_table_counted(zone->table, what);
}
