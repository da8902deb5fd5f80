
/*
 * Copyright (C) The Optcache authors
 */


/*
 * token_jwt_...: the keys are read, and what is required is put together, when
 * a location is merged, since each may be from another level.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_place.h"
#include "ngx_http_ratelimit_redis.h"


/* s, and added to any time that a token may have */
#define NGX_HTTP_TOKEN_JWT_LEEWAY  86400


static ngx_uint_t ngx_http_ratelimit_redis_token_jwt_conf_variable(
    ngx_str_t *value);
static ngx_token_keys_t *ngx_http_ratelimit_redis_token_jwt_conf_load(
    ngx_conf_t *cf, ngx_http_ratelimit_redis_loc_conf_t *conf,
    ngx_http_line_t *line);
static ngx_int_t ngx_http_ratelimit_redis_token_jwt_conf_bytes(ngx_conf_t *cf,
    ngx_str_t *name, ngx_http_line_t *line, ngx_str_t *bytes);
static void ngx_http_ratelimit_redis_token_jwt_conf_warn(ngx_conf_t *cf,
    ngx_http_ratelimit_redis_loc_conf_t *conf, ngx_token_keys_t *keys);


char *
ngx_http_ratelimit_redis_token_jwt_conf_keys(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf)
{
    ngx_http_ratelimit_redis_loc_conf_t *rlcf = conf;

    ngx_str_t  *value;

    if (rlcf->token_jwt_file.data) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (value[1].len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" must be a file or \"off\"", &cmd->name);
        return NGX_CONF_ERROR;
    }

    rlcf->token_jwt_file = value[1];
    ngx_http_line_here(cf, &rlcf->token_jwt_line);

    if (ngx_strcmp(value[1].data, "off") == 0) {
        rlcf->token_jwt_file.len = 0;
        return NGX_CONF_OK;
    }

    ngx_http_ratelimit_redis_token_conf_used(cf);

    if (ngx_conf_full_name(cf->cycle, &rlcf->token_jwt_file, 1) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


char *
ngx_http_ratelimit_redis_token_jwt_conf_algorithms(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf)
{
    ngx_http_ratelimit_redis_loc_conf_t *rlcf = conf;

    ngx_str_t        *value;
    ngx_uint_t        i;
    ngx_token_alg_e   alg;

    if (rlcf->token_jwt_algorithms != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    rlcf->token_jwt_algorithms = 0;
    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        if (ngx_token_alg_find(&value[i], &alg) != NGX_OK) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid value \"%V\" of \"%V\", it must be "
                               "HS256, RS256, PS256 or ES256, the same with "
                               "384 or 512, or EdDSA", &value[i], &cmd->name);
            return NGX_CONF_ERROR;
        }

        rlcf->token_jwt_algorithms |= ngx_token_alg_bit(alg);
    }

    return NGX_CONF_OK;
}


char *
ngx_http_ratelimit_redis_token_jwt_conf_require(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf)
{
    ngx_http_ratelimit_redis_loc_conf_t *rlcf = conf;

    ngx_int_t           rc;
    ngx_str_t          *value, *parameter;
    ngx_uint_t          i;
    ngx_token_rules_t   rules;

    if (rlcf->token_jwt_require == NGX_CONF_UNSET_PTR) {
        rlcf->token_jwt_require = ngx_array_create(cf->pool, 4,
                                                   sizeof(ngx_str_t));
        if (rlcf->token_jwt_require == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    ngx_memzero(&rules, sizeof(ngx_token_rules_t));

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        rc = ngx_token_rules_add(cf->temp_pool, &rules, &value[i]);

        if (rc == NGX_DECLINED) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid value \"%V\" of \"%V\", it must be "
                               "\"NAME=VALUE\" as in \"iss=...\", \"aud=...\" "
                               "or \"typ=...\"", &value[i], &cmd->name);
            return NGX_CONF_ERROR;
        }

        if (ngx_http_ratelimit_redis_token_jwt_conf_variable(&value[i])) {
            ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                               "\"%V\" in \"%V\" is taken as it is, there are "
                               "no variables in it", &value[i], &cmd->name);
        }

        parameter = ngx_array_push(rlcf->token_jwt_require);

        if (rc != NGX_OK || parameter == NULL) {
            return NGX_CONF_ERROR;
        }

        *parameter = value[i];
    }

    return NGX_CONF_OK;
}


/* Whether there is something in it that is a variable elsewhere. */

static ngx_uint_t
ngx_http_ratelimit_redis_token_jwt_conf_variable(ngx_str_t *value)
{
    size_t     pos;
    ngx_str_t  name;

    pos = 0;

    while (ngx_http_place_variable(value, &pos, &name) == NGX_OK) {
        if (name.len) {
            return 1;
        }
    }

    return 0;
}


