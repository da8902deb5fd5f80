
/*
 * Copyright (C) The Optcache authors
 */


#ifndef _NGX_HTTP_OPTCACHE_RESPONSE_H_INCLUDED_
#define _NGX_HTTP_OPTCACHE_RESPONSE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_optcache.h"
#include "ngx_http_rfc9111_freshness.h"
#include "ngx_http_rfc9111_storage.h"
#include "ngx_http_rfc9111_vary.h"
#include "ngx_rare.h"


#define NGX_HTTP_OPTCACHE_RESPONSE_FIELDS  16


typedef void (*ngx_http_optcache_field_pt)(ngx_table_elt_t *h, void *data);


/* what a field was found to be, which is looked up once */

typedef struct {
    ngx_table_elt_t              *header;
    ngx_optcache_field_e          id;
} ngx_http_optcache_response_field_t;


/* what the header of a response means to the cache */

typedef struct {
    ngx_http_rfc9111_freshness_t  freshness;
    ngx_http_rfc9111_vary_t       vary;
    int64_t                       lifetime;       /* seconds */
    int64_t                       age;            /* seconds, now */
    int64_t                       left;           /* seconds from now, that
                                                     nothing outlives */
    ngx_str_t                     date;           /* as the origin sent it */

    unsigned                      explicit_lifetime:1; /* by itself */
    unsigned                      validator:1;    /* ETag, Last-Modified */
    unsigned                      set_cookie:1;
    unsigned                      keep_cookie:1;  /* is stored with it */
    unsigned                      merged:1;       /* with what is stored */
    unsigned                      marked:1;       /* for one client, not public */
    unsigned                      vary_hidden:1;
    unsigned                      controlled:1;   /* says Cache-Control */
    unsigned                      hidden:1;       /* or the like, unseen */
    unsigned                      varies:1;       /* says Vary */
    unsigned                      shared:1;       /* the partition is */
    unsigned                      public:1;       /* shared for that reason */
    unsigned                      personal:1;     /* varies on credentials */
    unsigned                      no_transform:1;
    unsigned                      digest:1;       /* of its bytes as they are */
    unsigned                      targeted:1;     /* has such a field */
    unsigned                      tagged:1;       /* has a field of tags */
    unsigned                      part:1;         /* says Content-Range */
    unsigned                      streaming:1;    /* events, or gRPC */
    unsigned                      invalid:1;      /* a field not to be kept */
    unsigned                      hops:1;         /* Connection names fields */
    unsigned                      x_cache:1;      /* of a cache before this */

    ngx_http_optcache_given_t    *given;          /* before it was there */
    ngx_uint_t                    nfields;        /* the first ones */
    ngx_http_optcache_response_field_t
                                  fields[NGX_HTTP_OPTCACHE_RESPONSE_FIELDS];
} ngx_http_optcache_response_t;


/*
 * The targeted fields (RFC 9213) in the order they count, up to a NULL;
 * Surrogate-Control, which they come from, is the last.
 */

extern const char  *ngx_http_optcache_targets[];


/*
 * Reads one of them into a set of directives.  NGX_DECLINED: it says nothing,
 * and the set is left alone.
 */

ngx_int_t ngx_http_optcache_response_target(const char *name, ngx_str_t *line,
    ngx_http_rfc9111_control_t *cc);


/*
 * All lines of a field as one (RFC 9651, 4.2), also where it is hidden from the
 * client; data is NULL if there is none.  NGX_ERROR when out of memory.
 */

ngx_int_t ngx_http_optcache_response_lines(ngx_http_request_t *r,
    const char *name, ngx_str_t *value);

/* Whether a field is one of them. */

ngx_uint_t ngx_http_optcache_targeted(ngx_table_elt_t *h);

/*
 * The first of them in a response that is a dictionary, and not empty, speaks
 * in place of Cache-Control and Expires (RFC 9213, 2.2).  NGX_ERROR when out
 * of memory.
 */

ngx_int_t ngx_http_optcache_targeted_read(ngx_http_request_t *r,
    ngx_http_optcache_response_t *resp);


/*
 * Reads the header of a response and decides whether it may be stored
 * (RFC 9111, 3).  "merged": it is a 304 with what it did not say of what is
 * stored, where an empty Set-Cookie is a mark of ours.  NGX_OK: it may;
 * NGX_DECLINED: it may not, the reason is in ctx->refusal and in the debug log;
 * NGX_ERROR: out of memory.
 */

ngx_int_t ngx_http_optcache_response_read(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_http_optcache_response_t *resp,
    ngx_uint_t merged);

/*
 * What all fields of a response say, also those that nginx keeps from the
 * client; "resp" is new.
 */

void ngx_http_optcache_response_fields(ngx_http_request_t *r,
    ngx_http_optcache_response_t *resp);

/*
 * Whether the client has asked that nothing of the response be stored
 * (RFC 9111, 5.2.1.5).
 */

ngx_uint_t ngx_http_optcache_response_no_store(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx);

/*
 * What is kept of a response beside its body and its identity; the head is
 * from r->pool.  NGX_ERROR when out of memory.
 */

ngx_int_t ngx_http_optcache_response_entry(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_http_optcache_response_t *resp,
    ngx_optcache_entry_t *e);

/*
 * Whether a field is not to be stored: private (in the shared partition) or
 * no-cache names it (RFC 9111, 5.2.2.4 and 5.2.2.7).
 */

static ngx_inline ngx_uint_t
ngx_http_optcache_response_omits(ngx_http_optcache_response_t *resp,
    ngx_str_t *name)
{
    return ngx_rarely(resp->freshness.cc.nfields)
           && ngx_http_rfc9111_control_omits(&resp->freshness.cc, name,
                                             resp->shared);
}


/*
 * Calls the handler for each field of a list that is not deleted, but for the
 * first "given" ones; the handler adds none.  Here, so that a handler that is
 * known becomes part of the loop.
 */

static ngx_inline void
ngx_http_optcache_response_behind(ngx_list_t *headers, ngx_uint_t given,
    ngx_http_optcache_field_pt handler, void *data)
{
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h, *last;

    for (part = &headers->part; part; part = part->next) {

        if (ngx_rarely(given >= part->nelts) && given) {
            given -= part->nelts;
            continue;
        }

        h = part->elts;
        last = h + part->nelts;
        h += given;
        given = 0;

        for ( /* void */ ; h < last; h++) {
            if (h->hash) {
                handler(h, data);
            }
        }
    }
}


/* For all of them. */

static ngx_inline void
ngx_http_optcache_response_each(ngx_list_t *headers,
    ngx_http_optcache_field_pt handler, void *data)
{
    ngx_http_optcache_response_behind(headers, 0, handler, data);
}


/* Whether this is the name of a field, in any case; the same is found first. */

static ngx_inline ngx_uint_t
ngx_http_optcache_response_is(ngx_table_elt_t *h, const char *name)
{
    return h->key.len == ngx_strlen(name)
           && (ngx_memcmp(h->key.data, name, h->key.len) == 0
               || ngx_strncasecmp(h->key.data, (u_char *) name, h->key.len)
                  == 0);
}


#endif /* _NGX_HTTP_OPTCACHE_RESPONSE_H_INCLUDED_ */
