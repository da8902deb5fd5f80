
/*
 * Copyright (C) The Optcache authors
 */


/*
 * What the steps of a cached request share: configuration and context.
 *
 *     ngx_http_optcache_handler    before the content handler
 *     ngx_http_optcache_filter     behind it
 *     ngx_http_optcache_lookup     key, L1, L2: do we hold an answer?
 *     ngx_http_optcache_vary       which answers there are for one key
 *     ngx_http_optcache_marks      was it invalidated since?
 *     ngx_http_optcache_search     which queries are one key
 *     ngx_http_optcache_lock       does somebody ask for one already?
 *     ngx_http_optcache_lease      the same, of all hosts
 *     ngx_http_optcache_send       an entry becomes the response
 *     ngx_http_optcache_since      unless it is not modified since a date
 *     ngx_http_optcache_fetch      upstream is asked, by our validators
 *     ngx_http_optcache_interim    what comes before the response
 *     ngx_http_optcache_stale      what may be used though it is stale
 *     ngx_http_optcache_freshen    a 304 makes an entry fresh again
 *     ngx_http_optcache_capture    the response becomes an entry
 *     ngx_http_optcache_whole      if it has come to its end
 *     ngx_http_optcache_compress   the gzip form of a large one, by a thread
 *     ngx_http_optcache_store      both levels are written
 *     ngx_http_optcache_count      what is counted of all this
 *     ngx_http_optcache_tags       by which it can be invalidated
 *     ngx_http_optcache_tell       what an unsafe request has changed
 *     ngx_http_optcache_purge      a request that invalidates
 *     ngx_http_optcache_api        what is told of all this, and how to purge
 *
 * The first two call all the others.
 */


#ifndef _NGX_HTTP_OPTCACHE_H_INCLUDED_
#define _NGX_HTTP_OPTCACHE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_line.h"
#include "ngx_pgsql_conf.h"
#include "ngx_metrics.h"
#include "ngx_rare.h"
#include "ngx_redis_client.h"
#include "ngx_optcache_entry.h"
#include "ngx_optcache_gzip.h"
#include "ngx_optcache_key.h"
#include "ngx_optcache_l1.h"
#include "ngx_optcache_ledger.h"
#include "ngx_optcache_reader.h"
#include "ngx_optcache_teller.h"
#include "ngx_optcache_watch.h"
#include "ngx_http_captures.h"
#include "ngx_http_optcache_value.h"
#include "ngx_http_rfc9111_control.h"


/* of one body; Redis takes no value of more than 512m */
#define NGX_HTTP_OPTCACHE_MAX_SIZE     (256 * 1024 * 1024)

/*
 * What Redis is asked for at once, among other commands.  A value that has as
 * many bytes may have more, and is asked for where nobody waits behind it.
 */
#define NGX_HTTP_OPTCACHE_LARGE        65536
#define NGX_HTTP_OPTCACHE_LARGE_LAST   "65535"  /* its last byte */

/* optcache_headers: X-Cache, Cache-Status */
#define NGX_HTTP_OPTCACHE_HEADERS_OFF   0
#define NGX_HTTP_OPTCACHE_HEADERS_X     1
#define NGX_HTTP_OPTCACHE_HEADERS_IETF  2
#define NGX_HTTP_OPTCACHE_HEADERS_ALL   3

/* optcache_set_cookie: what becomes of a response that sets a cookie */
#define NGX_HTTP_OPTCACHE_COOKIE_REFUSE  0
#define NGX_HTTP_OPTCACHE_COOKIE_STRIP   1
#define NGX_HTTP_OPTCACHE_COOKIE_KEEP    2

/* optcache_ignore: fields of a response that say nothing to the cache */
#define NGX_HTTP_OPTCACHE_IGNORE_UNSET          0x01
#define NGX_HTTP_OPTCACHE_IGNORE_CACHE_CONTROL  0x02
#define NGX_HTTP_OPTCACHE_IGNORE_EXPIRES        0x04
#define NGX_HTTP_OPTCACHE_IGNORE_VARY           0x08


/* X-Cache and $optcache_status */

