
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_limiter_carry.h"
#include "ngx_limiter_check.h"
#include "ngx_limiter_mirror.h"
#include "ngx_limiter_task.h"


/* in place of a slot: of those that go by shares, as if Redis were away */
#define NGX_LIMITER_CHECK_KEPT  NGX_BUSY


static ngx_uint_t ngx_limiter_check_alone(ngx_limiter_check_t *check);
static ngx_int_t ngx_limiter_check_known(ngx_limiter_check_t *check);
static ngx_int_t ngx_limiter_check_look(ngx_limiter_check_t *check,
    ngx_limiter_item_t *item);
static void ngx_limiter_check_lease(ngx_limiter_check_t *check,
    ngx_limiter_item_t *item);
static ngx_int_t ngx_limiter_check_send(ngx_limiter_check_t *check);
static ngx_int_t ngx_limiter_check_group(ngx_limiter_check_t *check);
static ngx_uint_t ngx_limiter_check_kept(const ngx_limiter_item_t *item);
static void ngx_limiter_check_answer_handler(ngx_limiter_ask_t *ask,
    ngx_int_t rc);
static void ngx_limiter_check_learn(ngx_limiter_check_t *check,
    ngx_limiter_group_t *group);
static void ngx_limiter_check_finish(ngx_limiter_check_t *check);
static void ngx_limiter_check_degrade(ngx_limiter_check_t *check);
static void ngx_limiter_check_back(ngx_limiter_check_t *check);
static void ngx_limiter_check_tally(ngx_limiter_check_t *check);


ngx_int_t
ngx_limiter_check_start(ngx_limiter_check_t *check)
{
    ngx_int_t   rc;
    ngx_uint_t  i;

    check->result = NGX_LIMITER_CHECK_PASSED;
    check->ngroups = 0;
    check->pending = 0;
    check->nasked = 0;

    if (check->redis->client) {
        check->era = (uint16_t) ngx_limiter_fleet_era(check->redis->fleet);
    }

    if (ngx_limiter_check_alone(check)) {

        for (i = 0; i < check->nitems; i++) {
            check->items[i].local = (check->redis->client != NULL);
            check->asked[check->nasked++] = &check->items[i];
        }

        ngx_limiter_check_local(check);
        ngx_limiter_check_tally(check);

        if (check->redis->client) {
            ngx_limiter_fleet_away(check->redis->fleet, check->now);
        }

        return NGX_OK;
    }

    check->now = ngx_limiter_local_now();

    for (i = 0; i < check->nitems; i++) {
        check->items[i].now = check->now;
        check->items[i].verdict = NGX_LIMITER_PASSED;
    }

    rc = ngx_limiter_check_known(check);

    if (rc == NGX_AGAIN) {
        rc = ngx_limiter_check_send(check);
    }

    if (rc == NGX_OK) {
        ngx_limiter_check_finish(check);
    }

    return rc;
}


/*
 * Whether all is decided here, without a look at what Redis might be asked:
 * there is none, or it is away.  A lease is good for as long as it lasts.
 */

static ngx_uint_t
ngx_limiter_check_alone(ngx_limiter_check_t *check)
{
    ngx_uint_t           i;
    ngx_limiter_item_t  *item;

    if (check->redis->client == NULL) {
        return 1;
    }

    if (ngx_redis_client_state(check->redis->client) != NGX_REDIS_DOWN) {
        return 0;
    }

    for (i = 0; i < check->nitems; i++) {
        item = &check->items[i];

        if (item->on_error != NGX_LIMITER_ON_ERROR_LOCAL
            || item->zone->lease > 1)
        {
            return 0;
        }
    }

    return 1;
}


/*
 * What Redis is told by the way it has understood only when it answers: that is
 * waited for then.  If nobody can, it is told once more.
 */

void
ngx_limiter_check_abandon(ngx_limiter_check_t *check)
{
    ngx_uint_t          i, k;
    ngx_limiter_ask_t  *ask;

    for (i = 0; i < check->ngroups; i++) {
        ask = &check->groups[i].ask;

        if (ask->command && ngx_limiter_task_adopt(ask, check->era) == NGX_OK)
        {
            continue;
        }

        ngx_limiter_ask_abandon(ask);

        for (k = 0; k < ask->nitems; k++) {
            if (ask->items[k]->told == 0) {
                ngx_limiter_carry_restore(ask->items[k]);
            }
        }
    }

    check->pending = 0;
}


