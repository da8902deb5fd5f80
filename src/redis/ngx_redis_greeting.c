
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_redis_format.h"
#include "ngx_redis_greeting.h"


static u_char *ngx_redis_greeting_append(u_char *p, ngx_uint_t argc,
    ngx_str_t *argv);


u_char *
ngx_redis_greeting_format(u_char *p, ngx_uint_t words, ngx_redis_url_t *url,
    ngx_str_t *password)
{
    u_char      buf[NGX_INT_T_LEN];
    ngx_str_t   argv[3];
    ngx_uint_t  n;

    if (words & NGX_REDIS_GREETING_AUTH) {
        ngx_str_set(&argv[0], "AUTH");
        n = 1;

        if (url->user.len) {
            argv[n++] = url->user;
        }

        argv[n++] = *password;

        p = ngx_redis_greeting_append(p, n, argv);
    }

    if (words & NGX_REDIS_GREETING_SELECT) {
        ngx_str_set(&argv[0], "SELECT");
        argv[1].data = buf;
        argv[1].len = ngx_sprintf(buf, "%ui", url->db) - buf;

        p = ngx_redis_greeting_append(p, 2, argv);
    }

    if (words & NGX_REDIS_GREETING_ROLE) {
        ngx_str_set(&argv[0], "ROLE");
        p = ngx_redis_greeting_append(p, 1, argv);
    }

    if (words & NGX_REDIS_GREETING_PING) {
        ngx_str_set(&argv[0], "PING");
        p = ngx_redis_greeting_append(p, 1, argv);
    }

    return p;
}


/* NULL is the end of an attempt, and taken for one by whoever comes next */

static u_char *
ngx_redis_greeting_append(u_char *p, ngx_uint_t argc, ngx_str_t *argv)
{
    ngx_str_t  command;

    if (p == NULL
        || ngx_redis_format(argc, argv, NGX_REDIS_GREETING_MAX, &command)
           != NGX_OK)
    {
        return NULL;
    }

    p = ngx_cpymem(p, command.data, command.len);
    ngx_redis_format_free(&command);

    return p;
}


ngx_int_t
ngx_redis_greeting_check(redisReply *reply, ngx_uint_t *words,
    const char **what, ngx_str_t *code)
{
    ngx_str_t    text;
    ngx_uint_t   word;
    redisReply  *said;
    const char  *good;

    /* the lowest bit */
    word = *words & (~*words + 1);

    good = "OK";
    said = reply;

    *code = ngx_redis_reply_code(reply);

    if (code->len == 0) {
        ngx_str_set(code, "unexpected reply");
    }

    switch (word) {

    case NGX_REDIS_GREETING_AUTH:
        *what = "AUTH";
        break;

    case NGX_REDIS_GREETING_SELECT:
        *what = "SELECT";
        break;

    case NGX_REDIS_GREETING_ROLE:
        *what = "ROLE";
        good = "master";

        said = NULL;

        /* what follows the role is another thing for each */

        if (ngx_redis_reply_array_min(reply, 1) == NGX_OK) {
            said = reply->element[0];
            ngx_str_set(code, "not a master");
        }

        break;

    default: /* NGX_REDIS_GREETING_PING */
        *what = "PING";

        if (!ngx_redis_reply_pong(reply)) {
            return NGX_ERROR;
        }

        *words &= ~word;

        return NGX_OK;
    }

    if (ngx_redis_reply_string(said, &text) != NGX_OK
        || text.len != ngx_strlen(good)
        || ngx_memcmp(text.data, good, text.len) != 0)
    {
        return NGX_ERROR;
    }

    *words &= ~word;

    return NGX_OK;
}
