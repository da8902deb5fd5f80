
/*
 * Copyright (C) The Optcache authors
 */


#ifndef _NGX_HTTP_RFC9111_CONTROL_H_INCLUDED_
#define _NGX_HTTP_RFC9111_CONTROL_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* RFC 9111, 1.2.2: what does not fit is taken as 2^31 seconds */

#define NGX_HTTP_RFC9111_DELTA_MAX  2147483648LL


typedef struct {
    int64_t                   max_age;      /* seconds; -1: not given */
    int64_t                   s_maxage;     /* seconds; -1: not given */

    unsigned                  no_store:1;
    unsigned                  no_cache:1;
    unsigned                  priv:1;
    unsigned                  pub:1;
    unsigned                  must_revalidate:1;
    unsigned                  proxy_revalidate:1;
    unsigned                  no_transform:1;
} ngx_http_rfc9111_control_t;


/* Empties the set: no directive given. */

void ngx_http_rfc9111_control_init(ngx_http_rfc9111_control_t *cc);

/*
 * Adds the directives of one Cache-Control field line (RFC 9111, 5.2); call
 * it for each line of a message.  Pure.  Names are case-insensitive, unknown
 * directives are skipped, a quoted argument is taken like a token.
 *
 * In doubt the stricter reading wins (4.2.1): an argument that is no number
 * means 0, of two the smaller counts, and no-cache and private count in full
 * even when they name fields.
 */

void ngx_http_rfc9111_control_parse(ngx_str_t *line,
    ngx_http_rfc9111_control_t *cc);

/*
 * Parses delta-seconds (RFC 9111, 1.2.2): digits only, capped at
 * NGX_HTTP_RFC9111_DELTA_MAX.  Returns -1 when it is something else.
 */

int64_t ngx_http_rfc9111_delta(u_char *data, size_t len);


#endif /* _NGX_HTTP_RFC9111_CONTROL_H_INCLUDED_ */
