
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_optcache_reader.h"
#include "ngx_optcache_stream.h"
#include "ngx_redis_cluster.h"
#include "ngx_redis_reply.h"


#define NGX_OPTCACHE_READER_TURN   100   /* ms, to see who reads */
#define NGX_OPTCACHE_READER_LATE   1000  /* ms, then another worker does */
#define NGX_OPTCACHE_READER_ASK    1000  /* ms, then it is asked anyway */
#define NGX_OPTCACHE_READER_CUT    1000  /* ms, then it is told */
#define NGX_OPTCACHE_READER_BACK   4000  /* ms, of a Redis that was away: who
                                            tells tries it each 2 s */


struct ngx_optcache_reader_s {
    ngx_optcache_teller_t         *teller;
    ngx_optcache_ledger_t         *ledger;
    ngx_optcache_ledger_stream_t  *stream;
    ngx_keeper_t                  *keeper;
    ngx_redis_tracker_t           *tracker;
    ngx_event_t                    timer;
    ngx_log_t                     *log;

    /* who reports changes */
    ngx_uint_t                     nservers;
    uint64_t                       servers[NGX_REDIS_CLUSTER_MAX_MEMBERS];

    ngx_redis_command_t           *command;  /* the question under way */
    ngx_optcache_ledger_id_t       id;       /* ... behind what */
    uint64_t                       asked;    /* ms, ... when */
    uint64_t                       second;   /* ms, when it was asked anyway */

    uint64_t                       cut;      /* ms, since when; 0: hears */
    uint64_t                       silent;   /* ms, when a question had no
                                                answer */
    uint64_t                       told;     /* ms, when it was logged ..*/
    ngx_uint_t                     failed;   /* .. what is not understood, and
                                                how many were since */
    uint64_t                       missed;   /* ms, when a gap was logged */
    uint64_t                       denied;   /* ms, when a refusal was */
    unsigned                       reading:1;   /* is the keeper */
    unsigned                       reported:1;  /* changes are, from now on */
    unsigned                       changed:1;   /* since it was asked */
    unsigned                       behind:1;    /* or may be */
    unsigned                       lost:1;      /* cut off, not for a moment */
    unsigned                       logged:1;    /* which is */
    unsigned                       refused:1;   /* and that was */
};


static void ngx_optcache_reader_timer_handler(ngx_event_t *ev);
static void ngx_optcache_reader_turn(ngx_optcache_reader_t *reader,
    uint64_t now);
static void ngx_optcache_reader_stop(ngx_optcache_reader_t *reader);
static void ngx_optcache_reader_up_handler(void *data, uint64_t *servers,
    ngx_uint_t n);
static void ngx_optcache_reader_down_handler(void *data);
static void ngx_optcache_reader_changed_handler(void *data, ngx_str_t *key);
static void ngx_optcache_reader_heard_handler(void *data, ngx_msec_t age);
static void ngx_optcache_reader_late(ngx_optcache_reader_t *reader);
static void ngx_optcache_reader_ask(ngx_optcache_reader_t *reader);
static void ngx_optcache_reader_handler(void *data, ngx_redis_result_e result,
    redisReply *reply);
static ngx_int_t ngx_optcache_reader_answer(ngx_optcache_reader_t *reader,
    ngx_redis_command_t *command, ngx_redis_result_e result,
    redisReply *reply, ngx_uint_t *more);
static ngx_uint_t ngx_optcache_reader_reports(ngx_optcache_reader_t *reader,
    uint64_t server);
static ngx_uint_t ngx_optcache_reader_current(ngx_optcache_reader_t *reader);
static void ngx_optcache_reader_read(ngx_optcache_reader_t *reader);
static void ngx_optcache_reader_set_up(ngx_optcache_reader_t *reader,
    ngx_uint_t up);
static void ngx_optcache_reader_log_cut(ngx_optcache_reader_t *reader,
    uint64_t now);
static void ngx_optcache_reader_log_told(ngx_optcache_reader_t *reader,
    ngx_optcache_stream_told_t *told);
static void ngx_optcache_reader_log_gap(ngx_optcache_reader_t *reader);
static void ngx_optcache_reader_log_refused(ngx_optcache_reader_t *reader,
    redisReply *reply);


static ngx_redis_tracking_handlers_t  ngx_optcache_reader_handlers = {
    ngx_optcache_reader_up_handler,
    ngx_optcache_reader_down_handler,
    ngx_optcache_reader_changed_handler,
    ngx_optcache_reader_heard_handler
};


