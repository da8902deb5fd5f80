
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_limiter_local.h"
#include "ngx_redis_reply.h"
#include "ngx_token_digest.h"
#include "ngx_token_memo.h"
#include "ngx_token_revocation.h"


#define NGX_TOKEN_TABLES_MAGIC  0x6f707474        /* "optt" */

/* a time after all others, and not NGX_TOKEN_WATCH_NONE */
#define NGX_TOKEN_REVOCATION_ALL  ((uint64_t) NGX_MAX_INT_T_VALUE)


/* in the zone, for a later configuration */

typedef struct {
    uint32_t                  magic;
    uint32_t                  version;
    ngx_limiter_table_t      *revoked;
    ngx_limiter_table_t      *kept;
} ngx_token_tables_t;


static ngx_token_tables_t *ngx_token_revocation_tables(
    ngx_slab_pool_t *shpool, ngx_str_t *name);
static ngx_int_t ngx_token_revocation_known(
    ngx_token_revocation_t *revocation, ngx_uint_t i, u_char *digest);
static ngx_uint_t ngx_token_revocation_since(
    ngx_token_revocation_t *revocation, ngx_uint_t i);
static ngx_uint_t ngx_token_revocation_refuses(
    ngx_token_revocation_t *revocation, ngx_uint_t i, uint64_t value);
static ngx_int_t ngx_token_revocation_question(
    ngx_token_revocation_t *revocation, ngx_uint_t i, const u_char *digest);
static void ngx_token_revocation_left_handler(void *data,
    ngx_redis_result_e result, redisReply *reply);
static void ngx_token_revocation_reply_handler(void *data,
    ngx_redis_result_e result, redisReply *reply);
static void ngx_token_revocation_refused(ngx_token_revocation_t *revocation,
    redisReply *reply);
static void ngx_token_revocation_told(ngx_token_revocation_t *revocation);
static ngx_redis_refusal_t *ngx_token_revocation_refusal(
    ngx_token_revocation_t *revocation);
static ngx_token_revocation_e ngx_token_revocation_verdict(
    ngx_token_question_t *question, ngx_redis_result_e result,
    redisReply *reply);
static ngx_int_t ngx_token_revocation_marked(ngx_token_question_t *question,
    redisReply **reply, redisReply *number);
static ngx_int_t ngx_token_revocation_value(redisReply *reply,
    ngx_uint_t since, uint64_t *value);


ngx_int_t
ngx_token_revocation_init(ngx_token_zone_t *zone, ngx_str_t *name,
    ngx_log_t *log)
{
    ngx_token_tables_t  *tables;

    tables = zone->shpool->data;

    if (tables == NULL) {

        tables = ngx_token_revocation_tables(zone->shpool, name);
        if (tables == NULL) {
            ngx_log_error(NGX_LOG_EMERG, log, 0, "token_zone is too small");
            return NGX_ERROR;
        }

    } else if (tables->magic != NGX_TOKEN_TABLES_MAGIC
               || tables->version != NGX_LIMITER_TABLE_VERSION
               || tables->revoked->payload != NGX_TOKEN_PAYLOAD)
    {
        ngx_log_error(NGX_LOG_EMERG, log, 0,
                      "token_zone was laid out by another version of the "
                      "module, nginx must be restarted");
        return NGX_ERROR;
    }

    zone->table = tables->revoked;
    zone->kept = tables->kept;

    return NGX_OK;
}


/* Half of the zone each; a table takes a page besides its own. */

