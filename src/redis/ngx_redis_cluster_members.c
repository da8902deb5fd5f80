
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_redis_cluster.h"


static void ngx_redis_cluster_apply(ngx_redis_cluster_t *cl,
    ngx_array_t *ranges, ngx_str_t *peer);
static void ngx_redis_cluster_prune(ngx_redis_cluster_t *cl);
static void ngx_redis_cluster_leave(ngx_redis_cluster_t *cl, ngx_uint_t i);
static void ngx_redis_cluster_rescue(ngx_redis_cluster_t *cl,
    ngx_redis_member_t *member);
static ngx_uint_t ngx_redis_cluster_ailing(ngx_redis_cluster_t *cl);


ngx_redis_member_t *
ngx_redis_cluster_member(ngx_redis_cluster_t *cl,
    ngx_redis_endpoint_t *endpoint)
{
    ngx_uint_t           i, n, place;
    ngx_redis_member_t  *member;

    n = 0;
    place = cl->nmembers;

    for (i = 0; i < cl->nmembers; i++) {

        if (cl->members[i] == NULL) {
            place = i;
            continue;
        }

        if (ngx_redis_member_is(cl->members[i], endpoint)) {
            return cl->members[i];
        }

        n++;
    }

    if (n + cl->nleaving >= cl->max) {

        if (!cl->full) {
            cl->full = 1;
            ngx_log_error(NGX_LOG_ERR, cl->log, 0,
                          "redis cluster has more than %ui servers, "
                          "more are not used", cl->max);
        }

        return NULL;
    }

    member = ngx_redis_member_create(endpoint, cl->conf, cl->stats, cl->log,
                                     &ngx_redis_cluster_node_handlers, cl);
    if (member == NULL) {
        return NULL;
    }

    ngx_log_debug2(NGX_LOG_DEBUG_EVENT, cl->log, 0,
                   "redis cluster has \"%V\", %ui others",
                   &member->server.text, n);

    cl->members[place] = member;

    if (place == cl->nmembers) {
        cl->nmembers++;
    }

    member->used = ngx_current_msec - NGX_REDIS_CLUSTER_STRAY;

    return member;
}


ngx_redis_member_t *
ngx_redis_cluster_master(ngx_redis_cluster_t *cl, ngx_uint_t slot)
{
    return cl->slots[slot] ? cl->members[cl->slots[slot] - 1] : NULL;
}


ngx_redis_member_t *
ngx_redis_cluster_any(ngx_redis_cluster_t *cl)
{
    ngx_uint_t           i;
    ngx_redis_member_t  *member;

    for (i = 0; i < cl->nmembers; i++) {
        member = cl->members[i];

        if (member && member->nslots
            && ngx_redis_node_state(&member->node) == NGX_REDIS_UP)
        {
            return member;
        }
    }

    return NULL;
}


void
ngx_redis_cluster_assign(ngx_redis_cluster_t *cl, ngx_uint_t slot,
    ngx_redis_member_t *member)
{
    ngx_uint_t           i;
    ngx_redis_member_t  *was;

    was = ngx_redis_cluster_master(cl, slot);

    if (was == member) {
        return;
    }

    if (was) {
        was->nslots--;
    }

    cl->slots[slot] = 0;

    if (member == NULL) {
        return;
    }

    for (i = 0; cl->members[i] != member; i++) { /* void */ }

    cl->slots[slot] = (uint16_t) (i + 1);
    member->nslots++;
}


ngx_int_t
ngx_redis_cluster_told_handler(void *data, redisReply *reply, ngx_str_t *peer)
{
    ngx_redis_cluster_t *cl = data;

    ngx_int_t     rc;
    ngx_pool_t   *pool;
    const char   *err;
    ngx_array_t   ranges;

    pool = ngx_create_pool(4096, cl->log);
    if (pool == NULL) {
        return NGX_ERROR;
    }

    rc = NGX_ERROR;

    if (ngx_array_init(&ranges, pool, 16, sizeof(ngx_redis_range_t))
        == NGX_OK)
    {
        rc = ngx_redis_map_parse(reply, &ranges, &err);

        if (rc == NGX_OK) {
            ngx_redis_cluster_apply(cl, &ranges, peer);

        } else if (rc == NGX_ERROR && err) {
            ngx_log_error(NGX_LOG_INFO, cl->log, 0,
                          "redis cluster: %V sent slots with %s", peer, err);
        }
    }

    ngx_destroy_pool(pool);

    if (rc == NGX_OK && ngx_redis_cluster_ailing(cl)) {
        return NGX_AGAIN;
    }

    return rc;
}


