
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_rfc9110_list.h"
#include "ngx_http_rfc9111_control.h"


typedef enum {
    NGX_HTTP_RFC9111_CC_UNKNOWN = 0,
    NGX_HTTP_RFC9111_CC_NO_STORE,
    NGX_HTTP_RFC9111_CC_NO_CACHE,
    NGX_HTTP_RFC9111_CC_PRIVATE,
    NGX_HTTP_RFC9111_CC_PUBLIC,
    NGX_HTTP_RFC9111_CC_MUST_REVALIDATE,
    NGX_HTTP_RFC9111_CC_PROXY_REVALIDATE,
    NGX_HTTP_RFC9111_CC_MUST_UNDERSTAND,
    NGX_HTTP_RFC9111_CC_NO_TRANSFORM,
    NGX_HTTP_RFC9111_CC_IMMUTABLE,
    NGX_HTTP_RFC9111_CC_ONLY_IF_CACHED,
    NGX_HTTP_RFC9111_CC_MAX_AGE,
    NGX_HTTP_RFC9111_CC_S_MAXAGE,
    NGX_HTTP_RFC9111_CC_STALE_WHILE_REVALIDATE,
    NGX_HTTP_RFC9111_CC_STALE_IF_ERROR,
    NGX_HTTP_RFC9111_CC_MIN_FRESH,
    NGX_HTTP_RFC9111_CC_MAX_STALE
} ngx_http_rfc9111_directive_e;


typedef struct {
    ngx_str_t                     name;
    ngx_http_rfc9111_directive_e  id;
} ngx_http_rfc9111_directive_t;


static void ngx_http_rfc9111_control_take(ngx_http_rfc9111_control_t *cc,
    ngx_http_rfc9111_directive_e id, int64_t *seconds, ngx_str_t *arg);
static ngx_http_rfc9111_directive_e ngx_http_rfc9111_control_id(
    ngx_str_t *name);
static void ngx_http_rfc9111_control_set(ngx_http_rfc9111_control_t *cc,
    ngx_http_rfc9111_directive_e id, ngx_uint_t value);
static int64_t *ngx_http_rfc9111_control_seconds(
    ngx_http_rfc9111_control_t *cc, ngx_http_rfc9111_directive_e id);
static ngx_uint_t ngx_http_rfc9111_control_fields(
    ngx_http_rfc9111_control_t *cc, ngx_str_t *arg, ngx_uint_t priv);
static int64_t ngx_http_rfc9111_control_number(int64_t known, ngx_str_t *arg,
    ngx_http_rfc9111_directive_e id);
static u_char *ngx_http_rfc9111_control_next(u_char *p, u_char *last,
    ngx_str_t *name, ngx_str_t *arg);
static u_char *ngx_http_rfc9111_control_end(u_char *p, u_char *last);
static u_char *ngx_http_rfc9111_control_quote(u_char *p, u_char *last);


/* those that are seen most are found first */

static ngx_http_rfc9111_directive_t  ngx_http_rfc9111_directives[] = {

    { ngx_string("max-age"), NGX_HTTP_RFC9111_CC_MAX_AGE },
    { ngx_string("private"), NGX_HTTP_RFC9111_CC_PRIVATE },
    { ngx_string("public"), NGX_HTTP_RFC9111_CC_PUBLIC },
    { ngx_string("no-cache"), NGX_HTTP_RFC9111_CC_NO_CACHE },
    { ngx_string("no-store"), NGX_HTTP_RFC9111_CC_NO_STORE },
    { ngx_string("s-maxage"), NGX_HTTP_RFC9111_CC_S_MAXAGE },
    { ngx_string("must-revalidate"), NGX_HTTP_RFC9111_CC_MUST_REVALIDATE },
    { ngx_string("proxy-revalidate"), NGX_HTTP_RFC9111_CC_PROXY_REVALIDATE },
    { ngx_string("must-understand"), NGX_HTTP_RFC9111_CC_MUST_UNDERSTAND },
    { ngx_string("no-transform"), NGX_HTTP_RFC9111_CC_NO_TRANSFORM },
    { ngx_string("immutable"), NGX_HTTP_RFC9111_CC_IMMUTABLE },
    { ngx_string("only-if-cached"), NGX_HTTP_RFC9111_CC_ONLY_IF_CACHED },
    { ngx_string("stale-while-revalidate"),
      NGX_HTTP_RFC9111_CC_STALE_WHILE_REVALIDATE },
    { ngx_string("stale-if-error"), NGX_HTTP_RFC9111_CC_STALE_IF_ERROR },
    { ngx_string("min-fresh"), NGX_HTTP_RFC9111_CC_MIN_FRESH },
    { ngx_string("max-stale"), NGX_HTTP_RFC9111_CC_MAX_STALE },

    { ngx_null_string, NGX_HTTP_RFC9111_CC_UNKNOWN }
};


