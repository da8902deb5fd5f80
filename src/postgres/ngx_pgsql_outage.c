
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_pgsql_outage.h"


static ngx_uint_t ngx_pgsql_outage_lasting(ngx_pgsql_outage_t *outage);


void
ngx_pgsql_outage_connected(ngx_pgsql_outage_t *outage)
{
    outage->connected = ngx_current_msec;
    outage->well = 0;
}


void
ngx_pgsql_outage_well(ngx_pgsql_outage_t *outage)
{
    outage->well = 1;

    if (!outage->out
        || (outage->brief >= NGX_PGSQL_OUTAGE_BRIEF
            && !ngx_pgsql_outage_lasting(outage)))
    {
        return;
    }

    outage->out = 0;
    outage->told = 0;

    ngx_log_error(NGX_LOG_NOTICE, outage->log, 0,
                  "postgres of \"%V\" is back after %Mms",
                  outage->directive, ngx_current_msec - outage->since);
}


void
ngx_pgsql_outage_tell(ngx_pgsql_outage_t *outage, const char *reason)
{
    uint32_t  hash;

    hash = ngx_crc32_short((u_char *) reason, ngx_strlen(reason));

    if (outage->out && outage->told == hash) {
        return;
    }

    if (!outage->out) {
        outage->since = ngx_current_msec;
    }

    outage->out = 1;
    outage->told = hash;

    ngx_log_error(NGX_LOG_ERR, outage->log, 0,
                  "postgres of \"%V\" is not there: %s",
                  outage->directive, reason);
}


ngx_msec_t
ngx_pgsql_outage_pause(ngx_pgsql_outage_t *outage, ngx_uint_t up)
{
    ngx_msec_t  wait;

    if (up && ngx_pgsql_outage_lasting(outage)) {
        outage->wait = 0;
        outage->brief = 0;

    } else if (up && outage->well) {
        outage->brief++;
    }

    wait = ngx_max(outage->wait, NGX_PGSQL_OUTAGE_MIN_WAIT);
    outage->wait = ngx_min(wait * 2, NGX_PGSQL_OUTAGE_MAX_WAIT);

    return wait / 2 + ngx_random() % (wait / 2 + 1);
}


static ngx_uint_t
ngx_pgsql_outage_lasting(ngx_pgsql_outage_t *outage)
{
    return ngx_current_msec - outage->connected >= NGX_PGSQL_OUTAGE_LASTING;
}
