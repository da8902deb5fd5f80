
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
    ngx_input_json_t         *subject;
    ngx_input_json_t         *ttl;
    ngx_input_json_t         *exp;
    ngx_uint_t                subjects;
} ngx_http_ratelimit_redis_api_members_t;


static ngx_int_t ngx_http_ratelimit_redis_api_revocation_members(
    ngx_http_ratelimit_redis_api_revocation_t *rev, ngx_input_json_t *json,
    ngx_http_ratelimit_redis_api_members_t *members);
static ngx_int_t ngx_http_ratelimit_redis_api_revocation_value(
    ngx_http_ratelimit_redis_api_revocation_t *rev, ngx_input_json_t *json);
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

static ngx_str_t  ngx_http_ratelimit_redis_api_subjects[] = {
    ngx_string("token"),
    ngx_string("jti"),
    ngx_string("user")
};


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
    ngx_str_t          name, *subjects;
    ngx_uint_t         i;
    ngx_input_json_t  *member;

    ngx_memzero(members, sizeof(ngx_http_ratelimit_redis_api_members_t));

    subjects = ngx_http_ratelimit_redis_api_subjects;

    members->ttl = ngx_input_json_member(json, "ttl");
    members->exp = ngx_input_json_member(json, "exp");

    for (member = ngx_input_json_first(json);
         member;
         member = ngx_input_json_next(member))
    {
        if (member == members->ttl || member == members->exp) {
            continue;
        }

        ngx_input_json_name(member, &name);

        for (i = 0; i < 3; i++) {
            if (name.len == subjects[i].len
                && ngx_memcmp(name.data, subjects[i].data, name.len) == 0)
            {
                break;
            }
        }

        if (i == 3) {
            return ngx_http_ratelimit_redis_api_revocation_bad(rev,
                              "there is a member other than \"token\", \"jti\","
                              " \"user\", \"ttl\" and \"exp\"");
        }

        rev->kind = i;
        members->subject = member;
        members->subjects++;
    }

    if (members->subjects != 1) {
        return ngx_http_ratelimit_redis_api_revocation_bad(rev,
                                    "there must be one of \"token\", \"jti\" "
                                    "and \"user\"");
    }

    if (members->ttl && members->exp) {
        return ngx_http_ratelimit_redis_api_revocation_bad(rev,
                                    "there must not be both \"ttl\" and "
                                    "\"exp\"");
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_ratelimit_redis_api_revocation_value(
    ngx_http_ratelimit_redis_api_revocation_t *rev, ngx_input_json_t *json)
{
    if (ngx_input_json_string(json, &rev->value) != NGX_OK) {
        return ngx_http_ratelimit_redis_api_revocation_bad(rev,
                                    "\"token\", \"jti\" and \"user\" must be "
                                    "strings");
    }

    if (rev->kind == NGX_HTTP_RATELIMIT_REDIS_API_TOKEN) {

        if (rev->value.len == 0
            || !ngx_token_source_plain(&rev->value)
            || !ngx_token_source_canonical(&rev->value))
        {
            return ngx_http_ratelimit_redis_api_revocation_impossible(rev,
                                    "\"token\" is none that would be accepted");
        }

        return NGX_OK;
    }

    if (rev->value.len == 0 || ngx_token_path_control(&rev->value)) {
        return ngx_http_ratelimit_redis_api_revocation_impossible(rev,
                                    "no token that is accepted has this value");
    }

    return NGX_OK;
}


/* Numbers of JSON are below 2^53 here. */

static ngx_int_t
ngx_http_ratelimit_redis_api_revocation_time(
    ngx_http_ratelimit_redis_api_revocation_t *rev,
    ngx_http_ratelimit_redis_api_members_t *members)
{
    double             number;
    int64_t            ttl;
    ngx_input_json_t  *json;

    json = members->ttl ? members->ttl : members->exp;

    if (json == NULL) {
        return NGX_OK;
    }

    if (ngx_input_json_number(json, &number) != NGX_OK
        || number != (double) (int64_t) number)
    {
        return ngx_http_ratelimit_redis_api_revocation_bad(rev,
                                    "\"ttl\" and \"exp\" must be integers");
    }

    ttl = (int64_t) number;

    if (json == members->exp) {
        ttl -= ngx_time();
    }

    if (ttl < 1 || ttl > NGX_HTTP_TOKEN_REVOKE_MAX) {
        return ngx_http_ratelimit_redis_api_revocation_impossible(rev,
                                    "it must last for one second to ten years");
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
