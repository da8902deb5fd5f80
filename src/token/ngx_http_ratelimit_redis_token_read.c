
/*
 * Copyright (C) The Optcache authors
 */


/*
 * From a request to its token, and from its text to what it says.
 *
 * A token that was verified is remembered in the token zone until it expires,
 * by the SHA-256 of its text and of what it was verified by, so that its
 * signature is checked once.  The payload of such a slot, whose key is 'v' and
 * the two digests, one upon the other:
 *
 *     0  until       8   s since the epoch
 *     8  (unused)    8
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_captures.h"
#include "ngx_http_compat.h"
#include "ngx_http_names.h"
#include "ngx_http_ratelimit_redis.h"
#include "ngx_token_source.h"


typedef struct {
    uint64_t                  until;
    uint64_t                  unused;
} ngx_http_token_verified_t;


static ngx_int_t ngx_http_ratelimit_redis_token_text(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_ctx_t *ctx,
    ngx_http_ratelimit_redis_loc_conf_t *rlcf);
static ngx_int_t ngx_http_ratelimit_redis_token_find(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_loc_conf_t *rlcf, ngx_http_token_t *token);
static ngx_int_t ngx_http_ratelimit_redis_token_formed(ngx_http_request_t *r,
    ngx_http_token_t *token, ngx_uint_t bearer);
static ngx_int_t ngx_http_ratelimit_redis_token_recollect(
    ngx_http_request_t *r, ngx_http_token_t *token, ngx_uint_t bearer);
static ngx_uint_t ngx_http_ratelimit_redis_token_ambiguous(
    ngx_http_request_t *r, ngx_str_t *source, ngx_str_t *text);
static ngx_uint_t ngx_http_ratelimit_redis_token_among(ngx_str_t *text,
    u_char ch);
static ngx_int_t ngx_http_ratelimit_redis_token_judge(ngx_http_request_t *r,
    ngx_http_token_t *token, ngx_http_token_jwt_t *judge);
static ngx_int_t ngx_http_ratelimit_redis_token_failed(
    ngx_http_ratelimit_redis_ctx_t *ctx);
static ngx_int_t ngx_http_ratelimit_redis_token_recall(ngx_http_request_t *r,
    ngx_http_token_t *token, ngx_http_token_jwt_t *judge, u_char *key);
static void ngx_http_ratelimit_redis_token_remember(ngx_http_request_t *r,
    ngx_http_token_t *token, ngx_http_token_jwt_t *judge, u_char *key);
static void ngx_http_ratelimit_redis_token_note(ngx_http_token_t *token,
    ngx_http_token_jwt_t *judge, uint64_t until);
static void ngx_http_ratelimit_redis_token_slot(ngx_http_token_t *token,
    ngx_http_token_jwt_t *judge, u_char *key);


ngx_int_t
ngx_http_ratelimit_redis_token_read(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_ctx_t *ctx,
    ngx_http_ratelimit_redis_loc_conf_t *rlcf)
{
    void              *source;
    ngx_http_token_t  *token;

    token = &ctx->token;

    if (ctx->token_failed) {
        return NGX_ERROR;
    }

    source = rlcf->token_source ? (void *) rlcf->token_source
                                : &ngx_http_ratelimit_redis_module;

    if (token->status == NGX_HTTP_TOKEN_UNREAD
        || token->source != source
        || token->judge != rlcf->token_jwt)
    {
        if (ngx_http_ratelimit_redis_token_text(r, ctx, rlcf) != NGX_OK) {
            return ngx_http_ratelimit_redis_token_failed(ctx);
        }

    } else {
        return NGX_OK;
    }

    token->judge = rlcf->token_jwt;

    if (rlcf->token_jwt == NULL || token->status != NGX_HTTP_TOKEN_OK) {
        return NGX_OK;
    }

    /*
     * Whoever asks for a claim later has to get it: what cannot be told is empty
     * to nginx, and that is nobody.
     */

    if (ngx_http_ratelimit_redis_token_judge(r, token, rlcf->token_jwt)
            != NGX_OK
        || (token->status == NGX_HTTP_TOKEN_OK
            && ngx_http_ratelimit_redis_token_claims(r, token) == NULL))
    {
        return ngx_http_ratelimit_redis_token_failed(ctx);
    }

    return NGX_OK;
}


/*
 * There was no memory: nothing is known of the token, and nothing will be.  A
 * variable that has asked for it is remembered as empty.
 */

