
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_token_verdict.h"


/* as in ngx_token_verdict_e */

static ngx_str_t  ngx_token_verdict_texts[] = {
    ngx_string("ok"),
    ngx_string("malformed"),
    ngx_string("unsupported"),
    ngx_string("algorithm"),
    ngx_string("key"),
    ngx_string("signature"),
    ngx_string("expired"),
    ngx_string("not_yet"),
    ngx_string("issuer"),
    ngx_string("audience"),
    ngx_string("type"),
    ngx_string("claim"),
    ngx_string("error")
};


ngx_str_t *
ngx_token_verdict_text(ngx_token_verdict_e verdict)
{
    return &ngx_token_verdict_texts[verdict];
}
