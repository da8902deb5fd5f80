
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include <openssl/rand.h>

#include "ngx_optcache_event.h"
#include "ngx_optcache_teller.h"
#include "ngx_redis_reply.h"
#include "ngx_redis_tracking.h"


#define NGX_OPTCACHE_TELLER_KEY   "invalidate"

/* words before the fields, and those: mark, len, soft, from */
#define NGX_OPTCACHE_TELLER_ARGS  (7 + 2 * 4)


struct ngx_optcache_telling_s {
    ngx_optcache_teller_t         *teller;
    ngx_optcache_event_t           event;
    ngx_optcache_ledger_ticket_t   ticket;

    ngx_optcache_told_pt           handler;   /* NULL: nobody waits */
    void                          *data;

    unsigned                       again:1;
};


/* the words of a command, and where numbers are written */

typedef struct {
    ngx_str_t                      argv[NGX_OPTCACHE_TELLER_ARGS];
    ngx_uint_t                     argc;
    u_char                         mark[NGX_OPTCACHE_EVENT_HEX];
    u_char                         host[NGX_OPTCACHE_EVENT_HEX];
    u_char                         len[NGX_INT32_LEN];
} ngx_optcache_teller_words_t;


static ngx_int_t ngx_optcache_teller_names(ngx_optcache_teller_t *teller,
    ngx_pool_t *pool, ngx_str_t *prefix);
static ngx_int_t ngx_optcache_teller_host(ngx_optcache_teller_t *teller);
static ngx_optcache_telling_t *ngx_optcache_teller_send(
    ngx_optcache_teller_t *teller, ngx_optcache_telling_t *telling,
    ngx_str_t *once);
static ngx_redis_command_t *ngx_optcache_teller_add(
    ngx_optcache_teller_t *teller, ngx_optcache_telling_t *telling);
static ngx_redis_command_t *ngx_optcache_teller_add_once(
    ngx_optcache_teller_t *teller, ngx_optcache_telling_t *telling,
    ngx_str_t *name);
static void ngx_optcache_teller_xadd(ngx_optcache_teller_words_t *w,
    ngx_optcache_teller_t *teller);
static void ngx_optcache_teller_fields(ngx_optcache_teller_words_t *w,
    ngx_optcache_telling_t *telling);
static void ngx_optcache_teller_word(ngx_optcache_teller_words_t *w,
    const char *text);
static void ngx_optcache_teller_bytes(ngx_optcache_teller_words_t *w,
    u_char *data, size_t len);
static void ngx_optcache_teller_handler(void *data, ngx_redis_result_e result,
    redisReply *reply);
static void ngx_optcache_teller_next(ngx_optcache_teller_t *teller,
    ngx_int_t rc);
static void ngx_optcache_teller_hello(ngx_optcache_teller_t *teller);
static void ngx_optcache_teller_hello_handler(void *data,
    ngx_redis_result_e result, redisReply *reply);
static ngx_int_t ngx_optcache_teller_answer(ngx_redis_result_e result,
    redisReply *reply, ngx_optcache_ledger_id_t *id);
static void ngx_optcache_teller_log(ngx_optcache_teller_t *teller,
    ngx_redis_result_e result, redisReply *reply);


/* the event is added unless the name is known; where it is, in both cases */

static ngx_str_t  ngx_optcache_teller_script = ngx_string(
    "local id = redis.call('GET', KEYS[2])\n"
    "if id then return id end\n"
    "id = redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*',"
                   " unpack(ARGV, 3))\n"
    "redis.call('SET', KEYS[2], id, 'EX', ARGV[2])\n"
    "return id\n"
);


#define ngx_optcache_teller_string(n)   ngx_optcache_teller_quote(n)
#define ngx_optcache_teller_quote(n)    #n


ngx_optcache_teller_t *
ngx_optcache_teller_create(ngx_pool_t *pool, ngx_optcache_ledger_t *ledger,
    ngx_redis_client_t *client, ngx_str_t *prefix, ngx_log_t *log)
{
    ngx_optcache_teller_t  *teller;

    teller = ngx_pcalloc(pool, sizeof(ngx_optcache_teller_t));
    if (teller == NULL) {
        return NULL;
    }

    teller->ledger = ledger;
    teller->client = client;
    teller->log = log;

    if (ngx_optcache_teller_names(teller, pool, prefix) != NGX_OK
        || ngx_optcache_teller_host(teller) != NGX_OK)
    {
        return NULL;
    }

    return teller;
}


/*
 * Braces in the prefix tell the slot already.  If they do not make a tag of
 * what they should, a cluster refuses names, and the events are told without.
 */

