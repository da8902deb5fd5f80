
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_http.h>

#include "ngx_http_optcache_compress.h"
#include "ngx_http_optcache_marks.h"


#if (NGX_THREADS)


/* of a worker, so that threads leave processors to the event loops */
#define NGX_HTTP_OPTCACHE_COMPRESS_TASKS  4

/* smaller bodies take no longer than a few requests do */
#define NGX_HTTP_OPTCACHE_COMPRESS_MIN    65536

/* compressed at once, before a thread looks whether it is to end */
#define NGX_HTTP_OPTCACHE_COMPRESS_PIECE  16384

/* for so long a worker that is to exit stays for its tasks, milliseconds */
#define NGX_HTTP_OPTCACHE_COMPRESS_STAY   5000


typedef struct {
    ngx_queue_t                     queue;
    ngx_pool_t                     *pool;
    ngx_http_optcache_main_conf_t  *omcf;
    ngx_optcache_l1_t              *zone;
    ngx_optcache_entry_t            entry;    /* pinned */
    ngx_int_t                       level;
    ngx_flag_t                      redis;    /* optcache_redis */
    ngx_chain_t                    *gzip;     /* what the thread has made */
    size_t                          gzip_len;
    ngx_uint_t                      over;     /* the thread is done with it */
} ngx_http_optcache_compress_t;


static void ngx_http_optcache_compress_cleanup(void *data);
static ngx_int_t ngx_http_optcache_compress_pin(
    ngx_http_optcache_compress_t *task, ngx_optcache_entry_t *e);
static void ngx_http_optcache_compress_stay(void);
static void ngx_http_optcache_compress_stay_handler(ngx_event_t *ev);
static void ngx_http_optcache_compress_thread(void *data, ngx_log_t *log);
static ngx_int_t ngx_http_optcache_compress_body(ngx_optcache_gzip_t *gz,
    ngx_chain_t *cl);
static void ngx_http_optcache_compress_done_handler(ngx_event_t *ev);
static void ngx_http_optcache_compress_store(
    ngx_http_optcache_compress_t *task);


static ngx_uint_t             ngx_http_optcache_compress_places;
static ngx_queue_t            ngx_http_optcache_compress_tasks;
static ngx_event_t            ngx_http_optcache_compress_timer;
static ngx_connection_t       ngx_http_optcache_compress_conn;

/* read by threads */
static volatile sig_atomic_t  ngx_http_optcache_compress_end;


ngx_int_t
ngx_http_optcache_compress_init(ngx_conf_t *cf,
    ngx_http_optcache_main_conf_t *omcf)
{
    void               ***conf;
    ngx_uint_t            i;
    ngx_event_conf_t     *ecf;
    ngx_event_module_t   *module;

    conf = (void ***) ngx_get_conf(cf->cycle->conf_ctx, ngx_events_module);

    if (!omcf->gzip || conf == NULL) {
        return NGX_OK;
    }

    ecf = (*conf)[ngx_event_core_module.ctx_index];

    for (i = 0; cf->cycle->modules[i]; i++) {

        if (cf->cycle->modules[i]->type != NGX_EVENT_MODULE
            || cf->cycle->modules[i]->ctx_index != ecf->use)
        {
            continue;
        }

        module = cf->cycle->modules[i]->ctx;

        if (module->actions.notify == NULL) {
            /* a worker would not start with a thread pool */
            return NGX_OK;
        }

        omcf->threads = ngx_thread_pool_add(cf, NULL);

        return (omcf->threads == NULL) ? NGX_ERROR : NGX_OK;
    }

    return NGX_OK;
}


void
ngx_http_optcache_compress_exit_process(void)
{
    ngx_queue_t                   *q;
    ngx_http_optcache_compress_t  *task;

    if (ngx_http_optcache_compress_tasks.next == NULL) {
        /* there was none */
        return;
    }

    while (!ngx_queue_empty(&ngx_http_optcache_compress_tasks)) {
        q = ngx_queue_head(&ngx_http_optcache_compress_tasks);
        ngx_queue_remove(q);

        task = ngx_queue_data(q, ngx_http_optcache_compress_t, queue);

        /* where the queue of the pool is full, its threads are left running */

        if (__atomic_load_n(&task->over, __ATOMIC_ACQUIRE)) {
            ngx_destroy_pool(task->pool);
        }
    }
}


