
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_captures.h"
#include "ngx_http_optcache_tags.h"
#include "ngx_http_rfc9651_list.h"


/* those of a response, each of them once */

typedef struct {
    ngx_array_t                   numbers;        /* uint64_t */
    ngx_uint_t                    found;          /* lines of Surrogate-Key */
    ngx_int_t                     rc;
} ngx_http_optcache_tags_t;


static ngx_int_t ngx_http_optcache_tags_init(ngx_http_request_t *r,
    ngx_http_optcache_tags_t *tags);
static void ngx_http_optcache_tags_fields(ngx_http_request_t *r,
    ngx_http_optcache_tags_t *tags);
static void ngx_http_optcache_tags_values(ngx_http_request_t *r,
    ngx_array_t *values, ngx_http_optcache_tags_t *tags);
static void ngx_http_optcache_tags_kept(ngx_http_request_t *r,
    ngx_optcache_entry_t *old, ngx_http_optcache_tags_t *tags);
static void ngx_http_optcache_tags_head(ngx_http_request_t *r,
    ngx_str_t *head, ngx_http_optcache_tags_t *tags);
static void ngx_http_optcache_tags_line(ngx_table_elt_t *h, void *data);
static void ngx_http_optcache_tags_groups(ngx_str_t *text,
    ngx_http_optcache_tags_t *tags);
static void ngx_http_optcache_tags_group(ngx_str_t *text, void *data);
static void ngx_http_optcache_tags_split(ngx_str_t *text, u_char by,
    ngx_http_optcache_tags_t *tags);
static void ngx_http_optcache_tags_add(ngx_http_optcache_tags_t *tags,
    ngx_str_t *tag);
static void ngx_http_optcache_tags_push(ngx_http_optcache_tags_t *tags,
    uint64_t number);
static ngx_uint_t ngx_http_optcache_tags_has(ngx_http_optcache_tags_t *tags,
    uint64_t number);


static char  ngx_http_optcache_tags_cache_groups[] = "Cache-Groups";


ngx_uint_t
ngx_http_optcache_tags_field(ngx_table_elt_t *h)
{
    switch (h->key.len) {

    case sizeof("Cache-Tag") - 1:
        return ngx_http_optcache_response_is(h, "Cache-Tag");

    case sizeof("Cache-Groups") - 1:
        return ngx_http_optcache_response_is(h,
                                         ngx_http_optcache_tags_cache_groups);

    case sizeof("Surrogate-Key") - 1:
        return ngx_http_optcache_response_is(h, "Surrogate-Key");

    default:
        return 0;
    }
}


ngx_int_t
ngx_http_optcache_tags(ngx_http_request_t *r,
    ngx_http_optcache_response_t *resp, ngx_optcache_entry_t *e,
    ngx_optcache_entry_t *old)
{
    ngx_http_optcache_ctx_t       *ctx;
    ngx_http_optcache_tags_t       tags;
    ngx_http_optcache_loc_conf_t  *olcf;

    e->tags = NULL;
    e->ntags = 0;

    olcf = ngx_http_get_module_loc_conf(r, ngx_http_optcache_module);

    ctx = ngx_http_get_module_ctx(r, ngx_http_optcache_module);

    if (!resp->tagged && olcf->tags == NULL && ctx->begun == NULL
        && (old == NULL || old->ntags == 0))
    {
        return NGX_OK;
    }

    if (ngx_http_optcache_tags_init(r, &tags) != NGX_OK) {
        return NGX_ERROR;
    }

    if (resp->tagged) {
        ngx_http_optcache_tags_fields(r, &tags);
    }

    if (olcf->tags) {
        ngx_http_optcache_tags_values(r, olcf->tags, &tags);
    }

    if (old && old->ntags) {
        ngx_http_optcache_tags_kept(r, old, &tags);
    }

    if (ctx->begun) {
        ngx_http_optcache_tags_push(&tags,
                                  ngx_http_optcache_tags_path(&ctx->path));
    }

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "optcache tags:%ui rc:%i", tags.numbers.nelts, tags.rc);

    e->tags = tags.numbers.elts;
    e->ntags = tags.numbers.nelts;

    return tags.rc;
}


/* The number of no tag that a response is likely to have. */