void
ngx_http_rfc9111_control_init(ngx_http_rfc9111_control_t *cc)
{
    ngx_memzero(cc, sizeof(ngx_http_rfc9111_control_t));

    cc->max_age = -1;
    cc->s_maxage = -1;
    cc->stale_while_revalidate = -1;
    cc->stale_if_error = -1;
    cc->min_fresh = -1;
    cc->max_stale = -1;
}


void
ngx_http_rfc9111_control_parse(ngx_str_t *line, ngx_http_rfc9111_control_t *cc)
{
    u_char                        *p, *last;
    int64_t                       *seconds;
    ngx_str_t                      name, arg;
    ngx_http_rfc9111_directive_e   id;

    p = line->data;
    last = p + line->len;

    while (p < last) {
        p = ngx_http_rfc9111_control_next(p, last, &name, &arg);

        id = ngx_http_rfc9111_control_id(&name);
        seconds = ngx_http_rfc9111_control_seconds(cc, id);

        if (seconds == NULL && arg.data && arg.data[-1] != '"') {
            /* "private=true" speaks of all fields, not of one */
            ngx_str_null(&arg);
        }

        ngx_http_rfc9111_control_take(cc, id, seconds, &arg);
    }
}


void
ngx_http_rfc9111_control_add(ngx_http_rfc9111_control_t *cc, ngx_str_t *name,
    ngx_str_t *arg)
{
    ngx_http_rfc9111_directive_e  id;

    id = ngx_http_rfc9111_control_id(name);

    ngx_http_rfc9111_control_take(cc, id,
                                  ngx_http_rfc9111_control_seconds(cc, id),
                                  arg);
}


static void
ngx_http_rfc9111_control_take(ngx_http_rfc9111_control_t *cc,
    ngx_http_rfc9111_directive_e id, int64_t *seconds, ngx_str_t *arg)
{
    if (seconds) {
        *seconds = ngx_http_rfc9111_control_number(*seconds, arg, id);
        return;
    }

    if ((id == NGX_HTTP_RFC9111_CC_NO_CACHE
         || id == NGX_HTTP_RFC9111_CC_PRIVATE)
        && ngx_http_rfc9111_control_fields(cc, arg,
                                           id == NGX_HTTP_RFC9111_CC_PRIVATE))
    {
        return;
    }

    ngx_http_rfc9111_control_set(cc, id, 1);
}


void
ngx_http_rfc9111_control_remove(ngx_http_rfc9111_control_t *cc,
    ngx_str_t *name)
{
    int64_t                       *seconds;
    ngx_uint_t                     i, n;
    ngx_http_rfc9111_directive_e   id;

    id = ngx_http_rfc9111_control_id(name);

    seconds = ngx_http_rfc9111_control_seconds(cc, id);

    if (seconds) {
        *seconds = -1;
        return;
    }

    ngx_http_rfc9111_control_set(cc, id, 0);

    if (id != NGX_HTTP_RFC9111_CC_NO_CACHE
        && id != NGX_HTTP_RFC9111_CC_PRIVATE)
    {
        return;
    }

    n = 0;

    for (i = 0; i < cc->nfields; i++) {
        if (cc->fields[i].priv != (id == NGX_HTTP_RFC9111_CC_PRIVATE)) {
            cc->fields[n++] = cc->fields[i];
        }
    }

    cc->nfields = n;
}