ngx_uint_t
ngx_http_optcache_compress_reserve(ngx_http_request_t *r,
    ngx_http_optcache_capture_t *cap, off_t size, off_t limit)
{
    size_t                           room;
    ngx_pool_cleanup_t              *cln;
    ngx_http_optcache_ctx_t         *ctx;
    ngx_http_optcache_main_conf_t   *omcf;

    omcf = ngx_http_get_module_main_conf(r, ngx_http_optcache_module);
    ctx = ngx_http_get_module_ctx(r, ngx_http_optcache_module);

    /* without a master, a new configuration gets no threads */

    if (omcf->threads == NULL
        || ngx_process != NGX_PROCESS_WORKER
        || size <= NGX_HTTP_OPTCACHE_COMPRESS_MIN
        || ngx_http_optcache_compress_places
           >= NGX_HTTP_OPTCACHE_COMPRESS_TASKS)
    {
        return 0;
    }

    /* the body is there twice when it is stored again */

    room = ctx->zone->shpool->end - (u_char *) ctx->zone->shpool;

    if (limit > (off_t) (room / 4)) {
        return 0;
    }

    cln = ngx_pool_cleanup_add(r->pool, 0);
    if (cln == NULL) {
        return 0;
    }

    cln->handler = ngx_http_optcache_compress_cleanup;
    cln->data = cap;

    cap->later = 1;
    ngx_http_optcache_compress_places++;

    return 1;
}


void
ngx_http_optcache_compress_release(ngx_http_optcache_capture_t *cap)
{
    if (cap->later) {
        cap->later = 0;
        ngx_http_optcache_compress_places--;
    }
}


static void
ngx_http_optcache_compress_cleanup(void *data)
{
    ngx_http_optcache_compress_release(data);
}


void
ngx_http_optcache_compress_start(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx)
{
    ngx_pool_t                     *pool;
    ngx_thread_task_t              *thread;
    ngx_http_optcache_compress_t   *task;
    ngx_http_optcache_main_conf_t  *omcf;

    pool = ngx_create_pool(NGX_DEFAULT_POOL_SIZE, ngx_cycle->log);
    if (pool == NULL) {
        return;
    }

    thread = ngx_thread_task_alloc(pool, sizeof(ngx_http_optcache_compress_t));
    if (thread == NULL) {
        goto failed;
    }

    omcf = ngx_http_get_module_main_conf(r, ngx_http_optcache_module);

    task = thread->ctx;

    task->pool = pool;
    task->omcf = omcf;
    task->zone = ctx->zone;
    task->level = ctx->capture->gzip_level;
    task->redis = ctx->conf->redis;

    if (ngx_http_optcache_compress_pin(task, &ctx->capture->entry) != NGX_OK) {
        goto failed;
    }

    thread->handler = ngx_http_optcache_compress_thread;
    thread->event.handler = ngx_http_optcache_compress_done_handler;
    thread->event.data = task;
    thread->event.log = ngx_cycle->log;

    if (ngx_thread_task_post(omcf->threads, thread) != NGX_OK) {
        goto failed;
    }

    ctx->capture->later = 0;

    ngx_http_optcache_compress_stay();

    ngx_queue_insert_tail(&ngx_http_optcache_compress_tasks, &task->queue);

    return;

failed:

    ngx_destroy_pool(pool);
}


/*
 * What has been stored, unless another worker was quicker.  It is pinned, so
 * its memory holds nothing else as long as the task has its pool: where the
 * body lies tells it from all that may be stored later.
 */

