
/*
 * Copyright (C) The Optcache authors
 */


/*
 * What a Redis, or whoever is there, sends.  The first byte says how it is
 * cut into pieces: the replies are the same however they come, and no longer,
 * larger or deeper than is allowed.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <ngx_redis_reply.h>


#define MAX  4096


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint32_t fuzz_read(const uint8_t *data, size_t size, size_t piece);
static uint32_t fuzz_reply(redisReply *reply, ngx_uint_t depth,
    size_t *bytes, ngx_uint_t *elements);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }

    if (fuzz_read(data + 1, size - 1, data[0] + 1)
        != fuzz_read(data + 1, size - 1, size))
    {
        abort();
    }

    return 0;
}


static uint32_t
fuzz_read(const uint8_t *data, size_t size, size_t piece)
{
    size_t               n, bytes;
    u_char              *copy;
    uint32_t             sum;
    ngx_int_t            rc;
    ngx_uint_t           elements;
    redisReply          *reply;
    ngx_redis_reader_t   rd;

    sum = 0;

    if (ngx_redis_reader_init(&rd, MAX) != NGX_OK) {
        return 0;
    }

    while (size) {
        n = ngx_min(piece, size);

        copy = malloc(n);
        memcpy(copy, data, n);

        rc = ngx_redis_reader_feed(&rd, copy, n);
        free(copy);

        if (rc != NGX_OK) {
            abort();
        }

        data += n;
        size -= n;

        while ((rc = ngx_redis_reader_next(&rd, &reply)) == NGX_OK) {
            bytes = 0;
            elements = 0;

            sum = sum * 31 + fuzz_reply(reply, 0, &bytes, &elements);
            freeReplyObject(reply);

            if (bytes > MAX || elements > NGX_REDIS_REPLY_MAX_ELEMENTS) {
                abort();
            }
        }

        if (rc == NGX_ERROR) {
            if (rd.err == NULL) {
                abort();
            }

            break;
        }
    }

    ngx_redis_reader_free(&rd);

    return sum;
}


static uint32_t
fuzz_reply(redisReply *reply, ngx_uint_t depth, size_t *bytes,
    ngx_uint_t *elements)
{
    size_t     i;
    int64_t    n;
    uint32_t   sum;
    ngx_str_t  s;

    sum = reply->type;

    (void) ngx_redis_reply_verdict(reply);

    s = ngx_redis_reply_code(reply);

    for (i = 0; i < s.len; i++) {
        if (s.data[i] < 'A' || s.data[i] > 'Z') {
            abort();
        }
    }

    if (ngx_redis_reply_integer(reply, &n) == NGX_OK) {
        sum = sum * 31 + (uint32_t) n;
    }

    if (ngx_redis_reply_string(reply, &s) == NGX_OK) {
        *bytes += s.len;

        for (i = 0; i < s.len; i++) {
            sum = sum * 31 + s.data[i];
        }
    }

    if (ngx_redis_reply_array_min(reply, 0) == NGX_OK) {

        if (++depth > NGX_REDIS_REPLY_MAX_DEPTH) {
            abort();
        }

        *elements += reply->elements;

        for (i = 0; i < reply->elements; i++) {
            sum = sum * 31 + fuzz_reply(reply->element[i], depth, bytes,
                                        elements);
        }
    }

    return sum;
}
