
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_redis_tracking.h"
#include "ngx_redis_conn.h"
#include "ngx_redis_format.h"
#include "ngx_redis_sentinel.h"
#include "ngx_redis_target.h"


#define NGX_REDIS_TRACKING_CHANNEL  "__redis__:invalidate"

/* between two attempts to connect */
#define NGX_REDIS_TRACKING_FIRST    50      /* ms */
#define NGX_REDIS_TRACKING_LAST     2000


typedef enum {
    NGX_REDIS_TRACKING_CLOSED = 0,
    NGX_REDIS_TRACKING_CONNECTING,
    NGX_REDIS_TRACKING_ID,               /* CLIENT ID was asked */
    NGX_REDIS_TRACKING_ON,               /* CLIENT TRACKING was sent */
    NGX_REDIS_TRACKING_SUBSCRIBE,        /* SUBSCRIBE was sent */
    NGX_REDIS_TRACKING_UP
} ngx_redis_tracking_state_e;


struct ngx_redis_tracking_s {
    ngx_redis_conf_t               *conf;
    ngx_redis_targets_t             targets;
    ngx_redis_conn_t                conn;
    ngx_redis_stats_t               stats;   /* of that, not of the client */
    ngx_redis_tracking_state_e      state;

    ngx_redis_tracking_keys_t      *keys;
    ngx_redis_tracking_handlers_t  *handlers;
    void                           *data;

    ngx_msec_t                      delay;   /* until the next attempt */
    ngx_event_t                     timer;   /* attempt, answer, or PING */
    uint64_t                        sent;    /* ms, when it was asked */

    unsigned                        asked:1; /* an answer is due */
    unsigned                        paced:1;
    unsigned                        logged:1;
};


static void ngx_redis_tracking_connect(ngx_redis_tracking_t *t);
static void ngx_redis_tracking_retry(ngx_redis_tracking_t *t);
static void ngx_redis_tracking_send(ngx_redis_tracking_t *t, ngx_uint_t argc,
    ngx_str_t *argv);
static void ngx_redis_tracking_ask_id(ngx_redis_tracking_t *t);
static void ngx_redis_tracking_turn_on(ngx_redis_tracking_t *t, int64_t id);
static void ngx_redis_tracking_subscribe(ngx_redis_tracking_t *t);
static void ngx_redis_tracking_ping(ngx_redis_tracking_t *t);
static void ngx_redis_tracking_up_handler(void *data);
static ngx_int_t ngx_redis_tracking_reply_handler(void *data,
    redisReply *reply);
static ngx_int_t ngx_redis_tracking_step(ngx_redis_tracking_t *t,
    redisReply *reply);
static ngx_uint_t ngx_redis_tracking_pong(redisReply *reply);
static ngx_int_t ngx_redis_tracking_push(ngx_redis_tracking_t *t,
    redisReply *reply);
static ngx_int_t ngx_redis_tracking_word(redisReply *reply, ngx_uint_t i,
    const char *word);
static void ngx_redis_tracking_quiet_handler(void *data);
static void ngx_redis_tracking_writable_handler(void *data);
static void ngx_redis_tracking_lost_handler(void *data, ngx_uint_t was_up);
static void ngx_redis_tracking_timer_handler(ngx_event_t *ev);
static void ngx_redis_tracking_stop(ngx_redis_tracking_t *t);
static void ngx_redis_tracking_down(ngx_redis_tracking_t *t);


static ngx_redis_conn_handlers_t  ngx_redis_tracking_conn_handlers = {
    ngx_redis_tracking_up_handler,
    ngx_redis_tracking_reply_handler,
    ngx_redis_tracking_quiet_handler,
    ngx_redis_tracking_writable_handler,
    ngx_redis_tracking_lost_handler
};


