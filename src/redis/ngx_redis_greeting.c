
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_redis_greeting.h"


/* "*" or "$", a length, CRLF */
#define NGX_REDIS_FORMAT_HEADER  (1 + NGX_SIZE_T_LEN + 2)


size_t
ngx_redis_format_len(ngx_uint_t argc, ngx_str_t *argv, size_t max)
{
    size_t      len;
    ngx_uint_t  i;

    len = NGX_REDIS_FORMAT_HEADER;

    for (i = 0; i < argc; i++) {
        if (argv[i].len > max) {
            return 0;
        }

        len += NGX_REDIS_FORMAT_HEADER + argv[i].len + 2;
    }

    return len > max ? 0 : len;
}


u_char *
ngx_redis_format(u_char *p, ngx_uint_t argc, ngx_str_t *argv)
{
    ngx_uint_t  i;

    p = ngx_sprintf(p, "*%ui" CRLF, argc);

    for (i = 0; i < argc; i++) {
        p = ngx_sprintf(p, "$%uz" CRLF, argv[i].len);
        p = ngx_cpymem(p, argv[i].data, argv[i].len);
        *p++ = CR;
        *p++ = LF;
    }

    return p;
}


u_char *
ngx_redis_greeting_format(u_char *p, ngx_redis_url_t *url,
    ngx_str_t *password, ngx_uint_t *expected)
{
    u_char      buf[NGX_INT_T_LEN];
    ngx_str_t   argv[3];
    ngx_uint_t  n;

    *expected = 1;

    if (password->len) {
        ngx_str_set(&argv[0], "AUTH");
        n = 1;

        if (url->user.len) {
            argv[n++] = url->user;
        }

        argv[n++] = *password;

        p = ngx_redis_format(p, n, argv);
        (*expected)++;
    }

    if (url->db) {
        ngx_str_set(&argv[0], "SELECT");
        argv[1].data = buf;
        argv[1].len = ngx_sprintf(buf, "%ui", url->db) - buf;

        p = ngx_redis_format(p, 2, argv);
        (*expected)++;
    }

    ngx_str_set(&argv[0], "PING");

    return ngx_redis_format(p, 1, argv);
}


ngx_int_t
ngx_redis_greeting_check(redisReply *reply, ngx_redis_url_t *url,
    ngx_uint_t expected, const char **what, ngx_str_t *code)
{
    ngx_str_t   text;
    const char  *good;

    good = "OK";

    if (expected == 1) {
        *what = "PING";
        good = "PONG";

    } else if (expected == 2 && url->db) {
        *what = "SELECT";

    } else {
        *what = "AUTH";
    }

    *code = ngx_redis_reply_code(reply);

    if (code->len == 0) {
        ngx_str_set(code, "unexpected reply");
    }

    if (ngx_redis_reply_string(reply, &text) != NGX_OK
        || text.len != ngx_strlen(good)
        || ngx_memcmp(text.data, good, text.len) != 0)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}
