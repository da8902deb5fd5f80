
/*
 * Copyright (C) The Optcache authors
 */


#ifndef _NGX_HTTP_SURROGATE_CONTROL_H_INCLUDED_
#define _NGX_HTTP_SURROGATE_CONTROL_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_rfc9111_control.h"


/*
 * Reads Surrogate-Control (Edge Architecture Specification, W3C Note of 2001,
 * 2.2), all its lines joined by commas, into a set of directives: no-store and
 * max-age, with "+" for how long the response may be used after that, while it
 * is validated.  A directive with a target is somebody else's, unless that is
 * "Optcache".  Pure.
 *
 * Returns NGX_OK: the set takes the place of what Cache-Control and Expires
 * say; or NGX_DECLINED when there is none of these directives, which leaves the
 * set alone.
 */

ngx_int_t ngx_http_surrogate_control(ngx_str_t *line,
    ngx_http_rfc9111_control_t *cc);


#endif /* _NGX_HTTP_SURROGATE_CONTROL_H_INCLUDED_ */
