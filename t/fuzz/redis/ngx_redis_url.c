
/*
 * Copyright (C) The Optcache authors
 */


/*
 * The URL of a Redis server.  What is accepted has parts within the text that
 * can be put together to a URL that means the same.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <ngx_redis_url.h>


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_accepted(ngx_str_t *text, ngx_redis_url_t *url);
static void fuzz_within(ngx_str_t *text, ngx_str_t *part);
static ngx_uint_t fuzz_has(ngx_str_t *s, u_char ch);
static ngx_uint_t fuzz_same(ngx_str_t *one, ngx_str_t *two);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ngx_int_t         rc;
    ngx_str_t         text;
    const char       *err;
    ngx_redis_url_t   url;

    text.len = size;
    text.data = malloc(size ? size : 1);

    if (text.data == NULL) {
        return 0;
    }

    memcpy(text.data, data, size);

    err = NULL;
    rc = ngx_redis_url_parse(&text, &url, &err);

    if (rc == NGX_OK) {
        fuzz_accepted(&text, &url);

    } else if (rc != NGX_ERROR || err == NULL || *err == '\0') {
        abort();
    }

    free(text.data);

    return 0;
}


static void
fuzz_accepted(ngx_str_t *text, ngx_redis_url_t *url)
{
    u_char           *p;
    ngx_str_t         made;
    ngx_uint_t        ipv6;
    const char       *err;
    ngx_redis_url_t   again;

    fuzz_within(text, &url->host);
    fuzz_within(text, &url->user);

    if (url->host.len == 0
        || (url->local && (url->host.data[0] != '/' || url->port || url->tls
                           || url->user.len))
        || (!url->local && url->port == 0))
    {
        abort();
    }

    /* nothing that is a secret, or that would end a line or a command */

    if (fuzz_has(&url->user, ':') || fuzz_has(&url->host, ' ')
        || fuzz_has(&url->host, '\r') || fuzz_has(&url->host, '\n'))
    {
        abort();
    }

    made.data = malloc(text->len + 128);
    if (made.data == NULL) {
        return;
    }

    if (url->local) {
        p = ngx_sprintf(made.data, "unix:%V:%ui", &url->host, url->db);

    } else {
        ipv6 = fuzz_has(&url->host, ':');

        p = ngx_sprintf(made.data, "%s%V%s%s%V%s:%ui/%ui",
                        url->tls ? "rediss://" : "redis://", &url->user,
                        url->user.len ? "@" : "", ipv6 ? "[" : "",
                        &url->host, ipv6 ? "]" : "", (ngx_uint_t) url->port,
                        url->db);
    }

    made.len = p - made.data;

    if (ngx_redis_url_parse(&made, &again, &err) != NGX_OK
        || !fuzz_same(&url->host, &again.host)
        || !fuzz_same(&url->user, &again.user)
        || url->port != again.port || url->db != again.db
        || url->tls != again.tls || url->local != again.local)
    {
        abort();
    }

    free(made.data);
}


static void
fuzz_within(ngx_str_t *text, ngx_str_t *part)
{
    if (part->len
        && (part->data < text->data
            || part->data + part->len > text->data + text->len))
    {
        abort();
    }
}


static ngx_uint_t
fuzz_has(ngx_str_t *s, u_char ch)
{
    return s->len && memchr(s->data, ch, s->len) != NULL;
}


static ngx_uint_t
fuzz_same(ngx_str_t *one, ngx_str_t *two)
{
    return one->len == two->len
           && (one->len == 0
               || ngx_memcmp(one->data, two->data, one->len) == 0);
}
