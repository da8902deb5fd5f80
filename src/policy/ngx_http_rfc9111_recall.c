
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_rfc9111_recall.h"
#include "ngx_rare.h"


/* a line and what it says */

typedef struct {
    size_t                      len;      /* 0: none */
    u_char                      line[NGX_HTTP_RFC9111_RECALL_LEN];
    ngx_http_rfc9111_control_t  cc;
} ngx_http_rfc9111_recall_t;


static ngx_rare void ngx_http_rfc9111_recall_parse(ngx_str_t *line,
    ngx_http_rfc9111_control_t *cc, ngx_http_rfc9111_recall_t *known);


/* of this process; a line has one place, where it follows another */

static ngx_http_rfc9111_recall_t
    ngx_http_rfc9111_recall_lines[NGX_HTTP_RFC9111_RECALL_LINES];


void
ngx_http_rfc9111_recall(ngx_str_t *line, ngx_http_rfc9111_control_t *cc)
{
    u_char                     *last;
    ngx_http_rfc9111_recall_t  *known;

    if (line->len < 2 || line->len > NGX_HTTP_RFC9111_RECALL_LEN) {
        ngx_http_rfc9111_recall_parse(line, cc, NULL);
        return;
    }

    last = line->data + line->len - 1;

    known = &ngx_http_rfc9111_recall_lines[
                     (line->len + last[0] + last[-1])
                     % NGX_HTTP_RFC9111_RECALL_LINES];

    if (known->len == line->len
        && ngx_memcmp(known->line, line->data, line->len) == 0)
    {
        *cc = known->cc;
        return;
    }

    ngx_http_rfc9111_recall_parse(line, cc, known);
}


/* What was not there; "known" may be NULL. */

static void
ngx_http_rfc9111_recall_parse(ngx_str_t *line, ngx_http_rfc9111_control_t *cc,
    ngx_http_rfc9111_recall_t *known)
{
    ngx_http_rfc9111_control_init(cc);
    ngx_http_rfc9111_control_parse(line, cc);

    if (known == NULL || cc->nfields) {
        /* names of fields are where the line is */
        return;
    }

    known->len = line->len;
    ngx_memcpy(known->line, line->data, line->len);
    known->cc = *cc;
}
