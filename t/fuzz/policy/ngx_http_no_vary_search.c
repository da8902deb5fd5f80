
/*
 * Copyright (C) The Optcache authors
 */


/*
 * No-Vary-Search of an origin and the target of a client: the field, a line
 * feed, the target.  What is made of a target is not to change when the same
 * is done to it again, and no part of the path is to be lost.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <ngx_http_no_vary_search.h>

#include "../fuzz_copy.h"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_target(ngx_pool_t *pool, ngx_str_t *target,
    ngx_http_no_vary_search_t *nvs);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    u_char                     *p;
    ngx_int_t                   rc;
    ngx_str_t                   line, target;
    ngx_pool_t                 *pool;
    ngx_http_no_vary_search_t   nvs;

    static ngx_log_t   log;

    p = size ? memchr(data, '\n', size) : NULL;

    if (p == NULL) {
        return 0;
    }

    pool = ngx_create_pool(4096, &log);
    if (pool == NULL) {
        abort();
    }

    line = fuzz_copy(data, p - data, "");
    target = fuzz_copy(p + 1, size - (p + 1 - data), "");

    rc = ngx_http_no_vary_search_parse(pool, &line, &nvs);

    if (rc == NGX_OK) {
        fuzz_target(pool, &target, &nvs);

    } else if (rc != NGX_DECLINED) {
        abort();
    }

    ngx_destroy_pool(pool);
    free(line.data);
    free(target.data);

    return 0;
}


static void
fuzz_target(ngx_pool_t *pool, ngx_str_t *target,
    ngx_http_no_vary_search_t *nvs)
{
    u_char     *query;
    size_t      len;
    ngx_int_t   rc;
    ngx_str_t   once, again;

    if (nvs->n > NGX_HTTP_NO_VARY_SEARCH_NAMES) {
        abort();
    }

    rc = ngx_http_no_vary_search_target(pool, target, nvs, &once);

    if (rc == NGX_DECLINED) {
        return;
    }

    query = target->len ? memchr(target->data, '?', target->len) : NULL;
    len = query ? (size_t) (query - target->data) : target->len;

    if (rc != NGX_OK
        || once.len < len
        || once.len > target->len
        || memcmp(once.data, target->data, len) != 0
        || (once.len > len && once.data[len] != '?'))
    {
        abort();
    }

    rc = ngx_http_no_vary_search_target(pool, &once, nvs, &again);

    if (rc != NGX_OK
        || again.len != once.len
        || memcmp(again.data, once.data, once.len) != 0)
    {
        abort();
    }
}
