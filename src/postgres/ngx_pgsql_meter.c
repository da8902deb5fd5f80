
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_pgsql_meter.h"


/*
 * tcpi_bytes_received of Linux' struct tcp_info, in words of 64 bits; glibc
 * has a shorter one.
 */

#define NGX_PGSQL_METER_RECEIVED  16

/* libpq makes so much room before it reads */
#define NGX_PGSQL_METER_LEAST     8192


static size_t ngx_pgsql_meter_unread(ngx_socket_t fd);
static ngx_int_t ngx_pgsql_meter_received(ngx_socket_t fd, uint64_t *bytes);


void
ngx_pgsql_meter_before(ngx_pgsql_meter_t *meter, ngx_socket_t fd)
{
    meter->unread = ngx_pgsql_meter_unread(fd);
}


void
ngx_pgsql_meter_after(ngx_pgsql_meter_t *meter, ngx_socket_t fd)
{
    size_t    unread;
    uint64_t  received;

    if (ngx_pgsql_meter_received(fd, &received) == NGX_OK) {

        /*
         * What comes in between is counted the next time; until then it may be
         * more than what was read now, but that is not less for it.
         */

        unread = ngx_pgsql_meter_unread(fd);

        if (received > meter->read + unread) {
            meter->read = received - unread;
        }

        return;
    }

    unread = ngx_pgsql_meter_unread(fd);

    if (unread < meter->unread) {
        meter->read += meter->unread - unread;

    } else {
        meter->read += ngx_min(meter->unread, NGX_PGSQL_METER_LEAST);
    }
}


uint64_t
ngx_pgsql_meter_unknown(ngx_pgsql_meter_t *meter)
{
    return (meter->read > meter->known) ? meter->read - meter->known : 0;
}


static size_t
ngx_pgsql_meter_unread(ngx_socket_t fd)
{
    int  n;

    if (ioctl(fd, FIONREAD, &n) == -1 || n < 0) {
        return 0;
    }

    return n;
}


static ngx_int_t
ngx_pgsql_meter_received(ngx_socket_t fd, uint64_t *bytes)
{
#if (NGX_LINUX)

    uint64_t   info[NGX_PGSQL_METER_RECEIVED + 1];
    socklen_t  len;

    len = sizeof(info);

    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, info, &len) == 0
        && len == sizeof(info))
    {
        *bytes = info[NGX_PGSQL_METER_RECEIVED];
        return NGX_OK;
    }

#endif

    return NGX_DECLINED;
}
