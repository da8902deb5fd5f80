
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_captures.h"
#include "ngx_http_names.h"
#include "ngx_http_optcache_value.h"
#include "ngx_http_place.h"
#include "ngx_rare.h"


#define ngx_http_optcache_value_is(name, other)                               \
    ((name)->len == (other)->len                                              \
     && ngx_strncasecmp((name)->data, (other)->data, (other)->len) == 0)


static ngx_int_t ngx_http_optcache_value_parse(ngx_conf_t *cf,
    ngx_str_t *text, ngx_http_optcache_value_t *value);
static u_char *ngx_http_optcache_value_name(u_char *p, u_char *last,
    ngx_str_t *name);
static size_t ngx_http_optcache_value_bare(ngx_str_t *text);
static void ngx_http_optcache_value_know(ngx_conf_t *cf,
    ngx_http_optcache_value_part_t *part);
static ngx_uint_t ngx_http_optcache_value_plain(ngx_str_t *name);
static ngx_rare void ngx_http_optcache_value_capture(ngx_http_request_t *r,
    ngx_uint_t n, ngx_str_t *text);
static ngx_apart ngx_http_variable_value_t *ngx_http_optcache_value_other(
    ngx_http_request_t *r, ngx_int_t index);
static ngx_uint_t ngx_http_optcache_value_known(ngx_http_request_t *r,
    ngx_http_optcache_value_part_t *part, ngx_http_variable_value_t *vv);
static ngx_uint_t ngx_http_optcache_value_field(ngx_http_request_t *r,
    ngx_http_optcache_value_part_t *part, ngx_http_variable_value_t *vv);
static ngx_uint_t ngx_http_optcache_value_named(ngx_table_elt_t *h,
    ngx_str_t *name);
static void ngx_http_optcache_value_keep(ngx_http_variable_value_t *vv,
    size_t len, u_char *data);


