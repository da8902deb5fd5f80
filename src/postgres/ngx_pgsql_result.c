
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_pgsql_result.h"


static size_t ngx_pgsql_result_rows_size(const PGresult *result);


static u_char *ngx_pgsql_result_line(u_char *p, u_char *last,
    const char *text);


/* all that a message about an error may have */

static int  ngx_pgsql_result_fields[] = {
    PG_DIAG_SEVERITY,
    PG_DIAG_SEVERITY_NONLOCALIZED,
    PG_DIAG_SQLSTATE,
    PG_DIAG_MESSAGE_PRIMARY,
    PG_DIAG_MESSAGE_DETAIL,
    PG_DIAG_MESSAGE_HINT,
    PG_DIAG_STATEMENT_POSITION,
    PG_DIAG_INTERNAL_POSITION,
    PG_DIAG_INTERNAL_QUERY,
    PG_DIAG_CONTEXT,
    PG_DIAG_SCHEMA_NAME,
    PG_DIAG_TABLE_NAME,
    PG_DIAG_COLUMN_NAME,
    PG_DIAG_DATATYPE_NAME,
    PG_DIAG_CONSTRAINT_NAME,
    PG_DIAG_SOURCE_FILE,
    PG_DIAG_SOURCE_LINE,
    PG_DIAG_SOURCE_FUNCTION,
    0
};


void
ngx_pgsql_result_reason(const PGresult *result, u_char *buf)
{
    u_char      *p, *last;
    const char  *state, *text;

    last = buf + NGX_PGSQL_RESULT_REASON;

    state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);

    p = ngx_pgsql_result_line(buf, buf + 16, state ? state : "-----");

    if (text && last - p > 1) {
        *p++ = ' ';
        (void) ngx_pgsql_result_line(p, last, text);
    }
}


ngx_uint_t
ngx_pgsql_result_class(PGresult *result, const char *class)
{
    const char  *state;

    state = PQresultErrorField(result, PG_DIAG_SQLSTATE);

    return state && ngx_strncmp(state, class, ngx_strlen(class)) == 0;
}


ngx_int_t
ngx_pgsql_result_value(PGresult *result, ngx_uint_t row, ngx_uint_t column,
    ngx_str_t *value)
{
    if (row >= (ngx_uint_t) PQntuples(result)
        || column >= (ngx_uint_t) PQnfields(result)
        || PQgetisnull(result, row, column))
    {
        return NGX_DECLINED;
    }

    value->data = (u_char *) PQgetvalue(result, row, column);
    value->len = PQgetlength(result, row, column);

    return NGX_OK;
}


ngx_int_t
ngx_pgsql_result_append(PGresult **rows, PGresult *row)
{
    int    i, j, n, len;
    char  *value;

    if (*rows == NULL) {
        *rows = PQcopyResult(row, PG_COPYRES_ATTRS|PG_COPYRES_TUPLES);
        return *rows ? NGX_OK : NGX_ERROR;
    }

    for (i = 0; i < PQntuples(row); i++) {

        n = PQntuples(*rows);

        for (j = 0; j < PQnfields(row); j++) {

            value = PQgetisnull(row, i, j) ? NULL : PQgetvalue(row, i, j);
            len = value ? PQgetlength(row, i, j) : -1;

            if (!PQsetvalue(*rows, n, j, value, len)) {
                return NGX_ERROR;
            }
        }
    }

    return NGX_OK;
}


/*
 * A message has a type of one byte and a length of four; a NUL ends each text
 * but the values of a row.
 */

size_t
ngx_pgsql_result_size(const PGresult *result)
{
    int          i;
    size_t       size;
    const char  *text;

    switch (PQresultStatus(result)) {

    case PGRES_SINGLE_TUPLE:
        return ngx_pgsql_result_rows_size(result);

    case PGRES_TUPLES_OK:
    case PGRES_COMMAND_OK:

        size = ngx_pgsql_result_rows_size(result);

        /* of the columns, or that there are none */

        size += PQnfields(result) ? 5 + 2 : 5;

        for (i = 0; i < PQnfields(result); i++) {
            size += ngx_strlen(PQfname(result, i)) + 1 + 18;
        }

        text = PQcmdStatus((PGresult *) result);

        return text[0] ? size + 5 + ngx_strlen(text) + 1 : size;

    default:
        break;
    }

    size = 5 + 1;

    for (i = 0; ngx_pgsql_result_fields[i]; i++) {

        text = PQresultErrorField(result, ngx_pgsql_result_fields[i]);

        if (text) {
            size += 1 + ngx_strlen(text) + 1;
        }
    }

    return size;
}


static size_t
ngx_pgsql_result_rows_size(const PGresult *result)
{
    int     i, j;
    size_t  size;

    size = 0;

    for (i = 0; i < PQntuples(result); i++) {

        size += 5 + 2;

        for (j = 0; j < PQnfields(result); j++) {
            size += 4 + PQgetlength(result, i, j);
        }
    }

    return size;
}


/* The first line of a text. */

static u_char *
ngx_pgsql_result_line(u_char *p, u_char *last, const char *text)
{
    u_char  ch;

    while (p < last - 1) {

        ch = (u_char) *text++;

        if (ch == '\0' || ch == CR || ch == LF) {
            break;
        }

        *p++ = (ch < 0x20 || ch > 0x7e) ? '?' : ch;
    }

    *p = '\0';

    return p;
}


u_char *
ngx_pgsql_result_lines(u_char *p, u_char *last, const char *text)
{
    size_t       len, before;
    const char  *line, *last_line;

    before = 0;
    last_line = text;
    *p = '\0';

    for (line = text; *text && last - p > 3; text = line) {

        len = strcspn(text, CRLF);
        line = text + len + strspn(text + len, CRLF);

        /* a hint is indented; by TLS and without it may be one and the same */

        if (len == 0 || *text == '\t'
            || (len == before && ngx_strncmp(text, last_line, len) == 0))
        {
            continue;
        }

        p = before ? ngx_cpymem(p, "; ", 2) : p;
        p = ngx_pgsql_result_line(p, last, text);

        last_line = text;
        before = len;
    }

    return p;
}