static ngx_token_tables_t *
ngx_token_revocation_tables(ngx_slab_pool_t *shpool, ngx_str_t *name)
{
    ngx_token_tables_t  *tables;

    tables = ngx_slab_alloc(shpool, sizeof(ngx_token_tables_t));
    if (tables == NULL || shpool->pfree < 6) {
        return NULL;
    }

    tables->magic = NGX_TOKEN_TABLES_MAGIC;
    tables->version = NGX_LIMITER_TABLE_VERSION;

    tables->revoked = ngx_limiter_table_create(shpool, shpool->pfree / 2 - 1,
                                               NGX_TOKEN_PAYLOAD, "token",
                                               name);
    if (tables->revoked == NULL) {
        return NULL;
    }

    tables->kept = ngx_limiter_table_create(shpool, 0, NGX_TOKEN_PAYLOAD,
                                            "token", name);
    if (tables->kept == NULL) {
        return NULL;
    }

    shpool->data = tables;

    return tables;
}


ngx_int_t
ngx_token_revocation_ask(ngx_token_revocation_t *revocation)
{
    u_char      digest[NGX_TOKEN_DIGEST];
    ngx_int_t   rc;
    ngx_uint_t  i;

    ngx_token_revocation_begin(revocation, 0);

    for (i = 0; i < revocation->nkeys; i++) {

        rc = ngx_token_revocation_known(revocation, i, digest);

        if (rc == NGX_BUSY) {
            ngx_token_revocation_abandon(revocation);
            revocation->result = NGX_TOKEN_REVOCATION_REVOKED;
            return NGX_OK;
        }

        if (rc == NGX_OK || revocation->client == NULL) {
            continue;
        }

        /* rc == NGX_DECLINED */

        if (ngx_token_revocation_question(revocation, i, digest) != NGX_OK) {
            return NGX_OK;
        }
    }

    return revocation->pending ? NGX_AGAIN : NGX_OK;
}


void
ngx_token_revocation_begin(ngx_token_revocation_t *revocation,
    ngx_uint_t revoke)
{
    revocation->revoke = revoke;
    revocation->pending = 0;
    revocation->nquestions = 0;
    revocation->questions = NULL;
    revocation->result = NGX_TOKEN_REVOCATION_CLEAR;
}


ngx_uint_t
ngx_token_revocation_answers(const ngx_token_revocation_t *revocation,
    const ngx_token_revocation_t *other)
{
    ngx_uint_t  i;

    if (revocation->revoke
        || revocation->result == NGX_TOKEN_REVOCATION_UNAVAILABLE
        || revocation->since != other->since
        || revocation->issued != other->issued
        || revocation->nkeys != other->nkeys)
    {
        return 0;
    }

    for (i = 0; i < other->nkeys; i++) {
        if (revocation->keys[i].len != other->keys[i].len
            || ngx_memcmp(revocation->keys[i].data, other->keys[i].data,
                          other->keys[i].len)
               != 0)
        {
            return 0;
        }
    }

    return 1;
}


void
ngx_token_revocation_abandon(ngx_token_revocation_t *revocation)
{
    ngx_uint_t            i;
    ngx_redis_command_t  *command;

    for (i = 0; i < revocation->nquestions; i++) {
        command = revocation->questions[i].command;

        if (command == NULL) {
            continue;
        }

        revocation->questions[i].command = NULL;

        if (revocation->revoke) {
            ngx_redis_command_hand(command, ngx_token_revocation_left_handler,
                                   NULL);
        } else {
            ngx_redis_command_abandon(command);
        }
    }

    revocation->pending = 0;
}


/* Who revokes may leave, Redis takes it all the same: nobody is to be told. */

static void
ngx_token_revocation_left_handler(void *data, ngx_redis_result_e result,
    redisReply *reply)
{
    /* void */
}


/*
 * What is known of a key: NGX_OK if it does not refuse the token, NGX_BUSY if
 * it does, NGX_DECLINED if Redis is to be asked.
 */

