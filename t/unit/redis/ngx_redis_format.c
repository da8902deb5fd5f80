
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <hiredis/hiredis.h>

#include <ngx_redis_format.h>


#define MAX  100000


static void
same(ngx_uint_t argc, ngx_str_t *argv)
{
    int          n;
    char        *wire;
    size_t       len[16];
    ngx_str_t    command;
    ngx_uint_t   i;
    const char  *data[16];

    for (i = 0; i < argc; i++) {
        data[i] = (char *) argv[i].data;
        len[i] = argv[i].len;
    }

    n = redisFormatCommandArgv(&wire, (int) argc, data, len);
    assert_true(n > 0);

    assert_int_equal(ngx_redis_format(argc, argv, MAX, &command), NGX_OK);

    assert_int_equal(command.len, n);
    assert_memory_equal(command.data, wire, n);

    ngx_redis_format_free(&command);
    redisFreeCommand(wire);
}


/* many are of a form that was there before, and some only of its place */

static void
test_random(void **state)
{
    u_char      buf[16][2048];
    ngx_str_t   argv[16];
    ngx_uint_t  i, k, n, argc;

    srandom(1);

    for (n = 0; n < 200000; n++) {
        argc = 1 + random() % 10;

        for (i = 0; i < argc; i++) {
            argv[i].data = buf[i];
            argv[i].len = (random() % 50) ? (size_t) random() % 3
                                          : (size_t) random() % 1200;

            for (k = 0; k < argv[i].len; k++) {
                buf[i][k] = "$*\r\n0123456789ab\0\xff"[random() % 18];
            }
        }

        same(argc, argv);
    }
}


/* as ngx_str_null() leaves it; the second command is of the first one's form */

static void
test_no_address(void **state)
{
    ngx_str_t   argv[3] = { ngx_string("SET"), ngx_null_string,
                            ngx_string("value") };
    ngx_str_t   command;
    ngx_uint_t  i;

    static ngx_str_t  wire = ngx_string("*3\r\n$3\r\nSET\r\n$0\r\n\r\n"
                                        "$5\r\nvalue\r\n");

    for (i = 0; i < 2; i++) {
        assert_int_equal(ngx_redis_format(3, argv, MAX, &command), NGX_OK);

        assert_int_equal(command.len, wire.len);
        assert_memory_equal(command.data, wire.data, wire.len);

        ngx_redis_format_free(&command);
    }
}


static void
test_max(void **state)
{
    ngx_str_t   argv[2] = { ngx_string("GET"), ngx_string("key") };
    ngx_str_t   command;
    ngx_uint_t  i;

    /* the first makes the form, the second uses it */

    for (i = 0; i < 2; i++) {
        assert_int_equal(ngx_redis_format(2, argv, 21, &command), NGX_ERROR);
        assert_int_equal(ngx_redis_format(2, argv, 22, &command), NGX_OK);
        assert_int_equal(command.len, 22);
        ngx_redis_format_free(&command);
    }
}


static void
test_many(void **state)
{
    ngx_str_t   argv[NGX_REDIS_MAX_ARGS + 1], command;
    ngx_uint_t  i;

    for (i = 0; i <= NGX_REDIS_MAX_ARGS; i++) {
        ngx_str_set(&argv[i], "a");
    }

    assert_int_equal(ngx_redis_format(NGX_REDIS_MAX_ARGS, argv, MAX, &command),
                     NGX_OK);
    ngx_redis_format_free(&command);

    assert_int_equal(ngx_redis_format(NGX_REDIS_MAX_ARGS + 1, argv, MAX,
                                      &command),
                     NGX_ERROR);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_no_address),
        cmocka_unit_test(test_max),
        cmocka_unit_test(test_many)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