ngx_int_t
ngx_http_optcache_value_compile(ngx_conf_t *cf, ngx_str_t *text,
    ngx_http_optcache_value_t *value)
{
    ngx_http_compile_complex_value_t  ccv;

    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

    ccv.cf = cf;
    ccv.value = text;
    ccv.complex_value = &value->complex;

    if (ngx_http_compile_complex_value(&ccv) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_sha256(text, value->digest);

    value->bare = value->complex.lengths ? ngx_http_optcache_value_bare(text)
                                         : 0;

    return ngx_http_optcache_value_parse(cf, text, value);
}


/* nginx has compiled the text: it has no errors. */

static ngx_int_t
ngx_http_optcache_value_parse(ngx_conf_t *cf, ngx_str_t *text,
    ngx_http_optcache_value_t *value)
{
    u_char                          *p, *last;
    ngx_uint_t                       n;
    ngx_http_optcache_value_part_t  *part;

    value->nparts = 0;

    p = text->data;
    last = p + text->len;

    for (n = 0; p < last; n++) {

        if (n == NGX_HTTP_OPTCACHE_VALUE_PARTS) {
            return NGX_OK;
        }

        part = &value->parts[n];
        part->known = NGX_HTTP_OPTCACHE_VALUE_OTHER;

        if (*p != '$') {
            part->index = -1;
            part->text.data = p;

            while (p < last && *p != '$') {
                p++;
            }

            part->text.len = p - part->text.data;
            continue;
        }

        if (p[1] >= '1' && p[1] <= '9') {
            /* of two digits, the second is text */
            part->known = NGX_HTTP_OPTCACHE_VALUE_CAPTURE;
            part->index = p[1] - '0';
            p += 2;
            continue;
        }

        p = ngx_http_optcache_value_name(p + 1, last, &part->text);

        part->index = ngx_http_get_variable_index(cf, &part->text);
        if (part->index == NGX_ERROR) {
            return NGX_ERROR;
        }

        ngx_http_optcache_value_know(cf, part);
    }

    value->nparts = n;

    return NGX_OK;
}


static u_char *
ngx_http_optcache_value_name(u_char *p, u_char *last, ngx_str_t *name)
{
    if (*p == '{') {
        name->data = ++p;

        while (*p != '}') {
            p++;
        }

        name->len = p - name->data;

        return p + 1;
    }

    name->data = p;

    while (p < last
           && (*p == '_' || (*p >= '0' && *p <= '9')
               || ((*p | 0x20) >= 'a' && (*p | 0x20) <= 'z')))
    {
        p++;
    }

    name->len = p - name->data;

    return p;
}


/* How many bytes of it are in no variable. */

static size_t
ngx_http_optcache_value_bare(ngx_str_t *text)
{
    size_t      n;
    u_char     *p, *last;
    ngx_str_t   name;

    n = 0;
    last = text->data + text->len;

    for (p = text->data; p < last; /* void */ ) {

        if (*p != '$') {
            n++;
            p++;

        } else if (p[1] >= '1' && p[1] <= '9') {
            p += 2;

        } else {
            p = ngx_http_optcache_value_name(p + 1, last, &name);
        }
    }

    return n;
}


/*
 * Nobody can give the first three another meaning.  A field's variable can be
 * made by "set", "map" or a module, further on in the configuration: it is
 * nginx's own if it has this handler when it is asked for.
 */

static void
ngx_http_optcache_value_know(ngx_conf_t *cf,
    ngx_http_optcache_value_part_t *part)
{
    ngx_str_t                  *name;
    ngx_uint_t                  i;
    ngx_http_variable_t        *v;
    ngx_http_core_main_conf_t  *cmcf;

    static ngx_str_t  scheme = ngx_string("scheme");
    static ngx_str_t  host = ngx_string("host");
    static ngx_str_t  uri = ngx_string("request_uri");
    static ngx_str_t  field = ngx_string("http_");

    name = &part->text;

    if (ngx_http_optcache_value_is(name, &scheme)) {
        part->known = NGX_HTTP_OPTCACHE_VALUE_SCHEME;

    } else if (ngx_http_optcache_value_is(name, &host)) {
        part->known = NGX_HTTP_OPTCACHE_VALUE_HOST;

    } else if (ngx_http_optcache_value_is(name, &uri)) {
        part->known = NGX_HTTP_OPTCACHE_VALUE_URI;

    } else if (name->len > field.len
               && ngx_strncasecmp(name->data, field.data, field.len) == 0)
    {
        name->data += field.len;
        name->len -= field.len;

        cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);
        v = cmcf->prefix_variables.elts;

        for (i = 0; i < cmcf->prefix_variables.nelts; i++) {

            if (ngx_http_optcache_value_is(&v[i].name, &field)
                && ngx_http_optcache_value_plain(name))
            {
                part->known = NGX_HTTP_OPTCACHE_VALUE_FIELD;
                part->field = v[i].get_handler;
            }
        }
    }
}


/* A "_" is also a "-", and nginx writes a name in lower case. */

static ngx_uint_t
ngx_http_optcache_value_plain(ngx_str_t *name)
{
    size_t  i;

    for (i = 0; i < name->len; i++) {

        if ((name->data[i] < 'a' || name->data[i] > 'z')
            && (name->data[i] < '0' || name->data[i] > '9'))
        {
            return 0;
        }
    }

    return 1;
}


ngx_uint_t
ngx_http_optcache_value_of_uri(ngx_http_optcache_value_t *value)
{
    ngx_uint_t  i, host, uri;

    host = 0;
    uri = 0;

    for (i = 0; i < value->nparts; i++) {
        host |= (value->parts[i].known == NGX_HTTP_OPTCACHE_VALUE_HOST);
        uri |= (value->parts[i].known == NGX_HTTP_OPTCACHE_VALUE_URI);
    }

    return host && uri;
}


