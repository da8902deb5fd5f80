
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_optcache_postgres_chain.h"
#include "ngx_pgsql_result.h"
#include "ngx_sha256.h"


#define NGX_OPTCACHE_POSTGRES_ROWS       "256"   /* of a page */
#define NGX_OPTCACHE_POSTGRES_VALUE      8192    /* bytes */

#define NGX_OPTCACHE_POSTGRES_LISTENED   5000    /* ms, between two looks */
#define NGX_OPTCACHE_POSTGRES_POLLED     1000
#define NGX_OPTCACHE_POSTGRES_SUSPECTED  1000    /* ms, after the rows */


/* columns; the first two and the last two are there even if there is no row */

typedef enum {
    NGX_OPTCACHE_POSTGRES_NOW = 0,       /* the snapshot they are of */
    NGX_OPTCACHE_POSTGRES_BOUND,         /* the same in full, or nothing */
    NGX_OPTCACHE_POSTGRES_XACT,
    NGX_OPTCACHE_POSTGRES_CONTENT,       /* in hexadecimal */
    NGX_OPTCACHE_POSTGRES_ID,
    NGX_OPTCACHE_POSTGRES_CREATED,
    NGX_OPTCACHE_POSTGRES_AGE,           /* ms */
    NGX_OPTCACHE_POSTGRES_KIND,
    NGX_OPTCACHE_POSTGRES_SOFT,
    NGX_OPTCACHE_POSTGRES_TEXT,          /* UTF-8 in hexadecimal */
    NGX_OPTCACHE_POSTGRES_HOST,          /* so, too */
    NGX_OPTCACHE_POSTGRES_USER,          /* SHA-256 in hexadecimal */
    NGX_OPTCACHE_POSTGRES_SAME,          /* the server that it was */
    NGX_OPTCACHE_POSTGRES_GONE           /* rows that were not read */
} ngx_optcache_postgres_column_e;


typedef struct {
    ngx_optcache_target_t   target;
    u_char                  value[NGX_OPTCACHE_POSTGRES_VALUE];
    u_char                  host[256];
} ngx_optcache_postgres_what_t;


#define NGX_OPTCACHE_POSTGRES_UTF8(value)                                     \
    "pg_catalog.encode(pg_catalog.convert_to(" value ", 'UTF8'), 'hex')"

/*
 * A page of the rows of transaction "xact" or later, of those before the row
 * "p" not, up to "end".  The index leads to the first one and past no others:
 * since an old transaction began that is open there may be millions.
 */

#define NGX_OPTCACHE_POSTGRES_FROM(xact, end)                                 \
    "SELECT * FROM optcache.outbox AS o"                                      \
    " WHERE (o.xact, o.digest)" NGX_PGSQL_GT "(" xact ","                     \
    " CASE WHEN p.xact" NGX_PGSQL_EQ xact " THEN p.digest ELSE '' END)"       \
    " AND o.xact" end                                                         \
    " AND pg_catalog.txid_visible_in_snapshot(o.xact, b.s)"                   \
    " ORDER BY o.xact, o.digest LIMIT " NGX_OPTCACHE_POSTGRES_ROWS

/*
 * Rows of transactions that were not visible in snapshot $1 and are now, which
 * were under way then or had not begun: in pages, the first of all, and the
 * others of those behind the row ($2, $3).  They are of the snapshot of the
 * first page, $4, unless that is too long to be sent back.  Rows that a dump
 * has brought with the higher numbers of another server are not looked at.
 *
 * A pooler keeps the connection when it goes to another server: each answer
 * tells whether it is of $5 and $6 still, with numbers no lower than before.
 *
 * So it does whether rows were deleted, other than those up to $7, that are not
 * of snapshot $1, nor of the future: a reader may have been stopped for longer
 * than they are kept, or somebody keeps them for less.
 */

