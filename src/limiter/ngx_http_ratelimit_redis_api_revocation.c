
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_ratelimit_redis_api_revocation.h"
#include "ngx_token_path.h"
#include "ngx_token_source.h"


typedef struct {
    ngx_str_t                 name;
    const char               *type;      /* a problem of the value */
    const char               *range;
} ngx_http_ratelimit_redis_api_member_t;


typedef struct {
    ngx_input_json_t         *subject;
    ngx_uint_t                subjects;
    ngx_input_json_t         *time;
    ngx_uint_t                times;
    ngx_uint_t                which;     /* of the times */
} ngx_http_ratelimit_redis_api_members_t;


static ngx_int_t ngx_http_ratelimit_redis_api_revocation_members(
    ngx_http_ratelimit_redis_api_revocation_t *rev, ngx_input_json_t *json,
    ngx_http_ratelimit_redis_api_members_t *members);
static ngx_uint_t ngx_http_ratelimit_redis_api_revocation_member(
    const ngx_http_ratelimit_redis_api_member_t *table, const ngx_str_t *name);
static ngx_int_t ngx_http_ratelimit_redis_api_revocation_value(
    ngx_http_ratelimit_redis_api_revocation_t *rev, ngx_input_json_t *json);
static ngx_int_t ngx_http_ratelimit_redis_api_revocation_form(
    ngx_http_ratelimit_redis_api_revocation_t *rev);
static ngx_int_t ngx_http_ratelimit_redis_api_revocation_time(
    ngx_http_ratelimit_redis_api_revocation_t *rev,
    ngx_http_ratelimit_redis_api_members_t *members);
static ngx_int_t ngx_http_ratelimit_redis_api_revocation_bad(
    ngx_http_ratelimit_redis_api_revocation_t *rev, const char *detail);
static ngx_int_t ngx_http_ratelimit_redis_api_revocation_impossible(
    ngx_http_ratelimit_redis_api_revocation_t *rev, const char *detail);


static ngx_input_json_limits_t  ngx_http_ratelimit_redis_api_limits = {
    65536, 8, 8
};

/* as in ngx_http_ratelimit_redis_api_revocation_e */

static ngx_http_ratelimit_redis_api_member_t
    ngx_http_ratelimit_redis_api_subjects[] =
{
    { ngx_string("token"), "\"token\" must be a string", NULL },
    { ngx_string("jti"), "\"jti\" must be a string", NULL },
    { ngx_string("user"), "\"user\" must be a string", NULL },
    { ngx_string("sub"), "\"sub\" must be a string", NULL },
    { ngx_null_string, NULL, NULL }
};

static ngx_http_ratelimit_redis_api_member_t
    ngx_http_ratelimit_redis_api_times[] =
{
    { ngx_string("ttl"), "\"ttl\" must be an integer",
      "\"ttl\" must be from one second to ten years" },

    { ngx_string("until"), "\"until\" must be an integer",
      "\"until\" must be one second to ten years from now" },

    { ngx_string("exp"), "\"exp\" must be an integer",
      "\"exp\" must be one second to ten years from now" },

    { ngx_null_string, NULL, NULL }
};

#define NGX_HTTP_RATELIMIT_REDIS_API_TTL  0
#define NGX_HTTP_RATELIMIT_REDIS_API_EXP  2


