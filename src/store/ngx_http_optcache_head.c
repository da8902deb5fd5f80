
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_optcache.h"
#include "ngx_http_optcache_head.h"
#include "ngx_rare.h"


typedef struct {
    ngx_str_t                    *name;
    ngx_uint_t                    found;
} ngx_http_optcache_hop_t;

typedef struct {
    ngx_http_request_t           *request;
    ngx_http_optcache_response_t *response;
    u_char                       *p;
    ngx_uint_t                    n;              /* fields that were seen */
} ngx_http_optcache_head_t;


static size_t ngx_http_optcache_head_size(ngx_list_t *headers);
static void ngx_http_optcache_head_made(ngx_http_optcache_head_t *head,
    ngx_str_t *type, ngx_str_t *date);
static void ngx_http_optcache_head_field(ngx_table_elt_t *h, void *data);
static ngx_optcache_field_e ngx_http_optcache_head_id(
    ngx_http_optcache_head_t *head, ngx_table_elt_t *h);
static ngx_int_t ngx_http_optcache_head_type(ngx_http_request_t *r,
    ngx_http_optcache_given_t *given, ngx_str_t *type);
static ngx_rare ngx_int_t ngx_http_optcache_head_own(ngx_http_request_t *r,
    ngx_http_optcache_given_t *given, ngx_str_t *type);
static ngx_uint_t ngx_http_optcache_head_hop(ngx_http_request_t *r,
    ngx_str_t *name);
static void ngx_http_optcache_head_connection(ngx_table_elt_t *h, void *data);
static ngx_uint_t ngx_http_optcache_head_listed(ngx_str_t *list,
    ngx_str_t *name);
static void ngx_http_optcache_head_everybodys(ngx_table_elt_t *h, void *data);
static u_char *ngx_http_optcache_head_item(u_char *p, u_char *last,
    ngx_str_t *item);


ngx_int_t
ngx_http_optcache_head_write(ngx_http_request_t *r,
    ngx_http_optcache_response_t *resp, ngx_str_t *head)
{
    size_t                    size;
    ngx_str_t                 type, made;
    ngx_http_optcache_head_t  h;

    if (ngx_http_optcache_head_type(r, resp->given, &type) != NGX_OK) {
        return NGX_ERROR;
    }

    /* RFC 9110, 6.6.1: a Date stays as the origin sent it */

    if (resp->date.len) {
        made = resp->date;

    } else {
        made.data = ngx_cached_http_time.data;
        made.len = ngx_cached_http_time.len;
    }

    size = 4 * NGX_OPTCACHE_FIELD_HEADER
           + sizeof("Date") - 1 + made.len
           + sizeof("Content-Type") - 1 + type.len
           + sizeof("Set-Cookie") - 1
           + sizeof("Server") - 1
           + ngx_http_optcache_head_size(&r->headers_out.headers);

    head->data = ngx_pnalloc(r->pool, size);

    if (head->data == NULL) {
        return NGX_ERROR;
    }

    h.request = r;
    h.response = resp;
    h.p = head->data;
    h.n = 0;

    ngx_http_optcache_head_made(&h, &type, &made);
    ngx_http_optcache_response_behind(&r->headers_out.headers, resp->given->n,
                                      ngx_http_optcache_head_field, &h);

    head->len = h.p - head->data;

    return NGX_OK;
}


/* What the fields may take; not all are stored. */

static size_t
ngx_http_optcache_head_size(ngx_list_t *headers)
{
    size_t            size;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h, *last;

    size = 0;

    for (part = &headers->part; part; part = part->next) {
        h = part->elts;
        last = h + part->nelts;

        for ( /* void */ ; h < last; h++) {
            size += NGX_OPTCACHE_FIELD_HEADER + h->key.len + h->value.len;
        }
    }

    return size;
}