#define NGX_OPTCACHE_POSTGRES_LOOK                                            \
    "SELECT " NGX_OPTCACHE_POSTGRES_SHORT ","                                 \
    " CASE WHEN pg_catalog.length(s::pg_catalog.text)" NGX_PGSQL_LT "4000"    \
    " THEN s::pg_catalog.text ELSE '' END,"                                   \
    " r.xact, pg_catalog.encode(r.digest, 'hex'), r.id, "                     \
    NGX_PGSQL_UNITS("r.created", "1000000") "::bigint, "                      \
    NGX_PGSQL_UNITS("(pg_catalog.clock_timestamp()" NGX_PGSQL_OP("-")         \
                    "r.created)", "1000") "::bigint,"                         \
    " r.kind, r.soft,"                                                        \
    " CASE WHEN pg_catalog.octet_length(r.value)" NGX_PGSQL_LE "16384 THEN "  \
    NGX_OPTCACHE_POSTGRES_UTF8("r.value") " END,"                             \
    " CASE WHEN pg_catalog.octet_length(r.host)" NGX_PGSQL_GT "1024"          \
    " THEN '' ELSE " NGX_OPTCACHE_POSTGRES_UTF8("r.host") " END,"             \
    " pg_catalog.left(r.for_user, 65),"                                       \
    " i.identity" NGX_PGSQL_EQ "$5::pg_catalog.text"                          \
    " AND i.timeline" NGX_PGSQL_EQ "$6::pg_catalog.text"                      \
    " AND pg_catalog.txid_snapshot_xmax(s)" NGX_PGSQL_GE "p.xmax,"            \
    " p.known AND EXISTS (SELECT FROM (SELECT c.snapshot,"                    \
    " pg_catalog.txid_snapshot_xmax(c.snapshot) AS xmax"                      \
    " FROM optcache.outbox_cleaned AS c) AS c"                                \
    " WHERE c.xmax::pg_catalog.text" NGX_PGSQL_NE "$7::pg_catalog.text"       \
    " AND c.xmax" NGX_PGSQL_LE "pg_catalog.txid_snapshot_xmax("               \
    "pg_catalog.txid_current_snapshot())"                                     \
    " AND (c.xmax" NGX_PGSQL_GT "p.xmax"                                      \
    " OR EXISTS (SELECT FROM pg_catalog.txid_snapshot_xip("                   \
    "$1::pg_catalog.txid_snapshot) AS x"                                      \
    " WHERE pg_catalog.txid_visible_in_snapshot(x, c.snapshot))))"            \
    " FROM (SELECT coalesce("                                                 \
    NGX_PGSQL_OPTIONAL("$4", "pg_catalog.txid_snapshot") ","                  \
    " pg_catalog.txid_current_snapshot()) AS s) AS b"                         \
    " CROSS JOIN (SELECT"                                                     \
    " pg_catalog.txid_snapshot_xmax($1::pg_catalog.txid_snapshot) AS xmax,"   \
    " $1::pg_catalog.text" NGX_PGSQL_NE                                       \
    "'" NGX_OPTCACHE_POSTGRES_FIRST "' AS known,"                             \
    " coalesce(" NGX_PGSQL_OPTIONAL("$2", "bigint") ", 0) AS xact,"           \
    " pg_catalog.decode($3::pg_catalog.text, 'hex') AS digest) AS p"          \
    " CROSS JOIN optcache.outbox_identity() AS i"                             \
    " LEFT JOIN LATERAL (SELECT * FROM (SELECT o.*"                           \
    " FROM pg_catalog.txid_snapshot_xip($1::pg_catalog.txid_snapshot) AS x"   \
    " CROSS JOIN LATERAL ("                                                   \
    NGX_OPTCACHE_POSTGRES_FROM("x", NGX_PGSQL_LE "x")                         \
    ") AS o WHERE x" NGX_PGSQL_GE "p.xact"                                    \
    " AND pg_catalog.txid_visible_in_snapshot(x, b.s)"                        \
    " UNION ALL ("                                                            \
    NGX_OPTCACHE_POSTGRES_FROM("greatest(p.xact, p.xmax)",                    \
        NGX_PGSQL_LT "pg_catalog.txid_snapshot_xmax(b.s)")                    \
    ")) AS o"                                                                 \
    " ORDER BY o.xact, o.digest LIMIT " NGX_OPTCACHE_POSTGRES_ROWS            \
    ") AS r ON true"


