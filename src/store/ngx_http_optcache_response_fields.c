
/*
 * Copyright (C) The Optcache authors
 */


/* What the fields of a response say: those sent, and those that are not. */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_optcache_head.h"
#include "ngx_http_optcache_response.h"
#include "ngx_http_optcache_tags.h"
#include "ngx_http_rfc9111_recall.h"
#include "ngx_rare.h"


static ngx_often void ngx_http_optcache_response_field(ngx_table_elt_t *h,
    void *data);
static ngx_uint_t ngx_http_optcache_response_digest(ngx_table_elt_t *h);
static ngx_often void ngx_http_optcache_response_never(ngx_table_elt_t *h,
    ngx_http_optcache_response_t *resp);
static void ngx_http_optcache_response_hidden(ngx_http_request_t *r,
    ngx_http_optcache_response_t *resp);
static void ngx_http_optcache_response_upstream(ngx_http_request_t *r,
    ngx_http_optcache_response_t *resp, ngx_table_elt_t *h);
static ngx_rare void ngx_http_optcache_response_kept_back(
    ngx_http_optcache_response_t *resp, ngx_table_elt_t *h);
static void ngx_http_optcache_response_ignored(
    ngx_http_optcache_response_t *resp, ngx_table_elt_t *h);


void
ngx_http_optcache_response_fields(ngx_http_request_t *r,
    ngx_http_optcache_response_t *resp)
{
    ngx_http_optcache_response_each(&r->headers_out.headers,
                                    ngx_http_optcache_response_field, resp);

    if (r->upstream) {
        ngx_http_optcache_response_hidden(r, resp);
    }
}


static void
ngx_http_optcache_response_field(ngx_table_elt_t *h, void *data)
{
    ngx_http_optcache_response_t *resp = data;

    ngx_optcache_field_e                 id;
    ngx_optcache_field_t                 field;
    ngx_http_optcache_response_field_t  *known;

    id = ngx_optcache_field_id(&h->key);

    if (resp->nfields < NGX_HTTP_OPTCACHE_RESPONSE_FIELDS) {
        known = &resp->fields[resp->nfields++];
        known->header = h;
        known->id = id;
    }

    switch (id) {

    case NGX_OPTCACHE_FIELD_CACHE_CONTROL:

        if (resp->controlled) {
            ngx_http_rfc9111_control_parse(&h->value, &resp->freshness.cc);

        } else {
            resp->controlled = 1;
            ngx_http_rfc9111_recall(&h->value, &resp->freshness.cc);
        }

        break;

    case NGX_OPTCACHE_FIELD_EXPIRES:
        ngx_http_rfc9111_expires(&resp->freshness, &h->value);
        break;

    case NGX_OPTCACHE_FIELD_LAST_MODIFIED:
    case NGX_OPTCACHE_FIELD_ETAG:
        resp->validator = 1;
        break;

    case NGX_OPTCACHE_FIELD_VARY:
        resp->varies = 1;
        ngx_http_rfc9111_vary_parse(&h->value, &resp->vary);
        break;

    case NGX_OPTCACHE_FIELD_DATE:
        resp->date = h->value;
        break;

    case NGX_OPTCACHE_FIELD_SET_COOKIE:

        if (resp->merged && h->value.len == 0) {
            /* of what is stored: the cookie was another response's */
            resp->marked = 1;

        } else {
            resp->set_cookie = 1;
        }

        break;

    case NGX_OPTCACHE_FIELD_CONTENT_RANGE:
        resp->part = 1;
        break;

    case NGX_OPTCACHE_FIELD_NEVER:
        ngx_http_optcache_response_never(h, resp);
        return;

    default:
        if (ngx_http_optcache_response_is(h, "Pragma")
            && ngx_http_rfc9111_pragma(&h->value))
        {
            resp->freshness.pragma = 1;
        }

        resp->targeted |= ngx_http_optcache_targeted(h);
        resp->tagged |= ngx_http_optcache_tags_field(h);
        resp->digest |= ngx_http_optcache_response_digest(h);

        field.name = h->key;
        field.value = h->value;

        if (h->key.len > NGX_OPTCACHE_NAME_MAX
            || !ngx_optcache_field_valid(&field))
        {
            resp->invalid = 1;
        }

        return;
    }

    if (!ngx_optcache_field_valid_value(&h->value)) {
        resp->invalid = 1;
    }
}


/* RFC 9530: a digest of what has a coding is another one. */

static ngx_uint_t
ngx_http_optcache_response_digest(ngx_table_elt_t *h)
{
    switch (h->key.len) {

    case sizeof("Content-Digest") - 1:
        return ngx_http_optcache_response_is(h, "Content-Digest");

    case sizeof("Repr-Digest") - 1:     /* and that of Content-MD5 */
        return ngx_http_optcache_response_is(h, "Repr-Digest")
               || ngx_http_optcache_response_is(h, "Content-MD5");

    case sizeof("Digest") - 1:
        return ngx_http_optcache_response_is(h, "Digest");

    default:
        return 0;
    }
}


