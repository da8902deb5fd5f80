
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <ngx_redis_format.h>
#include <ngx_redis_greeting.h>


static void greeting_is(const char *text, const char *password,
    ngx_uint_t words, const char *expected);
static ngx_int_t greeting_check(const char *wire, ngx_uint_t *words,
    const char **what, ngx_str_t *code);


static void
test_format(void **state)
{
    ngx_str_t   argv[3], command;

    static const char  wire[] = "*3\r\n$3\r\nSET\r\n$5\r\na\0\r\nb\r\n"
                                "$0\r\n\r\n";

    ngx_str_set(&argv[0], "SET");
    ngx_str_set(&argv[1], "a\0\r\nb");
    ngx_str_set(&argv[2], "");

    assert_int_equal(ngx_redis_format(3, argv, 1000, &command), NGX_OK);

    assert_int_equal(command.len, sizeof(wire) - 1);
    assert_memory_equal(command.data, wire, command.len);

    ngx_redis_format_free(&command);
}


static void
test_format_limit(void **state)
{
    size_t     len;
    ngx_str_t  argv[NGX_REDIS_MAX_ARGS + 1], command;

    ngx_memzero(argv, sizeof(argv));

    ngx_str_set(&argv[0], "ECHO");
    ngx_str_set(&argv[1], "x");
    argv[2] = argv[1];

    assert_int_equal(ngx_redis_format(3, argv, 1000, &command), NGX_OK);

    len = command.len;
    ngx_redis_format_free(&command);

    assert_int_equal(ngx_redis_format(3, argv, len, &command), NGX_OK);
    ngx_redis_format_free(&command);

    assert_int_equal(ngx_redis_format(3, argv, len - 1, &command), NGX_ERROR);
    assert_int_equal(ngx_redis_format(3, argv, 0, &command), NGX_ERROR);
    assert_int_equal(ngx_redis_format(NGX_REDIS_MAX_ARGS + 1, argv, 100000,
                                      &command), NGX_ERROR);

    /* lengths that would wrap around together */

    argv[1].len = (size_t) -1 / 2;
    argv[2].len = (size_t) -1 / 2 + 100;

    assert_int_equal(ngx_redis_format(3, argv, 1000, &command), NGX_ERROR);
}


static void
test_greeting(void **state)
{
    greeting_is("redis://h", "", NGX_REDIS_GREETING_PING,
                "*1\r\n$4\r\nPING\r\n");

    greeting_is("redis://h/12", "",
                NGX_REDIS_GREETING_SELECT|NGX_REDIS_GREETING_PING,
                "*2\r\n$6\r\nSELECT\r\n$2\r\n12\r\n*1\r\n$4\r\nPING\r\n");

    greeting_is("redis://h", "p w",
                NGX_REDIS_GREETING_AUTH|NGX_REDIS_GREETING_PING,
                "*2\r\n$4\r\nAUTH\r\n$3\r\np w\r\n*1\r\n$4\r\nPING\r\n");

    greeting_is("redis://bob@h/1", "p\r\n",
                NGX_REDIS_GREETING_AUTH|NGX_REDIS_GREETING_SELECT
                |NGX_REDIS_GREETING_ROLE|NGX_REDIS_GREETING_PING,
                "*3\r\n$4\r\nAUTH\r\n$3\r\nbob\r\n$3\r\np\r\n\r\n"
                "*2\r\n$6\r\nSELECT\r\n$1\r\n1\r\n*1\r\n$4\r\nROLE\r\n"
                "*1\r\n$4\r\nPING\r\n");
}


static void
test_check(void **state)
{
    ngx_str_t    code;
    ngx_uint_t   words;
    const char  *what;

    words = NGX_REDIS_GREETING_AUTH|NGX_REDIS_GREETING_SELECT
            |NGX_REDIS_GREETING_ROLE|NGX_REDIS_GREETING_PING;

    assert_int_equal(greeting_check("-WRONGPASS secret\r\n", &words, &what,
                                    &code), NGX_ERROR);
    assert_string_equal(what, "AUTH");
    assert_int_equal(code.len, 9);

    assert_int_equal(greeting_check("+OK\r\n", &words, &what, &code), NGX_OK);

    assert_int_equal(greeting_check("-ERR index\r\n", &words, &what, &code),
                     NGX_ERROR);
    assert_string_equal(what, "SELECT");

    assert_int_equal(greeting_check("+OK\r\n", &words, &what, &code), NGX_OK);

    assert_int_equal(greeting_check("-NOPERM x\r\n", &words, &what, &code),
                     NGX_ERROR);
    assert_string_equal(what, "ROLE");

    assert_int_equal(greeting_check("*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n",
                                    &words, &what, &code), NGX_OK);

    assert_int_equal(greeting_check("-LOADING x\r\n", &words, &what, &code),
                     NGX_ERROR);
    assert_string_equal(what, "PING");
    assert_int_equal(words, NGX_REDIS_GREETING_PING);

    assert_int_equal(greeting_check("+PONG\r\n", &words, &what, &code),
                     NGX_OK);
    assert_int_equal(words, 0);
}


