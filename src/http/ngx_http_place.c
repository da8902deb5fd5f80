
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_place.h"


typedef struct {
    const char  *module;
    const char  *directive;
} ngx_http_place_directive_t;


static ngx_uint_t ngx_http_place_here(ngx_conf_t *cf,
    const ngx_http_place_directive_t *d);
static ngx_uint_t ngx_http_place_guarded(ngx_conf_t *cf,
    ngx_http_place_t *place);
static ngx_uint_t ngx_http_place_any(ngx_conf_t *cf, ngx_http_place_t *place,
    const ngx_http_place_directive_t *d);
static ngx_uint_t ngx_http_place_told(ngx_conf_t *cf, ngx_http_place_t *place,
    ngx_module_t *module, const char *directive);
static ngx_uint_t ngx_http_place_on(void *conf, ngx_command_t *cmd);
static ngx_uint_t ngx_http_place_reached(ngx_conf_t *cf,
    ngx_http_core_srv_conf_t *cscf);
static ngx_uint_t ngx_http_place_addr_reached(ngx_http_conf_addr_t *addr,
    ngx_http_core_srv_conf_t *cscf);
static ngx_uint_t ngx_http_place_loopback(struct sockaddr *sa);
static ngx_uint_t ngx_http_place_whole(ngx_conf_t *cf, ngx_str_t *text);
static ngx_uint_t ngx_http_place_prefixed(ngx_conf_t *cf, ngx_str_t *text);
static ngx_uint_t ngx_http_place_ends(ngx_str_t *text, const char **words);
static ngx_uint_t ngx_http_place_letter(u_char c);


/*
 * Variables that tell who a request is of: as a word of its own, each is
 * hardly a name that somebody has thought of, as "status" or "http_api" is.
 */

static const char  *ngx_http_place_who[] = {
    "binary_remote_addr", "remote_addr", "realip_remote_addr",
    "proxy_protocol_addr", "proxy_add_x_forwarded_for", "ratelimit_redis_addr",
    "remote_user", "ssl_client_*", "ssl_session_id", "uid_got", "uid_set",
    "http_authorization", "http_cookie", "http_user_agent", "http_x_*",
    "cookie_*", "arg_*", "token_digest", "token_sub", "token_user",
    "token_claim_*", NULL
};


/* what those of "map" and the like end in that tell it */

static const char  *ngx_http_place_own_who[] = {
    "account", "client", "client_addr", "client_id", "customer", "ip", "key",
    "session", "session_id", "subject", "tenant", "tenant_id", "token", "uid",
    "user", "user_id", NULL
};


static const ngx_http_place_directive_t  ngx_http_place_users[] = {
    { "ngx_http_auth_basic_module", "auth_basic" },
    { "ngx_http_auth_request_module", "auth_request" },
    { "ngx_http_auth_jwt_module", "auth_jwt" },
    { "ngx_http_ssl_module", "ssl_verify_client" },
    { "ngx_http_ratelimit_redis_module", "token_required" },
    { "ngx_http_ratelimit_redis_module", "token_jwt_keys" },
    { NULL, NULL }
};


static const ngx_http_place_directive_t  ngx_http_place_keys[] = {
    { "ngx_http_ratelimit_redis_module", "token_jwt_keys" },
    { NULL, NULL }
};


static const ngx_http_place_directive_t  ngx_http_place_answers[] = {
    { "ngx_http_optcache_module", "optcache_api" },
    { "ngx_http_ratelimit_redis_module", "ratelimit_redis_api" },
    { "ngx_http_ratelimit_redis_module", "token_revoke" },
    { NULL, NULL }
};


static const ngx_http_place_directive_t  ngx_http_place_files[] = {
    { "ngx_http_try_files_module", "try_files" },
    { NULL, NULL }
};


static const ngx_http_place_directive_t  ngx_http_place_additions[] = {
    { "ngx_http_addition_filter_module", "add_before_body" },
    { "ngx_http_addition_filter_module", "add_after_body" },
    { "ngx_http_echo_module", "echo_before_body" },
    { "ngx_http_echo_module", "echo_after_body" },
    { NULL, NULL }
};


