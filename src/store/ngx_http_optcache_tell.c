
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_optcache_marks.h"
#include "ngx_http_optcache_response.h"
#include "ngx_http_optcache_tags.h"
#include "ngx_http_optcache_tell.h"
#include "ngx_http_rfc9651_list.h"


typedef struct {
    ngx_http_request_t           *request;
    ngx_uint_t                    n;
} ngx_http_optcache_tell_groups_t;


static void ngx_http_optcache_tell_count(ngx_str_t *text, void *data);
static void ngx_http_optcache_tell_group(ngx_str_t *text, void *data);
static void ngx_http_optcache_tell_path(ngx_http_request_t *r,
    ngx_str_t *uri);
static void ngx_http_optcache_tell(ngx_http_request_t *r,
    ngx_optcache_target_t *target);
static void ngx_http_optcache_tell_event(ngx_http_request_t *r,
    ngx_optcache_event_t *event);


ngx_int_t
ngx_http_optcache_tell_request(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx)
{
    if (ngx_http_optcache_marks_origin(r, ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_optcache_tell_uri(r, ctx, &ctx->path);

    return NGX_OK;
}


void
ngx_http_optcache_tell_uri(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_str_t *uri)
{
    ngx_optcache_target_t  target;

    ngx_memzero(&target, sizeof(ngx_optcache_target_t));

    target.uri = *uri;

    ngx_http_optcache_tell(r, &target);

    if (ctx->conf->no_vary_search) {
        ngx_http_optcache_tell_path(r, uri);
    }
}


/* What is found by this URI may be stored for another query. */

static void
ngx_http_optcache_tell_path(ngx_http_request_t *r, ngx_str_t *uri)
{
    uint32_t              host;
    ngx_str_t            *server;
    ngx_optcache_event_t  event;

    server = &r->headers_in.server;
    host = server->len ? ngx_optcache_mark_host(server) : 0;

    ngx_memzero(&event, sizeof(ngx_optcache_event_t));

    event.mark = ngx_optcache_mark_of_tag(ngx_http_optcache_tags_path(uri),
                                          host, 0);

    ngx_http_optcache_tell_event(r, &event);
}


ngx_int_t
ngx_http_optcache_tell_groups(ngx_http_request_t *r)
{
    ngx_str_t                         line;
    ngx_optcache_target_t             target;
    ngx_http_optcache_tell_groups_t   groups;

    if (ngx_http_optcache_response_lines(r, "Cache-Group-Invalidation", &line)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    groups.request = r;
    groups.n = 0;

    /* nothing is believed of a list that goes wrong at its end */

    if (line.data == NULL
        || ngx_http_rfc9651_strings(&line, ngx_http_optcache_tell_count,
                                    &groups)
           == NGX_ERROR)
    {
        return NGX_OK;
    }

    if (groups.n <= NGX_OPTCACHE_MARK_TAGS) {
        (void) ngx_http_rfc9651_strings(&line, ngx_http_optcache_tell_group,
                                        &groups);
        return NGX_OK;
    }

    ngx_memzero(&target, sizeof(ngx_optcache_target_t));

    if (r->headers_in.server.len == 0) {
        target.all = 1;
    }

    ngx_http_optcache_tell(r, &target);

    return NGX_OK;
}


static void
ngx_http_optcache_tell_count(ngx_str_t *text, void *data)
{
    ngx_http_optcache_tell_groups_t *groups = data;

    groups->n++;
}


/* No entry has a tag that is longer. */

static void
ngx_http_optcache_tell_group(ngx_str_t *text, void *data)
{
    ngx_http_optcache_tell_groups_t *groups = data;

    u_char                 tag[2 * NGX_HTTP_OPTCACHE_TAG_MAX];
    ngx_optcache_target_t  target;

    if (text->len == 0 || text->len > sizeof(tag)) {
        return;
    }

    ngx_memzero(&target, sizeof(ngx_optcache_target_t));

    target.tag.data = tag;
    target.tag.len = ngx_http_rfc9651_unescape(tag, text) - tag;

    ngx_http_optcache_tell(groups->request, &target);
}


/* Without a host, whatever the target is of any. */

static void
ngx_http_optcache_tell(ngx_http_request_t *r, ngx_optcache_target_t *target)
{
    ngx_optcache_event_t  event;

    if (!target->all) {
        target->host = r->headers_in.server;
    }

    if (ngx_optcache_mark_event(target, &event) == NGX_OK) {
        ngx_http_optcache_tell_event(r, &event);
    }
}


static void
ngx_http_optcache_tell_event(ngx_http_request_t *r,
    ngx_optcache_event_t *event)
{
    ngx_http_optcache_main_conf_t  *omcf;

    omcf = ngx_http_get_module_main_conf(r, ngx_http_optcache_module);

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "optcache tell of mark %xL", event->mark);

    (void) ngx_optcache_tell(omcf->teller, event, NULL, NULL, NULL, NULL);
}
