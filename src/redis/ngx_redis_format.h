
/*
 * Copyright (C) The Optcache authors
 */


/*
 * Commands in RESP, by hiredis.
 *
 * What hiredis made of a small command is a form for others with as many
 * arguments of the same lengths, into which theirs are copied: most commands
 * of a busy worker are alike.  Forms are bounded in number and length, and have
 * no argument in them.
 */


#ifndef _NGX_REDIS_FORMAT_H_INCLUDED_
#define _NGX_REDIS_FORMAT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#define NGX_REDIS_MAX_ARGS  512


typedef struct ngx_redis_form_s  ngx_redis_form_t;


/*
 * NGX_OK, or NGX_ERROR when the command would be longer than "max" bytes, has
 * too many arguments, or when out of memory.  An empty argument need not have
 * an address.  The command is to be given back by ngx_redis_format_free().
 */

ngx_int_t ngx_redis_format(ngx_uint_t argc, const ngx_str_t *argv, size_t max,
    ngx_str_t *command);
void ngx_redis_format_free(ngx_str_t *command);

/*
 * The form that such arguments have, and the bytes of their command, to be
 * written to memory of one's own before anything else is formatted.  NULL:
 * there is no form, or none yet.
 */

const ngx_redis_form_t *ngx_redis_format_known(ngx_uint_t argc,
    const ngx_str_t *argv, size_t *size);
void ngx_redis_format_write(const ngx_redis_form_t *form,
    const ngx_str_t *argv, u_char *p);


#endif /* _NGX_REDIS_FORMAT_H_INCLUDED_ */
