
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_pgsql_result.h"


void
ngx_pgsql_result_reason(PGresult *result, u_char *buf)
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


u_char *
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
