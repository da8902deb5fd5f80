
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_limiter_local.h"
#include "ngx_token_digest.h"
#include "ngx_token_revocation.h"


/* seconds between two lines of the log about it */
#define NGX_TOKEN_REVOCATION_FULL  60


typedef struct {
    uint64_t                  until;
    uint64_t                  before;
} ngx_token_revoked_t;


/*
 * A token that was revoked for longer, by an application or for ever, stays
 * so: whoever has it must not shorten that by a logout.
 */

static u_char  ngx_token_revocation_script[] =
    "local t = redis.call('PTTL', KEYS[1])\n"
    "\n"
    "if t == -1 or t > ARGV[1] * 1000 then\n"
    "  return redis.status_reply('OK')\n"
    "end\n"
    "\n"
    "return redis.call('SET', KEYS[1], '1', 'EX', ARGV[1])\n";


/*
 * Of two times the later one counts, and of two lives the longer one.  What is
 * no time refuses all, see ngx_token_revocation_value(), and stays.
 */

static u_char  ngx_token_revocation_since_script[] =
    "local since, ttl = ARGV[2], ARGV[1] * 1000\n"
    "local left = redis.call('PTTL', KEYS[1])\n"
    "local old = redis.pcall('GET', KEYS[1])\n"
    "\n"
    "if type(old) == 'string'\n"
    "   and (not string.match(old, '^%d+$')\n"
    "        or tonumber(old) > tonumber(since))\n"
    "then\n"
    "  since = old\n"
    "end\n"
    "\n"
    "if left == -1 then\n"
    "  return redis.call('SET', KEYS[1], since)\n"
    "end\n"
    "\n"
    "return redis.call('SET', KEYS[1], since, 'PX',\n"
    "                  string.format('%.0f', math.max(ttl, left)))\n";


static void ngx_token_revocation_remember(ngx_token_revocation_t *revocation);
static void ngx_token_revocation_full(ngx_token_revocation_t *revocation);
static void ngx_token_revocation_slot(ngx_str_t *slot, u_char *buf,
    const u_char *digest, ngx_uint_t since);


ngx_int_t
ngx_token_revocation_revoke(ngx_token_revocation_t *revocation)
{
    u_char      ttl[NGX_TIME_T_LEN], before[NGX_TIME_T_LEN];
    ngx_str_t   argv[6];
    ngx_uint_t  i, argc;

    ngx_token_revocation_begin(revocation, 1);

    ngx_token_revocation_remember(revocation);

    if (revocation->client == NULL) {
        return NGX_OK;
    }

    ngx_str_set(&argv[0], "EVAL");
    ngx_str_set(&argv[1], ngx_token_revocation_script);
    ngx_str_set(&argv[2], "1");

    argv[4].data = ttl;
    argv[4].len = ngx_sprintf(ttl, "%T", revocation->ttl) - ttl;
    argc = 5;

    if (revocation->before) {
        ngx_str_set(&argv[1], ngx_token_revocation_since_script);

        argv[5].data = before;
        argv[5].len = ngx_sprintf(before, "%T", revocation->before) - before;
        argc = 6;
    }

    for (i = 0; i < revocation->nkeys; i++) {
        argv[3] = revocation->keys[i];

        if (ngx_token_revocation_send(revocation, i, NULL, argc, argv)
            != NGX_OK)
        {
            return NGX_OK;
        }
    }

    return revocation->pending ? NGX_AGAIN : NGX_OK;
}


static void
ngx_token_revocation_remember(ngx_token_revocation_t *revocation)
{
    u_char                digest[NGX_TOKEN_DIGEST], buf[1 + NGX_TOKEN_DIGEST];
    uint64_t              end, evicted;
    ngx_str_t             slot;
    ngx_uint_t            i;
    ngx_token_zone_t     *zone;
    ngx_token_revoked_t  *revoked;

    zone = revocation->zone;
    end = ngx_limiter_local_now() + (uint64_t) revocation->ttl * 1000;

    for (i = 0; i < revocation->nkeys; i++) {

        ngx_token_digest(&revocation->keys[i], digest);
        ngx_token_revocation_slot(&slot, buf, digest, revocation->before != 0);

        ngx_shmtx_lock(&zone->shpool->mutex);

        evicted = zone->table->evicted;

        revoked = ngx_limiter_table_insert(zone->table, &slot);

        revoked->until = ngx_max(revoked->until, end);
        revoked->before = ngx_max(revoked->before,
                                  (uint64_t) revocation->before);

        if (revocation->watch) {
            ngx_token_watch_forget(revocation->watch, digest);
        }

        evicted = zone->table->evicted - evicted;

        ngx_shmtx_unlock(&zone->shpool->mutex);

        if (revocation->postgres) {
            ngx_token_postgres_revoke(revocation->postgres,
                                      &revocation->keys[i], end,
                                      revocation->before);
        }

        if (evicted && revocation->client == NULL) {
            ngx_token_revocation_full(revocation);
        }
    }
}


/* It stays full: to be said now and then, by each worker. */

static void
ngx_token_revocation_full(ngx_token_revocation_t *revocation)
{
    static time_t  logged;

    if (logged && ngx_time() - logged < NGX_TOKEN_REVOCATION_FULL) {
        return;
    }

    logged = ngx_time();

    ngx_log_error(NGX_LOG_WARN, revocation->log, 0,
                  "token_zone is full, the oldest revocations are forgotten");
}


ngx_uint_t
ngx_token_revocation_before(ngx_token_revocation_t *revocation,
    const u_char *digest)
{
    u_char                buf[1 + NGX_TOKEN_DIGEST];
    uint64_t              before;
    ngx_str_t             slot;
    ngx_token_zone_t     *zone;
    ngx_token_revoked_t  *revoked;

    zone = revocation->zone;
    before = 0;

    ngx_token_revocation_slot(&slot, buf, digest, 1);

    ngx_shmtx_lock(&zone->shpool->mutex);

    revoked = ngx_limiter_table_lookup(zone->table, &slot);

    if (revoked && revoked->until > ngx_limiter_local_now()) {
        before = revoked->before;

    } else if (revoked) {
        ngx_limiter_table_remove(zone->table, &slot);
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);

    return before
           && (revocation->issued <= 0
               || (uint64_t) revocation->issued < before);
}


static void
ngx_token_revocation_slot(ngx_str_t *slot, u_char *buf, const u_char *digest,
    ngx_uint_t since)
{
    buf[0] = 's';
    ngx_memcpy(&buf[1], digest, NGX_TOKEN_DIGEST);

    slot->data = since ? buf : &buf[1];
    slot->len = since ? 1 + NGX_TOKEN_DIGEST : NGX_TOKEN_DIGEST;
}
