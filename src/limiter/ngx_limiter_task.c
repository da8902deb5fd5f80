
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_limiter_carry.h"
#include "ngx_limiter_task.h"


typedef struct {
    ngx_limiter_task_e        kind;
    ngx_pool_t               *pool;      /* the task is in it */
    uint16_t                  era;
    ngx_limiter_ask_t         ask;
    ngx_limiter_item_t       *items[1];
    ngx_limiter_item_t        item;
    ngx_limiter_policy_t      policy;
    ngx_limiter_carry_t       carry[NGX_LIMITER_MAX_RATES];
} ngx_limiter_task_t;


/* a question whose request is gone */

typedef struct {
    ngx_pool_t               *pool;      /* it is in it */
    uint16_t                  era;
    ngx_limiter_ask_t         ask;
    ngx_limiter_item_t       *items[NGX_LIMITER_MAX_ZONES];
} ngx_limiter_orphan_t;


static ngx_limiter_task_t *ngx_limiter_task_create(ngx_limiter_redis_t *redis,
    ngx_limiter_item_t *item, ngx_limiter_task_e kind);
static ngx_uint_t ngx_limiter_task_kept(ngx_limiter_redis_t *redis,
    ngx_limiter_task_t *task);
static void ngx_limiter_task_handler(ngx_limiter_ask_t *ask, ngx_int_t rc);
static void ngx_limiter_task_failed(ngx_limiter_item_t *item,
    ngx_limiter_task_e kind);
static ngx_limiter_orphan_t *ngx_limiter_task_orphan(ngx_limiter_ask_t *ask);
static ngx_limiter_item_t *ngx_limiter_task_copy(ngx_limiter_item_t *item,
    ngx_pool_t *pool);
static void ngx_limiter_task_adopted_handler(ngx_limiter_ask_t *ask,
    ngx_int_t rc);


void
ngx_limiter_task(ngx_limiter_redis_t *redis, ngx_limiter_item_t *item,
    ngx_limiter_task_e kind)
{
    ngx_limiter_task_t  *task;

    task = ngx_limiter_task_create(redis, item, kind);

    if (task == NULL) {
        ngx_limiter_task_failed(item, kind);
        return;
    }

    if (ngx_limiter_task_kept(redis, task)
        || ngx_limiter_ask(&task->ask) != NGX_OK)
    {
        ngx_limiter_task_handler(&task->ask, NGX_ERROR);
    }
}


static ngx_limiter_task_t *
ngx_limiter_task_create(ngx_limiter_redis_t *redis, ngx_limiter_item_t *item,
    ngx_limiter_task_e kind)
{
    ngx_pool_t          *pool;
    ngx_limiter_item_t  *copy;
    ngx_limiter_task_t  *task;

    pool = ngx_create_pool(sizeof(ngx_limiter_task_t) + 1024, redis->log);
    if (pool == NULL) {
        return NULL;
    }

    task = ngx_pcalloc(pool, sizeof(ngx_limiter_task_t));
    if (task == NULL) {
        goto failed;
    }

    copy = &task->item;

    copy->zone = item->zone;
    copy->share = item->share;
    copy->share.hosts = ngx_limiter_fleet_hosts(redis->fleet);
    copy->now = ngx_limiter_local_now();
    copy->add = item->add;
    copy->sub = item->sub;
    copy->kept = item->kept;
    copy->at = item->at;
    copy->since = item->since;
    copy->forgets = ngx_limiter_local_forgets(item->zone);
    copy->settling = ngx_limiter_fleet_settling(redis->fleet, copy->now);

    task->policy = *item->policy;
    copy->policy = &task->policy;

    if (ngx_limiter_subject_from_key(&copy->subject, &item->subject.key, pool)
        != NGX_OK)
    {
        goto failed;
    }

    if (kind == NGX_LIMITER_TASK_LEASE) {
        copy->need = 1;
        copy->want = item->zone->lease;
    }

    if (kind == NGX_LIMITER_TASK_CARRY) {
        ngx_memcpy(task->carry, item->carry,
                   item->policy->nrates * sizeof(ngx_limiter_carry_t));
        copy->carry = task->carry;
        copy->life = item->life;
        copy->era = item->era;
    }

    task->kind = kind;
    task->pool = pool;
    task->items[0] = copy;
    task->era = (uint16_t) ngx_limiter_fleet_era(redis->fleet);

    task->ask.redis = redis;
    task->ask.items = task->items;
    task->ask.nitems = 1;
    task->ask.pool = pool;
    task->ask.log = redis->log;
    task->ask.handler = ngx_limiter_task_handler;
    task->ask.data = task;

    return task;

failed:

    ngx_destroy_pool(pool);

    return NULL;
}


/* what is taken while nobody knows which Redis there is, it is told of later */

static ngx_uint_t
ngx_limiter_task_kept(ngx_limiter_redis_t *redis, ngx_limiter_task_t *task)
{
    return (task->kind == NGX_LIMITER_TASK_BOOK
            || task->kind == NGX_LIMITER_TASK_LEASE)
           && ngx_limiter_fleet_unsure(redis->fleet, task->item.now);
}