static ngx_int_t
ngx_token_revocation_known(ngx_token_revocation_t *revocation, ngx_uint_t i,
    u_char *digest)
{
    uint64_t          *until, value;
    ngx_str_t          key;
    ngx_uint_t         known, since;
    ngx_token_zone_t  *zone;

    ngx_token_memo_digest(&revocation->keys[i], digest, revocation->log);

    since = ngx_token_revocation_since(revocation, i);

    if (since && ngx_token_revocation_before(revocation, digest)) {
        return NGX_BUSY;
    }

    if (revocation->watch) {

        /* there is no answer kept for a key that this host has revoked */

        value = ngx_token_watch_lookup(revocation->watch, digest, since);

        if (value != NGX_TOKEN_WATCH_NONE) {
            return ngx_token_revocation_refuses(revocation, i, value)
                   ? NGX_BUSY : NGX_OK;
        }
    }

    zone = revocation->zone;

    key.data = digest;
    key.len = NGX_TOKEN_DIGEST;

    ngx_shmtx_lock(&zone->shpool->mutex);

    until = ngx_limiter_table_lookup(zone->table, &key);
    known = (until && *until > ngx_limiter_local_now());

    if (until && !known) {
        ngx_limiter_table_remove(zone->table, &key);
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);

    return known ? NGX_BUSY : NGX_DECLINED;
}


static ngx_uint_t
ngx_token_revocation_since(ngx_token_revocation_t *revocation, ngx_uint_t i)
{
    return revocation->since && i == revocation->nkeys - 1;
}


/* What is stored is 1 for a key that is there, or a time; 0 is neither. */

static ngx_uint_t
ngx_token_revocation_refuses(ngx_token_revocation_t *revocation, ngx_uint_t i,
    uint64_t value)
{
    if (!ngx_token_revocation_since(revocation, i)) {
        return value != 0;
    }

    if (value == 0) {
        return 0;
    }

    /* a token that does not tell when it was issued may be an older one */

    return revocation->issued <= 0 || (uint64_t) revocation->issued < value;
}


/*
 * With a marker both are asked for in one moment.  EXISTS counts a key as
 * often as it is named: 1 is the marker, 2 the key.
 */

static ngx_int_t
ngx_token_revocation_question(ngx_token_revocation_t *revocation,
    ngx_uint_t i, const u_char *digest)
{
    ngx_str_t   argv[4];
    ngx_uint_t  since, argc;

    since = ngx_token_revocation_since(revocation, i);

    argv[1] = revocation->keys[i];
    argc = 2;

    if (revocation->postgres) {
        argv[2] = *ngx_token_marker_key(
                              ngx_token_postgres_marker(revocation->postgres),
                              &revocation->keys[i]);
        argv[3] = argv[1];
        argc = since ? 3 : 4;
    }

    if (!since) {
        ngx_str_set(&argv[0], "EXISTS");

    } else if (revocation->postgres) {
        ngx_str_set(&argv[0], "MGET");

    } else {
        ngx_str_set(&argv[0], "GET");
    }

    return ngx_token_revocation_send(revocation, i, digest, argc, argv);
}


/* One command of several is not accepted: there is no answer to wait for. */

ngx_int_t
ngx_token_revocation_send(ngx_token_revocation_t *revocation, ngx_uint_t i,
    const u_char *digest, ngx_uint_t argc, ngx_str_t *argv)
{
    ngx_token_question_t  *question;

    if (revocation->nquestions == 0) {
        revocation->questions = ngx_palloc(revocation->pool,
                                           revocation->nkeys
                                           * sizeof(ngx_token_question_t));
        if (revocation->questions == NULL) {
            revocation->result = NGX_TOKEN_REVOCATION_UNAVAILABLE;
            return NGX_DECLINED;
        }
    }

    question = &revocation->questions[revocation->nquestions];

    question->command = NULL;
    question->revocation = revocation;
    question->key = i;
    question->note.trusted = 0;

    if (revocation->postgres && !revocation->revoke) {
        question->era = ngx_token_marker_note(
                             ngx_token_postgres_marker(revocation->postgres));
    }

    if (digest) {
        ngx_memcpy(question->digest, digest, NGX_TOKEN_DIGEST);
    }

    if (revocation->watch && !revocation->revoke) {
        ngx_token_watch_note(revocation->watch, question->digest,
                             &question->note);
    }

    question->command = ngx_redis_client_send(revocation->client, argc, argv,
                                      revocation->revoke ? 3 : 1,
                                      ngx_token_revocation_reply_handler,
                                      question);

    if (question->command == NULL) {
        ngx_token_revocation_abandon(revocation);
        revocation->result = NGX_TOKEN_REVOCATION_UNAVAILABLE;
        return NGX_DECLINED;
    }

    revocation->pending++;
    revocation->nquestions++;

    return NGX_OK;
}


