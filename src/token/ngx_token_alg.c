
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_token_alg.h"


typedef struct {
    ngx_str_t                name;
    ngx_token_alg_e          alg;
} ngx_token_alg_name_t;


static ngx_token_alg_name_t  ngx_token_alg_names[] = {
    { ngx_string("HS256"), NGX_TOKEN_ALG_HS256 },
    { ngx_string("HS384"), NGX_TOKEN_ALG_HS384 },
    { ngx_string("HS512"), NGX_TOKEN_ALG_HS512 },
    { ngx_string("RS256"), NGX_TOKEN_ALG_RS256 },
    { ngx_string("RS384"), NGX_TOKEN_ALG_RS384 },
    { ngx_string("RS512"), NGX_TOKEN_ALG_RS512 },
    { ngx_string("PS256"), NGX_TOKEN_ALG_PS256 },
    { ngx_string("PS384"), NGX_TOKEN_ALG_PS384 },
    { ngx_string("PS512"), NGX_TOKEN_ALG_PS512 },
    { ngx_string("ES256"), NGX_TOKEN_ALG_ES256 },
    { ngx_string("ES384"), NGX_TOKEN_ALG_ES384 },
    { ngx_string("ES512"), NGX_TOKEN_ALG_ES512 },
    { ngx_string("EdDSA"), NGX_TOKEN_ALG_ED25519 },
    { ngx_string("Ed25519"), NGX_TOKEN_ALG_ED25519 },
    { ngx_null_string, 0 }
};


ngx_int_t
ngx_token_alg_find(const ngx_str_t *name, ngx_token_alg_e *alg)
{
    ngx_token_alg_name_t  *row;

    for (row = ngx_token_alg_names; row->name.len; row++) {

        if (row->name.len == name->len
            && ngx_memcmp(row->name.data, name->data, name->len) == 0)
        {
            *alg = row->alg;
            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}


const EVP_MD *
ngx_token_alg_md(ngx_token_alg_e alg)
{
    switch (alg) {

    case NGX_TOKEN_ALG_HS256:
    case NGX_TOKEN_ALG_RS256:
    case NGX_TOKEN_ALG_PS256:
    case NGX_TOKEN_ALG_ES256:
        return EVP_sha256();

    case NGX_TOKEN_ALG_HS384:
    case NGX_TOKEN_ALG_RS384:
    case NGX_TOKEN_ALG_PS384:
    case NGX_TOKEN_ALG_ES384:
        return EVP_sha384();

    case NGX_TOKEN_ALG_HS512:
    case NGX_TOKEN_ALG_RS512:
    case NGX_TOKEN_ALG_PS512:
    case NGX_TOKEN_ALG_ES512:
        return EVP_sha512();

    default: /* NGX_TOKEN_ALG_ED25519 */
        return NULL;
    }
}
