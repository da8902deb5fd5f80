
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_optcache_event.h"
#include "ngx_optcache_stream.h"
#include "ngx_redis_reply.h"
#include "ngx_redis_tracking.h"


/* how far a replica that takes over may be behind, ms */

#define NGX_OPTCACHE_STREAM_AGAIN  60000


#define ngx_optcache_stream_string(n)  ngx_optcache_stream_quote(n)
#define ngx_optcache_stream_quote(n)   #n


static ngx_int_t ngx_optcache_stream_begin(ngx_optcache_teller_t *teller,
    ngx_optcache_ledger_id_t *id, redisReply *events,
    ngx_optcache_stream_told_t *told);
static ngx_int_t ngx_optcache_stream_event(ngx_optcache_teller_t *teller,
    redisReply *reply, ngx_optcache_ledger_id_t *last,
    ngx_optcache_stream_told_t *told);
static ngx_int_t ngx_optcache_stream_apply(ngx_optcache_teller_t *teller,
    redisReply *reply, ngx_optcache_ledger_id_t *id);
static ngx_int_t ngx_optcache_stream_id(redisReply *event,
    ngx_optcache_ledger_id_t *id);


/*
 * Positions of L2 entries are ids: what was stored when there was another
 * stream, which was ahead of this one, must not seem to be of the time to come.
 * So a stream that is not ahead of what was read begins anew, ahead of that.
 *
 * A string counts for 16 bytes more than it has, and an event for 48, so that
 * the limit of bytes is one of elements as well; see ngx_redis_reply.h.
 */

static ngx_str_t  ngx_optcache_stream_script = ngx_string(
    "local key, last, count = KEYS[1], ARGV[1], tonumber(ARGV[2])\n"
    "local found, sum, out = 1, 0, {}\n"
    "local events = redis.call('XRANGE', key, last, '+', 'COUNT', count)\n"
    "if not events[1] or events[1][1] ~= last then\n"
      "found = 0\n"
      "local ms = tonumber(string.match(last, '^%d+'))\n"
      "local top = redis.call('XREVRANGE', key, '+', '-', 'COUNT', 1)[1]\n"
      "if not top or tonumber(string.match(top[1], '^%d+')) <= ms then\n"
        "local t, id = redis.call('TIME'), '*'\n"
        "local now = t[1] * 1000 + math.floor(t[2] / 1000)\n"
        "if ms >= now and ms < 2 ^ 52 then\n"
          "id = string.format('%.0f-0', ms + 1)\n"
        "end\n"
        "redis.call('XADD', key, 'MAXLEN', 1, id, 'hello', ARGV[3])\n"
      "end\n"
      "events = redis.call('XRANGE', key, '-', '+', 'COUNT', count)\n"
    "end\n"
    "local more = #events == count and 1 or 0\n"
    "for i = found + 1, #events do\n"
      "local id, fields, size = events[i][1], events[i][2], 48\n"
      "if #fields > tonumber(ARGV[4]) then size = 65537 else\n"
        "for _, s in ipairs(fields) do size = size + #s + 16 end\n"
      "end\n"
      "if size > 65536 then fields, size = {}, 48 end\n"
      "if sum + size > 524288 then more = 1 break end\n"
      "sum = sum + size\n"
      "out[#out + 1] = {id, fields}\n"
    "end\n"
    "return {found, more, out}\n"
);


ngx_redis_command_t *
ngx_optcache_stream_ask(ngx_optcache_teller_t *teller,
    ngx_optcache_ledger_id_t *id, ngx_redis_reply_pt handler, void *data)
{
    u_char     text[NGX_OPTCACHE_EVENT_ID], host[NGX_OPTCACHE_EVENT_HEX];
    u_char     fields[NGX_INT_T_LEN];
    ngx_str_t  argv[8];

    ngx_str_set(&argv[0], "EVAL");
    argv[1] = ngx_optcache_stream_script;
    ngx_str_set(&argv[2], "1");
    argv[3] = teller->stream;

    argv[4].data = text;
    argv[4].len = ngx_optcache_event_id_text(text, id) - text;

    ngx_str_set(&argv[5],
                ngx_optcache_stream_string(NGX_OPTCACHE_STREAM_COUNT));

    argv[6].data = host;
    argv[6].len = ngx_optcache_event_hex(host, teller->host) - host;

    argv[7].data = fields;
    argv[7].len = ngx_sprintf(fields, "%d", NGX_OPTCACHE_EVENT_FIELDS)
                  - fields;

    return ngx_redis_client_send(teller->client, 8, argv, 3, handler, data);
}


