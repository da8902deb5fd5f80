
/*
 * Copyright (C) The Optcache authors
 */


/*
 * Fields of an origin that are lists or structured: whatever they are, what is
 * read of them is within them, and a member behind them does not change what
 * those before it say.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <ngx_http_rfc9110_date.h>
#include <ngx_http_rfc9110_list.h>
#include <ngx_http_rfc9111_vary.h>
#include <ngx_http_rfc9213_targeted.h>
#include <ngx_http_rfc9651_dictionary.h>
#include <ngx_http_rfc9651_list.h>
#include <ngx_http_surrogate_control.h>

#include "../fuzz_copy.h"


typedef struct {
    ngx_str_t    line;
    ngx_uint_t   n;
} fuzz_t;


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_dictionary(ngx_str_t *line);
static void fuzz_member(ngx_http_rfc9651_member_t *m, void *data);
static void fuzz_strings(ngx_str_t *line);
static void fuzz_string(ngx_str_t *text, void *data);
static void fuzz_targeted(ngx_str_t *line, ngx_str_t *longer);
static void fuzz_lists(ngx_str_t *line);
static void fuzz_within(ngx_str_t *line, ngx_str_t *text);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ngx_str_t  line, longer;

    line = fuzz_copy(data, size, "");
    longer = fuzz_copy(data, size, ", other=1");

    fuzz_dictionary(&line);
    fuzz_strings(&line);
    fuzz_targeted(&line, &longer);
    fuzz_lists(&line);

    (void) ngx_http_rfc9110_date(&line);

    free(line.data);
    free(longer.data);

    return 0;
}


static void
fuzz_dictionary(ngx_str_t *line)
{
    fuzz_t     fuzz;
    ngx_int_t  n;

    fuzz.line = *line;
    fuzz.n = 0;

    n = ngx_http_rfc9651_dictionary(line, fuzz_member, &fuzz);

    if (n != NGX_ERROR && (n < 0 || (ngx_uint_t) n > line->len)) {
        abort();
    }
}


static void
fuzz_member(ngx_http_rfc9651_member_t *m, void *data)
{
    fuzz_t *fuzz = data;

    fuzz_within(&fuzz->line, &m->key);
    fuzz_within(&fuzz->line, &m->text);

    if (m->key.len == 0) {
        abort();
    }
}


static void
fuzz_strings(ngx_str_t *line)
{
    fuzz_t     fuzz;
    ngx_int_t  n;

    fuzz.line = *line;
    fuzz.n = 0;

    n = ngx_http_rfc9651_strings(line, fuzz_string, &fuzz);

    if (n != NGX_ERROR && (ngx_uint_t) n != fuzz.n) {
        abort();
    }
}


static void
fuzz_string(ngx_str_t *text, void *data)
{
    fuzz_t *fuzz = data;

    u_char  *p, *last;

    fuzz->n++;
    fuzz_within(&fuzz->line, text);

    p = malloc(text->len ? text->len : 1);
    if (p == NULL) {
        abort();
    }

    last = ngx_http_rfc9651_unescape(p, text);

    if (last < p || last > p + text->len) {
        abort();
    }

    free(p);
}


static void
fuzz_targeted(ngx_str_t *line, ngx_str_t *longer)
{
    ngx_int_t                   rc;
    ngx_http_rfc9111_control_t  cc, more;

    ngx_http_rfc9111_control_init(&cc);
    ngx_http_rfc9111_control_init(&more);

    rc = ngx_http_rfc9213_targeted(line, &cc);

    if (rc == NGX_OK) {

        if (ngx_http_rfc9213_targeted(longer, &more) != NGX_OK
            || more.max_age != cc.max_age
            || more.s_maxage != cc.s_maxage
            || more.no_store != cc.no_store
            || more.no_cache != cc.no_cache
            || more.priv != cc.priv)
        {
            abort();
        }

    } else if (rc != NGX_DECLINED) {
        abort();
    }

    if (cc.max_age < -1 || cc.max_age > NGX_HTTP_RFC9111_DELTA_MAX) {
        abort();
    }

    ngx_http_rfc9111_control_init(&cc);

    rc = ngx_http_surrogate_control(line, &cc);

    if (rc != NGX_OK && rc != NGX_DECLINED) {
        abort();
    }

    if (cc.max_age < -1 || cc.max_age > NGX_HTTP_RFC9111_DELTA_MAX) {
        abort();
    }
}


static void
fuzz_lists(ngx_str_t *line)
{
    u_char                   *p, *last;
    ngx_str_t                 member;
    ngx_uint_t                i, valid;
    ngx_http_rfc9111_vary_t   vary;

    p = line->data;
    last = line->data + line->len;
    valid = 1;

    for (i = 0; (p = ngx_http_rfc9110_list_next(p, last, &member)); i++) {

        fuzz_within(line, &member);

        if (member.len == 0 || p > last) {
            abort();
        }

        if (!ngx_http_rfc9110_list_has(line, &member)) {
            abort();
        }

        valid &= ngx_http_rfc9110_token(&member);
    }

    if (ngx_http_rfc9110_list_valid(line) != (i && valid)) {
        abort();
    }

    ngx_memzero(&vary, sizeof(vary));
    ngx_http_rfc9111_vary_parse(line, &vary);

    if (vary.n > NGX_HTTP_RFC9111_VARY_MAX || (!valid && !vary.any)) {
        abort();
    }

    for (i = 0; i < vary.n; i++) {
        fuzz_within(line, &vary.names[i]);
    }
}


static void
fuzz_within(ngx_str_t *line, ngx_str_t *text)
{
    if (text->len
        && (text->data < line->data
            || text->data + text->len > line->data + line->len))
    {
        abort();
    }
}
