
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_token_path.h"
#include "ngx_token_rules.h"


static ngx_uint_t ngx_token_rules_met(const ngx_token_requirement_t *rule,
    const ngx_input_json_t *payload, const ngx_str_t *typ);
static ngx_uint_t ngx_token_rules_typ(const ngx_str_t *typ,
    const ngx_str_t *value);
static void ngx_token_rules_subtype(ngx_str_t *typ);
static ngx_uint_t ngx_token_rules_scalar(const ngx_input_json_t *json,
    const ngx_str_t *value);
static ngx_token_verdict_e ngx_token_rules_verdict(const ngx_str_t *name);
static ngx_uint_t ngx_token_rules_same(const ngx_str_t *one,
    const ngx_str_t *two);


static ngx_str_t  ngx_token_rules_type = ngx_string("typ");


ngx_int_t
ngx_token_rules_add(ngx_pool_t *pool, ngx_token_rules_t *rules,
    const ngx_str_t *parameter)
{
    u_char                   *p, *last;
    ngx_token_requirement_t  *rule;

    last = parameter->data + parameter->len;
    p = ngx_strlchr(parameter->data, last, '=');

    if (p == NULL || p == parameter->data || p + 1 == last) {
        return NGX_DECLINED;
    }

    if (rules->required == NULL) {
        rules->required = ngx_array_create(pool, 4,
                                           sizeof(ngx_token_requirement_t));
        if (rules->required == NULL) {
            return NGX_ERROR;
        }
    }

    rule = ngx_array_push(rules->required);
    if (rule == NULL) {
        return NGX_ERROR;
    }

    rule->name.data = parameter->data;
    rule->name.len = p - parameter->data;
    rule->value.data = p + 1;
    rule->value.len = last - (p + 1);

    return NGX_OK;
}


ngx_token_verdict_e
ngx_token_rules_check(const ngx_token_rules_t *rules,
    const ngx_input_json_t *payload, const ngx_str_t *typ)
{
    ngx_uint_t                i, j, n, met;
    ngx_token_requirement_t  *rule;

    if (rules->required == NULL) {
        return NGX_TOKEN_VERDICT_OK;
    }

    rule = rules->required->elts;
    n = rules->required->nelts;

    for (i = 0; i < n; i++) {

        met = 0;

        /* any of this name; for the second of it again, to the same end */

        for (j = 0; j < n && !met; j++) {
            met = ngx_token_rules_same(&rule[j].name, &rule[i].name)
                  && ngx_token_rules_met(&rule[j], payload, typ);
        }

        if (!met) {
            return ngx_token_rules_verdict(&rule[i].name);
        }
    }

    return NGX_TOKEN_VERDICT_OK;
}


static ngx_uint_t
ngx_token_rules_met(const ngx_token_requirement_t *rule,
    const ngx_input_json_t *payload, const ngx_str_t *typ)
{
    const ngx_input_json_t  *json, *element;

    if (ngx_token_rules_same(&rule->name, &ngx_token_rules_type)) {
        return ngx_token_rules_typ(typ, &rule->value);
    }

    json = ngx_token_path_find(payload, &rule->name);

    if (ngx_input_json_type(json) != NGX_INPUT_JSON_ARRAY) {
        return ngx_token_rules_scalar(json, &rule->value);
    }

    for (element = ngx_input_json_first(json);
         element;
         element = ngx_input_json_next(element))
    {
        if (ngx_token_rules_scalar(element, &rule->value)) {
            return 1;
        }
    }

    return 0;
}


static ngx_uint_t
ngx_token_rules_typ(const ngx_str_t *typ, const ngx_str_t *value)
{
    ngx_str_t  one, two;

    one = *typ;
    two = *value;

    ngx_token_rules_subtype(&one);
    ngx_token_rules_subtype(&two);

    return one.len == two.len
           && ngx_strncasecmp(one.data, two.data, one.len) == 0;
}


static void
ngx_token_rules_subtype(ngx_str_t *typ)
{
    size_t  len;

    static ngx_str_t  application = ngx_string("application/");

    len = application.len;

    if (typ->len > len
        && ngx_strncasecmp(typ->data, application.data, len) == 0)
    {
        typ->data += len;
        typ->len -= len;
    }
}


static ngx_uint_t
ngx_token_rules_scalar(const ngx_input_json_t *json, const ngx_str_t *value)
{
    u_char     buf[NGX_TOKEN_PATH_NUMBER];
    ngx_str_t  text;

    return ngx_token_path_scalar(json, buf, &text) == NGX_OK
           && ngx_token_rules_same(&text, value);
}


static ngx_token_verdict_e
ngx_token_rules_verdict(const ngx_str_t *name)
{
    static ngx_str_t  iss = ngx_string("iss");
    static ngx_str_t  aud = ngx_string("aud");

    if (ngx_token_rules_same(name, &iss)) {
        return NGX_TOKEN_VERDICT_ISSUER;
    }

    if (ngx_token_rules_same(name, &aud)) {
        return NGX_TOKEN_VERDICT_AUDIENCE;
    }

    if (ngx_token_rules_same(name, &ngx_token_rules_type)) {
        return NGX_TOKEN_VERDICT_TYPE;
    }

    return NGX_TOKEN_VERDICT_CLAIM;
}


void
ngx_token_rules_id(const ngx_token_rules_t *rules, u_char *id)
{
    u_char                    buf[3 * NGX_TOKEN_DIGEST];
    ngx_str_t                 text;
    ngx_uint_t                i;
    ngx_token_requirement_t  *rule;

    text.data = buf;
    text.len = ngx_sprintf(buf, "%T", rules->leeway) - buf;

    ngx_token_digest(&text, id);

    if (rules->required == NULL) {
        return;
    }

    rule = rules->required->elts;
    text.len = sizeof(buf);

    for (i = 0; i < rules->required->nelts; i++) {

        ngx_memcpy(buf, id, NGX_TOKEN_DIGEST);
        ngx_token_digest(&rule[i].name, buf + NGX_TOKEN_DIGEST);
        ngx_token_digest(&rule[i].value, buf + 2 * NGX_TOKEN_DIGEST);

        ngx_token_digest(&text, id);
    }
}


static ngx_uint_t
ngx_token_rules_same(const ngx_str_t *one, const ngx_str_t *two)
{
    return one->len == two->len
           && ngx_memcmp(one->data, two->data, one->len) == 0;
}