typedef enum {
    NGX_HTTP_OPTCACHE_NONE = 0,
    NGX_HTTP_OPTCACHE_HIT,
    NGX_HTTP_OPTCACHE_MISS,
    NGX_HTTP_OPTCACHE_EXPIRED,
    NGX_HTTP_OPTCACHE_BYPASS,
    NGX_HTTP_OPTCACHE_STALE,
    NGX_HTTP_OPTCACHE_UPDATING,
    NGX_HTTP_OPTCACHE_REVALIDATED
} ngx_http_optcache_status_e;


typedef enum {
    NGX_HTTP_OPTCACHE_L1 = 1,
    NGX_HTTP_OPTCACHE_L2
} ngx_http_optcache_layer_e;


typedef struct {
    ngx_array_t                  zones;       /* ngx_optcache_l1_t * */
    ngx_redis_conf_t            *redis;       /* NULL: no second level */
    ngx_redis_client_t          *client;      /* of this worker */
    ngx_optcache_watch_t        *watch;       /* of leases, or NULL */
    ngx_metrics_t               *metrics;     /* NULL: nothing to count */
    ngx_metrics_block_t         *counts;      /* of Redis, if metrics */
    ngx_pgsql_conf_t            *postgres;    /* NULL: no outbox is read */
    ngx_shm_zone_t              *postgres_zone;
    ngx_str_t                    prefix;
    ngx_optcache_ledger_t       *ledger;      /* NULL: there is no zone */
    ngx_optcache_teller_t       *teller;      /* of this worker, if ledger */
    ngx_optcache_reader_t       *reader;      /* of this worker, if redis */
    ngx_http_optcache_value_t    key;         /* the defaults */
    ngx_http_optcache_value_t    user;
    ngx_int_t                    until;       /* index of $token_exp, or -1 */
    ngx_int_t                    token;       /* $token_elsewhere, or -1 */
    size_t                       max_size;    /* the largest of all */
    ngx_array_t                  places;      /* ngx_http_place_t, to look at
                                                 when all is read */
#if (NGX_THREADS)
    ngx_thread_pool_t           *threads;     /* NULL: not used */
#endif
    unsigned                     warned:1;    /* of shared cookies */
    unsigned                     gzip:1;      /* some location stores it */
    unsigned                     leases:1;    /* some location takes them */
} ngx_http_optcache_main_conf_t;


typedef struct {
    ngx_http_line_t              line;        /* where its block begins */
    ngx_optcache_l1_t           *zone;        /* NULL: off */
    ngx_str_t                    zone_name;   /* data is NULL: not set */
    ngx_http_line_t              zone_line;   /* that names it */
    ngx_http_optcache_value_t   *key;         /* NULL: the default */
    ngx_http_optcache_value_t   *user;        /* NULL: $http_authorization */
    ngx_http_complex_value_t    *until;       /* NULL: $token_exp, if any */
    ngx_array_t                 *valid;       /* ngx_http_cache_valid_t */
    ngx_array_t                 *bypass;
    ngx_array_t                 *no_store;
    ngx_array_t                 *purge;       /* NULL: off */
    uint64_t                     never;       /* bypass that no_store has */
    ngx_uint_t                   methods;
    ngx_http_line_t              methods_line;  /* if they are its own */
    size_t                       max_size;
    ngx_uint_t                   headers;
    ngx_uint_t                   set_cookie;
    ngx_uint_t                   ignore;
    ngx_int_t                    min_uses;
    ngx_flag_t                   share_public;
    ngx_flag_t                   no_vary_search;
    ngx_flag_t                   close_delimited;
    ngx_uint_t                   use_stale;   /* a mask */
    ngx_flag_t                   revalidate;
    ngx_flag_t                   invalidate_on_write;
    ngx_array_t                 *tags;        /* ngx_http_complex_value_t */
    ngx_flag_t                   redis;       /* the second level is used */

    ngx_flag_t                   lock;
    ngx_msec_t                   lock_timeout;

    ngx_flag_t                   gzip;
    ngx_int_t                    gzip_level;
    size_t                       gzip_min_length;
    ngx_hash_t                   gzip_types;
    ngx_array_t                 *gzip_types_keys;

    ngx_uint_t                   api;
    ngx_uint_t                   api_degraded;  /* the status of /health */
    ngx_str_t                    api_ratelimit; /* of the other API, or empty */
    ngx_str_t                    api_policy;    /* of the page */
    ngx_uint_t                   own;         /* answered by these modules */
    ngx_str_t                    location;    /* of what a URI does not show,
                                                 or empty */
    ngx_uint_t                   tries;       /* there is a try_files */
    ngx_uint_t                   adds;        /* ... or an add_after_body */
} ngx_http_optcache_loc_conf_t;


