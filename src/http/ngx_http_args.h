
/*
 * Copyright (C) The Optcache authors
 */


/* Parameters of a directive: words, and those of the form NAME=VALUE. */


#ifndef _NGX_HTTP_ARGS_H_INCLUDED_
#define _NGX_HTTP_ARGS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/*
 * NGX_OK if none of the directive's arguments, from the one of this number on,
 * is there twice, whatever its values; but for "name", which may be, unless it
 * is NULL.  Else NGX_ERROR: which one is, was logged.
 */

ngx_int_t ngx_http_args_once(ngx_conf_t *cf, ngx_uint_t first,
    const char *name);


#endif /* _NGX_HTTP_ARGS_H_INCLUDED_ */
