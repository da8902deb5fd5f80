
/*
 * Copyright (C) The Optcache authors
 */


/*
 * An event as it stands in the stream: field names and values, as of XADD.
 *
 *     mark <16 hex digits> [len <n>] [soft 1]      of another host
 *     hello <anything>                             says nothing
 *     tag <tag> [host <host>] [soft 1]             of any application
 *     uri </path?arguments> [host <host>] [user <sha256 of it, hex>] [soft 1]
 *     user <sha256 in hex> [soft 1]
 *     prefix </path> [host <host>] [soft 1]
 *     host <host> [soft 1]
 *     all 1 [soft 1]
 *
 * Several of one kind ("tag a tag b") are several invalidations.
 */


#ifndef _NGX_OPTCACHE_EVENT_H_INCLUDED_
#define _NGX_OPTCACHE_EVENT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_optcache_ledger.h"
#include "ngx_optcache_mark.h"


/* invalidations of one event; more are refused */
#define NGX_OPTCACHE_EVENT_MAX  64


/*
 * Reads the fields of an event, "n" strings, names and values by turns.
 * Returns the number of invalidations written to "events" (room for
 * NGX_OPTCACHE_EVENT_MAX), 0 for a hello, or NGX_DECLINED if it is not
 * understood: all that are not known are errors, as what they mean is not.
 */

ngx_int_t ngx_optcache_event_read(ngx_str_t *fields, ngx_uint_t n,
    ngx_optcache_event_t *events);

/* Reads "ms-number"; NGX_DECLINED if it is not. */

ngx_int_t ngx_optcache_event_id(ngx_str_t *text, ngx_optcache_ledger_id_t *id);

/* 16 hex digits of a mark, as of XADD; returns the end. */

u_char *ngx_optcache_event_mark(u_char *p, uint64_t mark);


#endif /* _NGX_OPTCACHE_EVENT_H_INCLUDED_ */
