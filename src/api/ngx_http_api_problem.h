
/*
 * Copyright (C) The Optcache authors
 */


/*
 * Problem documents (RFC 9457): what a refused request is told.
 */


#ifndef _NGX_HTTP_API_PROBLEM_H_INCLUDED_
#define _NGX_HTTP_API_PROBLEM_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/* draft-ietf-httpapi-ratelimit-headers, problem types */

#define NGX_HTTP_API_PROBLEM_QUOTA                                            \
    "https://iana.org/assignments/http-problem-types#quota-exceeded"
#define NGX_HTTP_API_PROBLEM_CAPACITY                                         \
    "https://iana.org/assignments/http-problem-types"                         \
    "#temporary-reduced-capacity"


/* what is NULL or empty is left out */

typedef struct {
    const char               *type;
    const char               *title;
    ngx_uint_t                status;
    ngx_str_t                 detail;

    const char               *list;      /* a member that is an array */
    ngx_str_t                *names;     /* of these strings */
    ngx_uint_t                nnames;
} ngx_http_api_problem_t;


/*
 * Writes the document, allocated from the pool, to "body".  Works while the
 * configuration is read, too.  Returns NGX_OK or NGX_ERROR.
 */

ngx_int_t ngx_http_api_problem_encode(ngx_http_api_problem_t *problem,
    ngx_pool_t *pool, ngx_str_t *body);

/*
 * Answers with "status" and "body", which must live as long as the request;
 * header lines added before stay, the request's body is discarded.  If an
 * error_page of the location takes that status, nothing is sent and the
 * status is returned for nginx to do so.
 *
 * The result is what a content handler returns.  A phase handler, which must
 * not have it looked at by others of its phase (a 401 under "satisfy any"),
 * gives it to ngx_http_finalize_request() and returns NGX_DONE.
 */

ngx_int_t ngx_http_api_problem_send(ngx_http_request_t *r, ngx_uint_t status,
    ngx_str_t *body);

/* Both, for a problem that has these two members and no more. */

ngx_int_t ngx_http_api_problem(ngx_http_request_t *r, ngx_uint_t status,
    const char *title, const char *detail);


#endif /* _NGX_HTTP_API_PROBLEM_H_INCLUDED_ */