static const ngx_http_place_directive_t  ngx_http_place_addresses[] = {
    { "ngx_http_access_module", "allow" },
    { NULL, NULL }
};


ngx_int_t
ngx_http_place_add(ngx_conf_t *cf, ngx_array_t *places,
    ngx_http_line_t *line)
{
    ngx_http_place_t          *place;
    ngx_http_conf_ctx_t       *ctx;
    ngx_http_core_loc_conf_t  *clcf;

    ctx = cf->ctx;
    clcf = ctx->loc_conf[ngx_http_core_module.ctx_index];

    if (clcf->noname) {
        return NGX_OK;
    }

    place = ngx_array_push(places);
    if (place == NULL) {
        return NGX_ERROR;
    }

    place->loc_conf = ctx->loc_conf;
    place->srv_conf = ctx->srv_conf;
    place->line = line;

    return NGX_OK;
}


ngx_uint_t
ngx_http_place_own(ngx_conf_t *cf)
{
    return ngx_http_place_here(cf, ngx_http_place_answers);
}


ngx_uint_t
ngx_http_place_tries(ngx_conf_t *cf)
{
    return ngx_http_place_here(cf, ngx_http_place_files);
}


ngx_uint_t
ngx_http_place_adds(ngx_conf_t *cf)
{
    return ngx_http_place_here(cf, ngx_http_place_additions);
}


/* In the location that is being merged. */

static ngx_uint_t
ngx_http_place_here(ngx_conf_t *cf, const ngx_http_place_directive_t *d)
{
    ngx_http_place_t      place;
    ngx_http_conf_ctx_t  *ctx;

    ctx = cf->ctx;

    place.loc_conf = ctx->loc_conf;
    place.srv_conf = ctx->srv_conf;

    return ngx_http_place_any(cf, &place, d);
}


ngx_uint_t
ngx_http_place_authenticated(ngx_conf_t *cf, ngx_http_place_t *place)
{
    return ngx_http_place_any(cf, place, ngx_http_place_users);
}


ngx_uint_t
ngx_http_place_verified(ngx_conf_t *cf, ngx_http_place_t *place)
{
    return ngx_http_place_any(cf, place, ngx_http_place_keys);
}


ngx_uint_t
ngx_http_place_open(ngx_conf_t *cf, ngx_http_place_t *place)
{
    ngx_http_place_t           writes;
    ngx_http_core_loc_conf_t  *clcf;

    clcf = place->loc_conf[ngx_http_core_module.ctx_index];

    writes.srv_conf = place->srv_conf;
    writes.loc_conf = clcf->limit_except ? clcf->limit_except_loc_conf
                                         : place->loc_conf;

    return !clcf->internal
           && !ngx_http_place_guarded(cf, place)
           && !ngx_http_place_guarded(cf, &writes)
           && ngx_http_place_reached(cf,
                           place->srv_conf[ngx_http_core_module.ctx_index]);
}


static ngx_uint_t
ngx_http_place_guarded(ngx_conf_t *cf, ngx_http_place_t *place)
{
    return ngx_http_place_any(cf, place, ngx_http_place_users)
           || ngx_http_place_any(cf, place, ngx_http_place_addresses);
}


ngx_str_t *
ngx_http_place_name(ngx_http_place_t *place)
{
    ngx_http_core_loc_conf_t  *clcf;

    clcf = place->loc_conf[ngx_http_core_module.ctx_index];

    return &clcf->name;
}


static ngx_uint_t
ngx_http_place_any(ngx_conf_t *cf, ngx_http_place_t *place,
    const ngx_http_place_directive_t *d)
{
    ngx_uint_t      i;
    ngx_module_t  **modules;

    modules = cf->cycle->modules;

    for ( /* void */ ; d->module; d++) {

        for (i = 0; modules[i]; i++) {

            if (ngx_strcmp(modules[i]->name, d->module) == 0
                && ngx_http_place_told(cf, place, modules[i], d->directive))
            {
                return 1;
            }
        }
    }

    return 0;
}


