
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_limiter_local.h"


/* so many windows fit before a reload with more rates forgets what is known */
#define NGX_LIMITER_LOCAL_WINDOWS  4


typedef struct {
    uint32_t                  period;
    uint32_t                  used_low;
    uint64_t                  end:48;
    uint64_t                  used_high:16;
} ngx_limiter_packed_t;


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
    ngx_int_t             rc;
    ngx_limiter_table_t  *table;

    payload = ngx_max(zone->nrates, NGX_LIMITER_LOCAL_WINDOWS)
              * sizeof(ngx_limiter_packed_t);

    table = zone->shpool->data;

    if (table == NULL) {

        table = ngx_limiter_table_create(zone->shpool, payload,
                                         "ratelimit_redis_zone", &zone->name);
        if (table == NULL) {
            ngx_log_error(NGX_LOG_EMERG, log, 0,
                          "ratelimit_redis_zone \"%V\" is too small",
                          &zone->name);
            return NGX_ERROR;
        }

        zone->table = table;

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

    zone->table = table;

    if (table->payload >= payload) {
        return NGX_OK;
    }

    /* workers of the old configuration read the new layout from the table */

    ngx_limiter_local_lock(zone);
    rc = ngx_limiter_table_carve(table, payload);
    ngx_limiter_local_unlock(zone);

    if (rc != NGX_OK) {
        ngx_log_error(NGX_LOG_EMERG, log, 0,
                      "ratelimit_redis_zone \"%V\" is too small for %ui rates",
                      &zone->name, zone->nrates);
    }

    return rc;
}


void
ngx_limiter_local_look(ngx_limiter_zone_t *zone, ngx_str_t *key,
    ngx_limiter_window_t *w, uint64_t now)
{
    ngx_limiter_local_lock(zone);
    ngx_limiter_local_load(zone, key, w, now);
    ngx_limiter_local_unlock(zone);
}


void
ngx_limiter_local_learn(ngx_limiter_zone_t *zone, ngx_str_t *key,
    const ngx_limiter_window_t *w)
{
    ngx_limiter_local_lock(zone);
    ngx_limiter_local_save(zone, key, w);
    ngx_limiter_local_unlock(zone);
}


void
ngx_limiter_local_load(ngx_limiter_zone_t *zone, ngx_str_t *key,
    ngx_limiter_window_t *w, uint64_t now)
{
    ngx_uint_t             i, n;
    ngx_limiter_packed_t  *p;
    ngx_limiter_window_t   from[NGX_LIMITER_MAX_RATES];

    n = 0;
    p = ngx_limiter_table_lookup(zone->table, key);

    if (p) {
        n = zone->table->payload / sizeof(ngx_limiter_packed_t);
        n = ngx_min(n, NGX_LIMITER_MAX_RATES);

        for (i = 0; i < n; i++) {
            from[i].period = p[i].period;
            from[i].end = p[i].end;
            from[i].used = (uint64_t) p[i].used_high << 32 | p[i].used_low;
        }
    }

    ngx_limiter_window_open(w, zone->rates, zone->nrates, from, n, now);
}


void
ngx_limiter_local_save(ngx_limiter_zone_t *zone, ngx_str_t *key,
    const ngx_limiter_window_t *w)
{
    ngx_uint_t             i, n;
    ngx_limiter_packed_t  *p;

    p = ngx_limiter_table_insert(zone->table, key);
    n = zone->table->payload / sizeof(ngx_limiter_packed_t);

    for (i = 0; i < n; i++) {

        if (i >= zone->nrates) {
            /* a window of no period is never found */
            ngx_memzero(&p[i], sizeof(ngx_limiter_packed_t));
            continue;
        }

        p[i].period = (uint32_t) w[i].period;
        p[i].end = w[i].end;
        p[i].used_low = (uint32_t) w[i].used;
        p[i].used_high = w[i].used >> 32;
    }
}
