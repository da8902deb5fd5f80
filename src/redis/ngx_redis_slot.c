
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_redis_slot.h"


static ngx_str_t ngx_redis_slot_tag(ngx_str_t *key);


/* of the upper four bits, polynomial x^16 + x^12 + x^5 + 1 */

static uint16_t  ngx_redis_slot_crc[16] = {
    0x0000, 0x1021, 0x2042, 0x3063, 0x4084, 0x50a5, 0x60c6, 0x70e7,
    0x8108, 0x9129, 0xa14a, 0xb16b, 0xc18c, 0xd1ad, 0xe1ce, 0xf1ef
};


ngx_uint_t
ngx_redis_slot(ngx_str_t *key)
{
    size_t     i;
    uint16_t   crc;
    ngx_str_t  tag;

    tag = ngx_redis_slot_tag(key);

    crc = 0;

    for (i = 0; i < tag.len; i++) {
        crc = (uint16_t) (crc << 4)
              ^ ngx_redis_slot_crc[(crc >> 12) ^ (tag.data[i] >> 4)];
        crc = (uint16_t) (crc << 4)
              ^ ngx_redis_slot_crc[(crc >> 12) ^ (tag.data[i] & 0x0f)];
    }

    return crc % NGX_REDIS_SLOTS;
}


static ngx_str_t
ngx_redis_slot_tag(ngx_str_t *key)
{
    u_char     *open, *end, *last;
    ngx_str_t   tag;

    last = key->data + key->len;

    open = ngx_strlchr(key->data, last, '{');
    if (open == NULL) {
        return *key;
    }

    open++;

    end = ngx_strlchr(open, last, '}');
    if (end == NULL || end == open) {
        return *key;
    }

    tag.data = open;
    tag.len = end - open;

    return tag;
}
