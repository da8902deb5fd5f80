
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_no_vary_search.h"
#include "ngx_http_optcache_request.h"
#include "ngx_http_optcache_response.h"
#include "ngx_http_optcache_search.h"
#include "ngx_http_optcache_target.h"
#include "ngx_rare.h"
#include "ngx_text.h"


/* for how long a rule is kept at least, seconds */

#define NGX_HTTP_OPTCACHE_SEARCH_LIFETIME  86400


/* all lines of the field, joined by commas */

typedef struct {
    ngx_str_t                 value;
    size_t                    len;
    u_char                    buf[NGX_HTTP_OPTCACHE_SEARCH_MAX];
} ngx_http_optcache_search_lines_t;


static ngx_rare ngx_int_t ngx_http_optcache_search_begin(
    ngx_http_request_t *r, ngx_http_optcache_ctx_t *ctx);
static void ngx_http_optcache_search_enter(ngx_http_request_t *r,
    ngx_http_optcache_begun_t *begun, ngx_http_optcache_begun_t *now);
static void ngx_http_optcache_search_leave(ngx_http_request_t *r,
    ngx_http_optcache_begun_t *now);
static ngx_int_t ngx_http_optcache_search_known(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx);
static ngx_int_t ngx_http_optcache_search_lookup(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_optcache_key_t *key,
    ngx_optcache_entry_t *e);
static ngx_int_t ngx_http_optcache_search_move(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_str_t *rule);
static ngx_int_t ngx_http_optcache_search_keys(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_str_t *rule, ngx_optcache_key_t *key,
    ngx_optcache_key_t *known);
static void ngx_http_optcache_search_line(ngx_table_elt_t *h, void *data);
static ngx_int_t ngx_http_optcache_search_rule_key(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_optcache_key_t *key);
static ngx_int_t ngx_http_optcache_search_key(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_str_t *rule, ngx_optcache_key_t *key);
static ngx_int_t ngx_http_optcache_search_plain(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_optcache_key_t *key);
static ngx_int_t ngx_http_optcache_search_user(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_optcache_user_t *user);
static ngx_int_t ngx_http_optcache_search_store(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_optcache_key_t *key, ngx_str_t *rule);


static ngx_str_t  ngx_http_optcache_search_name = ngx_string("No-Vary-Search");


