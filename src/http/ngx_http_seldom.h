
/*
 * Copyright (C) The Optcache authors
 */


#ifndef _NGX_HTTP_SELDOM_H_INCLUDED_
#define _NGX_HTTP_SELDOM_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * The level of a line that any request may come to, so that clients cannot fill
 * the log: "loud" of a worker no oftener than each "pause" seconds, else "info".
 * "told" is static, one for each line, and zero at first.
 */

ngx_uint_t ngx_http_seldom(time_t *told, time_t pause, ngx_uint_t loud);


#endif /* _NGX_HTTP_SELDOM_H_INCLUDED_ */
