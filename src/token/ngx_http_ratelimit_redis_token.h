
/*
 * Copyright (C) The Optcache authors
 */


/*
 * The token of a request: what it is, what it says, and whether it still is
 * allowed.  Part of ngx_http_ratelimit_redis.h, which includes it.
 */


#ifndef _NGX_HTTP_RATELIMIT_REDIS_TOKEN_H_INCLUDED_
#define _NGX_HTTP_RATELIMIT_REDIS_TOKEN_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_api_json.h"
#include "ngx_http_api_prometheus.h"
#include "ngx_token_claims.h"
#include "ngx_token_digest.h"
#include "ngx_token_keys.h"
#include "ngx_token_memo.h"
#include "ngx_token_revocation.h"
#include "ngx_token_rules.h"


/*
 * s, the longest that anything is revoked for: EX of Redis takes less than
 * 2^53 ms; ten years are enough for any token
 */
#define NGX_HTTP_TOKEN_REVOKE_MAX  (10 * 365 * 24 * 60 * 60)


struct ngx_http_ratelimit_redis_ctx_s;
struct ngx_http_ratelimit_redis_main_conf_s;
struct ngx_http_ratelimit_redis_loc_conf_s;


/* what tokens of a location are verified by */

typedef struct {
    ngx_token_keys_t           *keys;
    ngx_token_rules_t           rules;
    u_char                      id[NGX_TOKEN_DIGEST];   /* of both */
} ngx_http_token_jwt_t;


/* a file of keys that was read, for certain algorithms */

typedef struct {
    ngx_str_t                   name;
    ngx_uint_t                  algorithms;
    ngx_token_keys_t           *keys;
} ngx_http_token_file_t;


/* $token_status; what is said of an invalid one is its verdict */

typedef enum {
    NGX_HTTP_TOKEN_UNREAD = 0,
    NGX_HTTP_TOKEN_NONE,
    NGX_HTTP_TOKEN_MALFORMED,
    NGX_HTTP_TOKEN_INVALID,
    NGX_HTTP_TOKEN_OK,
    NGX_HTTP_TOKEN_REVOKED,
    NGX_HTTP_TOKEN_UNAVAILABLE
} ngx_http_token_status_e;


typedef struct {
    ngx_http_token_status_e     status;    /* unread .. ok */
    ngx_str_t                   text;
    void                       *source;    /* the conf it was read by */

    ngx_token_memo_t           *memo;      /* held; NULL: not asked for, or
                                              there is none */
    ngx_str_t                   hex;       /* its SHA-256; empty until asked
                                              for */

    ngx_http_token_jwt_t       *judge;     /* who said the verdict; or NULL */
    ngx_token_verdict_e         verdict;
    ngx_token_claims_t         *claims;    /* NULL until asked for */
} ngx_http_token_t;


/*
 * _token_read.c: reads the token as a location says, and verifies it if the
 * location has keys; both once for each such location.  token->status is ok,
 * and token->judge set, only if it was verified.  NGX_OK, or NGX_ERROR when
 * there is no memory.
 */

ngx_int_t ngx_http_ratelimit_redis_token_read(ngx_http_request_t *r,
    struct ngx_http_ratelimit_redis_ctx_s *ctx,
    struct ngx_http_ratelimit_redis_loc_conf_s *rlcf);

/* What a verified token says; NULL if it is not, or there is no memory. */

ngx_token_claims_t *ngx_http_ratelimit_redis_token_claims(
    ngx_http_request_t *r, ngx_http_token_t *token);

/* The digest of its text in hex; NGX_ERROR when there is no memory. */

ngx_int_t ngx_http_ratelimit_redis_token_hex(ngx_http_request_t *r,
    ngx_http_token_t *token);


/*
 * _token_keys.c: makes the keys of a question; or, of a revocation, those that
 * are of no other token.  The same token may have several texts, see
 * ngx_token_jwt.h: what one of them is revoked by refuses the others, so the
 * keys of all are asked for.  There is room for one more key.  NGX_OK, or
 * NGX_ERROR when there is no memory.
 */

ngx_int_t ngx_http_ratelimit_redis_token_keys(ngx_http_request_t *r,
    struct ngx_http_ratelimit_redis_ctx_s *ctx,
    struct ngx_http_ratelimit_redis_loc_conf_s *rlcf,
    ngx_token_revocation_t *revocation, ngx_uint_t revoke);


/*
 * _token.c: the token of a round, as limits, and whether it has been revoked
 * since that was asked: _changed() is 1 if the verdict is another one
 * now; token_revoke's content
 */

ngx_int_t ngx_http_ratelimit_redis_token_start(ngx_http_request_t *r,
    struct ngx_http_ratelimit_redis_ctx_s *ctx,
    ngx_token_revocation_pt handler);
ngx_int_t ngx_http_ratelimit_redis_token_again(
    struct ngx_http_ratelimit_redis_ctx_s *ctx,
    ngx_token_revocation_pt handler);
ngx_uint_t ngx_http_ratelimit_redis_token_changed(
    struct ngx_http_ratelimit_redis_ctx_s *ctx);