ngx_int_t
ngx_optcache_stream_take(ngx_optcache_teller_t *teller,
    ngx_optcache_ledger_id_t *id, redisReply *reply,
    ngx_optcache_stream_told_t *told)
{
    size_t                     i;
    int64_t                    found, more;
    ngx_int_t                  rc;
    redisReply                *events;
    ngx_optcache_ledger_id_t   last;

    ngx_memzero(told, sizeof(ngx_optcache_stream_told_t));

    if (ngx_redis_reply_array(reply, 3) != NGX_OK
        || ngx_redis_reply_integer(reply->element[0], &found) != NGX_OK
        || ngx_redis_reply_integer(reply->element[1], &more) != NGX_OK
        || ngx_redis_reply_array_min(reply->element[2], 0) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    events = reply->element[2];
    last = *id;
    rc = NGX_OK;

    if (!found) {

        if (ngx_optcache_stream_begin(teller, id, events, told) != NGX_OK) {
            return NGX_DECLINED;
        }

        ngx_memzero(&last, sizeof(ngx_optcache_ledger_id_t));
    }

    for (i = 0; i < events->elements; i++) {
        rc = ngx_optcache_stream_event(teller, events->element[i], &last,
                                       told);
        if (rc != NGX_OK) {
            break;
        }
    }

    if (told->n) {
        ngx_optcache_ledger_read(teller->ledger, &last);
    }

    told->more = (more != 0);

    if (rc == NGX_OK && !told->more) {
        ngx_optcache_ledger_whole(teller->ledger);
    }

    return rc;
}


/*
 * Nothing is known of what was before the first event.  A host that has read
 * nothing yet has lost nothing, if it has just begun; what it has stored while
 * Redis was away may have been invalidated in a stream that was trimmed or lost
 * since.  What this host has told lately may be lost as
 * well, before others have read it: a replica that takes over need not have it
 * all, and what others read last may be there all the same.
 */

static ngx_int_t
ngx_optcache_stream_begin(ngx_optcache_teller_t *teller,
    ngx_optcache_ledger_id_t *id, redisReply *events,
    ngx_optcache_stream_told_t *told)
{
    uint64_t                  now;
    ngx_optcache_ledger_id_t  first;

    if (events->elements == 0
        || ngx_optcache_stream_id(events->element[0], &first) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    told->gap = ngx_optcache_ledger_reset(teller->ledger, &first,
                                          id->ms || id->number
                                          || ngx_optcache_ledger_late(
                                                           teller->ledger));

    if (told->gap) {
        now = ngx_redis_tracking_now();

        ngx_optcache_ledger_again(teller->ledger,
                                  now - ngx_min(now,
                                                NGX_OPTCACHE_STREAM_AGAIN));
    }

    return NGX_OK;
}


static ngx_int_t
ngx_optcache_stream_event(ngx_optcache_teller_t *teller, redisReply *reply,
    ngx_optcache_ledger_id_t *last, ngx_optcache_stream_told_t *told)
{
    ngx_optcache_ledger_id_t  id;

    if (ngx_optcache_stream_id(reply, &id) != NGX_OK) {
        return NGX_DECLINED;
    }

    if (id.ms < last->ms || (id.ms == last->ms && id.number <= last->number)) {
        return NGX_DECLINED;
    }

    if (ngx_optcache_stream_apply(teller, reply->element[1], &id) != NGX_OK) {
        told->failed++;
        told->bad = id;

        (void) ngx_atomic_fetch_add(
                   &ngx_optcache_ledger_stream(teller->ledger)->failed, 1);
    }

    told->n++;
    *last = id;

    return NGX_OK;
}


static ngx_int_t
ngx_optcache_stream_apply(ngx_optcache_teller_t *teller, redisReply *reply,
    ngx_optcache_ledger_id_t *id)
{
    ngx_str_t                     fields[NGX_OPTCACHE_EVENT_FIELDS];
    ngx_uint_t                    i;
    ngx_optcache_event_fields_t   ef;

    if (ngx_redis_reply_array_min(reply, 0) != NGX_OK
        || reply->elements > NGX_OPTCACHE_EVENT_FIELDS)
    {
        return NGX_DECLINED;
    }

    for (i = 0; i < reply->elements; i++) {
        if (ngx_redis_reply_string(reply->element[i], &fields[i]) != NGX_OK) {
            return NGX_DECLINED;
        }
    }

    if (ngx_optcache_event_read(fields, reply->elements, &ef) != NGX_OK) {
        return NGX_DECLINED;
    }

    for (i = 0; i < ef.n; i++) {

        if (ef.from == teller->host) {
            ngx_optcache_ledger_placed(teller->ledger, &ef.events[i], id,
                                       NULL);

        } else {
            ngx_optcache_ledger_apply(teller->ledger, &ef.events[i], id);
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_optcache_stream_id(redisReply *event, ngx_optcache_ledger_id_t *id)
{
    ngx_str_t  text;

    if (ngx_redis_reply_array(event, 2) != NGX_OK
        || ngx_redis_reply_string(event->element[0], &text) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    return ngx_optcache_event_id(&text, id);
}
