
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <ngx_redis_memory.h>


static void
check(const char *text, ngx_int_t rc, uint64_t limit, const char *policy)
{
    u_char     *p;
    uint64_t    n;
    ngx_str_t   info, found;

    /* exactly as long as it is: what reads beyond is seen */

    info.len = strlen(text);
    p = malloc(info.len);
    assert_non_null(p);

    memcpy(p, text, info.len);
    info.data = p;

    n = 7;
    ngx_str_null(&found);

    assert_int_equal(ngx_redis_memory_parse(&info, &n, &found), rc);

    if (rc == NGX_OK) {
        assert_int_equal(n, limit);
        assert_int_equal(found.len, strlen(policy));
        assert_memory_equal(found.data, policy, found.len);
    }

    free(p);
}


static void
told(void **state)
{
    check("# Memory\r\nused_memory:1\r\nmaxmemory:104857600\r\n"
          "maxmemory_human:100.00M\r\nmaxmemory_policy:allkeys-lru\r\n"
          "mem_allocator:jemalloc\r\n", NGX_OK, 104857600, "allkeys-lru");

    check("\nmaxmemory:0\nmaxmemory_policy:noeviction", NGX_OK, 0,
          "noeviction");
}


static void
not_told(void **state)
{
    static const char  *texts[] = {
        " ", "\nmaxmemory:", "\nmaxmemory:1\n", "\nmaxmemory_policy:a\n",
        "\nmaxmemory:x\nmaxmemory_policy:a\n",
        "\nmaxmemory:\nmaxmemory_policy:a\n",
        "\nmaxmemory:-1\nmaxmemory_policy:a\n",
        "\nmaxmemory:99999999999999999999\nmaxmemory_policy:a\n",
        "\nmaxmemory:1\nmaxmemory_policy:\n",
        "\nmaxmemory:1\nmaxmemory_policy:all keys\n",
        "\nmaxmemory:1\nmaxmemory_policy:a\x1b[31m\n",
        "\nmaxmemory:1\nmaxmemory_policy:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n",
        "xmaxmemory:1\nxmaxmemory_policy:a\n"
    };

    ngx_uint_t  i;

    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        check(texts[i], NGX_DECLINED, 0, NULL);
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(told),
        cmocka_unit_test(not_told)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
