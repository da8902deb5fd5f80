
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_redis_cluster.h"
#include "ngx_redis_masters.h"


static ngx_int_t ngx_redis_masters_apply(ngx_redis_masters_t *m,
    ngx_array_t *masters, ngx_str_t *peer);
static ngx_redis_watched_t *ngx_redis_masters_find(ngx_redis_masters_t *m,
    ngx_redis_nodes_master_t *master);
static ngx_redis_watched_t *ngx_redis_masters_watch(ngx_redis_masters_t *m,
    ngx_redis_nodes_master_t *master);
static void ngx_redis_masters_leave(ngx_redis_masters_t *m, ngx_uint_t i);


ngx_int_t
ngx_redis_masters_told_handler(void *data, redisReply *reply, ngx_str_t *peer)
{
    ngx_redis_masters_t *m = data;

    ngx_int_t           rc;
    ngx_pool_t         *pool;
    const char         *err;
    ngx_array_t         masters;
    ngx_redis_nodes_t   nodes;

    if (ngx_exiting) {
        return NGX_OK;
    }

    pool = ngx_create_pool(4096, m->log);
    if (pool == NULL) {
        return NGX_ERROR;
    }

    rc = NGX_ERROR;

    if (ngx_array_init(&masters, pool, 16, sizeof(ngx_redis_nodes_master_t))
        == NGX_OK)
    {
        rc = ngx_redis_nodes_parse(reply, &masters, &nodes, &err);

        if (rc == NGX_OK && nodes.slots != NGX_REDIS_SLOTS) {

            /* who was left by the others, perhaps: somebody else is asked */

            ngx_redis_masters_doubt(m);
            m->nodes.settled = 0;
            rc = NGX_DECLINED;

        } else if (rc == NGX_OK) {

            if (!ngx_redis_nodes_same(&nodes, &m->nodes)) {
                ngx_redis_masters_doubt(m);
            }

            m->nodes = nodes;
            m->nodes.myself = NULL;

            rc = ngx_redis_masters_apply(m, &masters, peer);

            if (rc != NGX_OK) {
                m->nodes.settled = 0;
            }

        } else if (err) {
            ngx_log_error(NGX_LOG_INFO, m->log, 0,
                          "redis cluster: %V sent servers with %s", peer, err);
        }
    }

    ngx_destroy_pool(pool);

    return rc;
}


/*
 * Other than for commands, a map with too many servers is of no use at all.
 */

static ngx_int_t
ngx_redis_masters_apply(ngx_redis_masters_t *m, ngx_array_t *masters,
    ngx_str_t *peer)
{
    ngx_uint_t                 i, fits;
    ngx_redis_watched_t       *w;
    ngx_redis_nodes_master_t  *master;

    master = masters->elts;
    fits = (masters->nelts <= m->max);

    if (!fits && !m->full) {
        m->full = 1;
        ngx_log_error(NGX_LOG_WARN, m->log, 0,
                      "redis cluster has more than %ui masters, every check "
                      "asks it", m->max);
    }

    for (i = 0; i < m->n; i++) {
        m->watched[i]->told = 0;
    }

    for (i = 0; i < masters->nelts && fits; i++) {

        if (master[i].endpoint.host.len == 0) {
            master[i].endpoint.host = ngx_redis_cluster_peer_host(peer);
        }

        w = ngx_redis_masters_find(m, &master[i]);
        if (w) {
            w->told = 1;
            ngx_redis_member_rename(w->member, &master[i].endpoint.name);
        }
    }

    for (i = m->n; i > 0; i--) {
        if (!m->watched[i - 1]->told) {
            ngx_redis_masters_leave(m, i - 1);
        }
    }

    for (i = 0; i < masters->nelts && fits; i++) {

        w = ngx_redis_masters_find(m, &master[i]);

        if (w == NULL) {
            w = ngx_redis_masters_watch(m, &master[i]);
        }

        if (w == NULL) {
            return NGX_ERROR;
        }

        ngx_redis_node_open(&w->member->node);
        ngx_redis_tracking_open(w->tracking);
    }

    return fits ? NGX_OK : NGX_ERROR;
}