ngx_int_t
ngx_http_ratelimit_redis_api_revocation_parse(
    ngx_http_ratelimit_redis_api_revocation_t *rev, ngx_pool_t *pool,
    const ngx_str_t *text)
{
    ngx_int_t                                rc;
    ngx_input_json_t                        *json;
    ngx_http_ratelimit_redis_api_members_t   members;

    switch (ngx_input_json_parse(pool, text,
                                 &ngx_http_ratelimit_redis_api_limits, &json))
    {

    case NGX_OK:
        break;

    case NGX_DECLINED:
        return ngx_http_ratelimit_redis_api_revocation_bad(rev,
                                 "the body is not one JSON object of its kind");

    default: /* NGX_ERROR */
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rev->pool = pool;

    rc = ngx_http_ratelimit_redis_api_revocation_members(rev, json, &members);

    if (rc == NGX_OK) {
        rc = ngx_http_ratelimit_redis_api_revocation_value(rev,
                                                           members.subject);
    }

    if (rc == NGX_OK) {
        rc = ngx_http_ratelimit_redis_api_revocation_time(rev, &members);
    }

    return rc;
}


static ngx_int_t
ngx_http_ratelimit_redis_api_revocation_members(
    ngx_http_ratelimit_redis_api_revocation_t *rev, ngx_input_json_t *json,
    ngx_http_ratelimit_redis_api_members_t *members)
{
    ngx_str_t          name;
    ngx_uint_t         i;
    ngx_input_json_t  *member;

    ngx_memzero(members, sizeof(ngx_http_ratelimit_redis_api_members_t));

    for (member = ngx_input_json_first(json);
         member;
         member = ngx_input_json_next(member))
    {
        ngx_input_json_name(member, &name);

        i = ngx_http_ratelimit_redis_api_revocation_member(
                                  ngx_http_ratelimit_redis_api_times, &name);

        if (ngx_http_ratelimit_redis_api_times[i].name.len) {
            members->time = member;
            members->times++;
            members->which = i;

            continue;
        }

        i = ngx_http_ratelimit_redis_api_revocation_member(
                               ngx_http_ratelimit_redis_api_subjects, &name);

        if (ngx_http_ratelimit_redis_api_subjects[i].name.len == 0) {
            return ngx_http_ratelimit_redis_api_revocation_bad(rev,
                              "there is a member other than \"token\", \"jti\","
                              " \"user\", \"sub\", \"ttl\", \"until\" and"
                              " \"exp\"");
        }

        rev->kind = i;
        members->subject = member;
        members->subjects++;
    }

    if (members->subjects != 1) {
        return ngx_http_ratelimit_redis_api_revocation_bad(rev,
                                    "there must be one of \"token\", \"jti\", "
                                    "\"user\" and \"sub\"");
    }

    if (members->times > 1) {
        return ngx_http_ratelimit_redis_api_revocation_bad(rev,
                                    "there must not be two of \"ttl\", "
                                    "\"until\" and \"exp\"");
    }

    return NGX_OK;
}


/* the row of a name; if there is none, the last one, which has no name */

static ngx_uint_t
ngx_http_ratelimit_redis_api_revocation_member(
    const ngx_http_ratelimit_redis_api_member_t *table, const ngx_str_t *name)
{
    ngx_uint_t  i;

    for (i = 0; table[i].name.len; i++) {

        if (name->len == table[i].name.len
            && ngx_memcmp(name->data, table[i].name.data, name->len) == 0)
        {
            break;
        }
    }

    return i;
}


static ngx_int_t
ngx_http_ratelimit_redis_api_revocation_value(
    ngx_http_ratelimit_redis_api_revocation_t *rev, ngx_input_json_t *json)
{
    if (ngx_input_json_string(json, &rev->value) != NGX_OK) {
        return ngx_http_ratelimit_redis_api_revocation_bad(rev,
                       ngx_http_ratelimit_redis_api_subjects[rev->kind].type);
    }

    if (rev->kind == NGX_HTTP_RATELIMIT_REDIS_API_TOKEN) {
        return ngx_http_ratelimit_redis_api_revocation_form(rev);
    }

    if (rev->value.len == 0 || ngx_token_path_control(&rev->value)) {
        return ngx_http_ratelimit_redis_api_revocation_impossible(rev,
                                    "no token that is accepted has this value");
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_ratelimit_redis_api_revocation_form(
    ngx_http_ratelimit_redis_api_revocation_t *rev)
{
    ngx_int_t  rc;

    rc = NGX_DECLINED;

    if (rev->value.len && ngx_token_source_plain(&rev->value)) {
        rc = ngx_token_source_canonical(rev->pool, &rev->value);
    }

    switch (rc) {

    case NGX_OK:
        return NGX_OK;

    case NGX_DECLINED:
        return ngx_http_ratelimit_redis_api_revocation_impossible(rev,
                                    "\"token\" is none that would be accepted");

    default: /* NGX_ERROR */
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
}


/* Numbers of JSON are below 2^53 here. */

static ngx_int_t
ngx_http_ratelimit_redis_api_revocation_time(
    ngx_http_ratelimit_redis_api_revocation_t *rev,
    ngx_http_ratelimit_redis_api_members_t *members)
{
    double                                  number;
    int64_t                                 ttl;
    ngx_http_ratelimit_redis_api_member_t  *member;

    if (members->time == NULL) {
        return NGX_OK;
    }

    member = &ngx_http_ratelimit_redis_api_times[members->which];

    if (ngx_input_json_number(members->time, &number) != NGX_OK
        || number != (double) (int64_t) number)
    {
        return ngx_http_ratelimit_redis_api_revocation_bad(rev, member->type);
    }

    ttl = (int64_t) number;

    if (members->which != NGX_HTTP_RATELIMIT_REDIS_API_TTL) {
        ttl -= ngx_time();
    }

    if (ttl > NGX_HTTP_TOKEN_REVOKE_MAX) {
        return ngx_http_ratelimit_redis_api_revocation_impossible(rev,
                                                              member->range);
    }

    if (members->which == NGX_HTTP_RATELIMIT_REDIS_API_EXP) {
        ttl = ngx_min(ttl + rev->leeway, NGX_HTTP_TOKEN_REVOKE_MAX);
    }

    if (ttl < 1) {
        return ngx_http_ratelimit_redis_api_revocation_impossible(rev,
                                                              member->range);
    }

    rev->ttl = (time_t) ttl;

    return NGX_OK;
}


static ngx_int_t
ngx_http_ratelimit_redis_api_revocation_bad(
    ngx_http_ratelimit_redis_api_revocation_t *rev, const char *detail)
{
    rev->detail = detail;

    return NGX_HTTP_BAD_REQUEST;
}


static ngx_int_t
ngx_http_ratelimit_redis_api_revocation_impossible(
    ngx_http_ratelimit_redis_api_revocation_t *rev, const char *detail)
{
    rev->detail = detail;

    return NGX_HTTP_RATELIMIT_REDIS_API_UNPROCESSABLE;
}