ngx_redis_tracking_t *
ngx_redis_tracking_create(ngx_redis_conf_t *conf,
    ngx_redis_tracking_keys_t *keys, ngx_pool_t *pool, ngx_log_t *log,
    ngx_uint_t paced, ngx_redis_tracking_handlers_t *handlers, void *data)
{
    ngx_redis_tracking_t  *t;

    t = ngx_pcalloc(pool, sizeof(ngx_redis_tracking_t));
    if (t == NULL) {
        return NULL;
    }

    t->conf = conf;
    t->keys = keys;
    t->handlers = handlers;
    t->data = data;
    t->paced = paced;
    t->delay = NGX_REDIS_TRACKING_FIRST;

    if (ngx_redis_targets_init(&t->targets, conf, pool, log) != NGX_OK
        || ngx_redis_conn_init(&t->conn, conf, &t->targets, pool, log)
           != NGX_OK)
    {
        return NULL;
    }

    t->conn.stats = &t->stats;
    t->conn.handlers = &ngx_redis_tracking_conn_handlers;
    t->conn.data = t;

    t->timer.handler = ngx_redis_tracking_timer_handler;
    t->timer.data = t;
    t->timer.log = log;
    t->timer.cancelable = 1;

    return t;
}


void
ngx_redis_tracking_open(ngx_redis_tracking_t *t)
{
    if (t->state == NGX_REDIS_TRACKING_CLOSED) {
        t->delay = NGX_REDIS_TRACKING_FIRST;
        ngx_redis_tracking_connect(t);
    }
}


void
ngx_redis_tracking_close(ngx_redis_tracking_t *t)
{
    ngx_redis_tracking_stop(t);
    ngx_redis_conn_close(&t->conn);
    ngx_redis_tracking_down(t);

    if (t->targets.sentinel) {
        ngx_redis_sentinel_close(t->targets.sentinel);
    }

    t->state = NGX_REDIS_TRACKING_CLOSED;
}


ngx_int_t
ngx_redis_tracking_ask(ngx_redis_tracking_t *t)
{
    if (t->state != NGX_REDIS_TRACKING_UP || t->asked) {
        return NGX_DECLINED;
    }

    ngx_redis_tracking_ping(t);

    return NGX_OK;
}


void
ngx_redis_tracking_free(ngx_redis_tracking_t *t)
{
    ngx_redis_tracking_stop(t);
    ngx_redis_conn_close(&t->conn);
    ngx_redis_targets_free(&t->targets);

    t->state = NGX_REDIS_TRACKING_CLOSED;
}