static ngx_int_t
ngx_http_optcache_compress_pin(ngx_http_optcache_compress_t *task,
    ngx_optcache_entry_t *e)
{
    ngx_str_t  key;

    key.len = e->key.len;
    key.data = ngx_pstrdup(task->pool, &e->key);

    if (key.data == NULL
        || ngx_optcache_l1_lookup(task->zone, &key, task->pool, &task->entry)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (task->entry.gzip_len
        || task->entry.date != e->date
        || task->entry.body_len != e->body_len
        || task->entry.head.len != e->head.len
        || ngx_memcmp(task->entry.head.data, e->head.data, e->head.len) != 0)
    {
        return NGX_DECLINED;
    }

    return NGX_OK;
}


/*
 * A worker that is to exit does so when it has no timers but cancelable ones:
 * there is one as long as there are tasks.
 */

static void
ngx_http_optcache_compress_stay(void)
{
    ngx_event_t  *ev;

    if (ngx_http_optcache_compress_tasks.next == NULL) {
        ngx_queue_init(&ngx_http_optcache_compress_tasks);
    }

    ev = &ngx_http_optcache_compress_timer;

    if (!ev->timer_set) {
        ngx_http_optcache_compress_conn.fd = (ngx_socket_t) -1;

        ev->handler = ngx_http_optcache_compress_stay_handler;
        ev->data = &ngx_http_optcache_compress_conn;
        ev->log = ngx_cycle->log;

        ngx_add_timer(ev, NGX_HTTP_OPTCACHE_COMPRESS_STAY);
    }
}


static void
ngx_http_optcache_compress_stay_handler(ngx_event_t *ev)
{
    if (ngx_exiting) {
        /* they have had their time */
        ngx_http_optcache_compress_end = 1;
        return;
    }

    ngx_add_timer(ev, NGX_HTTP_OPTCACHE_COMPRESS_STAY);
}


/* Nothing here belongs to anybody but the task. */

static void
ngx_http_optcache_compress_thread(void *data, ngx_log_t *log)
{
    ngx_http_optcache_compress_t *task = data;

    ngx_optcache_gzip_t  *gz;

    gz = ngx_optcache_gzip_create(task->pool, task->level,
                                  (off_t) task->entry.body_len);
    if (gz) {
        if (ngx_http_optcache_compress_body(gz, task->entry.body) == NGX_OK) {
            task->gzip = ngx_optcache_gzip_result(gz, &task->gzip_len);
        }

        ngx_optcache_gzip_close(gz);
    }

    /* who sees it owns the pool, with all that was done to it here */

    __atomic_store_n(&task->over, 1, __ATOMIC_RELEASE);
}


static ngx_int_t
ngx_http_optcache_compress_body(ngx_optcache_gzip_t *gz, ngx_chain_t *cl)
{
    size_t   n;
    u_char  *p;

    for ( /* void */ ; cl; cl = cl->next) {

        for (p = cl->buf->pos; p < cl->buf->last; p += n) {

            if (ngx_terminate || ngx_http_optcache_compress_end) {
                return NGX_ABORT;
            }

            n = ngx_min(cl->buf->last - p, NGX_HTTP_OPTCACHE_COMPRESS_PIECE);

            if (ngx_optcache_gzip_add(gz, p, n, 0) != NGX_OK) {
                return NGX_ERROR;
            }
        }
    }

    return ngx_optcache_gzip_add(gz, NULL, 0, 1);
}


static void
ngx_http_optcache_compress_done_handler(ngx_event_t *ev)
{
    ngx_http_optcache_compress_t *task = ev->data;

    ngx_queue_remove(&task->queue);
    ngx_http_optcache_compress_places--;

    if (ngx_queue_empty(&ngx_http_optcache_compress_tasks)
        && ngx_http_optcache_compress_timer.timer_set)
    {
        ngx_del_timer(&ngx_http_optcache_compress_timer);
    }

    /* what gains nothing is not worth its memory */

    if (task->gzip && task->gzip_len < task->entry.body_len) {
        ngx_http_optcache_compress_store(task);
    }

    ngx_destroy_pool(task->pool);
}


static void
ngx_http_optcache_compress_store(ngx_http_optcache_compress_t *task)
{
    ngx_int_t             rc;
    ngx_optcache_entry_t  e;

    e = task->entry;
    e.gzip = task->gzip;
    e.gzip_len = task->gzip_len;

    if (ngx_http_optcache_marks_renew(task->omcf, task->zone, &e)
        != NGX_OPTCACHE_LEDGER_VALID)
    {
        return;
    }

    rc = ngx_optcache_l1_replace(task->zone, &task->entry, &e);

    ngx_log_debug3(NGX_LOG_DEBUG_HTTP, ngx_cycle->log, 0,
                   "optcache store of gzip:%i body:%uz gzip:%uz",
                   rc, e.body_len, e.gzip_len);

    if (rc == NGX_OK && task->redis) {
        (void) ngx_http_optcache_store_l2(task->omcf, task->zone, task->pool,
                                          &e, 1);
    }
}


#else


ngx_int_t
ngx_http_optcache_compress_init(ngx_conf_t *cf,
    ngx_http_optcache_main_conf_t *omcf)
{
    return NGX_OK;
}


void
ngx_http_optcache_compress_exit_process(void)
{
}


ngx_uint_t
ngx_http_optcache_compress_reserve(ngx_http_request_t *r,
    ngx_http_optcache_capture_t *cap, off_t size, off_t limit)
{
    return 0;
}


void
ngx_http_optcache_compress_release(ngx_http_optcache_capture_t *cap)
{
}


void
ngx_http_optcache_compress_start(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx)
{
}


#endif
