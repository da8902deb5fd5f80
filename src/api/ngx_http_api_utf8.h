
/*
 * Copyright (C) The Optcache authors
 */


#ifndef _NGX_HTTP_API_UTF8_H_INCLUDED_
#define _NGX_HTTP_API_UTF8_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * Any bytes as valid UTF-8 (RFC 3629) that ends with the only NUL in it: each
 * byte that is no part of a character, and each NUL, becomes U+FFFD.  From the
 * pool; NULL when out of memory.
 */

u_char *ngx_http_api_utf8(ngx_pool_t *pool, const ngx_str_t *text);


#endif /* _NGX_HTTP_API_UTF8_H_INCLUDED_ */
