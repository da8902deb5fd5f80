
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <cjson/cJSON.h>

#include "ngx_http_api_json.h"
#include "ngx_http_api_utf8.h"


struct ngx_http_api_json_s {
    ngx_pool_t               *pool;
    cJSON                    *root;
    cJSON                    *open[NGX_HTTP_API_JSON_DEPTH];
    ngx_uint_t                depth;
    unsigned                  failed:1;
};


static void ngx_http_api_json_cleanup(void *data);
static void ngx_http_api_json_begin(ngx_http_api_json_t *json,
    const char *name, cJSON *item);
static void ngx_http_api_json_add(ngx_http_api_json_t *json, const char *name,
    cJSON *item);


ngx_http_api_json_t *
ngx_http_api_json_create(ngx_pool_t *pool)
{
    ngx_pool_cleanup_t   *cln;
    ngx_http_api_json_t  *json;

    cln = ngx_pool_cleanup_add(pool, sizeof(ngx_http_api_json_t));
    if (cln == NULL) {
        return NULL;
    }

    json = cln->data;
    ngx_memzero(json, sizeof(ngx_http_api_json_t));

    cln->handler = ngx_http_api_json_cleanup;

    json->pool = pool;
    json->root = cJSON_CreateObject();
    json->failed = (json->root == NULL);

    json->open[json->depth++] = json->root;

    return json;
}


static void
ngx_http_api_json_cleanup(void *data)
{
    ngx_http_api_json_t *json = data;

    cJSON_Delete(json->root);
    json->root = NULL;
}


void
ngx_http_api_json_object(ngx_http_api_json_t *json, const char *name)
{
    ngx_http_api_json_begin(json, name, cJSON_CreateObject());
}


void
ngx_http_api_json_array(ngx_http_api_json_t *json, const char *name)
{
    ngx_http_api_json_begin(json, name, cJSON_CreateArray());
}


static void
ngx_http_api_json_begin(ngx_http_api_json_t *json, const char *name,
    cJSON *item)
{
    if (json && json->depth == NGX_HTTP_API_JSON_DEPTH) {
        json->failed = 1;
    }

    ngx_http_api_json_add(json, name, item);

    if (json && !json->failed) {
        json->open[json->depth++] = item;
    }
}


void
ngx_http_api_json_end(ngx_http_api_json_t *json)
{
    if (json && !json->failed) {
        json->depth--;
    }
}


/* as text: cJSON would write large numbers as doubles, with an exponent */

void
ngx_http_api_json_number(ngx_http_api_json_t *json, const char *name,
    uint64_t n)
{
    u_char  buf[NGX_INT64_LEN + 1];

    n = ngx_min(n, NGX_HTTP_API_JSON_MAX);

    *ngx_sprintf(buf, "%uL", n) = '\0';

    ngx_http_api_json_add(json, name, cJSON_CreateRaw((char *) buf));
}


void
ngx_http_api_json_flag(ngx_http_api_json_t *json, const char *name,
    ngx_uint_t flag)
{
    ngx_http_api_json_add(json, name, cJSON_CreateBool(flag != 0));
}


void
ngx_http_api_json_null(ngx_http_api_json_t *json, const char *name)
{
    ngx_http_api_json_add(json, name, cJSON_CreateNull());
}


void
ngx_http_api_json_string(ngx_http_api_json_t *json, const char *name,
    const ngx_str_t *text)
{
    u_char  *p;

    if (json == NULL) {
        return;
    }

    p = ngx_http_api_utf8(json->pool, text);

    ngx_http_api_json_add(json, name,
                          p ? cJSON_CreateString((char *) p) : NULL);
}


void
ngx_http_api_json_text(ngx_http_api_json_t *json, const char *name,
    const char *text)
{
    ngx_str_t  s;

    s.data = (u_char *) text;
    s.len = ngx_strlen(text);

    ngx_http_api_json_string(json, name, &s);
}


/* Takes the item, which may be NULL, in any case. */

static void
ngx_http_api_json_add(ngx_http_api_json_t *json, const char *name,
    cJSON *item)
{
    cJSON       *parent;
    cJSON_bool   added;

    if (json == NULL || json->failed || item == NULL) {
        cJSON_Delete(item);

        if (json) {
            json->failed = 1;
        }

        return;
    }

    parent = json->open[json->depth - 1];

    added = name ? cJSON_AddItemToObject(parent, name, item)
                 : cJSON_AddItemToArray(parent, item);

    if (!added) {
        cJSON_Delete(item);
        json->failed = 1;
    }
}


ngx_int_t
ngx_http_api_json_encode(ngx_http_api_json_t *json, ngx_str_t *body)
{
    char  *text;

    if (json == NULL) {
        return NGX_ERROR;
    }

    text = json->failed ? NULL : cJSON_PrintUnformatted(json->root);

    ngx_http_api_json_cleanup(json);
    json->failed = 1;

    if (text == NULL) {
        /* nginx tells of memory that it does not get; cJSON does not */

        ngx_log_error(NGX_LOG_EMERG, json->pool->log, 0,
                      "no memory for a JSON document");
        return NGX_ERROR;
    }

    body->len = ngx_strlen(text);
    body->data = ngx_pnalloc(json->pool, body->len + 1);

    if (body->data) {
        ngx_memcpy(body->data, text, body->len);
        body->data[body->len++] = LF;
    }

    cJSON_free(text);

    return body->data ? NGX_OK : NGX_ERROR;
}
