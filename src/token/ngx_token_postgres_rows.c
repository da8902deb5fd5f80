
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_token_postgres_chain.h"


#define NGX_TOKEN_POSTGRES_FIRST     "-9223372036854775808"
#define NGX_TOKEN_POSTGRES_START     "'" NGX_TOKEN_POSTGRES_FIRST "'::bigint"


/*
 * At most $2 rows as ngx_token_refill.h has them; one that is expired is left
 * out.  A key is UTF-8, or any bytes of a database without an encoding.  Keys
 * that cannot be UTF-8 fail the query: of such a row, $3 is false.  Those of no
 * other rows are looked at, whatever the plan is.
 */

#define NGX_TOKEN_POSTGRES_COLUMNS                                            \
    "SELECT id, xact, CASE WHEN $3::boolean"                                  \
    " AND pg_catalog.octet_length(key)" NGX_PGSQL_GE "1"                      \
    " AND pg_catalog.octet_length(key)" NGX_PGSQL_LE "1024"                   \
    " THEN pg_catalog.encode(pg_catalog.convert_to(key,"                      \
    " CASE WHEN pg_catalog.getdatabaseencoding()" NGX_PGSQL_EQ "'SQL_ASCII'"  \
    " THEN 'SQL_ASCII'::pg_catalog.name ELSE 'UTF8'::pg_catalog.name END),"   \
    " 'hex') END,"                                                            \
    " CASE WHEN since IS NULL"                                                \
    " OR since" NGX_PGSQL_EQ "'-infinity'::pg_catalog.timestamptz THEN 1"     \
    " WHEN since" NGX_PGSQL_EQ "'infinity'::pg_catalog.timestamptz"           \
    " THEN 9007199254740991"                                                  \
    " ELSE greatest(pg_catalog.ceil(extract(epoch FROM since))::bigint, 1)"   \
    " END, CASE WHEN expires IS NOT NULL THEN pg_catalog.ceil("               \
    NGX_PGSQL_UNITS("(least(expires, pg_catalog.now()" NGX_PGSQL_OP("+")      \
                    "interval '10 years')" NGX_PGSQL_OP("-")                  \
                    "pg_catalog.now())", "1000") ")::bigint END"              \
    " FROM "

#define NGX_TOKEN_POSTGRES_ROWS(which, columns)                               \
    " (SELECT id, xact, key, since, expires"                                  \
    " FROM optcache.token_blacklist"                                          \
    " WHERE (expires" NGX_PGSQL_GT "pg_catalog.now()) IS NOT FALSE"           \
    " AND " which NGX_TOKEN_POSTGRES_LIMIT(columns) ") "

#define NGX_TOKEN_POSTGRES_LIMIT(columns)                                     \
    " ORDER BY " columns " LIMIT $2::bigint"


/* The snapshot "c", or an earlier one that is shorter. */

#define NGX_TOKEN_POSTGRES_NOW                                                \
    "CASE WHEN pg_catalog.length(c::pg_catalog.text)" NGX_PGSQL_LT "4000"     \
    " THEN c::pg_catalog.text ELSE pg_catalog.concat("                        \
    "pg_catalog.pg_snapshot_xmin(c), ':',"                                    \
    " pg_catalog.pg_snapshot_xmin(c), ':') END"


/*
 * That a row is visible in the snapshot "c", and behind the row "id" of the
 * transaction "xact", or of another up to "end".  The index leads to the first
 * one and past no others: to what is new since a snapshot, row by row of what
 * was under way in it, and all of what had not begun; but not through what may
 * be millions of rows since an old transaction began that is open.  A dump may
 * have brought rows with the higher numbers of another server.
 */

#define NGX_TOKEN_POSTGRES_BEHIND(xact, id, end, c)                           \
    "(xact, id)" NGX_PGSQL_GT "(" xact ", " id ") AND xact" end               \
    " AND pg_catalog.pg_visible_in_snapshot(xact, " c ")"

/* The first one, if there is any: EXISTS alone would look for it anyhow. */

#define NGX_TOKEN_POSTGRES_ANY(xact, end)                                     \
    "(SELECT FROM optcache.token_blacklist WHERE "                            \
    NGX_TOKEN_POSTGRES_BEHIND(xact, NGX_TOKEN_POSTGRES_START, end, "c")       \
    " ORDER BY xact, id LIMIT 1) AS b"

/* Of the next page: behind the row ($4, $1), new since the snapshot $5. */

