
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_redis_reply.h"


#define NGX_REDIS_REPLY_MAX_CODE  16

/* a buffer that has held more is let go when all has been taken out of it */
#define NGX_REDIS_REPLY_KEEP      16384

/* before Redis 7, then ": -CODE" of what failed in the script */
#define NGX_REDIS_REPLY_SCRIPT    "ERR Error running script"


#if (HIREDIS_MAJOR < 1)

typedef int                 ngx_redis_elements_t;

#define ngx_redis_reader_task(r)  (&(r)->rstack[(r)->ridx])

#else

typedef size_t              ngx_redis_elements_t;

#define ngx_redis_reader_task(r)  ((r)->task[(r)->ridx])

#endif


typedef struct {
    const char             *code;
    ngx_redis_verdict_e     verdict;
} ngx_redis_reply_code_t;


static redisReader *ngx_redis_reader_create(ngx_redis_reader_t *rd);
static void ngx_redis_reader_renew(ngx_redis_reader_t *rd);
static void *ngx_redis_reader_create_string(const redisReadTask *task,
    char *str, size_t len);
static void *ngx_redis_reader_create_array(const redisReadTask *task,
    ngx_redis_elements_t elements);
static void *ngx_redis_reader_create_nil(const redisReadTask *task);
#if (HIREDIS_MAJOR >= 1)
static void *ngx_redis_reader_create_double(const redisReadTask *task,
    double value, char *str, size_t len);
static void *ngx_redis_reader_create_bool(const redisReadTask *task,
    int value);
#endif
static ngx_uint_t ngx_redis_reader_known(const redisReadTask *task);
static ngx_int_t ngx_redis_reader_check_pending(ngx_redis_reader_t *rd);
static ngx_int_t ngx_redis_reader_error(ngx_redis_reader_t *rd,
    const char *err);
static ngx_str_t ngx_redis_reply_word(u_char *p, u_char *last);


/*
 * Errors that are not listed belong to the command: wrong arguments or types,
 * NOSCRIPT, NOPERM, MOVED, and OOM or MISCONF, which refuse writes only.
 */

static ngx_redis_reply_code_t  ngx_redis_reply_codes[] = {

    /* it does not serve, or does not serve us: another one may */

    { "LOADING", NGX_REDIS_VERDICT_LEAVE },
    { "READONLY", NGX_REDIS_VERDICT_LEAVE },
    { "MASTERDOWN", NGX_REDIS_VERDICT_LEAVE },
    { "NOAUTH", NGX_REDIS_VERDICT_LEAVE },
    { "WRONGPASS", NGX_REDIS_VERDICT_LEAVE },

    /* it does not serve anybody for now, the data is here */

    { "BUSY", NGX_REDIS_VERDICT_FAILED },
    { "CLUSTERDOWN", NGX_REDIS_VERDICT_FAILED },

    { NULL, NGX_REDIS_VERDICT_WELL }
};


ngx_int_t
ngx_redis_reader_init(ngx_redis_reader_t *rd, size_t max)
{
    ngx_memzero(rd, sizeof(ngx_redis_reader_t));

    rd->reader = ngx_redis_reader_create(rd);
    if (rd->reader == NULL) {
        return NGX_ERROR;
    }

    rd->max = max;
    rd->most = NGX_REDIS_REPLY_MAX_ELEMENTS;

    return NGX_OK;
}


static redisReader *
ngx_redis_reader_create(ngx_redis_reader_t *rd)
{
    redisReader  *reader;

    reader = redisReaderCreate();
    if (reader == NULL) {
        return NULL;
    }

    rd->make = reader->fn;
    rd->fn = *rd->make;
    rd->fn.createString = ngx_redis_reader_create_string;
    rd->fn.createArray = ngx_redis_reader_create_array;
    rd->fn.createNil = ngx_redis_reader_create_nil;
#if (HIREDIS_MAJOR >= 1)
    rd->fn.createDouble = ngx_redis_reader_create_double;
    rd->fn.createBool = ngx_redis_reader_create_bool;
#endif

    reader->fn = &rd->fn;
    reader->privdata = rd;

    /* it would replace a large buffer itself, and assert that it can */

    reader->maxbuf = 0;

    return reader;
}


