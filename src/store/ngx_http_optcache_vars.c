
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_optcache.h"
#include "ngx_http_optcache_body.h"
#include "ngx_http_optcache_vars.h"


static ngx_int_t ngx_http_optcache_status_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_optcache_age_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_optcache_layer_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);


static ngx_http_variable_t  ngx_http_optcache_vars[] = {

    { ngx_string("optcache_status"), NULL,
      ngx_http_optcache_status_variable, 0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("optcache_age"), NULL,
      ngx_http_optcache_age_variable, 0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("optcache_layer"), NULL,
      ngx_http_optcache_layer_variable, 0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("optcache_body"), NULL,
      ngx_http_optcache_body_variable, 0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

      ngx_http_null_variable
};


static ngx_int_t
ngx_http_optcache_status_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t                *name;
    ngx_http_optcache_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_optcache_module);

    if (ctx == NULL || ctx->status == NGX_HTTP_OPTCACHE_NONE) {
        v->not_found = 1;
        return NGX_OK;
    }

    name = ngx_http_optcache_status_name(ctx->status);

    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;
    v->len = name->len;
    v->data = name->data;

    return NGX_OK;
}


static ngx_int_t
ngx_http_optcache_age_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_optcache_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_optcache_module);

    if (ctx == NULL || !ctx->sent) {
        v->not_found = 1;
        return NGX_OK;
    }

    v->data = ngx_pnalloc(r->pool, NGX_INT64_LEN);
    if (v->data == NULL) {
        return NGX_ERROR;
    }

    v->len = ngx_sprintf(v->data, "%L",
                         ngx_optcache_entry_age(&ctx->entry, ngx_time()))
             - v->data;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    return NGX_OK;
}


static ngx_int_t
ngx_http_optcache_layer_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_optcache_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_optcache_module);

    if (ctx == NULL || !ctx->sent) {
        v->not_found = 1;
        return NGX_OK;
    }

    v->data = (u_char *) ((ctx->layer == NGX_HTTP_OPTCACHE_L1) ? "L1" : "L2");
    v->len = 2;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    return NGX_OK;
}


ngx_int_t
ngx_http_optcache_vars_add(ngx_conf_t *cf)
{
    ngx_http_variable_t  *var, *v;

    for (v = ngx_http_optcache_vars; v->name.len; v++) {
        var = ngx_http_add_variable(cf, &v->name, v->flags);
        if (var == NULL) {
            return NGX_ERROR;
        }

        var->get_handler = v->get_handler;
        var->data = v->data;
    }

    return NGX_OK;
}