static ngx_redis_watched_t *
ngx_redis_masters_find(ngx_redis_masters_t *m,
    ngx_redis_nodes_master_t *master)
{
    ngx_uint_t            i;
    ngx_redis_watched_t  *w;

    for (i = 0; i < m->n; i++) {
        w = m->watched[i];

        if (ngx_memcmp(w->id, master->id, NGX_REDIS_NODES_ID) == 0
            && ngx_redis_member_is(w->member, &master->endpoint))
        {
            return w;
        }
    }

    return NULL;
}


static ngx_redis_watched_t *
ngx_redis_masters_watch(ngx_redis_masters_t *m,
    ngx_redis_nodes_master_t *master)
{
    ngx_redis_member_t   *member;
    ngx_redis_watched_t  *w;

    if (m->n == m->max) {
        return NULL;
    }

    member = ngx_redis_member_create(&master->endpoint, &m->conf, &m->stats,
                                     &m->quiet,
                                     &ngx_redis_masters_node_handlers, NULL);
    if (member == NULL) {
        return NULL;
    }

    w = ngx_pcalloc(member->pool, sizeof(ngx_redis_watched_t));
    if (w == NULL) {
        goto failed;
    }

    w->masters = m;
    w->member = member;
    w->told = 1;
    ngx_memcpy(w->id, master->id, NGX_REDIS_NODES_ID);

    w->tracking = ngx_redis_tracking_create(&member->conf, m->keys,
                                          member->pool, m->log, 1,
                                          &ngx_redis_masters_tracking_handlers,
                                          w);
    if (w->tracking == NULL) {
        goto failed;
    }

    member->node.data = w;

    m->watched[m->n++] = w;

    return w;

failed:

    ngx_redis_member_free(member);

    return NULL;
}


/* Its answers are not waited for; the map is what the learner still reads. */

static void
ngx_redis_masters_leave(ngx_redis_masters_t *m, ngx_uint_t i)
{
    ngx_redis_watched_t  *w;

    w = m->watched[i];
    m->watched[i] = m->watched[--m->n];

    ngx_redis_masters_doubt(m);

    if (w->asked_info) {
        ngx_redis_command_abandon(w->asked_info);
        w->asked_info = NULL;
        ngx_redis_masters_answered(m, 0);
    }

    if (w->asked_nodes) {
        ngx_redis_command_abandon(w->asked_nodes);
        w->asked_nodes = NULL;
        ngx_redis_masters_answered(m, 0);
    }

    /* a PING is answered by down() */

    ngx_redis_tracking_close(w->tracking);
    ngx_redis_node_retire(&w->member->node);

    ngx_queue_insert_tail(&m->leaving, &w->member->queue);
}


void
ngx_redis_masters_sweep(ngx_redis_masters_t *m)
{
    ngx_queue_t         *q;
    ngx_redis_member_t  *member;

    if (ngx_queue_empty(&m->leaving)
        || !ngx_redis_learner_forget(&m->learner))
    {
        return;
    }

    while (!ngx_queue_empty(&m->leaving)) {
        q = ngx_queue_head(&m->leaving);
        member = ngx_queue_data(q, ngx_redis_member_t, queue);

        ngx_queue_remove(q);
        ngx_redis_masters_drop(member->node.data);
    }
}


void
ngx_redis_masters_drop(ngx_redis_watched_t *w)
{
    ngx_redis_tracking_free(w->tracking);
    ngx_redis_member_free(w->member);
}


ngx_uint_t
ngx_redis_masters_known_handler(void *data, ngx_redis_target_t *targets,
    ngx_uint_t max)
{
    ngx_redis_masters_t *m = data;

    ngx_uint_t           i, n, first;
    ngx_redis_member_t  *member;

    if (m->n == 0) {
        return 0;
    }

    first = ngx_random() % m->n;
    n = 0;

    for (i = 0; i < m->n && n < max; i++) {
        member = m->watched[(first + i) % m->n]->member;

        if (member->server.naddrs == 0
            || ngx_redis_node_state(&member->node) != NGX_REDIS_UP)
        {
            continue;
        }

        ngx_memzero(&targets[n], sizeof(ngx_redis_target_t));

        targets[n].server = &member->server;
        targets[n].addrs = member->server.addrs;
        targets[n].naddrs = 1;
        n++;
    }

    return n;
}