char *
ngx_http_ratelimit_redis_token_jwt_conf_leeway(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf)
{
    ngx_http_ratelimit_redis_loc_conf_t *rlcf = conf;

    ngx_str_t  *value;

    if (rlcf->token_jwt_leeway != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    value = cf->args->elts;

    rlcf->token_jwt_leeway = ngx_parse_time(&value[1], 1);

    if (rlcf->token_jwt_leeway < 0
        || rlcf->token_jwt_leeway > NGX_HTTP_TOKEN_JWT_LEEWAY)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\" of \"%V\", it must be a time "
                           "of at most 1d", &value[1], &cmd->name);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


char *
ngx_http_ratelimit_redis_token_jwt_conf_merge(ngx_conf_t *cf,
    ngx_http_ratelimit_redis_loc_conf_t *prev,
    ngx_http_ratelimit_redis_loc_conf_t *conf)
{
    u_char                                 id[NGX_TOKEN_DIGEST];
    ngx_str_t                             *parameter;
    ngx_uint_t                             i;
    ngx_http_line_t                       *line;
    ngx_http_token_jwt_t                  *jwt;
    ngx_http_ratelimit_redis_main_conf_t  *rmcf;

    if (conf->token_since == NULL) {
        conf->token_since = prev->token_since;
    }

    line = &conf->token_jwt_line;

    if (conf->token_jwt_file.data == NULL) {
        conf->token_jwt_file = prev->token_jwt_file;
        conf->token_jwt_line = prev->token_jwt_line;

        /* keys that were right for another level may not be so for this one */

        if (conf->token_jwt_algorithms != NGX_CONF_UNSET_UINT) {
            line = &conf->line;
        }
    }

    ngx_conf_merge_uint_value(conf->token_jwt_algorithms,
                              prev->token_jwt_algorithms, 0);
    ngx_conf_merge_ptr_value(conf->token_jwt_require, prev->token_jwt_require,
                             NULL);
    ngx_conf_merge_sec_value(conf->token_jwt_leeway, prev->token_jwt_leeway,
                             0);

    if (conf->token_jwt_file.len == 0) {
        conf->token_jwt = NULL;
        return NGX_CONF_OK;
    }

    if (prev->token_jwt
        && conf->token_jwt_file.data == prev->token_jwt_file.data
        && conf->token_jwt_algorithms == prev->token_jwt_algorithms
        && conf->token_jwt_require == prev->token_jwt_require
        && conf->token_jwt_leeway == prev->token_jwt_leeway)
    {
        conf->token_jwt = prev->token_jwt;
        return NGX_CONF_OK;
    }

    jwt = ngx_pcalloc(cf->pool, sizeof(ngx_http_token_jwt_t));
    if (jwt == NULL) {
        return NGX_CONF_ERROR;
    }

    jwt->keys = ngx_http_ratelimit_redis_token_jwt_conf_load(cf, conf, line);
    if (jwt->keys == NULL) {
        return NGX_CONF_ERROR;
    }

    jwt->rules.leeway = conf->token_jwt_leeway;

    rmcf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_ratelimit_redis_module);
    rmcf->token_leeway = ngx_max(rmcf->token_leeway, conf->token_jwt_leeway);

    if (conf->token_jwt_require) {
        parameter = conf->token_jwt_require->elts;

        for (i = 0; i < conf->token_jwt_require->nelts; i++) {
            if (ngx_token_rules_add(cf->pool, &jwt->rules, &parameter[i])
                != NGX_OK)
            {
                return NGX_CONF_ERROR;
            }
        }
    }

    ngx_token_rules_id(&jwt->rules, id);

    for (i = 0; i < NGX_TOKEN_DIGEST; i++) {
        jwt->id[i] = jwt->keys->id[i] ^ id[i];
    }

    conf->token_jwt = jwt;

    return NGX_CONF_OK;
}


/*
 * Each file is read once, however many locations name it.  The line is that of
 * a mistake in what is in it.
 */

