
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include <openssl/rand.h>

#include "ngx_limiter_fleet.h"
#include "ngx_limiter_local.h"
#include "ngx_redis_refusal.h"
#include "ngx_redis_reply.h"


#define NGX_LIMITER_FLEET_MAGIC    0x6f70666c      /* "opfl" */
#define NGX_LIMITER_FLEET_VERSION  6

#define NGX_LIMITER_FLEET_BEAT     1000    /* ms between two signs of life */
#define NGX_LIMITER_FLEET_FIRST    100     /* ms, while one is waited for */
#define NGX_LIMITER_FLEET_LATE     3000    /* ms, then another worker does it */

/*
 * Until then any worker of any host has asked Redis again, which it does every
 * 2 seconds at the most, and its host has told of itself and of the rest.
 */
#define NGX_LIMITER_FLEET_SETTLE   5000    /* ms */
#define NGX_LIMITER_FLEET_AWAY     50      /* ms, not to be written oftener */

/* more hosts than these are not believed in */
#define NGX_LIMITER_FLEET_MAX      1000

/* what Redis had of this host, as the script says */
#define NGX_LIMITER_FLEET_UNKNOWN  0
#define NGX_LIMITER_FLEET_OLDER    1       /* than it has acknowledged */
#define NGX_LIMITER_FLEET_KNOWN    2


struct ngx_limiter_fleet_s {
    ngx_limiter_fleet_shm_t       *shm;
    ngx_redis_client_t            *client;
    ngx_str_t                      key;

    ngx_uint_t                     era;       /* of the client, as last seen */
    uint32_t                       sent;      /* era of the sign of life */
    uint32_t                       reconciled;   /* era */
    unsigned                       cluster:1;
    unsigned                       settled:1;    /* and not reconciled yet */
    unsigned                       telling:1;    /* what is due */
    ngx_redis_command_t           *command;
    ngx_redis_refusal_t            refusal;
    ngx_event_t                    timer;

    ngx_limiter_fleet_handlers_t  *handlers;
    void                          *data;
};


/*
 * Scores are times, which are above a million million milliseconds since 2001,
 * or the count of resets, which is below.  A host that was not seen for five
 * seconds does not count, nor does one that was seen that much later than now,
 * before the clock was set back.  It is known for a day, so that one that
 * comes back can tell a Redis that has lost its data from one that has not.
 * One that knows an earlier time of a host than it has answered to it,
 * ARGV[2], has lost what came since: it is back with an old snapshot, or a
 * replica that had not received it has taken over.  That it has lost something
 * stays in the fraction of the score, in quarters, until the host has heard of
 * it: an answer may be lost, too.  Numbers are sent as text, for Redis prints
 * doubles slowly and old ones with an exponent.
 */

static u_char  ngx_limiter_fleet_script[] =
    "local t = redis.call('TIME')\n"
    "local now = t[1] * 1000 + (t[2] - t[2] % 1000) / 1000\n"
    "local key, id = KEYS[1], ARGV[1]\n"
    "local had, known = redis.call('ZSCORE', key, id), 0\n"
    "\n"
    "if had then\n"
    "  local heard, unheard = ARGV[2] + 0, had % 1\n"
    "\n"
    "  if had + 0 < heard then\n"
    "    known = 1\n"
    "  elseif had - unheard > heard then\n"
    "    known = 2 - unheard * 4\n"
    "  else\n"
    "    known = 2\n"
    "  end\n"
    "end\n"
    "\n"
    "redis.call('ZADD', key, string.format('%.2f', now + (2 - known) / 4),\n"
    "           id)\n"
    "redis.call('ZREMRANGEBYSCORE', key, '1000000000000',\n"
    "           string.format('%.0f', now - 86400000))\n"
    "redis.call('PEXPIRE', key, '86400000')\n"
    "\n"
    "local ids = redis.call('ZRANGEBYSCORE', key,\n"
    "                       string.format('%.0f', now - 5000),\n"
    "                       string.format('%.0f', now + 5000))\n"
    "local rank = 0\n"
    "\n"
    "for i = 1, #ids do\n"
    "  if ids[i] < id then\n"
    "    rank = rank + 1\n"
    "  end\n"
    "end\n"
    "\n"
    "local resets = redis.call('ZSCORE', key, '" NGX_LIMITER_FLEET_RESETS "')\n"
    "\n"
    "return {#ids, rank, tonumber(resets or '0'), known, now}\n";


