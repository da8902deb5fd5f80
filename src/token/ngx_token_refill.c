
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_pgsql_result.h"
#include "ngx_redis_reply.h"
#include "ngx_redis_slot.h"
#include "ngx_token_refill.h"


#define NGX_TOKEN_REFILL_LIFE  "60000"   /* ms */
#define NGX_TOKEN_REFILL_LONG  "3600000" /* ms, of a slot */

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


static ngx_int_t ngx_token_refill_round(ngx_token_refill_t *refill);
static ngx_int_t ngx_token_refill_part(ngx_token_refill_t *refill,
    ngx_uint_t slot);
static ngx_int_t ngx_token_refill_list(ngx_token_refill_t *refill,
    ngx_token_refill_row_t *list, ngx_uint_t n, ngx_uint_t all,
    ngx_token_refill_pt handler);
static ngx_int_t ngx_token_refill_rows(ngx_token_refill_t *refill,
    ngx_token_refill_row_t *list, ngx_uint_t n, ngx_str_t *progress);
static ngx_int_t ngx_token_refill_row(ngx_token_refill_t *refill,
    PGresult *rows, ngx_uint_t i, ngx_token_refill_row_t *row);
static ngx_int_t ngx_token_refill_key(ngx_str_t *hex, ngx_str_t *key);
static ngx_uint_t ngx_token_refill_may(ngx_token_refill_t *refill,
    ngx_str_t *key);
static ngx_uint_t ngx_token_refill_number(ngx_str_t *value);
static void ngx_token_refill_progress(ngx_token_refill_t *refill,
    ngx_uint_t slot, ngx_str_t *key);
static ngx_int_t ngx_token_refill_send(ngx_token_refill_t *refill,
    ngx_uint_t argc, ngx_str_t *argv, ngx_uint_t key);
static void ngx_token_refill_reply_handler(void *data,
    ngx_redis_result_e result, redisReply *reply);
static ngx_int_t ngx_token_refill_reply(ngx_token_refill_t *refill,
    ngx_redis_result_e result, redisReply *reply);
static void ngx_token_refill_refused(ngx_token_refill_t *refill,
    redisReply *reply);


ngx_int_t
ngx_token_refill_init(ngx_token_refill_t *refill, ngx_pool_t *pool)
{
    ngx_uint_t  i;

    refill->progress = ngx_pnalloc(pool, refill->marker->prefix
                                         + NGX_TOKEN_MARKER_KEY
                                         + 1 + NGX_TOKEN_REFILL_HEX);
    if (refill->progress == NULL) {
        return NGX_ERROR;
    }

    /* the same each time, so that what is left of one in vain is used again */

    (void) ngx_sprintf(refill->hex, "%08xD%08xD", (uint32_t) ngx_random(),
                       (uint32_t) (ngx_random() ^ ngx_pid));

    for (i = 0; i < NGX_TOKEN_REFILL_PARTS; i++) {
        refill->parts[i].refill = refill;
    }

    return NGX_OK;
}


ngx_int_t
ngx_token_refill_begin(ngx_token_refill_t *refill, ngx_token_refill_pt handler)
{
    refill->era = ngx_redis_client_era(refill->client);

    if (refill->marker->tags) {
        refill->run[0] = '-';
        refill->run_len = 1;

    } else {
        refill->run_len = refill->marker->run_len;
        ngx_memcpy(refill->run, refill->marker->run, refill->run_len);
    }

    refill->handler = handler;
    refill->finish = 0;
    refill->slot = 0;
    refill->slots = refill->marker->tags ? NGX_REDIS_SLOTS : 1;

    return ngx_token_refill_round(refill);
}


ngx_int_t
ngx_token_refill_finish(ngx_token_refill_t *refill,
    ngx_token_refill_pt handler)
{
    /* in a cluster slots may have moved, with all that was in them */

    if (refill->marker->tags == NULL
        && refill->era != ngx_redis_client_era(refill->client))
    {
        return NGX_ERROR;
    }

    refill->handler = handler;
    refill->finish = 1;
    refill->slot = 0;
    refill->slots = refill->marker->tags ? NGX_REDIS_SLOTS : 1;

    return ngx_token_refill_round(refill);
}


/* Some of the slots, or the only one. */

static ngx_int_t
ngx_token_refill_round(ngx_token_refill_t *refill)
{
    ngx_uint_t  last;

    last = ngx_min(refill->slot + NGX_TOKEN_REFILL_PARTS, refill->slots);

    refill->rc = NGX_OK;

    while (refill->slot < last) {
        if (ngx_token_refill_part(refill, refill->slot++) != NGX_OK) {
            ngx_token_refill_abandon(refill);
            return NGX_ERROR;
        }
    }

    return NGX_AGAIN;
}