static void
ngx_token_revocation_reply_handler(void *data, ngx_redis_result_e result,
    redisReply *reply)
{
    ngx_token_question_t *question = data;

    ngx_token_revocation_e   verdict;
    ngx_token_revocation_t  *revocation;

    revocation = question->revocation;

    /* the map of a cluster is about to change: all is asked until it has */

    if (ngx_redis_command_sent_on(question->command)) {
        question->note.trusted = 0;
    }

    question->server = ngx_redis_command_server(question->command);
    question->command = NULL;

    verdict = ngx_token_revocation_verdict(question, result, reply);

    if (result == NGX_REDIS_REFUSED) {
        ngx_token_revocation_refused(revocation, reply);

    } else if (verdict != NGX_TOKEN_REVOCATION_UNAVAILABLE) {
        ngx_token_revocation_told(revocation);
    }

    /* one key that is there says more than another that is not answered */

    if (verdict == NGX_TOKEN_REVOCATION_REVOKED
        || revocation->result == NGX_TOKEN_REVOCATION_CLEAR)
    {
        revocation->result = verdict;
    }

    if (--revocation->pending == 0) {
        revocation->handler(revocation->data);
    }
}


/*
 * Redis answers, and does not tell what is asked, or does not take what is to be
 * revoked: the client does not call that an outage, and nobody else would say
 * why tokens are refused, or let in.
 */

static void
ngx_token_revocation_refused(ngx_token_revocation_t *revocation,
    redisReply *reply)
{
    ngx_str_t             code;
    ngx_redis_refusal_t  *refusal;

    refusal = ngx_token_revocation_refusal(revocation);

    if (ngx_redis_reply_verdict(reply) != NGX_REDIS_VERDICT_WELL
        || ngx_redis_refusal_begin(refusal, ngx_current_msec) != NGX_OK)
    {
        return;
    }

    code = ngx_redis_reply_code(reply);

    ngx_log_error(NGX_LOG_ERR, revocation->log, 0,
                  "redis does not %s: \"%V\"",
                  revocation->revoke ? "take revocations"
                                     : "tell of revoked tokens", &code);
}


static void
ngx_token_revocation_told(ngx_token_revocation_t *revocation)
{
    ngx_redis_refusal_t  *refusal;

    refusal = ngx_token_revocation_refusal(revocation);

    if (ngx_redis_refusal_end(refusal, ngx_current_msec) != NGX_OK) {
        return;
    }

    ngx_log_error(NGX_LOG_NOTICE, revocation->log, 0,
                  "redis %s again after %Mms",
                  revocation->revoke ? "takes revocations"
                                     : "tells of revoked tokens",
                  ngx_current_msec - refusal->since);
}


static ngx_redis_refusal_t *
ngx_token_revocation_refusal(ngx_token_revocation_t *revocation)
{
    return revocation->revoke ? revocation->revoking : revocation->refusal;
}


