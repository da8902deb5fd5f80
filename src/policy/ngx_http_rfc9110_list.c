
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_rfc9110_list.h"


u_char *
ngx_http_rfc9110_list_next(u_char *p, u_char *last, ngx_str_t *member)
{
    while (p < last && (*p == ' ' || *p == '\t' || *p == ',')) {
        p++;
    }

    if (p == last) {
        return NULL;
    }

    member->data = p;

    while (p < last && *p != ',') {
        p++;
    }

    member->len = p - member->data;

    while (member->data[member->len - 1] == ' '
           || member->data[member->len - 1] == '\t')
    {
        /* its first byte is neither */
        member->len--;
    }

    return p;
}


ngx_uint_t
ngx_http_rfc9110_list_has(ngx_str_t *list, ngx_str_t *member)
{
    u_char     *p, *last;
    ngx_str_t   found;

    p = list->data;
    last = p + list->len;

    while ((p = ngx_http_rfc9110_list_next(p, last, &found)) != NULL) {

        if (found.len == member->len
            && ngx_strncasecmp(found.data, member->data, found.len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


ngx_uint_t
ngx_http_rfc9110_list_valid(ngx_str_t *list)
{
    u_char      *p, *last;
    ngx_str_t    member;
    ngx_uint_t   valid;

    valid = 0;

    p = list->data;
    last = p + list->len;

    while ((p = ngx_http_rfc9110_list_next(p, last, &member)) != NULL) {

        if (!ngx_http_rfc9110_token(&member)) {
            return 0;
        }

        valid = 1;
    }

    return valid;
}


ngx_uint_t
ngx_http_rfc9110_token(ngx_str_t *s)
{
    size_t  i;
    u_char  ch, lower;

    for (i = 0; i < s->len; i++) {
        ch = s->data[i];
        lower = ch | 0x20;

        if ((lower >= 'a' && lower <= 'z') || (ch >= '0' && ch <= '9')) {
            continue;
        }

        if (ch == '\0' || ngx_strchr("!#$%&'*+-.^_`|~", ch) == NULL) {
            return 0;
        }
    }

    return s->len != 0;
}
