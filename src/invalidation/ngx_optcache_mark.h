
/*
 * Copyright (C) The Optcache authors
 */


/*
 * What an invalidation is about, as a number: everything, a host, a URI, a
 * user, a tag, whatever begins with a prefix.  An entry has the same numbers;
 * where one is invalidated, the entry is.  Numbers are the same on all hosts.
 * Two things of one number are invalidated together, which costs a miss and
 * nothing else: who is who is never told by them.
 */


#ifndef _NGX_OPTCACHE_MARK_H_INCLUDED_
#define _NGX_OPTCACHE_MARK_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* a longer prefix is refused */
#define NGX_OPTCACHE_MARK_PREFIX_MAX  4095

/* tags of one entry; one with more is not stored (RFC 9875, 2: at least 32) */
#define NGX_OPTCACHE_MARK_TAGS        256


/*
 * What a mark is of: its highest byte, with NGX_OPTCACHE_MARK_SOFT.  A change
 * of the numbers, or of how marks are made, is one that all hosts must take
 * part in.
 */

typedef enum {
    NGX_OPTCACHE_MARK_ALL = 1,
    NGX_OPTCACHE_MARK_HOST,
    NGX_OPTCACHE_MARK_USER,
    NGX_OPTCACHE_MARK_URI,
    NGX_OPTCACHE_MARK_URI_HOST,
    NGX_OPTCACHE_MARK_URI_USER,
    NGX_OPTCACHE_MARK_URI_HOST_USER,
    NGX_OPTCACHE_MARK_TAG,
    NGX_OPTCACHE_MARK_TAG_HOST,
    NGX_OPTCACHE_MARK_PREFIX,
    NGX_OPTCACHE_MARK_PREFIX_HOST
} ngx_optcache_mark_e;

#define NGX_OPTCACHE_MARK_KINDS  (NGX_OPTCACHE_MARK_PREFIX_HOST + 1)
#define NGX_OPTCACHE_MARK_SOFT   0x80

#define ngx_optcache_mark_kind(mark)                                          \
    ((ngx_uint_t) ((mark) >> 56) & (NGX_OPTCACHE_MARK_SOFT - 1))
#define ngx_optcache_mark_soft(mark)                                          \
    ((ngx_uint_t) ((mark) >> 63))


/* what an entry is of; a number of 0: none of it, it matches nothing */

typedef struct {
    uint32_t                  host;
    uint32_t                  uri;       /* with its arguments, as requested */
} ngx_optcache_origin_t;


typedef struct {
    ngx_optcache_origin_t     origin;
    uint64_t                  user;      /* 0: the shared partition */
    uint64_t                 *tags;
    ngx_uint_t                ntags;

    /*
     * The URI that origin.uri is of, to be compared with prefixes; not known
     * if data is NULL: then any prefix may be one of it.
     */
    ngx_str_t                 path;
} ngx_optcache_marks_t;


/*
 * One invalidation.  Made by ngx_optcache_mark_event(), or read from the
 * stream; "mark" alone says what is meant.
 */

typedef struct {
    uint64_t                  mark;
    uint32_t                  prefix;    /* length of one, or 0: is none */
    unsigned                  soft:1;    /* stale from now on, but there */
} ngx_optcache_event_t;


/*
 * What is to be invalidated.  One of all, tag, prefix, uri, user or host is
 * set; "host" narrows tag, prefix and uri, "user" narrows uri.
 */

typedef struct {
    ngx_str_t                 host;      /* lowercase, as $host is */
    ngx_str_t                 uri;
    ngx_str_t                 tag;
    ngx_str_t                 prefix;
    uint64_t                  user;      /* ngx_optcache_mark_user(), or 0 */
    unsigned                  all:1;
    unsigned                  soft:1;
} ngx_optcache_target_t;


/* Numbers, never 0: of a host (lowercase), of a URI, and of a tag. */

uint32_t ngx_optcache_mark_host(ngx_str_t *host);
uint32_t ngx_optcache_mark_uri(ngx_str_t *uri);
uint64_t ngx_optcache_mark_tag(ngx_str_t *tag);

/* The number of a user by the SHA-256 of optcache_user's value, 32 bytes. */

uint64_t ngx_optcache_mark_user(const u_char *digest);

/* The number of everything, of what is invalidated by a soft event or not. */

uint64_t ngx_optcache_mark_all(ngx_uint_t soft);

/* ... of all of a host, of a user. */

uint64_t ngx_optcache_mark_of_host(uint32_t host, ngx_uint_t soft);
uint64_t ngx_optcache_mark_of_user(uint64_t user, ngx_uint_t soft);

/* ... of a URI; host and user may be 0: of any. */

uint64_t ngx_optcache_mark_of_uri(uint32_t uri, uint32_t host, uint64_t user,
    ngx_uint_t soft);

/* ... of a tag, of what begins with a prefix; host may be 0: of any. */

uint64_t ngx_optcache_mark_of_tag(uint64_t tag, uint32_t host,
    ngx_uint_t soft);
uint64_t ngx_optcache_mark_of_prefix(ngx_str_t *prefix, uint32_t host,
    ngx_uint_t soft);

/*
 * Makes the event of a mark that somebody else has made, and of the length of
 * its prefix, or 0.  NGX_DECLINED: there is no such mark.
 */

ngx_int_t ngx_optcache_mark_read(uint64_t mark, uint32_t prefix,
    ngx_optcache_event_t *event);

/*
 * Makes the event of a target.  NGX_DECLINED: the prefix is longer than
 * NGX_OPTCACHE_MARK_PREFIX_MAX, or there is nothing, or more than one thing,
 * to be invalidated.
 */

ngx_int_t ngx_optcache_mark_event(ngx_optcache_target_t *target,
    ngx_optcache_event_t *event);


#endif /* _NGX_OPTCACHE_MARK_H_INCLUDED_ */