static void
ngx_limiter_task_handler(ngx_limiter_ask_t *ask, ngx_int_t rc)
{
    ngx_limiter_task_t *task = ask->data;

    if (rc == NGX_ERROR) {
        ngx_limiter_task_failed(&task->item, task->kind);

    } else {
        ngx_limiter_mirror_learn(&task->item, task->era, ask->sent);
    }

    ngx_destroy_pool(task->pool);
}


static void
ngx_limiter_task_failed(ngx_limiter_item_t *item, ngx_limiter_task_e kind)
{
    switch (kind) {

    case NGX_LIMITER_TASK_BOOK:
        ngx_limiter_carry_book(item, &item->share);
        break;

    case NGX_LIMITER_TASK_CARRY:
        ngx_limiter_carry_restore(item);
        break;

    default: /* NGX_LIMITER_TASK_REFUND, NGX_LIMITER_TASK_LEASE */
        break;
    }
}


ngx_int_t
ngx_limiter_task_adopt(ngx_limiter_ask_t *ask, uint16_t era)
{
    ngx_uint_t             i, tells;
    ngx_limiter_orphan_t  *orphan;

    tells = 0;

    for (i = 0; i < ask->nitems; i++) {
        tells |= (ask->items[i]->carry || ask->items[i]->reserved);
    }

    if (!tells) {
        return NGX_DECLINED;
    }

    orphan = ngx_limiter_task_orphan(ask);
    if (orphan == NULL) {
        return NGX_ERROR;
    }

    orphan->era = era;

    for (i = 0; i < ask->nitems; i++) {
        ask->items[i]->carry = NULL;
        ask->items[i]->reserved = 0;
    }

    ngx_limiter_ask_move(ask, &orphan->ask);

    return NGX_OK;
}


static ngx_limiter_orphan_t *
ngx_limiter_task_orphan(ngx_limiter_ask_t *ask)
{
    ngx_pool_t            *pool;
    ngx_uint_t             i;
    ngx_limiter_orphan_t  *orphan;

    pool = ngx_create_pool(sizeof(ngx_limiter_orphan_t)
                           + ask->nitems * sizeof(ngx_limiter_item_t) + 1024,
                           ask->redis->log);
    if (pool == NULL) {
        return NULL;
    }

    orphan = ngx_pcalloc(pool, sizeof(ngx_limiter_orphan_t));
    if (orphan == NULL) {
        goto failed;
    }

    for (i = 0; i < ask->nitems; i++) {
        orphan->items[i] = ngx_limiter_task_copy(ask->items[i], pool);

        if (orphan->items[i] == NULL) {
            goto failed;
        }
    }

    orphan->pool = pool;

    orphan->ask.redis = ask->redis;
    orphan->ask.items = orphan->items;
    orphan->ask.nitems = ask->nitems;
    orphan->ask.pool = pool;
    orphan->ask.log = ask->redis->log;
    orphan->ask.handler = ngx_limiter_task_adopted_handler;
    orphan->ask.data = orphan;

    return orphan;

failed:

    ngx_destroy_pool(pool);

    return NULL;
}


/* with all that it points to; NULL when out of memory */

static ngx_limiter_item_t *
ngx_limiter_task_copy(ngx_limiter_item_t *item, ngx_pool_t *pool)
{
    ngx_limiter_item_t  *copy;

    copy = ngx_palloc(pool, sizeof(ngx_limiter_item_t));
    if (copy == NULL) {
        return NULL;
    }

    *copy = *item;

    copy->next = NULL;
    copy->policy = ngx_palloc(pool, sizeof(ngx_limiter_policy_t));

    if (copy->policy == NULL
        || ngx_limiter_subject_from_key(&copy->subject, &item->subject.key,
                                        pool)
           != NGX_OK)
    {
        return NULL;
    }

    *copy->policy = *item->policy;

    if (item->carry == NULL) {
        return copy;
    }

    copy->carry = ngx_palloc(pool, item->policy->nrates
                                   * sizeof(ngx_limiter_carry_t));
    if (copy->carry == NULL) {
        return NULL;
    }

    ngx_memcpy(copy->carry, item->carry,
               item->policy->nrates * sizeof(ngx_limiter_carry_t));

    return copy;
}


static void
ngx_limiter_task_adopted_handler(ngx_limiter_ask_t *ask, ngx_int_t rc)
{
    ngx_limiter_orphan_t *orphan = ask->data;

    ngx_uint_t           i;
    ngx_limiter_item_t  *item;

    for (i = 0; i < ask->nitems; i++) {
        item = ask->items[i];

        if (rc == NGX_ERROR) {
            ngx_limiter_carry_restore(item);

        } else if (!item->peek) {
            ngx_limiter_mirror_learn(item, orphan->era, ask->sent);
        }
    }

    ngx_destroy_pool(orphan->pool);
}