uint64_t
ngx_redis_tracking_now(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return (uint64_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}


static void
ngx_redis_tracking_connect(ngx_redis_tracking_t *t)
{
    t->state = NGX_REDIS_TRACKING_CONNECTING;

    ngx_redis_conn_open(&t->conn, 1);
}


static void
ngx_redis_tracking_retry(ngx_redis_tracking_t *t)
{
    ngx_redis_tracking_stop(t);
    ngx_redis_tracking_down(t);

    t->state = NGX_REDIS_TRACKING_CONNECTING;

    if (ngx_exiting) {
        return;
    }

    ngx_add_timer(&t->timer, t->delay);

    t->delay = ngx_min(2 * t->delay, NGX_REDIS_TRACKING_LAST);
}


/* the one place that tells that changes are not reported any more */

static void
ngx_redis_tracking_down(ngx_redis_tracking_t *t)
{
    if (t->state != NGX_REDIS_TRACKING_UP) {
        return;
    }

    t->state = NGX_REDIS_TRACKING_CONNECTING;
    t->handlers->down(t->data);
}


/* One question at a time: nothing else is in the buffer. */

static void
ngx_redis_tracking_send(ngx_redis_tracking_t *t, ngx_uint_t argc,
    ngx_str_t *argv)
{
    ngx_str_t          command;
    ngx_redis_conn_t  *conn;

    conn = &t->conn;

    if (conn->pos != conn->last
        || ngx_redis_format(argc, argv, NGX_REDIS_CONN_OUT, &command)
           != NGX_OK)
    {
        ngx_redis_conn_fail(conn, 0, "tracking could not be asked for");
        return;
    }

    conn->pos = conn->out;
    conn->last = ngx_cpymem(conn->out, command.data, command.len);

    ngx_redis_format_free(&command);

    t->asked = 1;
    t->sent = ngx_redis_tracking_now();

    ngx_redis_tracking_stop(t);
    ngx_add_timer(&t->timer, t->state == NGX_REDIS_TRACKING_UP
                             ? NGX_REDIS_TRACKING_TRUST
                             : t->conf->connect_timeout);

    (void) ngx_redis_conn_write(conn);
}


static void
ngx_redis_tracking_ask_id(ngx_redis_tracking_t *t)
{
    ngx_str_t  argv[2];

    ngx_str_set(&argv[0], "CLIENT");
    ngx_str_set(&argv[1], "ID");

    t->state = NGX_REDIS_TRACKING_ID;

    ngx_redis_tracking_send(t, 2, argv);
}


static void
ngx_redis_tracking_turn_on(ngx_redis_tracking_t *t, int64_t id)
{
    u_char      buf[NGX_INT64_LEN];
    ngx_str_t   argv[6 + 2 * NGX_REDIS_TRACKING_MAX_PREFIXES];
    ngx_uint_t  i, n;

    ngx_str_set(&argv[0], "CLIENT");
    ngx_str_set(&argv[1], "TRACKING");
    ngx_str_set(&argv[2], "ON");
    ngx_str_set(&argv[3], "REDIRECT");

    argv[4].data = buf;
    argv[4].len = ngx_sprintf(buf, "%L", id) - buf;

    ngx_str_set(&argv[5], "BCAST");

    n = 6;

    for (i = 0; i < t->keys->n; i++) {
        ngx_str_set(&argv[n], "PREFIX");
        argv[n + 1] = t->keys->prefixes[i];
        n += 2;
    }

    t->state = NGX_REDIS_TRACKING_ON;

    ngx_redis_tracking_send(t, n, argv);
}


static void
ngx_redis_tracking_subscribe(ngx_redis_tracking_t *t)
{
    ngx_str_t  argv[2];

    ngx_str_set(&argv[0], "SUBSCRIBE");
    ngx_str_set(&argv[1], NGX_REDIS_TRACKING_CHANNEL);

    t->state = NGX_REDIS_TRACKING_SUBSCRIBE;

    ngx_redis_tracking_send(t, 2, argv);
}


static void
ngx_redis_tracking_ping(ngx_redis_tracking_t *t)
{
    ngx_str_t  ping;

    ngx_str_set(&ping, "PING");

    ngx_redis_tracking_send(t, 1, &ping);
}


static void
ngx_redis_tracking_up_handler(void *data)
{
    ngx_redis_tracking_ask_id(data);
}


static ngx_int_t
ngx_redis_tracking_reply_handler(void *data, redisReply *reply)
{
    ngx_redis_tracking_t *t = data;

    ngx_int_t   rc;
    ngx_str_t   code;
    ngx_uint_t  generation;

    generation = t->conn.generation;

    rc = (t->state == NGX_REDIS_TRACKING_UP)
         ? ngx_redis_tracking_push(t, reply)
         : ngx_redis_tracking_step(t, reply);

    if (rc == NGX_ERROR && !t->logged) {
        t->logged = 1;
        code = ngx_redis_reply_code(reply);

        ngx_log_error(NGX_LOG_WARN, &t->conn.log, 0,
                      "redis does not tell of changed keys: \"%V\"",
                      &code);
    }

    return (rc == NGX_ERROR && generation == t->conn.generation) ? NGX_ERROR
                                                                  : NGX_OK;
}


/* on the way to be told of changes */

static ngx_int_t
ngx_redis_tracking_step(ngx_redis_tracking_t *t, redisReply *reply)
{
    int64_t    id;
    ngx_str_t  ok;

    t->asked = 0;

    switch (t->state) {

    case NGX_REDIS_TRACKING_ID:

        if (ngx_redis_reply_integer(reply, &id) != NGX_OK || id <= 0) {
            return NGX_ERROR;
        }

        ngx_redis_tracking_turn_on(t, id);

        return NGX_OK;

    case NGX_REDIS_TRACKING_ON:

        if (reply->type != REDIS_REPLY_STATUS
            || ngx_redis_reply_string(reply, &ok) != NGX_OK
            || ok.len != 2
            || ngx_memcmp(ok.data, "OK", 2) != 0)
        {
            return NGX_ERROR;
        }

        ngx_redis_tracking_subscribe(t);

        return NGX_OK;

    case NGX_REDIS_TRACKING_SUBSCRIBE:

        /* a change may be told of before the subscription is confirmed */

        if (ngx_redis_reply_array(reply, 3) != NGX_OK
            || ngx_redis_tracking_word(reply, 0, "subscribe") != NGX_OK)
        {
            return NGX_ERROR;
        }

        t->state = NGX_REDIS_TRACKING_UP;
        t->delay = NGX_REDIS_TRACKING_FIRST;
        t->logged = 0;

        ngx_redis_tracking_stop(t);

        t->handlers->up(t->data, &t->conn.server, 1);

        if (!t->paced) {
            ngx_redis_tracking_ping(t);
        }

        return NGX_OK;

    default:
        return NGX_ERROR;
    }
}


/* a subscriber is answered by an array, or an error like anybody */

static ngx_uint_t
ngx_redis_tracking_pong(redisReply *reply)
{
    if (ngx_redis_reply_array(reply, 2) == NGX_OK) {
        return ngx_redis_tracking_word(reply, 0, "pong") == NGX_OK;
    }

    return ngx_redis_reply_pong(reply);
}


static ngx_int_t
ngx_redis_tracking_push(ngx_redis_tracking_t *t, redisReply *reply)
{
    size_t      i;
    ngx_str_t   key;
    redisReply  *keys;

    if (t->asked && ngx_redis_tracking_pong(reply)) {
        t->asked = 0;

        ngx_redis_tracking_stop(t);

        if (!t->paced) {
            ngx_add_timer(&t->timer, NGX_REDIS_TRACKING_PING);
        }

        t->handlers->heard(t->data, ngx_redis_tracking_now() - t->sent);

        return NGX_OK;
    }

    if (ngx_redis_reply_array(reply, 3) != NGX_OK
        || ngx_redis_tracking_word(reply, 0, "message") != NGX_OK
        || ngx_redis_tracking_word(reply, 1, NGX_REDIS_TRACKING_CHANNEL)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    keys = reply->element[2];

    if (ngx_redis_reply_nil(keys)) {
        t->handlers->changed(t->data, NULL);
        return NGX_OK;
    }

    if (ngx_redis_reply_array_min(keys, 0) != NGX_OK) {
        return NGX_ERROR;
    }

    for (i = 0; i < keys->elements; i++) {

        if (ngx_redis_reply_string(keys->element[i], &key) != NGX_OK) {
            return NGX_ERROR;
        }

        t->handlers->changed(t->data, &key);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_redis_tracking_word(redisReply *reply, ngx_uint_t i, const char *word)
{
    ngx_str_t  s;

    if (ngx_redis_reply_string(reply->element[i], &s) != NGX_OK
        || s.len != ngx_strlen(word)
        || ngx_memcmp(s.data, word, s.len) != 0)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void
ngx_redis_tracking_quiet_handler(void *data)
{
    ngx_redis_tracking_t *t = data;

    if (ngx_exiting) {
        ngx_redis_tracking_close(t);
    }
}


static void
ngx_redis_tracking_writable_handler(void *data)
{
    ngx_redis_tracking_t *t = data;

    (void) ngx_redis_conn_write(&t->conn);
}


static void
ngx_redis_tracking_lost_handler(void *data, ngx_uint_t was_up)
{
    ngx_redis_tracking_retry(data);
}


static void
ngx_redis_tracking_timer_handler(ngx_event_t *ev)
{
    ngx_redis_tracking_t  *t;

    t = ev->data;

    if (ngx_exiting) {
        ngx_redis_tracking_close(t);
        return;
    }

    switch (t->state) {

    case NGX_REDIS_TRACKING_CLOSED:
        return;

    case NGX_REDIS_TRACKING_CONNECTING:
        ngx_redis_tracking_connect(t);
        return;

    case NGX_REDIS_TRACKING_UP:

        if (!t->asked) {
            ngx_redis_tracking_ping(t);
            return;
        }

        /* fall through */

    default:
        t->asked = 0;
        ngx_redis_conn_fail(&t->conn, NGX_ETIMEDOUT,
                            "no word of changed keys");
    }
}


static void
ngx_redis_tracking_stop(ngx_redis_tracking_t *t)
{
    if (t->timer.timer_set) {
        ngx_del_timer(&t->timer);
    }
}