char *
ngx_http_optcache_value_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char  *p = conf;

    ngx_str_t                   *args;
    ngx_http_optcache_value_t  **value;

    value = (ngx_http_optcache_value_t **) (p + cmd->offset);

    if (*value) {
        return "is duplicate";
    }

    *value = ngx_palloc(cf->pool, sizeof(ngx_http_optcache_value_t));
    if (*value == NULL) {
        return NGX_CONF_ERROR;
    }

    args = cf->args->elts;

    if (ngx_http_optcache_value_compile(cf, &args[1], *value) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


ngx_often ngx_int_t
ngx_http_optcache_value(ngx_http_request_t *r,
    ngx_http_optcache_value_t *value, ngx_str_t *result)
{
    ngx_str_t   parts[NGX_HTTP_OPTCACHE_VALUE_PARTS];
    ngx_uint_t  n;

    if (ngx_http_optcache_value_parts(r, value, parts, &n) != NGX_OK) {
        return NGX_ERROR;
    }

    if (n == 1) {
        *result = parts[0];
        return NGX_OK;
    }

    return ngx_http_captures_join(r, parts, n, result);
}


ngx_often ngx_int_t
ngx_http_optcache_value_user(ngx_http_request_t *r,
    ngx_http_optcache_value_t *value, ngx_str_t *result)
{
    if (ngx_http_optcache_value(r, value, result) != NGX_OK) {
        return NGX_ERROR;
    }

    if (result->len == value->bare) {
        result->len = 0;
    }

    return NGX_OK;
}


ngx_often ngx_int_t
ngx_http_optcache_value_parts(ngx_http_request_t *r,
    ngx_http_optcache_value_t *value, ngx_str_t *parts, ngx_uint_t *n)
{
    ngx_uint_t                       i;
    ngx_http_variable_value_t       *vv;
    ngx_http_optcache_value_part_t  *part;

    if (value->nparts == 0) {
        *n = 1;
        return ngx_http_captures_value_strict(r, &value->complex, &parts[0]);
    }

    for (i = 0; i < value->nparts; i++) {
        part = &value->parts[i];

        if (part->index < 0) {
            parts[i] = part->text;
            continue;
        }

        if (part->known == NGX_HTTP_OPTCACHE_VALUE_CAPTURE) {
            ngx_http_optcache_value_capture(r, part->index, &parts[i]);
            continue;
        }

        vv = &r->variables[part->index];

        if (vv->valid || vv->not_found || part->known == 0
            || !ngx_http_optcache_value_known(r, part, vv))
        {
            vv = ngx_http_optcache_value_other(r, part->index);

            if (vv == NULL) {
                /* not the same as empty, which is nobody */
                return NGX_ERROR;
            }
        }

        parts[i].len = vv->not_found ? 0 : vv->len;
        parts[i].data = vv->data;
    }

    *n = value->nparts;

    return ngx_http_captures_lost(r) ? NGX_ERROR : NGX_OK;
}


/* Empty if there is none, as nginx has it. */

static void
ngx_http_optcache_value_capture(ngx_http_request_t *r, ngx_uint_t n,
    ngx_str_t *text)
{
    ngx_str_null(text);

#if (NGX_PCRE)

    n *= 2;

    if (n < r->ncaptures && r->captures) {
        text->len = r->captures[n + 1] - r->captures[n];
        text->data = r->captures_data + r->captures[n];
    }

#endif
}


/* Told by nginx, but for what it matches. */

static ngx_http_variable_value_t *
ngx_http_optcache_value_other(ngx_http_request_t *r, ngx_int_t index)
{
    ngx_http_captures_t         kept;
    ngx_http_variable_value_t  *vv;

    if (ngx_http_captures_keep(r, &kept) != NGX_OK) {
        return NULL;
    }

    vv = ngx_http_get_flushed_variable(r, index);

    ngx_http_captures_back(r, &kept);

    return vv;
}


/* Zero: nginx is to tell it. */

static ngx_uint_t
ngx_http_optcache_value_known(ngx_http_request_t *r,
    ngx_http_optcache_value_part_t *part, ngx_http_variable_value_t *vv)
{
    switch (part->known) {

    case NGX_HTTP_OPTCACHE_VALUE_SCHEME:

#if (NGX_HTTP_SSL)
        if (r->connection->ssl) {
            ngx_http_optcache_value_keep(vv, sizeof("https") - 1,
                                         (u_char *) "https");
            return 1;
        }
#endif

        ngx_http_optcache_value_keep(vv, sizeof("http") - 1,
                                     (u_char *) "http");
        return 1;

    case NGX_HTTP_OPTCACHE_VALUE_HOST:

        if (r->headers_in.server.len == 0) {
            return 0;
        }

        ngx_http_optcache_value_keep(vv, r->headers_in.server.len,
                                     r->headers_in.server.data);
        return 1;

    case NGX_HTTP_OPTCACHE_VALUE_URI:

        if (r->unparsed_uri.len == 0) {
            return 0;
        }

        ngx_http_optcache_value_keep(vv, r->unparsed_uri.len,
                                     r->unparsed_uri.data);
        return 1;

    default: /* NGX_HTTP_OPTCACHE_VALUE_FIELD */
        return ngx_http_optcache_value_field(r, part, vv);
    }
}


/*
 * What several lines of one name are is for nginx to say: the first of them, or
 * all, by its version.
 */

static ngx_uint_t
ngx_http_optcache_value_field(ngx_http_request_t *r,
    ngx_http_optcache_value_part_t *part, ngx_http_variable_value_t *vv)
{
    ngx_uint_t                  i;
    ngx_list_part_t            *list;
    ngx_table_elt_t            *h, *found;
    ngx_http_variable_t        *v;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_get_module_main_conf(r, ngx_http_core_module);
    v = cmcf->variables.elts;

    if (v[part->index].get_handler != part->field) {
        return 0;
    }

    found = NULL;

    for (list = &r->headers_in.headers.part; list; list = list->next) {
        h = list->elts;

        for (i = 0; i < list->nelts; i++) {

            if (h[i].key.len != part->text.len
                || h[i].hash == 0
                || !ngx_http_optcache_value_named(&h[i], &part->text))
            {
                continue;
            }

            if (found) {
                return 0;
            }

            found = &h[i];
        }
    }

    if (found == NULL) {
        vv->not_found = 1;
        return 1;
    }

    ngx_http_optcache_value_keep(vv, found->value.len, found->value.data);

    return 1;
}


/* Of equal length; a module may have added a field with no more than a key. */

static ngx_uint_t
ngx_http_optcache_value_named(ngx_table_elt_t *h, ngx_str_t *name)
{
    if (h->lowcase_key
        && ngx_memcmp(h->lowcase_key, name->data, name->len) == 0)
    {
        return 1;
    }

    return ngx_strncasecmp(h->key.data, name->data, name->len) == 0;
}


/* As nginx would remember it, for whoever asks for the variable next. */

static void
ngx_http_optcache_value_keep(ngx_http_variable_value_t *vv, size_t len,
    u_char *data)
{
    vv->len = len;
    vv->valid = 1;
    vv->no_cacheable = 0;
    vv->not_found = 0;
    vv->data = data;
}


/* By the text, since a part that is known does not have all of its name. */

ngx_uint_t
ngx_http_optcache_value_missed(ngx_http_request_t *r,
    ngx_http_optcache_value_t *value)
{
    size_t            pos;
    ngx_str_t         variable, name;
    ngx_http_names_e  where;

    pos = 0;

    while (ngx_http_place_variable(&value->complex.value, &pos, &variable)
           == NGX_OK)
    {
        where = ngx_http_names_variable(&variable, &name);

        if (where != NGX_HTTP_NAMES_NONE
            && ngx_http_names_said(r, where, &name, 1))
        {
            return 1;
        }
    }

    return 0;
}
