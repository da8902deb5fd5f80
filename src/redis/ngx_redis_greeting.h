
/*
 * Copyright (C) The Optcache authors
 */


/*
 * What is said on a new connection: [AUTH [user] password] [SELECT db] PING,
 * all in one write.  Commands wait until every word was accepted, so nothing
 * is ever executed as another user or in another database.
 *
 * Pure: RESP in and out, no connection.
 */


#ifndef _NGX_REDIS_GREETING_H_INCLUDED_
#define _NGX_REDIS_GREETING_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_redis_reply.h"
#include "ngx_redis_url.h"


#define NGX_REDIS_MAX_ARGS      512

/* of one command of the greeting; users and passwords are from a file */
#define NGX_REDIS_GREETING_MAX  8192


/*
 * Formats a command in RESP, by hiredis: NGX_OK, or NGX_ERROR when it would
 * be longer than "max" bytes, has too many arguments, or when out of memory.
 * The command is to be given back by ngx_redis_format_free().
 */

ngx_int_t ngx_redis_format(ngx_uint_t argc, ngx_str_t *argv, size_t max,
    ngx_str_t *command);
void ngx_redis_format_free(ngx_str_t *command);


/*
 * Appends the greeting and returns the end; *expected is set to the number of
 * replies.  "p" has room for the user, the password and 128 bytes.  NULL when
 * out of memory.
 */

u_char *ngx_redis_greeting_format(u_char *p, ngx_redis_url_t *url,
    ngx_str_t *password, ngx_uint_t *expected);

/*
 * Checks a reply, when "expected" are still to come: NGX_OK, or NGX_ERROR
 * with *what set to the command that was not accepted, and *code to the error
 * code, for the log.  Not the error's text: it may repeat the password.
 */

ngx_int_t ngx_redis_greeting_check(redisReply *reply, ngx_redis_url_t *url,
    ngx_uint_t expected, const char **what, ngx_str_t *code);


#endif /* _NGX_REDIS_GREETING_H_INCLUDED_ */
