
/*
 * Copyright (C) The Optcache authors
 */


/*
 * The page that optcache_api serves at its prefix: it shows what /status and
 * /health say, of the limiter's API, too, and is all in one document.
 *
 * It is made of the files beside this one by page.sh when nginx is built:
 *
 *     dashboard.html    its frame
 *     dashboard.css
 *     dashboard.js      counters and their rates; then charts.js, panels.js,
 *                       and actions.js, what it does and when
 *
 * A policy (Content Security Policy, level 3) lets a browser use no other
 * script or style than the ones within, by their digests, which are taken of
 * the page itself when the configuration is read.
 */


#ifndef _NGX_HTTP_OPTCACHE_DASHBOARD_H_INCLUDED_
#define _NGX_HTTP_OPTCACHE_DASHBOARD_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/*
 * Writes the value of Content-Security-Policy, from the pool, to "policy".
 * NGX_ERROR: out of memory, or the page has no style or no script.
 */

ngx_int_t ngx_http_optcache_dashboard_policy(ngx_pool_t *pool,
    ngx_str_t *policy);

/*
 * Answers with the page, or with a redirect to "location" and a slash, which
 * what the page refers to is below.  Returns what a content handler returns;
 * the fields of all responses of an API are there already.  "policy" lives as
 * long as the request.
 */

ngx_int_t ngx_http_optcache_dashboard_send(ngx_http_request_t *r,
    ngx_str_t *policy);
ngx_int_t ngx_http_optcache_dashboard_redirect(ngx_http_request_t *r,
    ngx_str_t *location);


#endif /* _NGX_HTTP_OPTCACHE_DASHBOARD_H_INCLUDED_ */
