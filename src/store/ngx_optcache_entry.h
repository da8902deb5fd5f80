
/*
 * Copyright (C) The Optcache authors
 */


/*
 * A stored response: in memory as ngx_optcache_entry_t, in Redis as bytes.
 *
 * The bytes in Redis, version 4, numbers little-endian:
 *
 *      0   4  "OPC4"
 *      4   4  low bits of XXH64 of all that follows
 *      8   4  status
 *     12   4  age when it was received, seconds
 *     16   4  freshness lifetime, seconds
 *     20   8  when it was received, epoch seconds
 *     28   8  Last-Modified, epoch seconds, or -1
 *     36   4  how long it may be used at most when it is stale, seconds
 *     40   4  stale-while-revalidate, seconds
 *     44   4  stale-if-error, seconds
 *     48   8  position in the stream of invalidations when it was asked for
 *     56   4  number of its host
 *     60   4  number of its URI
 *     64   4  length of the identity
 *     68   4  length of the head
 *     72   4  length of the body
 *     76   4  length of the body in gzip, 0: not kept
 *     80   4  number of tags
 *     84      identity, tags of 8 bytes each, head, body, body in gzip
 *
 * An entry of status 0 is no response, but says what the responses depend on
 * that are stored for its identity (RFC 9111, 4.1): its only field is Vary, its
 * body are the bytes of a number that is another one for each such entry.
 */


#ifndef _NGX_OPTCACHE_ENTRY_H_INCLUDED_
#define _NGX_OPTCACHE_ENTRY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_optcache_field.h"
#include "ngx_optcache_ledger.h"


#define NGX_OPTCACHE_ENTRY_HEADER  84

/* the number of an entry of status 0 */
#define NGX_OPTCACHE_ENTRY_NUMBER  8

/* the end of 9999: ngx_http_time() writes a year of more digits all the same */
#define NGX_OPTCACHE_TIME_MAX      253402300799


typedef struct {
    ngx_str_t                 key;            /* the identity */
    ngx_str_t                 head;

    ngx_chain_t              *body;
    ngx_chain_t              *gzip;
    size_t                    body_len;
    size_t                    gzip_len;       /* 0: not kept */

    ngx_uint_t                status;
    time_t                    date;           /* when received, epoch s */
    time_t                    last_modified;  /* epoch seconds, or -1 */
    uint32_t                  age;            /* seconds, when received */
    uint32_t                  lifetime;       /* seconds */

    /* seconds from the end of its lifetime, 0: never used when stale */

    uint32_t                  max_stale;
    uint32_t                  stale_while_revalidate;
    uint32_t                  stale_if_error;

    /* what it is of, and which invalidations it is to be compared with */

    ngx_optcache_origin_t     origin;
    uint64_t                 *tags;
    ngx_uint_t                ntags;          /* NGX_OPTCACHE_MARK_TAGS */
    ngx_optcache_moment_t     moment;         /* later than these; the position
                                                 is not kept in L1 */
    uint64_t                 *compared;       /* moment.clock in L1, or NULL */

    unsigned                  untouched:1;    /* no filter behind the cache
                                                 changes its body; in L1 only,
                                                 0: some do, or nobody knows */
} ngx_optcache_entry_t;


typedef enum {
    NGX_OPTCACHE_ENTRY_FOREIGN = 0,  /* nothing of ours */
    NGX_OPTCACHE_ENTRY_VERSION,      /* of another version */
    NGX_OPTCACHE_ENTRY_TRUNCATED,    /* shorter than it says */
    NGX_OPTCACHE_ENTRY_CORRUPT,      /* longer, or its checksum is wrong */
    NGX_OPTCACHE_ENTRY_KEY,          /* of another identity */
    NGX_OPTCACHE_ENTRY_HOSTILE       /* whole, and yet nothing that we write */
} ngx_optcache_entry_bad_e;


/*
 * Whether an entry is dated more than a few seconds after "now": by a clock that
 * was ahead, and may have been so by any time.  It is not known how old it is.
 */

ngx_uint_t ngx_optcache_entry_ahead(ngx_optcache_entry_t *e, time_t now);

/*
 * Age of an entry at "now" in seconds (RFC 9111, 4.2.3: current_age); of one
 * that is dated ahead it is its lifetime at least.
 */

int64_t ngx_optcache_entry_age(ngx_optcache_entry_t *e, time_t now);

/* Whether an entry is fresh at "now" (RFC 9111, 4.2). */

ngx_uint_t ngx_optcache_entry_fresh(ngx_optcache_entry_t *e, time_t now);

/* For how many seconds an entry has been stale at "now"; 0 when it is fresh. */

int64_t ngx_optcache_entry_staleness(ngx_optcache_entry_t *e, time_t now);

/*
 * Finds the first field of this id, NGX_OPTCACHE_FIELD_OTHER excepted.
 * NGX_OK or NGX_DECLINED.
 */

ngx_int_t ngx_optcache_entry_field(ngx_optcache_entry_t *e,
    ngx_optcache_field_e id, ngx_optcache_field_t *field);

/* Whether it is a 2xx and has an ETag or a Last-Modified (RFC 9110, 8.8). */

ngx_uint_t ngx_optcache_entry_validator(ngx_optcache_entry_t *e);

/*
 * For how many seconds from "now" on there is any use for an entry: while it
 * is fresh, may be used stale, or can be validated.
 */

int64_t ngx_optcache_entry_use(ngx_optcache_entry_t *e, time_t now);

/*
 * Makes an entry one whose freshness has ended at "now"; one that may be used
 * stale may be so, while it is updated, until it would have ended, too.  What
 * is not fresh stays as it is.
 */

void ngx_optcache_entry_soften(ngx_optcache_entry_t *e, time_t now);

/* The bytes of an encoded entry. */

size_t ngx_optcache_entry_size(ngx_optcache_entry_t *e);

/*
 * Encodes an entry into one piece of memory from "pool"; NGX_ERROR when out of
 * memory.
 */

ngx_int_t ngx_optcache_entry_encode(ngx_pool_t *pool, ngx_optcache_entry_t *e,
    ngx_str_t *value);

/*
 * Decodes what Redis gave, which may be anything: a value of another version,
 * cut short, changed, with header fields that are no header fields
 * (RFC 9110, 5.1 and 5.5), or of another key than "key" is declined.  One from
 * the future is taken as received "now", and is stale if that is more than a
 * few seconds ahead.  The entry points into "value"; its chains and its tags are
 * from "pool".
 *
 * Returns NGX_OK, NGX_DECLINED or, when out of memory, NGX_ERROR.
 */

ngx_int_t ngx_optcache_entry_decode(ngx_pool_t *pool, ngx_str_t *value,
    ngx_str_t *key, time_t now, ngx_optcache_entry_t *e);

/*
 * Why a value was declined, which is looked at once more; pure.  It counts
 * what is found first, in the order of ngx_optcache_entry_bad_e.
 */

ngx_optcache_entry_bad_e ngx_optcache_entry_bad(ngx_str_t *value,
    ngx_str_t *key);


#endif /* _NGX_OPTCACHE_ENTRY_H_INCLUDED_ */