static ngx_uint_t
ngx_http_place_told(ngx_conf_t *cf, ngx_http_place_t *place,
    ngx_module_t *module, const char *directive)
{
    void           **confs;
    ngx_command_t   *cmd;

    for (cmd = module->commands; cmd && cmd->name.len; cmd++) {

        if (ngx_strcmp(cmd->name.data, directive) != 0) {
            continue;
        }

        if (cmd->conf == NGX_HTTP_LOC_CONF_OFFSET) {
            confs = place->loc_conf;

        } else if (cmd->conf == NGX_HTTP_SRV_CONF_OFFSET) {
            confs = place->srv_conf;

        } else {
            return 0;
        }

        return confs[module->ctx_index] != NULL
               && ngx_http_place_on(confs[module->ctx_index], cmd);
    }

    return 0;
}


static ngx_uint_t
ngx_http_place_on(void *conf, ngx_command_t *cmd)
{
    uintptr_t                  word;
    ngx_http_complex_value_t  *value;

    ngx_memcpy(&word, (u_char *) conf + cmd->offset, sizeof(uintptr_t));

    if (word == 0 || word == (uintptr_t) NGX_CONF_UNSET) {
        return 0;
    }

    if (cmd->set != ngx_http_set_complex_value_slot) {
        return 1;
    }

    value = (ngx_http_complex_value_t *) word;

    return value->lengths != NULL
           || value->value.len != 3
           || ngx_strncmp(value->value.data, "off", 3) != 0;
}


static ngx_uint_t
ngx_http_place_reached(ngx_conf_t *cf, ngx_http_core_srv_conf_t *cscf)
{
    ngx_uint_t                  i, j;
    ngx_http_conf_addr_t       *addr;
    ngx_http_conf_port_t       *port;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    if (cmcf->ports == NULL) {
        return 0;
    }

    port = cmcf->ports->elts;

    for (i = 0; i < cmcf->ports->nelts; i++) {
        addr = port[i].addrs.elts;

        for (j = 0; j < port[i].addrs.nelts; j++) {
            if (ngx_http_place_addr_reached(&addr[j], cscf)) {
                return 1;
            }
        }
    }

    return 0;
}


static ngx_uint_t
ngx_http_place_addr_reached(ngx_http_conf_addr_t *addr,
    ngx_http_core_srv_conf_t *cscf)
{
    ngx_uint_t                  i;
    ngx_http_core_srv_conf_t  **server;

    if (ngx_http_place_loopback(addr->opt.sockaddr)) {
        return 0;
    }

    server = addr->servers.elts;

    for (i = 0; i < addr->servers.nelts; i++) {
        if (server[i] == cscf) {
            return 1;
        }
    }

    return 0;
}


static ngx_uint_t
ngx_http_place_loopback(struct sockaddr *sa)
{
    struct sockaddr_in   *sin;
#if (NGX_HAVE_INET6)
    struct sockaddr_in6  *sin6;
#endif

    switch (sa->sa_family) {

    case AF_INET:
        sin = (struct sockaddr_in *) sa;
        return (ntohl(sin->sin_addr.s_addr) >> 24) == 127;

#if (NGX_HAVE_INET6)
    case AF_INET6:
        sin6 = (struct sockaddr_in6 *) sa;
        return IN6_IS_ADDR_LOOPBACK(&sin6->sin6_addr) != 0;
#endif

    default: /* AF_UNIX */
        return 1;
    }
}


ngx_int_t
ngx_http_place_variable(ngx_str_t *text, size_t *pos, ngx_str_t *name)
{
    u_char      *p, *last;
    ngx_uint_t   brace;

    p = text->data + *pos;
    last = text->data + text->len;

    while (p < last && *p != '$') {
        p++;
    }

    if (p == last) {
        return NGX_DONE;
    }

    p++;
    brace = (p < last && *p == '{');

    if (brace) {
        p++;
    }

    name->data = p;

    while (p < last && ngx_http_place_letter(*p)) {
        p++;
    }

    name->len = p - name->data;
    *pos = p - text->data;

    return NGX_OK;
}


