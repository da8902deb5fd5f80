
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_optcache.h"
#include "ngx_http_optcache_response.h"
#include "ngx_http_optcache_whole.h"
#include "ngx_http_rfc9110_list.h"
#include "ngx_rare.h"


/* what the Transfer-Encoding of a response names, all its lines together */

typedef struct {
    unsigned                      chunked:1;
    unsigned                      unknown:1;  /* codings nobody has named */
    unsigned                      left:1;     /* one that was not taken off */
} ngx_http_optcache_codings_t;


static ngx_uint_t ngx_http_optcache_whole_decoded(ngx_http_upstream_t *u,
    ngx_http_optcache_capture_t *cap);
static ngx_uint_t ngx_http_optcache_whole_chunked(ngx_http_upstream_t *u);
static void ngx_http_optcache_whole_codings(ngx_table_elt_t *h, void *data);
static void ngx_http_optcache_whole_coding(
    ngx_http_optcache_codings_t *codings, ngx_str_t *member);
static ngx_uint_t ngx_http_optcache_whole_closed(ngx_http_upstream_t *u);
static ngx_uint_t ngx_http_optcache_whole_closes(ngx_http_upstream_t *u);
static ngx_uint_t ngx_http_optcache_whole_tells(ngx_http_upstream_t *u);
static ngx_uint_t ngx_http_optcache_whole_module(ngx_http_upstream_t *u,
    const char *name);


ngx_uint_t
ngx_http_optcache_whole(ngx_http_request_t *r,
    ngx_http_optcache_capture_t *cap)
{
    ngx_http_upstream_t  *u;

    u = r->upstream;

    if (u && !u->header_sent) {
        /* of an upstream that the request was redirected away from */
        u = NULL;
    }

    if (u && !ngx_http_optcache_whole_decoded(u, cap)) {
        return 0;
    }

    if (cap->expected >= 0) {
        return cap->expected == (off_t) cap->entry.body_len;
    }

    if (u == NULL || ngx_http_optcache_whole_chunked(u)) {
        return 1;
    }

    /* FastCGI and the like say themselves when they have finished */

    if (u->buffering ? (u->pipe && u->pipe->upstream_done) : u->length == 0) {
        return 1;
    }

    return cap->close_delimited && ngx_http_optcache_whole_closed(u);
}


ngx_uint_t
ngx_http_optcache_whole_never(ngx_http_request_t *r, ngx_uint_t closed)
{
    ngx_http_upstream_t  *u;

    u = r->upstream;

    if (u == NULL || u->cleanup == NULL) {
        /* made within nginx, maybe in place of what an upstream said */
        return 0;
    }

    if (r->headers_out.content_length_n >= 0
        || r->headers_out.status == NGX_HTTP_NO_CONTENT
        || ngx_http_optcache_whole_chunked(u))
    {
        return 0;
    }

    if (closed && ngx_http_optcache_whole_tells(u)) {
        return 0;
    }

    /*
     * HTTP/1.0, or "Connection: close"; without, it may be HTTP/2, which says
     * itself when it has finished
     */

    return ngx_http_optcache_whole_module(u, "proxy")
           ? u->headers_in.connection_close
           : ngx_http_optcache_whole_closes(u);
}


/*
 * nginx takes off "chunked", which it finds anywhere in the field, and no other
 * coding, but passes the body on without the field.  With "gzip" left on, that
 * would be a body nobody can read; a coding that is not registered may mean
 * nothing (RFC 9112, 7 and 12.3), where the end of the connection counts at
 * all.  nginx since 1.23 answers 502 to all but "chunked".
 */

static ngx_uint_t
ngx_http_optcache_whole_decoded(ngx_http_upstream_t *u,
    ngx_http_optcache_capture_t *cap)
{
    ngx_http_optcache_codings_t  codings;

    if (ngx_mostly(u->headers_in.transfer_encoding == NULL)) {
        return 1;
    }

    ngx_memzero(&codings, sizeof(ngx_http_optcache_codings_t));

    ngx_http_optcache_response_each(&u->headers_in.headers,
                                    ngx_http_optcache_whole_codings, &codings);

    if (codings.left
        || codings.chunked != ngx_http_optcache_whole_chunked(u))
    {
        return 0;
    }

    if (!codings.unknown) {
        return 1;
    }

    /* RFC 9112, 6.3: the length that nginx went by does not count */

    return cap->close_delimited
           && (codings.chunked || cap->expected == -1);
}