void
ngx_redis_reader_free(ngx_redis_reader_t *rd)
{
    if (rd->reader) {
        redisReaderFree(rd->reader);
        rd->reader = NULL;
    }
}


/*
 * hiredis copies what it is fed, copies each string out of that, and moves
 * what is behind it to the front: of answers, most of its time.
 */

ngx_int_t
ngx_redis_reader_view(ngx_redis_reader_t *rd, u_char **pos, u_char *last,
    redisReply *reply)
{
    size_t   len;
    u_char  *p;

    p = *pos;

    if (rd->pending || last - p < 2 || p[0] != '$'
        || p[1] < '1' || p[1] > '9')
    {
        return NGX_DECLINED;
    }

    for (len = 0, p++; p < last && *p >= '0' && *p <= '9'; p++) {
        len = len * 10 + (*p - '0');

        if (len > rd->max) {
            return NGX_DECLINED;
        }
    }

    if (last - p < 2 || p[0] != CR || p[1] != LF) {
        return NGX_DECLINED;
    }

    p += 2;

    if ((size_t) (last - p) < len + 2) {
        rd->missing = (p - *pos) + len + 2;
        return NGX_DECLINED;
    }

    if (p[len] != CR || p[len + 1] != LF) {
        return NGX_DECLINED;
    }

    ngx_memzero(reply, sizeof(redisReply));

    reply->type = REDIS_REPLY_STRING;
    reply->str = (char *) p;
    reply->len = len;

    *pos = p + len + 2;

    return NGX_OK;
}


size_t
ngx_redis_reader_share(ngx_redis_reader_t *rd, size_t size)
{
    return rd->missing ? ngx_min(size, rd->missing) : size;
}


ngx_int_t
ngx_redis_reader_feed(ngx_redis_reader_t *rd, u_char *buf, size_t size)
{
    if (redisReaderFeed(rd->reader, (char *) buf, size) != REDIS_OK) {
        return ngx_redis_reader_error(rd, "out of memory");
    }

    rd->held = ngx_max(rd->held, rd->reader->len);
    rd->pending += size;
    rd->missing -= ngx_min(size, rd->missing);

    return NGX_OK;
}


ngx_int_t
ngx_redis_reader_next(ngx_redis_reader_t *rd, redisReply **reply)
{
    void  *obj;

    if (redisReaderGetReply(rd->reader, &obj) != REDIS_OK) {

        if (rd->err) {
            return NGX_ERROR;
        }

        return ngx_redis_reader_error(rd, "protocol error");
    }

    if (obj == NULL) {
        return ngx_redis_reader_check_pending(rd);
    }

    /* the next reply begins where this one ended */

    rd->pending = rd->reader->len - rd->reader->pos;
    rd->bytes = 0;
    rd->elements = 0;

    if (rd->pending == 0 && rd->held > NGX_REDIS_REPLY_KEEP) {
        ngx_redis_reader_renew(rd);
    }

    *reply = obj;

    return NGX_OK;
}


/*
 * A connection does not keep the memory of its largest reply; but if there is
 * none for another reader, it does.
 */

static void
ngx_redis_reader_renew(ngx_redis_reader_t *rd)
{
    redisReader  *reader;

    reader = ngx_redis_reader_create(rd);
    if (reader == NULL) {
        return;
    }

    redisReaderFree(rd->reader);

    rd->reader = reader;
    rd->held = 0;
}


/*
 * hiredis waits for the end of a string or line however long it is, with all
 * of it in its buffer.
 */

