
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_pgsql_result.h"
#include "ngx_redis_reply.h"
#include "ngx_token_refill.h"


#define NGX_TOKEN_REFILL_LIFE  "60000"   /* ms */

/* EVAL, the script, two numbers; the progress */
#define NGX_TOKEN_REFILL_ARGS  (3 + 1 + 1 + 3 * NGX_TOKEN_REFILL_ROWS)


typedef struct {
    ngx_str_t   key;
    ngx_str_t   value;
    ngx_str_t   ttl;
} ngx_token_refill_row_t;


/*
 * KEYS: of n rows, then that of the progress, or none; ARGV: n, then a value
 * and a time to live in ms for each.  A second is added: clocks drift, and
 * what is written again should find that there is nothing to do.
 *
 * Of two times the later one counts.  What is no number refuses all, and
 * stays.
 */

static u_char  ngx_token_refill_script[] =
    "local n = tonumber(ARGV[1])\n"
    "\n"
    "if #KEYS > n\n"
    "   and redis.call('PEXPIRE', KEYS[n + 1], '" NGX_TOKEN_REFILL_LIFE "')"
    " == 0\n"
    "then\n"
    "  return 0\n"
    "end\n"
    "\n"
    "for i = 1, n do\n"
    "  local key, value = KEYS[i], ARGV[2 * i]\n"
    "  local ttl = tonumber(ARGV[2 * i + 1])\n"
    "  local left = redis.call('PTTL', key)\n"
    "  local life = string.format('%.0f', math.max(ttl + 1000, left))\n"
    "\n"
    "  if left == -2 then\n"
    "    redis.call('SET', key, value, 'PX', life)\n"
    "  else\n"
    "    local old = redis.call('TYPE', key).ok == 'string'\n"
    "                and tonumber(redis.call('GET', key))\n"
    "\n"
    "    if old and old < tonumber(value) then\n"
    "      redis.call('SET', key, value)\n"
    "      if left ~= -1 then\n"
    "        redis.call('PEXPIRE', key, life)\n"
    "      end\n"
    "    elseif left ~= -1 and left < ttl then\n"
    "      redis.call('PEXPIRE', key, life)\n"
    "    end\n"
    "  end\n"
    "end\n"
    "\n"
    "return 1\n";


/* KEYS: the progress, the marker; ARGV: the run */

static u_char  ngx_token_refill_finish_script[] =
    "if redis.call('DEL', KEYS[1]) == 0 then\n"
    "  return 0\n"
    "end\n"
    "\n"
    "redis.call('SET', KEYS[2], ARGV[1], 'PX', '" NGX_TOKEN_MARKER_LIFE "')\n"
    "\n"
    "return 1\n";


static ngx_int_t ngx_token_refill_row(ngx_token_refill_t *refill,
    PGresult *rows, ngx_uint_t i, ngx_token_refill_row_t *row);
static ngx_uint_t ngx_token_refill_may(ngx_token_refill_t *refill,
    ngx_str_t *key);
static ngx_uint_t ngx_token_refill_number(ngx_str_t *value);
static ngx_int_t ngx_token_refill_send(ngx_token_refill_t *refill,
    ngx_uint_t argc, ngx_str_t *argv, ngx_uint_t key,
    ngx_token_refill_pt handler);
static void ngx_token_refill_reply_handler(void *data,
    ngx_redis_result_e result, redisReply *reply);
static void ngx_token_refill_refused(ngx_token_refill_t *refill,
    redisReply *reply);


ngx_int_t
ngx_token_refill_init(ngx_token_refill_t *refill, ngx_pool_t *pool)
{
    refill->progress.len = refill->marker->key.len + 1 + NGX_TOKEN_REFILL_HEX;
    refill->progress.data = ngx_pnalloc(pool, refill->progress.len);

    return refill->progress.data ? NGX_OK : NGX_ERROR;
}


