
/*
 * Copyright (C) The Optcache authors
 */


/* Structured Fields (RFC 9651): what dictionaries and lists are made of */


#ifndef _NGX_HTTP_RFC9651_ITEM_H_INCLUDED_
#define _NGX_HTTP_RFC9651_ITEM_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


typedef enum {
    NGX_HTTP_RFC9651_BOOLEAN = 0,
    NGX_HTTP_RFC9651_INTEGER,
    NGX_HTTP_RFC9651_DECIMAL,
    NGX_HTTP_RFC9651_STRING,
    NGX_HTTP_RFC9651_TOKEN,
    NGX_HTTP_RFC9651_BYTES,
    NGX_HTTP_RFC9651_DATE,
    NGX_HTTP_RFC9651_DISPLAY,
    NGX_HTTP_RFC9651_LIST               /* an inner list */
} ngx_http_rfc9651_type_e;


/* A member; its parts point into the line, parameters are not kept */

typedef struct {
    ngx_str_t                  key;     /* in lower case, as all are */
    ngx_http_rfc9651_type_e    type;
    ngx_uint_t                 truth;   /* of a boolean */
    ngx_str_t                  text;    /* as it is written; of a string what
                                           is between the quotes; empty for a
                                           boolean that stands for itself */
} ngx_http_rfc9651_member_t;


/*
 * Each takes what begins at p and returns its end, or NULL: it is none.  An
 * item (RFC 9651, 4.2.3.1) sets type, truth and text of *m.  Pure.
 */

u_char *ngx_http_rfc9651_key(u_char *p, u_char *last);
u_char *ngx_http_rfc9651_parameters(u_char *p, u_char *last);
u_char *ngx_http_rfc9651_inner_list(u_char *p, u_char *last);
u_char *ngx_http_rfc9651_item(u_char *p, u_char *last,
    ngx_http_rfc9651_member_t *m);

/* Skips spaces, and none of the tabs. */

static ngx_inline u_char *
ngx_http_rfc9651_spaces(u_char *p, u_char *last)
{
    while (p < last && *p == ' ') {
        p++;
    }

    return p;
}


/*
 * Leaves out what is around a field.  RFC 9651, 4.2, knows of spaces there and
 * of no tabs, since these are no part of a value (RFC 9110, 5.5): nginx leaves
 * them in.
 */

static ngx_inline void
ngx_http_rfc9651_trim(u_char **p, u_char **last)
{
    while (*p < *last && (**p == ' ' || **p == '\t')) {
        (*p)++;
    }

    while (*last > *p && ((*last)[-1] == ' ' || (*last)[-1] == '\t')) {
        (*last)--;
    }
}


#endif /* _NGX_HTTP_RFC9651_ITEM_H_INCLUDED_ */
