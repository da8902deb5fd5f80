
/*
 * Copyright (C) The Optcache authors
 */


/*
 * A value of a configuration, "jti:$token_claim_jti", with values for its
 * variables that no request has.  Pure.
 */


#ifndef _NGX_TOKEN_TEMPLATE_H_INCLUDED_
#define _NGX_TOKEN_TEMPLATE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * Says what a variable is; "name" is without "$" and braces, and in lower
 * case.  Returns NGX_OK, NGX_DECLINED if that cannot be said, or NGX_ERROR.
 */

typedef ngx_int_t (*ngx_token_template_pt)(void *data, ngx_str_t *name,
    ngx_str_t *value);


/*
 * Writes the text, from the pool, to "text".  Returns NGX_OK; NGX_DECLINED if
 * a variable's value is empty or cannot be said; NGX_ERROR, also when out of
 * memory.
 */

ngx_int_t ngx_token_template_expand(ngx_pool_t *pool,
    const ngx_str_t *value, ngx_token_template_pt variable, void *data,
    ngx_str_t *text);


#endif /* _NGX_TOKEN_TEMPLATE_H_INCLUDED_ */
