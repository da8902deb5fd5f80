
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <cjson/cJSON.h>

#include "ngx_http_api_problem.h"


static ngx_int_t ngx_http_api_problem_fill(cJSON *json,
    ngx_http_api_problem_t *problem, ngx_pool_t *pool);
static cJSON *ngx_http_api_problem_string(ngx_str_t *text, ngx_pool_t *pool);
static ngx_uint_t ngx_http_api_problem_foreign(ngx_http_request_t *r,
    ngx_uint_t status);


ngx_int_t
ngx_http_api_problem_encode(ngx_http_api_problem_t *problem, ngx_pool_t *pool,
    ngx_str_t *body)
{
    char       *text;
    cJSON      *json;
    ngx_int_t   rc;

    json = cJSON_CreateObject();
    if (json == NULL) {
        return NGX_ERROR;
    }

    text = NULL;
    rc = ngx_http_api_problem_fill(json, problem, pool);

    if (rc == NGX_OK) {
        text = cJSON_PrintUnformatted(json);
        rc = NGX_ERROR;
    }

    cJSON_Delete(json);

    if (text) {
        body->len = ngx_strlen(text);
        body->data = ngx_pnalloc(pool, body->len + 1);

        if (body->data) {
            ngx_memcpy(body->data, text, body->len);
            body->data[body->len++] = LF;
            rc = NGX_OK;
        }

        cJSON_free(text);
    }

    return rc;
}


static ngx_int_t
ngx_http_api_problem_fill(cJSON *json, ngx_http_api_problem_t *problem,
    ngx_pool_t *pool)
{
    cJSON       *item, *list;
    ngx_uint_t   i;

    if (problem->type
        && cJSON_AddStringToObject(json, "type", problem->type) == NULL)
    {
        return NGX_ERROR;
    }

    if (cJSON_AddStringToObject(json, "title", problem->title) == NULL
        || cJSON_AddNumberToObject(json, "status", problem->status) == NULL)
    {
        return NGX_ERROR;
    }

    if (problem->detail.len) {
        item = ngx_http_api_problem_string(&problem->detail, pool);

        if (item == NULL) {
            return NGX_ERROR;
        }

        cJSON_AddItemToObject(json, "detail", item);
    }

    if (problem->list == NULL) {
        return NGX_OK;
    }

    list = cJSON_AddArrayToObject(json, problem->list);
    if (list == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < problem->nnames; i++) {
        item = ngx_http_api_problem_string(&problem->names[i], pool);

        if (item == NULL) {
            return NGX_ERROR;
        }

        cJSON_AddItemToArray(list, item);
    }

    return NGX_OK;
}


static cJSON *
ngx_http_api_problem_string(ngx_str_t *text, ngx_pool_t *pool)
{
    u_char  *p;

    p = ngx_pnalloc(pool, text->len + 1);
    if (p == NULL) {
        return NULL;
    }

    ngx_cpystrn(p, text->data, text->len + 1);

    return cJSON_CreateString((char *) p);
}


/*
 * Whether nginx has an answer of its own: an error_page, by the rules of
 * ngx_http_special_response_handler(), or a code that is never sent.
 */

static ngx_uint_t
ngx_http_api_problem_foreign(ngx_http_request_t *r, ngx_uint_t status)
{
    ngx_uint_t                 i;
    ngx_http_err_page_t       *err_page;
    ngx_http_core_loc_conf_t  *clcf;

    if (status == NGX_HTTP_REQUEST_TIME_OUT
        || status == NGX_HTTP_CLOSE
        || (status >= NGX_HTTP_NGINX_CODES
            && status < NGX_HTTP_INTERNAL_SERVER_ERROR))
    {
        return 1;
    }

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (r->error_page || clcf->error_pages == NULL || r->uri_changes == 0) {
        return 0;
    }

    err_page = clcf->error_pages->elts;

    for (i = 0; i < clcf->error_pages->nelts; i++) {
        if (err_page[i].status == (ngx_int_t) status) {
            return 1;
        }
    }

    return 0;
}


ngx_int_t
ngx_http_api_problem_send(ngx_http_request_t *r, ngx_uint_t status,
    ngx_str_t *body)
{
    ngx_int_t     rc;
    ngx_buf_t    *b;
    ngx_chain_t   out;

    if (ngx_http_api_problem_foreign(r, status)) {
        return status;
    }

    /* no "100 Continue" for a body that nobody wants */

    r->expect_tested = 1;

    if (ngx_http_discard_request_body(r) != NGX_OK) {
        r->keepalive = 0;
    }

    /* a code that an error_page set before this one would win over it */

    r->err_status = status;

    r->headers_out.status = status;
    r->headers_out.status_line.len = 0;

    ngx_str_set(&r->headers_out.content_type, "application/problem+json");
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    r->headers_out.content_type_lowcase = NULL;
    r->headers_out.charset.len = 0;

    ngx_http_clear_content_length(r);
    ngx_http_clear_accept_ranges(r);
    ngx_http_clear_last_modified(r);
    ngx_http_clear_etag(r);

    r->headers_out.content_length_n = body->len;

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    b = ngx_calloc_buf(r->pool);
    if (b == NULL) {
        return NGX_ERROR;
    }

    b->pos = body->data;
    b->last = body->data + body->len;
    b->memory = 1;
    b->last_buf = (r == r->main) ? 1 : 0;
    b->last_in_chain = 1;

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}
