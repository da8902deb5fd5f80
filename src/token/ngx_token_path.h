
/*
 * Copyright (C) The Optcache authors
 */


/*
 * A value within a token by its path, and its text.  Pure.
 */


#ifndef _NGX_TOKEN_PATH_H_INCLUDED_
#define _NGX_TOKEN_PATH_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_input_json.h"


#define NGX_TOKEN_PATH_NUMBER  32    /* bytes of the text of a number */


/*
 * A member by its whole name, or down in objects by names joined by dots;
 * where both are possible, the longer name.  NULL if there is none.
 */

ngx_input_json_t *ngx_token_path_find(const ngx_input_json_t *json,
    const ngx_str_t *path);

/*
 * The same for the rest of the name of a variable, which has neither capitals
 * nor dots: "__" stands for a dot, and for itself.  A path that is written
 * like that is taken first: a member by its whole name, then "__" read as
 * dots.  Else what differs in the case of ASCII letters only, or in which of
 * "__" are dots, if there is one such value and no other: which of two an
 * issuer meant is not to be guessed.  NULL if there is none.
 */

ngx_input_json_t *ngx_token_path_variable(const ngx_input_json_t *json,
    const ngx_str_t *name);

/*
 * The text of a string, a number or a boolean.  It is within the value, or
 * static, or in "buf" of NGX_TOKEN_PATH_NUMBER bytes.  Returns NGX_DECLINED
 * for other types.
 */

ngx_int_t ngx_token_path_scalar(const ngx_input_json_t *json, u_char *buf,
    ngx_str_t *text);

/* Whether there are ASCII control characters in a text. */

ngx_uint_t ngx_token_path_control(const ngx_str_t *text);


#endif /* _NGX_TOKEN_PATH_H_INCLUDED_ */
