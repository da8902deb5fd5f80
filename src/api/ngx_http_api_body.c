
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_api_body.h"
#include "ngx_http_api_problem.h"


typedef struct {
    ngx_http_api_body_pt      handler;
    ngx_str_t                 text;      /* as far as it was read */
    size_t                    size;      /* room for it */
} ngx_http_api_body_t;


static ngx_uint_t ngx_http_api_body_is_json(ngx_http_request_t *r);
static ngx_http_api_body_t *ngx_http_api_body_create(ngx_http_request_t *r,
    ngx_http_api_body_pt handler);
static ngx_http_api_body_t *ngx_http_api_body_find(ngx_http_request_t *r);
static void ngx_http_api_body_cleanup(void *data);
static void ngx_http_api_body_begin(ngx_http_request_t *r);
static void ngx_http_api_body_read_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_api_body_more(ngx_http_request_t *r,
    ngx_http_api_body_t *body);
static ngx_int_t ngx_http_api_body_take(ngx_http_request_t *r,
    ngx_http_api_body_t *body);
static ngx_int_t ngx_http_api_body_copy(ngx_http_api_body_t *body,
    ngx_buf_t *b);
static ngx_int_t ngx_http_api_body_error(ngx_http_request_t *r, ngx_int_t rc);


ngx_int_t
ngx_http_api_body_read(ngx_http_request_t *r, ngx_http_api_body_pt handler)
{
    ngx_int_t  rc;

    if (!ngx_http_api_body_is_json(r)) {
        return ngx_http_api_problem(r, NGX_HTTP_UNSUPPORTED_MEDIA_TYPE,
                                    "Unsupported Media Type",
                                    "the body must be application/json");
    }

    if (r->headers_in.content_length_n > NGX_HTTP_API_BODY_MAX) {
        return ngx_http_api_body_error(r, NGX_HTTP_REQUEST_ENTITY_TOO_LARGE);
    }

    if (ngx_http_api_body_create(r, handler) == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    r->request_body_no_buffering = 1;

    rc = ngx_http_read_client_request_body(r, ngx_http_api_body_begin);

    if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
        return ngx_http_api_body_error(r, rc);
    }

    return NGX_DONE;
}


/* RFC 9110, 8.3.1: in any case, and with parameters, of which it knows none */

static ngx_uint_t
ngx_http_api_body_is_json(ngx_http_request_t *r)
{
    size_t      len;
    ngx_str_t  *type;

    static ngx_str_t  json = ngx_string("application/json");

    if (r->headers_in.content_type == NULL) {
        return 0;
    }

    type = &r->headers_in.content_type->value;

    if (type->len < json.len
        || ngx_strncasecmp(type->data, json.data, json.len) != 0)
    {
        return 0;
    }

    len = json.len;

    while (len < type->len
           && (type->data[len] == ' ' || type->data[len] == '\t'))
    {
        len++;
    }

    return len == type->len || type->data[len] == ';';
}


static ngx_http_api_body_t *
ngx_http_api_body_create(ngx_http_request_t *r, ngx_http_api_body_pt handler)
{
    ngx_pool_cleanup_t   *cln;
    ngx_http_api_body_t  *body;

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_api_body_t));
    if (cln == NULL) {
        return NULL;
    }

    body = cln->data;

    ngx_memzero(body, sizeof(ngx_http_api_body_t));

    body->handler = handler;
    body->size = NGX_HTTP_API_BODY_MAX;

    if (r->headers_in.content_length_n >= 0) {
        body->size = (size_t) r->headers_in.content_length_n;
    }

    body->text.data = ngx_pnalloc(r->pool, body->size);
    if (body->text.data == NULL) {
        return NULL;
    }

    cln->handler = ngx_http_api_body_cleanup;

    return body;
}


/* nginx hands over nothing but the request, whose context is the modules' */

static ngx_http_api_body_t *
ngx_http_api_body_find(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t  *cln;

    for (cln = r->pool->cleanup; cln; cln = cln->next) {
        if (cln->handler == ngx_http_api_body_cleanup) {
            return cln->data;
        }
    }

    return NULL;
}


