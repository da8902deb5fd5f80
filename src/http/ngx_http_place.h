
/*
 * Copyright (C) The Optcache authors
 */


/*
 * Locations that "nginx -t" may have a warning about, looked at when all of
 * the configuration is read and merged; and those that are not to be cached.
 *
 * What other modules are told is looked up by the names of their directives:
 * the tables of directives say where a value is, and it is nonzero where the
 * directive is in force.  Of those without a place in the table ("allow",
 * "auth_request") it is the first word of the module's configuration.  Should
 * that be another one day, there is a warning too many or too few.
 */


#ifndef _NGX_HTTP_PLACE_H_INCLUDED_
#define _NGX_HTTP_PLACE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_line.h"


typedef struct {
    void                    **loc_conf;
    void                    **srv_conf;
    ngx_http_line_t          *line;      /* where its block begins */
} ngx_http_place_t;


/*
 * Notes the location that is being merged in "places", of ngx_http_place_t,
 * unless it is an "if" or limit_except; "line" is where it begins, and stays.
 * NGX_OK, or NGX_ERROR when out of memory.
 */

ngx_int_t ngx_http_place_add(ngx_conf_t *cf, ngx_array_t *places,
    ngx_http_line_t *line);

/*
 * 1 if one of the two modules answers in the location that is being merged,
 * whichever of them is merged first: by an API or a logout.  An "if" and a
 * limit_except are parts of the location around them, and may be told of that
 * or not yet.
 */

ngx_uint_t ngx_http_place_own(ngx_conf_t *cf);

/*
 * 1 if there is a try_files in the location that is being merged.  It is not
 * inherited: an "if" or a limit_except has none.
 */

ngx_uint_t ngx_http_place_tries(ngx_conf_t *cf);

/*
 * 1 if something is put before or behind the bodies of the location that is
 * being merged.  These are inherited as that module does it, which has merged
 * its own by now, or does not inherit.
 */

ngx_uint_t ngx_http_place_adds(ngx_conf_t *cf);

/*
 * 1 if users prove who they are there: auth_basic, auth_request, client
 * certificates, tokens that are required or verified.
 */

ngx_uint_t ngx_http_place_authenticated(ngx_conf_t *cf,
    ngx_http_place_t *place);

/*
 * 1 if tokens are verified there, so that $token_sub and the like may have a
 * value.
 */

ngx_uint_t ngx_http_place_verified(ngx_conf_t *cf, ngx_http_place_t *place);

/*
 * 1 if anybody may get there: it is not "internal", there are neither "allow"
 * nor "deny" nor any of the above, nor in its limit_except, and its server
 * listens on an address that is not one of this host alone.
 */

ngx_uint_t ngx_http_place_open(ngx_conf_t *cf, ngx_http_place_t *place);

/* The name of the location, as configured; empty for a server as a whole. */

ngx_str_t *ngx_http_place_name(ngx_http_place_t *place);

/*
 * The next variable in a value of the configuration, from *pos on, which moves
 * behind it; *name is without "$" and braces.  NGX_DONE if there is no other.
 * The text is one that nginx has compiled.
 */

ngx_int_t ngx_http_place_variable(ngx_str_t *text, size_t *pos,
    ngx_str_t *name);

/*
 * 1 if a variable of the text, which nginx has compiled, has a name that goes
 * on behind a dot or a dash: "$cookie_connect.sid" is "$cookie_connect", which
 * nobody has, and ".sid".  "name" is that of the variable, "rest" what it was
 * cut off.  Looked at are cookies, arguments and fields; braces say that it is
 * meant.
 */

ngx_uint_t ngx_http_place_cut(ngx_str_t *text, ngx_str_t *name,
    ngx_str_t *rest);

/*
 * 1 if the text is the name of a variable that tells who a request is of, whose
 * "$" was most likely forgotten.  Known are those of modules, and those that
 * are told above this line.  0 if some character of it is in no such name.
 */

ngx_uint_t ngx_http_place_bare(ngx_conf_t *cf, ngx_str_t *text);

/* 1 if it is one of these words, in any case; "http_*" is any that begins so */

ngx_uint_t ngx_http_place_listed(ngx_str_t *name, const char **words);


#endif /* _NGX_HTTP_PLACE_H_INCLUDED_ */
