
/*
 * Copyright (C) The Optcache authors
 */


/*
 * What the files of ngx_http_ratelimit_redis_module share: its configuration,
 * which nobody changes after it was merged, and the context of a request.
 */


#ifndef _NGX_HTTP_RATELIMIT_REDIS_H_INCLUDED_
#define _NGX_HTTP_RATELIMIT_REDIS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_api_problem.h"
#include "ngx_http_line.h"
#include "ngx_limiter_check.h"
#include "ngx_limiter_report.h"
#include "ngx_http_ratelimit_redis_metrics.h"
#include "ngx_http_ratelimit_redis_token.h"


#define NGX_HTTP_RATELIMIT_REDIS_HEADERS_OFF   0
#define NGX_HTTP_RATELIMIT_REDIS_HEADERS_X     1
#define NGX_HTTP_RATELIMIT_REDIS_HEADERS_IETF  2

/* where a rule is checked, and which stages a location has rules for: bits */
#define NGX_HTTP_RATELIMIT_REDIS_ACCESS        1
#define NGX_HTTP_RATELIMIT_REDIS_PRECONTENT    2

/* sets of rates, of the first four, whose refusal is written at start */
#define NGX_HTTP_RATELIMIT_REDIS_BODIES        16


typedef struct {
    ngx_str_t                   text;      /* as configured */
    ngx_limiter_rate_t          rate;
    ngx_http_complex_value_t   *value;     /* NULL: the rate above */
} ngx_http_ratelimit_redis_rate_t;


typedef struct {
    ngx_limiter_zone_t          zone;      /* the first: items point to it */
    ngx_http_complex_value_t    key;

    ngx_uint_t                  nrates;    /* as configured */
    ngx_http_ratelimit_redis_rate_t  rates[NGX_LIMITER_MAX_RATES];

    ngx_http_complex_value_t   *cost;      /* NULL: 1 */
    ngx_http_complex_value_t   *charge;    /* NULL: none */

    ngx_metrics_block_t        *refusals;  /* by each of the rates */
} ngx_http_ratelimit_redis_zone_t;


typedef struct {
    ngx_shm_zone_t             *shm_zone;  /* ->data is a .._zone_t */
    ngx_uint_t                  on_error;  /* ngx_limiter_on_error_e */
    ngx_uint_t                  dry_run;
    ngx_uint_t                  stage;     /* 0: not given, which is access */
    uint64_t                    delay;     /* units that need not wait */
    unsigned                    delay_set:1;
    ngx_http_line_t             line;      /* where it was written */
} ngx_http_ratelimit_redis_rule_t;


typedef struct ngx_http_ratelimit_redis_main_conf_s {
    ngx_array_t                 rules;     /* all: .._rule_t */

    ngx_redis_conf_t           *redis;
    ngx_str_t                   prefix;
    ngx_limiter_scripts_t       scripts;
    ngx_array_t                 zones;     /* ngx_limiter_zone_t * */
    ngx_shm_zone_t             *fleet;
    ngx_shm_zone_t             *health;    /* NULL without Redis */
    ngx_array_t                 places;    /* ngx_http_place_t, to look at
                                              when all is read */
    ngx_http_ratelimit_redis_metrics_t  metrics;

    ngx_str_t                   unavailable;       /* bodies */
    ngx_str_t                   unauthorized;
    ngx_str_t                   not_allowed;

    ngx_uint_t                  token_used;
    ngx_uint_t                  token_read;        /* used, or required */
    size_t                      token_size;
    ngx_token_zone_t            token_zone;
    ngx_array_t                *token_keys;        /* the default ones */
    ngx_array_t                 token_lists;       /* ngx_array_t *: of keys
                                                      that some location
                                                      checks */
    ngx_array_t                 token_sinces;      /* ngx_str_t: the same */
    ngx_array_t                 token_prefixes;    /* ngx_str_t: of all keys */
    ngx_array_t                 token_files;       /* that were read */
    time_t                      token_leeway;      /* the longest of all */
    ngx_shm_zone_t             *token_watch;       /* NULL: none is watched */
    ngx_pgsql_conf_t           *token_postgres;    /* NULL: off */
    ngx_uint_t                  token_postgres_set;
    ngx_shm_zone_t             *token_postgres_zone;
    uint32_t                   *token_postgres_tags;   /* of a cluster */
} ngx_http_ratelimit_redis_main_conf_t;