/* uwsgi, SCGI and FastCGI leave the chunks of an application as they are. */

static ngx_uint_t
ngx_http_optcache_whole_chunked(ngx_http_upstream_t *u)
{
    return u->headers_in.chunked && ngx_http_optcache_whole_module(u, "proxy");
}


static void
ngx_http_optcache_whole_codings(ngx_table_elt_t *h, void *data)
{
    u_char     *p, *last;
    ngx_str_t   member;

    if (!ngx_http_optcache_response_is(h, "Transfer-Encoding")) {
        return;
    }

    p = h->value.data;
    last = p + h->value.len;

    while ((p = ngx_http_rfc9110_list_next(p, last, &member)) != NULL) {
        ngx_http_optcache_whole_coding(data, &member);
    }
}


/* RFC 9112, 7: codings are listed as they were put on, so chunked is last. */

static void
ngx_http_optcache_whole_coding(ngx_http_optcache_codings_t *codings,
    ngx_str_t *member)
{
    size_t       len;
    ngx_uint_t   i;

    static ngx_str_t  registered[] = {
        ngx_string("chunked"),
        ngx_string("gzip"),
        ngx_string("x-gzip"),
        ngx_string("deflate"),
        ngx_string("compress"),
        ngx_string("x-compress"),
        ngx_null_string
    };

    if (codings->chunked) {
        codings->left = 1;
        return;
    }

    /* parameters change nothing of what it is */

    for (len = 0; len < member->len; len++) {
        if (member->data[len] == ';'
            || member->data[len] == ' '
            || member->data[len] == '\t')
        {
            break;
        }
    }

    for (i = 0; registered[i].len; i++) {

        if (len != registered[i].len
            || ngx_strncasecmp(member->data, registered[i].data, len) != 0)
        {
            continue;
        }

        if (i == 0 && len == member->len) {
            codings->chunked = 1;

        } else {
            codings->left = 1;
        }

        return;
    }

    codings->unknown = 1;
}


/*
 * RFC 9112, 8: such a response is complete unless the connection says there was
 * an error.
 */

static ngx_uint_t
ngx_http_optcache_whole_closed(ngx_http_upstream_t *u)
{
    if (!ngx_http_optcache_whole_closes(u)
        || !ngx_http_optcache_whole_tells(u))
    {
        return 0;
    }

    if (u->buffering) {
        return u->pipe
               && u->pipe->upstream_eof
               && !u->pipe->upstream_error
               && u->pipe->length == -1;
    }

#if (NGX_HAVE_KQUEUE)

    if (ngx_event_flags & NGX_USE_KQUEUE_EVENT) {
        /* a reset is an end, too, and looks like one from here */
        return 0;
    }

#endif

    /*
     * The connection is gone, but nginx sends a last buffer only after an end
     * in order; after an error or a timeout it breaks off.
     */

    return u->length == -1;
}


/* Whether it has no other end than that of its connection. */

static ngx_uint_t
ngx_http_optcache_whole_closes(ngx_http_upstream_t *u)
{
    return ngx_http_optcache_whole_module(u, "proxy")
           || ngx_http_optcache_whole_module(u, "uwsgi")
           || ngx_http_optcache_whole_module(u, "scgi");
}


/*
 * Whether that end tells anything.  A length that is no number (RFC 9112, 6.3)
 * is an error.  Over TLS it takes a close_notify (RFC 9112, 9.8), but nginx
 * asks OpenSSL to take a bare end for one, so it cannot be told.
 */

static ngx_uint_t
ngx_http_optcache_whole_tells(ngx_http_upstream_t *u)
{
    return !u->ssl && u->headers_in.content_length == NULL;
}


static ngx_uint_t
ngx_http_optcache_whole_module(ngx_http_upstream_t *u, const char *name)
{
    return u->conf->module.len == ngx_strlen(name)
           && ngx_memcmp(u->conf->module.data, name, u->conf->module.len) == 0;
}