static void ngx_limiter_fleet_timer_handler(ngx_event_t *ev);
static void ngx_limiter_fleet_mind(ngx_limiter_fleet_t *fleet, uint64_t now);
static void ngx_limiter_fleet_beat(ngx_limiter_fleet_t *fleet);
static void ngx_limiter_fleet_reply_handler(void *data,
    ngx_redis_result_e result, redisReply *reply);
static void ngx_limiter_fleet_log(ngx_limiter_fleet_t *fleet,
    ngx_redis_result_e result, redisReply *reply);
static void ngx_limiter_fleet_due(ngx_limiter_fleet_t *fleet, ngx_uint_t due);
static ngx_uint_t ngx_limiter_fleet_lost(ngx_limiter_fleet_t *fleet,
    ngx_uint_t known);
static ngx_int_t ngx_limiter_fleet_reply(redisReply *reply);


ngx_int_t
ngx_limiter_fleet_init(ngx_slab_pool_t *shpool, ngx_log_t *log)
{
    u_char                    id[NGX_LIMITER_FLEET_ID / 2];
    ngx_limiter_fleet_shm_t  *shm;

    shm = shpool->data;

    if (shm) {

        if (shm->magic == NGX_LIMITER_FLEET_MAGIC
            && shm->version == NGX_LIMITER_FLEET_VERSION)
        {
            return NGX_OK;
        }

        ngx_log_error(NGX_LOG_EMERG, log, 0,
                      "the zone of the limits' fleet was laid out by another "
                      "version of the module, nginx must be restarted");
        return NGX_ERROR;
    }

    shm = ngx_slab_calloc(shpool, sizeof(ngx_limiter_fleet_shm_t));

    if (shm == NULL || RAND_bytes(id, sizeof(id)) != 1) {
        return NGX_ERROR;
    }

    shm->magic = NGX_LIMITER_FLEET_MAGIC;
    shm->version = NGX_LIMITER_FLEET_VERSION;
    shm->hosts = 1;
    shm->era = 1;

    ngx_hex_dump(shm->id, id, sizeof(id));

    shpool->data = shm;

    return NGX_OK;
}


ngx_limiter_fleet_t *
ngx_limiter_fleet_create(ngx_cycle_t *cycle, ngx_slab_pool_t *shpool,
    ngx_redis_client_t *client, ngx_str_t *prefix)
{
    u_char               *p;
    ngx_limiter_fleet_t  *fleet;

    fleet = ngx_pcalloc(cycle->pool, sizeof(ngx_limiter_fleet_t));
    if (fleet == NULL) {
        return NULL;
    }

    p = ngx_pnalloc(cycle->pool, prefix->len + sizeof("{fleet}") - 1);
    if (p == NULL) {
        return NULL;
    }

    fleet->key.data = p;
    p = ngx_cpymem(p, prefix->data, prefix->len);
    p = ngx_cpymem(p, "{fleet}", sizeof("{fleet}") - 1);
    fleet->key.len = p - fleet->key.data;

    fleet->shm = shpool->data;
    fleet->client = client;
    fleet->cluster = (ngx_redis_client_slot(client, &fleet->key)
                      != NGX_DECLINED);
    fleet->era = ngx_redis_client_era(client);
    fleet->reconciled = (uint32_t) fleet->shm->era;

    fleet->timer.handler = ngx_limiter_fleet_timer_handler;
    fleet->timer.data = fleet;
    fleet->timer.log = cycle->log;
    fleet->timer.cancelable = 1;

    /* at once, but not all workers in the same moment */

    ngx_add_timer(&fleet->timer, 1 + ngx_worker * 10 % 100);

    return fleet;
}


