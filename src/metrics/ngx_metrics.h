
/*
 * Copyright (C) The Optcache authors
 */


/*
 * Counters of a host: what all its workers have counted since nginx was
 * started, in shared memory, over reloads and whoever was killed.
 *
 * A worker counts in a slot of its own, by a plain addition: no lock, no
 * atomic instruction, no cache line that another worker writes to.  Who reads
 * sums the slots.  A slot outlives its worker, with what is in it, and is the
 * next worker's: sums never go down.
 *
 * Counters come in blocks, one for each thing of the configuration that is
 * counted: a zone, a server.  A block is found again by its name after a
 * reload; those of names that are gone stay, unread.  Nothing here grows with
 * what a client sends.
 *
 * 64-bit words are read while they are written: on a 32-bit machine a sum may
 * be off for the moment of a carry.
 */


#ifndef _NGX_METRICS_H_INCLUDED_
#define _NGX_METRICS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* counters of one block */
#define NGX_METRICS_MAX        64

/* of a name; of what is longer the end becomes a hash of all of it */
#define NGX_METRICS_NAME       64

/* workers at a time, those included that a reload lets finish */
#define NGX_METRICS_SLOTS      128


typedef struct ngx_metrics_s         ngx_metrics_t;
typedef struct ngx_metrics_shctx_s   ngx_metrics_shctx_t;
typedef struct ngx_metrics_shared_s  ngx_metrics_shared_t;


typedef struct {
    uint64_t              *own;      /* this worker's, never NULL */
    ngx_uint_t             n;        /* how many counters */
    ngx_str_t              name;
    ngx_metrics_shared_t  *shared;   /* NULL: there was no room */
} ngx_metrics_block_t;


struct ngx_metrics_s {
    ngx_array_t            blocks;   /* ngx_metrics_block_t * */
    ngx_slab_pool_t       *shpool;
    ngx_metrics_shctx_t   *sh;
    ngx_int_t              slot;     /* of this worker, -1: none */
};


/*
 * The counters of a module, in a shared zone "name", to be called once while
 * the configuration is read.  NULL when out of memory.
 */

ngx_metrics_t *ngx_metrics_create(ngx_conf_t *cf, ngx_str_t *name, void *tag);

/*
 * A block of "n" counters, at most NGX_METRICS_MAX, while the configuration is
 * read; that of the same name and number if there was one before.  The name is
 * not copied.  It can be counted in at once: before _start(), and where there
 * is no room, what is counted is not summed.  NULL when out of memory.
 */

ngx_metrics_block_t *ngx_metrics_add(ngx_conf_t *cf, ngx_metrics_t *metrics,
    ngx_str_t *name, ngx_uint_t n);

/*
 * Gives this process a slot, in init_process, and gives it back, in
 * exit_process.  With no slot left it is logged, and nothing is summed.
 */

void ngx_metrics_start(ngx_metrics_t *metrics, ngx_log_t *log);
void ngx_metrics_stop(ngx_metrics_t *metrics);

/* Counts, in a worker: the counter "i" of a block, by one or by "k". */

#define ngx_metrics_count(block, i)    ((block)->own[i]++)
#define ngx_metrics_add_to(block, i, k)  ((block)->own[i] += (k))

/* What all workers have counted; 0 where there was no room. */

uint64_t ngx_metrics_sum(ngx_metrics_block_t *block, ngx_uint_t i);


#endif /* _NGX_METRICS_H_INCLUDED_ */
