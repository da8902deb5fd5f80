
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_redis_cluster.h"
#include "ngx_redis_masters.h"


static void ngx_redis_masters_failed_handler(void *data);
static void ngx_redis_masters_timer_handler(ngx_event_t *ev);
static ngx_uint_t ngx_redis_masters_ready(ngx_redis_masters_t *m);
static void ngx_redis_masters_round(ngx_redis_masters_t *m);
static void ngx_redis_masters_ask(ngx_redis_watched_t *w, ngx_uint_t nodes);
static ngx_redis_command_t *ngx_redis_masters_send(ngx_redis_watched_t *w,
    const char *what, ngx_redis_reply_pt handler);
static void ngx_redis_masters_info_handler(void *data,
    ngx_redis_result_e result, redisReply *reply);
static void ngx_redis_masters_nodes_handler(void *data,
    ngx_redis_result_e result, redisReply *reply);
static void ngx_redis_masters_refused(ngx_redis_masters_t *m,
    ngx_redis_result_e result, redisReply *reply);
static void ngx_redis_masters_end(ngx_redis_masters_t *m);
static void ngx_redis_masters_trouble_handler(void *data,
    ngx_redis_node_t *node, ngx_uint_t was_up);
static void ngx_redis_masters_up_handler(void *data, uint64_t *servers,
    ngx_uint_t n);
static void ngx_redis_masters_down_handler(void *data);
static void ngx_redis_masters_changed_handler(void *data, ngx_str_t *key);
static void ngx_redis_masters_heard_handler(void *data, ngx_msec_t age);


ngx_redis_node_handlers_t  ngx_redis_masters_node_handlers = {
    NULL,
    ngx_redis_masters_trouble_handler,
    NULL,
    NULL
};


ngx_redis_tracking_handlers_t  ngx_redis_masters_tracking_handlers = {
    ngx_redis_masters_up_handler,
    ngx_redis_masters_down_handler,
    ngx_redis_masters_changed_handler,
    ngx_redis_masters_heard_handler
};


static ngx_redis_learner_handlers_t  ngx_redis_masters_learner_handlers = {
    ngx_redis_masters_told_handler,
    ngx_redis_masters_failed_handler,
    ngx_redis_masters_known_handler
};


ngx_redis_masters_t *
ngx_redis_masters_create(ngx_redis_conf_t *conf,
    ngx_redis_tracking_keys_t *keys, ngx_log_t *log,
    ngx_redis_tracking_handlers_t *handlers, void *data)
{
    ngx_pool_t           *pool;
    ngx_redis_masters_t  *m;

    pool = ngx_create_pool(4096, log);
    if (pool == NULL) {
        return NULL;
    }

    m = ngx_pcalloc(pool, sizeof(ngx_redis_masters_t));
    if (m == NULL) {
        goto failed;
    }

    m->conf = *conf;
    m->conf.connections = 1;
    m->conf.large = 0;
    m->conf.timeout = ngx_max(conf->timeout, NGX_REDIS_TRACKING_TRUST);

    m->keys = keys;
    m->pool = pool;
    m->log = log;
    m->quiet = *log;
    m->handlers = handlers;
    m->data = data;
    m->delay = NGX_REDIS_MASTERS_FIRST;
    m->max = ngx_redis_cluster_max(conf);

    if (!(log->log_level & NGX_LOG_DEBUG_EVENT)) {
        m->quiet.log_level = NGX_LOG_ALERT;
    }

    ngx_queue_init(&m->leaving);

    m->timer.handler = ngx_redis_masters_timer_handler;
    m->timer.data = m;
    m->timer.log = log;
    m->timer.cancelable = 1;

    m->watched = ngx_pcalloc(pool, m->max * sizeof(ngx_redis_watched_t *));
    m->servers = ngx_pcalloc(pool, m->max * sizeof(uint64_t));

    if (m->watched == NULL || m->servers == NULL) {
        goto failed;
    }

    ngx_str_set(&m->learner.question, "NODES");
    m->learner.handlers = &ngx_redis_masters_learner_handlers;
    m->learner.data = m;

    if (ngx_redis_learner_init(&m->learner, &m->conf, &m->stats, pool, log)
        != NGX_OK)
    {
        goto failed;
    }

    ngx_add_timer(&m->timer, 1);

    return m;

failed:

    ngx_destroy_pool(pool);

    return NULL;
}


