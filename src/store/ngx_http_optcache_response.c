
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_compat.h"
#include "ngx_http_optcache.h"
#include "ngx_http_optcache_response.h"


static void ngx_http_optcache_response_asked(ngx_table_elt_t *h, void *data);
static void ngx_http_optcache_response_field(ngx_table_elt_t *h, void *data);
static void ngx_http_optcache_response_upstream(ngx_table_elt_t *h,
    void *data);
static ngx_uint_t ngx_http_optcache_response_vary(ngx_str_t *value);
static void ngx_http_optcache_response_lifetime(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_http_optcache_response_t *resp);
static void ngx_http_optcache_response_type(ngx_http_request_t *r,
    ngx_http_optcache_response_t *resp);


ngx_int_t
ngx_http_optcache_response_read(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_http_optcache_response_t *resp)
{
    ngx_http_rfc9111_control_t     request;
    ngx_http_rfc9111_storage_t     storage;
    ngx_http_rfc9111_storage_e     reason;
    ngx_http_optcache_loc_conf_t  *olcf;

    ngx_memzero(resp, sizeof(ngx_http_optcache_response_t));

    ngx_http_rfc9111_control_init(&resp->freshness.cc);
    resp->freshness.date = -1;
    resp->freshness.expires = -1;
    resp->freshness.age = -1;

    ngx_http_optcache_response_each(&r->headers_out.headers,
                                    ngx_http_optcache_response_field, resp);

    if (r->upstream) {
        /* also what nginx does not pass on: Date, and what is hidden */
        ngx_http_optcache_response_each(&r->upstream->headers_in.headers,
                                   ngx_http_optcache_response_upstream, resp);
    }

    ngx_http_optcache_response_type(r, resp);

    if (resp->streaming || resp->invalid) {
        return NGX_DECLINED;
    }

    ngx_http_optcache_response_lifetime(r, ctx, resp);

    olcf = ngx_http_get_module_loc_conf(r, ngx_http_optcache_module);

    ngx_memzero(&storage, sizeof(ngx_http_rfc9111_storage_t));

    /* RFC 9111, 5.2.1.5: a client may ask that nothing be stored, too */

    ngx_http_rfc9111_control_init(&request);
    ngx_http_optcache_response_each(&r->headers_in.headers,
                                    ngx_http_optcache_response_asked,
                                    &request);

    storage.cc = resp->freshness.cc;
    storage.cc.no_store |= request.no_store;
    storage.status = r->headers_out.status;
    storage.lifetime = resp->lifetime - resp->age;
    storage.shared = ctx->key.shared;
    storage.authorization = (r->headers_in.authorization != NULL);
    storage.cookie = (olcf->user == NULL && ngx_http_compat_has_cookie(r));
    storage.set_cookie = resp->set_cookie;
    storage.vary = resp->vary;

    reason = ngx_http_rfc9111_storage(&storage);

    ngx_log_debug7(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "optcache verdict:%ui status:%ui shared:%d "
                   "authorization:%d vary:%d lifetime:%L age:%L",
                   (ngx_uint_t) reason, storage.status, storage.shared,
                   storage.authorization, storage.vary, resp->lifetime,
                   resp->age);

    return (reason == NGX_HTTP_RFC9111_STORE) ? NGX_OK : NGX_DECLINED;
}


void
ngx_http_optcache_response_each(ngx_list_t *headers,
    ngx_http_optcache_field_pt handler, void *data)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    for (part = &headers->part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (h[i].hash) {
                handler(&h[i], data);
            }
        }
    }
}


static void
ngx_http_optcache_response_asked(ngx_table_elt_t *h, void *data)
{
    ngx_http_rfc9111_control_t *request = data;

    if (ngx_optcache_field_id(&h->key) == NGX_OPTCACHE_FIELD_CACHE_CONTROL) {
        ngx_http_rfc9111_control_parse(&h->value, request);
    }
}


