
/*
 * Copyright (C) The Optcache authors
 */


#ifndef _NGX_HTTP_RFC9213_TARGETED_H_INCLUDED_
#define _NGX_HTTP_RFC9213_TARGETED_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_rfc9111_control.h"


/*
 * Reads a targeted field (RFC 9213), all its lines joined by commas, into a
 * set of directives, which points into the line.  Pure.
 *
 * Returns NGX_OK: the set takes the place of what Cache-Control and Expires
 * say; or NGX_DECLINED when the field is empty or no dictionary, which makes
 * it as if it were absent, and leaves the set alone.
 *
 * Seconds that are no Integer count as 0; lists of fields are Strings or
 * Tokens; a directive that is ?0 is not given.
 */

ngx_int_t ngx_http_rfc9213_targeted(ngx_str_t *line,
    ngx_http_rfc9111_control_t *cc);


#endif /* _NGX_HTTP_RFC9213_TARGETED_H_INCLUDED_ */
