
/*
 * Copyright (C) The Optcache authors
 */


/* Directives that say which responses are stored, with what and for how long */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_optcache.h"
#include "ngx_http_optcache_conf.h"


static uint64_t ngx_http_optcache_conf_never(
    ngx_http_optcache_loc_conf_t *conf);
static ngx_uint_t ngx_http_optcache_conf_keys_body(
    ngx_http_optcache_loc_conf_t *conf);
static ngx_uint_t ngx_http_optcache_conf_word(u_char ch);
static void ngx_http_optcache_conf_warn(ngx_conf_t *cf,
    ngx_http_optcache_loc_conf_t *conf);


ngx_conf_enum_t  ngx_http_optcache_conf_cookies[] = {
    { ngx_string("refuse"), NGX_HTTP_OPTCACHE_COOKIE_REFUSE },
    { ngx_string("strip"), NGX_HTTP_OPTCACHE_COOKIE_STRIP },
    { ngx_string("keep"), NGX_HTTP_OPTCACHE_COOKIE_KEEP },
    { ngx_null_string, 0 }
};


ngx_conf_num_bounds_t  ngx_http_optcache_conf_uses = {
    ngx_conf_check_num_bounds, 1, NGX_OPTCACHE_L1_USES_MAX
};


ngx_conf_bitmask_t  ngx_http_optcache_conf_fields[] = {
    { ngx_string("Cache-Control"), NGX_HTTP_OPTCACHE_IGNORE_CACHE_CONTROL },
    { ngx_string("Expires"), NGX_HTTP_OPTCACHE_IGNORE_EXPIRES },
    { ngx_string("Vary"), NGX_HTTP_OPTCACHE_IGNORE_VARY },
    { ngx_null_string, 0 }
};


char *
ngx_http_optcache_conf_merge_rules(ngx_conf_t *cf,
    ngx_http_optcache_loc_conf_t *prev, ngx_http_optcache_loc_conf_t *conf)
{
    ngx_conf_merge_uint_value(conf->set_cookie, prev->set_cookie,
                              NGX_HTTP_OPTCACHE_COOKIE_REFUSE);

    conf->never = ngx_http_optcache_conf_never(conf);

    ngx_conf_merge_value(conf->min_uses, prev->min_uses, 1);
    ngx_conf_merge_value(conf->share_public, prev->share_public, 0);
    ngx_conf_merge_value(conf->no_vary_search, prev->no_vary_search, 0);
    ngx_conf_merge_value(conf->close_delimited, prev->close_delimited, 0);
    ngx_conf_merge_value(conf->invalidate_on_write, prev->invalidate_on_write,
                         1);
    ngx_conf_merge_ptr_value(conf->tags, prev->tags, NULL);

    if (conf->until == NULL) {
        conf->until = prev->until;
    }

    ngx_conf_merge_bitmask_value(conf->ignore, prev->ignore,
                                 NGX_HTTP_OPTCACHE_IGNORE_UNSET);

    ngx_http_optcache_conf_warn(cf, conf);

    if (conf->zone
        && (conf->methods & NGX_HTTP_POST)
        && !ngx_http_optcache_conf_keys_body(conf))
    {
        ngx_http_line_log(NGX_LOG_EMERG, cf, 0,
                          conf->methods_line.file ? &conf->methods_line
                                                  : &conf->line,
                          "\"optcache_methods\" with POST needs "
                          "\"$optcache_body\" in \"optcache_key\"");
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/* Which of the values of optcache_bypass are of optcache_no_store, too. */

static uint64_t
ngx_http_optcache_conf_never(ngx_http_optcache_loc_conf_t *conf)
{
    uint64_t                   never;
    ngx_uint_t                 i, k;
    ngx_http_complex_value_t  *bypass, *no_store;

    if (conf->bypass == NULL || conf->no_store == NULL) {
        return 0;
    }

    never = 0;
    bypass = conf->bypass->elts;
    no_store = conf->no_store->elts;

    for (i = 0; i < conf->bypass->nelts && i < 64; i++) {

        for (k = 0; k < conf->no_store->nelts; k++) {

            if (bypass[i].value.len == no_store[k].value.len
                && ngx_memcmp(bypass[i].value.data, no_store[k].value.data,
                              bypass[i].value.len)
                   == 0)
            {
                never |= (uint64_t) 1 << i;
            }
        }
    }

    return never;
}


/* Whether the text of the key names the variable, in either of its forms. */

static ngx_uint_t
ngx_http_optcache_conf_keys_body(ngx_http_optcache_loc_conf_t *conf)
{
    size_t      len;
    u_char     *p, *last;
    ngx_str_t  *text;

    static ngx_str_t  name = ngx_string("optcache_body");

    if (conf->key == NULL) {
        return 0;
    }

    text = &conf->key->complex.value;
    last = text->data + text->len;

    for (p = text->data; p < last; p++) {

        if (*p != '$') {
            continue;
        }

        len = last - p - 1;

        if (len > name.len
            && p[1] == '{'
            && ngx_strncasecmp(p + 2, name.data, name.len) == 0
            && len > name.len + 1
            && p[2 + name.len] == '}')
        {
            return 1;
        }

        if (len >= name.len
            && ngx_strncasecmp(p + 1, name.data, name.len) == 0
            && (len == name.len
                || !ngx_http_optcache_conf_word(p[1 + name.len])))
        {
            return 1;
        }
    }

    return 0;
}


static ngx_uint_t
ngx_http_optcache_conf_word(u_char ch)
{
    return ch == '_'
           || (ch >= '0' && ch <= '9')
           || ((ch | 0x20) >= 'a' && (ch | 0x20) <= 'z');
}


/* A cookie that is kept where all share is everybody's; said once. */

static void
ngx_http_optcache_conf_warn(ngx_conf_t *cf,
    ngx_http_optcache_loc_conf_t *conf)
{
    ngx_http_optcache_main_conf_t  *omcf;

    omcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_optcache_module);

    if (omcf->warned
        || conf->zone == NULL
        || conf->set_cookie != NGX_HTTP_OPTCACHE_COOKIE_KEEP
        || conf->user == NULL
        || conf->user->complex.value.len)
    {
        return;
    }

    omcf->warned = 1;

    ngx_http_line_log(NGX_LOG_WARN, cf, 0, &conf->line,
                      "\"optcache_set_cookie keep\" with an empty "
                      "\"optcache_user\" gives the cookies of one client to "
                      "all others");
}


char *
ngx_http_optcache_conf_set_cookie(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    return ngx_http_optcache_conf_expect(cf, cmd, conf, ngx_conf_set_enum_slot,
                         "\"refuse\", \"strip\" or \"keep\"");
}


char *
ngx_http_optcache_conf_ignore(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    return ngx_http_optcache_conf_expect(cf, cmd, conf,
                         ngx_conf_set_bitmask_slot,
                         "\"Cache-Control\", \"Expires\" or "
                         "\"Vary\"");
}


char *
ngx_http_optcache_conf_max_size(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_optcache_loc_conf_t *olcf = conf;

    ssize_t     size;
    ngx_str_t  *value;

    if (olcf->max_size != NGX_CONF_UNSET_SIZE) {
        return "is duplicate";
    }

    value = cf->args->elts;
    size = ngx_parse_size(&value[1]);

    if (size == NGX_ERROR || size > NGX_HTTP_OPTCACHE_MAX_SIZE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\" in \"%V\", expected at most "
                           "%d, a number of bytes, k or m", &value[1],
                           &cmd->name, NGX_HTTP_OPTCACHE_MAX_SIZE);
        return NGX_CONF_ERROR;
    }

    olcf->max_size = size;

    return NGX_CONF_OK;
}


