
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_conf_password.h"


static ssize_t ngx_conf_password_read(ngx_conf_t *cf, ngx_str_t *path,
    u_char *buf, size_t size);


char *
ngx_conf_password(ngx_conf_t *cf, ngx_str_t *path, size_t max,
    ngx_str_t *password)
{
    u_char     *p, *last, *buf;
    ssize_t     n;
    ngx_str_t  *directive;

    directive = cf->args->elts;

    if (ngx_conf_full_name(cf->cycle, path, 1) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    /* CR and LF, too, or what a password that is too long has in their place */

    buf = ngx_pnalloc(cf->pool, max + 2);
    if (buf == NULL) {
        return NGX_CONF_ERROR;
    }

    n = ngx_conf_password_read(cf, path, buf, max + 2);
    if (n == NGX_ERROR) {
        return NGX_CONF_ERROR;
    }

    last = buf + n;

    p = ngx_strlchr(buf, last, LF);
    if (p == NULL) {
        p = last;
    }

    if (p > buf && p[-1] == CR) {
        p--;
    }

    if (p == buf || (size_t) (p - buf) > max) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid \"password_file\" \"%V\" in \"%V\", "
                           "expected a password of 1 to %uz bytes in its "
                           "first line", path, directive, max);
        return NGX_CONF_ERROR;
    }

    *p = '\0';

    password->data = buf;
    password->len = p - buf;

    return NGX_CONF_OK;
}


static ssize_t
ngx_conf_password_read(ngx_conf_t *cf, ngx_str_t *path, u_char *buf,
    size_t size)
{
    ssize_t     n;
    ngx_fd_t    fd;
    ngx_err_t   err;
    ngx_str_t  *directive;

    directive = cf->args->elts;

    fd = ngx_open_file(path->data, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           ngx_open_file_n " \"%V\" of \"password_file\" in "
                           "\"%V\" failed", path, directive);
        return NGX_ERROR;
    }

    n = ngx_read_fd(fd, buf, size);
    err = ngx_errno;

    if (ngx_close_file(fd) == NGX_FILE_ERROR) {
        ngx_conf_log_error(NGX_LOG_ALERT, cf, ngx_errno,
                           ngx_close_file_n " \"%V\" failed", path);
    }

    if (n == -1) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, err,
                           ngx_read_fd_n " \"%V\" of \"password_file\" in "
                           "\"%V\" failed", path, directive);
        return NGX_ERROR;
    }

    return n;
}
