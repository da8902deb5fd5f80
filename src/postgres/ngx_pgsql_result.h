
/*
 * Copyright (C) The Optcache authors
 */


/*
 * What a PostgreSQL answered, which is looked at like what comes from a
 * stranger.  Pure.
 */


#ifndef _NGX_PGSQL_RESULT_H_INCLUDED_
#define _NGX_PGSQL_RESULT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <libpq-fe.h>


#define NGX_PGSQL_RESULT_REASON  256     /* bytes of a log line */


/*
 * Writes what a result says is wrong: its SQLSTATE and the first line, without
 * anything a log must not have; at most NGX_PGSQL_RESULT_REASON bytes with the
 * NUL.
 */

void ngx_pgsql_result_reason(const PGresult *result, u_char *buf);

/* Whether the SQLSTATE of an error begins with these characters. */

ngx_uint_t ngx_pgsql_result_class(PGresult *result, const char *class);

/*
 * A value of a row, which lives as long as the result: NGX_OK, or NGX_DECLINED
 * if it is NULL or not there.
 */

ngx_int_t ngx_pgsql_result_value(PGresult *result, ngx_uint_t row,
    ngx_uint_t column, ngx_str_t *value);

/*
 * Adds the rows of a result to "*rows", which is made if it is NULL and has to
 * be freed; they have the same columns.  NGX_ERROR when out of memory.
 */

ngx_int_t ngx_pgsql_result_append(PGresult **rows, PGresult *row);

/*
 * How many bytes at least the server has sent for a result, without those of
 * the rows before if it is the last one of several.
 */

size_t ngx_pgsql_result_size(const PGresult *result);

/*
 * Writes all lines of a text with "; " between them and a NUL, up to "last",
 * with a question mark for what a log must not have: libpq has a line for each
 * address that it has tried.  Left out are its hints, which begin with a tab,
 * and a line that is the one before it.  Returns where the NUL is.
 */

u_char *ngx_pgsql_result_lines(u_char *p, u_char *last, const char *text);


#endif /* _NGX_PGSQL_RESULT_H_INCLUDED_ */