ngx_uint_t
ngx_http_rfc9111_control_omits(ngx_http_rfc9111_control_t *cc,
    ngx_str_t *name, ngx_uint_t shared)
{
    ngx_uint_t  i;

    for (i = 0; i < cc->nfields; i++) {

        if (cc->fields[i].priv && !shared) {
            continue;
        }

        if (ngx_http_rfc9110_list_has(&cc->fields[i].names, name)) {
            return 1;
        }
    }

    return 0;
}


static ngx_http_rfc9111_directive_e
ngx_http_rfc9111_control_id(ngx_str_t *name)
{
    ngx_http_rfc9111_directive_t  *d;

    for (d = ngx_http_rfc9111_directives; d->name.len; d++) {

        if (d->name.len == name->len
            && d->name.data[0] == ngx_tolower(name->data[0])
            && (ngx_memcmp(d->name.data, name->data, name->len) == 0
                || ngx_strncasecmp(d->name.data, name->data, name->len) == 0))
        {
            break;
        }
    }

    return d->id;
}


static void
ngx_http_rfc9111_control_set(ngx_http_rfc9111_control_t *cc,
    ngx_http_rfc9111_directive_e id, ngx_uint_t value)
{
    switch (id) {

    case NGX_HTTP_RFC9111_CC_NO_STORE:
        cc->no_store = value;
        break;

    case NGX_HTTP_RFC9111_CC_NO_CACHE:
        cc->no_cache = value;
        break;

    case NGX_HTTP_RFC9111_CC_PRIVATE:
        cc->priv = value;
        break;

    case NGX_HTTP_RFC9111_CC_PUBLIC:
        cc->pub = value;
        break;

    case NGX_HTTP_RFC9111_CC_MUST_REVALIDATE:
        cc->must_revalidate = value;
        break;

    case NGX_HTTP_RFC9111_CC_PROXY_REVALIDATE:
        cc->proxy_revalidate = value;
        break;

    case NGX_HTTP_RFC9111_CC_MUST_UNDERSTAND:
        cc->must_understand = value;
        break;

    case NGX_HTTP_RFC9111_CC_NO_TRANSFORM:
        cc->no_transform = value;
        break;

    case NGX_HTTP_RFC9111_CC_IMMUTABLE:
        cc->immutable = value;
        break;

    case NGX_HTTP_RFC9111_CC_ONLY_IF_CACHED:
        cc->only_if_cached = value;
        break;

    default:
        break;
    }
}


static int64_t *
ngx_http_rfc9111_control_seconds(ngx_http_rfc9111_control_t *cc,
    ngx_http_rfc9111_directive_e id)
{
    switch (id) {

    case NGX_HTTP_RFC9111_CC_MAX_AGE:
        return &cc->max_age;

    case NGX_HTTP_RFC9111_CC_S_MAXAGE:
        return &cc->s_maxage;

    case NGX_HTTP_RFC9111_CC_STALE_WHILE_REVALIDATE:
        return &cc->stale_while_revalidate;

    case NGX_HTTP_RFC9111_CC_STALE_IF_ERROR:
        return &cc->stale_if_error;

    case NGX_HTTP_RFC9111_CC_MIN_FRESH:
        return &cc->min_fresh;

    case NGX_HTTP_RFC9111_CC_MAX_STALE:
        return &cc->max_stale;

    default:
        return NULL;
    }
}


static int64_t
ngx_http_rfc9111_control_number(int64_t known, ngx_str_t *arg,
    ngx_http_rfc9111_directive_e id)
{
    int64_t  delta;

    delta = ngx_http_rfc9111_delta(arg->data, arg->len);

    if (id == NGX_HTTP_RFC9111_CC_MIN_FRESH) {

        if (delta < 0) {
            delta = NGX_HTTP_RFC9111_DELTA_MAX;
        }

        /* the larger, the stricter */
        return ngx_max(known, delta);
    }

    if (id == NGX_HTTP_RFC9111_CC_MAX_STALE && arg->data == NULL) {
        /* RFC 9111, 5.2.1.2: a stale response of any age */
        delta = NGX_HTTP_RFC9111_DELTA_MAX;
    }

    if (delta < 0) {
        /* RFC 9111, 4.2.1: invalid freshness information means stale */
        return 0;
    }

    return (known == -1) ? delta : ngx_min(known, delta);
}


