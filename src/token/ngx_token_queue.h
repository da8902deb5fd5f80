
/*
 * Copyright (C) The Optcache authors
 */


/*
 * Revocations that are to be written to PostgreSQL: those of all workers of
 * this host, in shared memory, until the worker that has the connection has
 * written them.  Bounded; a key is in it once.
 *
 * All its memory is taken once, when the zone is made: equal places, of which
 * those that are free are never touched.  A place is in use while its "number"
 * is not 0, which is written last of a key that is new, and first of one that
 * changes or leaves.  There are no links: wherever a worker is killed, each key
 * is there as before or after the change, and at the worst is written to the
 * table once more.  "n" may be too high then, until the next one looks.
 *
 * Locks: the mutex of the zone's slab pool, never together with another.
 */


#ifndef _NGX_TOKEN_QUEUE_H_INCLUDED_
#define _NGX_TOKEN_QUEUE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#define NGX_TOKEN_QUEUE_MAX  4096    /* keys */
#define NGX_TOKEN_QUEUE_KEY  1024    /* bytes of one */


typedef struct {
    ngx_uint_t                number;    /* of its last change; 0: free */
    ngx_uint_t                order;     /* the least one is the first */
    uint64_t                  until;
    uint64_t                  since;
    uint64_t                  due;       /* 0: it was not put off */
    ngx_uint_t                stored;    /* of the queue, when it was tried */
    uint32_t                  tried;
    uint32_t                  wrong;
    uint32_t                  hash;
    uint32_t                  len;
} ngx_token_queue_place_t;


/* in shared memory, zeroed at first */

typedef struct {
    ngx_token_queue_place_t  *places;
    u_char                   *keys;      /* of all places */
    ngx_atomic_t              n;         /* may be read without the lock */
    ngx_uint_t                top;       /* all places behind it are free */
    ngx_uint_t                number;    /* of the last change */
    ngx_uint_t                stored;    /* keys, ever */
} ngx_token_queue_t;


/* The first of a queue that is due, copied. */

typedef struct {
    u_char                    key[NGX_TOKEN_QUEUE_KEY];
    size_t                    len;
    uint64_t                  until;     /* ms of ngx_limiter_local_now() */
    uint64_t                  since;     /* s since the epoch, or 0 */
    ngx_uint_t                place;
    ngx_uint_t                number;
    ngx_uint_t                tried;     /* and refused */
    ngx_uint_t                wrong;     /* times others were stored after it
                                            was refused */
} ngx_token_queue_item_t;


/*
 * Takes the memory of the places from the pool, once.  NGX_ERROR if it has not
 * as much.
 */

ngx_int_t ngx_token_queue_init(ngx_token_queue_t *queue,
    ngx_slab_pool_t *shpool);

/*
 * Appends a key, or lets one that is there last longer, and of two times the
 * later one.  NGX_OK; NGX_DECLINED if it is too long, or has a NUL; NGX_BUSY if
 * there is no room.
 */

ngx_int_t ngx_token_queue_push(ngx_token_queue_t *queue,
    ngx_slab_pool_t *shpool, ngx_str_t *key, uint64_t until, uint64_t since);

/* Copies the first that is due: NGX_OK, or NGX_DECLINED if there is none. */

ngx_int_t ngx_token_queue_peek(ngx_token_queue_t *queue,
    ngx_slab_pool_t *shpool, uint64_t now, ngx_token_queue_item_t *item);

/* Removes it, if it has not changed. */

void ngx_token_queue_done(ngx_token_queue_t *queue, ngx_slab_pool_t *shpool,
    ngx_token_queue_item_t *item);

/*
 * Puts it behind the others, if it has not changed, to be due then; "tried": it
 * was refused.
 */

void ngx_token_queue_later(ngx_token_queue_t *queue, ngx_slab_pool_t *shpool,
    ngx_token_queue_item_t *item, uint64_t due, ngx_uint_t tried);

/* All that were refused are due. */

void ngx_token_queue_again(ngx_token_queue_t *queue, ngx_slab_pool_t *shpool);


#endif /* _NGX_TOKEN_QUEUE_H_INCLUDED_ */