static void
ngx_http_optcache_response_field(ngx_table_elt_t *h, void *data)
{
    ngx_http_optcache_response_t *resp = data;

    ngx_optcache_field_t  field;

    field.name = h->key;
    field.value = h->value;

    switch (ngx_optcache_field_id(&h->key)) {

    case NGX_OPTCACHE_FIELD_CACHE_CONTROL:
        ngx_http_rfc9111_control_parse(&h->value, &resp->freshness.cc);
        break;

    case NGX_OPTCACHE_FIELD_EXPIRES:
        ngx_http_rfc9111_expires(&resp->freshness,
                                 ngx_parse_http_time(h->value.data,
                                                     h->value.len));
        break;

    case NGX_OPTCACHE_FIELD_VARY:
        resp->varies = 1;
        resp->vary |= ngx_http_optcache_response_vary(&h->value);
        break;

    case NGX_OPTCACHE_FIELD_DATE:
        resp->date = h->value;
        break;

    case NGX_OPTCACHE_FIELD_NEVER:

        if (ngx_http_optcache_response_is(h, "set-cookie")
            || ngx_http_optcache_response_is(h, "set-cookie2"))
        {
            resp->set_cookie = 1;

        } else if (ngx_http_optcache_response_is(h, "age")) {
            ngx_http_rfc9111_age(&resp->freshness, &h->value);
        }

        return;

    default:
        break;
    }

    if (h->key.len > NGX_OPTCACHE_NAME_MAX
        || !ngx_optcache_field_valid(&field))
    {
        resp->invalid = 1;
    }
}


static void
ngx_http_optcache_response_upstream(ngx_table_elt_t *h, void *data)
{
    ngx_http_optcache_response_t *resp = data;

    switch (ngx_optcache_field_id(&h->key)) {

    case NGX_OPTCACHE_FIELD_DATE:
        resp->date = h->value;
        break;

    /* what is hidden from the client by configuration is said all the same */

    case NGX_OPTCACHE_FIELD_CACHE_CONTROL:
    case NGX_OPTCACHE_FIELD_EXPIRES:
    case NGX_OPTCACHE_FIELD_VARY:
        ngx_http_optcache_response_field(h, data);
        break;

    case NGX_OPTCACHE_FIELD_NEVER:

        if (ngx_http_optcache_response_is(h, "set-cookie")
            || ngx_http_optcache_response_is(h, "set-cookie2"))
        {
            resp->set_cookie = 1;

        } else if (ngx_http_optcache_response_is(h, "age")) {
            ngx_http_rfc9111_age(&resp->freshness, &h->value);
        }

        break;

    default:
        break;
    }
}


ngx_uint_t
ngx_http_optcache_response_is(ngx_table_elt_t *h, const char *name)
{
    return h->key.len == ngx_strlen(name)
           && ngx_strncasecmp(h->key.data, (u_char *) name, h->key.len) == 0;
}


/* Whether a Vary field names anything but Accept-Encoding. */

static ngx_uint_t
ngx_http_optcache_response_vary(ngx_str_t *value)
{
    u_char  *p, *last, *name;

    p = value->data;
    last = p + value->len;

    while (p < last) {

        while (p < last && (*p == ' ' || *p == '\t' || *p == ',')) {
            p++;
        }

        name = p;

        while (p < last && *p != ',' && *p != ' ' && *p != '\t') {
            p++;
        }

        if (p != name
            && (p - name != sizeof("Accept-Encoding") - 1
                || ngx_strncasecmp(name, (u_char *) "Accept-Encoding",
                                   sizeof("Accept-Encoding") - 1)
                   != 0))
        {
            return 1;
        }
    }

    return 0;
}


static void
ngx_http_optcache_response_lifetime(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_http_optcache_response_t *resp)
{
    time_t                         now;
    ngx_http_optcache_loc_conf_t  *olcf;

    now = ngx_time();

    if (resp->date.len) {
        resp->freshness.date = ngx_parse_http_time(resp->date.data,
                                                   resp->date.len);
        /* NGX_ERROR is -1: no date */
    }

    resp->no_transform = resp->freshness.cc.no_transform;

    resp->age = ngx_http_rfc9111_initial_age(&resp->freshness, ctx->requested,
                                             now);

    resp->lifetime = ngx_http_rfc9111_lifetime(&resp->freshness,
                                               ctx->key.shared, now);
    if (resp->lifetime != -1) {
        return;
    }

    /* the response says nothing: what the configuration says counts from now */

    olcf = ngx_http_get_module_loc_conf(r, ngx_http_optcache_module);

    resp->lifetime = ngx_http_file_cache_valid(olcf->valid,
                                               r->headers_out.status);
    if (resp->lifetime) {
        resp->lifetime += resp->age;
    }
}


/* A stream of events has no end worth waiting for. */

static void
ngx_http_optcache_response_type(ngx_http_request_t *r,
    ngx_http_optcache_response_t *resp)
{
    static ngx_str_t  stream = ngx_string("text/event-stream");

    resp->streaming = r->headers_out.content_type.len >= stream.len
                      && ngx_strncasecmp(r->headers_out.content_type.data,
                                         stream.data, stream.len)
                         == 0;
}