ngx_int_t
ngx_token_refill_begin(ngx_token_refill_t *refill, ngx_token_refill_pt handler)
{
    ngx_str_t  argv[5];

    (void) ngx_sprintf(refill->progress.data, "%V:%08xD%08xD",
                       &refill->marker->key, (uint32_t) ngx_random(),
                       (uint32_t) (ngx_random() ^ ngx_pid));

    refill->era = ngx_redis_client_era(refill->client);
    refill->run_len = refill->marker->run_len;
    ngx_memcpy(refill->run, refill->marker->run, refill->run_len);

    ngx_str_set(&argv[0], "SET");
    argv[1] = refill->progress;
    ngx_str_null(&argv[2]);
    ngx_str_set(&argv[3], "PX");
    ngx_str_set(&argv[4], NGX_TOKEN_REFILL_LIFE);

    return ngx_token_refill_send(refill, 5, argv, 1, handler);
}


ngx_int_t
ngx_token_refill_write(ngx_token_refill_t *refill, PGresult *rows,
    ngx_uint_t all, ngx_token_refill_pt handler)
{
    u_char                   nkeys[NGX_INT_T_LEN], nrows[NGX_INT_T_LEN];
    ngx_str_t                argv[NGX_TOKEN_REFILL_ARGS];
    ngx_uint_t               i, k, n;
    ngx_token_refill_row_t   list[NGX_TOKEN_REFILL_ROWS];

    n = 0;

    for (i = 0; i < (ngx_uint_t) PQntuples(rows); i++) {

        if (n == NGX_TOKEN_REFILL_ROWS) {
            return NGX_ERROR;
        }

        if (ngx_token_refill_row(refill, rows, i, &list[n]) == NGX_OK) {
            n++;

        } else {
            refill->ignored++;
        }
    }

    if (n == 0) {
        return NGX_OK;
    }

    refill->written += n;

    ngx_str_set(&argv[0], "EVAL");
    ngx_str_set(&argv[1], ngx_token_refill_script);

    argv[2].data = nkeys;
    argv[2].len = ngx_sprintf(nkeys, "%ui", n + (all ? 1 : 0)) - nkeys;

    k = 3;

    for (i = 0; i < n; i++) {
        argv[k++] = list[i].key;
    }

    if (all) {
        argv[k++] = refill->progress;
    }

    argv[k].data = nrows;
    argv[k++].len = ngx_sprintf(nrows, "%ui", n) - nrows;

    for (i = 0; i < n; i++) {
        argv[k++] = list[i].value;
        argv[k++] = list[i].ttl;
    }

    return ngx_token_refill_send(refill, k, argv, 3, handler);
}


/* NGX_DECLINED for what cannot be a revocation: a table may hold anything. */

static ngx_int_t
ngx_token_refill_row(ngx_token_refill_t *refill, PGresult *rows, ngx_uint_t i,
    ngx_token_refill_row_t *row)
{
    if (ngx_pgsql_result_value(rows, i, NGX_TOKEN_REFILL_NAME, &row->key)
        != NGX_OK
        || ngx_pgsql_result_value(rows, i, NGX_TOKEN_REFILL_VALUE, &row->value)
           != NGX_OK
        || ngx_pgsql_result_value(rows, i, NGX_TOKEN_REFILL_TTL, &row->ttl)
           != NGX_OK)
    {
        return NGX_DECLINED;
    }

    if (row->key.len == 0
        || row->key.len > NGX_TOKEN_REFILL_KEY
        || !ngx_token_refill_number(&row->value)
        || !ngx_token_refill_number(&row->ttl)
        || !ngx_token_refill_may(refill, &row->key))
    {
        return NGX_DECLINED;
    }

    return NGX_OK;
}


/* Who may write to the table should not be able to write all of Redis. */