static ngx_int_t
ngx_optcache_teller_names(ngx_optcache_teller_t *teller, ngx_pool_t *pool,
    ngx_str_t *prefix)
{
    u_char      *p;
    ngx_uint_t   tag;

    teller->stream.len = prefix->len + sizeof(NGX_OPTCACHE_TELLER_KEY) - 1;
    teller->once.len = teller->stream.len + sizeof("{}:once:") - 1;

    p = ngx_pnalloc(pool, teller->stream.len + teller->once.len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    teller->stream.data = p;

    p = ngx_cpymem(p, prefix->data, prefix->len);
    p = ngx_cpymem(p, NGX_OPTCACHE_TELLER_KEY,
                   sizeof(NGX_OPTCACHE_TELLER_KEY) - 1);

    tag = (ngx_strlchr(prefix->data, prefix->data + prefix->len, '{') != NULL);

    teller->once.data = p;

    p = ngx_sprintf(p, tag ? "%V:once:" : "{%V}:once:", &teller->stream);
    teller->once.len = p - teller->once.data;

    return NGX_OK;
}


/* It is the same for all workers of the ledger, before and after a reload. */

static ngx_int_t
ngx_optcache_teller_host(ngx_optcache_teller_t *teller)
{
    ngx_atomic_uint_t              host;
    ngx_optcache_ledger_stream_t  *stream;

    stream = ngx_optcache_ledger_stream(teller->ledger);

    if (RAND_bytes((u_char *) &host, sizeof(host)) != 1) {
        ngx_log_error(NGX_LOG_ALERT, teller->log, 0,
                      "RAND_bytes() failed, no number for this host");
        return NGX_ERROR;
    }

    (void) ngx_atomic_cmp_set(&stream->host, 0, host | 1);

    teller->host = stream->host;

    return NGX_OK;
}


ngx_int_t
ngx_optcache_tell(ngx_optcache_teller_t *teller, ngx_optcache_event_t *event,
    ngx_str_t *once, ngx_optcache_told_pt handler, void *data,
    ngx_optcache_telling_t **out)
{
    ngx_int_t                      rc;
    ngx_optcache_telling_t        *telling;
    ngx_optcache_ledger_ticket_t   ticket;

    if (teller->client == NULL) {
        ngx_optcache_ledger_apply(teller->ledger, event, NULL);
        return NGX_DECLINED;
    }

    rc = ngx_optcache_ledger_post(teller->ledger, event,
                                  ngx_redis_tracking_now(), &ticket);

    ngx_optcache_ledger_apply(teller->ledger, event, NULL);

    if (rc != NGX_OK) {
        /* all is going to be told */
        return NGX_ERROR;
    }

    telling = ngx_calloc(sizeof(ngx_optcache_telling_t), teller->log);
    if (telling == NULL) {
        ngx_optcache_ledger_untold(teller->ledger, &ticket);
        return NGX_ERROR;
    }

    telling->teller = teller;
    telling->event = *event;
    telling->ticket = ticket;
    telling->handler = handler;
    telling->data = data;

    telling = ngx_optcache_teller_send(teller, telling, once);

    if (telling == NULL) {
        return NGX_ERROR;
    }

    if (out) {
        *out = telling;
    }

    return NGX_OK;
}


void
ngx_optcache_telling_abandon(ngx_optcache_telling_t *telling)
{
    telling->handler = NULL;
}


void
ngx_optcache_teller_catch_up(ngx_optcache_teller_t *teller)
{
    uint64_t                       now;
    ngx_uint_t                     n;
    ngx_optcache_event_t           event;
    ngx_optcache_telling_t        *telling;
    ngx_optcache_ledger_ticket_t   ticket;

    if (ngx_optcache_ledger_pending(teller->ledger) == 0) {
        ngx_optcache_teller_hello(teller);
        return;
    }

    teller->settled = 0;
    teller->missed = 0;

    now = ngx_redis_tracking_now();
    ticket.slot = NGX_OPTCACHE_LEDGER_FIRST;

    for (n = 0; n < NGX_OPTCACHE_TELLER_AGAIN; n++) {

        if (ngx_optcache_ledger_overdue(teller->ledger, now,
                                        now - NGX_OPTCACHE_TELLER_OVERDUE,
                                        &event, &ticket)
            != NGX_OK)
        {
            return;
        }

        telling = ngx_calloc(sizeof(ngx_optcache_telling_t), teller->log);
        if (telling == NULL) {
            ngx_optcache_ledger_untold(teller->ledger, &ticket);
            return;
        }

        telling->teller = teller;
        telling->event = event;
        telling->ticket = ticket;
        telling->again = 1;

        teller->again++;

        if (ngx_optcache_teller_send(teller, telling, NULL) == NULL) {
            teller->again--;
            teller->missed = 1;
            return;
        }
    }
}


/* NULL: it is untold, and freed. */

static ngx_optcache_telling_t *
ngx_optcache_teller_send(ngx_optcache_teller_t *teller,
    ngx_optcache_telling_t *telling, ngx_str_t *once)
{
    ngx_redis_command_t  *cmd;

    if (once && once->len <= NGX_OPTCACHE_TELLER_NAME_MAX) {
        cmd = ngx_optcache_teller_add_once(teller, telling, once);

    } else {
        cmd = ngx_optcache_teller_add(teller, telling);
    }

    if (cmd) {
        return telling;
    }

    ngx_optcache_ledger_untold(teller->ledger, &telling->ticket);
    ngx_free(telling);

    return NULL;
}


static ngx_redis_command_t *
ngx_optcache_teller_add(ngx_optcache_teller_t *teller,
    ngx_optcache_telling_t *telling)
{
    ngx_optcache_teller_words_t  w;

    ngx_optcache_teller_xadd(&w, teller);
    ngx_optcache_teller_fields(&w, telling);

    return ngx_redis_client_send(teller->client, w.argc, w.argv, 1,
                                 ngx_optcache_teller_handler, telling);
}


static ngx_redis_command_t *
ngx_optcache_teller_add_once(ngx_optcache_teller_t *teller,
    ngx_optcache_telling_t *telling, ngx_str_t *name)
{
    u_char                       *p;
    ngx_redis_command_t          *cmd;
    ngx_optcache_teller_words_t   w;

    p = ngx_alloc(teller->once.len + name->len, teller->log);
    if (p == NULL) {
        return NULL;
    }

    ngx_memcpy(ngx_cpymem(p, teller->once.data, teller->once.len),
               name->data, name->len);

    w.argc = 0;

    ngx_optcache_teller_word(&w, "EVAL");
    ngx_optcache_teller_bytes(&w, ngx_optcache_teller_script.data,
                              ngx_optcache_teller_script.len);
    ngx_optcache_teller_word(&w, "2");
    ngx_optcache_teller_bytes(&w, teller->stream.data, teller->stream.len);
    ngx_optcache_teller_bytes(&w, p, teller->once.len + name->len);
    ngx_optcache_teller_word(&w,
                   ngx_optcache_teller_string(NGX_OPTCACHE_TELLER_MAXLEN));
    ngx_optcache_teller_word(&w,
                   ngx_optcache_teller_string(NGX_OPTCACHE_TELLER_ONCE));
    ngx_optcache_teller_fields(&w, telling);

    cmd = ngx_redis_client_send(teller->client, w.argc, w.argv, 3,
                                ngx_optcache_teller_handler, telling);

    /* words are copied */

    ngx_free(p);

    return cmd;
}


static void
ngx_optcache_teller_xadd(ngx_optcache_teller_words_t *w,
    ngx_optcache_teller_t *teller)
{
    w->argc = 0;

    ngx_optcache_teller_word(w, "XADD");
    ngx_optcache_teller_bytes(w, teller->stream.data, teller->stream.len);
    ngx_optcache_teller_word(w, "MAXLEN");
    ngx_optcache_teller_word(w, "~");
    ngx_optcache_teller_word(w,
                   ngx_optcache_teller_string(NGX_OPTCACHE_TELLER_MAXLEN));
    ngx_optcache_teller_word(w, "*");
}


static void
ngx_optcache_teller_fields(ngx_optcache_teller_words_t *w,
    ngx_optcache_telling_t *telling)
{
    ngx_optcache_event_t  *event;

    event = &telling->event;

    ngx_optcache_teller_word(w, "mark");
    ngx_optcache_teller_bytes(w, w->mark,
                              ngx_optcache_event_hex(w->mark, event->mark)
                              - w->mark);

    if (event->prefix) {
        ngx_optcache_teller_word(w, "len");
        ngx_optcache_teller_bytes(w, w->len,
                                  ngx_sprintf(w->len, "%uD", event->prefix)
                                  - w->len);
    }

    if (event->soft) {
        ngx_optcache_teller_word(w, "soft");
        ngx_optcache_teller_word(w, "1");
    }

    if (!telling->again) {
        ngx_optcache_teller_word(w, "from");
        ngx_optcache_teller_bytes(w, w->host,
                                  ngx_optcache_event_hex(w->host,
                                                       telling->teller->host)
                                  - w->host);
    }
}


static void
ngx_optcache_teller_word(ngx_optcache_teller_words_t *w, const char *text)
{
    ngx_optcache_teller_bytes(w, (u_char *) text, ngx_strlen(text));
}


static void
ngx_optcache_teller_bytes(ngx_optcache_teller_words_t *w, u_char *data,
    size_t len)
{
    w->argv[w->argc].data = data;
    w->argv[w->argc].len = len;
    w->argc++;
}


static void
ngx_optcache_teller_handler(void *data, ngx_redis_result_e result,
    redisReply *reply)
{
    ngx_optcache_telling_t *telling = data;

    ngx_int_t                  rc;
    ngx_optcache_teller_t     *teller;
    ngx_optcache_ledger_id_t   id;

    teller = telling->teller;
    rc = ngx_optcache_teller_answer(result, reply, &id);

    if (rc == NGX_OK) {

        if (telling->again) {
            ngx_optcache_ledger_told(teller->ledger, &id, &telling->ticket);

        } else {
            ngx_optcache_ledger_placed(teller->ledger, &telling->event, &id,
                                       &telling->ticket);
        }

    } else {
        ngx_optcache_ledger_untold(teller->ledger, &telling->ticket);
    }

    ngx_optcache_teller_log(teller, result, reply);

    if (telling->handler) {
        telling->handler(telling->data, rc);
    }

    if (telling->again) {
        ngx_optcache_teller_next(teller, rc);
    }

    ngx_free(telling);
}


/* Of those that were told again one has an answer. */

static void
ngx_optcache_teller_next(ngx_optcache_teller_t *teller, ngx_int_t rc)
{
    if (rc != NGX_OK) {
        teller->missed = 1;
    }

    if (--teller->again || teller->missed || ngx_exiting
        || !ngx_optcache_ledger_follows(teller->ledger))
    {
        return;
    }

    ngx_optcache_teller_catch_up(teller);
}


/*
 * Of what was sent, and whose answer was lost, it is not known where it is; so
 * it is behind all, until something is that was sent later.
 */

static void
ngx_optcache_teller_hello(ngx_optcache_teller_t *teller)
{
    u_char                        host[NGX_OPTCACHE_EVENT_HEX];
    ngx_optcache_moment_t         moment;
    ngx_optcache_teller_words_t   w;

    if (teller->settled || teller->greeting) {
        return;
    }

    ngx_optcache_teller_xadd(&w, teller);
    ngx_optcache_teller_word(&w, "hello");
    ngx_optcache_teller_bytes(&w, host,
                              ngx_optcache_event_hex(host, teller->host)
                              - host);

    ngx_optcache_ledger_now(teller->ledger, &moment);

    if (ngx_optcache_ledger_pending(teller->ledger)) {
        return;
    }

    teller->clock = moment.clock;

    if (ngx_redis_client_send(teller->client, w.argc, w.argv, 1,
                              ngx_optcache_teller_hello_handler, teller))
    {
        teller->greeting = 1;
    }
}


static void
ngx_optcache_teller_hello_handler(void *data, ngx_redis_result_e result,
    redisReply *reply)
{
    ngx_optcache_teller_t *teller = data;

    ngx_optcache_ledger_id_t  id;

    teller->greeting = 0;

    if (ngx_optcache_teller_answer(result, reply, &id) == NGX_OK
        && ngx_optcache_ledger_settle(teller->ledger, &id, teller->clock)
           == NGX_OK)
    {
        teller->settled = 1;
    }

    ngx_optcache_teller_log(teller, result, reply);
}


static ngx_int_t
ngx_optcache_teller_answer(ngx_redis_result_e result, redisReply *reply,
    ngx_optcache_ledger_id_t *id)
{
    ngx_str_t  text;

    if (result != NGX_REDIS_REPLY
        || ngx_redis_reply_string(reply, &text) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return (ngx_optcache_event_id(&text, id) == NGX_OK) ? NGX_OK : NGX_ERROR;
}


/* That a server is away is logged by its client; once, as this is. */

static void
ngx_optcache_teller_log(ngx_optcache_teller_t *teller,
    ngx_redis_result_e result, redisReply *reply)
{
    ngx_str_t  code;

    switch (result) {

    case NGX_REDIS_REPLY:

        if (teller->refused) {
            teller->refused = 0;

            ngx_log_error(NGX_LOG_NOTICE, teller->log, 0,
                          "redis takes invalidations again after %Mms",
                          ngx_current_msec - teller->since);
        }

        return;

    case NGX_REDIS_REFUSED:

        if (!teller->refused) {
            teller->refused = 1;
            teller->since = ngx_current_msec;
            code = ngx_redis_reply_code(reply);

            ngx_log_error(NGX_LOG_ERR, teller->log, 0,
                          "redis does not take invalidations, they are in "
                          "force on this host only: \"%V\"", &code);
        }

        return;

    default:
        return;
    }
}
