
/*
 * Copyright (C) The Optcache authors
 */


/*
 * What a POST to /purge asks for:
 *
 *     {"uri": "/a?b=c"}      with "host" and "user", or without
 *     {"tag": "..."}         with "host", or without
 *     {"tags": ["...", ..]}  the same for each of them
 *     {"prefix": "/a/"}      with "host", or without
 *     {"user": "..."}
 *     {"host": "..."}
 *     {"all": true}
 *     {"purge": [{..}, ..]}  several of these
 *
 * each with "soft": true, or without.  What is not understood is refused,
 * and then nothing of it is done.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_optcache_api.h"
#include "ngx_http_optcache_api_purge_read.h"


#define NGX_HTTP_OPTCACHE_API_URI     0x01
#define NGX_HTTP_OPTCACHE_API_TAG     0x02
#define NGX_HTTP_OPTCACHE_API_TAGS    0x04
#define NGX_HTTP_OPTCACHE_API_PREFIX  0x08
#define NGX_HTTP_OPTCACHE_API_ALL     0x10
#define NGX_HTTP_OPTCACHE_API_USER    0x20
#define NGX_HTTP_OPTCACHE_API_HOST    0x40
#define NGX_HTTP_OPTCACHE_API_SOFT    0x80


typedef ngx_int_t (*ngx_http_optcache_api_member_pt)(
    ngx_http_optcache_api_read_t *read, const char *name,
    ngx_input_json_t *json);


typedef struct {
    const char                       *name;
    ngx_uint_t                        bit;
    ngx_http_optcache_api_member_pt   handler;
} ngx_http_optcache_api_member_t;


static ngx_int_t ngx_http_optcache_api_read_list(
    ngx_http_optcache_api_read_t *read, ngx_input_json_t *json,
    ngx_input_json_t *list);
static ngx_int_t ngx_http_optcache_api_read_object(
    ngx_http_optcache_api_read_t *read, ngx_input_json_t *json);
static ngx_int_t ngx_http_optcache_api_read_member(
    ngx_http_optcache_api_read_t *read, ngx_input_json_t *json);
static ngx_int_t ngx_http_optcache_api_read_kind(
    ngx_http_optcache_api_read_t *read);
static ngx_int_t ngx_http_optcache_api_read_add(
    ngx_http_optcache_api_read_t *read);


/* a list of 64 with four members each has 322 values */

static ngx_input_json_limits_t  ngx_http_optcache_api_limits = {
    65536, 512, 1024
};


static ngx_http_optcache_api_member_t  ngx_http_optcache_api_members[] = {
    { "uri", NGX_HTTP_OPTCACHE_API_URI, ngx_http_optcache_api_read_uri },
    { "tag", NGX_HTTP_OPTCACHE_API_TAG, ngx_http_optcache_api_read_tag },
    { "tags", NGX_HTTP_OPTCACHE_API_TAGS, ngx_http_optcache_api_read_tags },
    { "prefix", NGX_HTTP_OPTCACHE_API_PREFIX,
      ngx_http_optcache_api_read_prefix },
    { "all", NGX_HTTP_OPTCACHE_API_ALL, ngx_http_optcache_api_read_all },
    { "user", NGX_HTTP_OPTCACHE_API_USER, ngx_http_optcache_api_read_user },
    { "host", NGX_HTTP_OPTCACHE_API_HOST, ngx_http_optcache_api_read_host },
    { "soft", NGX_HTTP_OPTCACHE_API_SOFT, ngx_http_optcache_api_read_soft },
    { NULL, 0, NULL }
};


ngx_int_t
ngx_http_optcache_api_purge_read(ngx_pool_t *pool, ngx_str_t *body,
    ngx_http_optcache_purge_t *purge, const char **detail)
{
    ngx_int_t                      rc;
    ngx_input_json_t              *json, *list;
    ngx_http_optcache_api_read_t   read;

    purge->n = 0;

    rc = ngx_input_json_parse(pool, body, &ngx_http_optcache_api_limits,
                              &json);

    if (rc != NGX_OK) {
        *detail = "the body is not one JSON object of its kind";
        return rc;
    }

    ngx_memzero(&read, sizeof(ngx_http_optcache_api_read_t));

    read.pool = pool;
    read.purge = purge;

    list = ngx_input_json_member(json, "purge");

    if (list) {
        rc = ngx_http_optcache_api_read_list(&read, json, list);

    } else {
        rc = ngx_http_optcache_api_read_object(&read, json);
    }

    *detail = read.detail;

    return rc;
}