static ngx_int_t
ngx_redis_reader_check_pending(ngx_redis_reader_t *rd)
{
    char         *p, *last;
    size_t        len;
    redisReader  *r;

    if (rd->pending > rd->max) {
        return ngx_redis_reader_error(rd, "too large reply");
    }

    r = rd->reader;

    if (r->ridx < 0 || ngx_redis_reader_task(r)->type != REDIS_REPLY_STRING) {
        return NGX_AGAIN;
    }

    /* a string that is announced, but not here: its length comes first */

    p = r->buf + r->pos;
    last = r->buf + r->len;

    for (len = 0; p < last && *p >= '0' && *p <= '9'; p++) {
        len = len * 10 + (*p - '0');

        if (len > rd->max) {
            return ngx_redis_reader_error(rd, "too large reply");
        }
    }

    return NGX_AGAIN;
}


static void *
ngx_redis_reader_create_string(const redisReadTask *task, char *str,
    size_t len)
{
    ngx_redis_reader_t  *rd;

    if (!ngx_redis_reader_known(task)) {
        return NULL;
    }

    rd = task->privdata;

    rd->bytes += len;

    if (rd->bytes > rd->max) {
        (void) ngx_redis_reader_error(rd, "too large reply");
        return NULL;
    }

    /* hiredis takes for granted what follows a string */

    if (str[len] != CR || str[len + 1] != LF) {
        (void) ngx_redis_reader_error(rd, "protocol error");
        return NULL;
    }

    return rd->make->createString(task, str, len);
}


static void *
ngx_redis_reader_create_array(const redisReadTask *task,
    ngx_redis_elements_t elements)
{
    ngx_uint_t                   n, depth;
    ngx_redis_reader_t          *rd;
    const struct redisReadTask  *parent;

    if (!ngx_redis_reader_known(task)) {
        return NULL;
    }

    rd = task->privdata;
    n = elements;

    if (n > rd->most || n > rd->most - rd->elements) {
        (void) ngx_redis_reader_error(rd, "too many elements in reply");
        return NULL;
    }

    rd->elements += n;

    depth = 1;

    for (parent = task->parent; parent; parent = parent->parent) {
        depth++;
    }

    if (depth > NGX_REDIS_REPLY_MAX_DEPTH) {
        (void) ngx_redis_reader_error(rd, "too deep reply");
        return NULL;
    }

    return rd->make->createArray(task, elements);
}


static void *
ngx_redis_reader_create_nil(const redisReadTask *task)
{
    ngx_redis_reader_t  *rd;

    if (!ngx_redis_reader_known(task)) {
        return NULL;
    }

    rd = task->privdata;

    return rd->make->createNil(task);
}


#if (HIREDIS_MAJOR >= 1)

static void *
ngx_redis_reader_create_double(const redisReadTask *task, double value,
    char *str, size_t len)
{
    (void) ngx_redis_reader_known(task);

    return NULL;
}


static void *
ngx_redis_reader_create_bool(const redisReadTask *task, int value)
{
    (void) ngx_redis_reader_known(task);

    return NULL;
}

#endif


/*
 * hiredis 1.x reads RESP3 as well, which nobody has asked for by HELLO: it is
 * refused as 0.14 does.  Nil is a string or an array of the length -1.
 */

static ngx_uint_t
ngx_redis_reader_known(const redisReadTask *task)
{
    switch (task->type) {

    case REDIS_REPLY_STRING:
    case REDIS_REPLY_ARRAY:
    case REDIS_REPLY_INTEGER:
    case REDIS_REPLY_STATUS:
    case REDIS_REPLY_ERROR:
        return 1;

    default:
        (void) ngx_redis_reader_error(task->privdata, "protocol error");
        return 0;
    }
}


static ngx_int_t
ngx_redis_reader_error(ngx_redis_reader_t *rd, const char *err)
{
    rd->err = err;

    return NGX_ERROR;
}


ngx_int_t
ngx_redis_reply_integer(redisReply *reply, int64_t *value)
{
    size_t    i;
    int64_t   n, limit;
    unsigned  negative;

    if (reply == NULL) {
        return NGX_ERROR;
    }

    if (reply->type == REDIS_REPLY_INTEGER) {
        *value = reply->integer;
        return NGX_OK;
    }

    if ((reply->type != REDIS_REPLY_STRING
         && reply->type != REDIS_REPLY_STATUS)
        || reply->len == 0)
    {
        return NGX_ERROR;
    }

    negative = (reply->str[0] == '-');

    if (reply->len == negative) {
        return NGX_ERROR;
    }

    limit = 9223372036854775807LL;

    for (n = 0, i = negative; i < reply->len; i++) {

        if (reply->str[i] < '0' || reply->str[i] > '9') {
            return NGX_ERROR;
        }

        if (n > (limit - (reply->str[i] - '0')) / 10) {
            return NGX_ERROR;
        }

        n = n * 10 + (reply->str[i] - '0');
    }

    *value = negative ? -n : n;

    return NGX_OK;
}