/* Whether the argument is a list of fields, and there is room for it. */

static ngx_uint_t
ngx_http_rfc9111_control_fields(ngx_http_rfc9111_control_t *cc, ngx_str_t *arg,
    ngx_uint_t priv)
{
    ngx_uint_t                  i;
    ngx_http_rfc9111_fields_t  *f;

    if (arg->data == NULL || !ngx_http_rfc9110_list_valid(arg)) {
        return 0;
    }

    for (i = 0; i < cc->nfields; i++) {
        f = &cc->fields[i];

        if (f->priv == priv
            && f->names.len == arg->len
            && ngx_strncasecmp(f->names.data, arg->data, arg->len) == 0)
        {
            /* the same line may be seen twice */
            return 1;
        }
    }

    if (cc->nfields == NGX_HTTP_RFC9111_LISTS) {
        return 0;
    }

    f = &cc->fields[cc->nfields++];

    f->names = *arg;
    f->priv = priv;

    return 1;
}


/*
 * Takes one member off a list.  Commas separate its members, and semicolons,
 * since "private; max-age=60" is often meant; within a quoted argument they do
 * not.  A quote that is never closed is a character like any other: it must
 * not hide the directives after it.
 */

static u_char *
ngx_http_rfc9111_control_next(u_char *p, u_char *last, ngx_str_t *name,
    ngx_str_t *arg)
{
    u_char  *quote;

    ngx_str_null(arg);

    while (p < last && (*p == ' ' || *p == '\t' || *p == ',' || *p == ';')) {
        p++;
    }

    name->data = p;

    /* no letter ends it, all of which are greater than "=" */

    while (p < last
           && (*p > '='
               || (*p != ',' && *p != '=' && *p != ';' && *p != ' '
                   && *p != '\t')))
    {
        p++;
    }

    name->len = p - name->data;

    if (p == last || *p != '=') {
        /* "max-age =1" is no directive with an argument */
        return ngx_http_rfc9111_control_end(p, last);
    }

    arg->data = ++p;

    quote = ngx_http_rfc9111_control_quote(p, last);

    if (quote) {
        arg->data++;
        arg->len = quote - arg->data;

        return ngx_http_rfc9111_control_end(quote + 1, last);
    }

    p = ngx_http_rfc9111_control_end(p, last);

    arg->len = p - arg->data;

    while (arg->len
           && (arg->data[arg->len - 1] == ' '
               || arg->data[arg->len - 1] == '\t'))
    {
        arg->len--;
    }

    return p;
}


/* The end of the member that p is in. */

static u_char *
ngx_http_rfc9111_control_end(u_char *p, u_char *last)
{
    while (p < last && *p != ',' && *p != ';') {
        p++;
    }

    return p;
}


/* The closing quote of a quoted string that begins at p; NULL: none does. */

static u_char *
ngx_http_rfc9111_control_quote(u_char *p, u_char *last)
{
    if (p == last || *p != '"') {
        return NULL;
    }

    for (p++; p < last; p++) {

        if (*p == '"') {
            return p;
        }

        if (*p == '\\' && p + 1 < last) {
            p++;
        }
    }

    return NULL;
}


int64_t
ngx_http_rfc9111_delta(u_char *data, size_t len)
{
    size_t   i;
    int64_t  delta;

    if (len == 0) {
        return -1;
    }

    delta = 0;

    for (i = 0; i < len; i++) {

        if (data[i] < '0' || data[i] > '9') {
            return -1;
        }

        delta = delta * 10 + (data[i] - '0');

        if (delta > NGX_HTTP_RFC9111_DELTA_MAX) {
            delta = NGX_HTTP_RFC9111_DELTA_MAX;
        }
    }

    return delta;
}
