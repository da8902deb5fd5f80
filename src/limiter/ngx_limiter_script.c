
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_limiter_script.h"


#define NGX_LIMITER_SCRIPT_SOFT   1
#define NGX_LIMITER_SCRIPT_CARRY  2
#define NGX_LIMITER_SCRIPT_PEEK   4

#define NGX_LIMITER_SCRIPT_HEAD   39    /* bytes of an argument, .. */
#define NGX_LIMITER_SCRIPT_RATE   10    /* of a rate in it, */
#define NGX_LIMITER_SCRIPT_CARRIED  36  /* of what is carried, */
#define NGX_LIMITER_SCRIPT_BACK   18    /* of what is given back */

#define NGX_LIMITER_SCRIPT_BEGIN  7     /* bytes of a reply, .. */
#define NGX_LIMITER_SCRIPT_ZONE   9     /* of a zone in it */


/* a zone's part of a reply, checked */

typedef struct {
    ngx_uint_t                room;
    uint64_t                  granted;
    ngx_limiter_state_t       state;     /* times are those of Redis */
} ngx_limiter_answer_t;


static ngx_int_t ngx_limiter_script_arg(ngx_str_t *arg,
    ngx_limiter_item_t *item, ngx_pool_t *pool);
static u_char *ngx_limiter_script_put(u_char *p, uint64_t n, ngx_uint_t bytes);
static uint64_t ngx_limiter_script_get(u_char *p, ngx_uint_t bytes);
static ngx_int_t ngx_limiter_script_answer(ngx_limiter_answer_t *answer,
    ngx_limiter_item_t *item, u_char **pos, u_char *last, uint64_t now);
static ngx_int_t ngx_limiter_script_value(ngx_limiter_state_t *state,
    ngx_uint_t algorithm, u_char *p, size_t len);
static void ngx_limiter_script_take(ngx_limiter_item_t *item,
    ngx_limiter_answer_t *answer, uint64_t told, uint64_t now);


ngx_limiter_script_t *
ngx_limiter_script_choose(ngx_limiter_scripts_t *scripts,
    ngx_limiter_item_t **items, ngx_uint_t n)
{
    ngx_limiter_item_t  *item;

    item = items[0];

    if (n > 1
        || item->zone->variable
        || item->carry
        || item->add
        || item->sub
        || item->peek)
    {
        return &scripts->general;
    }

    return &scripts->single[item->policy->algorithm - 1]
                           [item->policy->nrates - 1];
}


ngx_uint_t
ngx_limiter_script_args(ngx_limiter_script_t *script,
    ngx_limiter_item_t **items, ngx_uint_t n, ngx_str_t *prefix,
    ngx_uint_t eval, ngx_str_t *argv, ngx_pool_t *pool)
{
    ngx_uint_t        i;

    static ngx_str_t  numbers[] = {
        ngx_string("0"), ngx_string("1"), ngx_string("2"), ngx_string("3"),
        ngx_string("4"), ngx_string("5"), ngx_string("6"), ngx_string("7"),
        ngx_string("8"), ngx_string("9"), ngx_string("10"), ngx_string("11"),
        ngx_string("12"), ngx_string("13"), ngx_string("14"),
        ngx_string("15"), ngx_string("16")
    };

    if (eval) {
        ngx_str_set(&argv[0], "EVAL");
        argv[1] = script->text;

    } else {
        ngx_str_set(&argv[0], "EVALSHA");
        argv[1] = script->sha1;
    }

    argv[2] = numbers[n];

    for (i = 0; i < n; i++) {

        if (ngx_limiter_script_key(&argv[3 + i], items[i], prefix, pool)
            != NGX_OK
            || ngx_limiter_script_arg(&argv[3 + n + i], items[i], pool)
               != NGX_OK)
        {
            return 0;
        }
    }

    return 3 + 2 * n;
}


