
/*
 * Copyright (C) The Optcache authors
 */


/*
 * Replies of a Redis, which are checked like what comes from a stranger: a
 * reader that refuses what is too large before memory is allocated for it,
 * and access to replies by the type that is expected.
 */


#ifndef _NGX_REDIS_REPLY_H_INCLUDED_
#define _NGX_REDIS_REPLY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <hiredis/hiredis.h>


/* of all arrays of one reply, unless the reader is told otherwise */
#define NGX_REDIS_REPLY_MAX_ELEMENTS  65536
#define NGX_REDIS_REPLY_MAX_DEPTH     4      /* arrays within arrays */


/* what an error reply says about the server that sent it */

typedef enum {
    NGX_REDIS_VERDICT_WELL = 0,  /* alive: no error, or the command's own */
    NGX_REDIS_VERDICT_FAILED,    /* as good as no answer */
    NGX_REDIS_VERDICT_LEAVE      /* another address may serve, this does not */
} ngx_redis_verdict_e;


typedef struct {
    redisReader                *reader;
    redisReplyObjectFunctions   fn;        /* checks, then calls "make" */
    redisReplyObjectFunctions  *make;      /* what freeReplyObject() takes */

    size_t                      max;       /* bytes of one reply */
    ngx_uint_t                  most;      /* elements of its arrays */
    size_t                      held;      /* bytes, at most, of its buffer */
    size_t                      pending;   /* bytes of the unfinished one */
    size_t                      missing;   /* that it lacks, or 0: unknown */
    size_t                      bytes;     /* of its strings */
    ngx_uint_t                  elements;  /* of its arrays */
    const char                 *err;
} ngx_redis_reader_t;


/*
 * Prepares a reader; "max" is the bytes of one reply, and rd->most may be set
 * afterwards.  NGX_ERROR when out of memory.  To be freed with
 * ngx_redis_reader_free(), which takes a zeroed one and may be called twice.
 */

ngx_int_t ngx_redis_reader_init(ngx_redis_reader_t *rd, size_t max);
void ngx_redis_reader_free(ngx_redis_reader_t *rd);

/*
 * Takes a reply out of bytes that have not been handed over, without a copy:
 * NGX_OK when *pos, which is moved, is where a whole string begins, and not
 * within a reply.  *reply points into the bytes, lives as long, and is not
 * freed; no zero follows its string.  NGX_DECLINED for all that is otherwise,
 * also if it is wrong: it is for ngx_redis_reader_feed().
 */

ngx_int_t ngx_redis_reader_view(ngx_redis_reader_t *rd, u_char **pos,
    u_char *last, redisReply *reply);

/*
 * How many of "size" bytes, which are no less than 1, are to be handed over:
 * those of the unfinished reply, if it is known how many are; or all.
 */

size_t ngx_redis_reader_share(ngx_redis_reader_t *rd, size_t size);

/* Hands over bytes from the wire, which are copied. */

ngx_int_t ngx_redis_reader_feed(ngx_redis_reader_t *rd, u_char *buf,
    size_t size);

/*
 * Takes the next reply out of what was fed: NGX_OK and *reply, which the
 * caller frees with freeReplyObject(); NGX_AGAIN when it is not whole yet;
 * NGX_ERROR with rd->err set to a static string, after which the reader can
 * only be freed.
 */

ngx_int_t ngx_redis_reader_next(ngx_redis_reader_t *rd, redisReply **reply);


/*
 * Checked access.  All of these take NULL for a reply.  Values point into the
 * reply and live as long.  NGX_OK, or NGX_ERROR when the type is another.
 */

/* an integer, or a string or status that is one */
ngx_int_t ngx_redis_reply_integer(redisReply *reply, int64_t *value);

/* a string or status, with any bytes */
ngx_int_t ngx_redis_reply_string(redisReply *reply, ngx_str_t *value);

/* an array of exactly "n" elements, or of "n" and more */
ngx_int_t ngx_redis_reply_array(redisReply *reply, ngx_uint_t n);
ngx_int_t ngx_redis_reply_array_min(redisReply *reply, ngx_uint_t n);

/* 1 if the reply is nil */
ngx_uint_t ngx_redis_reply_nil(redisReply *reply);

/* 1 if the reply is an error with this code, its first word: "NOSCRIPT" */
ngx_uint_t ngx_redis_reply_error(redisReply *reply, const char *code);

/*
 * The code of an error, safe to be logged: nothing but A-Z, and at most 16 of
 * them.  What follows the code may repeat arguments, so it never is.  Empty
 * if the reply is no error or its code is odd.  Of an error within a script,
 * which Redis before 7 wraps up in another, it is the inner one's.
 */

ngx_str_t ngx_redis_reply_code(redisReply *reply);

/*
 * Whether a PING was answered: by PONG or, of a server that cannot save its
 * data and refuses writes, by MISCONF.  It serves reads as before.
 */

ngx_uint_t ngx_redis_reply_pong(redisReply *reply);

ngx_redis_verdict_e ngx_redis_reply_verdict(redisReply *reply);


#endif /* _NGX_REDIS_REPLY_H_INCLUDED_ */