#define NGX_TOKEN_POSTGRES_NEXT(xact, end)                                    \
    NGX_TOKEN_POSTGRES_BEHIND(xact,                                           \
        "CASE WHEN $4::pg_catalog.xid8" NGX_PGSQL_EQ xact                     \
        " THEN $1::bigint ELSE " NGX_TOKEN_POSTGRES_START " END",             \
        end, "pg_catalog.pg_current_snapshot()")

#define NGX_TOKEN_POSTGRES_LAST                                               \
    "$5::pg_catalog.pg_snapshot"


static void ngx_token_postgres_begun_handler(void *data, ngx_int_t rc);
static void ngx_token_postgres_snapshot_handler(void *data, PGresult *result);
static void ngx_token_postgres_look_handler(void *data, PGresult *result);
static void ngx_token_postgres_first(ngx_token_postgres_t *tp);
static void ngx_token_postgres_page(ngx_token_postgres_t *tp);
static ngx_int_t ngx_token_postgres_shorter(ngx_token_postgres_t *tp,
    PGresult *result);
static void ngx_token_postgres_page_handler(void *data, PGresult *result);
static void ngx_token_postgres_written_handler(void *data, ngx_int_t rc);
static void ngx_token_postgres_finish_handler(void *data, ngx_int_t rc);
static void ngx_token_postgres_finished(ngx_token_postgres_t *tp);


void
ngx_token_postgres_fill(ngx_token_postgres_t *tp)
{
    tp->busy = 1;
    tp->all = 1;
    tp->notified = 0;
    tp->written = tp->refill.written;
    tp->ignored = tp->refill.ignored;

    if (ngx_token_refill_begin(&tp->refill, ngx_token_postgres_begun_handler)
        != NGX_AGAIN)
    {
        ngx_token_postgres_again(tp, NGX_TOKEN_POSTGRES_LOOK);
    }
}


static void
ngx_token_postgres_begun_handler(void *data, ngx_int_t rc)
{
    ngx_token_postgres_t *tp = data;

    if (rc != NGX_OK) {
        ngx_token_postgres_again(tp, NGX_TOKEN_POSTGRES_LOOK);
        return;
    }

    ngx_token_postgres_query(tp, "SELECT " NGX_TOKEN_POSTGRES_NOW
                             " FROM (SELECT pg_catalog.pg_current_snapshot()"
                             " AS c) AS s",
                             0, NULL, ngx_token_postgres_snapshot_handler);
}


static void
ngx_token_postgres_snapshot_handler(void *data, PGresult *result)
{
    ngx_token_postgres_t *tp = data;

    if (ngx_pgsql_conn_result(tp->conn, result) != NGX_OK) {
        return;
    }

    if (ngx_token_postgres_copy(tp->snapshot, NGX_TOKEN_POSTGRES_SNAPSHOT,
                                result, 0, 0)
        != NGX_OK)
    {
        ngx_pgsql_conn_fail(tp->conn, "it tells no snapshot");
        return;
    }

    ngx_token_postgres_first(tp);
}


/*
 * A pooler keeps the connection when it goes to another server, so it is asked
 * each time.  What was filled meanwhile is filled again, then.
 */

void
ngx_token_postgres_look(ngx_token_postgres_t *tp)
{
    ngx_str_t  params[2];

    tp->all = 0;
    tp->notified = 0;
    tp->written = tp->refill.written;
    tp->ignored = tp->refill.ignored;

    ngx_shmtx_lock(&tp->shpool->mutex);

    ngx_memcpy(tp->last, tp->shm->seen[tp->shm->current].snapshot,
               NGX_TOKEN_POSTGRES_SNAPSHOT);

    ngx_shmtx_unlock(&tp->shpool->mutex);

    ngx_token_postgres_text(&params[0], tp->last);
    ngx_token_postgres_text(&params[1], tp->server);

    ngx_token_postgres_query(tp,
                  "SELECT " NGX_TOKEN_POSTGRES_NOW ","
                  " pg_catalog.pg_snapshot_xmin(s),"
                  " EXISTS (SELECT FROM "
                  NGX_TOKEN_POSTGRES_ANY("pg_catalog.pg_snapshot_xmax(s)",
                      NGX_PGSQL_LT "pg_catalog.pg_snapshot_xmax(c)") ")"
                  " OR EXISTS (SELECT FROM pg_catalog.pg_snapshot_xip(s) AS x"
                  " CROSS JOIN LATERAL "
                  NGX_TOKEN_POSTGRES_ANY("x", NGX_PGSQL_LE "x")
                  " WHERE pg_catalog.pg_visible_in_snapshot(x, c)), "
                  NGX_TOKEN_POSTGRES_WHO NGX_PGSQL_EQ "$2::pg_catalog.text"
                  " FROM (SELECT pg_catalog.pg_current_snapshot() AS c,"
                  " $1::pg_catalog.pg_snapshot AS s) AS s",
                  2, params, ngx_token_postgres_look_handler);
}


