
/*
 * Copyright (C) The Optcache authors
 */


/* Lists of tokens: those of Vary, Connection, private="..." */


#ifndef _NGX_HTTP_RFC9110_LIST_H_INCLUDED_
#define _NGX_HTTP_RFC9110_LIST_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * Takes the next member off a list that begins at p (RFC 9110, 5.6.1: commas
 * and white space around, empty members mean nothing); it may be anything but
 * empty.  Returns where the rest begins, or NULL when there is none.  Pure.
 */

u_char *ngx_http_rfc9110_list_next(u_char *p, u_char *last, ngx_str_t *member);

/* Whether a list has a member, in any case of letters.  Pure. */

ngx_uint_t ngx_http_rfc9110_list_has(ngx_str_t *list, ngx_str_t *member);

/* Whether a list has members, and all are tokens (RFC 9110, 5.6.2).  Pure. */

ngx_uint_t ngx_http_rfc9110_list_valid(ngx_str_t *list);

/* Whether this is a token (RFC 9110, 5.6.2).  Pure. */

ngx_uint_t ngx_http_rfc9110_token(ngx_str_t *s);


#endif /* _NGX_HTTP_RFC9110_LIST_H_INCLUDED_ */
