
/*
 * Copyright (C) The Optcache authors
 */


/*
 * Field values that origins and clients choose: Cache-Control and
 * Accept-Encoding.  No verdict may depend on the case of letters, be changed
 * by reading a line twice, or be undone by what is added to a line.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <ngx_http_rfc9110_encoding.h>
#include <ngx_http_rfc9111_control.h>

#include "../fuzz_copy.h"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_control(ngx_str_t *line, ngx_str_t *other);
static void fuzz_encoding(ngx_str_t *line, ngx_str_t *other);
static ngx_uint_t fuzz_same(ngx_http_rfc9111_control_t *one,
    ngx_http_rfc9111_control_t *two);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t     i;
    ngx_str_t  line, other;

    line = fuzz_copy(data, size, "");
    other = fuzz_copy(data, size, "");

    for (i = 0; i < size; i++) {
        other.data[i] = ngx_toupper(other.data[i]);
    }

    fuzz_control(&line, &other);
    fuzz_encoding(&line, &other);

    free(line.data);
    free(other.data);

    return 0;
}


static void
fuzz_control(ngx_str_t *line, ngx_str_t *other)
{
    ngx_str_t                   longer;
    ngx_http_rfc9111_control_t  cc, again;

    ngx_http_rfc9111_control_init(&cc);
    ngx_http_rfc9111_control_parse(line, &cc);

    if (cc.max_age < -1 || cc.max_age > NGX_HTTP_RFC9111_DELTA_MAX
        || cc.s_maxage < -1 || cc.s_maxage > NGX_HTTP_RFC9111_DELTA_MAX)
    {
        abort();
    }

    again = cc;
    ngx_http_rfc9111_control_parse(line, &again);

    if (!fuzz_same(&cc, &again)) {
        abort();
    }

    ngx_http_rfc9111_control_init(&again);
    ngx_http_rfc9111_control_parse(other, &again);

    if (!fuzz_same(&cc, &again)) {
        abort();
    }

    /* a member of its own counts whatever stands before it */

    longer = fuzz_copy(line->data, line->len, ", no-store, max-age=5");

    ngx_http_rfc9111_control_init(&again);
    ngx_http_rfc9111_control_parse(&longer, &again);

    if (!again.no_store || again.max_age == -1 || again.max_age > 5
        || again.priv != cc.priv || again.no_cache != cc.no_cache)
    {
        abort();
    }

    free(longer.data);
}


static void
fuzz_encoding(ngx_str_t *line, ngx_str_t *other)
{
    ngx_str_t   longer;
    ngx_uint_t  accepts;

    static ngx_str_t  gzip = ngx_string("gzip");

    accepts = ngx_http_rfc9110_accepts(line, &gzip);

    if (accepts > 1 || ngx_http_rfc9110_accepts(other, &gzip) != accepts) {
        abort();
    }

    longer = fuzz_copy(line->data, line->len, ", zip;q=1");

    if (ngx_http_rfc9110_accepts(&longer, &gzip) != accepts) {
        abort();
    }

    free(longer.data);

    /* who has not refused it before takes it */

    longer = fuzz_copy(line->data, line->len, ", gzip");

    if (!ngx_http_rfc9110_accepts(&longer, &gzip)
        && ngx_strlcasestrn(line->data, line->data + line->len,
                            (u_char *) "gzip", 4 - 1)
           == NULL)
    {
        abort();
    }

    free(longer.data);
}


static ngx_uint_t
fuzz_same(ngx_http_rfc9111_control_t *one, ngx_http_rfc9111_control_t *two)
{
    return one->max_age == two->max_age
           && one->s_maxage == two->s_maxage
           && one->no_store == two->no_store
           && one->no_cache == two->no_cache
           && one->priv == two->priv
           && one->pub == two->pub
           && one->must_revalidate == two->must_revalidate
           && one->proxy_revalidate == two->proxy_revalidate
           && one->no_transform == two->no_transform;
}