void
ngx_limiter_fleet_listen(ngx_limiter_fleet_t *fleet,
    ngx_limiter_fleet_handlers_t *handlers, void *data)
{
    fleet->handlers = handlers;
    fleet->data = data;
}


void
ngx_limiter_fleet_close(ngx_limiter_fleet_t *fleet)
{
    if (fleet->timer.timer_set) {
        ngx_del_timer(&fleet->timer);
    }

    ngx_keeper_leave(&fleet->shm->keeper);
}


static void
ngx_limiter_fleet_timer_handler(ngx_event_t *ev)
{
    uint64_t              now;
    ngx_limiter_fleet_t  *fleet;

    fleet = ev->data;

    if (ngx_exiting) {
        ngx_limiter_fleet_close(fleet);
        return;
    }

    now = ngx_limiter_local_now();

    /* nobody may have asked for anything */

    if (ngx_redis_client_state(fleet->client) == NGX_REDIS_DOWN) {
        ngx_limiter_fleet_away(fleet, now);
    }

    if (ngx_keeper_is(&fleet->shm->keeper, now, NGX_LIMITER_FLEET_LATE)) {
        ngx_limiter_fleet_mind(fleet, now);
        ngx_limiter_fleet_beat(fleet);
    }

    ngx_add_timer(&fleet->timer,
                  (fleet->shm->known && !ngx_limiter_fleet_unsure(fleet, now))
                  ? NGX_LIMITER_FLEET_BEAT : NGX_LIMITER_FLEET_FIRST);
}


static void
ngx_limiter_fleet_mind(ngx_limiter_fleet_t *fleet, uint64_t now)
{
    if (ngx_shared_number_get(&fleet->shm->away) == 0
        || ngx_limiter_fleet_settling(fleet, now)) {
        return;
    }

    ngx_limiter_fleet_due(fleet, 1);
    ngx_shared_number_set(&fleet->shm->away, 0);

    /* not before it is known whether Redis has forgotten the rest */

    fleet->settled = 1;
}


static void
ngx_limiter_fleet_beat(ngx_limiter_fleet_t *fleet)
{
    u_char     stamp[NGX_INT64_LEN];
    ngx_str_t  argv[6];

    /* a worker that is to exit would wait for the answer of a dead server */

    if (fleet->command
        || ngx_redis_client_state(fleet->client) != NGX_REDIS_UP)
    {
        return;
    }

    ngx_str_set(&argv[0], "EVAL");
    ngx_str_set(&argv[1], ngx_limiter_fleet_script);
    ngx_str_set(&argv[2], "1");

    argv[3] = fleet->key;

    argv[4].data = fleet->shm->id;
    argv[4].len = NGX_LIMITER_FLEET_ID;

    argv[5].data = stamp;
    argv[5].len = ngx_sprintf(stamp, "%uL",
                              ngx_shared_number_get(&fleet->shm->stamp))
                  - stamp;

    fleet->sent = ngx_limiter_fleet_era(fleet);

    fleet->command = ngx_redis_client_send(fleet->client, 6, argv, 3,
                                           ngx_limiter_fleet_reply_handler,
                                           fleet);
}