static ngx_int_t
ngx_http_ratelimit_redis_token_failed(ngx_http_ratelimit_redis_ctx_t *ctx)
{
    ngx_memzero(&ctx->token, sizeof(ngx_http_token_t));

    ctx->token.status = NGX_HTTP_TOKEN_UNREAD;
    ctx->token_failed = 1;

    return NGX_ERROR;
}


/* Sets the status, as far as the token itself tells it, and the text. */

static ngx_int_t
ngx_http_ratelimit_redis_token_text(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_ctx_t *ctx,
    ngx_http_ratelimit_redis_loc_conf_t *rlcf)
{
    ngx_uint_t        bearer;
    ngx_http_token_t  token;

    ngx_memzero(&token, sizeof(ngx_http_token_t));

    bearer = (rlcf->token_source == NULL);

    token.source = bearer ? &ngx_http_ratelimit_redis_module
                          : (void *) rlcf->token_source;

    if (ngx_http_ratelimit_redis_token_find(r, rlcf, &token) != NGX_OK) {
        return NGX_ERROR;
    }

    if (token.status == NGX_HTTP_TOKEN_OK) {

        switch (ngx_http_ratelimit_redis_token_formed(r, &token, bearer)) {

        case NGX_OK:
            break;

        case NGX_DECLINED:
            token.status = NGX_HTTP_TOKEN_MALFORMED;
            break;

        default: /* NGX_ERROR */
            return NGX_ERROR;
        }
    }

    if (token.status != NGX_HTTP_TOKEN_OK) {
        token.memo = NULL;
        ngx_str_null(&token.text);

    } else if (ngx_http_ratelimit_redis_token_recollect(r, &token, bearer)
               != NGX_OK)
    {
        return NGX_ERROR;
    }

    ctx->token = token;

    return NGX_OK;
}


/* The text, and whether there is one; its form has not been looked at. */

