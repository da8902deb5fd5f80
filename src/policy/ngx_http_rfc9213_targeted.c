
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_rfc9213_targeted.h"
#include "ngx_http_rfc9651_dictionary.h"


static void ngx_http_rfc9213_targeted_member(ngx_http_rfc9651_member_t *m,
    void *data);


ngx_int_t
ngx_http_rfc9213_targeted(ngx_str_t *line, ngx_http_rfc9111_control_t *cc)
{
    ngx_http_rfc9111_control_t  found;

    ngx_http_rfc9111_control_init(&found);

    if (ngx_http_rfc9651_dictionary(line, ngx_http_rfc9213_targeted_member,
                                    &found)
        <= 0)
    {
        return NGX_DECLINED;
    }

    *cc = found;

    return NGX_OK;
}


/* RFC 9213, 2.1: the values of directives as structured types */

static void
ngx_http_rfc9213_targeted_member(ngx_http_rfc9651_member_t *m, void *data)
{
    ngx_http_rfc9111_control_t *cc = data;

    ngx_str_t  arg;

    static ngx_str_t  invalid = ngx_string("?");

    /* RFC 9651, 4.2.2: the last member of a key is the one that counts */

    ngx_http_rfc9111_control_remove(cc, &m->key);

    switch (m->type) {

    case NGX_HTTP_RFC9651_BOOLEAN:

        if (!m->truth) {
            return;
        }

        ngx_str_null(&arg);
        break;

    case NGX_HTTP_RFC9651_INTEGER:
    case NGX_HTTP_RFC9651_TOKEN:
        arg = m->text;
        break;

    case NGX_HTTP_RFC9651_STRING:
        arg = m->text;

        if (ngx_http_rfc9111_delta(arg.data, arg.len) != -1) {
            /* a number must not be a String; nor is it the name of a field */
            arg = invalid;
        }

        break;

    default:
        arg = invalid;
    }

    ngx_http_rfc9111_control_add(cc, &m->key, &arg);
}
