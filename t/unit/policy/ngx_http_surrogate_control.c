
/*
 * Copyright (C) The Optcache authors
 */


#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_surrogate_control.h"


typedef struct {
    const char  *line;
    ngx_int_t    rc;
    int          no_store;
    int64_t      max_age;
    int64_t      stale;
} row_t;


static row_t  rows[] = {
    { "max-age=60", NGX_OK, 0, 60, -1 },
    { "MAX-AGE=60", NGX_OK, 0, 60, -1 },
    { "max-age=0", NGX_OK, 0, 0, -1 },
    { "max-age=60+30", NGX_OK, 0, 60, 30 },
    { "max-age=99999999999", NGX_OK, 0, 2147483648LL, -1 },
    { "foo, max-age=60 , bar", NGX_OK, 0, 60, -1 },
    { "max-age=60, max-age=10", NGX_OK, 0, 10, -1 },
    { "max-age=10+5, max-age=60", NGX_OK, 0, 10, 5 },
    { "no-store", NGX_OK, 1, -1, -1 },
    { "max-age=60, No-Store", NGX_OK, 1, 60, -1 },
    { "content=\"ESI/1.0\", max-age=60", NGX_OK, 0, 60, -1 },

    { "max-age=60;Optcache", NGX_OK, 0, 60, -1 },
    { "max-age=60 ; optcache", NGX_OK, 0, 60, -1 },
    { "max-age=60;other, max-age=5", NGX_OK, 0, 5, -1 },
    { "max-age=60;other", NGX_DECLINED, 0, 0, 0 },
    { "max-age=60;optcache2", NGX_DECLINED, 0, 0, 0 },
    { "no-store;other", NGX_DECLINED, 0, 0, 0 },

    { "", NGX_DECLINED, 0, 0, 0 },
    { "content=\"ESI/1.0\"", NGX_DECLINED, 0, 0, 0 },
    { "content=\"max-age=5, no-store\"", NGX_DECLINED, 0, 0, 0 },
    { "no-store-remote", NGX_DECLINED, 0, 0, 0 },
    { "max-age", NGX_DECLINED, 0, 0, 0 },
    { "max-age=", NGX_DECLINED, 0, 0, 0 },
    { "max-age=-1", NGX_DECLINED, 0, 0, 0 },
    { "max-age= 60", NGX_DECLINED, 0, 0, 0 },
    { "max-age =60", NGX_DECLINED, 0, 0, 0 },
    { "max-age=60+", NGX_DECLINED, 0, 0, 0 },
    { "max-age=60+x", NGX_DECLINED, 0, 0, 0 },
    { "xmax-age=60", NGX_DECLINED, 0, 0, 0 }
};


static void
test_rows(void **state)
{
    size_t                       i;
    ngx_str_t                    line;
    ngx_http_rfc9111_control_t   cc;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {

        ngx_http_rfc9111_control_init(&cc);
        cc.must_revalidate = 1;

        line.data = (u_char *) rows[i].line;
        line.len = ngx_strlen(rows[i].line);

        if (ngx_http_surrogate_control(&line, &cc) != rows[i].rc) {
            fail_msg("%s", rows[i].line);
        }

        if (rows[i].rc == NGX_DECLINED) {
            assert_int_equal(cc.must_revalidate, 1);
            assert_int_equal(cc.max_age, -1);
            continue;
        }

        if (cc.max_age != rows[i].max_age
            || cc.no_store != (unsigned) rows[i].no_store
            || cc.stale_while_revalidate != rows[i].stale
            || cc.must_revalidate)
        {
            fail_msg("%s", rows[i].line);
        }
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_rows)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