char *
ngx_http_optcache_conf_min_uses(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    return ngx_http_optcache_conf_expect(cf, cmd, conf, ngx_conf_set_num_slot,
                         "a number of 1 to 255");
}


/* ngx_http_set_complex_value_slot() of as many as there are */

char *
ngx_http_optcache_conf_tags(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_optcache_loc_conf_t *olcf = conf;

    ngx_str_t                         *value;
    ngx_uint_t                         i;
    ngx_http_complex_value_t          *cv;
    ngx_http_compile_complex_value_t   ccv;

    if (olcf->tags != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    olcf->tags = ngx_array_create(cf->pool, cf->args->nelts - 1,
                                  sizeof(ngx_http_complex_value_t));
    if (olcf->tags == NULL) {
        return NGX_CONF_ERROR;
    }

    for (i = 1; i < cf->args->nelts; i++) {

        cv = ngx_array_push(olcf->tags);
        if (cv == NULL) {
            return NGX_CONF_ERROR;
        }

        ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

        ccv.cf = cf;
        ccv.value = &value[i];
        ccv.complex_value = cv;

        if (ngx_http_compile_complex_value(&ccv) != NGX_OK) {
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


ngx_uint_t
ngx_http_optcache_conf_has_variable(ngx_conf_t *cf, const char *name)
{
    size_t                      len;
    ngx_uint_t                  i;
    ngx_hash_key_t             *key;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    len = ngx_strlen(name);
    key = cmcf->variables_keys->keys.elts;

    for (i = 0; i < cmcf->variables_keys->keys.nelts; i++) {

        if (key[i].key.len == len
            && ngx_strncasecmp(key[i].key.data, (u_char *) name, len) == 0)
        {
            return 1;
        }
    }

    return 0;
}
