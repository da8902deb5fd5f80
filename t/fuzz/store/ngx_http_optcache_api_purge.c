
/*
 * Copyright (C) The Optcache authors
 */


/* The body of a POST to /purge: what is to be invalidated, or what is wrong. */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <ngx_http_optcache_api.h>


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ngx_int_t                   rc;
    ngx_str_t                   body;
    ngx_pool_t                 *pool;
    const char                 *detail;
    ngx_http_optcache_purge_t   purge;

    static ngx_log_t   log;

    pool = ngx_create_pool(4096, &log);
    if (pool == NULL) {
        abort();
    }

    body.data = malloc(size ? size : 1);
    body.len = size;

    if (body.data == NULL) {
        abort();
    }

    memcpy(body.data, data, size);

    ngx_memzero(&purge, sizeof(ngx_http_optcache_purge_t));
    detail = NULL;

    rc = ngx_http_optcache_api_purge_read(pool, &body, &purge, &detail);

    /* either something to do, or a reason that can be told */

    if (rc == NGX_OK) {
        if (purge.n == 0 || purge.n > NGX_OPTCACHE_EVENT_MAX) {
            abort();
        }

    } else if (rc != NGX_DECLINED || detail == NULL
               || ngx_strlen(detail) > 256)
    {
        abort();
    }

    ngx_destroy_pool(pool);
    free(body.data);

    return 0;
}