typedef struct ngx_http_ratelimit_redis_loc_conf_s {
    ngx_http_line_t             line;      /* where its block begins */
    ngx_array_t                *rules;     /* .._rule_t */
    ngx_uint_t                  stages;    /* of them */
    ngx_str_t                  *bodies;    /* of refusals: .._BODIES a rule, by
                                              the set of rates that refuse;
                                              empty if not known before */
    ngx_uint_t                  status;
    ngx_uint_t                  headers;
    ngx_uint_t                  on_error;
    ngx_uint_t                  log_level;
    ngx_flag_t                  dry_run;
    ngx_uint_t                  api;
    ngx_uint_t                  api_degraded;      /* the status of /health */
    ngx_array_t                *api_keys;          /* those below, if they are
                                                      its own; else NULL */
    ngx_http_complex_value_t   *api_since;

    ngx_http_complex_value_t   *token_source;      /* NULL: Authorization */
    ngx_flag_t                  token_required;
    ngx_flag_t                  token_blacklist;
    ngx_array_t                *token_keys;        /* complex values */
    ngx_http_complex_value_t   *token_since;       /* NULL: none */
    ngx_http_token_jwt_t       *token_jwt;         /* NULL: not verified */
    ngx_str_t                   token_jwt_file;
    ngx_http_line_t             token_jwt_line;    /* that names the file */
    ngx_uint_t                  token_jwt_algorithms;
    ngx_array_t                *token_jwt_require; /* ngx_str_t */
    time_t                      token_jwt_leeway;
    ngx_uint_t                  token_deny;        /* token_blacklist_on_.. */
    time_t                      token_revoke_ttl;
    ngx_flag_t                  token_revoke;
} ngx_http_ratelimit_redis_loc_conf_t;


/* $ratelimit_redis_status */

typedef enum {
    NGX_HTTP_RATELIMIT_REDIS_NONE = 0,
    NGX_HTTP_RATELIMIT_REDIS_PASSED,
    NGX_HTTP_RATELIMIT_REDIS_LOCAL_PASSED,
    NGX_HTTP_RATELIMIT_REDIS_SKIPPED,
    NGX_HTTP_RATELIMIT_REDIS_DELAYED_DRY_RUN,
    NGX_HTTP_RATELIMIT_REDIS_LOCAL_DELAYED_DRY_RUN,
    NGX_HTTP_RATELIMIT_REDIS_DELAYED,
    NGX_HTTP_RATELIMIT_REDIS_LOCAL_DELAYED,
    NGX_HTTP_RATELIMIT_REDIS_REJECTED_DRY_RUN,
    NGX_HTTP_RATELIMIT_REDIS_LOCAL_REJECTED_DRY_RUN,
    NGX_HTTP_RATELIMIT_REDIS_REJECTED,
    NGX_HTTP_RATELIMIT_REDIS_LOCAL_REJECTED
} ngx_http_ratelimit_redis_status_e;


/*
 * Lives in r->main->pool and outlives internal redirects.  A round is one run
 * of a phase's handler: each stage of a location has its own, and so has
 * a location that is redirected to.
 */

typedef enum {
    NGX_HTTP_RATELIMIT_REDIS_IDLE = 0,
    NGX_HTTP_RATELIMIT_REDIS_WAITING,
    NGX_HTTP_RATELIMIT_REDIS_ANSWERED,
    NGX_HTTP_RATELIMIT_REDIS_DELAYING
} ngx_http_ratelimit_redis_state_e;


typedef struct ngx_http_ratelimit_redis_ctx_s {
    ngx_http_request_t                   *request;
    ngx_http_ratelimit_redis_state_e      state;
    ngx_uint_t                            pending;

    /* the round */

    ngx_http_ratelimit_redis_loc_conf_t  *conf;
    ngx_uint_t                            stage;
    ngx_msec_t                            delay;     /* before it goes on */
    ngx_limiter_check_t                   check;
    ngx_uint_t                            rules[NGX_LIMITER_MAX_ZONES];

    /* the request */

    ngx_http_token_t                      token;
    ngx_http_token_status_e               token_status;  /* as checked */
    ngx_token_verdict_e                   token_verdict; /* of that */
    ngx_token_revocation_t               *revocation;    /* the last one */
    ngx_limiter_item_t                   *charged;   /* those that counted */
    ngx_array_t                          *policies;  /* .._item_t *, to tell */
    ngx_http_ratelimit_redis_status_e     status;
    ngx_limiter_report_t                  shown;     /* to the client */
    ngx_limiter_report_t                  noted;     /* in variables */
    uint64_t                              retry;     /* ms, or 0 */
    uint64_t                              now;       /* of the last verdict */
    ngx_msec_t                            msec;      /* ngx_current_msec then */
    ngx_uint_t                            headers;   /* bits */
    unsigned                              refused:1; /* by a limit */
    unsigned                              again:1;   /* the round has asked */
    unsigned                              delayed:1; /* and has had its turn */
    unsigned                              asked:1;   /* Redis, of the token */
    unsigned                              token_hurried:1; /* no time to ask */
    unsigned                              token_failed:1;  /* no memory */
} ngx_http_ratelimit_redis_ctx_t;


extern ngx_module_t  ngx_http_ratelimit_redis_module;


/*
 * _round.c: a phase's handler, of a stage; and the context of a request, made
 * if "create"; NULL if there is none, or out of memory
 */

