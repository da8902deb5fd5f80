
/*
 * Copyright (C) The Optcache authors
 */


/*
 * An event as it stands in the stream: field names and values, as of XADD.
 *
 *     mark <16 hex digits> [len <n>] [soft 1] [from <16 hex digits>]
 *     hello <anything>                             says nothing
 *     tag <tag> [host <host>] [soft 1]             of any application
 *     uri </path?arguments> [host <host>] [user <sha256 of it, hex>] [soft 1]
 *     user <sha256 in hex> [soft 1]
 *     prefix </path> [host <host>] [soft 1]
 *     host <host> [soft 1]
 *     all 1 [soft 1]
 *
 * The first two are of hosts: "from" is the one that has it in force already,
 * see ngx_optcache_ledger_stream_t.  Fields may be in any order.  Several of
 * one kind ("tag a tag b") are several invalidations; of "host", "user" and
 * "soft" that narrow others, of "mark" and of "all" there is one.  "soft 0" is
 * as if it was not there.  A "*" at the end of a prefix is not a part of it.
 *
 * Whatever is different is refused as a whole: it may be a mistake of an
 * application, which must neither empty all caches nor be taken for another
 * thing than it means.
 */


#ifndef _NGX_OPTCACHE_EVENT_H_INCLUDED_
#define _NGX_OPTCACHE_EVENT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_optcache_ledger.h"
#include "ngx_optcache_mark.h"


/* invalidations of one event; more are refused */
#define NGX_OPTCACHE_EVENT_MAX     64

/* strings of one, at most: names, values, and what narrows them */
#define NGX_OPTCACHE_EVENT_FIELDS  (2 * (NGX_OPTCACHE_EVENT_MAX + 3))

/* bytes of an id as text, and of a number in hex */
#define NGX_OPTCACHE_EVENT_ID      (2 * NGX_INT64_LEN + 1)
#define NGX_OPTCACHE_EVENT_HEX     16


typedef struct {
    ngx_optcache_event_t      events[NGX_OPTCACHE_EVENT_MAX];
    ngx_uint_t                n;         /* 0: a hello */
    uint64_t                  from;      /* a host, or 0 */
} ngx_optcache_event_fields_t;


/*
 * Reads the fields of an event, "n" strings, names and values by turns.  NGX_OK
 * and what it says, or NGX_DECLINED if it is not understood: all fields that
 * are not known are errors, as what they mean is not.
 */

ngx_int_t ngx_optcache_event_read(ngx_str_t *fields, ngx_uint_t n,
    ngx_optcache_event_fields_t *ef);

/* Reads "ms-number"; NGX_DECLINED if it is not. */

ngx_int_t ngx_optcache_event_id(ngx_str_t *text, ngx_optcache_ledger_id_t *id);

/*
 * Writes it, or 16 hex digits of a mark or a host, without a zero; returns the
 * end.
 */

u_char *ngx_optcache_event_id_text(u_char *p, ngx_optcache_ledger_id_t *id);
u_char *ngx_optcache_event_hex(u_char *p, uint64_t number);


#endif /* _NGX_OPTCACHE_EVENT_H_INCLUDED_ */
