
/*
 * Copyright (C) The Optcache authors
 */


/*
 *     PURGE /a?b=c           this URI, of the request's host, for every user
 *     PURGE /a/b*            all that begins with /a/b
 *     Surrogate-Key: a b     what is tagged by any of these, and not the URI
 *     Cache-Tag: a, b        the same
 *     Fastly-Soft-Purge: 1   what is stored is stale from now on, and not gone
 *
 * It is answered after the access phase, in any location.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_api_early.h"
#include "ngx_http_api_origin.h"
#include "ngx_http_api_problem.h"
#include "ngx_http_api_response.h"
#include "ngx_http_captures.h"
#include "ngx_http_optcache_marks.h"
#include "ngx_http_optcache_purge.h"
#include "ngx_http_optcache_tags.h"
#include "ngx_rare.h"


/* what is asked for, as far as it was read */

typedef struct {
    ngx_http_optcache_purge_t  *purge;
    ngx_optcache_target_t       target;
    const char                 *detail;    /* what is wrong, or NULL */
} ngx_http_optcache_purge_asked_t;

typedef void (*ngx_http_optcache_purge_line_pt)(
    ngx_http_optcache_purge_asked_t *asked, ngx_str_t *value);


static ngx_int_t ngx_http_optcache_purge_start(ngx_http_request_t *r);
static void ngx_http_optcache_purge_lines(ngx_http_request_t *r,
    const char *name, ngx_http_optcache_purge_line_pt handler,
    ngx_http_optcache_purge_asked_t *asked);
static void ngx_http_optcache_purge_soft(
    ngx_http_optcache_purge_asked_t *asked, ngx_str_t *value);
static void ngx_http_optcache_purge_surrogate_key(
    ngx_http_optcache_purge_asked_t *asked, ngx_str_t *value);
static void ngx_http_optcache_purge_cache_tag(
    ngx_http_optcache_purge_asked_t *asked, ngx_str_t *value);
static void ngx_http_optcache_purge_tags(
    ngx_http_optcache_purge_asked_t *asked, ngx_str_t *value, u_char sep);
static ngx_int_t ngx_http_optcache_purge_uri(ngx_http_request_t *r,
    ngx_http_optcache_purge_asked_t *asked);


/*
 * Who was refused in one location may have been sent to another by error_page,
 * which is no permission; a post_action and a subrequest are not what the
 * client has asked for.
 */

ngx_uint_t
ngx_http_optcache_purge_wanted(ngx_http_request_t *r,
    ngx_http_optcache_loc_conf_t *olcf)
{
    ngx_http_core_loc_conf_t  *clcf;

    if (olcf->purge == NULL
        || ngx_mostly(r->method != NGX_HTTP_UNKNOWN)
        || r->method_name.len != sizeof("PURGE") - 1
        || ngx_strncmp(r->method_name.data, "PURGE", sizeof("PURGE") - 1) != 0
        || r != r->main
        || r->post_action
        || r->error_page
        || r->err_status)
    {
        return 0;
    }

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (r->internal && clcf->recursive_error_pages) {

        /* then nginx does not remember the first one */

        return 0;
    }

    return ngx_http_captures_predicates(r, olcf->purge) == NGX_DECLINED;
}


ngx_int_t
ngx_http_optcache_purge_handler(ngx_http_request_t *r)
{
    ngx_int_t  rc;

    rc = ngx_http_optcache_purge_start(r);

    if (rc != NGX_AGAIN) {
        ngx_http_finalize_request(r, rc);
    }

    return NGX_DONE;
}


/* Returns as ngx_http_optcache_purge() does. */

static ngx_int_t
ngx_http_optcache_purge_start(ngx_http_request_t *r)
{
    ngx_http_optcache_purge_t        *purge;
    ngx_http_optcache_purge_asked_t   asked;

    purge = ngx_palloc(r->pool, sizeof(ngx_http_optcache_purge_t));

    if (purge == NULL || ngx_http_api_response_headers(r) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    /* an OPTIONS goes upstream, and may be answered for all methods there are */

    if (ngx_http_api_origin_foreign(r)) {
        return ngx_http_api_problem(r, NGX_HTTP_FORBIDDEN, "Forbidden",
                                    "a page of another site has sent this");
    }

    if (ngx_http_api_early(r)) {
        return ngx_http_api_early_refuse(r);
    }

    purge->n = 0;

    ngx_memzero(&asked, sizeof(ngx_http_optcache_purge_asked_t));

    asked.purge = purge;
    asked.target.host = r->headers_in.server;

    /* whether it is soft goes into the number of each tag */

    ngx_http_optcache_purge_lines(r, "Fastly-Soft-Purge",
                                  ngx_http_optcache_purge_soft, &asked);
    ngx_http_optcache_purge_lines(r, "Surrogate-Key",
                                  ngx_http_optcache_purge_surrogate_key,
                                  &asked);
    ngx_http_optcache_purge_lines(r, "Cache-Tag",
                                  ngx_http_optcache_purge_cache_tag, &asked);

    if (purge->n == 0
        && asked.detail == NULL
        && ngx_http_optcache_purge_uri(r, &asked) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (asked.detail) {
        return ngx_http_api_problem(r, NGX_HTTP_BAD_REQUEST, "Bad Request",
                                    asked.detail);
    }

    return ngx_http_optcache_purge(r, purge);
}


static void
ngx_http_optcache_purge_lines(ngx_http_request_t *r, const char *name,
    ngx_http_optcache_purge_line_pt handler,
    ngx_http_optcache_purge_asked_t *asked)
{
    size_t            len;
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    len = ngx_strlen(name);

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (h[i].key.len == len
                && ngx_strncasecmp(h[i].key.data, (u_char *) name, len) == 0
                && asked->detail == NULL)
            {
                handler(asked, &h[i].value);
            }
        }
    }
}