static ngx_int_t
ngx_token_refill_part(ngx_token_refill_t *refill, ngx_uint_t slot)
{
    ngx_str_t  argv[6], progress;

    ngx_token_refill_progress(refill, slot, &progress);

    if (!refill->finish) {
        ngx_str_set(&argv[0], "SET");
        argv[1] = progress;
        ngx_str_null(&argv[2]);
        ngx_str_set(&argv[3], "PX");
        ngx_str_set(&argv[4], NGX_TOKEN_REFILL_LIFE);

        if (refill->marker->tags) {
            ngx_str_set(&argv[4], NGX_TOKEN_REFILL_LONG);
        }

        return ngx_token_refill_send(refill, 5, argv, 1);
    }

    ngx_str_set(&argv[0], "EVAL");
    ngx_str_set(&argv[1], ngx_token_refill_finish_script);
    ngx_str_set(&argv[2], "2");
    argv[3] = progress;
    argv[4] = *ngx_token_marker_slot(refill->marker, slot);
    argv[5].data = refill->run;
    argv[5].len = refill->run_len;

    return ngx_token_refill_send(refill, 6, argv, 3);
}


ngx_int_t
ngx_token_refill_write(ngx_token_refill_t *refill, PGresult *rows,
    ngx_uint_t all, ngx_token_refill_pt handler)
{
    u_char                  *keys;
    ngx_int_t                rc;
    ngx_uint_t               i, n;
    ngx_token_refill_row_t   list[NGX_TOKEN_REFILL_ROWS];

    if (PQntuples(rows) > NGX_TOKEN_REFILL_ROWS) {
        return NGX_ERROR;
    }

    keys = ngx_alloc(NGX_TOKEN_REFILL_ROWS * NGX_TOKEN_REFILL_KEY,
                     refill->log);
    if (keys == NULL) {
        return NGX_ERROR;
    }

    n = 0;

    for (i = 0; i < (ngx_uint_t) PQntuples(rows); i++) {

        list[n].key.data = keys + n * NGX_TOKEN_REFILL_KEY;

        if (ngx_token_refill_row(refill, rows, i, &list[n]) == NGX_OK) {
            n++;

        } else {
            refill->ignored++;
        }
    }

    rc = n ? ngx_token_refill_list(refill, list, n, all, handler) : NGX_OK;

    ngx_free(keys);

    return rc;
}


static ngx_int_t
ngx_token_refill_list(ngx_token_refill_t *refill, ngx_token_refill_row_t *list,
    ngx_uint_t n, ngx_uint_t all, ngx_token_refill_pt handler)
{
    ngx_str_t   progress;
    ngx_uint_t  i;

    refill->written += n;
    refill->handler = handler;
    refill->slot = 0;
    refill->slots = 0;
    refill->rc = NGX_OK;

    if (refill->marker->tags == NULL) {

        ngx_token_refill_progress(refill, 0, &progress);

        return (ngx_token_refill_rows(refill, list, n, all ? &progress : NULL)
                == NGX_OK) ? NGX_AGAIN : NGX_ERROR;
    }

    /* a command has keys of one slot only */

    for (i = 0; i < n; i++) {
        if (ngx_token_refill_rows(refill, &list[i], 1, NULL) != NGX_OK) {
            ngx_token_refill_abandon(refill);
            return NGX_ERROR;
        }
    }

    return NGX_AGAIN;
}


static ngx_int_t
ngx_token_refill_rows(ngx_token_refill_t *refill, ngx_token_refill_row_t *list,
    ngx_uint_t n, ngx_str_t *progress)
{
    u_char      nkeys[NGX_INT_T_LEN], nrows[NGX_INT_T_LEN];
    ngx_str_t   argv[NGX_TOKEN_REFILL_ARGS];
    ngx_uint_t  i, k;

    ngx_str_set(&argv[0], "EVAL");
    ngx_str_set(&argv[1], ngx_token_refill_script);

    argv[2].data = nkeys;
    argv[2].len = ngx_sprintf(nkeys, "%ui", n + (progress ? 1 : 0)) - nkeys;

    k = 3;

    for (i = 0; i < n; i++) {
        argv[k++] = list[i].key;
    }

    if (progress) {
        argv[k++] = *progress;
    }

    argv[k].data = nrows;
    argv[k++].len = ngx_sprintf(nrows, "%ui", n) - nrows;

    for (i = 0; i < n; i++) {
        argv[k++] = list[i].value;
        argv[k++] = list[i].ttl;
    }

    return ngx_token_refill_send(refill, k, argv, 3);
}


/* NGX_DECLINED for what cannot be a revocation: a table may hold anything. */