/* there may be secrets in it */

static void
ngx_http_api_body_cleanup(void *data)
{
    ngx_http_api_body_t *body = data;

    ngx_explicit_memzero(body->text.data, body->text.len);
}


static void
ngx_http_api_body_begin(ngx_http_request_t *r)
{
    if (r->reading_body) {
        r->read_event_handler = ngx_http_api_body_read_handler;
    }

    ngx_http_api_body_read_handler(r);
}


static void
ngx_http_api_body_read_handler(ngx_http_request_t *r)
{
    ngx_int_t             rc;
    ngx_http_api_body_t  *body;

    body = ngx_http_api_body_find(r);

    if (body == NULL) {
        ngx_http_finalize_request(r, NGX_HTTP_INTERNAL_SERVER_ERROR);
        return;
    }

    rc = ngx_http_api_body_more(r, body);

    if (rc == NGX_AGAIN) {
        return;
    }

    r->read_event_handler = ngx_http_block_reading;

    if (rc == NGX_OK) {
        body->handler(r, &body->text);
        return;
    }

    ngx_http_finalize_request(r, ngx_http_api_body_error(r, rc));
}


/* NGX_OK when all is there, NGX_AGAIN, or the status of an error. */

static ngx_int_t
ngx_http_api_body_more(ngx_http_request_t *r, ngx_http_api_body_t *body)
{
    ngx_int_t  rc;

    for ( ;; ) {
        rc = ngx_http_api_body_take(r, body);

        if (rc != NGX_OK || !r->reading_body) {
            return rc;
        }

        rc = ngx_http_read_unbuffered_request_body(r);

        if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
            return rc;
        }

        if (rc == NGX_AGAIN && r->request_body->bufs == NULL) {
            return NGX_AGAIN;
        }
    }
}


/*
 * Copies what nginx has read.  A buffer that was taken is free to be read into
 * again; those of a body that was read for others are theirs.
 */

static ngx_int_t
ngx_http_api_body_take(ngx_http_request_t *r, ngx_http_api_body_t *body)
{
    ngx_int_t     rc;
    ngx_chain_t  *cl, *ln;

    if (r->request_body == NULL) {
        return NGX_OK;
    }

    for (cl = r->request_body->bufs; cl; cl = cl->next) {

        rc = ngx_http_api_body_copy(body, cl->buf);

        if (rc != NGX_OK) {
            return rc;
        }
    }

    if (!r->request_body_no_buffering) {
        return NGX_OK;
    }

    cl = r->request_body->bufs;
    r->request_body->bufs = NULL;

    while (cl) {
        cl->buf->pos = cl->buf->last;

        ln = cl;
        cl = cl->next;
        ngx_free_chain(r->pool, ln);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_api_body_copy(ngx_http_api_body_t *body, ngx_buf_t *b)
{
    off_t    size;
    u_char  *p;

    size = ngx_buf_size(b);

    if (size == 0) {
        return NGX_OK;
    }

    if (size > (off_t) (body->size - body->text.len)) {
        return NGX_HTTP_REQUEST_ENTITY_TOO_LARGE;
    }

    p = body->text.data + body->text.len;

    if (ngx_buf_in_memory(b)) {
        ngx_memcpy(p, b->pos, (size_t) size);

    } else if (ngx_read_file(b->file, p, (size_t) size, b->file_pos)
               != (ssize_t) size)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    body->text.len += (size_t) size;

    return NGX_OK;
}


/* What was not read yet is not read any more. */

static ngx_int_t
ngx_http_api_body_error(ngx_http_request_t *r, ngx_int_t rc)
{
    if (rc != NGX_HTTP_REQUEST_ENTITY_TOO_LARGE) {
        return rc;
    }

    r->keepalive = 0;
    r->lingering_close = 1;

    return ngx_http_api_problem(r, NGX_HTTP_REQUEST_ENTITY_TOO_LARGE,
                                "Content Too Large",
                                "the body is longer than 65536 bytes");
}