ngx_int_t
ngx_limiter_script_key(ngx_str_t *key, ngx_limiter_item_t *item,
    ngx_str_t *prefix, ngx_pool_t *pool)
{
    u_char     *p;
    ngx_str_t  *name, *subject;

    name = &item->zone->name;
    subject = &item->subject.text;

    p = ngx_pnalloc(pool, prefix->len + name->len + 3 + subject->len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    key->data = p;

    p = ngx_cpymem(p, prefix->data, prefix->len);
    p = ngx_cpymem(p, name->data, name->len);
    *p++ = ':';
    *p++ = '{';
    p = ngx_cpymem(p, subject->data, subject->len);
    *p++ = '}';

    key->len = p - key->data;

    return NGX_OK;
}


static ngx_int_t
ngx_limiter_script_arg(ngx_str_t *arg, ngx_limiter_item_t *item,
    ngx_pool_t *pool)
{
    size_t                 len;
    u_char                *p;
    uint64_t               age;
    ngx_uint_t             i, flags;
    ngx_limiter_carry_t   *carry;
    ngx_limiter_policy_t  *policy;

    policy = item->policy;
    carry = item->carry;

    len = NGX_LIMITER_SCRIPT_HEAD + policy->nrates * NGX_LIMITER_SCRIPT_RATE;

    if (carry) {
        len += policy->nrates * NGX_LIMITER_SCRIPT_CARRIED;
    }

    if (item->sub) {
        len += NGX_LIMITER_SCRIPT_BACK;
    }

    p = ngx_pnalloc(pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    arg->data = p;
    arg->len = len;

    flags = (item->soft ? NGX_LIMITER_SCRIPT_SOFT : 0)
            | (carry ? NGX_LIMITER_SCRIPT_CARRY : 0)
            | (item->peek ? NGX_LIMITER_SCRIPT_PEEK : 0);

    *p++ = (u_char) policy->algorithm;
    *p++ = (u_char) flags;
    *p++ = (u_char) policy->nrates;

    p = ngx_limiter_script_put(p, policy->burst, 6);
    p = ngx_limiter_script_put(p, item->need, 6);
    p = ngx_limiter_script_put(p, item->take, 6);
    p = ngx_limiter_script_put(p, item->want, 6);
    p = ngx_limiter_script_put(p, item->add, 6);
    p = ngx_limiter_script_put(p, item->sub, 6);

    for (i = 0; i < policy->nrates; i++) {
        p = ngx_limiter_script_put(p, policy->rates[i].period, 4);
        p = ngx_limiter_script_put(p, policy->rates[i].limit, 6);
    }

    for (i = 0; carry && i < policy->nrates; i++) {
        p = ngx_limiter_script_put(p, carry[i].left, 6);
        p = ngx_limiter_script_put(p, carry[i].used, 6);
        p = ngx_limiter_script_put(p, carry[i].prev, 6);
        p = ngx_limiter_script_put(p, carry[i].own, 6);
        p = ngx_limiter_script_put(p, carry[i].own_prev, 6);
        p = ngx_limiter_script_put(p, carry[i].back, 6);
    }

    if (item->sub) {
        age = (item->now > item->since) ? item->now - item->since : 0;

        p = ngx_limiter_script_put(p, item->kept, 6);
        p = ngx_limiter_script_put(p, item->at, 6);
        (void) ngx_limiter_script_put(p, age, 6);
    }

    return NGX_OK;
}


/* big-endian; a number that is too large for its bytes becomes the largest */

static u_char *
ngx_limiter_script_put(u_char *p, uint64_t n, ngx_uint_t bytes)
{
    if (n >> (8 * bytes)) {
        n = ((uint64_t) 1 << (8 * bytes)) - 1;
    }

    while (bytes--) {
        *p++ = (u_char) (n >> (8 * bytes));
    }

    return p;
}


static uint64_t
ngx_limiter_script_get(u_char *p, ngx_uint_t bytes)
{
    uint64_t  n;

    for (n = 0; bytes; bytes--) {
        n = n << 8 | *p++;
    }

    return n;
}


ngx_int_t
ngx_limiter_script_reply(redisReply *reply, ngx_limiter_item_t **items,
    ngx_uint_t n, uint64_t now)
{
    u_char                *p, *last;
    uint64_t               told, least;
    ngx_uint_t             i, counted, all;
    ngx_limiter_answer_t   answers[NGX_LIMITER_MAX_ZONES];

    if (reply->type == REDIS_REPLY_INTEGER && reply->integer == 0) {
        return NGX_DECLINED;
    }

    if (reply->type != REDIS_REPLY_STRING
        || (size_t) reply->len < NGX_LIMITER_SCRIPT_BEGIN)
    {
        return NGX_ERROR;
    }

    p = (u_char *) reply->str;
    last = p + reply->len;

    counted = *p;
    told = ngx_limiter_script_get(p + 1, 6);

    if (told >> 32 == 0) {
        /* 1970: a Redis of 32 bits, whose struct.pack() has no more */
        return NGX_ERROR;
    }

    p += NGX_LIMITER_SCRIPT_BEGIN;
    all = 1;

    for (i = 0; i < n; i++) {

        if (ngx_limiter_script_answer(&answers[i], items[i], &p, last, told)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (!answers[i].room && !items[i]->soft) {
            all = 0;
        }
    }

    /* counted if, and only if, each that is not soft had room */

    if (p != last || counted != all) {
        return NGX_ERROR;
    }

    for (i = 0; i < n; i++) {

        least = (counted && answers[i].room && !items[i]->peek)
                ? items[i]->take : 0;

        if (answers[i].granted < least || (answers[i].granted && !counted)) {
            return NGX_ERROR;
        }
    }

    for (i = 0; i < n; i++) {
        ngx_limiter_script_take(items[i], &answers[i], told, now);
    }

    return counted ? NGX_OK : NGX_BUSY;
}


static ngx_int_t
ngx_limiter_script_answer(ngx_limiter_answer_t *answer,
    ngx_limiter_item_t *item, u_char **pos, u_char *last, uint64_t now)
{
    u_char               *p;
    size_t                len;
    ngx_limiter_state_t   stored;

    p = *pos;

    if (last - p < NGX_LIMITER_SCRIPT_ZONE || p[0] > 1) {
        return NGX_ERROR;
    }

    answer->room = p[0];
    answer->granted = ngx_limiter_script_get(p + 1, 6);
    len = ngx_limiter_script_get(p + 7, 2);

    p += NGX_LIMITER_SCRIPT_ZONE;

    if ((size_t) (last - p) < len
        || answer->granted > ngx_max(item->take, item->want)
        || (answer->granted && (!answer->room || item->peek))
        || ngx_limiter_script_value(&stored, item->policy->algorithm, p, len)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    *pos = p + len;

    (void) ngx_limiter_state_open(&answer->state, item->policy, &stored, now);

    return NGX_OK;
}


static ngx_int_t
ngx_limiter_script_value(ngx_limiter_state_t *state, ngx_uint_t algorithm,
    u_char *p, size_t len)
{
    size_t                 width;
    uint64_t               max, used, prev;
    ngx_limiter_record_t  *record;

    state->n = 0;

    if (len == 0) {
        return NGX_OK;
    }

    width = (algorithm == NGX_LIMITER_SLIDING_WINDOW) ? 22 : 16;

    if (p[0] != algorithm
        || (len - 1) % width
        || (len - 1) / width > NGX_LIMITER_MAX_RATES)
    {
        return NGX_ERROR;
    }

    for (p++, len--; len; p += width, len -= width) {

        record = &state->records[state->n];

        record->period = ngx_limiter_script_get(p, 4);

        if (record->period == 0 || record->period > NGX_LIMITER_MAX_PERIOD) {
            continue;
        }

        max = ngx_limiter_state_max(algorithm, record->period);
        used = ngx_limiter_script_get(p + 10, 6);
        prev = (width == 22) ? ngx_limiter_script_get(p + 16, 6) : 0;

        record->time = ngx_limiter_script_get(p + 4, 6);
        record->used = ngx_min(used, max);
        record->prev = ngx_min(prev, max);
        record->own = 0;
        record->own_prev = 0;
        record->told = 0;
        record->prev_told = 0;

        state->n++;
    }

    return NGX_OK;
}


static void
ngx_limiter_script_take(ngx_limiter_item_t *item, ngx_limiter_answer_t *answer,
    uint64_t told, uint64_t now)
{
    ngx_uint_t             i;
    ngx_limiter_record_t  *record;

    item->verdict = answer->room ? NGX_LIMITER_PASSED : NGX_LIMITER_REJECTED;
    item->granted = answer->granted;
    item->told = told;
    item->now = now;
    item->local = 0;
    item->state = answer->state;

    for (i = 0; i < item->state.n; i++) {
        record = &item->state.records[i];

        record->time = (record->time + now > told) ? record->time + now - told
                                                   : 0;
    }
}