static ngx_token_keys_t *
ngx_http_ratelimit_redis_token_jwt_conf_load(ngx_conf_t *cf,
    ngx_http_ratelimit_redis_loc_conf_t *conf, ngx_http_line_t *line)
{
    ngx_str_t                              bytes, err, *name;
    ngx_uint_t                             i;
    ngx_token_keys_t                      *keys;
    ngx_http_token_file_t                 *file;
    ngx_http_ratelimit_redis_main_conf_t  *rmcf;

    rmcf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_ratelimit_redis_module);
    file = rmcf->token_files.elts;
    name = &conf->token_jwt_file;

    for (i = 0; i < rmcf->token_files.nelts; i++) {
        if (file[i].algorithms == conf->token_jwt_algorithms
            && file[i].name.len == name->len
            && ngx_strncmp(file[i].name.data, name->data, name->len) == 0)
        {
            return file[i].keys;
        }
    }

    if (ngx_http_ratelimit_redis_token_jwt_conf_bytes(cf, name,
                                                      &conf->token_jwt_line,
                                                      &bytes)
        != NGX_OK)
    {
        return NULL;
    }

    keys = ngx_token_keys_parse(cf->pool, &bytes, conf->token_jwt_algorithms,
                                &err);

    ngx_explicit_memzero(bytes.data, bytes.len);

    if (keys == NULL) {

        if (err.len == 0) {
            ngx_str_set(&err, "no memory");
        }

        ngx_http_line_log(NGX_LOG_EMERG, cf, 0, line,
                          "\"token_jwt_keys\" \"%V\": %V", name, &err);
        return NULL;
    }

    ngx_http_ratelimit_redis_token_jwt_conf_warn(cf, conf, keys);

    file = ngx_array_push(&rmcf->token_files);
    if (file == NULL) {
        return NULL;
    }

    file->name = *name;
    file->algorithms = conf->token_jwt_algorithms;
    file->keys = keys;

    return keys;
}


static void
ngx_http_ratelimit_redis_token_jwt_conf_warn(ngx_conf_t *cf,
    ngx_http_ratelimit_redis_loc_conf_t *conf, ngx_token_keys_t *keys)
{
    if (keys->skipped) {
        ngx_http_line_log(NGX_LOG_WARN, cf, 0, &conf->token_jwt_line,
                          "%ui of the keys in \"token_jwt_keys\" \"%V\" are "
                          "not used, the first is key %ui: %s", keys->skipped,
                          &conf->token_jwt_file, keys->position,
                          keys->reason);
    }

    if (keys->private) {
        ngx_http_line_log(NGX_LOG_WARN, cf, 0, &conf->token_jwt_line,
                          "%ui of the keys in \"token_jwt_keys\" \"%V\" are "
                          "private, of which only the public part is needed",
                          keys->private, &conf->token_jwt_file);
    }
}


static ngx_int_t
ngx_http_ratelimit_redis_token_jwt_conf_bytes(ngx_conf_t *cf, ngx_str_t *name,
    ngx_http_line_t *line, ngx_str_t *bytes)
{
    off_t        size;
    ssize_t      n;
    ngx_int_t    rc;
    ngx_file_t   file;

    ngx_memzero(&file, sizeof(ngx_file_t));

    file.name = *name;
    file.log = cf->log;

    file.fd = ngx_open_file(name->data, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);

    if (file.fd == NGX_INVALID_FILE) {
        ngx_http_line_log(NGX_LOG_EMERG, cf, ngx_errno, line,
                          ngx_open_file_n " \"%V\" of \"token_jwt_keys\" "
                          "failed", name);
        return NGX_ERROR;
    }

    rc = NGX_ERROR;

    if (ngx_fd_info(file.fd, &file.info) == NGX_FILE_ERROR) {
        ngx_http_line_log(NGX_LOG_EMERG, cf, ngx_errno, line,
                          ngx_fd_info_n " \"%V\" of \"token_jwt_keys\" failed",
                          name);
        goto done;
    }

    size = ngx_file_size(&file.info);

    if (!ngx_is_file(&file.info) || size > NGX_TOKEN_KEYS_FILE) {
        ngx_http_line_log(NGX_LOG_EMERG, cf, 0, line,
                          "\"token_jwt_keys\" \"%V\" must be a file of at "
                          "most %d bytes", name, NGX_TOKEN_KEYS_FILE);
        goto done;
    }

    bytes->len = (size_t) size;
    bytes->data = ngx_pnalloc(cf->temp_pool, bytes->len + 1);

    if (bytes->data == NULL) {
        goto done;
    }

    n = ngx_read_file(&file, bytes->data, bytes->len, 0);

    if (n != (ssize_t) bytes->len) {
        ngx_http_line_log(NGX_LOG_EMERG, cf, 0, line,
                          "\"token_jwt_keys\" \"%V\" was not read as a whole",
                          name);
        goto done;
    }

    rc = NGX_OK;

done:

    if (ngx_close_file(file.fd) == NGX_FILE_ERROR) {
        ngx_log_error(NGX_LOG_ALERT, cf->log, ngx_errno,
                      ngx_close_file_n " \"%V\" failed", name);
    }

    return rc;
}