/* What is never stored may say something all the same. */

static void
ngx_http_optcache_response_never(ngx_table_elt_t *h,
    ngx_http_optcache_response_t *resp)
{
    switch (h->key.len) {

    case sizeof("Age") - 1:

        if (ngx_http_optcache_response_is(h, "Age")) {
            ngx_http_rfc9111_age(&resp->freshness, &h->value);
        }

        break;

    case sizeof("X-Cache") - 1:
        resp->x_cache |= ngx_http_optcache_response_is(h, "X-Cache");
        break;

    case sizeof("Connection") - 1:
        resp->hops |= ngx_http_optcache_head_names(h);
        break;

    default:
        break;
    }
}


/*
 * Also what nginx does not pass on counts: Date, and what is hidden.  It keeps
 * the order, so a line that is passed on, and has been read, is the next one.
 */

static void
ngx_http_optcache_response_hidden(ngx_http_request_t *r,
    ngx_http_optcache_response_t *resp)
{
    ngx_uint_t        given;
    ngx_list_part_t  *part, *passed;
    ngx_table_elt_t  *h, *last, *out, *end;

    passed = &r->headers_out.headers.part;
    given = resp->given->n;

    while (ngx_rarely(given > passed->nelts) && passed->next) {
        given -= passed->nelts;
        passed = passed->next;
    }

    out = passed->elts;
    end = out + passed->nelts;
    out += ngx_min(given, passed->nelts);

    for (part = &r->upstream->headers_in.headers.part;
         part;
         part = part->next)
    {
        h = part->elts;
        last = h + part->nelts;

        for ( /* void */ ; h < last; h++) {

            while (out == end && passed->next) {
                passed = passed->next;
                out = passed->elts;
                end = out + passed->nelts;
            }

            if (out != end && out->key.data == h->key.data) {
                out++;

                if (out[-1].hash
                    && out[-1].value.data == h->value.data
                    && out[-1].value.len == h->value.len)
                {
                    continue;
                }
            }

            if (h->hash) {
                ngx_http_optcache_response_upstream(r, resp, h);

            } else {
                ngx_http_optcache_response_ignored(resp, h);
            }
        }
    }
}


static void
ngx_http_optcache_response_upstream(ngx_http_request_t *r,
    ngx_http_optcache_response_t *resp, ngx_table_elt_t *h)
{
    ngx_http_upstream_headers_in_t  *in;

    in = &r->upstream->headers_in;

    /* most of what is not passed on, and says nothing here */

    if (h == in->server || h == in->content_type || h == in->content_length) {
        return;
    }

    if (h == in->date) {
        resp->date = h->value;
        return;
    }

    if (h == in->connection) {
        resp->hops |= ngx_http_optcache_head_names(h);
        return;
    }

    ngx_http_optcache_response_kept_back(resp, h);
}


/* What is neither passed on nor among those that mostly are not. */

static void
ngx_http_optcache_response_kept_back(ngx_http_optcache_response_t *resp,
    ngx_table_elt_t *h)
{
    switch (ngx_optcache_field_id(&h->key)) {

    case NGX_OPTCACHE_FIELD_DATE:
        resp->date = h->value;
        break;

    /* what is hidden from the client by configuration is said all the same */

    case NGX_OPTCACHE_FIELD_CACHE_CONTROL:
        resp->hidden = 1;
        /* fall through */

    case NGX_OPTCACHE_FIELD_EXPIRES:
        ngx_http_optcache_response_field(h, resp);
        break;

    case NGX_OPTCACHE_FIELD_VARY:
        resp->vary_hidden = 1;
        ngx_http_optcache_response_field(h, resp);
        break;

    case NGX_OPTCACHE_FIELD_SET_COOKIE:
        resp->set_cookie = 1;
        break;

    case NGX_OPTCACHE_FIELD_NEVER:
        ngx_http_optcache_response_never(h, resp);
        break;

    case NGX_OPTCACHE_FIELD_OTHER:
        if (ngx_http_optcache_targeted(h)) {
            resp->targeted = 1;
            resp->hidden = 1;
            resp->marked = 1;
        }

        resp->tagged |= ngx_http_optcache_tags_field(h);
        break;

    default:
        break;
    }
}


/*
 * Of several lines of one name nginx 1.23 and newer takes the first, and lets
 * nobody have the others.  What contradicts itself is stale (RFC 9111, 4.2.1),
 * whatever the version.
 */

static void
ngx_http_optcache_response_ignored(ngx_http_optcache_response_t *resp,
    ngx_table_elt_t *h)
{
    switch (ngx_optcache_field_id(&h->key)) {

    case NGX_OPTCACHE_FIELD_EXPIRES:
        ngx_http_rfc9111_expires(&resp->freshness, &h->value);
        break;

    case NGX_OPTCACHE_FIELD_LAST_MODIFIED:
        ngx_http_rfc9111_last_modified(&resp->freshness, &h->value);
        break;

    case NGX_OPTCACHE_FIELD_DATE:
        resp->date = h->value;
        break;

    default:
        break;
    }
}