ngx_int_t ngx_http_ratelimit_redis_token_verdict(ngx_http_request_t *r,
    struct ngx_http_ratelimit_redis_ctx_s *ctx, ngx_str_t *body);

ngx_int_t ngx_http_ratelimit_redis_token_revoke(ngx_http_request_t *r);

/* Sets all but the keys, and what is to be done, of a zeroed one. */

void ngx_http_ratelimit_redis_token_revocation_init(ngx_http_request_t *r,
    ngx_token_revocation_t *revocation, ngx_pool_t *pool, ngx_log_t *log);

/* the worker's listener to what becomes of revocations */

ngx_int_t ngx_http_ratelimit_redis_token_init_process(ngx_cycle_t *cycle,
    struct ngx_http_ratelimit_redis_main_conf_s *rmcf);
void ngx_http_ratelimit_redis_token_exit_process(void);


/*
 * _token_postgres.c: a directive, its shared memory, and this worker's part,
 * which is NULL if there is none
 */

char *ngx_http_ratelimit_redis_token_postgres_conf(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
char *ngx_http_ratelimit_redis_token_postgres_conf_init(ngx_conf_t *cf,
    struct ngx_http_ratelimit_redis_main_conf_s *rmcf);
ngx_int_t ngx_http_ratelimit_redis_token_postgres_start(ngx_cycle_t *cycle,
    struct ngx_http_ratelimit_redis_main_conf_s *rmcf);
void ngx_http_ratelimit_redis_token_postgres_stop(void);
ngx_token_postgres_t *ngx_http_ratelimit_redis_token_postgres(void);

/*
 * For an API: member "postgres" of a status, null if there is none; families
 * of metrics; whether this worker has a reason not to believe Redis to have all
 * revocations; and milliseconds since this host made sure of it,
 * NGX_MAX_UINT32_VALUE: never.
 */

void ngx_http_ratelimit_redis_token_postgres_api(ngx_http_api_json_t *json);
void ngx_http_ratelimit_redis_token_postgres_metrics(
    ngx_http_api_prometheus_t *p);
ngx_uint_t ngx_http_ratelimit_redis_token_postgres_doubted(
    ngx_token_postgres_t *tp);
uint64_t ngx_http_ratelimit_redis_token_postgres_heard(
    ngx_token_postgres_t *tp);


/* _token_api.c: member "tokens" of a status, and families of metrics */

void ngx_http_ratelimit_redis_token_api(ngx_http_api_json_t *json,
    struct ngx_http_ratelimit_redis_main_conf_s *rmcf);
void ngx_http_ratelimit_redis_token_api_metrics(ngx_http_api_prometheus_t *p,
    struct ngx_http_ratelimit_redis_main_conf_s *rmcf);


/* _token_vars.c */

ngx_int_t ngx_http_ratelimit_redis_token_vars_add(ngx_conf_t *cf);


/* _token_conf.c: directives */

char *ngx_http_ratelimit_redis_token_conf_source(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
char *ngx_http_ratelimit_redis_token_conf_blacklist(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
char *ngx_http_ratelimit_redis_token_conf_required(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
char *ngx_http_ratelimit_redis_token_conf_key(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
char *ngx_http_ratelimit_redis_token_conf_since(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
char *ngx_http_ratelimit_redis_token_conf_revoke(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
void ngx_http_ratelimit_redis_token_conf_merge_revoke(ngx_conf_t *cf,
    struct ngx_http_ratelimit_redis_loc_conf_s *prev,
    struct ngx_http_ratelimit_redis_loc_conf_s *conf);
char *ngx_http_ratelimit_redis_token_conf_ttl(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
char *ngx_http_ratelimit_redis_token_conf_size(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);

/* notes that tokens are used at all */

void ngx_http_ratelimit_redis_token_conf_used(ngx_conf_t *cf);

/* notes which keys a merged location checks; NGX_ERROR: no memory */

ngx_int_t ngx_http_ratelimit_redis_token_conf_checked(ngx_conf_t *cf,
    struct ngx_http_ratelimit_redis_loc_conf_s *rlcf);

/* makes the shared memory zones of revocations if they are used */

char *ngx_http_ratelimit_redis_token_conf_init(ngx_conf_t *cf,
    struct ngx_http_ratelimit_redis_main_conf_s *rmcf);


/* _token_jwt_conf.c: directives, and the keys of a merged location */

char *ngx_http_ratelimit_redis_token_jwt_conf_keys(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
char *ngx_http_ratelimit_redis_token_jwt_conf_algorithms(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
char *ngx_http_ratelimit_redis_token_jwt_conf_require(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
char *ngx_http_ratelimit_redis_token_jwt_conf_leeway(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
char *ngx_http_ratelimit_redis_token_jwt_conf_merge(ngx_conf_t *cf,
    struct ngx_http_ratelimit_redis_loc_conf_s *prev,
    struct ngx_http_ratelimit_redis_loc_conf_s *conf);


#endif /* _NGX_HTTP_RATELIMIT_REDIS_TOKEN_H_INCLUDED_ */