void
ngx_redis_masters_free(ngx_redis_masters_t *m)
{
    ngx_uint_t            i;
    ngx_queue_t          *q;
    ngx_redis_member_t   *member;

    if (m->timer.timer_set) {
        ngx_del_timer(&m->timer);
    }

    ngx_redis_learner_close(&m->learner);

    for (i = 0; i < m->n; i++) {
        ngx_redis_masters_drop(m->watched[i]);
    }

    while (!ngx_queue_empty(&m->leaving)) {
        q = ngx_queue_head(&m->leaving);
        member = ngx_queue_data(q, ngx_redis_member_t, queue);

        ngx_queue_remove(q);
        ngx_redis_masters_drop(member->node.data);
    }

    if (m->promised) {
        m->promised = 0;
        m->handlers->down(m->data);
    }

    ngx_destroy_pool(m->pool);
}


static void
ngx_redis_masters_failed_handler(void *data)
{
    /* it is asked for again */
}


void
ngx_redis_masters_doubt(ngx_redis_masters_t *m)
{
    m->good = 0;

    if (m->promised) {
        m->promised = 0;
        m->handlers->down(m->data);
    }

    ngx_redis_learner_ask(&m->learner);
}


static void
ngx_redis_masters_timer_handler(ngx_event_t *ev)
{
    ngx_redis_masters_t  *m;

    m = ev->data;

    if (ngx_exiting) {
        ngx_redis_masters_doubt(m);
        return;
    }

    ngx_redis_masters_sweep(m);

    if (ngx_redis_masters_ready(m)) {
        ngx_redis_masters_round(m);
        return;
    }

    ngx_redis_masters_doubt(m);

    ngx_add_timer(&m->timer, NGX_REDIS_MASTERS_FIRST);
}


static ngx_uint_t
ngx_redis_masters_ready(ngx_redis_masters_t *m)
{
    ngx_uint_t  i;

    for (i = 0; i < m->n; i++) {
        if (!m->watched[i]->up) {
            return 0;
        }
    }

    return m->n && m->nodes.settled;
}


/* The last answer ends it, which may be before all have been asked. */

static void
ngx_redis_masters_round(ngx_redis_masters_t *m)
{
    ngx_uint_t  i;

    m->good = 1;
    m->start = ngx_redis_tracking_now();
    m->pending = 1;
    m->turn = (m->turn + 1) % m->n;

    for (i = 0; i < m->n && m->good; i++) {
        ngx_redis_masters_ask(m->watched[i], !m->promised || i == m->turn);
    }

    ngx_redis_masters_answered(m, m->good);
}


static void
ngx_redis_masters_ask(ngx_redis_watched_t *w, ngx_uint_t nodes)
{
    ngx_redis_masters_t  *m;

    m = w->masters;

    /* the numbers first: what they say of the nodes is not of later */

    w->asked_info = ngx_redis_masters_send(w, "INFO",
                                           ngx_redis_masters_info_handler);
    if (nodes) {
        w->asked_nodes = ngx_redis_masters_send(w, "NODES",
                                             ngx_redis_masters_nodes_handler);
    }

    w->pinged = 1;
    m->pending++;

    if (ngx_redis_tracking_ask(w->tracking) != NGX_OK) {
        w->pinged = 0;
        ngx_redis_masters_answered(m, 0);
    }
}


static ngx_redis_command_t *
ngx_redis_masters_send(ngx_redis_watched_t *w, const char *what,
    ngx_redis_reply_pt handler)
{
    ngx_str_t             argv[2];
    ngx_redis_command_t  *cmd;

    ngx_str_set(&argv[0], "CLUSTER");

    argv[1].data = (u_char *) what;
    argv[1].len = ngx_strlen(what);

    cmd = ngx_redis_node_send(&w->member->node, 2, argv, 0, handler, w);

    if (cmd == NULL) {
        w->masters->good = 0;
        return NULL;
    }

    w->masters->pending++;

    return cmd;
}