static ngx_token_revocation_e
ngx_token_revocation_verdict(ngx_token_question_t *question,
    ngx_redis_result_e result, redisReply *reply)
{
    uint64_t                 value;
    ngx_uint_t               i, since;
    redisReply               number;
    ngx_token_revocation_t  *revocation;

    revocation = question->revocation;

    if (result != NGX_REDIS_REPLY) {
        return NGX_TOKEN_REVOCATION_UNAVAILABLE;
    }

    if (revocation->revoke) {

        if (reply->type == REDIS_REPLY_STATUS
            && reply->len == 2
            && ngx_memcmp(reply->str, "OK", 2) == 0)
        {
            return NGX_TOKEN_REVOCATION_CLEAR;
        }

        return NGX_TOKEN_REVOCATION_UNAVAILABLE;
    }

    i = question->key;
    since = ngx_token_revocation_since(revocation, i);

    if (revocation->postgres) {

        switch (ngx_token_revocation_marked(question, &reply, &number)) {

        case NGX_OK:
            break;

        case NGX_BUSY:
            return NGX_TOKEN_REVOCATION_REVOKED;

        default: /* NGX_ERROR */
            return NGX_TOKEN_REVOCATION_UNAVAILABLE;
        }
    }

    if (ngx_token_revocation_value(reply, since, &value) != NGX_OK) {
        return NGX_TOKEN_REVOCATION_UNAVAILABLE;
    }

    if (revocation->watch) {
        ngx_token_watch_store(revocation->watch, question->digest,
                              &question->note, question->server, since,
                              value);
    }

    return ngx_token_revocation_refuses(revocation, i, value)
           ? NGX_TOKEN_REVOCATION_REVOKED : NGX_TOKEN_REVOCATION_CLEAR;
}


/*
 * Takes the marker out of the answer: NGX_OK if it is there, and what remains
 * is an answer as without one; NGX_BUSY if it is not and the key is, which is
 * enough to refuse; NGX_ERROR if nothing can be said.
 */

static ngx_int_t
ngx_token_revocation_marked(ngx_token_question_t *question,
    redisReply **reply, redisReply *number)
{
    uint64_t                 value;
    ngx_uint_t               marked, since;
    ngx_token_marker_t      *marker;
    ngx_token_revocation_t  *revocation;

    revocation = question->revocation;
    marker = ngx_token_postgres_marker(revocation->postgres);
    since = ngx_token_revocation_since(revocation, question->key);

    if (since) {

        if (ngx_redis_reply_array(*reply, 2) != NGX_OK) {
            return NGX_ERROR;
        }

        marked = !ngx_redis_reply_nil((*reply)->element[1]);
        *reply = (*reply)->element[0];

    } else {

        if ((*reply)->type != REDIS_REPLY_INTEGER
            || (*reply)->integer < 0
            || (*reply)->integer > 3)
        {
            return NGX_ERROR;
        }

        ngx_memzero(number, sizeof(redisReply));

        number->type = REDIS_REPLY_INTEGER;
        number->integer = (*reply)->integer / 2;

        marked = (*reply)->integer & 1;
        *reply = number;
    }

    if (!marked) {
        ngx_token_marker_missed(marker);

    } else if (ngx_token_marker_trusted(marker, question->era)) {
        return NGX_OK;
    }

    if (ngx_token_revocation_value(*reply, since, &value) == NGX_OK
        && ngx_token_revocation_refuses(revocation, question->key, value))
    {
        return NGX_BUSY;
    }

    return NGX_ERROR;
}


/*
 * A time that is none refuses everybody: it was meant to refuse somebody.
 */

static ngx_int_t
ngx_token_revocation_value(redisReply *reply, ngx_uint_t since,
    uint64_t *value)
{
    ngx_int_t  n;
    ngx_str_t  text;

    if (!since) {

        if (reply->type != REDIS_REPLY_INTEGER
            || reply->integer < 0
            || reply->integer > 1)
        {
            return NGX_ERROR;
        }

        *value = reply->integer;

        return NGX_OK;
    }

    if (ngx_redis_reply_nil(reply)) {
        *value = 0;
        return NGX_OK;
    }

    if (reply->type != REDIS_REPLY_STRING
        || ngx_redis_reply_string(reply, &text) != NGX_OK)
    {
        return NGX_ERROR;
    }

    n = ngx_atoi(text.data, text.len);

    *value = (n == NGX_ERROR) ? NGX_TOKEN_REVOCATION_ALL : (uint64_t) n;

    return NGX_OK;
}
