
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_redis_client.h"
#include "ngx_redis_cluster.h"
#include "ngx_redis_node.h"


struct ngx_redis_client_s {
    ngx_redis_node_t          node;        /* unless there is a cluster */
    ngx_redis_cluster_t      *cluster;     /* NULL: one server */

    ngx_redis_stats_t         stats;
    ngx_uint_t                era;

    unsigned                  closed:1;
};


static ngx_int_t ngx_redis_client_init_node(ngx_redis_client_t *client,
    ngx_redis_conf_t *conf, ngx_cycle_t *cycle, ngx_uint_t start);
static void ngx_redis_client_trouble_handler(void *data,
    ngx_redis_node_t *node, ngx_uint_t was_up);
static ngx_redis_command_t *ngx_redis_client_send_by(
    ngx_redis_client_t *client, ngx_uint_t argc, ngx_str_t *argv,
    ngx_uint_t key, ngx_uint_t large, ngx_redis_reply_pt handler,
    void *data);


static ngx_redis_node_handlers_t  ngx_redis_client_node_handlers = {
    NULL,
    ngx_redis_client_trouble_handler,
    NULL,
    NULL
};


ngx_redis_client_t *
ngx_redis_client_create(ngx_cycle_t *cycle, ngx_redis_conf_t *conf)
{
    ngx_uint_t           start;
    ngx_redis_client_t  *client;

    client = ngx_pcalloc(cycle->pool, sizeof(ngx_redis_client_t));
    if (client == NULL) {
        return NULL;
    }

    client->era = 1;

    /* a cache manager runs init_process too, and sends nothing */

    start = (ngx_process == NGX_PROCESS_WORKER
             || ngx_process == NGX_PROCESS_SINGLE);

    if (!conf->cluster) {
        return (ngx_redis_client_init_node(client, conf, cycle, start)
                == NGX_OK) ? client : NULL;
    }

    client->cluster = ngx_redis_cluster_create(conf, &client->stats,
                                               &client->era, cycle->pool,
                                               cycle->log, start);

    return client->cluster ? client : NULL;
}


static ngx_int_t
ngx_redis_client_init_node(ngx_redis_client_t *client, ngx_redis_conf_t *conf,
    ngx_cycle_t *cycle, ngx_uint_t start)
{
    ngx_redis_node_t  *node;

    node = &client->node;

    node->conf = conf;
    node->stats = &client->stats;
    node->log = cycle->log;
    node->handlers = &ngx_redis_client_node_handlers;
    node->data = client;

    if (ngx_redis_node_init(node, cycle->pool) != NGX_OK) {
        return NGX_ERROR;
    }

    if (start) {
        ngx_redis_node_open(node);
    }

    return NGX_OK;
}


void
ngx_redis_client_close(ngx_redis_client_t *client)
{
    client->closed = 1;

    if (client->cluster) {
        ngx_redis_cluster_close(client->cluster);
        return;
    }

    ngx_redis_node_close(&client->node);
}


ngx_redis_command_t *
ngx_redis_client_send(ngx_redis_client_t *client, ngx_uint_t argc,
    ngx_str_t *argv, ngx_uint_t key, ngx_redis_reply_pt handler, void *data)
{
    return ngx_redis_client_send_by(client, argc, argv, key, 0, handler,
                                    data);
}


ngx_redis_command_t *
ngx_redis_client_send_large(ngx_redis_client_t *client, ngx_uint_t argc,
    ngx_str_t *argv, ngx_uint_t key, ngx_redis_reply_pt handler, void *data)
{
    return ngx_redis_client_send_by(client, argc, argv, key,
                                    NGX_REDIS_LARGE_SENT, handler, data);
}


ngx_redis_command_t *
ngx_redis_client_read_large(ngx_redis_client_t *client, ngx_uint_t argc,
    ngx_str_t *argv, ngx_uint_t key, ngx_redis_reply_pt handler, void *data)
{
    return ngx_redis_client_send_by(client, argc, argv, key,
                                    NGX_REDIS_LARGE_READ, handler, data);
}


static ngx_redis_command_t *
ngx_redis_client_send_by(ngx_redis_client_t *client, ngx_uint_t argc,
    ngx_str_t *argv, ngx_uint_t key, ngx_uint_t large,
    ngx_redis_reply_pt handler, void *data)
{
    ngx_redis_command_t  *cmd;

    if (client->closed) {
        cmd = NULL;

    } else if (client->cluster) {
        cmd = ngx_redis_cluster_send(client->cluster, argc, argv, key, large,
                                     handler, data);

    } else {
        cmd = ngx_redis_node_send(&client->node, argc, argv, large, handler,
                                  data);
    }

    if (cmd == NULL) {
        ngx_redis_metrics_count(&client->stats, NGX_REDIS_METRICS_REJECTED);
    }

    return cmd;
}


ngx_redis_state_e
ngx_redis_client_state(ngx_redis_client_t *client)
{
    if (client->cluster) {
        return ngx_redis_cluster_state(client->cluster);
    }

    return ngx_redis_node_state(&client->node);
}


ngx_redis_breaker_state_e
ngx_redis_client_breaker(ngx_redis_client_t *client)
{
    if (client->cluster) {
        return ngx_redis_cluster_breaker(client->cluster);
    }

    return client->node.breaker.state;
}


ngx_uint_t
ngx_redis_command_sent_on(ngx_redis_command_t *cmd)
{
    return cmd->hops || cmd->retried;
}


uint64_t
ngx_redis_command_server(ngx_redis_command_t *cmd)
{
    return cmd->all->server ? *cmd->all->server : 0;
}


ngx_int_t
ngx_redis_client_slot(ngx_redis_client_t *client, ngx_str_t *key)
{
    if (client->cluster) {
        return ngx_redis_slot(key);
    }

    return NGX_DECLINED;
}


ngx_uint_t
ngx_redis_client_era(ngx_redis_client_t *client)
{
    return client->era;
}


ngx_redis_stats_t *
ngx_redis_client_stats(ngx_redis_client_t *client)
{
    return &client->stats;
}


void
ngx_redis_client_metrics(ngx_redis_client_t *client,
    ngx_metrics_block_t *block)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_REDIS_METRICS; i++) {
        ngx_metrics_add_to(block, i, client->stats.counters[i]);
    }

    client->stats.block = block;
}


static void
ngx_redis_client_trouble_handler(void *data, ngx_redis_node_t *node,
    ngx_uint_t was_up)
{
    ngx_redis_client_t *client = data;

    if (was_up) {
        client->era++;
    }
}