static void
ngx_token_postgres_look_handler(void *data, PGresult *result)
{
    ngx_token_postgres_t *tp = data;

    ngx_str_t  any, same;

    if (ngx_pgsql_conn_result(tp->conn, result) != NGX_OK) {
        return;
    }

    if (ngx_token_postgres_copy(tp->snapshot, NGX_TOKEN_POSTGRES_SNAPSHOT,
                                result, 0, 0)
        != NGX_OK
        || ngx_token_postgres_copy(tp->xact, sizeof(tp->xact), result, 0, 1)
           != NGX_OK
        || ngx_pgsql_result_value(result, 0, 2, &any) != NGX_OK
        || ngx_pgsql_result_value(result, 0, 3, &same) != NGX_OK)
    {
        ngx_pgsql_conn_fail(tp->conn, "it tells no snapshot");
        return;
    }

    if (same.len != 1 || same.data[0] != 't') {
        ngx_pgsql_conn_fail(tp->conn, "it is another server than before");
        return;
    }

    if (any.len == 1 && any.data[0] == 'f') {
        ngx_token_postgres_finished(tp);
        return;
    }

    ngx_token_postgres_first(tp);
}


static void
ngx_token_postgres_first(ngx_token_postgres_t *tp)
{
    (void) ngx_cpystrn(tp->id, (u_char *) NGX_TOKEN_POSTGRES_FIRST,
                       sizeof(tp->id));

    tp->limit = NGX_TOKEN_REFILL_ROWS;
    tp->unread = 0;

    ngx_token_postgres_page(tp);
}


static void
ngx_token_postgres_page(ngx_token_postgres_t *tp)
{
    u_char     limit[NGX_INT_T_LEN];
    ngx_str_t  params[5];

    ngx_token_postgres_text(&params[0], tp->id);

    params[1].data = limit;
    params[1].len = ngx_sprintf(limit, "%ui", tp->limit) - limit;

    if (tp->unread) {
        ngx_str_set(&params[2], "f");

    } else {
        ngx_str_set(&params[2], "t");
    }

    if (tp->all) {
        ngx_token_postgres_query(tp, NGX_TOKEN_POSTGRES_COLUMNS
                  NGX_TOKEN_POSTGRES_ROWS("id" NGX_PGSQL_GT "$1::bigint", "id")
                  "AS b ORDER BY id",
                  3, params, ngx_token_postgres_page_handler);
        return;
    }

    ngx_token_postgres_text(&params[3], tp->xact);
    ngx_token_postgres_text(&params[4], tp->last);

    ngx_token_postgres_query(tp, NGX_TOKEN_POSTGRES_COLUMNS
                  "(SELECT * FROM (SELECT b.* FROM"
                  " pg_catalog.pg_snapshot_xip(" NGX_TOKEN_POSTGRES_LAST
                  ") AS x CROSS JOIN LATERAL"
                  NGX_TOKEN_POSTGRES_ROWS(
                      NGX_TOKEN_POSTGRES_NEXT("x", NGX_PGSQL_LE "x"),
                      "xact, id")
                  "AS b WHERE x" NGX_PGSQL_GE "$4::pg_catalog.xid8"
                  " AND pg_catalog.pg_visible_in_snapshot(x,"
                  " pg_catalog.pg_current_snapshot())"
                  " UNION ALL"
                  NGX_TOKEN_POSTGRES_ROWS(
                      NGX_TOKEN_POSTGRES_NEXT(
                          "greatest($4::pg_catalog.xid8,"
                          " pg_catalog.pg_snapshot_xmax("
                          NGX_TOKEN_POSTGRES_LAST "))",
                          NGX_PGSQL_LT "pg_catalog.pg_snapshot_xmax("
                          "pg_catalog.pg_current_snapshot())"),
                      "xact, id")
                  ") AS b" NGX_TOKEN_POSTGRES_LIMIT("xact, id")
                  ") AS b ORDER BY xact, id",
                  5, params, ngx_token_postgres_page_handler);
}