static void
ngx_limiter_fleet_reply_handler(void *data, ngx_redis_result_e result,
    redisReply *reply)
{
    ngx_limiter_fleet_t *fleet = data;

    uint32_t                  era;
    uint64_t                  now;
    ngx_uint_t                lost, known;
    ngx_atomic_uint_t         hosts, resets;
    ngx_limiter_fleet_shm_t  *shm;

    fleet->command = NULL;
    shm = fleet->shm;

    ngx_limiter_fleet_log(fleet, result, reply);

    if (result != NGX_REDIS_REPLY || ngx_limiter_fleet_reply(reply) != NGX_OK) {
        return;
    }

    hosts = reply->element[0]->integer;
    now = ngx_limiter_local_now();

    if (hosts >= shm->hosts || !ngx_limiter_fleet_settling(fleet, now)) {
        shm->hosts = hosts;
        shm->rank = reply->element[1]->integer;
    }

    ngx_shared_number_set(&shm->heard, now);

    resets = reply->element[2]->integer;
    known = reply->element[3]->integer;
    lost = ngx_limiter_fleet_lost(fleet, known);

    era = ngx_limiter_fleet_era(fleet);

    if (resets != shm->resets) {

        /* not when this host has just begun to listen, or Redis to speak */

        if (shm->known && !lost && fleet->handlers) {
            fleet->handlers->forgotten(fleet->data);
        }

        shm->resets = resets;
    }

    shm->known = 1;
    ngx_shared_number_set(&shm->stamp, reply->element[4]->integer);
    shm->sure = fleet->sent;

    if (lost) {
        ngx_log_error(NGX_LOG_WARN, fleet->timer.log, 0,
                      "redis has forgotten the limits, it is told of them "
                      "again");
    }

    /* one that had not told of itself yet cannot know what else is forgotten */

    if (lost || fleet->settled || era != fleet->reconciled) {
        fleet->settled = 0;
        fleet->reconciled = era;
        fleet->telling = 0;

        ngx_limiter_fleet_due(fleet,
                              (known != NGX_LIMITER_FLEET_KNOWN) ? 2 : 1);
    }

    /* another worker may have begun, which is dead, or had to leave */

    if (shm->due && !fleet->telling && fleet->handlers) {
        fleet->telling = 1;
        fleet->handlers->back(fleet->data, shm->due == 2);
    }
}


/* Written before what tells this worker of it, which may die in between. */

static void
ngx_limiter_fleet_due(ngx_limiter_fleet_t *fleet, ngx_uint_t due)
{
    if (fleet->shm->due < due) {
        fleet->shm->due = due;
    }
}


void
ngx_limiter_fleet_reconciled(ngx_limiter_fleet_t *fleet, ngx_uint_t whole)
{
    fleet->telling = 0;

    if (whole) {
        fleet->shm->due = 0;
    }
}


/*
 * Requests may be served all the while, and nobody else would say why hosts do
 * not know of each other.  What is an outage is logged by the client.
 */

static void
ngx_limiter_fleet_log(ngx_limiter_fleet_t *fleet, ngx_redis_result_e result,
    redisReply *reply)
{
    ngx_str_t  code;

    if (result == NGX_REDIS_REFUSED
        && ngx_redis_reply_verdict(reply) == NGX_REDIS_VERDICT_WELL
        && ngx_redis_refusal_begin(&fleet->refusal, ngx_current_msec)
           == NGX_OK)
    {
        code = ngx_redis_reply_code(reply);

        ngx_log_error(NGX_LOG_ERR, fleet->timer.log, 0,
                      "redis does not take signs of life of this host: \"%V\"",
                      &code);
    }

    if (result == NGX_REDIS_REPLY
        && ngx_redis_refusal_end(&fleet->refusal, ngx_current_msec) == NGX_OK)
    {
        ngx_log_error(NGX_LOG_NOTICE, fleet->timer.log, 0,
                      "redis takes signs of life of this host again after %Mms",
                      ngx_current_msec - fleet->refusal.since);
    }
}


