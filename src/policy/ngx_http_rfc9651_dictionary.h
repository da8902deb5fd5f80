
/*
 * Copyright (C) The Optcache authors
 */


/* Structured Fields (RFC 9651): dictionaries */


#ifndef _NGX_HTTP_RFC9651_DICTIONARY_H_INCLUDED_
#define _NGX_HTTP_RFC9651_DICTIONARY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_rfc9651_item.h"


typedef void (*ngx_http_rfc9651_member_pt)(ngx_http_rfc9651_member_t *m,
    void *data);


/*
 * Parses a dictionary (RFC 9651, 4.2.2), of which several lines are to be
 * joined by commas first, and calls the handler for each member in order; of
 * members with one key the last counts.  Pure.
 *
 * Returns the number of members, which may be 0, or NGX_ERROR when the line
 * does not parse: then what the handler was told is to be forgotten.
 */

ngx_int_t ngx_http_rfc9651_dictionary(ngx_str_t *line,
    ngx_http_rfc9651_member_pt handler, void *data);


#endif /* _NGX_HTTP_RFC9651_DICTIONARY_H_INCLUDED_ */
