
/*
 * Copyright (C) The Optcache authors
 */


/*
 * The commands of a lease.  Each is a script of one key, so that who has it is
 * compared where it is changed; they are short, and are sent whole: a server
 * that was restarted or flushed knows them as well as any other.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <openssl/rand.h>

#include "ngx_http_optcache.h"
#include "ngx_http_optcache_lease.h"


static ngx_redis_command_t *ngx_http_optcache_lease_eval(
    ngx_redis_client_t *client, ngx_str_t *script, ngx_str_t *name,
    u_char *token, ngx_msec_t time,
    ngx_uint_t large, ngx_redis_reply_pt handler, void *data);
static void ngx_http_optcache_lease_ended_handler(void *data,
    ngx_redis_result_e result, redisReply *reply);


static ngx_str_t  ngx_http_optcache_lease_take_script = ngx_string(
    "if redis.call('set',KEYS[1],ARGV[1],'NX','PX',ARGV[2]) then return 0 end "
    "if redis.call('get',KEYS[1])=='u' then return -1 end "
    "return math.max(redis.call('pttl',KEYS[1]),1)"
);

static ngx_str_t  ngx_http_optcache_lease_renew_script = ngx_string(
    "if redis.call('get',KEYS[1])~=ARGV[1] then return 0 end "
    "return redis.call('pexpire',KEYS[1],ARGV[2])"
);

static ngx_str_t  ngx_http_optcache_lease_end_script = ngx_string(
    "if redis.call('get',KEYS[1])~=ARGV[1] then return 0 end "
    "if ARGV[2]=='0' then return redis.call('del',KEYS[1]) end "
    "redis.call('set',KEYS[1],'u','PX',ARGV[2]) return 1"
);


ngx_int_t
ngx_http_optcache_lease_name(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_str_t *name)
{
    u_char                         *p;
    ngx_str_t                       entry;
    ngx_http_optcache_main_conf_t  *omcf;

    omcf = ngx_http_get_module_main_conf(r, ngx_http_optcache_module);

    if (ngx_optcache_key_name(r->pool, &omcf->prefix, &ctx->zone->name,
                              &ctx->key, &entry)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    name->len = omcf->watch->prefix.len + entry.len + 1;
    name->data = ngx_pnalloc(r->pool, name->len);

    if (name->data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(name->data, omcf->watch->prefix.data,
                   omcf->watch->prefix.len);
    p = ngx_cpymem(p, entry.data, entry.len);
    *p = '}';

    return NGX_OK;
}


ngx_int_t
ngx_http_optcache_lease_token(u_char *token)
{
    u_char  bytes[NGX_HTTP_OPTCACHE_LEASE_TOKEN / 2];

    if (RAND_bytes(bytes, sizeof(bytes)) != 1) {
        return NGX_ERROR;
    }

    (void) ngx_hex_dump(token, bytes, sizeof(bytes));

    return NGX_OK;
}


ngx_redis_command_t *
ngx_http_optcache_lease_take(ngx_redis_client_t *client, ngx_str_t *name,
    u_char *token, ngx_redis_reply_pt handler, void *data)
{
    return ngx_http_optcache_lease_eval(client,
                                        &ngx_http_optcache_lease_take_script,
                                        name, token,
                                        NGX_HTTP_OPTCACHE_LEASE_TIME, 0,
                                        handler, data);
}


ngx_redis_command_t *
ngx_http_optcache_lease_renew(ngx_redis_client_t *client, ngx_str_t *name,
    u_char *token, ngx_redis_reply_pt handler, void *data)
{
    return ngx_http_optcache_lease_eval(client,
                                        &ngx_http_optcache_lease_renew_script,
                                        name, token,
                                        NGX_HTTP_OPTCACHE_LEASE_TIME, 0,
                                        handler, data);
}


void
ngx_http_optcache_lease_end(ngx_redis_client_t *client, ngx_str_t *name,
    u_char *token, ngx_msec_t uncacheable, ngx_uint_t large)
{
    /* with a handler, a worker that is to exit stays until it is sent */

    (void) ngx_http_optcache_lease_eval(client,
                                        &ngx_http_optcache_lease_end_script,
                                        name, token, uncacheable, large,
                                        ngx_http_optcache_lease_ended_handler,
                                        NULL);
}


static ngx_redis_command_t *
ngx_http_optcache_lease_eval(ngx_redis_client_t *client, ngx_str_t *script,
    ngx_str_t *name, u_char *token, ngx_msec_t time, ngx_uint_t large,
    ngx_redis_reply_pt handler, void *data)
{
    u_char                buf[NGX_INT64_LEN];
    ngx_str_t             argv[6];
    ngx_redis_command_t  *cmd;

    ngx_str_set(&argv[0], "EVAL");
    argv[1] = *script;
    ngx_str_set(&argv[2], "1");
    argv[3] = *name;
    argv[4].data = token;
    argv[4].len = NGX_HTTP_OPTCACHE_LEASE_TOKEN;
    argv[5].data = buf;
    argv[5].len = ngx_sprintf(buf, "%M", time) - buf;

    cmd = large ? ngx_redis_client_send_large(client, 6, argv, 3, handler,
                                              data)
                : NULL;

    /* where there is no room for more, what was stored is not told of either */

    return cmd ? cmd : ngx_redis_client_send(client, 6, argv, 3, handler,
                                             data);
}


static void
ngx_http_optcache_lease_ended_handler(void *data, ngx_redis_result_e result,
    redisReply *reply)
{
    /* a lease that was not ended ends by itself */
}