static ngx_int_t
ngx_token_refill_row(ngx_token_refill_t *refill, PGresult *rows, ngx_uint_t i,
    ngx_token_refill_row_t *row)
{
    ngx_str_t  hex;

    if (ngx_pgsql_result_value(rows, i, NGX_TOKEN_REFILL_NAME, &hex) != NGX_OK
        || ngx_pgsql_result_value(rows, i, NGX_TOKEN_REFILL_VALUE, &row->value)
           != NGX_OK
        || ngx_pgsql_result_value(rows, i, NGX_TOKEN_REFILL_TTL, &row->ttl)
           != NGX_OK)
    {
        return NGX_DECLINED;
    }

    if (ngx_token_refill_key(&hex, &row->key) != NGX_OK
        || !ngx_token_refill_number(&row->value)
        || !ngx_token_refill_number(&row->ttl)
        || !ngx_token_refill_may(refill, &row->key))
    {
        return NGX_DECLINED;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_token_refill_key(ngx_str_t *hex, ngx_str_t *key)
{
    size_t     i;
    ngx_int_t  n;

    key->len = hex->len / 2;

    if (key->len == 0 || key->len > NGX_TOKEN_REFILL_KEY || hex->len % 2) {
        return NGX_DECLINED;
    }

    for (i = 0; i < key->len; i++) {

        n = ngx_hextoi(&hex->data[2 * i], 2);

        if (n == NGX_ERROR) {
            return NGX_DECLINED;
        }

        key->data[i] = (u_char) n;
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


static void
ngx_token_refill_progress(ngx_token_refill_t *refill, ngx_uint_t slot,
    ngx_str_t *key)
{
    key->data = refill->progress;
    key->len = ngx_sprintf(refill->progress, "%V:%*s",
                           ngx_token_marker_slot(refill->marker, slot),
                           (size_t) NGX_TOKEN_REFILL_HEX, refill->hex)
               - refill->progress;
}


static ngx_int_t
ngx_token_refill_send(ngx_token_refill_t *refill, ngx_uint_t argc,
    ngx_str_t *argv, ngx_uint_t key)
{
    ngx_token_refill_part_t  *part;

    /* a worker that is to exit would wait for the answer of a dead server */

    if (ngx_redis_client_state(refill->client) != NGX_REDIS_UP) {
        return NGX_ERROR;
    }

    part = &refill->parts[refill->pending];

    part->command = ngx_redis_client_send(refill->client, argc, argv, key,
                                          ngx_token_refill_reply_handler,
                                          part);
    if (part->command == NULL) {
        return NGX_ERROR;
    }

    refill->pending++;

    return NGX_OK;
}


/* All are sent before the first is answered. */

static void
ngx_token_refill_reply_handler(void *data, ngx_redis_result_e result,
    redisReply *reply)
{
    ngx_token_refill_part_t *part = data;

    ngx_int_t            rc;
    ngx_token_refill_t  *refill;

    part->command = NULL;
    refill = part->refill;

    rc = ngx_token_refill_reply(refill, result, reply);

    if (rc == NGX_ERROR || refill->rc == NGX_OK) {
        refill->rc = rc;
    }

    if (--refill->pending) {
        return;
    }

    if (refill->rc == NGX_OK && refill->slot < refill->slots) {

        if (ngx_token_refill_round(refill) == NGX_AGAIN) {
            return;
        }

        refill->rc = NGX_ERROR;
    }

    refill->handler(refill->data, refill->rc);
}


static ngx_int_t
ngx_token_refill_reply(ngx_token_refill_t *refill, ngx_redis_result_e result,
    redisReply *reply)
{
    if (result == NGX_REDIS_REFUSED) {
        ngx_token_refill_refused(refill, reply);
        return NGX_ERROR;
    }

    if (result != NGX_REDIS_REPLY) {
        return NGX_ERROR;
    }

    if (refill->refused) {
        refill->refused = 0;

        ngx_log_error(NGX_LOG_NOTICE, refill->log, 0,
                      "redis takes the revocations in postgres again after "
                      "%Mms", ngx_current_msec - refill->since);
    }

    if (reply->type == REDIS_REPLY_STATUS) {
        return NGX_OK;
    }

    if (reply->type == REDIS_REPLY_INTEGER) {
        return reply->integer == 1 ? NGX_OK : NGX_DECLINED;
    }

    return NGX_ERROR;
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
    refill->since = ngx_current_msec;

    code = ngx_redis_reply_code(reply);

    ngx_log_error(NGX_LOG_ERR, refill->log, 0,
                  "redis refuses the revocations in postgres: %V", &code);
}


void
ngx_token_refill_abandon(ngx_token_refill_t *refill)
{
    ngx_uint_t  i;

    if (refill->pending == 0) {
        return;
    }

    for (i = 0; i < NGX_TOKEN_REFILL_PARTS; i++) {
        if (refill->parts[i].command) {
            ngx_redis_command_abandon(refill->parts[i].command);
            refill->parts[i].command = NULL;
        }
    }

    refill->pending = 0;
}
