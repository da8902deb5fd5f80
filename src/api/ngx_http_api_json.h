
/*
 * Copyright (C) The Optcache authors
 */


/*
 * JSON, written one member after the other.  Nobody else sees cJSON.
 *
 * A writer remembers that it failed, for want of memory: only _encode() tells.
 *
 * Text may be any bytes.  What is not UTF-8 (RFC 3629), and NUL, which C
 * strings cannot hold, are each written as U+FFFD, so that a document is valid
 * whatever a client has sent; two texts may look the same then.
 */


#ifndef _NGX_HTTP_API_JSON_H_INCLUDED_
#define _NGX_HTTP_API_JSON_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* objects and arrays within each other */
#define NGX_HTTP_API_JSON_DEPTH  8

/* the largest number that whoever reads JSON as doubles reads exactly */
#define NGX_HTTP_API_JSON_MAX    (((uint64_t) 1 << 53) - 1)


typedef struct ngx_http_api_json_s  ngx_http_api_json_t;


/*
 * A writer, whose document is an object.  What it has taken is given back by
 * _encode(), or with the pool.  NULL when out of memory; all functions below
 * take that for a writer that failed.
 */

ngx_http_api_json_t *ngx_http_api_json_create(ngx_pool_t *pool);

/*
 * Begin a member that is an object or an array, and end the last one begun.
 * Here and below "name" is NULL in an array, and copied.
 */

void ngx_http_api_json_object(ngx_http_api_json_t *json, const char *name);
void ngx_http_api_json_array(ngx_http_api_json_t *json, const char *name);
void ngx_http_api_json_end(ngx_http_api_json_t *json);

/* Members.  A number above NGX_HTTP_API_JSON_MAX is written as that. */

void ngx_http_api_json_number(ngx_http_api_json_t *json, const char *name,
    uint64_t n);
void ngx_http_api_json_flag(ngx_http_api_json_t *json, const char *name,
    ngx_uint_t flag);
void ngx_http_api_json_null(ngx_http_api_json_t *json, const char *name);
void ngx_http_api_json_string(ngx_http_api_json_t *json, const char *name,
    const ngx_str_t *text);

/* The same for a C string. */

void ngx_http_api_json_text(ngx_http_api_json_t *json, const char *name,
    const char *text);

/*
 * Writes the document and a line feed to "body", allocated from the pool of
 * the writer, which is of no use any more.  Returns NGX_OK or NGX_ERROR.
 */

ngx_int_t ngx_http_api_json_encode(ngx_http_api_json_t *json, ngx_str_t *body);


#endif /* _NGX_HTTP_API_JSON_H_INCLUDED_ */