/* a response on its way to become an entry */

typedef struct {
    ngx_optcache_entry_t         entry;
    ngx_chain_t                **last;
    ngx_buf_t                   *buf;
    ngx_optcache_gzip_t         *gzip;        /* NULL: not compressed */
    ngx_int_t                    gzip_level;
    off_t                        expected;    /* bytes, -1: not known */
    size_t                       limit;
    size_t                       kept;        /* of the worker's memory */
    ngx_http_postponed_request_t *postponed;  /* last known of filters behind */
    unsigned                     later:1;     /* compressed by a thread */
    unsigned                     lent:1;      /* the body is not a copy */
    unsigned                     close_delimited:1;  /* is stored */
} ngx_http_optcache_capture_t;


/* fields of a request that upstream is not to see */

typedef struct {
    ngx_list_t                    headers;
    ngx_table_elt_t              *if_none_match;
    ngx_table_elt_t              *if_modified_since;
} ngx_http_optcache_hidden_t;


/* what was in r->headers_out before upstream was asked */

typedef struct {
    ngx_uint_t                    n;          /* fields, the first ones */
    u_char                       *first;      /* the name of the first */
    ngx_str_t                     type;
    size_t                        type_len;
    ngx_str_t                     charset;
    ngx_http_upstream_t          *upstream;   /* of who redirected */
} ngx_http_optcache_given_t;


/* what the values of directives were made of when the request was looked up */

typedef struct {
    ngx_http_variable_value_t    *variables;
    ngx_http_captures_t           captures;
} ngx_http_optcache_begun_t;


/* where the answers to a request are in one partition */

typedef struct {
    ngx_optcache_key_t            key;
    ngx_str_t                     base;
    ngx_str_t                     vary;
    u_char                        number[NGX_OPTCACHE_ENTRY_NUMBER];
    ngx_optcache_l1_absent_t      absent;
} ngx_http_optcache_place_t;


typedef struct ngx_http_optcache_lock_s     ngx_http_optcache_lock_t;
typedef struct ngx_http_optcache_lease_s    ngx_http_optcache_lease_t;
typedef struct ngx_http_optcache_interim_s  ngx_http_optcache_interim_t;