static ngx_uint_t
ngx_token_refill_may(ngx_token_refill_t *refill, ngx_str_t *key)
{
    ngx_str_t   *p;
    ngx_uint_t   i, any;

    p = refill->prefixes->elts;
    any = 0;

    for (i = 0; i < refill->prefixes->nelts; i++) {

        if (p[i].len == 0) {
            /* a key that begins with a variable, or a prefix left out */
            any = any || p[i].data;
            continue;
        }

        if (p[i].data
            && key->len >= p[i].len
            && ngx_memcmp(key->data, p[i].data, p[i].len) == 0)
        {
            return 1;
        }
    }

    return any
           && (key->len < refill->own.len
               || ngx_memcmp(key->data, refill->own.data, refill->own.len)
                  != 0);
}


static ngx_uint_t
ngx_token_refill_number(ngx_str_t *value)
{
    size_t  i;

    for (i = 0; i < value->len; i++) {
        if (value->data[i] < '0' || value->data[i] > '9') {
            return 0;
        }
    }

    /* a script's numbers are exact up to 2^53 */

    return value->len > 0 && value->len <= 16;
}


ngx_int_t
ngx_token_refill_finish(ngx_token_refill_t *refill,
    ngx_token_refill_pt handler)
{
    ngx_str_t  argv[6];

    if (refill->era != ngx_redis_client_era(refill->client)) {
        return NGX_ERROR;
    }

    ngx_str_set(&argv[0], "EVAL");
    ngx_str_set(&argv[1], ngx_token_refill_finish_script);
    ngx_str_set(&argv[2], "2");
    argv[3] = refill->progress;
    argv[4] = refill->marker->key;
    argv[5].data = refill->run;
    argv[5].len = refill->run_len;

    return ngx_token_refill_send(refill, 6, argv, 3, handler);
}


static ngx_int_t
ngx_token_refill_send(ngx_token_refill_t *refill, ngx_uint_t argc,
    ngx_str_t *argv, ngx_uint_t key, ngx_token_refill_pt handler)
{
    /* a worker that is to exit would wait for the answer of a dead server */

    if (ngx_redis_client_state(refill->client) != NGX_REDIS_UP) {
        return NGX_ERROR;
    }

    refill->handler = handler;
    refill->command = ngx_redis_client_send(refill->client, argc, argv, key,
                                            ngx_token_refill_reply_handler,
                                            refill);

    return refill->command ? NGX_AGAIN : NGX_ERROR;
}


static void
ngx_token_refill_reply_handler(void *data, ngx_redis_result_e result,
    redisReply *reply)
{
    ngx_token_refill_t *refill = data;

    ngx_int_t  rc;

    refill->command = NULL;

    if (result == NGX_REDIS_REFUSED) {
        rc = NGX_ERROR;
        ngx_token_refill_refused(refill, reply);

    } else if (result != NGX_REDIS_REPLY) {
        rc = NGX_ERROR;

    } else if (reply->type == REDIS_REPLY_STATUS) {
        rc = NGX_OK;
        refill->refused = 0;

    } else if (reply->type == REDIS_REPLY_INTEGER) {
        rc = (reply->integer == 1) ? NGX_OK : NGX_DECLINED;
        refill->refused = 0;

    } else {
        rc = NGX_ERROR;
    }

    refill->handler(refill->data, rc);
}


/* For want of memory, or of rights: whoever minds it should know. */

static void
ngx_token_refill_refused(ngx_token_refill_t *refill, redisReply *reply)
{
    ngx_str_t  code;

    if (refill->refused) {
        return;
    }

    refill->refused = 1;

    code = ngx_redis_reply_code(reply);

    ngx_log_error(NGX_LOG_ERR, refill->log, 0,
                  "redis refuses the revocations in postgres: %V", &code);
}


void
ngx_token_refill_abandon(ngx_token_refill_t *refill)
{
    if (refill->command) {
        ngx_redis_command_abandon(refill->command);
        refill->command = NULL;
    }
}
