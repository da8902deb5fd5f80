
/*
 * Copyright (C) The Optcache authors
 */


/*
 * What a client may have said under the name that $arg_NAME, $cookie_NAME or
 * $http_NAME has, to whoever reads it: nginx takes the first, in one writing
 * only.
 */


#ifndef _NGX_HTTP_NAMES_H_INCLUDED_
#define _NGX_HTTP_NAMES_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


typedef enum {
    NGX_HTTP_NAMES_NONE = 0,
    NGX_HTTP_NAMES_ARG,
    NGX_HTTP_NAMES_COOKIE,
    NGX_HTTP_NAMES_FIELD
} ngx_http_names_e;


/*
 * Which of these a variable is, by its name without "$", in any case; "name" is
 * then what follows the prefix, and points into it.
 */

ngx_http_names_e ngx_http_names_variable(const ngx_str_t *variable,
    ngx_str_t *name);

/*
 * How many arguments, cookies or fields of a request have the name to any
 * reader, and a value that is not empty.  Names are compared in any case; those
 * of the first two decoded, %uXXXX, too, and as PHP changes them; with "dashes"
 * set "-" is "_" there, too, as it is in fields.  ";" separates arguments, too.
 * If there are more or fewer cookies in a line when a comma ends one, too, or
 * when a blank or a tab does, they are two.
 */

ngx_uint_t ngx_http_names_said(ngx_http_request_t *r, ngx_http_names_e where,
    const ngx_str_t *name, ngx_uint_t dashes);


#endif /* _NGX_HTTP_NAMES_H_INCLUDED_ */
