
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <ngx_redis_master.h>


static ngx_int_t master_parse(const char *wire, ngx_redis_master_t *m);
static ngx_int_t master_parts(const char *host, const char *port,
    ngx_redis_master_t *m);
static ngx_str_t str(const char *text);


static void
test_name(void **state)
{
    char       name[NGX_REDIS_MASTER_MAX_NAME + 2];
    ngx_str_t  s;

    ngx_memset(name, 'a', sizeof(name));

    s.data = (u_char *) name;
    s.len = NGX_REDIS_MASTER_MAX_NAME;
    assert_int_equal(ngx_redis_master_name_valid(&s), 1);

    s.len++;
    assert_int_equal(ngx_redis_master_name_valid(&s), 0);

    s = str("!my.master-1:2~");
    assert_int_equal(ngx_redis_master_name_valid(&s), 1);

    s = str("");
    assert_int_equal(ngx_redis_master_name_valid(&s), 0);

    s = str("my master");
    assert_int_equal(ngx_redis_master_name_valid(&s), 0);

    s = str("my\r\nmaster");
    assert_int_equal(ngx_redis_master_name_valid(&s), 0);

    s = str("m\x7f");
    assert_int_equal(ngx_redis_master_name_valid(&s), 0);

    s = str("\xc3\xa9");
    assert_int_equal(ngx_redis_master_name_valid(&s), 0);
}


static void
test_parse(void **state)
{
    ngx_redis_master_t  m;

    assert_int_equal(master_parts("10.0.0.5", "6379", &m), NGX_OK);
    assert_string_equal((char *) m.host, "10.0.0.5");
    assert_int_equal(m.len, 8);
    assert_int_equal(m.port, 6379);
    assert_int_equal(m.named, 0);

    assert_int_equal(master_parts("2001:db8::5", "1", &m), NGX_OK);
    assert_string_equal((char *) m.host, "2001:db8::5");
    assert_int_equal(m.port, 1);
    assert_int_equal(m.named, 0);

    assert_int_equal(master_parts("redis-1.example.com", "65535", &m), NGX_OK);
    assert_string_equal((char *) m.host, "redis-1.example.com");
    assert_int_equal(m.port, 65535);
    assert_int_equal(m.named, 1);

    assert_int_equal(master_parts("redis1", "6379", &m), NGX_OK);
    assert_int_equal(m.named, 1);
}


static void
test_parse_host(void **state)
{
    char                 **row, host[NGX_REDIS_MASTER_MAX_HOST + 2];
    ngx_redis_master_t     m;

    static char  *rows[] = {
        "", " ", "a b", "a\r\nb", "10.0.0.300", "1.2.3", "12", "a.1",
        "user@host", "host/1", "[::1]", "::1%eth0", "1:2", "fe80::g", ":",
        "h\xc3\xb6st", "a;b", "%", "$", NULL
    };

    for (row = rows; *row; row++) {
        assert_int_equal(master_parts(*row, "6379", &m), NGX_ERROR);
    }

    ngx_memset(host, 'a', sizeof(host));
    host[NGX_REDIS_MASTER_MAX_HOST] = '\0';

    assert_int_equal(master_parts(host, "6379", &m), NGX_OK);
    assert_int_equal(m.len, NGX_REDIS_MASTER_MAX_HOST);
    assert_string_equal((char *) m.host, host);

    host[NGX_REDIS_MASTER_MAX_HOST] = 'a';
    host[NGX_REDIS_MASTER_MAX_HOST + 1] = '\0';

    assert_int_equal(master_parts(host, "6379", &m), NGX_ERROR);
}


static void
test_parse_port(void **state)
{
    char                 **row;
    ngx_redis_master_t     m;

    static char  *rows[] = {
        "", "0", "65536", "99999", "100000", "18446744073709557995", "-1",
        "+1", "06379", " 6379", "6379 ", "0x10", "6379a", "6.3", NULL
    };

    for (row = rows; *row; row++) {
        assert_int_equal(master_parts("10.0.0.5", *row, &m), NGX_ERROR);
    }
}


