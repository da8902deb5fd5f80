
/*
 * Copyright (C) The Optcache authors
 */


/*
 * ECDSA signatures as JOSE writes them: r and s, each as long as the order of
 * the curve (RFC 7518, 3.4), where OpenSSL wants them in DER.  Pure.
 */


#ifndef _NGX_TOKEN_ECDSA_H_INCLUDED_
#define _NGX_TOKEN_ECDSA_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_token_alg.h"


#define NGX_TOKEN_ECDSA_DER_MAX  (3 + 2 * (2 + 67))


/*
 * Writes the DER of a signature and sets der->len.
 * Returns NGX_OK, or NGX_DECLINED if the signature has not the exact length,
 * or if r or s is not within 1 .. n - 1.
 */

ngx_int_t ngx_token_ecdsa_der(ngx_token_alg_e alg, const ngx_str_t *signature,
    ngx_str_t *der);

/*
 * Writes (r, n - s), as long as the signature.  "alg" is the name of its
 * algorithm: of those above, or ES256K (RFC 8812), which others verify.
 * Returns NGX_OK; NGX_DECLINED for another name, and as above.
 */

ngx_int_t ngx_token_ecdsa_twin(const ngx_str_t *alg,
    const ngx_str_t *signature, u_char *twin);


#endif /* _NGX_TOKEN_ECDSA_H_INCLUDED_ */