static void
ngx_redis_masters_info_handler(void *data, ngx_redis_result_e result,
    redisReply *reply)
{
    ngx_redis_watched_t *w = data;

    ngx_uint_t               good;
    ngx_redis_masters_t     *m;
    ngx_redis_nodes_info_t   info;

    m = w->masters;
    w->asked_info = NULL;

    good = 0;

    if (result == NGX_REDIS_REPLY
        && ngx_redis_nodes_info(reply, &info) == NGX_OK)
    {
        if (!m->promised) {
            w->info = info;
        }

        good = ngx_redis_nodes_info_same(&w->info, &info);
    }

    ngx_redis_masters_refused(m, result, reply);
    ngx_redis_masters_answered(m, good);
}


static void
ngx_redis_masters_nodes_handler(void *data, ngx_redis_result_e result,
    redisReply *reply)
{
    ngx_redis_watched_t *w = data;

    ngx_uint_t            good;
    const char           *err;
    ngx_redis_nodes_t     nodes;
    ngx_redis_masters_t  *m;

    m = w->masters;
    w->asked_nodes = NULL;

    good = (result == NGX_REDIS_REPLY
            && ngx_redis_nodes_parse(reply, NULL, &nodes, &err) == NGX_OK
            && nodes.settled
            && nodes.myself
            && ngx_memcmp(nodes.myself, w->id, NGX_REDIS_NODES_ID) == 0
            && ngx_redis_nodes_same(&nodes, &m->nodes));

    ngx_redis_masters_refused(m, result, reply);
    ngx_redis_masters_answered(m, good);
}


static void
ngx_redis_masters_refused(ngx_redis_masters_t *m, ngx_redis_result_e result,
    redisReply *reply)
{
    ngx_str_t  code;

    if (result != NGX_REDIS_REFUSED || m->logged) {
        return;
    }

    m->logged = 1;
    code = ngx_redis_reply_code(reply);

    ngx_log_error(NGX_LOG_WARN, m->log, 0,
                  "redis cluster does not tell of its servers, every check "
                  "asks it: \"%V\"", &code);
}


void
ngx_redis_masters_answered(ngx_redis_masters_t *m, ngx_uint_t good)
{
    if (!good) {
        ngx_redis_masters_doubt(m);
    }

    if (--m->pending == 0) {
        ngx_redis_masters_end(m);
    }
}


static void
ngx_redis_masters_end(ngx_redis_masters_t *m)
{
    ngx_uint_t  i;

    if (!m->good) {

        if (!m->timer.timer_set) {
            ngx_add_timer(&m->timer, m->delay);
        }

        m->delay = ngx_min(2 * m->delay, NGX_REDIS_MASTERS_LAST);
        return;
    }

    if (!m->promised) {
        m->promised = 1;
        m->logged = 0;
        m->delay = NGX_REDIS_MASTERS_FIRST;

        for (i = 0; i < m->n; i++) {
            m->servers[i] = m->watched[i]->server;
        }

        m->handlers->up(m->data, m->servers, m->n);
    }

    m->handlers->heard(m->data, ngx_redis_tracking_now() - m->start);

    ngx_add_timer(&m->timer, NGX_REDIS_TRACKING_PING);
}


static void
ngx_redis_masters_trouble_handler(void *data, ngx_redis_node_t *node,
    ngx_uint_t was_up)
{
    ngx_redis_watched_t *w = data;

    if (was_up && !node->closed) {
        ngx_redis_masters_doubt(w->masters);
    }
}


static void
ngx_redis_masters_up_handler(void *data, uint64_t *servers, ngx_uint_t n)
{
    ngx_redis_watched_t *w = data;

    w->up = 1;
    w->server = servers[0];
}


static void
ngx_redis_masters_down_handler(void *data)
{
    ngx_redis_watched_t *w = data;

    w->up = 0;

    ngx_redis_masters_doubt(w->masters);

    if (w->pinged) {
        w->pinged = 0;
        ngx_redis_masters_answered(w->masters, 0);
    }
}


static void
ngx_redis_masters_changed_handler(void *data, ngx_str_t *key)
{
    ngx_redis_watched_t *w = data;

    if (w->masters->promised) {
        w->masters->handlers->changed(w->masters->data, key);
    }
}


static void
ngx_redis_masters_heard_handler(void *data, ngx_msec_t age)
{
    ngx_redis_watched_t *w = data;

    if (w->pinged) {
        w->pinged = 0;
        ngx_redis_masters_answered(w->masters, 1);
    }
}