static void ngx_optcache_postgres_page(ngx_optcache_postgres_t *op);
static void ngx_optcache_postgres_page_handler(void *data, PGresult *result);
static ngx_int_t ngx_optcache_postgres_begin(ngx_optcache_postgres_t *op,
    PGresult *result);
static ngx_int_t ngx_optcache_postgres_row(ngx_optcache_postgres_t *op,
    PGresult *result, ngx_uint_t i);
static ngx_int_t ngx_optcache_postgres_event(PGresult *result, ngx_uint_t i,
    ngx_optcache_event_t *event);
static ngx_int_t ngx_optcache_postgres_target(PGresult *result, ngx_uint_t i,
    ngx_optcache_postgres_what_t *what);
static ngx_int_t ngx_optcache_postgres_of_user(ngx_str_t *hex,
    ngx_optcache_target_t *target);
static ngx_int_t ngx_optcache_postgres_hex(ngx_str_t *hex, u_char *buf,
    size_t size, ngx_str_t *text);
static void ngx_optcache_postgres_tell(ngx_optcache_postgres_t *op,
    ngx_optcache_event_t *event, u_char *name,
    ngx_optcache_postgres_part_t *part);
static void ngx_optcache_postgres_told_handler(void *data, ngx_int_t rc);
static void ngx_optcache_postgres_finish(ngx_optcache_postgres_t *op);


void
ngx_optcache_postgres_look(ngx_optcache_postgres_t *op)
{
    ngx_log_debug1(NGX_LOG_DEBUG_CORE, op->log, 0,
                   "optcache postgres looks, notified:%d", op->notified);

    op->woken = op->notified;
    op->notified = 0;
    op->rows = 0;
    op->odd = 0;
    op->row = op->position.row;

    op->xact[0] = '\0';
    op->digest[0] = '\0';
    op->bound[0] = '\0';
    op->now[0] = '\0';

    ngx_optcache_postgres_page(op);
}


static void
ngx_optcache_postgres_page(ngx_optcache_postgres_t *op)
{
    ngx_str_t  params[7];

    ngx_optcache_postgres_text(&params[0], op->position.snapshot);
    ngx_optcache_postgres_text(&params[1], op->xact);
    ngx_optcache_postgres_text(&params[2], op->digest);
    ngx_optcache_postgres_text(&params[3], op->bound);
    ngx_optcache_postgres_text(&params[4], op->position.identity);
    ngx_optcache_postgres_text(&params[5], op->position.timeline);
    ngx_optcache_postgres_text(&params[6], op->cleaned);

    ngx_optcache_postgres_query(op, NGX_OPTCACHE_POSTGRES_LOOK, 7, params,
                                ngx_optcache_postgres_page_handler);
}


/*
 * Each row is in force here at once.  Of many, the next page waits until Redis
 * has those of the last: else more would be pending than there is room for.
 */

static void
ngx_optcache_postgres_page_handler(void *data, PGresult *result)
{
    ngx_optcache_postgres_t *op = data;

    ngx_str_t   id;
    ngx_uint_t  i, n;

    if (ngx_pgsql_conn_result(op->conn, result) != NGX_OK) {
        return;
    }

    if (!ngx_optcache_postgres_flag(result, NGX_OPTCACHE_POSTGRES_SAME)) {
        ngx_pgsql_conn_fail(op->conn, "it is another server than before");
        return;
    }

    if (ngx_optcache_postgres_flag(result, NGX_OPTCACHE_POSTGRES_GONE)) {
        /* all is invalidated when it is connected again */
        ngx_pgsql_conn_fail(op->conn, "rows that were not read are deleted");
        return;
    }

    n = PQntuples(result);

    if (ngx_pgsql_result_value(result, 0, NGX_OPTCACHE_POSTGRES_ID, &id)
        != NGX_OK)
    {
        n = 0;
    }

    if (n > NGX_OPTCACHE_POSTGRES_PAGE
        || ngx_optcache_postgres_begin(op, result) != NGX_OK)
    {
        ngx_pgsql_conn_fail(op->conn, "it tells no snapshot");
        return;
    }

    op->full = (n == NGX_OPTCACHE_POSTGRES_PAGE);

    for (i = 0; i < n; i++) {
        if (ngx_optcache_postgres_row(op, result, i) != NGX_OK) {
            ngx_optcache_postgres_abandon(op);
            ngx_pgsql_conn_fail(op->conn, "it tells no number of a row");
            return;
        }
    }

    op->rows += n;

    if (!op->full) {
        ngx_optcache_postgres_finish(op);

    } else if (op->waiting == 0) {
        ngx_optcache_postgres_page(op);
    }
}


