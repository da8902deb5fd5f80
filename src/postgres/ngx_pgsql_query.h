
/*
 * Copyright (C) The Optcache authors
 */


/*
 * Words of queries.  Whoever may create something in a schema of the search
 * path could put an operator or a function there that fits its arguments
 * better than that of pg_catalog, and it would run as the role of nginx.  So
 * each is called by its whole name; a SET would not last behind a pooler.
 * That goes for types, too, but not for what is syntax: bigint, interval,
 * extract, coalesce, greatest.  nullif, IN and BETWEEN are not to be used:
 * they look for an operator.
 */


#ifndef _NGX_PGSQL_QUERY_H_INCLUDED_
#define _NGX_PGSQL_QUERY_H_INCLUDED_


/* All of these bind alike: of two in a row the inner one is in parentheses. */

#define NGX_PGSQL_OP(op)      " OPERATOR(pg_catalog." op ") "

#define NGX_PGSQL_EQ          NGX_PGSQL_OP("=")
#define NGX_PGSQL_NE          NGX_PGSQL_OP("<>")
#define NGX_PGSQL_LT          NGX_PGSQL_OP("<")
#define NGX_PGSQL_LE          NGX_PGSQL_OP("<=")
#define NGX_PGSQL_GT          NGX_PGSQL_OP(">")
#define NGX_PGSQL_GE          NGX_PGSQL_OP(">=")

/* A parameter of text as another type; NULL if it is empty. */

#define NGX_PGSQL_OPTIONAL(param, type)                                       \
    "CASE WHEN " param "::pg_catalog.text" NGX_PGSQL_NE "''"                  \
    " THEN " param "::pg_catalog.text::" type " END"

/* The seconds of a time or an interval in parts of them, as a whole number. */

#define NGX_PGSQL_UNITS(value, units)                                         \
    "(extract(epoch FROM " value ")::double precision"                        \
    NGX_PGSQL_OP("*") units "::double precision)"


/*
 * Has the server wait for no lock much longer than its client for the answer,
 * unless the role has a limit of its own.  A process that waits for a lock does
 * not see that its client has left, and each new connection would add one.  If
 * it is not "pid" that answers, the session is one of a pooler, and others get
 * it next: then nothing is set.
 */
#define NGX_PGSQL_WAIT_LESS(pid)                                              \
    "CASE WHEN pg_catalog.pg_backend_pid()" NGX_PGSQL_EQ pid "::integer"      \
    " AND pg_catalog.current_setting('lock_timeout')" NGX_PGSQL_EQ "'0'"      \
    " THEN pg_catalog.set_config('lock_timeout', '11s', false) END"


#endif /* _NGX_PGSQL_QUERY_H_INCLUDED_ */