static void
ngx_http_optcache_head_made(ngx_http_optcache_head_t *head, ngx_str_t *type,
    ngx_str_t *date)
{
    ngx_optcache_field_t  field;

    field.id = NGX_OPTCACHE_FIELD_DATE;
    ngx_str_set(&field.name, "Date");
    field.value = *date;

    head->p = ngx_optcache_field_write(head->p, &field);

    field.id = NGX_OPTCACHE_FIELD_CONTENT_TYPE;
    ngx_str_set(&field.name, "Content-Type");
    field.value = *type;

    if (type->len
        && !ngx_http_optcache_response_omits(head->response, &field.name))
    {
        head->p = ngx_optcache_field_write(head->p, &field);
    }

    if ((head->response->set_cookie || head->response->marked)
        && head->response->shared)
    {
        /* it was for some clients: an empty one tells, and is never sent */

        field.id = NGX_OPTCACHE_FIELD_SET_COOKIE;
        ngx_str_set(&field.name, "Set-Cookie");
        ngx_str_null(&field.value);

        head->p = ngx_optcache_field_write(head->p, &field);
    }

    if (ngx_rarely(head->request->headers_out.server != NULL)
        && (head->request->headers_out.server->hash == 0
            || head->request->headers_out.server->value.len == 0))
    {
        /* proxy_pass_header: nginx says none of its own if there is none */

        field.id = NGX_OPTCACHE_FIELD_SERVER;
        ngx_str_set(&field.name, "Server");
        ngx_str_null(&field.value);

        head->p = ngx_optcache_field_write(head->p, &field);
    }
}


static void
ngx_http_optcache_head_field(ngx_table_elt_t *h, void *data)
{
    ngx_http_optcache_head_t *head = data;

    ngx_optcache_field_t  field;

    field.id = ngx_http_optcache_head_id(head, h);
    field.name = h->key;
    field.value = h->value;

    switch (field.id) {

    case NGX_OPTCACHE_FIELD_NEVER:
    case NGX_OPTCACHE_FIELD_DATE:
    case NGX_OPTCACHE_FIELD_CONTENT_TYPE:
        return;

    case NGX_OPTCACHE_FIELD_SET_COOKIE:

        if (!head->response->keep_cookie || field.value.len == 0) {
            return;
        }

        break;

    case NGX_OPTCACHE_FIELD_SERVER:

        if (field.value.len == 0) {
            return;
        }

        break;

    case NGX_OPTCACHE_FIELD_LOCATION:

        if (h != head->request->headers_out.location) {
            field.id = NGX_OPTCACHE_FIELD_OTHER;
        }

        break;

    default:
        break;
    }

    /* RFC 9111, 3.1: fields that Connection names are of that hop alone */

    if ((ngx_rarely(head->response->hops)
         && ngx_http_optcache_head_hop(head->request, &field.name))
        || ngx_http_optcache_response_omits(head->response, &field.name))
    {
        return;
    }

    head->p = ngx_optcache_field_write(head->p, &field);
}


/* They have been read in this order, unless a variable has changed them. */

static ngx_optcache_field_e
ngx_http_optcache_head_id(ngx_http_optcache_head_t *head, ngx_table_elt_t *h)
{
    ngx_uint_t                     n;
    ngx_http_optcache_response_t  *resp;

    n = head->n++;
    resp = head->response;

    return (n < resp->nfields && resp->fields[n].header == h)
           ? resp->fields[n].id : ngx_optcache_field_id(&h->key);
}


/* nginx keeps the charset apart from the type. */

