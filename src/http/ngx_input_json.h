
/*
 * Copyright (C) The Optcache authors
 */


/*
 * JSON that came from elsewhere: tokens, sets of keys, bodies of requests.
 *
 * A text is looked through first, and only what can be read in one way goes
 * on to cJSON, which itself takes the first of two members of one name, lets
 * a string end at \u0000, and reads "01" and raw control characters.  Refused:
 *
 *   - what RFC 8259 does not allow, anything after the value, a BOM;
 *   - bytes that are not UTF-8, escapes that are half of a surrogate pair;
 *   - NUL, raw or escaped;
 *   - two members of one name in one object, however they are escaped;
 *   - numbers of 2^53 and more, either sign, and of more than 32 characters:
 *     readers do not agree which number that is (RFC 7493, 2.2);
 *   - more levels, members or values than the caller allows.
 *
 * Pure.  Only ngx_input_json.c reads with cJSON.
 */


#ifndef _NGX_INPUT_JSON_H_INCLUDED_
#define _NGX_INPUT_JSON_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#define NGX_INPUT_JSON_DEPTH   8
#define NGX_INPUT_JSON_DIGITS  32     /* characters */


typedef struct cJSON  ngx_input_json_t;

typedef enum {
    NGX_INPUT_JSON_NONE = 0,          /* there is no such value */
    NGX_INPUT_JSON_NULL,
    NGX_INPUT_JSON_BOOLEAN,
    NGX_INPUT_JSON_NUMBER,
    NGX_INPUT_JSON_STRING,
    NGX_INPUT_JSON_ARRAY,
    NGX_INPUT_JSON_OBJECT
} ngx_input_json_type_e;

typedef struct {
    size_t                    size;      /* bytes of the text */
    ngx_uint_t                members;   /* of all objects together */
    ngx_uint_t                values;    /* of any kind, together */
} ngx_input_json_limits_t;


/*
 * Parses a text that is one object.  The result lives as long as the pool.
 * Returns NGX_OK, NGX_DECLINED if the text is not acceptable, or NGX_ERROR if
 * there was no memory.
 */

ngx_int_t ngx_input_json_parse(ngx_pool_t *pool, const ngx_str_t *text,
    const ngx_input_json_limits_t *limits, ngx_input_json_t **json);


/*
 * All of these take NULL for a value that is not there.  Strings live as long
 * as the value and may have any byte but NUL.
 */

ngx_input_json_type_e ngx_input_json_type(const ngx_input_json_t *json);

/* A member of an object, by the exact bytes of its name; or NULL. */

ngx_input_json_t *ngx_input_json_find(const ngx_input_json_t *json,
    const u_char *name, size_t len);

#define ngx_input_json_member(json, name)                                     \
    ngx_input_json_find(json, (const u_char *) name, sizeof(name) - 1)

/* The elements of an array, or members of an object, in order; or NULL. */

ngx_input_json_t *ngx_input_json_first(const ngx_input_json_t *json);
ngx_input_json_t *ngx_input_json_next(const ngx_input_json_t *json);

/* The name of a member, which lives as long as that. */

void ngx_input_json_name(const ngx_input_json_t *json, ngx_str_t *name);

/* NGX_OK, or NGX_DECLINED if the value is of another type. */

ngx_int_t ngx_input_json_string(const ngx_input_json_t *json, ngx_str_t *text);
ngx_int_t ngx_input_json_number(const ngx_input_json_t *json, double *number);
ngx_int_t ngx_input_json_boolean(const ngx_input_json_t *json,
    ngx_uint_t *value);

/* Whether the value is this string. */

ngx_uint_t ngx_input_json_is(const ngx_input_json_t *json,
    const ngx_str_t *text);


/*
 * The first step of ngx_input_json_parse(): all of the above but names that
 * are there twice, and the size of numbers.  In ngx_input_json_scan.c.
 * Returns NGX_OK or NGX_DECLINED.
 */

ngx_int_t ngx_input_json_scan(const ngx_str_t *text,
    const ngx_input_json_limits_t *limits);


#endif /* _NGX_INPUT_JSON_H_INCLUDED_ */
