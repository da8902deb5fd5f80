
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <ngx_redis_slot.h>


typedef struct {
    ngx_str_t   key;
    ngx_uint_t  slot;
} slot_t;


static uint16_t slot_crc_by_bits(u_char *p, size_t len);


/* as CLUSTER KEYSLOT says; the first is the check value of the algorithm */

static void
test_known(void **state)
{
    slot_t  *row;

    static slot_t  rows[] = {
        { ngx_string("123456789"), 0x31c3 },
        { ngx_string(""), 0 },
        { ngx_string("foo"), 12182 },
        { ngx_string("bar"), 5061 },
        { ngx_string("hello"), 866 },
        { ngx_string("somekey"), 11058 },
        { ngx_null_string, 0 }
    };

    for (row = rows; row->key.data; row++) {
        assert_int_equal(ngx_redis_slot(&row->key), row->slot);
    }
}


static void
test_tags(void **state)
{
    ngx_uint_t  i;

    static ngx_str_t  rows[][2] = {
        { ngx_string("{foo}"), ngx_string("foo") },
        { ngx_string("a{foo}b"), ngx_string("foo") },
        { ngx_string("{foo}{bar}"), ngx_string("foo") },
        { ngx_string("}{foo}"), ngx_string("foo") },
        { ngx_string("foo{{bar}}zap"), ngx_string("{bar") },
        { ngx_string("foo{bar}{zap}"), ngx_string("bar") }
    };

    static ngx_str_t  whole[] = {
        ngx_string("foo{}{bar}"),
        ngx_string("{}foo"),
        ngx_string("{foo"),
        ngx_string("foo}"),
        ngx_string("foo{"),
        ngx_string("}foo{")
    };

    for (i = 0; i < 6; i++) {
        assert_int_equal(ngx_redis_slot(&rows[i][0]),
                         ngx_redis_slot(&rows[i][1]));
    }

    for (i = 0; i < 6; i++) {
        assert_int_equal(ngx_redis_slot(&whole[i]),
                         slot_crc_by_bits(whole[i].data, whole[i].len)
                         % NGX_REDIS_SLOTS);
    }
}


/* each byte, and bytes that are no text, against another way to count */

static void
test_bytes(void **state)
{
    u_char      buf[3];
    size_t      len;
    ngx_str_t   key;
    ngx_uint_t  i, seen;

    static u_char  slots[NGX_REDIS_SLOTS];

    seen = 0;

    for (i = 0; i < 256 * 256; i++) {
        buf[0] = (u_char) (i >> 8);
        buf[1] = (u_char) i;
        buf[2] = (u_char) (i * 7);

        len = 1 + i % 3;

        if (buf[0] == '{') {
            continue;
        }

        key.len = len;
        key.data = buf;

        assert_int_equal(ngx_redis_slot(&key),
                         slot_crc_by_bits(buf, len) % NGX_REDIS_SLOTS);

        if (!slots[ngx_redis_slot(&key)]) {
            slots[ngx_redis_slot(&key)] = 1;
            seen++;
        }
    }

    assert_true(seen > NGX_REDIS_SLOTS / 2);
}


static uint16_t
slot_crc_by_bits(u_char *p, size_t len)
{
    size_t      i;
    uint16_t    crc;
    ngx_uint_t  bit;

    crc = 0;

    for (i = 0; i < len; i++) {
        crc ^= (uint16_t) (p[i] << 8);

        for (bit = 0; bit < 8; bit++) {
            crc = (crc & 0x8000) ? (uint16_t) ((crc << 1) ^ 0x1021)
                                 : (uint16_t) (crc << 1);
        }
    }

    return crc;
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_known),
        cmocka_unit_test(test_tags),
        cmocka_unit_test(test_bytes)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
