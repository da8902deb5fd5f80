
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_redis_master.h"
#include "ngx_redis_sentinel.h"


struct ngx_redis_sentinel_s {
    ngx_redis_conf_t         *conf;
    ngx_log_t                *log;

    ngx_redis_asker_t        *askers;      /* one for each URL */
    ngx_uint_t                n;
    ngx_uint_t                first;       /* the one that was believed last */
    ngx_uint_t                current;     /* of the walk */
    ngx_uint_t                left;        /* to be asked after that */
    ngx_str_t                 reason;      /* why the walk went on */

    ngx_redis_target_t       *target;      /* the master */
    ngx_redis_server_t        server;
    ngx_redis_master_t        master;
    ngx_redis_master_addr_t   addr;
    ngx_uint_t                changes;

    ngx_redis_master_t        news;        /* what is to be told */
    ngx_int_t                 rc;
    ngx_event_t               tell;        /* posted */

    ngx_queue_t               rounds;      /* to be told */
    ngx_queue_t               conns;       /* all to the master */

    ngx_msec_t                since;       /* they are silent, if they are */

    unsigned                  walking:1;   /* from one to the next */
    unsigned                  silent:1;    /* none of them tells, logged */
};


static ngx_int_t ngx_redis_sentinel_server(ngx_redis_sentinel_t *s,
    ngx_pool_t *pool);
static void ngx_redis_sentinel_walk(ngx_redis_sentinel_t *s);
static void ngx_redis_sentinel_heard(ngx_redis_sentinel_t *s,
    ngx_redis_asker_t *a);
static ngx_redis_master_t *ngx_redis_sentinel_most(ngx_redis_sentinel_t *s);
static void ngx_redis_sentinel_done(ngx_redis_sentinel_t *s, ngx_int_t rc,
    ngx_redis_master_t *news);
static void ngx_redis_sentinel_tell_handler(ngx_event_t *ev);
static void ngx_redis_sentinel_change(ngx_redis_sentinel_t *s);
static void ngx_redis_sentinel_move(ngx_redis_sentinel_t *s);


ngx_redis_sentinel_t *
ngx_redis_sentinel_create(ngx_redis_conf_t *conf, ngx_redis_target_t *target,
    ngx_pool_t *pool, ngx_log_t *log)
{
    ngx_uint_t             i;
    ngx_redis_server_t    *server;
    ngx_redis_sentinel_t  *s;

    s = ngx_pcalloc(pool, sizeof(ngx_redis_sentinel_t));
    if (s == NULL) {
        return NULL;
    }

    s->conf = conf;
    s->log = log;
    s->target = target;

    ngx_queue_init(&s->rounds);
    ngx_queue_init(&s->conns);

    s->tell.handler = ngx_redis_sentinel_tell_handler;
    s->tell.data = s;
    s->tell.log = log;

    s->n = conf->servers.nelts;

    s->askers = ngx_pcalloc(pool, s->n * sizeof(ngx_redis_asker_t));
    if (s->askers == NULL) {
        return NULL;
    }

    server = conf->servers.elts;

    for (i = 0; i < s->n; i++) {
        if (ngx_redis_asker_init(&s->askers[i], s, conf, &server[i], pool,
                                 log)
            != NGX_OK)
        {
            return NULL;
        }
    }

    return ngx_redis_sentinel_server(s, pool) == NGX_OK ? s : NULL;
}


static ngx_int_t
ngx_redis_sentinel_server(ngx_redis_sentinel_t *s, ngx_pool_t *pool)
{
    ngx_str_t           *text;
    ngx_redis_server_t  *server;

    /* the URLs agree on all but the host and the port */

    server = s->conf->servers.elts;

    s->server = server[0];

    text = &s->server.text;

    text->len = sizeof("sentinel=") - 1 + s->conf->sentinel.len;
    text->data = ngx_pnalloc(pool, text->len);

    if (text->data == NULL) {
        return NGX_ERROR;
    }

    ngx_sprintf(text->data, "sentinel=%V", &s->conf->sentinel);

    s->server.url.host.data = s->master.host;
    s->server.url.host.len = 0;

    s->target->server = &s->server;

    return NGX_OK;
}