typedef struct {
    ngx_http_request_t           *request;
    ngx_optcache_l1_t            *zone;
    ngx_http_optcache_loc_conf_t *conf;
    ngx_optcache_key_t            key;        /* of the entry */
    ngx_str_t                     base;       /* the identity without Vary */
    ngx_str_t                     vary;       /* names, NULL: does not */
    u_char                        number[NGX_OPTCACHE_ENTRY_NUMBER];
    ngx_optcache_l1_absent_t      absent;     /* from L1, or key is NULL */
    ngx_optcache_entry_t          entry;      /* what was found */
    ngx_http_optcache_hidden_t   *hidden;
    ngx_http_optcache_capture_t  *capture;    /* what is being stored */
    ngx_http_rfc9111_control_t   *asked;      /* by the client, or NULL */
    ngx_redis_command_t          *command;    /* the lookup under way */
    ngx_http_optcache_lock_t     *lock;       /* NULL: has no part in it */
    ngx_http_optcache_lease_t    *lease;      /* the same of all hosts */
    ngx_http_optcache_interim_t  *interim;    /* what reads the response */
    ngx_http_optcache_place_t     other;      /* what all share, or the own */
    ngx_str_t                     body;       /* of a POST: SHA-256 in hex */
    ngx_str_t                     rule;       /* No-Vary-Search, if known */
    ngx_http_optcache_begun_t    *begun;      /* NULL: rules do not count */
    time_t                        requested;  /* when upstream is asked */
    ngx_optcache_moment_t         moment;     /* the same for the ledger */
    ngx_optcache_origin_t         origin;     /* of the request, 0: not yet */
    ngx_str_t                     path;       /* that origin.uri is of */
    ngx_http_optcache_given_t     given;

    ngx_http_optcache_status_e    status;
    ngx_http_optcache_layer_e     layer;      /* of a hit */

    unsigned                      found:1;    /* the entry is to be sent */
    unsigned                      held:1;     /* it is there, not fresh */
    unsigned                      refused:1;  /* not young enough for who asks */
    unsigned                      heard:1;    /* what is asked is known */
    unsigned                      fetched:1;  /* upstream is asked */
    unsigned                      answered:1; /* and has said something */
    unsigned                      conditional:1; /* by our validators */
    unsigned                      background:1;  /* nobody gets the answer */
    unsigned                      replaced:1; /* the entry is the answer */
    unsigned                      body_sent:1;
    unsigned                      passing:1;  /* from a filter behind us */
    unsigned                      gzip:1;     /* is the form that is sent */
    unsigned                      silent:1;   /* no body goes on from here */
    unsigned                      waiting:1;  /* for Redis, or who leads */
    unsigned                      redis:1;    /* has answered, when asked */
    unsigned                      whole:1;    /* for all of a large value */
    unsigned                      store:1;    /* the answer may be stored */
    unsigned                      stored:1;   /* and is, in L1 */
    unsigned                      large:1;    /* and is on a way of its own */
    unsigned                      overtaken:1;  /* or was invalidated by then */
    unsigned                      invalidate:1;  /* an unsafe method */
    unsigned                      sent:1;     /* the answer is a hit */
    unsigned                      collapsed:1; /* that it has waited for */
    unsigned                      sharing:1;  /* looked for what is public */
    unsigned                      shared:1;   /* and have found or not */
    unsigned                      apart:1;    /* L1 is not to have the entry */
    unsigned                      unmarked:1; /* upstream says no X-Cache */
    unsigned                      public:1;   /* and "public", if refused */

    /* to be counted, see ngx_http_optcache_count.h */

    unsigned                      counted:1;  /* it has been */
    unsigned                      decided:1;  /* that there is no answer */
    unsigned                      varied:1;   /* but to other requests */
    unsigned                      miss:8;     /* why, if it is known */
    unsigned                      bypass:8;
    unsigned                      refusal:8;  /* why it is not stored */
} ngx_http_optcache_ctx_t;


/* gives a body to the filters behind */

typedef ngx_int_t (*ngx_http_optcache_pass_pt)(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_chain_t *in);


extern ngx_module_t  ngx_http_optcache_module;


/*
 * The handlers of the precontent phase: one before all of nginx's own, and one
 * behind them that takes its place where there is a try_files, which says what
 * the request is for.
 */

ngx_int_t ngx_http_optcache_handler(ngx_http_request_t *r);
ngx_int_t ngx_http_optcache_tried_handler(ngx_http_request_t *r);

/* Puts the filters in front of the others, while the configuration is read. */

void ngx_http_optcache_filter_init(void);

/*
 * Starts the lookup of a request that has a context with a key.  NGX_OK: it is
 * over, ctx->found says how; NGX_AGAIN: Redis is being asked, the phases are
 * run again when it has answered or its time is up; NGX_ERROR.
 */

ngx_int_t ngx_http_optcache_lookup(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx);

/*
 * Looks once more, in the first level only, for what may have been stored
 * meanwhile.  NGX_OK: ctx is as after a lookup; NGX_DECLINED: there is nothing
 * at all; NGX_ERROR.
 */

ngx_int_t ngx_http_optcache_lookup_again(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx);

/* Whether that is known to find nothing, and to change nothing in ctx. */

ngx_uint_t ngx_http_optcache_lookup_absent(ngx_http_optcache_ctx_t *ctx);

/*
 * Asks the second level, as it is asked in a lookup, for ctx->key.  Returns as
 * ngx_http_optcache_lookup(); NGX_OK: it cannot be asked.
 */

ngx_int_t ngx_http_optcache_lookup_l2(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx);

/* Removes the entry of the request's key from both levels. */

void ngx_http_optcache_remove(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx);

/* Removes this entry, one of several for the key maybe, from both levels. */

void ngx_http_optcache_remove_entry(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_optcache_entry_t *e);

/*
 * Stores an entry of ctx->zone in both levels, if there is any use for it, and
 * it was not invalidated since its moment.
 */

