
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_seldom.h"


ngx_uint_t
ngx_http_seldom(time_t *told, time_t pause, ngx_uint_t loud)
{
    time_t  now;

    now = ngx_time();

    /* also if the clock was set back */

    if (*told <= now && now - *told < pause) {
        return NGX_LOG_INFO;
    }

    *told = now;

    return loud;
}
