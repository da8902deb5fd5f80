
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_api_json.h"
#include "ngx_http_api_problem.h"
#include "ngx_http_api_response.h"


static ngx_uint_t ngx_http_api_problem_foreign(ngx_http_request_t *r,
    ngx_uint_t status);


ngx_int_t
ngx_http_api_problem_encode(ngx_http_api_problem_t *problem, ngx_pool_t *pool,
    ngx_str_t *body)
{
    ngx_uint_t            i;
    ngx_http_api_json_t  *json;

    json = ngx_http_api_json_create(pool);

    if (problem->type) {
        ngx_http_api_json_text(json, "type", problem->type);
    }

    ngx_http_api_json_text(json, "title", problem->title);
    ngx_http_api_json_number(json, "status", problem->status);

    if (problem->detail.len) {
        ngx_http_api_json_string(json, "detail", &problem->detail);
    }

    if (problem->list) {
        ngx_http_api_json_array(json, problem->list);

        for (i = 0; i < problem->nnames; i++) {
            ngx_http_api_json_string(json, NULL, &problem->names[i]);
        }

        ngx_http_api_json_end(json);
    }

    return ngx_http_api_json_encode(json, body);
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
    static ngx_str_t  type = ngx_string("application/problem+json");

    if (ngx_http_api_problem_foreign(r, status)) {
        return status;
    }

    return ngx_http_api_response_send(r, status, &type, body);
}


ngx_int_t
ngx_http_api_problem(ngx_http_request_t *r, ngx_uint_t status,
    const char *title, const char *detail)
{
    ngx_str_t               body;
    ngx_http_api_problem_t  problem;

    ngx_memzero(&problem, sizeof(ngx_http_api_problem_t));

    problem.title = title;
    problem.status = status;
    problem.detail.data = (u_char *) detail;
    problem.detail.len = ngx_strlen(detail);

    if (ngx_http_api_problem_encode(&problem, r->pool, &body) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_api_problem_send(r, status, &body);
}
