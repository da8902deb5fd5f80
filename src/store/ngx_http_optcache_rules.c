
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_optcache.h"
#include "ngx_http_optcache_rules.h"


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


ngx_uint_t
ngx_http_optcache_rules_vary_encoding(ngx_str_t *line)
{
    ngx_http_rfc9111_vary_t  vary;

    ngx_memzero(&vary, sizeof(ngx_http_rfc9111_vary_t));

    ngx_http_rfc9111_vary_parse(line, &vary);

    return vary.encoding && !vary.any && vary.n == 0;
}
