
/*
 * Copyright (C) The Optcache authors
 */


/*
 * Header fields of a stored response, in memory and in Redis alike:
 *
 *     id(1) name length(1) value length(4, little-endian) name value
 */


#ifndef _NGX_OPTCACHE_FIELD_H_INCLUDED_
#define _NGX_OPTCACHE_FIELD_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_text.h"


#define NGX_OPTCACHE_HEAD_MAX   65536
#define NGX_OPTCACHE_NAME_MAX   255

/* bytes before a name */
#define NGX_OPTCACHE_FIELD_HEADER  6


/* fields that nginx keeps a pointer to, or that are made anew for each hit */

typedef enum {
    NGX_OPTCACHE_FIELD_OTHER = 0,
    NGX_OPTCACHE_FIELD_CONTENT_TYPE,
    NGX_OPTCACHE_FIELD_CONTENT_ENCODING,
    NGX_OPTCACHE_FIELD_LAST_MODIFIED,
    NGX_OPTCACHE_FIELD_ETAG,
    NGX_OPTCACHE_FIELD_DATE,
    NGX_OPTCACHE_FIELD_EXPIRES,
    NGX_OPTCACHE_FIELD_CACHE_CONTROL,
    NGX_OPTCACHE_FIELD_VARY,
    NGX_OPTCACHE_FIELD_LOCATION,
    NGX_OPTCACHE_FIELD_CONTENT_RANGE,
    NGX_OPTCACHE_FIELD_SET_COOKIE,      /* only if configured so */
    NGX_OPTCACHE_FIELD_SERVER,
    NGX_OPTCACHE_FIELD_WWW_AUTHENTICATE,

    /* what is never stored: of the connection, or of this one answer */
    NGX_OPTCACHE_FIELD_NEVER
} ngx_optcache_field_e;


typedef struct {
    ngx_optcache_field_e      id;
    ngx_str_t                 name;
    ngx_str_t                 value;
} ngx_optcache_field_t;


/*
 * What a field name stands for; case-insensitive.  NGX_OPTCACHE_FIELD_NEVER
 * for hop-by-hop fields (RFC 9110, 7.6.1), those that frame a message, Age,
 * and rate limit fields, which speak of one request
 * (draft-ietf-httpapi-ratelimit-headers).
 */

ngx_optcache_field_e ngx_optcache_field_id(ngx_str_t *name);

/*
 * Whether a field may stand in a response: its name is a token, its value has
 * no control characters but the tab (RFC 9110, 5.1 and 5.5), so that nothing
 * in it can begin another field or a body.
 */

ngx_uint_t ngx_optcache_field_valid(ngx_optcache_field_t *field);

/* The same of its value alone: a name that has an id is known to be one. */

ngx_uint_t ngx_optcache_field_valid_value(ngx_str_t *value);

/* Bytes that a field takes in a head. */

size_t ngx_optcache_field_size(ngx_optcache_field_t *field);

/*
 * Writes a field at p and returns the end.  The caller has made sure that
 * the name has at most NGX_OPTCACHE_NAME_MAX bytes.
 */

static ngx_inline u_char *
ngx_optcache_field_write(u_char *p, ngx_optcache_field_t *field)
{
    uint32_t  len;

    len = (uint32_t) field->value.len;

    *p++ = (u_char) field->id;
    *p++ = (u_char) field->name.len;
    *p++ = (u_char) len;
    *p++ = (u_char) (len >> 8);
    *p++ = (u_char) (len >> 16);
    *p++ = (u_char) (len >> 24);

    p = ngx_cpymem(p, field->name.data, field->name.len);

    return ngx_text_copy(p, &field->value);
}


/*
 * Reads the field at p, of a head that ends at "last"; the parts point into
 * it.  Returns the end of the field, or NULL when it does not fit.
 */

static ngx_inline u_char *
ngx_optcache_field_read(u_char *p, u_char *last, ngx_optcache_field_t *field)
{
    if ((size_t) (last - p) < NGX_OPTCACHE_FIELD_HEADER) {
        return NULL;
    }

    field->id = (ngx_optcache_field_e) p[0];
    field->name.len = p[1];
    field->value.len = (uint32_t) p[2] | (uint32_t) p[3] << 8
                       | (uint32_t) p[4] << 16 | (uint32_t) p[5] << 24;

    p += NGX_OPTCACHE_FIELD_HEADER;

    if ((size_t) (last - p) < field->name.len
        || (size_t) (last - p) - field->name.len < field->value.len)
    {
        return NULL;
    }

    field->name.data = p;
    p += field->name.len;

    field->value.data = p;

    return p + field->value.len;
}


/*
 * Finds the first field of an id in a head.  NGX_DECLINED: none; NGX_ERROR: it
 * does not fit.
 */

static ngx_inline ngx_int_t
ngx_optcache_field_find(ngx_str_t *head, ngx_optcache_field_e id,
    ngx_optcache_field_t *field)
{
    u_char  *p, *last;

    p = head->data;
    last = p + head->len;

    while (p < last) {
        p = ngx_optcache_field_read(p, last, field);

        if (p == NULL) {
            return NGX_ERROR;
        }

        if (field->id == id) {
            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}


/*
 * Checks a head that comes from outside, field by field: it can be read, is
 * valid, may be stored, and its ids are those of its names.
 * NGX_OK or NGX_DECLINED.
 */

ngx_int_t ngx_optcache_field_check(ngx_str_t *head);


#endif /* _NGX_OPTCACHE_FIELD_H_INCLUDED_ */
