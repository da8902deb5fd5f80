
/*
 * Copyright (C) The Optcache authors
 */


/*
 * Hears of every change to keys that begin with certain words: server-assisted
 * client tracking in broadcasting mode (Redis 6 and newer), over a connection
 * that does nothing else.  It redirects to itself and listens as a subscriber,
 * so that no other protocol than that of the replies is needed.
 *
 *     CLIENT ID; CLIENT TRACKING ON REDIRECT id BCAST PREFIX ..;
 *     SUBSCRIBE __redis__:invalidate; then PING, many times a second
 *
 * A promise is good as long as it is renewed: whoever relies on what was not
 * reported must not do so for longer than NGX_REDIS_TRACKING_TRUST after the
 * PING that was answered last was sent.
 */


#ifndef _NGX_REDIS_TRACKING_H_INCLUDED_
#define _NGX_REDIS_TRACKING_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_redis_client.h"


#define NGX_REDIS_TRACKING_PING   20    /* ms from an answer to the next PING */
#define NGX_REDIS_TRACKING_TRUST  80    /* ms without an answer */

#define NGX_REDIS_TRACKING_MAX_PREFIXES  16


typedef struct ngx_redis_tracking_s  ngx_redis_tracking_t;


typedef struct {
    /*
     * Changes are going to be reported from now on, of what these servers
     * hold: numbers of ngx_redis_command_server().
     */
    void                    (*up)(void *data, uint64_t *servers, ngx_uint_t n);

    /* ... and are not any more: any may have been missed */
    void                    (*down)(void *data);

    /* a key was changed, expired or was deleted; NULL: all were */
    void                    (*changed)(void *data, ngx_str_t *key);

    /* all was well when this was asked for, "age" ms ago */
    void                    (*heard)(void *data, ngx_msec_t age);
} ngx_redis_tracking_handlers_t;


/* What is listened to.  It must live as long as who does. */

typedef struct {
    ngx_str_t                *prefixes;  /* none begins with another */
    ngx_uint_t                n;         /* NGX_REDIS_TRACKING_MAX_PREFIXES */
} ngx_redis_tracking_keys_t;


/*
 * Prepares to listen to one server (or to a master that sentinels know of),
 * with memory from the pool; it does not connect yet.  "paced": a PING is
 * only sent when it is asked for.  NULL when out of memory.
 */

ngx_redis_tracking_t *ngx_redis_tracking_create(ngx_redis_conf_t *conf,
    ngx_redis_tracking_keys_t *keys, ngx_pool_t *pool, ngx_log_t *log,
    ngx_uint_t paced, ngx_redis_tracking_handlers_t *handlers, void *data);

/* Connects, and again and again when that is in vain or the server leaves. */

void ngx_redis_tracking_open(ngx_redis_tracking_t *tracking);

/* Closes; down() is called if it was up. */

void ngx_redis_tracking_close(ngx_redis_tracking_t *tracking);

/*
 * Sends a PING of one that is paced: either heard() or down() follows, down()
 * perhaps before it returns.  NGX_DECLINED if it is not up, or one is under
 * way.
 */

ngx_int_t ngx_redis_tracking_ask(ngx_redis_tracking_t *tracking);

/* Closes without calling anything, and frees what the pool does not have. */

void ngx_redis_tracking_free(ngx_redis_tracking_t *tracking);

/* A clock in milliseconds that is not of the event loop. */

uint64_t ngx_redis_tracking_now(void);


#endif /* _NGX_REDIS_TRACKING_H_INCLUDED_ */