void
ngx_redis_sentinel_close(ngx_redis_sentinel_t *s)
{
    ngx_uint_t  i;

    if (s->tell.posted) {
        ngx_delete_posted_event(&s->tell);
    }

    for (i = 0; i < s->n; i++) {
        ngx_redis_asker_close(&s->askers[i]);
        ngx_redis_asker_free(&s->askers[i]);
    }

    s->walking = 0;
}


void
ngx_redis_sentinel_join(ngx_redis_sentinel_t *s, ngx_redis_conn_t *conn)
{
    ngx_queue_insert_tail(&s->conns, &conn->queue);
}


ngx_uint_t
ngx_redis_sentinel_count(ngx_redis_sentinel_t *s)
{
    return s->n;
}


ngx_str_t *
ngx_redis_sentinel_reason(ngx_redis_sentinel_t *s)
{
    return &s->reason;
}


ngx_uint_t
ngx_redis_sentinel_master(ngx_redis_sentinel_t *s)
{
    return s->changes;
}


ngx_uint_t
ngx_redis_sentinel_awaited(ngx_redis_sentinel_t *s)
{
    return s->tell.posted || !ngx_queue_empty(&s->rounds);
}


void
ngx_redis_sentinel_wait(ngx_redis_sentinel_t *s, ngx_redis_round_t *round,
    ngx_uint_t doubt)
{
    ngx_uint_t  i;

    ngx_queue_insert_tail(&s->rounds, &round->queue);
    round->waiting = 1;

    /* askers that nobody waited for close when the worker is to exit */

    if (s->tell.posted || (s->walking && !ngx_exiting)) {
        return;
    }

    s->walking = 1;
    s->left = s->n;
    s->current = s->first;

    if (doubt) {
        ngx_redis_asker_leave(&s->askers[s->first]);

    } else {
        s->current += s->n - 1;
    }

    for (i = 0; i < s->n; i++) {
        ngx_redis_asker_start(&s->askers[i]);
    }

    ngx_redis_sentinel_walk(s);
}


static void
ngx_redis_sentinel_walk(ngx_redis_sentinel_t *s)
{
    ngx_redis_master_t  *most;

    if (s->left == 0) {

        /* one that was passed over may be all that is left by now */

        most = ngx_redis_sentinel_most(s);

        ngx_redis_sentinel_done(s, most ? NGX_OK : NGX_DECLINED, most);
        return;
    }

    s->left--;
    s->current = (s->current + 1) % s->n;

    ngx_redis_asker_ask(&s->askers[s->current]);
}


void
ngx_redis_sentinel_answered(ngx_redis_sentinel_t *s, ngx_redis_asker_t *a,
    ngx_int_t rc)
{
    ngx_redis_master_t  *most;

    ngx_redis_sentinel_heard(s, a);

    most = ngx_redis_sentinel_most(s);

    if (!s->walking) {

        if (most && !ngx_redis_master_equal(most, &s->master)) {
            s->first = a - s->askers;
            ngx_redis_sentinel_done(s, NGX_OK, most);
        }

        return;
    }

    if (a != &s->askers[s->current]) {
        return;
    }

    if (rc != NGX_OK) {
        s->reason = a->conn.reason;
        ngx_redis_sentinel_walk(s);
        return;
    }

    if (most && !ngx_redis_master_equal(most, &a->master)) {
        ngx_str_set(&s->reason, "they disagree");
        ngx_redis_sentinel_walk(s);
        return;
    }

    s->first = s->current;

    ngx_redis_sentinel_done(s, NGX_OK, &a->master);
}


/* tells when there is none left, and when there is one again */

static void
ngx_redis_sentinel_heard(ngx_redis_sentinel_t *s, ngx_redis_asker_t *a)
{
    ngx_uint_t  i;

    for (i = 0; i < s->n; i++) {

        if (s->askers[i].master.len == 0) {
            continue;
        }

        if (s->silent) {
            s->silent = 0;

            ngx_log_error(NGX_LOG_NOTICE, s->log, 0,
                          "redis \"%V\": sentinel %V tells of it again "
                          "after %Mms", &s->server.text, &a->conn.peer,
                          ngx_current_msec - s->since);
        }

        return;
    }

    if (s->changes && !s->silent) {
        s->silent = 1;
        s->since = ngx_current_msec;

        ngx_log_error(NGX_LOG_WARN, s->log, 0,
                      "redis \"%V\": no sentinel tells of it: %V",
                      &s->server.text, &a->conn.reason);
    }
}


