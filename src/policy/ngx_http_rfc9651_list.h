
/*
 * Copyright (C) The Optcache authors
 */


/* Structured Fields (RFC 9651): lists of strings */


#ifndef _NGX_HTTP_RFC9651_LIST_H_INCLUDED_
#define _NGX_HTTP_RFC9651_LIST_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_rfc9651_item.h"


/* "text" is as it is written between the quotes */

typedef void (*ngx_http_rfc9651_string_pt)(ngx_str_t *text, void *data);


/*
 * Parses a list (RFC 9651, 4.2.1) whose members are to be strings, and calls
 * the handler for each; several lines are to be joined by commas first.  Pure.
 *
 * Returns the number of members, which may be 0, or NGX_ERROR when the line
 * does not parse or a member is something else: then what the handler was told
 * is to be forgotten.
 */

ngx_int_t ngx_http_rfc9651_strings(ngx_str_t *line,
    ngx_http_rfc9651_string_pt handler, void *data);

/* Copies a string without its escapes; returns the end.  Pure. */

u_char *ngx_http_rfc9651_unescape(u_char *dst, ngx_str_t *text);


#endif /* _NGX_HTTP_RFC9651_LIST_H_INCLUDED_ */