ngx_optcache_reader_t *
ngx_optcache_reader_create(ngx_cycle_t *cycle, ngx_optcache_teller_t *teller,
    ngx_redis_conf_t *conf)
{
    ngx_optcache_reader_t  *reader;

    reader = ngx_pcalloc(cycle->pool, sizeof(ngx_optcache_reader_t));
    if (reader == NULL) {
        return NULL;
    }

    reader->teller = teller;
    reader->ledger = teller->ledger;
    reader->stream = ngx_optcache_ledger_stream(teller->ledger);
    reader->keeper = ngx_optcache_ledger_keeper(teller->ledger);
    reader->log = cycle->log;

    reader->tracker = ngx_redis_tracker_create(cycle, conf, &teller->stream, 1,
                                               &ngx_optcache_reader_handlers,
                                               reader);
    if (reader->tracker == NULL) {
        return NULL;
    }

    reader->timer.handler = ngx_optcache_reader_timer_handler;
    reader->timer.data = reader;
    reader->timer.log = cycle->log;
    reader->timer.cancelable = 1;

    ngx_add_timer(&reader->timer, 1 + ngx_worker * 10 % 100);

    return reader;
}


void
ngx_optcache_reader_close(ngx_optcache_reader_t *reader)
{
    if (reader->timer.timer_set) {
        ngx_del_timer(&reader->timer);
    }

    ngx_optcache_reader_stop(reader);
    ngx_keeper_leave(reader->keeper);
}


ngx_uint_t
ngx_optcache_reader_trusted(ngx_optcache_ledger_t *ledger)
{
    uint64_t                       heard;
    ngx_optcache_ledger_stream_t  *stream;

    stream = ngx_optcache_ledger_stream(ledger);

    /* before the time is looked at, or it might be later */
    heard = ngx_shared_number_get(&stream->heard);

    return stream->up
           && ngx_redis_tracking_now() - heard < NGX_REDIS_TRACKING_TRUST;
}


ngx_uint_t
ngx_optcache_reader_cut(ngx_optcache_ledger_t *ledger)
{
    uint64_t  heard;

    heard = ngx_shared_number_get(
                                  &ngx_optcache_ledger_stream(ledger)->heard);

    return ngx_redis_tracking_now() - heard >= NGX_OPTCACHE_READER_CUT;
}


static void
ngx_optcache_reader_timer_handler(ngx_event_t *ev)
{
    uint64_t                now;
    ngx_optcache_reader_t  *reader;

    reader = ev->data;
    now = ngx_redis_tracking_now();

    if (!ngx_optcache_ledger_follows(reader->ledger)) {
        /* of another stream; those that read this one are not kept waiting */
        ngx_optcache_reader_stop(reader);
        ngx_keeper_leave(reader->keeper);

    } else if (ngx_keeper_is(reader->keeper, now, NGX_OPTCACHE_READER_LATE)) {
        ngx_optcache_reader_turn(reader, now);

    } else {
        ngx_optcache_reader_stop(reader);
    }

    if (!ngx_exiting) {
        ngx_add_timer(&reader->timer, NGX_OPTCACHE_READER_TURN);
    }
}


static void
ngx_optcache_reader_turn(ngx_optcache_reader_t *reader, uint64_t now)
{
    if (!reader->reading) {
        reader->reading = 1;
        reader->teller->settled = 0;
        ngx_optcache_reader_late(reader);
    }

    ngx_redis_tracker_open(reader->tracker);

    if (now - reader->second >= NGX_OPTCACHE_READER_ASK) {
        reader->second = now;

        ngx_optcache_teller_catch_up(reader->teller);
        ngx_optcache_reader_ask(reader);

    } else if (reader->behind && reader->reported) {
        ngx_optcache_reader_ask(reader);
    }

    ngx_optcache_reader_log_cut(reader, now);
}


static void
ngx_optcache_reader_stop(ngx_optcache_reader_t *reader)
{
    if (!reader->reading) {
        return;
    }

    reader->reading = 0;

    ngx_redis_tracker_close(reader->tracker);

    if (reader->command) {
        ngx_redis_command_abandon(reader->command);
        reader->command = NULL;
    }

    ngx_optcache_reader_set_up(reader, 0);

    reader->cut = 0;
    reader->silent = 0;
    reader->lost = 0;
    reader->logged = 0;
}


static void
ngx_optcache_reader_up_handler(void *data, uint64_t *servers, ngx_uint_t n)
{
    ngx_optcache_reader_t *reader = data;

    reader->reported = 1;
    reader->nservers = ngx_min(n, NGX_REDIS_CLUSTER_MAX_MEMBERS);

    ngx_memcpy(reader->servers, servers,
               reader->nservers * sizeof(uint64_t));

    ngx_optcache_reader_late(reader);
    ngx_optcache_reader_ask(reader);
}


static void
ngx_optcache_reader_down_handler(void *data)
{
    ngx_optcache_reader_t *reader = data;

    reader->reported = 0;

    ngx_optcache_reader_late(reader);
    ngx_optcache_reader_set_up(reader, 0);

    if (ngx_exiting) {
        /* another worker need not wait until this one is gone */
        ngx_keeper_leave(reader->keeper);
    }
}