ngx_int_t
ngx_redis_reply_string(redisReply *reply, ngx_str_t *value)
{
    if (reply == NULL
        || (reply->type != REDIS_REPLY_STRING
            && reply->type != REDIS_REPLY_STATUS))
    {
        return NGX_ERROR;
    }

    value->len = reply->len;
    value->data = (u_char *) reply->str;

    return NGX_OK;
}


ngx_int_t
ngx_redis_reply_array(redisReply *reply, ngx_uint_t n)
{
    if (ngx_redis_reply_array_min(reply, n) != NGX_OK
        || reply->elements != n)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_int_t
ngx_redis_reply_array_min(redisReply *reply, ngx_uint_t n)
{
    if (reply == NULL
        || reply->type != REDIS_REPLY_ARRAY
        || reply->elements < n)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_uint_t
ngx_redis_reply_nil(redisReply *reply)
{
    return reply && reply->type == REDIS_REPLY_NIL;
}


ngx_uint_t
ngx_redis_reply_error(redisReply *reply, const char *code)
{
    ngx_str_t  found;

    found = ngx_redis_reply_code(reply);

    return found.len == ngx_strlen(code)
           && ngx_memcmp(found.data, code, found.len) == 0;
}


ngx_str_t
ngx_redis_reply_code(redisReply *reply)
{
    u_char     *p, *last;
    ngx_str_t   code, within;

    ngx_str_null(&code);

    if (reply == NULL || reply->type != REDIS_REPLY_ERROR) {
        return code;
    }

    p = (u_char *) reply->str;
    last = p + reply->len;

    code = ngx_redis_reply_word(p, last);

    if (reply->len < sizeof(NGX_REDIS_REPLY_SCRIPT) - 1
        || ngx_memcmp(p, NGX_REDIS_REPLY_SCRIPT,
                      sizeof(NGX_REDIS_REPLY_SCRIPT) - 1)
           != 0)
    {
        return code;
    }

    for (p += sizeof(NGX_REDIS_REPLY_SCRIPT) - 1; last - p > 3; p++) {

        if (p[0] != ':' || p[1] != ' ' || p[2] != '-') {
            continue;
        }

        within = ngx_redis_reply_word(p + 3, last);

        return within.len ? within : code;
    }

    return code;
}


static ngx_str_t
ngx_redis_reply_word(u_char *p, u_char *last)
{
    u_char     *start;
    ngx_str_t   word;

    ngx_str_null(&word);

    for (start = p; p < last && *p != ' '; p++) {

        if (*p < 'A' || *p > 'Z' || p - start == NGX_REDIS_REPLY_MAX_CODE) {
            return word;
        }
    }

    word.len = p - start;
    word.data = start;

    return word;
}


ngx_uint_t
ngx_redis_reply_pong(redisReply *reply)
{
    ngx_str_t  text;

    if (ngx_redis_reply_string(reply, &text) == NGX_OK) {
        return text.len == 4 && ngx_memcmp(text.data, "PONG", 4) == 0;
    }

    return ngx_redis_reply_error(reply, "MISCONF");
}


ngx_redis_verdict_e
ngx_redis_reply_verdict(redisReply *reply)
{
    ngx_redis_reply_code_t  *c;

    if (reply->type != REDIS_REPLY_ERROR) {
        return NGX_REDIS_VERDICT_WELL;
    }

    for (c = ngx_redis_reply_codes; c->code; c++) {
        if (ngx_redis_reply_error(reply, c->code)) {
            break;
        }
    }

    return c->verdict;
}