/*
 * Units of a window are given back seldom and come back by themselves with
 * time: a subject that had nothing left when Redis last spoke of it has
 * nothing left until then, and Redis need not be asked.  A limit raised by a
 * reload or a variable counts at once, for it is compared with the rates of
 * now.
 *
 * Returns NGX_OK if all is known, NGX_AGAIN if those in "asked" must be asked.
 */

static ngx_int_t
ngx_limiter_check_known(ngx_limiter_check_t *check)
{
    ngx_int_t            rc;
    ngx_uint_t           i, settling;
    ngx_limiter_item_t  *item;

    settling = ngx_limiter_fleet_settling(check->redis->fleet, check->now);
    check->unsure = ngx_limiter_fleet_unsure(check->redis->fleet, check->now);

    for (i = 0; i < check->nitems; i++) {
        item = &check->items[i];

        item->share.hosts = ngx_limiter_fleet_hosts(check->redis->fleet);

        if (settling && (!check->unsure || ngx_limiter_check_kept(item))) {
            item->settling = 1;
            ngx_limiter_check_share(check, item);
        }

        rc = ngx_limiter_check_look(check, item);

        if (rc == NGX_ERROR) {
            return NGX_ERROR;
        }

        if (rc == NGX_AGAIN) {
            check->asked[check->nasked++] = item;
            continue;
        }

        if (rc == NGX_OK) {
            continue;
        }

        /* rc == NGX_BUSY */

        item->verdict = NGX_LIMITER_REJECTED;
        ngx_limiter_local_tally(item->zone, NGX_LIMITER_TALLY_KNOWN, 1);

        if (ngx_redis_client_state(check->redis->client) == NGX_REDIS_DOWN) {
            item->local = 1;
        }

        if (!item->soft) {
            check->result = NGX_LIMITER_CHECK_REJECTED;
        }
    }

    if (check->result == NGX_LIMITER_CHECK_PASSED && check->nasked) {
        return NGX_AGAIN;
    }

    /* nobody is asked: those that would have been say what is known of them */

    for (i = 0; i < check->nasked; i++) {
        item = check->asked[i];

        if (!item->peek
            && ngx_limiter_state_room(&item->state, item->policy, item->now,
                                      NULL)
               < item->need)
        {
            item->verdict = NGX_LIMITER_REJECTED;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_limiter_check_look(ngx_limiter_check_t *check, ngx_limiter_item_t *item)
{
    ngx_int_t            rc;
    ngx_limiter_look_t   look;
    ngx_limiter_carry_t  carry[NGX_LIMITER_MAX_RATES];

    look.era = check->era;

    rc = ngx_limiter_mirror_look(item, &look, check->unsure ? NULL : carry);

    if (look.refill) {
        ngx_limiter_check_lease(check, item);
    }

    if (look.carry) {
        item->carry = ngx_palloc(check->pool, item->policy->nrates
                                              * sizeof(ngx_limiter_carry_t));
        if (item->carry == NULL) {
            return NGX_ERROR;
        }

        ngx_memcpy(item->carry, carry,
                   item->policy->nrates * sizeof(ngx_limiter_carry_t));
    }

    return rc;
}


static void
ngx_limiter_check_lease(ngx_limiter_check_t *check, ngx_limiter_item_t *item)
{
    ngx_limiter_item_t  lease;

    lease = *item;
    lease.add = 0;
    lease.sub = 0;
    lease.carry = NULL;

    ngx_limiter_task(check->redis, &lease, NGX_LIMITER_TASK_LEASE);
}


static ngx_int_t
ngx_limiter_check_send(ngx_limiter_check_t *check)
{
    ngx_int_t             rc;
    ngx_uint_t            i;
    ngx_limiter_group_t  *group;

    if (ngx_limiter_check_group(check) != NGX_OK) {
        return NGX_ERROR;
    }

    for (i = 0; i < check->ngroups; i++) {
        group = &check->groups[i];

        group->rc = NGX_ERROR;

        if (group->slot == NGX_LIMITER_CHECK_KEPT) {
            continue;
        }

        rc = ngx_limiter_ask(&group->ask);

        if (rc == NGX_ERROR) {
            ngx_limiter_check_abandon(check);
            return NGX_ERROR;
        }

        if (rc == NGX_OK) {
            check->pending++;

        } else {
            ngx_limiter_fleet_away(check->redis->fleet, check->now);
        }
    }

    return check->pending ? NGX_AGAIN : NGX_OK;
}


/*
 * All in one group, or in a cluster one for each slot; those that are kept here
 * in one that is not sent.
 */

static ngx_int_t
ngx_limiter_check_group(ngx_limiter_check_t *check)
{
    ngx_int_t             slot;
    ngx_str_t             key;
    ngx_uint_t            i, k, one;
    ngx_limiter_item_t   *item;
    ngx_limiter_group_t  *group;

    check->groups = NULL;
    slot = NGX_DECLINED;
    one = !check->unsure;

    for (i = 0; i < check->nasked; i++) {
        item = check->asked[i];

        if (check->unsure) {
            slot = ngx_limiter_check_kept(item) ? NGX_LIMITER_CHECK_KEPT
                                                : NGX_DECLINED;

        } else if (check->nasked > 1) {

            if (ngx_limiter_script_key(&key, item, &check->redis->prefix,
                                       check->pool)
                != NGX_OK)
            {
                return NGX_ERROR;
            }

            slot = ngx_redis_client_slot(check->redis->client, &key);
            one = (slot == NGX_DECLINED);
        }

        for (k = 0; k < check->ngroups; k++) {
            if (check->groups[k].slot == slot) {
                break;
            }
        }

        if (k == check->ngroups) {

            if (k == 0) {
                check->groups = ngx_palloc(check->pool,
                                    (one ? 1 : check->nasked)
                                    * sizeof(ngx_limiter_group_t));
                if (check->groups == NULL) {
                    return NGX_ERROR;
                }
            }

            group = &check->groups[check->ngroups++];

            group->slot = slot;

            group->ask.redis = check->redis;
            group->ask.items = group->items;
            group->ask.nitems = 0;
            group->ask.pool = check->pool;
            group->ask.log = check->log;
            group->ask.handler = ngx_limiter_check_answer_handler;
            group->ask.data = check;
            group->ask.command = NULL;
        }

        group = &check->groups[k];
        group->items[group->ask.nitems++] = item;
    }

    return NGX_OK;
}


/* who goes by its share, until it is sure which Redis there is */

static ngx_uint_t
ngx_limiter_check_kept(const ngx_limiter_item_t *item)
{
    return item->on_error == NGX_LIMITER_ON_ERROR_LOCAL;
}


static void
ngx_limiter_check_answer_handler(ngx_limiter_ask_t *ask, ngx_int_t rc)
{
    ngx_limiter_check_t *check = ask->data;

    ngx_limiter_group_t  *group;

    group = (ngx_limiter_group_t *) ask;
    group->rc = rc;

    if (rc != NGX_ERROR) {
        ngx_limiter_check_learn(check, group);
    }

    if (--check->pending) {
        return;
    }

    ngx_limiter_check_finish(check);

    check->handler(check->data);
}


static void
ngx_limiter_check_learn(ngx_limiter_check_t *check, ngx_limiter_group_t *group)
{
    ngx_uint_t  i;

    for (i = 0; i < group->ask.nitems; i++) {

        if (!group->items[i]->peek) {
            ngx_limiter_mirror_learn(group->items[i], check->era,
                                     group->ask.sent);
        }
    }

    if (group->rc == NGX_BUSY) {
        check->result = NGX_LIMITER_CHECK_REJECTED;
    }
}


/*
 * Every answer is there.  Those Redis did not give are given here; then either
 * all is well, or what has been counted in vain is given back.
 */

static void
ngx_limiter_check_finish(ngx_limiter_check_t *check)
{
    ngx_uint_t            i, k;
    ngx_limiter_item_t   *item;
    ngx_limiter_group_t  *group;

    check->nasked = 0;

    for (i = 0; i < check->ngroups; i++) {
        group = &check->groups[i];

        if (group->rc != NGX_ERROR) {
            continue;
        }

        for (k = 0; k < group->ask.nitems; k++) {
            item = group->items[k];

            ngx_limiter_carry_restore(item);
            check->asked[check->nasked++] = item;
        }
    }

    if (check->nasked) {
        ngx_limiter_check_degrade(check);
    }

    if (check->result != NGX_LIMITER_CHECK_PASSED) {
        ngx_limiter_check_back(check);
    }

    ngx_limiter_check_tally(check);
}


/* Redis does not answer: each item asked goes by its on_error */

static void
ngx_limiter_check_degrade(ngx_limiter_check_t *check)
{
    ngx_uint_t           i, n;
    ngx_limiter_item_t  *item;

    n = 0;

    for (i = 0; i < check->nasked; i++) {
        item = check->asked[i];

        if (item->on_error == NGX_LIMITER_ON_ERROR_LOCAL) {
            item->local = 1;
            check->asked[n++] = item;
            continue;
        }

        item->verdict = NGX_LIMITER_SKIPPED;

        if (item->on_error == NGX_LIMITER_ON_ERROR_DENY
            && !item->soft
            && check->result == NGX_LIMITER_CHECK_PASSED)
        {
            check->result = NGX_LIMITER_CHECK_UNAVAILABLE;
        }
    }

    check->nasked = n;

    if (check->result == NGX_LIMITER_CHECK_PASSED) {
        ngx_limiter_check_local(check);
    }
}


/* the request is refused: what it has used is given back */

static void
ngx_limiter_check_back(ngx_limiter_check_t *check)
{
    ngx_uint_t           i;
    ngx_limiter_item_t  *item;

    for (i = 0; i < check->nitems; i++) {
        item = &check->items[i];

        ngx_limiter_mirror_unspend(item);

        if ((item->carry || item->reserved) && item->told == 0) {

            /* nobody was asked, so nobody was told */

            ngx_limiter_carry_restore(item);
        }

        if (item->granted) {
            item->add = 0;
            item->sub = item->granted;
            item->kept = 0;
            item->at = item->told;
            item->since = item->now;
            item->carry = NULL;
            item->granted = 0;

            ngx_limiter_task(check->redis, item, NGX_LIMITER_TASK_REFUND);
        }
    }
}


static void
ngx_limiter_check_tally(ngx_limiter_check_t *check)
{
    ngx_uint_t            i;
    ngx_limiter_item_t   *item;
    ngx_limiter_tally_e   what;

    for (i = 0; i < check->nitems; i++) {
        item = &check->items[i];

        if (item->peek) {
            continue;
        }

        switch (item->verdict) {

        case NGX_LIMITER_REJECTED:
            what = item->soft ? NGX_LIMITER_TALLY_DRY_RUN
                              : NGX_LIMITER_TALLY_REJECTED;
            break;

        case NGX_LIMITER_SKIPPED:
            what = NGX_LIMITER_TALLY_SKIPPED;
            break;

        default: /* NGX_LIMITER_PASSED */

            if (check->result != NGX_LIMITER_CHECK_PASSED) {

                /* refused by another zone, and not counted in this one */

                continue;
            }

            what = NGX_LIMITER_TALLY_PASSED;
        }

        ngx_limiter_local_tally(item->zone, what, 1);

        if (item->local) {
            ngx_limiter_local_tally(item->zone, NGX_LIMITER_TALLY_LOCAL, 1);
        }

        if (item->leased) {
            ngx_limiter_local_tally(item->zone, NGX_LIMITER_TALLY_LEASED, 1);
        }
    }
}


void
ngx_limiter_check_book(ngx_limiter_redis_t *redis, ngx_limiter_item_t *item,
    uint64_t add, uint64_t sub)
{
    ngx_limiter_item_t  book;

    if (add == 0 && sub == 0) {
        return;
    }

    if (add) {
        ngx_limiter_local_tally(item->zone, NGX_LIMITER_TALLY_BOOKED, add);
    }

    book = *item;
    book.add = add;
    book.sub = sub;
    book.kept = item->take - ngx_min(item->take, sub);
    book.at = item->told;
    book.since = item->now;
    book.carry = NULL;

    if (redis->client == NULL) {
        ngx_limiter_carry_book(&book, NULL);
        return;
    }

    book.share.hosts = ngx_limiter_fleet_hosts(redis->fleet);

    ngx_limiter_task(redis, &book, NGX_LIMITER_TASK_BOOK);
}
