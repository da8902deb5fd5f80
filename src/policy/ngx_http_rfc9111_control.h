
/*
 * Copyright (C) The Optcache authors
 */


#ifndef _NGX_HTTP_RFC9111_CONTROL_H_INCLUDED_
#define _NGX_HTTP_RFC9111_CONTROL_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* RFC 9111, 1.2.2: what does not fit is taken as 2^31 seconds */

#define NGX_HTTP_RFC9111_DELTA_MAX  2147483648LL

/* lists of fields kept of a message; with more, no field is spared */

#define NGX_HTTP_RFC9111_LISTS      4


/* the argument of private="..." or no-cache="...", within the line */

typedef struct {
    ngx_str_t                     names;
    ngx_uint_t                    priv;     /* of private: shared caches */
} ngx_http_rfc9111_fields_t;


/* seconds; -1: not given */

typedef struct {
    int64_t                       max_age;
    int64_t                       s_maxage;
    int64_t                       stale_while_revalidate;
    int64_t                       stale_if_error;
    int64_t                       min_fresh;      /* of a request */
    int64_t                       max_stale;      /* of a request */

    ngx_http_rfc9111_fields_t     fields[NGX_HTTP_RFC9111_LISTS];
    ngx_uint_t                    nfields;

    unsigned                      no_store:1;
    unsigned                      no_cache:1;     /* without a list */
    unsigned                      priv:1;         /* without a list */
    unsigned                      pub:1;
    unsigned                      must_revalidate:1;
    unsigned                      proxy_revalidate:1;
    unsigned                      must_understand:1;
    unsigned                      no_transform:1;
    unsigned                      immutable:1;
    unsigned                      only_if_cached:1;     /* of a request */
} ngx_http_rfc9111_control_t;


/* Empties the set: no directive given. */

void ngx_http_rfc9111_control_init(ngx_http_rfc9111_control_t *cc);

/*
 * Adds the directives of one Cache-Control field line, of a request or of a
 * response (RFC 9111, 5.2; RFC 5861; RFC 8246); call it for each line of a
 * message.  Pure.  The set points into the line.  Names are case-insensitive,
 * unknown directives are skipped, a quoted argument is taken like a token.
 *
 * In doubt the stricter reading wins (4.2.1): an argument that is no number
 * means 0, and of two the smaller counts; for min-fresh the largest number
 * and the larger one.  What names fields is no_cache or priv all the same
 * when it is no quoted list of names, or one list too many.
 */

void ngx_http_rfc9111_control_parse(ngx_str_t *line,
    ngx_http_rfc9111_control_t *cc);

/*
 * Adds one directive; its name is case-insensitive, the data of "arg" is NULL
 * when it has no argument.  Pure.
 */

void ngx_http_rfc9111_control_add(ngx_http_rfc9111_control_t *cc,
    ngx_str_t *name, ngx_str_t *arg);

/* Takes one directive back, as if it had never been added.  Pure. */

void ngx_http_rfc9111_control_remove(ngx_http_rfc9111_control_t *cc,
    ngx_str_t *name);

/*
 * Whether a field is not to be kept with the rest of a response: private (in
 * a shared cache) or no-cache names it (RFC 9111, 5.2.2.4 and 5.2.2.7).
 * Pure.
 */

ngx_uint_t ngx_http_rfc9111_control_omits(ngx_http_rfc9111_control_t *cc,
    ngx_str_t *name, ngx_uint_t shared);

/*
 * Parses delta-seconds (RFC 9111, 1.2.2): digits only, capped at
 * NGX_HTTP_RFC9111_DELTA_MAX.  Returns -1 when it is something else.
 */

int64_t ngx_http_rfc9111_delta(u_char *data, size_t len);


#endif /* _NGX_HTTP_RFC9111_CONTROL_H_INCLUDED_ */