ngx_uint_t
ngx_http_place_cut(ngx_str_t *text, ngx_str_t *name, ngx_str_t *rest)
{
    u_char  *p, *last;
    size_t   pos;

    static const char  *sent[] = { "cookie_*", "http_*", "arg_*", NULL };

    pos = 0;
    last = text->data + text->len;

    while (ngx_http_place_variable(text, &pos, name) == NGX_OK) {

        p = text->data + pos;

        if (last - p < 2
            || (*p != '.' && *p != '-')
            || !ngx_http_place_letter(p[1])
            || !ngx_http_place_listed(name, sent))
        {
            continue;
        }

        rest->data = p;

        while (p < last
               && (ngx_http_place_letter(*p) || *p == '.' || *p == '-'))
        {
            p++;
        }

        rest->len = p - rest->data;

        return 1;
    }

    return 0;
}


ngx_uint_t
ngx_http_place_bare(ngx_conf_t *cf, ngx_str_t *text)
{
    size_t      n;
    ngx_uint_t  whole;

    for (n = 0; n < text->len; n++) {
        if (!ngx_http_place_letter(text->data[n])) {
            return 0;
        }
    }

    whole = ngx_http_place_whole(cf, text);

    if (whole && ngx_http_place_ends(text, ngx_http_place_own_who)) {
        return 1;
    }

    return (whole || ngx_http_place_prefixed(cf, text))
           && ngx_http_place_listed(text, ngx_http_place_who);
}


/* A variable that a module or a directive above has given this name. */

static ngx_uint_t
ngx_http_place_whole(ngx_conf_t *cf, ngx_str_t *text)
{
    ngx_uint_t                  i;
    ngx_hash_key_t             *key;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    key = cmcf->variables_keys->keys.elts;

    for (i = 0; i < cmcf->variables_keys->keys.nelts; i++) {

        if (key[i].key.len == text->len
            && ngx_strncasecmp(key[i].key.data, text->data, text->len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


/* One of many, as "http_x_api_key"; "http_" alone is none. */

static ngx_uint_t
ngx_http_place_prefixed(ngx_conf_t *cf, ngx_str_t *text)
{
    ngx_str_t                  *name;
    ngx_uint_t                  i;
    ngx_http_variable_t        *prefix;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    prefix = cmcf->prefix_variables.elts;

    for (i = 0; i < cmcf->prefix_variables.nelts; i++) {
        name = &prefix[i].name;

        if (text->len > name->len
            && ngx_strncasecmp(name->data, text->data, name->len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


/* 1 if it is one of these words, or ends in "_" and one of them. */

static ngx_uint_t
ngx_http_place_ends(ngx_str_t *text, const char **words)
{
    size_t   len;
    u_char  *end;

    for ( /* void */ ; *words; words++) {
        len = ngx_strlen(*words);

        if (text->len < len) {
            continue;
        }

        end = text->data + text->len - len;

        if (ngx_strncasecmp(end, (u_char *) *words, len) == 0
            && (end == text->data || end[-1] == '_'))
        {
            return 1;
        }
    }

    return 0;
}


static ngx_uint_t
ngx_http_place_letter(u_char c)
{
    return c == '_' || (c >= '0' && c <= '9')
           || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}


ngx_uint_t
ngx_http_place_listed(ngx_str_t *name, const char **words)
{
    size_t  len;

    for ( /* void */ ; *words; words++) {
        len = ngx_strlen(*words);

        if ((*words)[len - 1] == '*') {
            len--;

        } else if (len != name->len) {
            continue;
        }

        if (name->len >= len
            && ngx_strncasecmp(name->data, (u_char *) *words, len) == 0)
        {
            return 1;
        }
    }

    return 0;
}
