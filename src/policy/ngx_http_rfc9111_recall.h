
/*
 * Copyright (C) The Optcache authors
 */


/*
 * Cache-Control lines as they were read last.  An origin says one of a few,
 * again and again: to compare it takes a tenth of what it takes to read it.
 */


#ifndef _NGX_HTTP_RFC9111_RECALL_H_INCLUDED_
#define _NGX_HTTP_RFC9111_RECALL_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_rfc9111_control.h"


/* how many lines are remembered in a process, and of which length, bytes */

#define NGX_HTTP_RFC9111_RECALL_LINES  16
#define NGX_HTTP_RFC9111_RECALL_LEN    64


/*
 * Makes the set what ngx_http_rfc9111_control_init(), and then _parse() of the
 * line, make of it; what is remembered of other lines does not show.  The set
 * points into this line only, and not into one that is remembered.
 */

void ngx_http_rfc9111_recall(ngx_str_t *line, ngx_http_rfc9111_control_t *cc);


#endif /* _NGX_HTTP_RFC9111_RECALL_H_INCLUDED_ */