/* what is not the answer of a Redis is none at all */

static void
test_check_odd(void **state)
{
    char       **row;
    ngx_str_t    code;
    ngx_uint_t   words;
    const char  *what;

    static char  *rows[] = {
        "+OK\r\n", "+PON\r\n", "+PONGS\r\n", "+pong\r\n", ":1\r\n",
        "$-1\r\n", "*0\r\n", "*1\r\n+PONG\r\n", "-\r\n", "+\r\n", NULL
    };

    for (row = rows; *row; row++) {
        words = NGX_REDIS_GREETING_PING;

        assert_int_equal(greeting_check(*row, &words, &what, &code),
                         NGX_ERROR);
        assert_int_equal(words, NGX_REDIS_GREETING_PING);
        assert_int_not_equal(code.len, 0);
    }
}


/* only a master is one */

/* a server that cannot save its data refuses PING, too, and serves reads */

static void
test_check_misconf(void **state)
{
    ngx_str_t    code;
    ngx_uint_t   words;
    const char  *what;

    words = NGX_REDIS_GREETING_PING;

    assert_int_equal(greeting_check("-MISCONF Redis is configured to\r\n",
                                    &words, &what, &code), NGX_OK);
    assert_int_equal(words, 0);

    words = NGX_REDIS_GREETING_SELECT|NGX_REDIS_GREETING_PING;

    assert_int_equal(greeting_check("-MISCONF Redis is configured to\r\n",
                                    &words, &what, &code), NGX_ERROR);

    words = NGX_REDIS_GREETING_PING;

    assert_int_equal(greeting_check("+MISCONF\r\n", &words, &what, &code),
                     NGX_ERROR);
}


static void
test_check_role(void **state)
{
    char       **row;
    ngx_str_t    code;
    ngx_uint_t   words;
    const char  *what;

    static char  *rows[] = {
        "*5\r\n$5\r\nslave\r\n$1\r\nh\r\n:1\r\n$9\r\nconnected\r\n:0\r\n",
        "*2\r\n$8\r\nsentinel\r\n*1\r\n$1\r\nm\r\n",
        "*1\r\n$7\r\nmasters\r\n", "*1\r\n$5\r\nmaste\r\n",
        "*1\r\n$6\r\nMASTER\r\n", "*1\r\n*1\r\n$6\r\nmaster\r\n",
        "*1\r\n$-1\r\n", "*1\r\n:1\r\n", "*0\r\n", "*-1\r\n", "+OK\r\n",
        "+PONG\r\n", "$0\r\n\r\n", "+master\r\n", "$6\r\nmaster\r\n", NULL
    };

    for (row = rows; *row; row++) {
        words = NGX_REDIS_GREETING_ROLE|NGX_REDIS_GREETING_PING;

        assert_int_equal(greeting_check(*row, &words, &what, &code),
                         NGX_ERROR);
        assert_string_equal(what, "ROLE");
        assert_int_not_equal(code.len, 0);
    }
}


static void
greeting_is(const char *text, const char *password, ngx_uint_t words,
    const char *expected)
{
    u_char           *p, buf[512];
    ngx_str_t         s, pw;
    const char       *err;
    ngx_redis_url_t   url;

    s.data = (u_char *) text;
    s.len = strlen(text);
    pw.data = (u_char *) password;
    pw.len = strlen(password);

    assert_int_equal(ngx_redis_url_parse(&s, &url, &err), NGX_OK);

    p = ngx_redis_greeting_format(buf, words, &url, &pw);

    assert_int_equal(p - buf, strlen(expected));
    assert_memory_equal(buf, expected, p - buf);
}


static ngx_int_t
greeting_check(const char *wire, ngx_uint_t *words, const char **what,
    ngx_str_t *code)
{
    ngx_int_t            rc;
    redisReply          *reply;
    ngx_redis_reader_t   rd;

    assert_int_equal(ngx_redis_reader_init(&rd, 1000), NGX_OK);
    assert_int_equal(ngx_redis_reader_feed(&rd, (u_char *) wire,
                                           strlen(wire)), NGX_OK);
    assert_int_equal(ngx_redis_reader_next(&rd, &reply), NGX_OK);

    rc = ngx_redis_greeting_check(reply, words, what, code);

    freeReplyObject(reply);
    ngx_redis_reader_free(&rd);

    return rc;
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_format),
        cmocka_unit_test(test_format_limit),
        cmocka_unit_test(test_greeting),
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_check_odd),
        cmocka_unit_test(test_check_misconf),
        cmocka_unit_test(test_check_role),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