ngx_often ngx_int_t
ngx_http_optcache_search_select(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx)
{
    ngx_int_t                  rc;
    ngx_http_optcache_begun_t  now;

    if (!ctx->conf->no_vary_search
        || ngx_http_optcache_request_moved(r, ctx->conf)
        || ctx->body.len)
    {
        return NGX_OK;
    }

    if (ctx->begun == NULL && ngx_http_optcache_search_begin(r, ctx) != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_http_optcache_search_enter(r, ctx->begun, &now);

    rc = ngx_http_optcache_search_known(r, ctx);

    ngx_http_optcache_search_leave(r, &now);

    return (rc == NGX_ERROR) ? NGX_ERROR : NGX_OK;
}


/* NGX_DECLINED: no rule is known, or none that says anything of it. */

static ngx_int_t
ngx_http_optcache_search_known(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx)
{
    ngx_int_t              rc;
    ngx_optcache_key_t     key;
    ngx_optcache_entry_t   e;
    ngx_optcache_field_t   field;

    rc = ngx_http_optcache_search_rule_key(r, ctx, &key);

    if (rc == NGX_OK) {
        rc = ngx_http_optcache_search_lookup(r, ctx, &key, &e);
    }

    if (rc == NGX_OK
        && ngx_optcache_field_read(e.head.data, e.head.data + e.head.len,
                                   &field)
           == NULL)
    {
        rc = NGX_DECLINED;
    }

    if (rc == NGX_OK) {
        rc = ngx_http_optcache_search_key(r, ctx, &field.value, &key);
    }

    if (rc != NGX_OK) {
        return rc;
    }

    ctx->rule = field.value;
    ctx->key = key;
    ctx->base = key.identity;

    return NGX_OK;
}


/*
 * By the rule of a response its key is made once more.  By then a subrequest
 * may have set a variable, or a regular expression have matched something else:
 * it is to be of the same user and of the same target.
 */

static ngx_int_t
ngx_http_optcache_search_begin(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx)
{
    ngx_http_optcache_begun_t  *begun;

    begun = ngx_palloc(r->pool, sizeof(ngx_http_optcache_begun_t));
    if (begun == NULL) {
        return NGX_ERROR;
    }

    begun->variables = ngx_http_captures_variables(r);
    if (begun->variables == NULL) {
        return NGX_ERROR;
    }

    /* what is matched from now on is not written to these */

    if (ngx_http_captures_keep(r, &begun->captures) != NGX_OK) {
        return NGX_ERROR;
    }

    ctx->begun = begun;

    return NGX_OK;
}


static void
ngx_http_optcache_search_enter(ngx_http_request_t *r,
    ngx_http_optcache_begun_t *begun, ngx_http_optcache_begun_t *now)
{
    now->variables = r->variables;
    r->variables = begun->variables;

    ngx_http_captures_save(r, &now->captures);
    ngx_http_captures_back(r, &begun->captures);
}


static void
ngx_http_optcache_search_leave(ngx_http_request_t *r,
    ngx_http_optcache_begun_t *now)
{
    ngx_http_captures_back(r, &now->captures);
    r->variables = now->variables;
}


/* The rule of the user's own responses, or of those that all share. */

static ngx_int_t
ngx_http_optcache_search_lookup(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_optcache_key_t *key,
    ngx_optcache_entry_t *e)
{
    ngx_int_t  rc;

    ngx_memzero(e, sizeof(ngx_optcache_entry_t));

    rc = ngx_optcache_l1_lookup(ctx->zone, &key->identity, r->pool, e);

    if (rc != NGX_DECLINED || key->shared || !ctx->conf->share_public) {
        return rc;
    }

    if (ngx_optcache_key_share(r->pool, key) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_optcache_l1_lookup(ctx->zone, &key->identity, r->pool, e);
}


ngx_int_t
ngx_http_optcache_search_respond(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_uint_t merged)
{
    ngx_http_optcache_search_lines_t  lines;

    if (ctx->begun == NULL) {
        return NGX_OK;
    }

    ngx_memzero(&lines.value, sizeof(ngx_str_t));
    lines.len = 0;

    ngx_http_optcache_response_each(&r->headers_out.headers,
                                    ngx_http_optcache_search_line, &lines);

    if (lines.value.data == NULL && r->upstream) {
        /* hidden from the client */
        ngx_http_optcache_response_each(&r->upstream->headers_in.headers,
                                        ngx_http_optcache_search_line, &lines);
    }

    if (lines.value.data == NULL && merged) {
        /* it is hidden from the client, and not stored */
        return NGX_OK;
    }

    if (lines.len > NGX_HTTP_OPTCACHE_SEARCH_MAX) {
        lines.value.len = 0;
    }

    if (lines.value.len == ctx->rule.len
        && (ctx->rule.len == 0
            || ngx_memcmp(lines.value.data, ctx->rule.data, ctx->rule.len)
               == 0))
    {
        return NGX_OK;
    }

    return ngx_http_optcache_search_move(r, ctx, &lines.value);
}


/* To where what has this rule is stored, and the rule beside it. */

static ngx_int_t
ngx_http_optcache_search_move(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_str_t *rule)
{
    ngx_int_t                  rc;
    ngx_optcache_key_t         key, known;
    ngx_http_optcache_begun_t  now;

    ngx_http_optcache_search_enter(r, ctx->begun, &now);

    rc = ngx_http_optcache_search_keys(r, ctx, rule, &key, &known);

    ngx_http_optcache_search_leave(r, &now);

    if (rc != NGX_OK) {
        return rc;
    }

    if (ctx->key.shared
        && (ngx_optcache_key_share(r->pool, &key) != NGX_OK
            || ngx_optcache_key_share(r->pool, &known) != NGX_OK))
    {
        return NGX_ERROR;
    }

    if (ngx_http_optcache_search_store(r, ctx, &known, rule) != NGX_OK) {
        return NGX_ERROR;
    }

    ctx->key = key;
    ctx->base = key.identity;
    ngx_str_null(&ctx->vary);

    return NGX_OK;
}


/* Of a rule that cannot be read, none is left. */

static ngx_int_t
ngx_http_optcache_search_keys(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_str_t *rule, ngx_optcache_key_t *key,
    ngx_optcache_key_t *known)
{
    ngx_int_t  rc;

    rc = ngx_http_optcache_search_key(r, ctx, rule, key);

    if (rc == NGX_DECLINED) {
        rule->len = 0;
        rc = ngx_http_optcache_search_key(r, ctx, rule, key);
    }

    return (rc == NGX_OK) ? ngx_http_optcache_search_rule_key(r, ctx, known)
                          : rc;
}


static void
ngx_http_optcache_search_line(ngx_table_elt_t *h, void *data)
{
    ngx_http_optcache_search_lines_t *lines = data;

    if (!ngx_http_optcache_response_is(h, "No-Vary-Search")
        || lines->len > NGX_HTTP_OPTCACHE_SEARCH_MAX)
    {
        return;
    }

    if (lines->value.data == NULL) {
        lines->value.data = lines->buf;

    } else if (lines->len < NGX_HTTP_OPTCACHE_SEARCH_MAX) {
        lines->buf[lines->len++] = ',';
    }

    if (h->value.len > NGX_HTTP_OPTCACHE_SEARCH_MAX - lines->len) {
        lines->len = NGX_HTTP_OPTCACHE_SEARCH_MAX + 1;
        return;
    }

    (void) ngx_text_copy(lines->buf + lines->len, &h->value);

    lines->len += h->value.len;
    lines->value.len = lines->len;
}


/* Where the rule of the request's path is stored. */

static ngx_int_t
ngx_http_optcache_search_rule_key(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_optcache_key_t *key)
{
    u_char                           *p;
    ngx_str_t                         path;
    ngx_http_optcache_target_rule_t   rule;

    path = r->unparsed_uri;

    p = ngx_strlchr(path.data, path.data + path.len, '?');

    if (p) {
        path.len = p - path.data;
    }

    if (ngx_http_optcache_search_user(r, ctx, &rule.user) != NGX_OK) {
        return NGX_ERROR;
    }

    rule.kind = NGX_OPTCACHE_KEY_RULE;
    ngx_str_null(&rule.text);

    return ngx_http_optcache_target_key(r, ctx->conf, &path, &rule, key);
}


/* The key of the request by a rule; by none, as it would be without. */

static ngx_int_t
ngx_http_optcache_search_key(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_str_t *text, ngx_optcache_key_t *key)
{
    ngx_int_t                         rc;
    ngx_str_t                         target;
    ngx_http_no_vary_search_t        *nvs;
    ngx_http_optcache_target_rule_t   rule;

    if (text->len == 0) {
        return ngx_http_optcache_search_plain(r, ctx, key);
    }

    nvs = ngx_palloc(r->pool, sizeof(ngx_http_no_vary_search_t));
    if (nvs == NULL) {
        return NGX_ERROR;
    }

    rc = ngx_http_no_vary_search_parse(r->pool, text, nvs);

    if (rc == NGX_OK) {
        rc = ngx_http_no_vary_search_target(r->pool, &r->unparsed_uri, nvs,
                                            &target);
    }

    if (rc != NGX_OK) {
        return rc;
    }

    if (ngx_http_optcache_search_user(r, ctx, &rule.user) != NGX_OK) {
        return NGX_ERROR;
    }

    rule.kind = NGX_OPTCACHE_KEY_SEARCH;
    rule.text = *text;

    return ngx_http_optcache_target_key(r, ctx->conf, &target, &rule, key);
}


/* That of a client's request, also in the update behind its back. */

static ngx_int_t
ngx_http_optcache_search_plain(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_optcache_key_t *key)
{
    ngx_str_t                       value;
    ngx_optcache_user_t             user;
    ngx_http_optcache_main_conf_t  *omcf;

    omcf = ngx_http_get_module_main_conf(r, ngx_http_optcache_module);

    if (ngx_http_optcache_search_user(r, ctx, &user) != NGX_OK
        || ngx_http_optcache_value(r, ctx->conf->key ? ctx->conf->key
                                                     : &omcf->key,
                                   &value)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_optcache_key_create(r->pool, &user, NGX_OPTCACHE_KEY_MAIN, NULL,
                                   &value, key);
}


static ngx_int_t
ngx_http_optcache_search_user(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_optcache_user_t *user)
{
    ngx_http_optcache_value_t      *value;
    ngx_http_optcache_main_conf_t  *omcf;

    omcf = ngx_http_get_module_main_conf(r, ngx_http_optcache_module);

    value = ctx->conf->user ? ctx->conf->user : &omcf->user;
    user->source = value->digest;

    return ngx_http_optcache_value_user(r, value, &user->value);
}


/* Not in Redis: another host learns it from its own upstream. */

static ngx_int_t
ngx_http_optcache_search_store(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_optcache_key_t *key, ngx_str_t *rule)
{
    ngx_optcache_entry_t  e;
    ngx_optcache_field_t  field;

    if (rule->len == 0) {
        ngx_optcache_l1_remove(ctx->zone, &key->identity);
        return NGX_OK;
    }

    field.id = NGX_OPTCACHE_FIELD_OTHER;
    field.name = ngx_http_optcache_search_name;
    field.value = *rule;

    ngx_memzero(&e, sizeof(ngx_optcache_entry_t));

    e.head.len = ngx_optcache_field_size(&field);
    e.head.data = ngx_pnalloc(r->pool, e.head.len);

    if (e.head.data == NULL) {
        return NGX_ERROR;
    }

    (void) ngx_optcache_field_write(e.head.data, &field);

    e.key = key->identity;
    e.date = ngx_time();
    e.last_modified = -1;
    e.lifetime = NGX_HTTP_OPTCACHE_SEARCH_LIFETIME;

    (void) ngx_optcache_l1_store(ctx->zone, &e);

    return NGX_OK;
}
