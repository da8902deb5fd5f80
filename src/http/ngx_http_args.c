
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_args.h"


static size_t ngx_http_args_name(ngx_str_t *arg);


ngx_int_t
ngx_http_args_once(ngx_conf_t *cf, ngx_uint_t first, const char *name)
{
    size_t       len;
    ngx_str_t   *value;
    ngx_uint_t   i, k;

    value = cf->args->elts;

    for (i = first; i < cf->args->nelts; i++) {

        len = ngx_http_args_name(&value[i]);

        if (name
            && len == ngx_strlen(name)
            && ngx_strncmp(value[i].data, name, len) == 0)
        {
            continue;
        }

        for (k = first; k < i; k++) {

            if (ngx_http_args_name(&value[k]) == len
                && ngx_strncmp(value[k].data, value[i].data, len) == 0)
            {
                ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                                   "duplicate parameter \"%V\" of \"%V\"",
                                   &value[i], &value[0]);
                return NGX_ERROR;
            }
        }
    }

    return NGX_OK;
}


/* the length of what is before "=" */

static size_t
ngx_http_args_name(ngx_str_t *arg)
{
    u_char  *p;

    p = ngx_strlchr(arg->data, arg->data + arg->len, '=');

    return p ? (size_t) (p - arg->data) : arg->len;
}
