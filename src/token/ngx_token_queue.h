
/*
 * Copyright (C) The Optcache authors
 */


/*
 * Revocations that are to be written to PostgreSQL: those of all workers of
 * this host, in shared memory, until the worker that has the connection has
 * written them.  Bounded; a key is in it once.
 *
 * Locks: the mutex of the zone's slab pool, never together with another.
 */


#ifndef _NGX_TOKEN_QUEUE_H_INCLUDED_
#define _NGX_TOKEN_QUEUE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#define NGX_TOKEN_QUEUE_MAX      4096    /* keys */
#define NGX_TOKEN_QUEUE_KEY      1024    /* bytes of one */
#define NGX_TOKEN_QUEUE_BUCKETS  1024


typedef struct ngx_token_queue_node_s  ngx_token_queue_node_t;

/* in shared memory, zeroed at first */

typedef struct {
    ngx_token_queue_node_t   *first;
    ngx_token_queue_node_t   *last;
    ngx_token_queue_node_t   *buckets[NGX_TOKEN_QUEUE_BUCKETS];
    ngx_atomic_t              n;         /* may be read without the lock */
    ngx_uint_t                number;    /* of the last change */
    ngx_uint_t                stored;    /* keys, ever */
} ngx_token_queue_t;


/* The first of a queue that is due, copied. */

typedef struct {
    u_char                    key[NGX_TOKEN_QUEUE_KEY];
    size_t                    len;
    uint64_t                  until;     /* ms of ngx_limiter_local_now() */
    uint64_t                  since;     /* s since the epoch, or 0 */
    ngx_uint_t                number;
    ngx_uint_t                tried;     /* and refused */
    ngx_uint_t                wrong;     /* times others were stored after it
                                            was refused */
} ngx_token_queue_item_t;


/*
 * Appends a key, or lets one that is there last longer, and of two times the
 * later one.  NGX_OK; NGX_DECLINED if it is too long, or has a NUL; NGX_BUSY if
 * there is no room.
 */

ngx_int_t ngx_token_queue_push(ngx_token_queue_t *queue,
    ngx_slab_pool_t *shpool, ngx_str_t *key, uint64_t until, uint64_t since);

/*
 * Copies the first that is due, and lets it be the first of all: NGX_OK, or
 * NGX_DECLINED if there is none.
 */

ngx_int_t ngx_token_queue_peek(ngx_token_queue_t *queue,
    ngx_slab_pool_t *shpool, uint64_t now, ngx_token_queue_item_t *item);

/* Removes it, if it is still the first and has not changed. */

void ngx_token_queue_done(ngx_token_queue_t *queue, ngx_slab_pool_t *shpool,
    ngx_token_queue_item_t *item);

/* Puts it behind the others, to be due then; "tried": it was refused. */

void ngx_token_queue_later(ngx_token_queue_t *queue, ngx_slab_pool_t *shpool,
    ngx_token_queue_item_t *item, uint64_t due, ngx_uint_t tried);

/* All that were refused are due. */

void ngx_token_queue_again(ngx_token_queue_t *queue, ngx_slab_pool_t *shpool);


#endif /* _NGX_TOKEN_QUEUE_H_INCLUDED_ */
