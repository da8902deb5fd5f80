
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_token_source.h"


#define NGX_TOKEN_SOURCE_SCHEME  "bearer"


static ngx_uint_t ngx_token_source_b64token(const ngx_str_t *token);


ngx_int_t
ngx_token_source_bearer(const ngx_str_t *field, ngx_str_t *token)
{
    size_t   len;
    u_char  *p, *last;

    len = sizeof(NGX_TOKEN_SOURCE_SCHEME) - 1;

    if (field->len < len
        || ngx_strncasecmp(field->data, (u_char *) NGX_TOKEN_SOURCE_SCHEME,
                           len)
           != 0)
    {
        return NGX_DECLINED;
    }

    p = field->data + len;
    last = field->data + field->len;

    if (p < last && *p != ' ' && *p != '\t') {
        return NGX_DECLINED;
    }

    while (p < last && *p == ' ') {
        p++;
    }

    token->data = p;
    token->len = last - p;

    return ngx_token_source_b64token(token) ? NGX_OK : NGX_ERROR;
}


/* b64token = 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"=" */

static ngx_uint_t
ngx_token_source_b64token(const ngx_str_t *token)
{
    u_char  ch;
    size_t  i, end;

    for (end = token->len; end > 0 && token->data[end - 1] == '='; end--) {
        /* void */
    }

    for (i = 0; i < end; i++) {
        ch = token->data[i];

        if ((ch >= 'a' && ch <= 'z')
            || (ch >= 'A' && ch <= 'Z')
            || (ch >= '0' && ch <= '9')
            || ch == '-' || ch == '.' || ch == '_' || ch == '~'
            || ch == '+' || ch == '/')
        {
            continue;
        }

        return 0;
    }

    return end > 0;
}
