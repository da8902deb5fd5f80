
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <cjson/cJSON.h>

#include "ngx_input_json.h"


/* RFC 7493, 2.2: beyond it, two integers may be one double */

#define NGX_INPUT_JSON_EXACT  9007199254740992.0


static ngx_int_t ngx_input_json_unambiguous(const cJSON *json);
static ngx_uint_t ngx_input_json_duplicate(const cJSON *member);
static void ngx_input_json_cleanup(void *data);


ngx_int_t
ngx_input_json_parse(ngx_pool_t *pool, const ngx_str_t *text,
    const ngx_input_json_limits_t *limits, ngx_input_json_t **json)
{
    cJSON               *tree;
    ngx_pool_cleanup_t  *cln;

    *json = NULL;

    if (ngx_input_json_scan(text, limits) != NGX_OK) {
        return NGX_DECLINED;
    }

    cln = ngx_pool_cleanup_add(pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    tree = cJSON_ParseWithLengthOpts((char *) text->data, text->len, NULL, 0);
    if (tree == NULL) {
        /*
         * it reads all that gets through the scan: there was no memory, of which
         * cJSON does not tell
         */
        ngx_log_error(NGX_LOG_EMERG, pool->log, 0,
                      "no memory for a JSON document");
        return NGX_ERROR;
    }

    cln->handler = ngx_input_json_cleanup;
    cln->data = tree;

    if (!cJSON_IsObject(tree) || ngx_input_json_unambiguous(tree) != NGX_OK) {
        return NGX_DECLINED;
    }

    *json = tree;

    return NGX_OK;
}


/* Recursion is bounded: the text has NGX_INPUT_JSON_DEPTH levels at most. */

static ngx_int_t
ngx_input_json_unambiguous(const cJSON *json)
{
    const cJSON  *child;

    /* the other way round this would let a NaN through */

    if (cJSON_IsNumber(json)
        && !(json->valuedouble < NGX_INPUT_JSON_EXACT
             && json->valuedouble > -NGX_INPUT_JSON_EXACT))
    {
        return NGX_DECLINED;
    }

    for (child = json->child; child; child = child->next) {

        if (ngx_input_json_unambiguous(child) != NGX_OK
            || (cJSON_IsObject(json) && ngx_input_json_duplicate(child)))
        {
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


/* Names are compared as what their escapes mean. */

static ngx_uint_t
ngx_input_json_duplicate(const cJSON *member)
{
    const cJSON  *other;

    for (other = member->next; other; other = other->next) {
        if (ngx_strcmp(member->string, other->string) == 0) {
            return 1;
        }
    }

    return 0;
}


static void
ngx_input_json_cleanup(void *data)
{
    cJSON_Delete(data);
}


ngx_input_json_type_e
ngx_input_json_type(const ngx_input_json_t *json)
{
    if (json == NULL) {
        return NGX_INPUT_JSON_NONE;
    }

    switch (json->type & 0xff) {

    case cJSON_False:
    case cJSON_True:
        return NGX_INPUT_JSON_BOOLEAN;

    case cJSON_Number:
        return NGX_INPUT_JSON_NUMBER;

    case cJSON_String:
        return NGX_INPUT_JSON_STRING;

    case cJSON_Array:
        return NGX_INPUT_JSON_ARRAY;

    case cJSON_Object:
        return NGX_INPUT_JSON_OBJECT;

    default: /* cJSON_NULL */
        return NGX_INPUT_JSON_NULL;
    }
}


ngx_input_json_t *
ngx_input_json_find(const ngx_input_json_t *json, const u_char *name,
    size_t len)
{
    cJSON  *child;

    if (!cJSON_IsObject(json)) {
        return NULL;
    }

    for (child = json->child; child; child = child->next) {
        if (ngx_strlen(child->string) == len
            && ngx_memcmp(child->string, name, len) == 0)
        {
            return child;
        }
    }

    return NULL;
}


ngx_input_json_t *
ngx_input_json_first(const ngx_input_json_t *json)
{
    return (cJSON_IsArray(json) || cJSON_IsObject(json)) ? json->child : NULL;
}


ngx_input_json_t *
ngx_input_json_next(const ngx_input_json_t *json)
{
    return json->next;
}


void
ngx_input_json_name(const ngx_input_json_t *json, ngx_str_t *name)
{
    name->data = (u_char *) json->string;
    name->len = ngx_strlen(name->data);
}


ngx_int_t
ngx_input_json_string(const ngx_input_json_t *json, ngx_str_t *text)
{
    if (!cJSON_IsString(json)) {
        return NGX_DECLINED;
    }

    text->data = (u_char *) json->valuestring;
    text->len = ngx_strlen(text->data);

    return NGX_OK;
}


ngx_int_t
ngx_input_json_number(const ngx_input_json_t *json, double *number)
{
    if (!cJSON_IsNumber(json)) {
        return NGX_DECLINED;
    }

    *number = json->valuedouble;

    return NGX_OK;
}


ngx_int_t
ngx_input_json_boolean(const ngx_input_json_t *json, ngx_uint_t *value)
{
    if (!cJSON_IsBool(json)) {
        return NGX_DECLINED;
    }

    *value = cJSON_IsTrue(json);

    return NGX_OK;
}


ngx_uint_t
ngx_input_json_is(const ngx_input_json_t *json, const ngx_str_t *text)
{
    ngx_str_t  string;

    return ngx_input_json_string(json, &string) == NGX_OK
           && string.len == text->len
           && ngx_memcmp(string.data, text->data, text->len) == 0;
}