/* The look is of the snapshot of its first page. */

static ngx_int_t
ngx_optcache_postgres_begin(ngx_optcache_postgres_t *op, PGresult *result)
{
    if (op->now[0]) {
        return NGX_OK;
    }

    if (ngx_optcache_postgres_copy(op->now, NGX_OPTCACHE_POSTGRES_SNAPSHOT,
                                   result, 0, NGX_OPTCACHE_POSTGRES_NOW)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_optcache_postgres_copy(op->bound,
                                      NGX_OPTCACHE_POSTGRES_SNAPSHOT, result,
                                      0, NGX_OPTCACHE_POSTGRES_BOUND);
}


/*
 * What is not understood may be about anything: the table may be of a later
 * version than this.
 */

static ngx_int_t
ngx_optcache_postgres_row(ngx_optcache_postgres_t *op, PGresult *result,
    ngx_uint_t i)
{
    u_char                         age[NGX_OPTCACHE_POSTGRES_NUMBER];
    u_char                         name[NGX_OPTCACHE_POSTGRES_ONCE];
    int64_t                        ms, id;
    ngx_optcache_event_t           event;
    ngx_optcache_postgres_row_t   *row;

    row = &op->row;

    if (ngx_optcache_postgres_copy(row->id, NGX_OPTCACHE_POSTGRES_NUMBER,
                                   result, i, NGX_OPTCACHE_POSTGRES_ID)
        != NGX_OK
        || ngx_optcache_postgres_copy(row->xact, NGX_OPTCACHE_POSTGRES_NUMBER,
                                      result, i, NGX_OPTCACHE_POSTGRES_XACT)
           != NGX_OK
        || ngx_optcache_postgres_copy(row->created,
                                      NGX_OPTCACHE_POSTGRES_NUMBER, result, i,
                                      NGX_OPTCACHE_POSTGRES_CREATED)
           != NGX_OK
        || ngx_optcache_postgres_copy(op->digest,
                                      NGX_OPTCACHE_POSTGRES_DIGEST, result, i,
                                      NGX_OPTCACHE_POSTGRES_CONTENT)
           != NGX_OK
        || ngx_optcache_postgres_copy(age, NGX_OPTCACHE_POSTGRES_NUMBER,
                                      result, i, NGX_OPTCACHE_POSTGRES_AGE)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    (void) ngx_cpystrn(op->xact, row->xact, NGX_OPTCACHE_POSTGRES_NUMBER);

    /* off_t has 64 bits everywhere */

    ms = ngx_atoof(age, ngx_strlen(age));
    id = ngx_atoof(row->id, ngx_strlen(row->id));

    ngx_shared_number_set(&op->shm->lag, (ms == NGX_ERROR) ? 0 : ms);

    if (id > (int64_t) ngx_shared_number_get(&op->shm->id)) {
        ngx_shared_number_set(&op->shm->id, id);
    }

    (void) ngx_snprintf(name, sizeof(name), "%s-%s-%s%Z", row->id, row->xact,
                        row->created);

    if (ngx_optcache_postgres_event(result, i, &event) == NGX_OK) {

        ngx_log_debug2(NGX_LOG_DEBUG_CORE, op->log, 0,
                       "optcache postgres row %s mark:%016xL", row->id,
                       event.mark);

        ngx_optcache_postgres_tell(op, &event, name,
                                   op->full ? &op->parts[i] : NULL);
        return NGX_OK;
    }

    op->odd++;

    ngx_optcache_postgres_tell_all(op, name);

    return NGX_OK;
}


static ngx_int_t
ngx_optcache_postgres_event(PGresult *result, ngx_uint_t i,
    ngx_optcache_event_t *event)
{
    ngx_optcache_postgres_what_t  what;

    ngx_memzero(&what.target, sizeof(ngx_optcache_target_t));

    if (ngx_optcache_postgres_target(result, i, &what) != NGX_OK) {
        return NGX_DECLINED;
    }

    return ngx_optcache_mark_event(&what.target, event);
}


static ngx_int_t
ngx_optcache_postgres_target(PGresult *result, ngx_uint_t i,
    ngx_optcache_postgres_what_t *what)
{
    ngx_str_t               kind, soft, hex, value;
    ngx_optcache_target_t  *target;

    target = &what->target;

    if (ngx_pgsql_result_value(result, i, NGX_OPTCACHE_POSTGRES_KIND, &kind)
        != NGX_OK
        || ngx_pgsql_result_value(result, i, NGX_OPTCACHE_POSTGRES_SOFT, &soft)
           != NGX_OK
        || ngx_pgsql_result_value(result, i, NGX_OPTCACHE_POSTGRES_TEXT, &hex)
           != NGX_OK
        || ngx_optcache_postgres_hex(&hex, what->value, sizeof(what->value),
                                     &value)
           != NGX_OK)
    {
        return NGX_DECLINED;
    }

    target->soft = (soft.data[0] == 't');

    if (ngx_pgsql_result_value(result, i, NGX_OPTCACHE_POSTGRES_HOST, &hex)
        == NGX_OK
        && (hex.len == 0
            || ngx_optcache_postgres_hex(&hex, what->host, sizeof(what->host),
                                         &target->host)
               != NGX_OK))
    {
        return NGX_DECLINED;
    }

    if (ngx_pgsql_result_value(result, i, NGX_OPTCACHE_POSTGRES_USER, &hex)
        == NGX_OK
        && ngx_optcache_postgres_of_user(&hex, target) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    if (ngx_strcmp(kind.data, "all") == 0) {
        target->all = 1;
        return NGX_OK;
    }

    if (value.len == 0) {
        return NGX_DECLINED;
    }

    if (ngx_strcmp(kind.data, "user") == 0) {
        return ngx_optcache_postgres_of_user(&value, target);
    }

    if (ngx_strcmp(kind.data, "tag") == 0) {
        target->tag = value;

    } else if (ngx_strcmp(kind.data, "uri") == 0) {
        target->uri = value;

    } else if (ngx_strcmp(kind.data, "prefix") == 0) {
        target->prefix = value;

    } else if (ngx_strcmp(kind.data, "host") == 0) {
        target->host = value;

    } else {
        return NGX_DECLINED;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_optcache_postgres_of_user(ngx_str_t *hex, ngx_optcache_target_t *target)
{
    u_char     digest[NGX_SHA256_LEN];
    ngx_str_t  bytes;

    if (hex->len != 2 * NGX_SHA256_LEN
        || ngx_optcache_postgres_hex(hex, digest, NGX_SHA256_LEN, &bytes)
           != NGX_OK)
    {
        return NGX_DECLINED;
    }

    target->user = ngx_optcache_mark_user(digest);

    return NGX_OK;
}


static ngx_int_t
ngx_optcache_postgres_hex(ngx_str_t *hex, u_char *buf, size_t size,
    ngx_str_t *text)
{
    size_t     i;
    ngx_int_t  n;

    if (hex->len % 2 || hex->len / 2 > size) {
        return NGX_DECLINED;
    }

    for (i = 0; i < hex->len / 2; i++) {

        n = ngx_hextoi(&hex->data[2 * i], 2);

        if (n == NGX_ERROR) {
            return NGX_DECLINED;
        }

        buf[i] = (u_char) n;
    }

    text->data = buf;
    text->len = hex->len / 2;

    return NGX_OK;
}


void
ngx_optcache_postgres_tell_all(ngx_optcache_postgres_t *op, u_char *name)
{
    ngx_optcache_event_t   event;
    ngx_optcache_target_t  target;

    ngx_memzero(&target, sizeof(ngx_optcache_target_t));
    target.all = 1;

    if (ngx_optcache_mark_event(&target, &event) == NGX_OK) {
        ngx_optcache_postgres_tell(op, &event, name, NULL);
    }
}


static void
ngx_optcache_postgres_tell(ngx_optcache_postgres_t *op,
    ngx_optcache_event_t *event, u_char *name,
    ngx_optcache_postgres_part_t *part)
{
    u_char     buf[NGX_OPTCACHE_POSTGRES_ONCE
                   + NGX_OPTCACHE_POSTGRES_IDENTITY];
    ngx_str_t  once;

    once.data = buf;
    once.len = ngx_snprintf(buf, sizeof(buf), "pg:%s:%s",
                            op->position.identity, name)
               - buf;

    if (ngx_optcache_tell(op->teller, event, &once,
                          part ? ngx_optcache_postgres_told_handler : NULL,
                          part, part ? &part->telling : NULL)
        == NGX_OK
        && part)
    {
        op->waiting++;
    }
}


/* Whether Redis has it or not: it will. */

static void
ngx_optcache_postgres_told_handler(void *data, ngx_int_t rc)
{
    ngx_optcache_postgres_part_t *part = data;

    ngx_optcache_postgres_t  *op;

    op = part->op;
    part->telling = NULL;

    if (--op->waiting == 0 && op->up) {
        ngx_optcache_postgres_page(op);
    }
}


void
ngx_optcache_postgres_abandon(ngx_optcache_postgres_t *op)
{
    ngx_uint_t  i;

    if (op->waiting == 0) {
        return;
    }

    for (i = 0; i < NGX_OPTCACHE_POSTGRES_PAGE; i++) {
        if (op->parts[i].telling) {
            ngx_optcache_telling_abandon(op->parts[i].telling);
            op->parts[i].telling = NULL;
        }
    }

    op->waiting = 0;
}


/*
 * Rows that were found without a word, and none follows: notifications do not
 * come, whatever the probe has said.  Not of those before the first look.
 */

static void
ngx_optcache_postgres_finish(ngx_optcache_postgres_t *op)
{
    uint64_t                      now;
    ngx_optcache_postgres_shm_t  *shm;

    shm = op->shm;
    now = ngx_redis_tracking_now();

    ngx_pgsql_conn_well(op->conn);

    if (op->odd) {
        ngx_log_error(NGX_LOG_ERR, op->log, 0,
                      "%ui rows of optcache.outbox are not understood, all is "
                      "invalidated", op->odd);
    }

    if (op->look && op->rows && !op->woken && !op->notified
        && !ngx_shared_number_get(&shm->deaf)) {
        op->suspect = now + NGX_OPTCACHE_POSTGRES_SUSPECTED;
    }

    (void) ngx_cpystrn(op->position.snapshot, op->now,
                       NGX_OPTCACHE_POSTGRES_SNAPSHOT);
    op->position.row = op->row;

    ngx_optcache_postgres_save(op);

    (void) ngx_atomic_fetch_add(&shm->told, op->rows);
    (void) ngx_atomic_fetch_add(&shm->odd, op->odd);
    ngx_shared_number_set(&shm->heard, now);

    op->busy = 0;
    op->look = now + (ngx_shared_number_get(&shm->deaf) || shm->pooled
                      ? NGX_OPTCACHE_POSTGRES_POLLED
                      : NGX_OPTCACHE_POSTGRES_LISTENED);

    ngx_optcache_postgres_next(op);
}
