
/*
 * Copyright (C) The Optcache authors
 */


#ifndef _NGX_OPTCACHE_KEY_H_INCLUDED_
#define _NGX_OPTCACHE_KEY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#define NGX_OPTCACHE_DIGEST_LEN  32
#define NGX_OPTCACHE_SOURCE_LEN  8

/* what the identity of a user's request has more than a shared one */
#define NGX_OPTCACHE_USER_LEN                                                 \
    (NGX_OPTCACHE_DIGEST_LEN + NGX_OPTCACHE_SOURCE_LEN)

/* longer identities are not cached */
#define NGX_OPTCACHE_KEY_MAX     65535


/*
 * The identity of an entry, compared whole wherever an entry is looked up:
 *
 *     's'                         the shared partition, or
 *     'u' SHA-256(user) source(8) the partition of one user: what the user is,
 *                                 and by which optcache_user
 *     'm'                         a request of a client, or
 *     'i' length(4) uri           one that was rewritten or redirected within
 *                                 nginx: where it has come to, or
 *     'r' length(4) uri           a subrequest: its URI and arguments, or
 *     'h' length(4) uri           one that wants the header only, as those of
 *                                 auth_request do: its entry has no body, or
 *     'p' length(4) body uri      a POST, by what its body is: the digest, the
 *                                 type and the coding; then as for 'i', or
 *                                 nothing
 *     'q' length(4) rule          one whose query is compared by this rule
 *                                 (No-Vary-Search), or
 *     'n' length(4)               no response, but that rule
 *     key                         optcache_key as it was evaluated
 *
 * Each part is of a length known beforehand or stated, so that no two
 * different requests make the same bytes.
 */

typedef enum {
    NGX_OPTCACHE_KEY_MAIN = 'm',
    NGX_OPTCACHE_KEY_INTERNAL = 'i',
    NGX_OPTCACHE_KEY_SUBREQUEST = 'r',
    NGX_OPTCACHE_KEY_HEADER = 'h',
    NGX_OPTCACHE_KEY_POST = 'p',
    NGX_OPTCACHE_KEY_SEARCH = 'q',
    NGX_OPTCACHE_KEY_RULE = 'n'
} ngx_optcache_key_kind_e;


typedef struct {
    ngx_str_t                 identity;
    unsigned                  shared:1;
} ngx_optcache_key_t;


/*
 * A user, and the first bytes of the SHA-256 of the text of the directive that
 * tells who it is: what a client writes into a cookie in one server may be a
 * name for which another one has asked for a password.
 */

typedef struct {
    ngx_str_t                 value;
    u_char                   *source;   /* NGX_OPTCACHE_SOURCE_LEN bytes */
} ngx_optcache_user_t;


/*
 * Makes the identity in "pool".  "user" empty: the shared partition; it
 * enters as its SHA-256 and is kept nowhere.  "uri" is where a request has
 * come to: $request_uri does not tell a subrequest from its parent, nor who
 * was refused and sent to another page from who was let in.  It is not looked
 * at for NGX_OPTCACHE_KEY_MAIN.
 *
 * Returns NGX_OK, NGX_DECLINED when the identity is longer than
 * NGX_OPTCACHE_KEY_MAX bytes, NGX_ERROR when out of memory.
 */

ngx_int_t ngx_optcache_key_create(ngx_pool_t *pool, ngx_optcache_user_t *user,
    ngx_optcache_key_kind_e kind, ngx_str_t *uri, ngx_str_t *value,
    ngx_optcache_key_t *key);

/* The same for a value that is in "n" parts. */

ngx_int_t ngx_optcache_key_join(ngx_pool_t *pool, ngx_optcache_user_t *user,
    ngx_optcache_key_kind_e kind, ngx_str_t *uri, ngx_str_t *parts,
    ngx_uint_t n, ngx_optcache_key_t *key);

/*
 * Makes the key of a user, in place, that of the same request in the shared
 * partition; what the identity was is left as it is.  NGX_ERROR when out of
 * memory.
 */

ngx_int_t ngx_optcache_key_share(ngx_pool_t *pool, ngx_optcache_key_t *key);

/*
 * The SHA-256 of the user whose partition an identity is of, NULL: the shared
 * one.  Also of one that Vary has made (ngx_http_optcache_vary.h).
 */

u_char *ngx_optcache_key_user(ngx_str_t *identity);

/*
 * Whether an identity, or one that Vary has made of it, is of several URIs
 * between which there is no difference: of kind NGX_OPTCACHE_KEY_SEARCH.
 */

ngx_uint_t ngx_optcache_key_searched(ngx_str_t *identity);

/*
 * The name of an entry in Redis: prefix, zone, ":" and the SHA-256 of the
 * identity in hex.  Allocated from "pool"; NGX_ERROR when out of memory.
 */

ngx_int_t ngx_optcache_key_name(ngx_pool_t *pool, ngx_str_t *prefix,
    ngx_str_t *zone, ngx_optcache_key_t *key, ngx_str_t *name);


#endif /* _NGX_OPTCACHE_KEY_H_INCLUDED_ */