ngx_int_t ngx_http_ratelimit_redis_round(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_loc_conf_t *rlcf, ngx_uint_t stage);

ngx_http_ratelimit_redis_ctx_t *ngx_http_ratelimit_redis_get_ctx(
    ngx_http_request_t *r, ngx_uint_t create);

/* _module.c: of this worker; NULL without Redis */

ngx_redis_client_t *ngx_http_ratelimit_redis_client(void);
ngx_limiter_redis_t *ngx_http_ratelimit_redis_worker(void);


/* _vars.c */

ngx_int_t ngx_http_ratelimit_redis_vars_add(ngx_conf_t *cf);


/* _fleet.c: the memory hosts know of each other in; a worker's part in it */

char *ngx_http_ratelimit_redis_fleet_conf(ngx_conf_t *cf,
    ngx_http_ratelimit_redis_main_conf_t *rmcf);
ngx_int_t ngx_http_ratelimit_redis_fleet_start(ngx_cycle_t *cycle,
    ngx_http_ratelimit_redis_main_conf_t *rmcf, ngx_limiter_redis_t *redis);
void ngx_http_ratelimit_redis_fleet_stop(ngx_limiter_redis_t *redis);


/* _health.c: the memory workers tell each other in of what Redis refuses */

char *ngx_http_ratelimit_redis_health_conf(ngx_conf_t *cf,
    ngx_http_ratelimit_redis_main_conf_t *rmcf);
void ngx_http_ratelimit_redis_health_start(
    ngx_http_ratelimit_redis_main_conf_t *rmcf, ngx_limiter_redis_t *redis);


/*
 * _policy.c: what a zone asks of a request.  The policy: NGX_OK, NGX_DECLINED
 * if all rates are empty, NGX_ERROR after logging if one is invalid.
 */

ngx_int_t ngx_http_ratelimit_redis_policy(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_zone_t *rz, ngx_limiter_policy_t **policy);

/* Sets item->need and item->take.  NGX_ERROR when out of memory. */

ngx_int_t ngx_http_ratelimit_redis_policy_cost(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_zone_t *rz, ngx_limiter_item_t *item);

/*
 * A number of units: NGX_BUSY if it is too large, "units" is
 * NGX_LIMITER_MAX_COST then; NGX_ERROR if it is no number.
 */

ngx_int_t ngx_http_ratelimit_redis_policy_parse(ngx_str_t *text,
    uint64_t *units);

/* Books what the request cost in the end, in all zones that charge. */

void ngx_http_ratelimit_redis_policy_charge(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_ctx_t *ctx);


/*
 * _delay.c: NGX_AGAIN, and the phases go on after so many milliseconds;
 * NGX_ERROR
 */

ngx_int_t ngx_http_ratelimit_redis_delay(ngx_http_request_t *r,
    ngx_msec_t delay);


/* _zone.c: a directive */

char *ngx_http_ratelimit_redis_conf_zone(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


/* _rule.c: a directive, and whether each has its zone */

char *ngx_http_ratelimit_redis_conf_rule(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_ratelimit_redis_conf_check(ngx_conf_t *cf,
    ngx_http_ratelimit_redis_main_conf_t *rmcf);


/* _conf.c: the life of the configuration, and directives */

void *ngx_http_ratelimit_redis_conf_create_main(ngx_conf_t *cf);
char *ngx_http_ratelimit_redis_conf_init_main(ngx_conf_t *cf, void *conf);
void *ngx_http_ratelimit_redis_conf_create_loc(ngx_conf_t *cf);
char *ngx_http_ratelimit_redis_conf_merge_loc(ngx_conf_t *cf, void *parent,
    void *child);

char *ngx_http_ratelimit_redis_conf_server(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_ratelimit_redis_conf_enum(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_ratelimit_redis_conf_status(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* what a refusal by these policies says */

void ngx_http_ratelimit_redis_problem(ngx_http_api_problem_t *problem,
    ngx_uint_t status, ngx_str_t *names, ngx_uint_t n);


/*
 * _limits.c: the limits of a round.  _start() returns as
 * ngx_limiter_check_start(), NGX_OK with no items if nothing is to be checked.
 * _verdict.c: _verdict() sets ctx->delay, notes what came of it, logs a refusal
 * and returns NGX_DECLINED, or the status that refuses the request with *body.
 */

ngx_int_t ngx_http_ratelimit_redis_limits_start(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_ctx_t *ctx, ngx_limiter_check_pt handler);
ngx_int_t ngx_http_ratelimit_redis_limits_verdict(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_ctx_t *ctx, ngx_str_t *body);

/* Who is refused for want of Redis is asked to come back in a second. */

void ngx_http_ratelimit_redis_soon(ngx_http_ratelimit_redis_ctx_t *ctx);


#endif /* _NGX_HTTP_RATELIMIT_REDIS_H_INCLUDED_ */
