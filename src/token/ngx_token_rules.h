
/*
 * Copyright (C) The Optcache authors
 */


/*
 * What a token has to say, beside being signed: RFC 8725, 3.8 to 3.11.  Pure.
 */


#ifndef _NGX_TOKEN_RULES_H_INCLUDED_
#define _NGX_TOKEN_RULES_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_input_json.h"
#include "ngx_token_digest.h"
#include "ngx_token_verdict.h"


typedef struct {
    ngx_str_t            name;
    ngx_str_t            value;
} ngx_token_requirement_t;


/* What is configured; zeroed: nothing but exp and nbf is looked at. */

typedef struct {
    ngx_array_t         *required;  /* of ngx_token_requirement_t, or NULL */
    time_t               leeway;    /* s, for clocks that differ */
} ngx_token_rules_t;


/*
 * Adds a parameter "name=value": of several of one name any does, of several
 * names each has to be there.  The name is typ, which is the header's, or a
 * path as of ngx_token_claims_text(), whose claim has to be the value, or an
 * array that has it; numbers and booleans are compared by their text.  The
 * parameter is not copied.
 *
 * Returns NGX_OK; NGX_DECLINED if it is not of this form, or if a name or a
 * value is empty; NGX_ERROR.
 */

ngx_int_t ngx_token_rules_add(ngx_pool_t *pool, ngx_token_rules_t *rules,
    const ngx_str_t *parameter);

/*
 * Whether all that is required is there.  typ is compared as RFC 7515, 4.1.9,
 * says: in any case, and with or without "application/".
 *
 * Returns OK, or for the first that is not: ISSUER, AUDIENCE, TYPE or CLAIM.
 */

ngx_token_verdict_e ngx_token_rules_check(const ngx_token_rules_t *rules,
    const ngx_input_json_t *payload, const ngx_str_t *typ);

/*
 * Writes NGX_TOKEN_DIGEST bytes, others for other rules: a token that is
 * remembered under these and keys->id need not be checked again until its exp.
 */

void ngx_token_rules_id(const ngx_token_rules_t *rules, u_char *id);


#endif /* _NGX_TOKEN_RULES_H_INCLUDED_ */
