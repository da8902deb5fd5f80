
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_http_api_version.h"
#include "ngx_http_summary.h"
#include "ngx_redis_conf.h"


#define ngx_http_summary_end(s)  ((s)->buf + NGX_HTTP_SUMMARY_LEN)


void
ngx_http_summary_start(ngx_http_summary_t *s, const char *module,
    ngx_uint_t nzones)
{
    s->nzones = 0;

    s->last = ngx_slprintf(s->buf, ngx_http_summary_end(s),
                           "%s " NGX_HTTP_API_VERSION ": %ui zone%s",
                           module, nzones, (nzones == 1) ? "" : "s");
}


void
ngx_http_summary_zone(ngx_http_summary_t *s, ngx_str_t *name,
    ngx_slab_pool_t *shpool)
{
    size_t       size;
    const char  *unit;

    if (shpool == NULL) {
        return;
    }

    size = (shpool->end - (u_char *) shpool) / 1024;
    unit = "k";

    if (size % 1024 == 0) {
        size /= 1024;
        unit = "m";
    }

    if (s->nzones++) {

        /* in the place of the bracket, unless the line is full */

        if (s->last < ngx_http_summary_end(s)) {
            s->last--;
        }

        s->last = ngx_slprintf(s->last, ngx_http_summary_end(s), ", ");

    } else {
        s->last = ngx_slprintf(s->last, ngx_http_summary_end(s), " (");
    }

    s->last = ngx_slprintf(s->last, ngx_http_summary_end(s), "%V %uz%s)",
                           name, size, unit);
}


void
ngx_http_summary_redis(ngx_http_summary_t *s, ngx_redis_conf_t *conf)
{
    ngx_uint_t           i;
    ngx_redis_server_t  *server;

    if (conf == NULL) {
        ngx_http_summary_word(s, "no redis");
        return;
    }

    ngx_http_summary_word(s, "redis");

    if (conf->sentinel.len) {
        s->last = ngx_slprintf(s->last, ngx_http_summary_end(s),
                               " %V of sentinels", &conf->sentinel);

    } else if (conf->cluster) {
        s->last = ngx_slprintf(s->last, ngx_http_summary_end(s), " cluster");
    }

    server = conf->servers.elts;

    for (i = 0; i < conf->servers.nelts; i++) {
        s->last = ngx_slprintf(s->last, ngx_http_summary_end(s), " %V",
                               &server[i].text);
    }
}


void
ngx_http_summary_word(ngx_http_summary_t *s, const char *word)
{
    s->last = ngx_slprintf(s->last, ngx_http_summary_end(s), ", %s", word);
}


void
ngx_http_summary_log(ngx_http_summary_t *s, ngx_log_t *log)
{
    if (ngx_test_config) {
        return;
    }

    ngx_log_error(NGX_LOG_NOTICE, log, 0, "%*s",
                  (size_t) (s->last - s->buf), s->buf);
}
