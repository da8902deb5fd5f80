
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_captures.h"
#include "ngx_http_optcache.h"
#include "ngx_http_optcache_rules.h"
#include "ngx_rare.h"


static time_t ngx_http_optcache_rules_time(ngx_str_t *value);
static ngx_uint_t ngx_http_optcache_rules_stays(ngx_http_request_t *r,
    ngx_http_complex_value_t *cv);


void
ngx_http_optcache_rules_ignore(ngx_http_optcache_loc_conf_t *olcf,
    ngx_http_optcache_response_t *resp)
{
    if (olcf->ignore & NGX_HTTP_OPTCACHE_IGNORE_CACHE_CONTROL) {
        ngx_http_rfc9111_control_init(&resp->freshness.cc);
        resp->freshness.pragma = 0;
    }

    if (olcf->ignore & NGX_HTTP_OPTCACHE_IGNORE_EXPIRES) {
        resp->freshness.expires = -1;
    }

    if (olcf->ignore & NGX_HTTP_OPTCACHE_IGNORE_VARY) {
        resp->varies = resp->vary.encoding;
        ngx_memzero(&resp->vary, sizeof(ngx_http_rfc9111_vary_t));
    }
}


ngx_int_t
ngx_http_optcache_rules_left(ngx_http_request_t *r,
    ngx_http_optcache_loc_conf_t *olcf, int64_t *left)
{
    time_t                          until;
    ngx_str_t                       value;
    ngx_http_variable_value_t      *vv;
    ngx_http_optcache_main_conf_t  *omcf;

    *left = NGX_HTTP_RFC9111_DELTA_MAX;

    if (ngx_http_captures_lost(r)) {
        /* neither who it is for is known, nor how long */
        return NGX_ERROR;
    }

    if (ngx_rarely(olcf->until != NULL)) {

        if (ngx_http_captures_value(r, olcf->until, &value) != NGX_OK) {
            return NGX_ERROR;
        }

    } else {
        omcf = ngx_http_get_module_main_conf(r, ngx_http_optcache_module);

        if (omcf->until < 0) {
            return NGX_OK;
        }

        vv = ngx_http_get_flushed_variable(r, omcf->until);
        if (vv == NULL) {
            return NGX_ERROR;
        }

        if (vv->not_found) {
            return NGX_OK;
        }

        value.len = vv->len;
        value.data = vv->data;
    }

    until = ngx_http_optcache_rules_time(&value);

    if (until != (time_t) NGX_ERROR) {
        *left = ngx_min((int64_t) until - ngx_time(),
                        NGX_HTTP_RFC9111_DELTA_MAX);
    }

    return NGX_OK;
}


/*
 * A number of seconds, in which a fraction does not count, as in a NumericDate
 * (RFC 7519, 2); one below zero is long ago.  NGX_ERROR: none, or one that no
 * time_t can hold.
 */

static time_t
ngx_http_optcache_rules_time(ngx_str_t *value)
{
    size_t  i, digits;

    i = (value->len && value->data[0] == '-');

    for (digits = 0; i + digits < value->len; digits++) {
        if (value->data[i + digits] < '0' || value->data[i + digits] > '9') {
            break;
        }
    }

    if (digits == 0
        || (i + digits < value->len && value->data[i + digits] != '.'))
    {
        return NGX_ERROR;
    }

    return i ? 0 : ngx_atotm(value->data, digits);
}


ngx_uint_t
ngx_http_optcache_rules_used(ngx_http_optcache_ctx_t *ctx,
    ngx_http_optcache_loc_conf_t *olcf)
{
    if (olcf->min_uses == 1 || ctx->status == NGX_HTTP_OPTCACHE_EXPIRED) {
        return 1;
    }

    return ngx_optcache_l1_uses(ctx->zone, &ctx->key.identity, ngx_time())
           >= (ngx_uint_t) olcf->min_uses;
}


ngx_int_t
ngx_http_optcache_rules_never(ngx_http_request_t *r,
    ngx_http_optcache_loc_conf_t *olcf)
{
    ngx_str_t                  value;
    ngx_uint_t                 i;
    ngx_http_complex_value_t  *cv;

    if (ngx_mostly(olcf->never == 0) || !(r->method & olcf->methods)) {
        return NGX_DECLINED;
    }

#if (NGX_PCRE)

    if (r->ncaptures) {
        /* a value may have others, and the key is made of these */
        return NGX_DECLINED;
    }

#endif

    cv = olcf->bypass->elts;

    for (i = 0; i < olcf->bypass->nelts; i++) {

        if (cv[i].lengths == NULL) {
            /* a text, as "1" mostly is */
            value = cv[i].value;

        } else if (ngx_http_captures_value(r, &cv[i], &value) != NGX_OK) {
            return NGX_ERROR;
        }

        if (value.len == 0 || (value.len == 1 && value.data[0] == '0')) {
            continue;
        }

        /* those behind it are not asked, as one is enough */

        if (i < 64 && (olcf->never >> i & 1)
            && ngx_http_optcache_rules_stays(r, &cv[i]))
        {
            return NGX_OK;
        }

        break;
    }

#if (NGX_PCRE)
    r->ncaptures = 0;
#endif

    return NGX_DECLINED;
}


/* Whether the variables in it, which have a value now, keep it. */

static ngx_uint_t
ngx_http_optcache_rules_stays(ngx_http_request_t *r,
    ngx_http_complex_value_t *cv)
{
    ngx_uint_t  *index;

#if (NGX_PCRE)

    if (r->ncaptures) {
        return 0;
    }

#endif

    if (cv->flushes == NULL) {
        return cv->lengths == NULL;
    }

    for (index = cv->flushes; *index != (ngx_uint_t) -1; index++) {

        if (r->variables[*index].no_cacheable) {
            return 0;
        }
    }

    return 1;
}