/* what more than half of them say, of those that answered last time */

static ngx_redis_master_t *
ngx_redis_sentinel_most(ngx_redis_sentinel_t *s)
{
    ngx_uint_t           i, k, all, same;
    ngx_redis_master_t  *m;

    for (i = 0; i < s->n; i++) {

        m = &s->askers[i].master;

        if (m->len == 0) {
            continue;
        }

        all = 0;
        same = 0;

        for (k = 0; k < s->n; k++) {
            all += (s->askers[k].master.len != 0);
            same += ngx_redis_master_equal(&s->askers[k].master, m);
        }

        if (same * 2 > all) {
            return m;
        }
    }

    return NULL;
}


/* the one end of a walk, or what was heard without one */

static void
ngx_redis_sentinel_done(ngx_redis_sentinel_t *s, ngx_int_t rc,
    ngx_redis_master_t *news)
{
    s->walking = 0;
    s->rc = rc;

    if (news) {
        s->news = *news;
    }

    ngx_post_event(&s->tell, &ngx_posted_events);
}


static void
ngx_redis_sentinel_tell_handler(ngx_event_t *ev)
{
    ngx_int_t              rc;
    ngx_uint_t             i;
    ngx_queue_t            waiting, *q;
    ngx_redis_round_t     *round;
    ngx_redis_sentinel_t  *s;

    s = ev->data;
    rc = s->rc;

    if (rc == NGX_OK && !ngx_redis_master_equal(&s->news, &s->master)) {
        ngx_redis_sentinel_change(s);
        ngx_redis_sentinel_move(s);
    }

    /* some may ask again at once, and are not to be told the same */

    ngx_queue_init(&waiting);

    if (!ngx_queue_empty(&s->rounds)) {
        ngx_queue_add(&waiting, &s->rounds);
        ngx_queue_init(&s->rounds);
    }

    while (!ngx_queue_empty(&waiting)) {
        q = ngx_queue_head(&waiting);
        round = ngx_queue_data(q, ngx_redis_round_t, queue);

        ngx_queue_remove(q);
        round->waiting = 0;

        ngx_redis_round_told(round, rc);
    }

    if (ngx_exiting && !ngx_redis_sentinel_awaited(s)) {
        for (i = 0; i < s->n; i++) {
            ngx_redis_asker_close(&s->askers[i]);
        }
    }
}


static void
ngx_redis_sentinel_change(ngx_redis_sentinel_t *s)
{
    ngx_str_t   *host;
    ngx_uint_t   level;

    s->master = s->news;
    s->changes++;

    host = &s->server.url.host;

    host->data = s->master.host;
    host->len = s->master.len;

    s->server.url.port = s->master.port;
    s->server.named = s->master.named;

#if (NGX_SSL)

    if (s->conf->tls_name.len == 0) {
        s->server.tls_name = *host;
        s->server.tls_ip = !s->master.named;
    }

#endif

    ngx_redis_target_forget(s->target);

    if (!s->master.named) {
        ngx_redis_master_addr(&s->master, &s->addr);

        s->target->addrs = &s->addr.addr;
        s->target->naddrs = 1;
    }

    /* a move is news, where it is at start is not */

    level = (s->changes == 1) ? NGX_LOG_INFO : NGX_LOG_NOTICE;

    ngx_log_error(level, s->log, 0,
                  "redis \"%V\" is %V port %d, by sentinel %V",
                  &s->server.text, host, (int) s->master.port,
                  &s->askers[s->first].conn.peer);
}


/* connections that wait to be told are going to be */

static void
ngx_redis_sentinel_move(ngx_redis_sentinel_t *s)
{
    ngx_queue_t       *q;
    ngx_redis_conn_t  *conn;

    for (q = ngx_queue_head(&s->conns);
         q != ngx_queue_sentinel(&s->conns);
         q = ngx_queue_next(q))
    {
        conn = ngx_queue_data(q, ngx_redis_conn_t, queue);

        if (!conn->round.waiting) {
            ngx_redis_conn_move(conn, "the master is %V port %d now",
                                &s->server.url.host, (int) s->master.port);
        }
    }
}
