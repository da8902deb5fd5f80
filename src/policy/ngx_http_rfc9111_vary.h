
/*
 * Copyright (C) The Optcache authors
 */


#ifndef _NGX_HTTP_RFC9111_VARY_H_INCLUDED_
#define _NGX_HTTP_RFC9111_VARY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* more different fields than anybody means */

#define NGX_HTTP_RFC9111_VARY_MAX  16


/* The fields of a request that its response depends on (RFC 9111, 4.1) */

typedef struct {
    ngx_str_t                     names[NGX_HTTP_RFC9111_VARY_MAX];
    ngx_uint_t                    n;

    unsigned                      any:1;       /* "*": on anything at all */
    unsigned                      encoding:1;  /* Accept-Encoding, which is
                                                  not among the names */
} ngx_http_rfc9111_vary_t;


/*
 * Adds the members of a Vary line to a set that was zeroed before the first
 * line; each name once, however it is written.  The names point into the
 * line.  What is no field name, and more names than there is room for, count
 * as "*": such a response matches no other request.  Pure.
 */

void ngx_http_rfc9111_vary_parse(ngx_str_t *line, ngx_http_rfc9111_vary_t *v);


#endif /* _NGX_HTTP_RFC9111_VARY_H_INCLUDED_ */
