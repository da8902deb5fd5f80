
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_redis_conf.h"
#include "ngx_redis_memory.h"
#include "ngx_redis_reply.h"


/* until a worker has been at work for so long, and from then on to wait */
#define NGX_REDIS_MEMORY_DELAY       1000  /* ms */

/* what is between may close the connection that it is asked on */
#define NGX_REDIS_MEMORY_TRIES       3

#define NGX_REDIS_MEMORY_MAX_POLICY  32


typedef struct {
    ngx_redis_client_t  *client;
    ngx_redis_server_t  *server;           /* the first that is configured */
    ngx_redis_memory_e   wanted;
    ngx_uint_t           tries;            /* that were not answered */
    ngx_event_t          timer;
} ngx_redis_memory_t;


static void ngx_redis_memory_timer_handler(ngx_event_t *ev);
static void ngx_redis_memory_handler(void *data, ngx_redis_result_e result,
    redisReply *reply);
static ngx_uint_t ngx_redis_memory_find(ngx_str_t *info, const char *name,
    ngx_str_t *value);


ngx_int_t
ngx_redis_memory_watch(ngx_cycle_t *cycle, ngx_redis_client_t *client,
    ngx_redis_conf_t *conf, ngx_redis_memory_e wanted)
{
    ngx_redis_memory_t  *m;

    if (ngx_process != NGX_PROCESS_WORKER || ngx_worker != 0) {
        return NGX_OK;
    }

    m = ngx_pcalloc(cycle->pool, sizeof(ngx_redis_memory_t));
    if (m == NULL) {
        return NGX_ERROR;
    }

    m->client = client;
    m->server = conf->servers.elts;
    m->wanted = wanted;

    m->timer.handler = ngx_redis_memory_timer_handler;
    m->timer.data = m;
    m->timer.log = cycle->log;
    m->timer.cancelable = 1;

    ngx_add_timer(&m->timer, NGX_REDIS_MEMORY_DELAY);

    return NGX_OK;
}


static void
ngx_redis_memory_timer_handler(ngx_event_t *ev)
{
    ngx_str_t            argv[2];
    ngx_redis_memory_t  *m;

    m = ev->data;

    if (ngx_exiting) {
        return;
    }

    ngx_str_set(&argv[0], "INFO");
    ngx_str_set(&argv[1], "memory");

    if (ngx_redis_client_state(m->client) != NGX_REDIS_UP
        || ngx_redis_client_send(m->client, 2, argv, 0,
                                 ngx_redis_memory_handler, m)
           == NULL)
    {
        ngx_add_timer(ev, NGX_REDIS_MEMORY_DELAY);
    }
}


static void
ngx_redis_memory_handler(void *data, ngx_redis_result_e result,
    redisReply *reply)
{
    ngx_redis_memory_t *m = data;

    uint64_t    limit;
    ngx_str_t   info, policy;
    ngx_uint_t  evicts;

    if (result == NGX_REDIS_TIMEOUT || result == NGX_REDIS_CLOSED) {

        if (!ngx_exiting && ++m->tries < NGX_REDIS_MEMORY_TRIES) {
            ngx_add_timer(&m->timer, NGX_REDIS_MEMORY_DELAY);
        }

        return;
    }

    if (result != NGX_REDIS_REPLY
        || ngx_redis_reply_string(reply, &info) != NGX_OK
        || ngx_redis_memory_parse(&info, &limit, &policy) != NGX_OK
        || limit == 0)
    {
        return;
    }

    evicts = (policy.len != sizeof("noeviction") - 1
              || ngx_strncmp(policy.data, "noeviction", policy.len) != 0);

    if (evicts && m->wanted == NGX_REDIS_MEMORY_KEEP) {
        ngx_log_error(NGX_LOG_WARN, m->timer.log, 0,
                      "redis \"%V\" may evict limits and revoked tokens when "
                      "its memory is full: maxmemory-policy is \"%V\", "
                      "expected \"noeviction\"", &m->server->text, &policy);

    } else if (!evicts && m->wanted == NGX_REDIS_MEMORY_EVICT) {
        ngx_log_error(NGX_LOG_NOTICE, m->timer.log, 0,
                      "redis \"%V\" stores nothing when its memory is full: "
                      "maxmemory-policy is \"noeviction\", for a cache "
                      "\"allkeys-lfu\" is better", &m->server->text);
    }
}


ngx_int_t
ngx_redis_memory_parse(ngx_str_t *info, uint64_t *limit, ngx_str_t *policy)
{
    off_t      n;
    size_t     i;
    ngx_str_t  value;

    if (!ngx_redis_memory_find(info, "\nmaxmemory:", &value)) {
        return NGX_DECLINED;
    }

    n = ngx_atoof(value.data, value.len);

    if (n == NGX_ERROR
        || !ngx_redis_memory_find(info, "\nmaxmemory_policy:", policy)
        || policy->len == 0
        || policy->len > NGX_REDIS_MEMORY_MAX_POLICY)
    {
        return NGX_DECLINED;
    }

    for (i = 0; i < policy->len; i++) {
        if (policy->data[i] != '-'
            && (policy->data[i] < 'a' || policy->data[i] > 'z'))
        {
            return NGX_DECLINED;
        }
    }

    *limit = n;

    return NGX_OK;
}


/* what follows the name, up to the end of the line */

static ngx_uint_t
ngx_redis_memory_find(ngx_str_t *info, const char *name, ngx_str_t *value)
{
    u_char  *p, *last;
    size_t   len;

    len = ngx_strlen(name);
    last = info->data + info->len;

    for (p = info->data; (size_t) (last - p) > len; p++) {

        if (ngx_memcmp(p, name, len) != 0) {
            continue;
        }

        p += len;

        value->data = p;

        while (p < last && *p != CR && *p != LF) {
            p++;
        }

        value->len = p - value->data;

        return 1;
    }

    return 0;
}