static ngx_int_t
ngx_http_optcache_api_read_list(ngx_http_optcache_api_read_t *read,
    ngx_input_json_t *json, ngx_input_json_t *list)
{
    ngx_int_t          rc;
    ngx_input_json_t  *item;

    if (ngx_input_json_next(ngx_input_json_first(json))) {
        return ngx_http_optcache_api_read_bad(read, "purge",
                                              "must be the only member");
    }

    if (ngx_input_json_type(list) != NGX_INPUT_JSON_ARRAY
        || ngx_input_json_first(list) == NULL)
    {
        return ngx_http_optcache_api_read_bad(read, "purge",
                                      "must be an array that is not empty");
    }

    for (item = ngx_input_json_first(list);
         item;
         item = ngx_input_json_next(item))
    {
        if (ngx_input_json_type(item) != NGX_INPUT_JSON_OBJECT) {
            read->index = 0;
            return ngx_http_optcache_api_read_bad(read, "purge",
                                                  "must be of objects");
        }

        read->index++;

        rc = ngx_http_optcache_api_read_object(read, item);

        if (rc != NGX_OK) {
            return rc;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_optcache_api_read_object(ngx_http_optcache_api_read_t *read,
    ngx_input_json_t *json)
{
    ngx_int_t          rc;
    ngx_str_t          tag;
    ngx_input_json_t  *item;

    ngx_memzero(&read->target, sizeof(ngx_optcache_target_t));
    read->seen = 0;

    for (item = ngx_input_json_first(json);
         item;
         item = ngx_input_json_next(item))
    {
        rc = ngx_http_optcache_api_read_member(read, item);

        if (rc != NGX_OK) {
            return rc;
        }
    }

    rc = ngx_http_optcache_api_read_kind(read);

    if (rc != NGX_OK) {
        return rc;
    }

    if (!(read->seen & NGX_HTTP_OPTCACHE_API_TAGS)) {
        return ngx_http_optcache_api_read_add(read);
    }

    for (item = ngx_input_json_first(read->tags);
         item;
         item = ngx_input_json_next(item))
    {
        (void) ngx_input_json_string(item, &tag);
        read->target.tag = tag;

        rc = ngx_http_optcache_api_read_add(read);

        if (rc != NGX_OK) {
            return rc;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_optcache_api_read_member(ngx_http_optcache_api_read_t *read,
    ngx_input_json_t *json)
{
    ngx_str_t                        name;
    ngx_http_optcache_api_member_t  *member;

    ngx_input_json_name(json, &name);

    for (member = ngx_http_optcache_api_members; member->name; member++) {

        if (ngx_strlen(member->name) == name.len
            && ngx_strncmp(member->name, name.data, name.len) == 0)
        {
            read->seen |= member->bit;

            return member->handler(read, member->name, json);
        }
    }

    return ngx_http_optcache_api_read_bad(read, NULL,
                                    "there is a member other than \"uri\", "
                                    "\"tag\", \"tags\", \"prefix\", \"user\","
                                    " \"host\", \"all\" and \"soft\"");
}


/* Which members go with each other. */

static ngx_int_t
ngx_http_optcache_api_read_kind(ngx_http_optcache_api_read_t *read)
{
    ngx_uint_t  kind, user, host;

    user = read->seen & NGX_HTTP_OPTCACHE_API_USER;
    host = read->seen & NGX_HTTP_OPTCACHE_API_HOST;
    kind = read->seen & ~(NGX_HTTP_OPTCACHE_API_USER
                          |NGX_HTTP_OPTCACHE_API_HOST
                          |NGX_HTTP_OPTCACHE_API_SOFT);

    if ((kind & (kind - 1)) || (kind == 0 && !user && !host)) {
        return ngx_http_optcache_api_read_bad(read, NULL,
                                    "there must be one of \"uri\", \"tag\", "
                                    "\"tags\", \"prefix\", \"user\", "
                                    "\"host\" and \"all\"");
    }

    if (user && kind != NGX_HTTP_OPTCACHE_API_URI && (kind || host)) {
        return ngx_http_optcache_api_read_bad(read, "user",
                                    "must be alone, or with \"uri\"");
    }

    if (host && kind == NGX_HTTP_OPTCACHE_API_ALL) {
        return ngx_http_optcache_api_read_bad(read, "host",
                                    "must not be with \"all\"");
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_optcache_api_read_add(ngx_http_optcache_api_read_t *read)
{
    if (ngx_http_optcache_purge_add(read->purge, &read->target) == NGX_OK) {
        return NGX_OK;
    }

    read->detail = "there are more than 64 things to be purged";

    return NGX_DECLINED;
}


ngx_int_t
ngx_http_optcache_api_read_bad(ngx_http_optcache_api_read_t *read,
    const char *name, const char *text)
{
    u_char  *p, *last;

    p = ngx_pnalloc(read->pool, 256);
    if (p == NULL) {
        return NGX_ERROR;
    }

    read->detail = (const char *) p;
    last = p + 255;

    if (read->index && name) {
        p = ngx_slprintf(p, last, "\"purge[%ui].%s\" %s", read->index - 1,
                         name, text);

    } else if (read->index) {
        p = ngx_slprintf(p, last, "\"purge[%ui]\": %s", read->index - 1,
                         text);

    } else if (name) {
        p = ngx_slprintf(p, last, "\"%s\" %s", name, text);

    } else {
        p = ngx_slprintf(p, last, "%s", text);
    }

    *p = '\0';

    return NGX_DECLINED;
}