static ngx_uint_t
ngx_limiter_fleet_lost(ngx_limiter_fleet_t *fleet, ngx_uint_t known)
{
    ngx_limiter_fleet_shm_t  *shm;

    shm = fleet->shm;

    if (!shm->known || known == NGX_LIMITER_FLEET_KNOWN) {
        return 0;
    }

    ngx_limiter_fleet_due(fleet, 2);

    if ((uint32_t) shm->sure == fleet->sent) {

        /* no connection was lost, as with FLUSHALL, and no era ended by that */

        fleet->sent = (uint32_t) ngx_atomic_fetch_add(&shm->era, 1) + 1;

    } else if (known == NGX_LIMITER_FLEET_UNKNOWN && !fleet->cluster) {
        (void) ngx_atomic_fetch_add(&shm->life, 1);
    }

    return 1;
}


static ngx_int_t
ngx_limiter_fleet_reply(redisReply *reply)
{
    ngx_uint_t   i;
    redisReply  *e;

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 5) {
        return NGX_ERROR;
    }

    for (i = 0; i < 5; i++) {
        e = reply->element[i];

        if (e->type != REDIS_REPLY_INTEGER || e->integer < 0) {
            return NGX_ERROR;
        }
    }

    if (reply->element[0]->integer < 1
        || reply->element[0]->integer > NGX_LIMITER_FLEET_MAX
        || reply->element[1]->integer >= reply->element[0]->integer)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


void
ngx_limiter_fleet_share(ngx_limiter_fleet_t *fleet, uint32_t hash,
    ngx_limiter_share_t *share)
{
    share->hosts = ngx_limiter_fleet_hosts(fleet);
    share->rank = (fleet->shm->rank + hash) % share->hosts;
}


void
ngx_limiter_fleet_away(ngx_limiter_fleet_t *fleet, uint64_t now)
{
    ngx_shared_number_t  *away;

    away = &fleet->shm->away;

    if ((int64_t) (now - ngx_shared_number_get(away))
        >= NGX_LIMITER_FLEET_AWAY)
    {
        ngx_shared_number_set(away, now);
    }
}


ngx_uint_t
ngx_limiter_fleet_settling(ngx_limiter_fleet_t *fleet, uint64_t now)
{
    uint64_t  away;

    away = ngx_shared_number_get(&fleet->shm->away);

    return away
           && (int64_t) (now - away) < NGX_LIMITER_FLEET_SETTLE
           && fleet->shm->hosts > 1;
}


ngx_atomic_t *
ngx_limiter_fleet_life(ngx_limiter_fleet_t *fleet)
{
    return &fleet->shm->life;
}


ngx_uint_t
ngx_limiter_fleet_unsure(ngx_limiter_fleet_t *fleet, uint64_t now)
{
    return ngx_limiter_fleet_settling(fleet, now)
           && !fleet->cluster
           && (uint32_t) fleet->shm->sure != ngx_limiter_fleet_era(fleet);
}


uint32_t
ngx_limiter_fleet_era(ngx_limiter_fleet_t *fleet)
{
    ngx_uint_t  era;

    era = ngx_redis_client_era(fleet->client);

    if (era != fleet->era) {
        fleet->era = era;
        (void) ngx_atomic_fetch_add(&fleet->shm->era, 1);
    }

    return (uint32_t) fleet->shm->era;
}


ngx_uint_t
ngx_limiter_fleet_hosts(ngx_limiter_fleet_t *fleet)
{
    ngx_uint_t  hosts;

    hosts = fleet->shm->hosts;

    return ngx_max(hosts, 1);
}


ngx_uint_t
ngx_limiter_fleet_rank(ngx_limiter_fleet_t *fleet)
{
    return fleet->shm->rank;
}


uint64_t
ngx_limiter_fleet_heard(ngx_limiter_fleet_t *fleet)
{
    return ngx_shared_number_get(&fleet->shm->heard);
}


ngx_str_t *
ngx_limiter_fleet_key(ngx_limiter_fleet_t *fleet)
{
    return &fleet->key;
}


void
ngx_limiter_fleet_told(ngx_limiter_fleet_t *fleet)
{
    (void) ngx_atomic_fetch_add(&fleet->shm->resets, 1);
}