static void
test_parse_types(void **state)
{
    char                 **row;
    ngx_redis_master_t     m;

    static char  *rows[] = {
        "*-1\r\n", "$-1\r\n", "*0\r\n", "+OK\r\n", ":1\r\n", "-ERR x\r\n",
        "*1\r\n$8\r\n10.0.0.5\r\n",
        "*3\r\n$8\r\n10.0.0.5\r\n$4\r\n6379\r\n$1\r\n1\r\n",
        "*2\r\n$8\r\n10.0.0.5\r\n:6379\r\n",
        "*2\r\n+10.0.0.5\r\n$4\r\n6379\r\n",
        "*2\r\n$8\r\n10.0.0.5\r\n+6379\r\n",
        "*2\r\n:10\r\n$4\r\n6379\r\n",
        "*2\r\n$-1\r\n$4\r\n6379\r\n",
        "*2\r\n$8\r\n10.0.0.5\r\n$-1\r\n",
        "*2\r\n*1\r\n$8\r\n10.0.0.5\r\n$4\r\n6379\r\n",
        "*2\r\n$8\r\n10.0.0.5\r\n*0\r\n",
        NULL
    };

    for (row = rows; *row; row++) {
        assert_int_equal(master_parse(*row, &m), NGX_ERROR);
    }
}


static void
test_equal(void **state)
{
    ngx_redis_master_t  a, b;

    assert_int_equal(master_parts("a.example", "6379", &a), NGX_OK);

    assert_int_equal(master_parts("A.example", "6379", &b), NGX_OK);
    assert_int_equal(ngx_redis_master_equal(&a, &b), 1);

    assert_int_equal(master_parts("a.example", "6380", &b), NGX_OK);
    assert_int_equal(ngx_redis_master_equal(&a, &b), 0);

    assert_int_equal(master_parts("a.exampl", "6379", &b), NGX_OK);
    assert_int_equal(ngx_redis_master_equal(&a, &b), 0);

    assert_int_equal(master_parts("b.example", "6379", &b), NGX_OK);
    assert_int_equal(ngx_redis_master_equal(&a, &b), 0);
}


static void
test_addr(void **state)
{
    ngx_redis_master_t       m;
    ngx_redis_master_addr_t  addr;

    assert_int_equal(master_parts("10.0.0.5", "6379", &m), NGX_OK);
    ngx_redis_master_addr(&m, &addr);

    assert_int_equal(addr.addr.sockaddr->sa_family, AF_INET);
    assert_int_equal(addr.addr.socklen, sizeof(struct sockaddr_in));
    assert_int_equal(addr.addr.name.len, 13);
    assert_memory_equal(addr.addr.name.data, "10.0.0.5:6379", 13);

#if (NGX_HAVE_INET6)

    assert_int_equal(master_parts("::1", "26379", &m), NGX_OK);
    ngx_redis_master_addr(&m, &addr);

    assert_int_equal(addr.addr.sockaddr->sa_family, AF_INET6);
    assert_int_equal(addr.addr.socklen, sizeof(struct sockaddr_in6));
    assert_int_equal(addr.addr.name.len, 11);
    assert_memory_equal(addr.addr.name.data, "[::1]:26379", 11);

#endif
}


static ngx_int_t
master_parts(const char *host, const char *port, ngx_redis_master_t *m)
{
    char  wire[1024];

    (void) snprintf(wire, sizeof(wire), "*2\r\n$%zu\r\n%s\r\n$%zu\r\n%s\r\n",
                    strlen(host), host, strlen(port), port);

    return master_parse(wire, m);
}


static ngx_int_t
master_parse(const char *wire, ngx_redis_master_t *m)
{
    ngx_int_t            rc;
    const char          *err;
    redisReply          *reply;
    ngx_redis_reader_t   rd;

    err = NULL;

    assert_int_equal(ngx_redis_reader_init(&rd, 4096), NGX_OK);
    assert_int_equal(ngx_redis_reader_feed(&rd, (u_char *) wire,
                                           strlen(wire)), NGX_OK);
    assert_int_equal(ngx_redis_reader_next(&rd, &reply), NGX_OK);

    rc = ngx_redis_master_parse(reply, m, &err);

    freeReplyObject(reply);
    ngx_redis_reader_free(&rd);

    if (rc != NGX_OK) {
        assert_non_null(err);
    }

    return rc;
}


static ngx_str_t
str(const char *text)
{
    ngx_str_t  s;

    s.data = (u_char *) text;
    s.len = strlen(text);

    return s;
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_name),
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_parse_host),
        cmocka_unit_test(test_parse_port),
        cmocka_unit_test(test_parse_types),
        cmocka_unit_test(test_equal),
        cmocka_unit_test(test_addr),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
