
/*
 * Copyright (C) The Optcache authors
 */


/*
 * A password that a directive has in a file, so that the configuration can be
 * shown to whoever must not see it.
 */


#ifndef _NGX_CONF_PASSWORD_H_INCLUDED_
#define _NGX_CONF_PASSWORD_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * Reads "password_file=PATH" of a directive: the first line of the file is the
 * password, without its LF or CR LF, of 1 to "max" bytes.  "path" is made that
 * of a file beside nginx.conf if it is not absolute.  The password is from
 * cf->pool, and ended by a NUL that its length does not count.
 *
 * Returns NGX_CONF_OK, or NGX_CONF_ERROR after logging what is wrong.
 */

char *ngx_conf_password(ngx_conf_t *cf, ngx_str_t *path, size_t max,
    ngx_str_t *password);


#endif /* _NGX_CONF_PASSWORD_H_INCLUDED_ */
