
/*
 * Copyright (C) The Optcache authors
 */


/*
 * What is said on a new connection, all in one write:
 *
 *     [AUTH [user] password] [SELECT db] [ROLE] PING
 *
 * Commands wait until every word was accepted, so nothing is ever executed as
 * another user, in another database, or by a replica where a master is asked
 * for.
 *
 * Pure: RESP in and out, no connection.
 */


#ifndef _NGX_REDIS_GREETING_H_INCLUDED_
#define _NGX_REDIS_GREETING_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_redis_reply.h"
#include "ngx_redis_url.h"


/* of one command of the greeting; users and passwords are from a file */
#define NGX_REDIS_GREETING_MAX  8192


/* the words, in their order: a greeting, or what of it is not answered yet */

#define NGX_REDIS_GREETING_AUTH    0x0001
#define NGX_REDIS_GREETING_SELECT  0x0002
#define NGX_REDIS_GREETING_ROLE    0x0004   /* it must be a master */
#define NGX_REDIS_GREETING_PING    0x0008


/*
 * Appends these words and returns the end.  "p" has room for the user, the
 * password and 160 bytes.  NULL when out of memory.
 */

u_char *ngx_redis_greeting_format(u_char *p, ngx_uint_t words,
    ngx_redis_url_t *url, ngx_str_t *password);

/*
 * Checks the reply to the first of these words, which are not empty: NGX_OK,
 * and the word is taken out, or NGX_ERROR with *what set to the command that
 * was not accepted, and *code to the error code, for the log.  Not the
 * error's text: it may repeat the password.
 */

ngx_int_t ngx_redis_greeting_check(redisReply *reply, ngx_uint_t *words,
    const char **what, ngx_str_t *code);


#endif /* _NGX_REDIS_GREETING_H_INCLUDED_ */
