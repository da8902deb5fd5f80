
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_optcache_key.h"
#include "ngx_rare.h"
#include "ngx_sha256.h"
#include "ngx_text.h"


/* what is before the identity in that of one of several responses: 'v' ... */

#define NGX_OPTCACHE_KEY_VARY  (1 + 8 + sizeof(uint32_t))


static u_char *ngx_optcache_key_base(ngx_str_t *identity);


ngx_int_t
ngx_optcache_key_create(ngx_pool_t *pool, ngx_optcache_user_t *user,
    ngx_optcache_key_kind_e kind, ngx_str_t *uri, ngx_str_t *value,
    ngx_optcache_key_t *key)
{
    return ngx_optcache_key_join(pool, user, kind, uri, value, 1, key);
}


ngx_often ngx_int_t
ngx_optcache_key_join(ngx_pool_t *pool, ngx_optcache_user_t *user,
    ngx_optcache_key_kind_e kind, ngx_str_t *uri, ngx_str_t *parts,
    ngx_uint_t n, ngx_optcache_key_t *key)
{
    size_t       len;
    u_char      *p;
    ngx_uint_t   i;

    len = 2;

    for (i = 0; i < n; i++) {
        len += parts[i].len;
    }

    if (user->value.len) {
        len += NGX_OPTCACHE_USER_LEN;
    }

    if (kind != NGX_OPTCACHE_KEY_MAIN) {
        len += sizeof(uint32_t) + uri->len;
    }

    if (len > NGX_OPTCACHE_KEY_MAX) {
        return NGX_DECLINED;
    }

    p = ngx_pnalloc(pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    key->identity.data = p;
    key->identity.len = len;
    key->shared = (user->value.len == 0);

    if (key->shared) {
        *p++ = 's';

    } else {
        *p++ = 'u';
        ngx_sha256(&user->value, p);
        p = ngx_cpymem(p + NGX_OPTCACHE_DIGEST_LEN, user->source,
                       NGX_OPTCACHE_SOURCE_LEN);
    }

    *p++ = (u_char) kind;

    if (kind != NGX_OPTCACHE_KEY_MAIN) {
        *p++ = (u_char) uri->len;
        *p++ = (u_char) (uri->len >> 8);
        *p++ = (u_char) (uri->len >> 16);
        *p++ = (u_char) (uri->len >> 24);
        p = ngx_text_copy(p, uri);
    }

    for (i = 0; i < n; i++) {
        p = ngx_text_copy(p, &parts[i]);
    }

    return NGX_OK;
}


ngx_int_t
ngx_optcache_key_share(ngx_pool_t *pool, ngx_optcache_key_t *key)
{
    u_char     *p;
    ngx_str_t   own;

    if (key->shared) {
        return NGX_OK;
    }

    own = key->identity;

    p = ngx_pnalloc(pool, own.len - NGX_OPTCACHE_USER_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    key->identity.data = p;
    key->identity.len = own.len - NGX_OPTCACHE_USER_LEN;
    key->shared = 1;

    *p++ = 's';
    ngx_memcpy(p, own.data + 1 + NGX_OPTCACHE_USER_LEN,
               key->identity.len - 1);

    return NGX_OK;
}


u_char *
ngx_optcache_key_user(ngx_str_t *identity)
{
    u_char  *p, *last;

    last = identity->data + identity->len;
    p = ngx_optcache_key_base(identity);

    return (last - p > NGX_OPTCACHE_USER_LEN && *p == 'u') ? p + 1 : NULL;
}


ngx_uint_t
ngx_optcache_key_searched(ngx_str_t *identity)
{
    u_char  *p, *last;

    last = identity->data + identity->len;
    p = ngx_optcache_key_user(identity);

    if (p) {
        p += NGX_OPTCACHE_USER_LEN;
        return p < last && *p == NGX_OPTCACHE_KEY_SEARCH;
    }

    p = ngx_optcache_key_base(identity);

    return last - p > 1 && p[1] == NGX_OPTCACHE_KEY_SEARCH;
}


/* Behind what Vary has put before it. */

static u_char *
ngx_optcache_key_base(ngx_str_t *identity)
{
    if (identity->len == 0 || *identity->data != 'v') {
        return identity->data;
    }

    return identity->data + ngx_min(NGX_OPTCACHE_KEY_VARY, identity->len);
}


ngx_int_t
ngx_optcache_key_name(ngx_pool_t *pool, ngx_str_t *prefix, ngx_str_t *zone,
    ngx_optcache_key_t *key, ngx_str_t *name)
{
    u_char  *p, digest[NGX_OPTCACHE_DIGEST_LEN];

    p = ngx_pnalloc(pool, prefix->len + zone->len + 1
                          + 2 * NGX_OPTCACHE_DIGEST_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    name->data = p;

    p = ngx_cpymem(p, prefix->data, prefix->len);
    p = ngx_cpymem(p, zone->data, zone->len);
    *p++ = ':';

    ngx_sha256(&key->identity, digest);
    p = ngx_hex_dump(p, digest, NGX_OPTCACHE_DIGEST_LEN);

    name->len = p - name->data;

    return NGX_OK;
}
