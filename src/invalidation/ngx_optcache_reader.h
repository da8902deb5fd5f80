
/*
 * Copyright (C) The Optcache authors
 */


/*
 * Reads the stream of invalidations, in one worker of this host for all.
 * Redis tells when its key has changed (ngx_redis_tracker.h); then what is
 * behind the last event read is asked for, until there is no more.  It is asked
 * for once a second besides, also when Redis cannot tell of changes.
 *
 * The last event that was read must still be in the stream, each time it is
 * asked: then nothing was lost.  If it is not, as the stream was trimmed or is
 * another one, L1 is no good any more, nor are L2 entries of before.
 *
 * A host that is new reads the stream from its begin, to know which L2 entries
 * are no good; of before its begin, none is.
 */


#ifndef _NGX_OPTCACHE_READER_H_INCLUDED_
#define _NGX_OPTCACHE_READER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_optcache_teller.h"
#include "ngx_redis_tracker.h"


typedef struct ngx_optcache_reader_s  ngx_optcache_reader_t;


/*
 * Begins in this worker (init_process): whoever becomes the keeper reads.
 * From cycle->pool; NULL when out of memory.
 */

ngx_optcache_reader_t *ngx_optcache_reader_create(ngx_cycle_t *cycle,
    ngx_optcache_teller_t *teller, ngx_redis_conf_t *conf);

/* Ends it (exit_process). */

void ngx_optcache_reader_close(ngx_optcache_reader_t *reader);

/*
 * Whether this host hears of invalidations now: the last sign of life is not
 * older than NGX_REDIS_TRACKING_TRUST, and all that was in the stream then has
 * been read.  Until the stream has been read once, no L2 entry is any good.
 */

ngx_uint_t ngx_optcache_reader_trusted(ngx_optcache_ledger_t *ledger);

/*
 * Whether it has not heard of them for a second, or never has: what operators
 * are to know.  Shorter is a Redis or a host that was busy, or a reload.
 */

ngx_uint_t ngx_optcache_reader_cut(ngx_optcache_ledger_t *ledger);


#endif /* _NGX_OPTCACHE_READER_H_INCLUDED_ */