static void
ngx_optcache_reader_changed_handler(void *data, ngx_str_t *key)
{
    ngx_optcache_reader_t *reader = data;

    ngx_str_t  *stream;

    stream = &reader->teller->stream;

    if (key
        && (key->len != stream->len
            || ngx_memcmp(key->data, stream->data, key->len) != 0))
    {
        /* it begins like that */
        return;
    }

    ngx_optcache_reader_late(reader);
    ngx_optcache_reader_ask(reader);
}


/* What was in the stream then has been read, unless it is behind. */

static void
ngx_optcache_reader_heard_handler(void *data, ngx_msec_t age)
{
    ngx_optcache_reader_t *reader = data;

    if (!reader->behind
        && reader->stream->up == (ngx_atomic_uint_t) ngx_pid)
    {
        ngx_shared_number_set(&reader->stream->heard,
                              ngx_redis_tracking_now() - age);
    }
}


/* There may be more than was read, and than is being asked for. */

static void
ngx_optcache_reader_late(ngx_optcache_reader_t *reader)
{
    reader->behind = 1;
    reader->changed = 1;

    if (reader->cut == 0) {
        reader->cut = ngx_redis_tracking_now();
    }
}


static void
ngx_optcache_reader_ask(ngx_optcache_reader_t *reader)
{
    if (reader->command || !reader->reading) {
        return;
    }

    ngx_optcache_ledger_id(reader->ledger, &reader->id);

    reader->asked = ngx_redis_tracking_now();
    reader->command = ngx_optcache_stream_ask(reader->teller, &reader->id,
                                              ngx_optcache_reader_handler,
                                              reader);
    if (reader->command) {
        reader->changed = 0;

    } else {
        reader->silent = reader->asked;
    }
}


static void
ngx_optcache_reader_handler(void *data, ngx_redis_result_e result,
    redisReply *reply)
{
    ngx_optcache_reader_t *reader = data;

    ngx_uint_t            more;
    ngx_redis_command_t  *command;

    command = reader->command;
    reader->command = NULL;

    if (ngx_optcache_reader_answer(reader, command, result, reply, &more)
        != NGX_OK)
    {
        return;
    }

    if (more || reader->changed) {
        ngx_optcache_reader_ask(reader);
        return;
    }

    if (reader->reported) {
        ngx_optcache_reader_read(reader);
    }
}


/* NGX_OK: it was taken; else it is asked again at the next turn. */

static ngx_int_t
ngx_optcache_reader_answer(ngx_optcache_reader_t *reader,
    ngx_redis_command_t *command, ngx_redis_result_e result,
    redisReply *reply, ngx_uint_t *more)
{
    ngx_optcache_stream_told_t  told;

    if (result != NGX_REDIS_REPLY) {

        if (result == NGX_REDIS_REFUSED) {
            ngx_optcache_reader_log_refused(reader, reply);

        } else {
            reader->silent = ngx_redis_tracking_now();
        }

        return NGX_DECLINED;
    }

    if (!ngx_optcache_reader_current(reader)) {
        return NGX_DECLINED;
    }

    if (reader->reported
        && !ngx_optcache_reader_reports(reader,
                                        ngx_redis_command_server(command)))
    {
        /* it may have another stream */
        ngx_log_debug0(NGX_LOG_DEBUG_EVENT, reader->log, 0,
                       "optcache stream of another server");
        return NGX_DECLINED;
    }

    if (ngx_optcache_stream_take(reader->teller, &reader->id, reply, &told)
        != NGX_OK)
    {
        ngx_optcache_reader_log_refused(reader, reply);
        return NGX_DECLINED;
    }

    ngx_log_debug3(NGX_LOG_DEBUG_EVENT, reader->log, 0,
                   "optcache stream events:%ui gap:%d more:%d",
                   told.n, told.gap, told.more);

    ngx_optcache_reader_log_told(reader, &told);

    reader->refused = 0;
    *more = told.more;

    return NGX_OK;
}


/*
 * A worker that was thought to be gone, and goes on, has nothing to say any
 * more.
 */

static ngx_uint_t
ngx_optcache_reader_current(ngx_optcache_reader_t *reader)
{
    ngx_optcache_ledger_id_t  id;

    if (reader->keeper->pid != (ngx_atomic_uint_t) ngx_pid
        || !ngx_optcache_ledger_follows(reader->ledger))
    {
        return 0;
    }

    ngx_optcache_ledger_id(reader->ledger, &id);

    return id.ms == reader->id.ms && id.number == reader->id.number;
}