void ngx_http_optcache_store(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_optcache_entry_t *e);

/* The name of an entry in Redis, from "pool"; NGX_ERROR when out of memory. */

ngx_int_t ngx_http_optcache_store_name(ngx_http_optcache_main_conf_t *omcf,
    ngx_optcache_l1_t *zone, ngx_pool_t *pool, ngx_str_t *identity,
    ngx_str_t *name);

/*
 * Stores an entry in the second level alone, if there is one and any use for
 * the entry; with "replace" only where something is stored under its identity
 * still.  Memory is from "pool".  Returns 1 if it is sent as what is large; what
 * is larger than NGX_REDIS_CLIENT_MAX never is.
 */

ngx_uint_t ngx_http_optcache_store_l2(ngx_http_optcache_main_conf_t *omcf,
    ngx_optcache_l1_t *zone, ngx_pool_t *pool, ngx_optcache_entry_t *e,
    ngx_uint_t replace);

/*
 * Sends ctx->entry as the response: 200 or whatever was stored, or what the
 * filters make of it (304, 206).  Returns what a content handler returns.
 */

ngx_int_t ngx_http_optcache_send(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx);

/* The two halves of it: header fields, and the body up to its last buffer. */

ngx_int_t ngx_http_optcache_send_head(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx);
ngx_chain_t *ngx_http_optcache_send_body(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx);

/*
 * The same when another response is already being sent: ctx->entry takes the
 * place of its header, in a header filter, and of its body: as soon as the
 * header has passed the other filters, or in a body filter.
 */

ngx_rare ngx_int_t ngx_http_optcache_replace(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx);
ngx_rare ngx_int_t ngx_http_optcache_replace_body(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_chain_t *in,
    ngx_http_optcache_pass_pt pass);

/* Takes what passes as if it had been sent. */

ngx_rare void ngx_http_optcache_consume(ngx_chain_t *in);

/* The Accept-Encoding of a request, all of its lines, or NULL. */

ngx_str_t *ngx_http_optcache_accept_encoding(ngx_http_request_t *r);

/*
 * Adds X-Cache and Cache-Status as configured; to be called before the header
 * is sent, and after what is stored of it has been written.  NGX_ERROR when out
 * of memory.
 */

ngx_int_t ngx_http_optcache_send_status(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx);

/* Sets the Content-Type of a response as it was stored, charset and all. */

void ngx_http_optcache_send_type(ngx_http_request_t *r, ngx_str_t *type);

/*
 * Lets all of a response be sent that is not from the store, in place of a
 * range, if the client has a part of one of two forms by a date, which does not
 * tell of which.  To be called with an If-Range.
 */

ngx_rare void ngx_http_optcache_send_dated_range(ngx_http_request_t *r);

/* The name of a status as X-Cache shows it; empty for none. */

ngx_str_t *ngx_http_optcache_status_name(ngx_http_optcache_status_e status);

/*
 * Whether ctx->entry can be sent as it is to this client, who may not take the
 * content coding it has (RFC 9110, 12.5.3).
 */

ngx_uint_t ngx_http_optcache_acceptable(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx);

/*
 * Decides from the header whether the response is to be stored; then
 * ctx->capture is set.  NGX_ERROR when out of memory.
 */

ngx_int_t ngx_http_optcache_capture_header(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx);

/*
 * Called when the header has passed the other filters, with ctx->capture:
 * does without the gzip form where these are going to change the body.
 */

void ngx_http_optcache_capture_filtered(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx);

/*
 * The same where the filters see no header, or that of a 304: what they did to
 * that which was stored before is what they would do, if it was of this type.
 */

ngx_rare void ngx_http_optcache_capture_unfiltered(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx);

/*
 * Takes a copy of what passes, which goes on unchanged.  Stores the entry at
 * the last buffer, if the response is known to be whole; ctx->capture is NULL
 * from then on, or as soon as it is given up.
 */

void ngx_http_optcache_capture_body(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_chain_t *in);

/* Gives up ctx->capture, which is NULL then; ctx->stored says if it was. */

void ngx_http_optcache_capture_drop(ngx_http_optcache_ctx_t *ctx);


#endif /* _NGX_HTTP_OPTCACHE_H_INCLUDED_ */
