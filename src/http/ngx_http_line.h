
/*
 * Copyright (C) The Optcache authors
 */


/*
 * Where something is in the configuration, for what is found out when all of
 * it is read: by then nginx is at the end of http{}, and would say that.
 */


#ifndef _NGX_HTTP_LINE_H_INCLUDED_
#define _NGX_HTTP_LINE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


typedef struct {
    u_char                   *file;      /* of the configuration; NULL: of
                                            none */
    ngx_uint_t                line;
} ngx_http_line_t;


/*
 * Notes where the configuration is being read: called by a directive its own
 * line, by what creates the configuration of a block the one that begins it.
 */

void ngx_http_line_here(ngx_conf_t *cf, ngx_http_line_t *line);

/* Logs like ngx_conf_log_error(), with this place behind the message. */

void ngx_http_line_log(ngx_uint_t level, ngx_conf_t *cf, ngx_err_t err,
    ngx_http_line_t *line, const char *fmt, ...);


#endif /* _NGX_HTTP_LINE_H_INCLUDED_ */
