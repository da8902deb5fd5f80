
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <poll.h>
#include <sys/syscall.h>

#include <ngx_pgsql_meter.h>


static u_char  bytes[8192];

static int     server, client;
static size_t  late;


/* Nobody knows when bytes come: these come while it is asked how many are. */

int
ioctl(int fd, unsigned long request, ...)
{
    int      *n;
    va_list   args;

    va_start(args, request);
    n = va_arg(args, int *);
    va_end(args);

    if (request == FIONREAD && late) {
        assert_int_equal(send(server, bytes, late, 0), late);
        late = 0;

        while (syscall(SYS_ioctl, fd, request, n) == 0 && *n == 0) {
            poll(NULL, 0, 1);
        }
    }

    return (int) syscall(SYS_ioctl, fd, request, n);
}


/* Has the client read, as libpq would, all that is there. */

static void
take(ngx_pgsql_meter_t *meter, size_t more)
{
    ngx_pgsql_meter_before(meter, client);

    assert_true(recv(client, bytes, sizeof(bytes), 0) > 0);
    late = more;

    ngx_pgsql_meter_after(meter, client);
}


static int
setup(void **state)
{
    int                 s;
    socklen_t           len;
    struct sockaddr_in  sin;

    ngx_memzero(&sin, sizeof(sin));

    sin.sin_family = AF_INET;
    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    len = sizeof(sin);

    s = socket(AF_INET, SOCK_STREAM, 0);
    client = socket(AF_INET, SOCK_STREAM, 0);

    if (bind(s, (struct sockaddr *) &sin, len) == -1
        || listen(s, 1) == -1
        || getsockname(s, (struct sockaddr *) &sin, &len) == -1
        || connect(client, (struct sockaddr *) &sin, len) == -1)
    {
        return -1;
    }

    server = accept(s, NULL, NULL);

    return (server == -1 || close(s) == -1) ? -1 : 0;
}


static int
teardown(void **state)
{
    return (close(server) == -1 || close(client) == -1) ? -1 : 0;
}


static void
test_read(void **state)
{
    ngx_pgsql_meter_t  meter;

    ngx_memzero(&meter, sizeof(meter));

    assert_int_equal(send(server, bytes, 100, 0), 100);
    take(&meter, 0);

    assert_int_equal(meter.read, 100);
    assert_int_equal(ngx_pgsql_meter_unknown(&meter), 100);

    meter.known = 60;
    assert_int_equal(ngx_pgsql_meter_unknown(&meter), 40);
}


/* What is read of an answer is never less than when it was asked for. */

static void
test_late(void **state)
{
    ngx_pgsql_meter_t  meter;

    ngx_memzero(&meter, sizeof(meter));

    assert_int_equal(send(server, bytes, 100, 0), 100);
    take(&meter, 0);
    meter.began = meter.read;

    assert_int_equal(send(server, bytes, 50, 0), 50);
    take(&meter, 1000);

    assert_true(meter.read >= meter.began);
    assert_true(meter.read <= 150);

    take(&meter, 0);
    assert_int_equal(meter.read, 1150);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test_setup_teardown(test_read, setup, teardown),
        cmocka_unit_test_setup_teardown(test_late, setup, teardown)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