uint64_t
ngx_http_optcache_tags_path(ngx_str_t *uri)
{
    u_char     *p;
    uint64_t    tag;
    ngx_str_t   path;

    path = *uri;

    p = ngx_strlchr(path.data, path.data + path.len, '?');

    if (p) {
        path.len = p - path.data;
    }

    tag = ~ngx_optcache_mark_tag(&path);

    return tag ? tag : 1;
}


static ngx_int_t
ngx_http_optcache_tags_init(ngx_http_request_t *r,
    ngx_http_optcache_tags_t *tags)
{
    tags->found = 0;
    tags->rc = NGX_OK;

    return ngx_array_init(&tags->numbers, r->pool, 8, sizeof(uint64_t));
}


/*
 * What is hidden from the client counts.  Lines that are joined by commas are
 * one list, but words that are separated by spaces have to be read apart.
 */

static void
ngx_http_optcache_tags_fields(ngx_http_request_t *r,
    ngx_http_optcache_tags_t *tags)
{
    ngx_str_t  line;

    if (ngx_http_optcache_response_lines(r,
                                         ngx_http_optcache_tags_cache_groups,
                                         &line)
        != NGX_OK)
    {
        tags->rc = NGX_ERROR;
        return;
    }

    ngx_http_optcache_tags_groups(&line, tags);

    if (ngx_http_optcache_response_lines(r, "Cache-Tag", &line) != NGX_OK) {
        tags->rc = NGX_ERROR;
        return;
    }

    ngx_http_optcache_tags_split(&line, ',', tags);

    ngx_http_optcache_response_each(&r->headers_out.headers,
                                    ngx_http_optcache_tags_line, tags);

    if (!tags->found && r->upstream) {
        ngx_http_optcache_response_each(&r->upstream->headers_in.headers,
                                        ngx_http_optcache_tags_line, tags);
    }
}


static void
ngx_http_optcache_tags_values(ngx_http_request_t *r, ngx_array_t *values,
    ngx_http_optcache_tags_t *tags)
{
    ngx_str_t                  text;
    ngx_uint_t                 i;
    ngx_http_complex_value_t  *cv;

    cv = values->elts;

    for (i = 0; i < values->nelts; i++) {

        if (ngx_http_captures_value(r, &cv[i], &text) != NGX_OK) {
            tags->rc = NGX_ERROR;
            return;
        }

        ngx_http_optcache_tags_split(&text, ' ', tags);
    }
}


/*
 * RFC 9111, 3.2: the fields of a 304 take the place of those that are stored.
 * Where a tag has come from that no stored field has is not known: it stays.
 */

static void
ngx_http_optcache_tags_kept(ngx_http_request_t *r, ngx_optcache_entry_t *old,
    ngx_http_optcache_tags_t *tags)
{
    ngx_uint_t                i;
    ngx_http_optcache_tags_t  stored;

    if (ngx_http_optcache_tags_init(r, &stored) != NGX_OK) {
        tags->rc = NGX_ERROR;
        return;
    }

    ngx_http_optcache_tags_head(r, &old->head, &stored);

    if (stored.rc == NGX_ERROR) {
        tags->rc = NGX_ERROR;
        return;
    }

    for (i = 0; i < old->ntags; i++) {
        if (!ngx_http_optcache_tags_has(&stored, old->tags[i])) {
            ngx_http_optcache_tags_push(tags, old->tags[i]);
        }
    }
}


/* Those of the fields of an entry. */

static void
ngx_http_optcache_tags_head(ngx_http_request_t *r, ngx_str_t *head,
    ngx_http_optcache_tags_t *tags)
{
    u_char                *p, *last, *to;
    ngx_str_t              groups;
    ngx_table_elt_t        h;
    ngx_optcache_field_t   field;

    /* all lines of Cache-Groups and the commas between them are not longer */

    to = ngx_pnalloc(r->pool, head->len);
    if (to == NULL) {
        tags->rc = NGX_ERROR;
        return;
    }

    groups.data = to;

    p = head->data;
    last = p + head->len;

    while (p < last) {
        p = ngx_optcache_field_read(p, last, &field);

        if (p == NULL) {
            break;
        }

        h.key = field.name;

        if (!ngx_http_optcache_tags_field(&h)) {
            continue;
        }

        switch (field.name.len) {

        case sizeof("Cache-Tag") - 1:
            ngx_http_optcache_tags_split(&field.value, ',', tags);
            break;

        case sizeof("Surrogate-Key") - 1:
            ngx_http_optcache_tags_split(&field.value, ' ', tags);
            break;

        default: /* Cache-Groups */

            if (to != groups.data) {
                *to++ = ',';
            }

            to = ngx_cpymem(to, field.value.data, field.value.len);
            break;
        }
    }

    groups.len = to - groups.data;

    ngx_http_optcache_tags_groups(&groups, tags);
}