static void
ngx_token_postgres_page_handler(void *data, PGresult *result)
{
    ngx_token_postgres_t *tp = data;

    ngx_int_t   rc;
    ngx_uint_t  n;

    if (ngx_token_postgres_shorter(tp, result) == NGX_OK) {
        ngx_token_postgres_page(tp);
        return;
    }

    if (ngx_pgsql_conn_result(tp->conn, result) != NGX_OK) {
        return;
    }

    n = PQntuples(result);

    if (n
        && (ngx_token_postgres_copy(tp->id, sizeof(tp->id), result, n - 1,
                                    NGX_TOKEN_REFILL_ID)
            != NGX_OK
            || ngx_token_postgres_copy(tp->xact, sizeof(tp->xact), result,
                                       n - 1, NGX_TOKEN_REFILL_XACT)
               != NGX_OK))
    {
        ngx_pgsql_conn_fail(tp->conn, "it tells no number of a row");
        return;
    }

    tp->more = (n == tp->limit);
    tp->limit = ngx_min(4 * tp->limit, NGX_TOKEN_REFILL_ROWS);
    tp->unread = 0;

    rc = ngx_token_refill_write(&tp->refill, result, tp->all,
                                ngx_token_postgres_written_handler);

    if (rc != NGX_AGAIN) {
        ngx_token_postgres_written_handler(tp, rc);
    }
}


/*
 * A key that cannot be converted fails all of its page: rows are asked for in
 * fewer and fewer, and the one that is left without its key, to be ignored.
 */

static ngx_int_t
ngx_token_postgres_shorter(ngx_token_postgres_t *tp, PGresult *result)
{
    if (result == NULL
        || PQresultStatus(result) != PGRES_FATAL_ERROR
        || tp->unread
        || (!ngx_pgsql_result_class(result, "22021")      /* not in encoding */
            && !ngx_pgsql_result_class(result, "22P05"))) /* no equivalent */
    {
        return NGX_DECLINED;
    }

    tp->unread = (tp->limit == 1);
    tp->limit = ngx_max(tp->limit / 4, 1);

    return NGX_OK;
}


static void
ngx_token_postgres_written_handler(void *data, ngx_int_t rc)
{
    ngx_token_postgres_t *tp = data;

    if (rc != NGX_OK) {
        /* not all at once if Redis is going to be lost again and again */
        ngx_token_postgres_again(tp, rc == NGX_DECLINED
                                     ? NGX_TOKEN_POSTGRES_TURN
                                     : NGX_TOKEN_POSTGRES_LOOK);
        return;
    }

    if (tp->more) {
        ngx_token_postgres_page(tp);
        return;
    }

    if (!tp->all) {
        ngx_token_postgres_finished(tp);
        return;
    }

    if (ngx_token_refill_finish(&tp->refill, ngx_token_postgres_finish_handler)
        != NGX_AGAIN)
    {
        ngx_token_postgres_again(tp, NGX_TOKEN_POSTGRES_TURN);
    }
}


static void
ngx_token_postgres_finish_handler(void *data, ngx_int_t rc)
{
    ngx_token_postgres_t *tp = data;

    if (rc != NGX_OK
        || (tp->marker.tags == NULL
            && tp->refill.era != ngx_redis_client_era(tp->client)))
    {
        ngx_token_postgres_again(tp, NGX_TOKEN_POSTGRES_TURN);
        return;
    }

    if (tp->marker.state == NGX_TOKEN_MARKER_ABSENT) {
        ngx_log_error(NGX_LOG_NOTICE, tp->log, 0,
                      "redis was told of all revocations in postgres");
    }

    (void) ngx_atomic_fetch_add(&tp->shm->fills, 1);

    if (tp->marker.tags) {
        /* it was missed before; who misses it now says so again */
        tp->shm->wanted = 0;
    }

    tp->synced = 1;
    ngx_token_marker_set(&tp->marker, NGX_TOKEN_MARKER_PRESENT);

    ngx_token_postgres_finished(tp);
}


/* Redis has all that the new snapshot shows. */

static void
ngx_token_postgres_finished(ngx_token_postgres_t *tp)
{
    ngx_token_postgres_shm_t  *shm;

    shm = tp->shm;

    ngx_pgsql_conn_well(tp->conn);

    ngx_token_postgres_save(tp);

    ngx_shared_number_set(&shm->heard, ngx_limiter_local_now());

    (void) ngx_atomic_fetch_add(&shm->written,
                                tp->refill.written - tp->written);
    (void) ngx_atomic_fetch_add(&shm->ignored,
                                tp->refill.ignored - tp->ignored);

    if (tp->refill.ignored != tp->ignored) {
        ngx_log_error(NGX_LOG_WARN, tp->log, 0,
                      "%ui rows of optcache.token_blacklist are ignored, they "
                      "cannot be revocations",
                      tp->refill.ignored - tp->ignored);
    }

    tp->busy = 0;
    tp->look = ngx_limiter_local_now() + NGX_TOKEN_POSTGRES_LOOK;

    ngx_token_postgres_next(tp);
}