static void
ngx_http_optcache_purge_soft(ngx_http_optcache_purge_asked_t *asked,
    ngx_str_t *value)
{
    if (value->len != 1 || (value->data[0] != '0' && value->data[0] != '1')) {
        asked->detail = "\"Fastly-Soft-Purge\" must be 1 or 0";
        return;
    }

    asked->target.soft = (value->data[0] == '1');
}


static void
ngx_http_optcache_purge_surrogate_key(ngx_http_optcache_purge_asked_t *asked,
    ngx_str_t *value)
{
    ngx_http_optcache_purge_tags(asked, value, ' ');
}


static void
ngx_http_optcache_purge_cache_tag(ngx_http_optcache_purge_asked_t *asked,
    ngx_str_t *value)
{
    ngx_http_optcache_purge_tags(asked, value, ',');
}


/* A list of tags that is empty must not become a purge of the URI. */

static void
ngx_http_optcache_purge_tags(ngx_http_optcache_purge_asked_t *asked,
    ngx_str_t *value, u_char sep)
{
    u_char      *p, *last, *begin, *end;
    ngx_uint_t   n;

    n = asked->purge->n;
    last = value->data + value->len;

    for (p = value->data; p < last; p++) {

        for (begin = p;
             p < last && *p != sep && (sep != ' ' || *p != '\t');
             p++)
        {
            /* void */
        }

        for (end = p; end > begin && (end[-1] == ' ' || end[-1] == '\t');
             end--)
        {
            /* void */
        }

        while (begin < end && (*begin == ' ' || *begin == '\t')) {
            begin++;
        }

        if (begin == end) {
            continue;
        }

        asked->target.tag.data = begin;
        asked->target.tag.len = end - begin;

        if (asked->target.tag.len > NGX_HTTP_OPTCACHE_TAG_MAX) {
            asked->detail = "a tag is longer than 1024 bytes";
            return;
        }

        if (ngx_http_optcache_purge_add(asked->purge, &asked->target)
            != NGX_OK)
        {
            asked->detail = "there are more than 64 tags";
            return;
        }
    }

    if (asked->purge->n == n) {
        asked->detail = "there is no tag in \"Surrogate-Key\" or "
                        "\"Cache-Tag\"";
    }
}


static ngx_int_t
ngx_http_optcache_purge_uri(ngx_http_request_t *r,
    ngx_http_optcache_purge_asked_t *asked)
{
    ngx_str_t  uri;

    if (ngx_http_optcache_marks_path(r, &uri) != NGX_OK) {
        return NGX_ERROR;
    }

    if (uri.data[uri.len - 1] == '*') {
        uri.len--;
        asked->target.prefix = uri;

    } else {
        asked->target.uri = uri;
    }

    if (ngx_http_optcache_purge_add(asked->purge, &asked->target) != NGX_OK) {
        asked->detail = "the URI before \"*\" is longer than 4095 bytes";
    }

    return NGX_OK;
}


/*
 * Not ngx_http_set_predicate_slot() alone: "off" would be a value that is
 * neither empty nor "0".
 */

char *
ngx_http_optcache_purge_conf(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_optcache_loc_conf_t *olcf = conf;

    ngx_str_t   *value;
    ngx_uint_t   i;

    if (olcf->purge != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        if (ngx_strcmp(value[i].data, "off") != 0) {
            continue;
        }

        if (cf->args->nelts > 2) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid value \"off\" in \"%V\", expected it "
                               "to be the only one", &cmd->name);
            return NGX_CONF_ERROR;
        }

        olcf->purge = NULL;

        return NGX_CONF_OK;
    }

    return ngx_http_set_predicate_slot(cf, cmd, conf);
}
