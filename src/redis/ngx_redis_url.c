
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_redis_url.h"


#define NGX_REDIS_URL_PORT      6379
#define NGX_REDIS_URL_MAX_HOST  253
#define NGX_REDIS_URL_MAX_DB    999999


static ngx_int_t ngx_redis_url_parse_unix(u_char *p, u_char *last,
    ngx_redis_url_t *url, const char **err);
static ngx_int_t ngx_redis_url_parse_host(u_char *p, u_char *last,
    ngx_redis_url_t *url, const char **err);
static ngx_int_t ngx_redis_url_parse_db(u_char *p, u_char *last,
    ngx_redis_url_t *url, const char **err);
static ngx_int_t ngx_redis_url_number(u_char *p, u_char *last,
    ngx_uint_t max, ngx_uint_t *value);


ngx_int_t
ngx_redis_url_parse(ngx_str_t *text, ngx_redis_url_t *url, const char **err)
{
    u_char  *p, *last, *slash, *at;

    ngx_memzero(url, sizeof(ngx_redis_url_t));

    p = text->data;
    last = p + text->len;

    for (slash = p; slash < last; slash++) {
        if (*slash <= ' ' || *slash >= 0x7f) {
            *err = "unexpected character";
            return NGX_ERROR;
        }
    }

    if (text->len > 5 && ngx_strncasecmp(p, (u_char *) "unix:", 5) == 0) {
        return ngx_redis_url_parse_unix(p + 5, last, url, err);
    }

    if (text->len > 8 && ngx_strncasecmp(p, (u_char *) "redis://", 8) == 0) {
        p += 8;

    } else if (text->len > 9
               && ngx_strncasecmp(p, (u_char *) "rediss://", 9) == 0)
    {
        p += 9;
        url->tls = 1;

    } else {
        *err = "expected \"redis://host\", \"rediss://host\""
               " or \"unix:/path\"";
        return NGX_ERROR;
    }

    slash = ngx_strlchr(p, last, '/');
    if (slash == NULL) {
        slash = last;
    }

    at = ngx_strlchr(p, slash, '@');

    if (at) {
        if (ngx_strlchr(p, at, ':')) {
            *err = "a password belongs to \"password_file\"";
            return NGX_ERROR;
        }

        if (at == p || ngx_strlchr(p, at, '%')) {
            *err = "invalid user";
            return NGX_ERROR;
        }

        url->user.data = p;
        url->user.len = at - p;

        p = at + 1;
    }

    if (ngx_redis_url_parse_host(p, slash, url, err) != NGX_OK) {
        return NGX_ERROR;
    }

    if (slash == last || slash + 1 == last) {
        return NGX_OK;
    }

    return ngx_redis_url_parse_db(slash + 1, last, url, err);
}


static ngx_int_t
ngx_redis_url_parse_unix(u_char *p, u_char *last, ngx_redis_url_t *url,
    const char **err)
{
    u_char  *colon;

    url->local = 1;

    if (*p != '/') {
        *err = "expected an absolute path";
        return NGX_ERROR;
    }

    for (colon = last - 1; colon > p && *colon != ':'; colon--) {
        /* void */
    }

    if (*colon != ':') {
        colon = last;

    } else if (ngx_redis_url_parse_db(colon + 1, last, url, err) != NGX_OK) {
        return NGX_ERROR;
    }

    url->host.data = p;
    url->host.len = colon - p;

#if (NGX_HAVE_UNIX_DOMAIN)

    if (url->host.len >= sizeof(((struct sockaddr_un *) 0)->sun_path)) {
        *err = "too long path";
        return NGX_ERROR;
    }

    return NGX_OK;

#else

    *err = "unix domain sockets are not supported on this platform";
    return NGX_ERROR;

#endif
}


static ngx_int_t
ngx_redis_url_parse_host(u_char *p, u_char *last, ngx_redis_url_t *url,
    const char **err)
{
    u_char      *end;
    ngx_uint_t   port, ipv6;

    ipv6 = (p < last && *p == '[');

    if (ipv6) {
        end = ngx_strlchr(++p, last, ']');
        if (end == NULL) {
            *err = "no \"]\" in IPv6 address";
            return NGX_ERROR;
        }

    } else {
        end = ngx_strlchr(p, last, ':');
        if (end == NULL) {
            end = last;
        }
    }

    url->host.data = p;
    url->host.len = end - p;

    if (!ngx_redis_url_host_valid(&url->host, ipv6)) {
        *err = "invalid host";
        return NGX_ERROR;
    }

    url->port = NGX_REDIS_URL_PORT;

    p = ipv6 ? end + 1 : end;

    if (p == last) {
        return NGX_OK;
    }

    if (*p != ':'
        || ngx_redis_url_number(p + 1, last, 65535, &port) != NGX_OK
        || port == 0)
    {
        *err = "invalid port";
        return NGX_ERROR;
    }

    url->port = (in_port_t) port;
    url->ported = 1;

    return NGX_OK;
}


static ngx_int_t
ngx_redis_url_parse_db(u_char *p, u_char *last, ngx_redis_url_t *url,
    const char **err)
{
    if (ngx_redis_url_number(p, last, NGX_REDIS_URL_MAX_DB, &url->db)
        != NGX_OK)
    {
        *err = "invalid database number";
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_redis_url_number(u_char *p, u_char *last, ngx_uint_t max,
    ngx_uint_t *value)
{
    ngx_uint_t  n;

    if (p >= last) {
        return NGX_ERROR;
    }

    for (n = 0; p < last; p++) {
        if (*p < '0' || *p > '9') {
            return NGX_ERROR;
        }

        n = n * 10 + (*p - '0');

        if (n > max) {
            return NGX_ERROR;
        }
    }

    *value = n;

    return NGX_OK;
}


ngx_uint_t
ngx_redis_url_host_valid(ngx_str_t *host, ngx_uint_t ipv6)
{
    size_t           i;
    u_char           ch;
#if (NGX_HAVE_INET6)
    struct in6_addr  in6;
#endif

    if (host->len == 0 || host->len > NGX_REDIS_URL_MAX_HOST) {
        return 0;
    }

    if (ipv6) {
#if (NGX_HAVE_INET6)
        return ngx_inet6_addr(host->data, host->len, in6.s6_addr) == NGX_OK;
#else
        return 0;
#endif
    }

    for (i = 0; i < host->len; i++) {
        ch = host->data[i] | 0x20;

        if ((ch >= 'a' && ch <= 'z')
            || (host->data[i] >= '0' && host->data[i] <= '9')
            || host->data[i] == '.'
            || host->data[i] == '-'
            || host->data[i] == '_')
        {
            continue;
        }

        return 0;
    }

    return 1;
}
