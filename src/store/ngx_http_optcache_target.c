
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_optcache_request.h"
#include "ngx_http_optcache_target.h"


static ngx_int_t ngx_http_optcache_target_rule(ngx_http_request_t *r,
    ngx_http_optcache_loc_conf_t *olcf, ngx_http_optcache_target_rule_t *rule,
    ngx_optcache_key_t *key);
static void ngx_http_optcache_target_variables(ngx_http_request_t *r);


ngx_int_t
ngx_http_optcache_target_key(ngx_http_request_t *r,
    ngx_http_optcache_loc_conf_t *olcf, ngx_str_t *target,
    ngx_http_optcache_target_rule_t *rule, ngx_optcache_key_t *key)
{
    u_char                     *p, *dst, *src;
    ngx_int_t                   rc;
    ngx_str_t                   unparsed, uri, args;
    ngx_http_variable_value_t  *variables;

    variables = r->variables;
    unparsed = r->unparsed_uri;
    uri = r->uri;
    args = r->args;

    r->variables = ngx_http_captures_variables(r);
    dst = ngx_pnalloc(r->pool, target->len);

    if (r->variables == NULL || dst == NULL) {
        r->variables = variables;
        return NGX_ERROR;
    }

    ngx_http_optcache_target_variables(r);

    r->unparsed_uri = *target;
    r->uri = *target;
    ngx_str_null(&r->args);

    p = ngx_strlchr(target->data, target->data + target->len, '?');

    if (p) {
        r->uri.len = p - target->data;
        r->args.data = p + 1;
        r->args.len = target->data + target->len - r->args.data;
    }

    src = r->uri.data;
    p = dst;
    ngx_unescape_uri(&dst, &src, r->uri.len, 0);

    r->uri.data = p;
    r->uri.len = dst - p;

    rc = rule ? ngx_http_optcache_target_rule(r, olcf, rule, key)
              : ngx_http_optcache_request_key(r, olcf, key);

    r->variables = variables;
    r->unparsed_uri = unparsed;
    r->uri = uri;
    r->args = args;

    return rc;
}


/* The user is that of the request, whatever the URI has to do with it. */

static ngx_int_t
ngx_http_optcache_target_rule(ngx_http_request_t *r,
    ngx_http_optcache_loc_conf_t *olcf, ngx_http_optcache_target_rule_t *rule,
    ngx_optcache_key_t *key)
{
    ngx_str_t                       value;
    ngx_http_optcache_main_conf_t  *omcf;

    omcf = ngx_http_get_module_main_conf(r, ngx_http_optcache_module);

    if (ngx_http_optcache_value(r, olcf->key ? olcf->key : &omcf->key, &value)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_optcache_key_create(r->pool, &rule->user, rule->kind,
                                   &rule->text, &value, key);
}


/* Lets those be evaluated again that are made of the URI. */

static void
ngx_http_optcache_target_variables(ngx_http_request_t *r)
{
    ngx_str_t                  *name;
    ngx_uint_t                  i;
    ngx_http_variable_t        *v;
    ngx_http_core_main_conf_t  *cmcf;

    static ngx_str_t  names[] = {
        ngx_string("request_uri"),
        ngx_string("uri"),
        ngx_string("document_uri"),
        ngx_string("args"),
        ngx_string("query_string"),
        ngx_string("is_args"),
        ngx_null_string
    };

    cmcf = ngx_http_get_module_main_conf(r, ngx_http_core_module);

    v = cmcf->variables.elts;

    for (i = 0; i < cmcf->variables.nelts; i++) {

        if (v[i].name.len > 4 && ngx_strncmp(v[i].name.data, "arg_", 4) == 0) {
            r->variables[i].valid = 0;
            r->variables[i].not_found = 0;
            continue;
        }

        for (name = names; name->len; name++) {

            if (v[i].name.len == name->len
                && ngx_strncmp(v[i].name.data, name->data, name->len) == 0)
            {
                r->variables[i].valid = 0;
                r->variables[i].not_found = 0;
            }
        }
    }
}
