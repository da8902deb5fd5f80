
/*
 * Copyright (C) The Optcache authors
 */


#ifndef _NGX_HTTP_RFC9111_STORAGE_H_INCLUDED_
#define _NGX_HTTP_RFC9111_STORAGE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_rfc9111_control.h"


/* May a response be stored, and if not, why */

typedef enum {
    NGX_HTTP_RFC9111_STORE = 0,
    NGX_HTTP_RFC9111_STATUS,         /* not a final status to keep */
    NGX_HTTP_RFC9111_NO_STORE,       /* said by the request or the response */
    NGX_HTTP_RFC9111_NO_CACHE,       /* not without asking again, and there
                                        is nothing to ask by */
    NGX_HTTP_RFC9111_PRIVATE,        /* private, for a shared cache */
    NGX_HTTP_RFC9111_AUTHORIZATION,  /* credentials, and not said to be
                                        for everyone */
    NGX_HTTP_RFC9111_COOKIE,         /* the same with a cookie */
    NGX_HTTP_RFC9111_SET_COOKIE,
    NGX_HTTP_RFC9111_VARY,
    NGX_HTTP_RFC9111_FRESHNESS       /* stale at once, or no lifetime known */
} ngx_http_rfc9111_storage_e;


typedef struct {
    ngx_http_rfc9111_control_t  cc;
    ngx_uint_t                  status;
    int64_t                     lifetime;      /* seconds left */
    unsigned                    unknown:1;        /* the lifetime is */
    unsigned                    validator:1;      /* or it may be stale */

    unsigned                    asked_no_store:1; /* by the request */
    unsigned                    shared:1;         /* the cache is shared */
    unsigned                    authorization:1;  /* the request had one */
    unsigned                    cookie:1;         /* the request had one that
                                                     is not part of the key */
    unsigned                    set_cookie:1;     /* the response has one */
    unsigned                    vary:1;           /* on more than encoding */
} ngx_http_rfc9111_storage_t;


/*
 * RFC 9111, 3 and 3.5, for a cache that keeps what it may serve without asking,
 * and what says when to ask, and by what.  Three refusals go beyond the RFC: an
 * answer that sets a cookie, an answer to a request with a cookie (or a client
 * certificate, or a token) that nothing ties to a user, and statuses that answer
 * what is no part of a key.  To such a cookie "public" must come with time to be
 * used in: frameworks say "public, max-age=0" of any file, whoever it is for,
 * with an ETag that another one may have, too.  Pure.
 */

ngx_http_rfc9111_storage_e ngx_http_rfc9111_storage(
    ngx_http_rfc9111_storage_t *s);

/*
 * Whether a response says that it is for all, and has time to be used in, so
 * that it does not matter to a shared cache who has asked for it.  Pure.
 */

ngx_uint_t ngx_http_rfc9111_storage_for_all(ngx_http_rfc9111_storage_t *s);


#endif /* _NGX_HTTP_RFC9111_STORAGE_H_INCLUDED_ */