static ngx_int_t
ngx_http_optcache_head_type(ngx_http_request_t *r,
    ngx_http_optcache_given_t *given, ngx_str_t *type)
{
    u_char  *p;

    *type = r->headers_out.content_type;

    if (ngx_rarely(given->type.len) && type->data == given->type.data) {
        return ngx_http_optcache_head_own(r, given, type);
    }

    if (type->len == 0
        || r->headers_out.charset.len == 0
        || r->headers_out.charset.data == given->charset.data
        || r->headers_out.content_type_len != type->len)
    {
        return NGX_OK;
    }

    p = ngx_pnalloc(r->pool, type->len + sizeof("; charset=") - 1
                             + r->headers_out.charset.len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    type->data = p;

    p = ngx_cpymem(p, r->headers_out.content_type.data,
                   r->headers_out.content_type.len);
    p = ngx_cpymem(p, "; charset=", sizeof("; charset=") - 1);
    p = ngx_cpymem(p, r->headers_out.charset.data, r->headers_out.charset.len);

    type->len = p - type->data;

    return NGX_OK;
}


/* What no upstream says has one by the URI, had nobody brought another. */

static ngx_int_t
ngx_http_optcache_head_own(ngx_http_request_t *r,
    ngx_http_optcache_given_t *given, ngx_str_t *type)
{
    ngx_int_t  rc;

    ngx_str_null(type);

    if (r->upstream != given->upstream) {
        return NGX_OK;
    }

    ngx_str_null(&r->headers_out.content_type);

    rc = ngx_http_set_content_type(r);

    *type = r->headers_out.content_type;

    r->headers_out.content_type = given->type;
    r->headers_out.content_type_len = given->type_len;
    r->headers_out.content_type_lowcase = NULL;

    return rc;
}


/* Keep-Alive is never stored, and Close is no field (RFC 9110, 18.4). */

ngx_often ngx_uint_t
ngx_http_optcache_head_names(ngx_table_elt_t *h)
{
    if (!ngx_http_optcache_response_is(h, "Connection")) {
        return 0;
    }

    if (h->value.len == sizeof("close") - 1
        && ngx_strncasecmp(h->value.data, (u_char *) "close", h->value.len)
           == 0)
    {
        return 0;
    }

    if (h->value.len == sizeof("keep-alive") - 1
        && (ngx_memcmp(h->value.data, "keep-alive", h->value.len) == 0
            || ngx_strncasecmp(h->value.data, (u_char *) "keep-alive",
                               h->value.len)
               == 0))
    {
        return 0;
    }

    return 1;
}


static ngx_uint_t
ngx_http_optcache_head_hop(ngx_http_request_t *r, ngx_str_t *name)
{
    ngx_http_optcache_hop_t  hop;

    if (r->upstream == NULL) {
        return 0;
    }

    hop.name = name;
    hop.found = 0;

    ngx_http_optcache_response_each(&r->upstream->headers_in.headers,
                                    ngx_http_optcache_head_connection, &hop);
    return hop.found;
}


/* There may be several Connection fields. */

static void
ngx_http_optcache_head_connection(ngx_table_elt_t *h, void *data)
{
    ngx_http_optcache_hop_t *hop = data;

    if (ngx_http_optcache_response_is(h, "Connection")
        && ngx_http_optcache_head_listed(&h->value, hop->name))
    {
        hop->found = 1;
    }
}


static ngx_uint_t
ngx_http_optcache_head_listed(ngx_str_t *list, ngx_str_t *name)
{
    u_char     *p, *last;
    ngx_str_t   item;

    p = list->data;
    last = p + list->len;

    while (p < last) {
        p = ngx_http_optcache_head_item(p, last, &item);

        if (item.len == name->len
            && ngx_strncasecmp(item.data, name->data, name->len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


ngx_uint_t
ngx_http_optcache_head_misnamed(ngx_http_request_t *r)
{
    ngx_uint_t  found;

    if (r->upstream == NULL) {
        return 0;
    }

    found = 0;

    ngx_http_optcache_response_each(&r->upstream->headers_in.headers,
                                    ngx_http_optcache_head_everybodys,
                                    &found);
    return found;
}


/* What is known by its name and may be stored is for all recipients. */

static void
ngx_http_optcache_head_everybodys(ngx_table_elt_t *h, void *data)
{
    ngx_uint_t *found = data;

    u_char                *p, *last;
    ngx_str_t              item;
    ngx_optcache_field_e   id;

    static ngx_str_t  content = ngx_string("Content-");

    if (!ngx_http_optcache_response_is(h, "Connection")) {
        return;
    }

    p = h->value.data;
    last = p + h->value.len;

    while (p < last) {
        p = ngx_http_optcache_head_item(p, last, &item);
        id = ngx_optcache_field_id(&item);

        if ((id != NGX_OPTCACHE_FIELD_OTHER && id != NGX_OPTCACHE_FIELD_NEVER)
            || (item.len > content.len
                && ngx_strncasecmp(item.data, content.data, content.len) == 0))
        {
            *found = 1;
        }
    }
}


/* The next of a list, from p on; empty when there is none.  Returns its end. */

static u_char *
ngx_http_optcache_head_item(u_char *p, u_char *last, ngx_str_t *item)
{
    while (p < last && (*p == ' ' || *p == '\t' || *p == ',')) {
        p++;
    }

    item->data = p;

    while (p < last && *p != ',' && *p != ' ' && *p != '\t') {
        p++;
    }

    item->len = p - item->data;

    return p;
}
