
/*
 * Copyright (C) The Optcache authors
 */


/*
 * A complex value that is wanted for each request: read once, at
 * configuration, into texts, variables and captures.  What nginx compiled is
 * used for the rest (many parts).  The captures are those of the request,
 * whatever a variable has matched, and stay as they are.
 *
 * Of the variables, those that a key is mostly made of are known here: $scheme,
 * $host, $request_uri and $http_NAME.  They are told as nginx tells them, and
 * kept where it keeps them, but by fewer calls.
 */


#ifndef _NGX_HTTP_OPTCACHE_VALUE_H_INCLUDED_
#define _NGX_HTTP_OPTCACHE_VALUE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_sha256.h"


#define NGX_HTTP_OPTCACHE_VALUE_PARTS  8


typedef enum {
    NGX_HTTP_OPTCACHE_VALUE_OTHER = 0,
    NGX_HTTP_OPTCACHE_VALUE_SCHEME,
    NGX_HTTP_OPTCACHE_VALUE_HOST,
    NGX_HTTP_OPTCACHE_VALUE_URI,
    NGX_HTTP_OPTCACHE_VALUE_FIELD,        /* whose name is plain */
    NGX_HTTP_OPTCACHE_VALUE_CAPTURE       /* $1 to $9 */
} ngx_http_optcache_value_e;


typedef struct {
    ngx_str_t                        text;     /* or the name of the field */
    ngx_int_t                        index;    /* of a variable or a capture,
                                                  -1: a text */
    ngx_http_optcache_value_e        known;
    ngx_http_get_variable_pt         field;    /* of all fields */
} ngx_http_optcache_value_part_t;


typedef struct {
    ngx_http_complex_value_t         complex;
    ngx_uint_t                       nparts;   /* 0: only the complex value */
    size_t                           bare;     /* bytes beside variables;
                                                  0: it has none */
    ngx_http_optcache_value_part_t   parts[NGX_HTTP_OPTCACHE_VALUE_PARTS];

    /* of the text */
    u_char                           digest[NGX_SHA256_LEN];
} ngx_http_optcache_value_t;


/*
 * Compiles a text at configuration.  It is not copied and must live as long.
 * NGX_ERROR when out of memory, or after an error has been logged.
 */

ngx_int_t ngx_http_optcache_value_compile(ngx_conf_t *cf, ngx_str_t *text,
    ngx_http_optcache_value_t *value);

/*
 * Whether a value tells any two URIs from one another: $host and $request_uri
 * are among its parts.  0 if that is not known.
 */

ngx_uint_t ngx_http_optcache_value_of_uri(ngx_http_optcache_value_t *value);

/* A directive's handler: of a ngx_http_optcache_value_t *, NULL at first. */

char *ngx_http_optcache_value_slot(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/*
 * What it is for this request; a variable that is not there is empty.  The
 * result may point to a variable's own bytes, or be from r->pool.  NGX_ERROR
 * when out of memory, or when a variable could not be told.
 */

ngx_int_t ngx_http_optcache_value(ngx_http_request_t *r,
    ngx_http_optcache_value_t *value, ngx_str_t *result);

/*
 * The same of a user: empty, which is nobody, if it has variables, and none of
 * them says anything, whatever is between them.
 */

ngx_int_t ngx_http_optcache_value_user(ngx_http_request_t *r,
    ngx_http_optcache_value_t *value, ngx_str_t *result);

/*
 * As ngx_http_optcache_value(), for who is going to join the parts himself:
 * there are at most NGX_HTTP_OPTCACHE_VALUE_PARTS of them.
 */

ngx_int_t ngx_http_optcache_value_parts(ngx_http_request_t *r,
    ngx_http_optcache_value_t *value, ngx_str_t *parts, ngx_uint_t *n);

/*
 * Of a value that has come out empty: whether the request has a cookie, a field
 * or an argument all the same that another reader may take for one that the
 * value names.
 */

ngx_uint_t ngx_http_optcache_value_missed(ngx_http_request_t *r,
    ngx_http_optcache_value_t *value);


#endif /* _NGX_HTTP_OPTCACHE_VALUE_H_INCLUDED_ */
