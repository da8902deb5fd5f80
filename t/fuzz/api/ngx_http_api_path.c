
/*
 * Copyright (C) The Optcache authors
 */


/*
 * What a path names, and what JSON shows of it: a line that nginx has decoded
 * and, behind a line feed, what the client wrote.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <ngx_http_api_json.h>
#include <ngx_http_api_path.h>


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_match(ngx_str_t *uri, ngx_str_t *raw, ngx_pool_t *pool);
static void fuzz_tail(ngx_str_t *uri, ngx_str_t *raw, size_t head,
    ngx_pool_t *pool);
static void fuzz_json(ngx_str_t *text, ngx_pool_t *pool);


static ngx_str_t  patterns[] = {
    ngx_string("/zones"),
    ngx_string("/zones/*"),
    ngx_string("/subjects/*/**"),
    ngx_string("/*/*/*/**"),
    ngx_string("**")
};


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    u_char            *copy, *lf;
    ngx_str_t          uri, raw;
    ngx_pool_t        *pool;

    static ngx_log_t   log;

    copy = malloc(size + 1);
    pool = ngx_create_pool(4096, &log);

    if (copy == NULL || pool == NULL) {
        abort();
    }

    memcpy(copy, data, size);

    uri.data = copy;
    uri.len = size;
    raw.data = copy + size;
    raw.len = 0;

    lf = memchr(copy, LF, size);

    if (lf) {
        uri.len = lf - copy;
        raw.data = lf + 1;
        raw.len = copy + size - raw.data;
    }

    fuzz_match(&uri, &raw, pool);

    ngx_destroy_pool(pool);
    free(copy);

    return 0;
}


static void
fuzz_match(ngx_str_t *uri, ngx_str_t *raw, ngx_pool_t *pool)
{
    ngx_uint_t           i;
    ngx_http_api_path_t  found;

    for (i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {

        if (ngx_http_api_path_match(&patterns[i], uri, &found) != NGX_OK
            || found.tail.data == NULL)
        {
            continue;
        }

        if (found.tail.data < uri->data
            || found.tail.data + found.tail.len != uri->data + uri->len)
        {
            abort();
        }

        fuzz_tail(uri, raw, found.tail.data - uri->data, pool);
    }
}


static void
fuzz_tail(ngx_str_t *uri, ngx_str_t *raw, size_t head, ngx_pool_t *pool)
{
    u_char      *p;
    ngx_str_t    tail, again, escaped;
    ngx_uint_t   i;

    if (ngx_http_api_path_tail(raw, uri, head, &tail, pool) != NGX_OK) {
        return;
    }

    if (head + tail.len > raw->len) {
        abort();
    }

    fuzz_json(&tail, pool);

    /* each byte of it escaped is the same tail */

    escaped.data = ngx_pnalloc(pool, 3 * (head + tail.len));
    if (escaped.data == NULL && head + tail.len) {
        abort();
    }

    p = escaped.data;

    for (i = 0; i < head + tail.len; i++) {
        p = ngx_sprintf(p, "%%%02xd", (unsigned)
                        (i < head ? uri->data[i] : tail.data[i - head]));
    }

    escaped.len = p - escaped.data;

    if (ngx_http_api_path_tail(&escaped, uri, head, &again, pool) != NGX_OK
        || again.len != tail.len
        || ngx_memcmp(again.data, tail.data, tail.len) != 0)
    {
        abort();
    }
}


static void
fuzz_json(ngx_str_t *text, ngx_pool_t *pool)
{
    size_t                i;
    ngx_str_t             body;
    ngx_http_api_json_t  *json;

    json = ngx_http_api_json_create(pool);
    ngx_http_api_json_string(json, "text", text);

    if (ngx_http_api_json_encode(json, &body) != NGX_OK) {
        abort();
    }

    /* one line of characters, and no byte that would end the string */

    if (ngx_utf8_length(body.data, body.len) > body.len) {
        abort();
    }

    for (i = 0; i < body.len - 1; i++) {
        if (body.data[i] < 0x20) {
            abort();
        }
    }
}
