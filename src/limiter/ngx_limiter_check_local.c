
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_limiter_check.h"


static void ngx_limiter_check_room(ngx_limiter_check_t *check,
    ngx_limiter_item_t *item, ngx_limiter_entry_t *entry);


/*
 * The script's decision, made in shared memory: all locks are held from the
 * first look to the last count.
 */

void
ngx_limiter_check_local(ngx_limiter_check_t *check)
{
    ngx_uint_t            i, n;
    ngx_limiter_item_t   *item, **asked;
    ngx_limiter_share_t  *share;
    ngx_limiter_entry_t   entry, *entries;

    n = check->nasked;
    asked = check->asked;
    entries = &entry;

    if (n > 1) {
        entries = ngx_palloc(check->pool, n * sizeof(ngx_limiter_entry_t));

        if (entries == NULL) {
            check->result = NGX_LIMITER_CHECK_UNAVAILABLE;
            return;
        }
    }

    for (i = 0; i < n; i++) {
        ngx_limiter_local_lock(asked[i]->zone);
    }

    check->now = ngx_limiter_local_now();

    for (i = 0; i < n; i++) {
        ngx_limiter_check_room(check, asked[i], &entries[i]);
    }

    for (i = 0; i < n; i++) {
        item = asked[i];

        /* as in Redis, a window opens with the first unit in it */

        if (check->result == NGX_LIMITER_CHECK_PASSED
            && item->verdict == NGX_LIMITER_PASSED
            && item->take
            && !item->peek)
        {
            share = item->share.hosts ? &item->share : NULL;

            ngx_limiter_state_count(&entries[i].state, item->policy,
                                    item->take, share);
            ngx_limiter_local_save(item->zone, &item->subject.key,
                                   &entries[i]);
        }

        ngx_limiter_state_copy(&item->state, &entries[i].state);
    }

    for (i = n; i > 0; i--) {
        ngx_limiter_local_unlock(asked[i - 1]->zone);
    }
}


static void
ngx_limiter_check_room(ngx_limiter_check_t *check, ngx_limiter_item_t *item,
    ngx_limiter_entry_t *entry)
{
    ngx_int_t             rc;
    ngx_limiter_share_t  *share;

    item->now = check->now;

    rc = ngx_limiter_local_load(item->zone, &item->subject.key, item->policy,
                                entry, check->now);

    if (rc != NGX_OK) {
        entry->era = check->era;
    }

    share = NULL;

    if (check->redis->client) {
        ngx_limiter_check_share(check, item);
        share = &item->share;
    }

    if (ngx_limiter_state_room(&entry->state, item->policy, check->now, share)
        >= item->need)
    {
        item->verdict = NGX_LIMITER_PASSED;
        return;
    }

    item->verdict = NGX_LIMITER_REJECTED;

    if (!item->soft) {
        check->result = NGX_LIMITER_CHECK_REJECTED;
    }
}


void
ngx_limiter_check_share(ngx_limiter_check_t *check, ngx_limiter_item_t *item)
{
    ngx_limiter_fleet_share(check->redis->fleet,
                            ngx_crc32_short(item->subject.key.data,
                                            item->subject.key.len),
                            &item->share);
}