static void
ngx_http_optcache_tags_line(ngx_table_elt_t *h, void *data)
{
    ngx_http_optcache_tags_t *tags = data;

    if (ngx_http_optcache_response_is(h, "Surrogate-Key")) {
        tags->found = 1;
        ngx_http_optcache_tags_split(&h->value, ' ', tags);
    }
}


/* RFC 9875, 2: what is no list of strings is ignored. */

static void
ngx_http_optcache_tags_groups(ngx_str_t *text, ngx_http_optcache_tags_t *tags)
{
    ngx_int_t   rc;
    ngx_uint_t  n;

    rc = tags->rc;
    n = tags->numbers.nelts;

    if (text->len
        && ngx_http_rfc9651_strings(text, ngx_http_optcache_tags_group, tags)
           == NGX_ERROR)
    {
        tags->numbers.nelts = n;

        if (tags->rc == NGX_DECLINED) {
            tags->rc = rc;
        }
    }
}


static void
ngx_http_optcache_tags_group(ngx_str_t *text, void *data)
{
    ngx_http_optcache_tags_t *tags = data;

    u_char     group[2 * NGX_HTTP_OPTCACHE_TAG_MAX];
    ngx_str_t  tag;

    if (text->len > sizeof(group)) {
        ngx_http_optcache_tags_add(tags, text);
        return;
    }

    tag.data = group;
    tag.len = ngx_http_rfc9651_unescape(group, text) - group;

    ngx_http_optcache_tags_add(tags, &tag);
}


/* A tag has no white space around it. */

static void
ngx_http_optcache_tags_split(ngx_str_t *text, u_char by,
    ngx_http_optcache_tags_t *tags)
{
    u_char     *p, *last, *end;
    ngx_str_t   tag;

    p = text->data;
    last = p + text->len;

    while (p < last) {

        while (p < last && (*p == by || *p == ' ' || *p == '\t')) {
            p++;
        }

        tag.data = p;

        while (p < last && *p != by && (by != ' ' || *p != '\t')) {
            p++;
        }

        end = p;

        while (end > tag.data && (end[-1] == ' ' || end[-1] == '\t')) {
            end--;
        }

        tag.len = end - tag.data;

        ngx_http_optcache_tags_add(tags, &tag);
    }
}


static void
ngx_http_optcache_tags_add(ngx_http_optcache_tags_t *tags, ngx_str_t *tag)
{
    if (tag->len == 0) {
        return;
    }

    if (tag->len > NGX_HTTP_OPTCACHE_TAG_MAX) {

        if (tags->rc == NGX_OK) {
            tags->rc = NGX_DECLINED;
        }

        return;
    }

    ngx_http_optcache_tags_push(tags, ngx_optcache_mark_tag(tag));
}


static void
ngx_http_optcache_tags_push(ngx_http_optcache_tags_t *tags, uint64_t number)
{
    uint64_t  *to;

    if (tags->rc != NGX_OK || ngx_http_optcache_tags_has(tags, number)) {
        return;
    }

    if (tags->numbers.nelts == NGX_OPTCACHE_MARK_TAGS) {
        tags->rc = NGX_DECLINED;
        return;
    }

    to = ngx_array_push(&tags->numbers);
    if (to == NULL) {
        tags->rc = NGX_ERROR;
        return;
    }

    *to = number;
}


static ngx_uint_t
ngx_http_optcache_tags_has(ngx_http_optcache_tags_t *tags, uint64_t number)
{
    uint64_t    *numbers;
    ngx_uint_t   i;

    numbers = tags->numbers.elts;

    for (i = 0; i < tags->numbers.nelts; i++) {
        if (numbers[i] == number) {
            return 1;
        }
    }

    return 0;
}
