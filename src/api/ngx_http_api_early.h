
/*
 * Copyright (C) The Optcache authors
 */


/*
 * Whether a request may be somebody's copy of one that was sent before.
 *
 * What a client of TLS 1.3 or QUIC sends in early data, before the handshake is
 * complete, may be recorded and sent again by whoever sees it, as often as the
 * ticket lives: nothing tells the copy from the client's own.  RFC 8470, 3: who
 * answers it has to wait, to refuse or to know that it does no harm.
 */


#ifndef _NGX_HTTP_API_EARLY_H_INCLUDED_
#define _NGX_HTTP_API_EARLY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/*
 * Returns 1 if the handshake of the client's connection is not complete yet, or
 * if a proxy in front says so of its own by an Early-Data field, whatever the
 * value of that (RFC 8470, 5.1); else 0.
 */

ngx_uint_t ngx_http_api_early(ngx_http_request_t *r);

/*
 * Refuses it by 425 (RFC 8470, 5.2), after which the client sends it again when
 * the handshake is complete.  Returns as ngx_http_api_problem() does.
 */

ngx_int_t ngx_http_api_early_refuse(ngx_http_request_t *r);


#endif /* _NGX_HTTP_API_EARLY_H_INCLUDED_ */