static ngx_int_t
ngx_http_ratelimit_redis_token_find(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_loc_conf_t *rlcf, ngx_http_token_t *token)
{
    ngx_int_t  rc;

    if (rlcf->token_source == NULL) {

        /* nginx refuses a request that has two */

        rc = r->headers_in.authorization
             ? ngx_token_source_scheme(&r->headers_in.authorization->value,
                                       &token->text)
             : NGX_DECLINED;

    } else {

        if (ngx_http_captures_value(r, rlcf->token_source, &token->text)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        rc = token->text.len ? NGX_OK : NGX_DECLINED;

        if (ngx_http_ratelimit_redis_token_ambiguous(r,
                                                  &rlcf->token_source->value,
                                                  &token->text))
        {
            rc = NGX_ERROR;
        }
    }

    switch (rc) {

    case NGX_OK:
        token->status = NGX_HTTP_TOKEN_OK;
        break;

    case NGX_DECLINED:
        token->status = NGX_HTTP_TOKEN_NONE;
        break;

    default: /* NGX_ERROR */
        token->status = NGX_HTTP_TOKEN_MALFORMED;
    }

    return NGX_OK;
}


/*
 * Whether the text has the form of a token; one that is remembered has been
 * looked at before.  NGX_OK, NGX_DECLINED, or NGX_ERROR if there is no memory.
 */

static ngx_int_t
ngx_http_ratelimit_redis_token_formed(ngx_http_request_t *r,
    ngx_http_token_t *token, ngx_uint_t bearer)
{
    ngx_str_t         *text;
    ngx_token_memo_t  *memo;

    text = &token->text;
    memo = ngx_token_memo_find(text);
    token->memo = memo;

    if (memo && (bearer ? memo->bearer : memo->plain)) {
        return NGX_OK;
    }

    if (!(bearer ? ngx_token_source_b64token(text)
                 : ngx_token_source_plain(text)))
    {
        return NGX_DECLINED;
    }

    return ngx_token_source_canonical(r->pool, text);
}


/* What is known of it by its text is held as long as the request lives. */

static ngx_int_t
ngx_http_ratelimit_redis_token_recollect(ngx_http_request_t *r,
    ngx_http_token_t *token, ngx_uint_t bearer)
{
    if (token->memo == NULL) {

        token->memo = ngx_token_memo_get(&token->text, r->connection->log);

        if (token->memo == NULL) {
            return NGX_OK;
        }
    }

    if (bearer) {
        token->memo->bearer = 1;

    } else {
        token->memo->plain = 1;
    }

    return ngx_token_memo_hold(token->memo, r->pool);
}


/*
 * Whether an argument, a cookie or a field that a token is taken from is there
 * more often than nginx saw, or may end elsewhere: another may be the one that
 * the backend takes.
 */

static ngx_uint_t
ngx_http_ratelimit_redis_token_ambiguous(ngx_http_request_t *r,
    ngx_str_t *source, ngx_str_t *text)
{
    ngx_str_t         variable, name;
    ngx_uint_t        n, unclear;
    ngx_http_names_e  where;

    variable.data = source->data + 1;
    variable.len = source->len - 1;

    if (source->len > 2 && source->data[1] == '{') {
        /* ${name} */
        variable.data++;
        variable.len -= 2;
    }

    where = ngx_http_names_variable(&variable, &name);

    switch (where) {

    case NGX_HTTP_NAMES_ARG:

        /* arguments of nginx end at "#", the URI that it passes on does not */

        unclear = ngx_http_ratelimit_redis_token_among(text, ';')
                  || ngx_http_ratelimit_redis_token_among(text, '+')
                  || ngx_http_ratelimit_redis_token_among(&r->unparsed_uri,
                                                          '#');
        break;

    case NGX_HTTP_NAMES_COOKIE:
        unclear = ngx_http_ratelimit_redis_token_among(text, ',');
        break;

    case NGX_HTTP_NAMES_FIELD:
        unclear = 0;
        break;

    default:
        return 0;
    }

    n = ngx_http_names_said(r, where, &name, 0);

    return unclear || n > 1 || (n == 1 && text->len == 0);
}


static ngx_uint_t
ngx_http_ratelimit_redis_token_among(ngx_str_t *text, u_char ch)
{
    return ngx_strlchr(text->data, text->data + text->len, ch) != NULL;
}


static ngx_int_t
ngx_http_ratelimit_redis_token_judge(ngx_http_request_t *r,
    ngx_http_token_t *token, ngx_http_token_jwt_t *judge)
{
    u_char               key[1 + NGX_TOKEN_DIGEST];
    ngx_token_jwt_t     *jwt;
    ngx_token_claims_t  *claims;

    if (token->memo
        && token->memo->until > (uint64_t) ngx_time()
        && ngx_memcmp(token->memo->judge, judge->id, NGX_TOKEN_DIGEST) == 0)
    {
        ngx_http_ratelimit_redis_metrics_count(r,
                                               NGX_HTTP_TOKEN_METRICS_WORKER);
        token->verdict = NGX_TOKEN_VERDICT_OK;
        return NGX_OK;
    }

    ngx_http_ratelimit_redis_token_slot(token, judge, key);

    if (ngx_http_ratelimit_redis_token_recall(r, token, judge, key) == NGX_OK)
    {
        ngx_http_ratelimit_redis_metrics_count(r, NGX_HTTP_TOKEN_METRICS_HOST);
        token->verdict = NGX_TOKEN_VERDICT_OK;
        return NGX_OK;
    }

    ngx_http_ratelimit_redis_metrics_count(r, NGX_HTTP_TOKEN_METRICS_FULL);

    jwt = ngx_palloc(r->pool, sizeof(ngx_token_jwt_t)
                              + sizeof(ngx_token_claims_t));
    if (jwt == NULL) {
        return NGX_ERROR;
    }

    claims = (ngx_token_claims_t *) (jwt + 1);

    token->verdict = ngx_token_claims_judge(r->pool, &token->text,
                                            judge->keys, &judge->rules,
                                            ngx_time(), jwt, claims);

    switch (token->verdict) {

    case NGX_TOKEN_VERDICT_OK:
        token->claims = claims;
        ngx_http_ratelimit_redis_token_remember(r, token, judge, key);
        return NGX_OK;

    case NGX_TOKEN_VERDICT_ERROR:
        return NGX_ERROR;

    default:
        token->status = NGX_HTTP_TOKEN_INVALID;
        return NGX_OK;
    }
}


/* NGX_OK if it was verified before, and has not expired since */

static ngx_int_t
ngx_http_ratelimit_redis_token_recall(ngx_http_request_t *r,
    ngx_http_token_t *token, ngx_http_token_jwt_t *judge, u_char *key)
{
    uint64_t                               until;
    ngx_str_t                              slot;
    ngx_token_zone_t                      *zone;
    ngx_http_token_verified_t             *verified;
    ngx_http_ratelimit_redis_main_conf_t  *rmcf;

    rmcf = ngx_http_get_module_main_conf(r, ngx_http_ratelimit_redis_module);
    zone = &rmcf->token_zone;

    slot.data = key;
    slot.len = 1 + NGX_TOKEN_DIGEST;

    ngx_shmtx_lock(&zone->shpool->mutex);

    verified = ngx_limiter_table_lookup(zone->kept, &slot);

    until = verified ? verified->until : 0;

    ngx_shmtx_unlock(&zone->shpool->mutex);

    if (until <= (uint64_t) ngx_time()) {
        return NGX_DECLINED;
    }

    ngx_http_ratelimit_redis_token_note(token, judge, until);

    return NGX_OK;
}


static void
ngx_http_ratelimit_redis_token_remember(ngx_http_request_t *r,
    ngx_http_token_t *token, ngx_http_token_jwt_t *judge, u_char *key)
{
    uint64_t                               until;
    ngx_str_t                              slot;
    ngx_token_zone_t                      *zone;
    ngx_token_claims_t                    *claims;
    ngx_http_token_verified_t             *verified;
    ngx_http_ratelimit_redis_main_conf_t  *rmcf;

    rmcf = ngx_http_get_module_main_conf(r, ngx_http_ratelimit_redis_module);
    zone = &rmcf->token_zone;

    slot.data = key;
    slot.len = 1 + NGX_TOKEN_DIGEST;

    claims = token->claims;

    until = claims->has_exp ? (uint64_t) (claims->exp + judge->rules.leeway)
                            : NGX_MAX_INT32_VALUE * (uint64_t) 1000;

    ngx_shmtx_lock(&zone->shpool->mutex);

    verified = ngx_limiter_table_insert(zone->kept, &slot);
    verified->until = until;

    ngx_shmtx_unlock(&zone->shpool->mutex);

    ngx_http_ratelimit_redis_token_note(token, judge, until);
}


/* in the memory of this worker, too */

static void
ngx_http_ratelimit_redis_token_note(ngx_http_token_t *token,
    ngx_http_token_jwt_t *judge, uint64_t until)
{
    if (token->memo) {
        ngx_memcpy(token->memo->judge, judge->id, NGX_TOKEN_DIGEST);
        token->memo->until = until;
    }
}


static void
ngx_http_ratelimit_redis_token_slot(ngx_http_token_t *token,
    ngx_http_token_jwt_t *judge, u_char *key)
{
    ngx_uint_t  i;

    key[0] = 'v';

    if (token->memo) {
        ngx_memcpy(&key[1], token->memo->digest, NGX_TOKEN_DIGEST);

    } else {
        ngx_token_digest(&token->text, &key[1]);
    }

    for (i = 0; i < NGX_TOKEN_DIGEST; i++) {
        key[1 + i] ^= judge->id[i];
    }
}


ngx_token_claims_t *
ngx_http_ratelimit_redis_token_claims(ngx_http_request_t *r,
    ngx_http_token_t *token)
{
    ngx_token_jwt_t      jwt;
    ngx_token_claims_t  *claims;

    if (token->status != NGX_HTTP_TOKEN_OK || token->judge == NULL) {
        return NULL;
    }

    if (token->claims) {
        return token->claims;
    }

    if (token->memo) {
        token->claims = ngx_token_memo_claims(token->memo);
        return token->claims;
    }

    claims = ngx_palloc(r->pool, sizeof(ngx_token_claims_t));

    if (claims == NULL
        || ngx_token_jwt_parse(r->pool, &token->text, &jwt)
           != NGX_TOKEN_VERDICT_OK
        || ngx_token_claims_parse(r->pool, &jwt, claims)
           != NGX_TOKEN_VERDICT_OK)
    {
        return NULL;
    }

    token->claims = claims;

    return claims;
}


ngx_int_t
ngx_http_ratelimit_redis_token_hex(ngx_http_request_t *r,
    ngx_http_token_t *token)
{
    if (token->hex.len || token->text.len == 0) {
        return NGX_OK;
    }

    if (token->memo) {
        token->hex.data = token->memo->hex;
        token->hex.len = NGX_TOKEN_DIGEST_HEX;

        return NGX_OK;
    }

    token->hex.data = ngx_pnalloc(r->pool, NGX_TOKEN_DIGEST_HEX);
    if (token->hex.data == NULL) {
        return NGX_ERROR;
    }

    token->hex.len = NGX_TOKEN_DIGEST_HEX;
    ngx_token_digest_hex(&token->text, token->hex.data);

    return NGX_OK;
}