static ngx_uint_t
ngx_optcache_reader_reports(ngx_optcache_reader_t *reader, uint64_t server)
{
    ngx_uint_t  i;

    for (i = 0; i < reader->nservers; i++) {
        if (reader->servers[i] == server) {
            return 1;
        }
    }

    return 0;
}


/* All that was in the stream when it was asked for has been read. */

static void
ngx_optcache_reader_read(ngx_optcache_reader_t *reader)
{
    uint64_t  now;

    reader->behind = 0;
    ngx_shared_number_set(&reader->stream->heard, reader->asked);

    if (reader->stream->up != (ngx_atomic_uint_t) ngx_pid) {
        ngx_optcache_reader_set_up(reader, 1);
        ngx_optcache_teller_catch_up(reader->teller);

        ngx_log_error(NGX_LOG_INFO, reader->log, 0,
                      "optcache hears of invalidations");
    }

    if (reader->lost) {
        reader->lost = 0;
        reader->logged = 0;
        now = ngx_redis_tracking_now();

        ngx_log_error(NGX_LOG_NOTICE, reader->log, 0,
                      "optcache hears of invalidations again, after %uL ms",
                      now - reader->cut);
    }

    reader->cut = 0;
}


static void
ngx_optcache_reader_set_up(ngx_optcache_reader_t *reader, ngx_uint_t up)
{
    ngx_optcache_ledger_stream_t  *stream;

    stream = reader->stream;

    if (up) {
        stream->since = ngx_time();
        ngx_memory_barrier();
        stream->up = ngx_pid;

        return;
    }

    if (ngx_atomic_cmp_set(&stream->up, ngx_pid, 0)) {
        stream->since = ngx_time();
    }
}


/* That Redis does not answer is logged by its client. */

static void
ngx_optcache_reader_log_cut(ngx_optcache_reader_t *reader, uint64_t now)
{
    if (reader->cut == 0 || now - reader->cut < NGX_OPTCACHE_READER_CUT) {
        return;
    }

    if (!reader->lost) {
        reader->lost = 1;
        ngx_optcache_reader_set_up(reader, 0);
    }

    if (reader->logged
        || reader->command
        || now < reader->silent + NGX_OPTCACHE_READER_BACK)
    {
        return;
    }

    reader->logged = 1;

    ngx_log_error(NGX_LOG_WARN, reader->log, 0,
                  "optcache does not hear of invalidations when they happen, "
                  "redis is asked for them each second");
}


/* What an event has in it is not logged. */

static void
ngx_optcache_reader_log_told(ngx_optcache_reader_t *reader,
    ngx_optcache_stream_told_t *told)
{
    if (told->gap
        && (reader->missed == 0
            || reader->asked - reader->missed >= NGX_OPTCACHE_READER_ASK))
    {
        reader->missed = reader->asked;
        ngx_optcache_reader_log_gap(reader);
    }

    if (told->failed == 0) {
        return;
    }

    reader->failed += told->failed;

    if (reader->told
        && reader->asked - reader->told < NGX_OPTCACHE_READER_ASK)
    {
        return;
    }

    ngx_log_error(NGX_LOG_WARN, reader->log, 0,
                  "optcache does not understand %ui event%s, the last is "
                  "\"%uL-%uL\" in the stream \"%V\"",
                  reader->failed, reader->failed == 1 ? "" : "s",
                  told->bad.ms, told->bad.number, &reader->teller->stream);

    reader->told = reader->asked;
    reader->failed = 0;
}


static void
ngx_optcache_reader_log_gap(ngx_optcache_reader_t *reader)
{
    if (reader->id.ms == 0 && reader->id.number == 0) {
        ngx_log_error(NGX_LOG_NOTICE, reader->log, 0,
                      "optcache had not read the stream \"%V\" until now: "
                      "nothing that was stored before is used",
                      &reader->teller->stream);
        return;
    }

    ngx_log_error(NGX_LOG_NOTICE, reader->log, 0,
                  "optcache may have missed invalidations, \"%uL-%uL\" is not "
                  "in the stream \"%V\" any more: nothing that was stored "
                  "before is used",
                  reader->id.ms, reader->id.number, &reader->teller->stream);
}


/* That a server is away is logged by its client. */

static void
ngx_optcache_reader_log_refused(ngx_optcache_reader_t *reader,
    redisReply *reply)
{
    ngx_str_t  code;

    if (reader->refused
        || (reader->denied
            && reader->asked - reader->denied < NGX_OPTCACHE_READER_ASK))
    {
        return;
    }

    reader->refused = 1;
    reader->denied = reader->asked;
    code = ngx_redis_reply_code(reply);

    ngx_log_error(NGX_LOG_ERR, reader->log, 0,
                  "optcache cannot read the stream \"%V\": \"%V\"",
                  &reader->teller->stream, &code);
}
