
/*
 * Copyright (C) The Optcache authors
 */


/*
 * The inside of the first level: what lies in shared memory, and the steps
 * that are taken under its mutex.  Only ngx_optcache_l1*.c include it.
 *
 * The mutex is the one of the slab pool, which the master process unlocks
 * when a worker dies holding it.  "busy" is set as long as it is held, so the
 * next one to take it sees that a change was left half done.  The zone is
 * then "broken": nothing in it is believed, nothing is read or freed, until
 * no living worker has a pin in it any more; then it is emptied.
 */


#ifndef _NGX_OPTCACHE_L1_SHM_H_INCLUDED_
#define _NGX_OPTCACHE_L1_SHM_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_optcache_l1.h"


/* living workers of all generations that can share a zone */

#define NGX_OPTCACHE_L1_SLOTS    256

#define NGX_OPTCACHE_L1_MAGIC    0x4c31434f         /* "OCL1" */
#define NGX_OPTCACHE_L1_VERSION  1


typedef struct ngx_optcache_l1_piece_s  ngx_optcache_l1_piece_t;

struct ngx_optcache_l1_piece_s {
    ngx_optcache_l1_piece_t  *next;
    size_t                    size;           /* of data */
    u_char                    data[];
};


typedef struct {
    ngx_rbtree_node_t         tree;           /* must be first; key: hash */
    ngx_queue_t               queue;          /* LRU, newest first */

    ngx_optcache_l1_piece_t  *body;
    ngx_optcache_l1_piece_t  *gzip;
    u_char                   *head;

    time_t                    date;
    time_t                    last_modified;
    uint32_t                  age;
    uint32_t                  lifetime;
    uint32_t                  head_len;
    uint32_t                  body_len;
    uint32_t                  gzip_len;
    uint32_t                  refs;           /* pins */
    uint32_t                  key_len;
    uint16_t                  status;
    uint16_t                  linked;         /* in the tree and the queue */
    u_char                    key[];
} ngx_optcache_l1_node_t;


/* one pin of one worker */

typedef struct {
    ngx_queue_t               queue;
    ngx_optcache_l1_node_t   *node;
} ngx_optcache_l1_pin_t;


struct ngx_optcache_l1_slot_s {
    ngx_pid_t                 pid;            /* 0: free */
    ngx_uint_t                npins;
    ngx_queue_t               pins;
};


/* all of it is protected by the mutex of the slab pool */

struct ngx_optcache_l1_shctx_s {
    uint32_t                  magic;
    uint32_t                  version;
    uint64_t                  seed;           /* keys the hash */
    ngx_atomic_t              busy;
    ngx_uint_t                broken;

    ngx_rbtree_t              rbtree;
    ngx_rbtree_node_t         sentinel;
    ngx_queue_t               queue;

    ngx_optcache_l1_slot_t    slots[NGX_OPTCACHE_L1_SLOTS];
};


/*
 * Takes the mutex.  NGX_DECLINED, without it, when the zone is broken and
 * cannot be emptied yet.
 */

ngx_int_t ngx_optcache_l1_lock(ngx_optcache_l1_t *l1);
void ngx_optcache_l1_unlock(ngx_optcache_l1_t *l1);

/*
 * Pins a node for this worker; NULL when there is no memory.  Giving back the
 * last pin of a node that is not linked frees it.
 */

ngx_optcache_l1_pin_t *ngx_optcache_l1_pin(ngx_optcache_l1_t *l1,
    ngx_optcache_l1_node_t *node);
void ngx_optcache_l1_unpin(ngx_optcache_l1_t *l1, ngx_optcache_l1_pin_t *pin);

/* Counts a pin as given back when the zone turned out to be broken. */

void ngx_optcache_l1_forget_pin(ngx_optcache_l1_t *l1);

/*
 * Puts a node into the tree and at the head of the queue, or takes it out; a
 * node that is taken out is freed now, or with its last pin.
 */

void ngx_optcache_l1_link(ngx_optcache_l1_t *l1, ngx_optcache_l1_node_t *node);
void ngx_optcache_l1_unlink(ngx_optcache_l1_t *l1,
    ngx_optcache_l1_node_t *node);

/*
 * Allocates memory; least recently used entries leave until it succeeds.
 * NULL when nothing is left that could leave.
 */

void *ngx_optcache_l1_alloc(ngx_optcache_l1_t *l1, size_t size);

/*
 * Allocates pieces for "size" bytes: large ones while the zone has room in
 * one run, down to a page each, so that a zone cut into small holes still
 * takes a large body.  On NGX_ERROR the list holds what was allocated.
 */

ngx_int_t ngx_optcache_l1_alloc_pieces(ngx_optcache_l1_t *l1,
    ngx_optcache_l1_piece_t **list, size_t size);


#endif /* _NGX_OPTCACHE_L1_SHM_H_INCLUDED_ */
