
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_line.h"


void
ngx_http_line_here(ngx_conf_t *cf, ngx_http_line_t *line)
{
    if (cf->conf_file == NULL) {
        return;
    }

    line->file = cf->conf_file->file.name.data;
    line->line = cf->conf_file->line;
}


void
ngx_http_line_log(ngx_uint_t level, ngx_conf_t *cf, ngx_err_t err,
    ngx_http_line_t *line, const char *fmt, ...)
{
    u_char   text[NGX_MAX_CONF_ERRSTR], *p, *last;
    va_list  args;

    last = text + sizeof(text);

    va_start(args, fmt);
    p = ngx_vslprintf(text, last, fmt, args);
    va_end(args);

    if (err) {
        p = ngx_log_errno(p, last, err);
    }

    if (line->file == NULL) {
        ngx_log_error(level, cf->log, 0, "%*s", (size_t) (p - text), text);
        return;
    }

    ngx_log_error(level, cf->log, 0, "%*s in %s:%ui",
                  (size_t) (p - text), text, line->file, line->line);
}