static void
ngx_redis_cluster_apply(ngx_redis_cluster_t *cl, ngx_array_t *ranges,
    ngx_str_t *peer)
{
    ngx_uint_t           i, slot, next, changed;
    ngx_redis_range_t   *range;
    ngx_redis_member_t  *member;

    static uint16_t      slots[NGX_REDIS_SLOTS];

    ngx_memzero(slots, sizeof(slots));

    range = ranges->elts;

    for (i = 0; i < ranges->nelts; i++) {

        if (range[i].endpoint.host.len == 0) {
            range[i].endpoint.host = ngx_redis_cluster_peer_host(peer);
        }

        member = ngx_redis_cluster_member(cl, &range[i].endpoint);
        if (member == NULL) {
            continue;
        }

        ngx_redis_member_rename(member, &range[i].endpoint.name);

        for (next = 0; cl->members[next] != member; next++) { /* void */ }

        for (slot = range[i].first; slot <= range[i].last; slot++) {
            slots[slot] = (uint16_t) (next + 1);
        }
    }

    changed = 0;

    for (slot = 0; slot < NGX_REDIS_SLOTS; slot++) {

        if (slots[slot] == cl->slots[slot]) {
            continue;
        }

        changed++;

        ngx_redis_cluster_assign(cl, slot, slots[slot]
                                           ? cl->members[slots[slot] - 1]
                                           : NULL);
    }

    ngx_log_debug3(NGX_LOG_DEBUG_EVENT, cl->log, 0,
                   "redis cluster told of %ui ranges by %V, changed:%ui",
                   ranges->nelts, peer, changed);

    if (changed && cl->known) {
        (*cl->era)++;

        ngx_log_error(NGX_LOG_NOTICE, cl->log, 0,
                      "redis cluster: %ui slots have another master",
                      changed);
    }

    cl->known = 1;
    cl->failed = 0;

    ngx_redis_cluster_prune(cl);

    for (i = 0; i < cl->nmembers && !ngx_exiting; i++) {
        if (cl->members[i] && cl->members[i]->nslots) {
            ngx_redis_node_open(&cl->members[i]->node);
        }
    }

    ngx_redis_park_release(&cl->park);
}


static void
ngx_redis_cluster_prune(ngx_redis_cluster_t *cl)
{
    ngx_uint_t           i;
    ngx_redis_member_t  *member;

    for (i = 0; i < cl->nmembers; i++) {
        member = cl->members[i];

        if (member && member->nslots == 0
            && ngx_current_msec - member->used >= NGX_REDIS_CLUSTER_STRAY)
        {
            ngx_redis_cluster_leave(cl, i);
        }
    }
}


static void
ngx_redis_cluster_leave(ngx_redis_cluster_t *cl, ngx_uint_t i)
{
    ngx_redis_member_t  *member;

    member = cl->members[i];

    ngx_log_debug1(NGX_LOG_DEBUG_EVENT, cl->log, 0,
                   "redis cluster is left by \"%V\"", &member->server.text);

    cl->members[i] = NULL;
    cl->nleaving++;
    cl->full = 0;

    ngx_queue_insert_tail(&cl->leaving, &member->queue);

    ngx_redis_node_retire(&member->node);

    ngx_redis_cluster_rescue(cl, member);
    ngx_redis_cluster_sweep(cl);
}


/* what was not written may still be written elsewhere */

static void
ngx_redis_cluster_rescue(ngx_redis_cluster_t *cl, ngx_redis_member_t *member)
{
    ngx_uint_t            i;
    ngx_redis_pipe_t     *pipe;
    ngx_redis_command_t  *cmd;

    for (i = 0; i < member->node.npipes; i++) {
        pipe = &member->node.pipes[i];

        while ((cmd = ngx_redis_command_first(&pipe->waiting)) != NULL) {
            if (ngx_redis_cluster_place_handler(cl, cmd) != NGX_OK) {
                ngx_redis_command_end(cmd, NGX_REDIS_CLOSED, NULL);
            }
        }

        if (pipe->all.n == 0) {
            ngx_redis_pipe_close(pipe);
        }
    }
}


void
ngx_redis_cluster_sweep(ngx_redis_cluster_t *cl)
{
    if (!cl->sweep.timer_set) {
        ngx_add_timer(&cl->sweep, 1);
    }
}


void
ngx_redis_cluster_sweep_handler(ngx_event_t *ev)
{
    ngx_queue_t          *q, *next;
    ngx_redis_member_t   *member;
    ngx_redis_cluster_t  *cl;

    cl = ev->data;

    if (ngx_queue_empty(&cl->leaving)) {
        return;
    }

    if (!ngx_redis_learner_forget(&cl->learner)) {
        ngx_add_timer(&cl->sweep, NGX_REDIS_CLUSTER_SWEEP);
        return;
    }

    for (q = ngx_queue_head(&cl->leaving);
         q != ngx_queue_sentinel(&cl->leaving);
         q = next)
    {
        next = ngx_queue_next(q);
        member = ngx_queue_data(q, ngx_redis_member_t, queue);

        if (ngx_redis_node_commands(&member->node) == 0) {
            ngx_queue_remove(q);
            cl->nleaving--;

            ngx_redis_member_free(member);
        }
    }
}


/* something is not as it will be: there is no other sign of the change */

static ngx_uint_t
ngx_redis_cluster_ailing(ngx_redis_cluster_t *cl)
{
    ngx_uint_t           i;
    ngx_redis_member_t  *member;

    for (i = 0; i < cl->nmembers; i++) {
        member = cl->members[i];

        if (member && (member->nslots == 0
                       || ngx_redis_node_state(&member->node)
                          == NGX_REDIS_DOWN))
        {
            return 1;
        }
    }

    return 0;
}


ngx_str_t
ngx_redis_cluster_peer_host(ngx_str_t *peer)
{
    u_char     *p, *last;
    ngx_str_t   host;

    host = *peer;
    last = peer->data + peer->len;

    if (host.len && host.data[0] == '[') {
        host.data++;
        p = ngx_strlchr(host.data, last, ']');

    } else {
        p = ngx_strlchr(host.data, last, ':');
    }

    host.len = (p ? p : last) - host.data;

    return host;
}
