
/*
 * Copyright (C) The Optcache authors
 */


#ifndef _NGX_HTTP_RFC9110_DATE_H_INCLUDED_
#define _NGX_HTTP_RFC9110_DATE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * Parses an HTTP-date in any of its three forms (RFC 9110, 5.6.7); a cache
 * takes small letters for capitals and the other way round (RFC 9111, 4.2).
 * Returns epoch seconds, or NGX_ERROR for anything else: another time zone
 * than GMT, above all, names another time.  Pure.
 */

time_t ngx_http_rfc9110_date(ngx_str_t *value);


#endif /* _NGX_HTTP_RFC9110_DATE_H_INCLUDED_ */
