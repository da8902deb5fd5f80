
/*
 * Copyright (C) The Optcache authors
 */


/*
 * What a request costs a server's worker, for several kinds of requests by
 * turns of some milliseconds.  A machine that others use is faster or slower
 * from one second to the next, by more than what is to be told apart here; two
 * turns that are close to each other find it much the same.
 *
 *     turns MILLISECONDS TURNS HEADER [PID PORT KIND PATH] ...
 *
 * PID is who listens on 127.0.0.1:PORT, HEADER a line that all requests have.
 * KIND is "-", or of "z" it takes gzip, "u" it is one of a thousand users',
 * "g" both, "n" it was never asked for before.  For each of them, a line: microseconds of
 * all threads of PID for a request; by how much that is more than the first
 * kind's in its turn next to it, in microseconds; its share of the first
 * kind's, and the quartiles of that.  All are medians.
 */


#define _GNU_SOURCE

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>


#define CONNECTIONS  64
#define KINDS        16
#define USERS        1000
#define TOKEN        250
#define RESPONSE     65536


typedef struct {
    int           fd;
    size_t        len;                  /* of what has been read */
    size_t        whole;                /* of the response, 0: not known */
    char          buf[RESPONSE + 1];
} connection_t;


typedef struct {
    const char    *pid;
    int            port;
    int            epoll;
    connection_t  *connections;
} server_t;


typedef struct {
    server_t      *server;
    char           kind;
    const char    *path;
    double        *costs;               /* microseconds, by turn */
} kind_t;


static void shuffle(int *order, int n);
static void fail(const char *format, ...);
static server_t *server(const char *pid, int port);
static void connect_all(server_t *s);
static double turn(kind_t *k, double milliseconds);
static void ask(kind_t *k, connection_t *c);
static int answered(connection_t *c);
static size_t whole(connection_t *c);
static double cpu(const char *pid);
static double now(void);
static double quantile(const double *values, int n, double part);
static int compare(const void *one, const void *two);


static server_t      servers[KINDS];
static int           nservers;
static const char   *header;
static char          never[32];
static unsigned long asked;


int
main(int argc, char **argv)
{
    int      i, k, n, turns, order[KINDS];
    double   milliseconds, *shares, *more;
    kind_t   kinds[KINDS], *kind;

    n = (argc - 4) / 4;

    if (n < 1 || n > KINDS || argc != 4 + 4 * n) {
        fail("turns MILLISECONDS TURNS HEADER [PID PORT KIND PATH] ...");
    }

    milliseconds = atof(argv[1]);
    turns = atoi(argv[2]);
    header = argv[3];

    if (milliseconds <= 0 || turns < 1) {
        fail("no turns");
    }

    snprintf(never, sizeof(never), "%lx-%x-", (long) time(NULL),
             (unsigned) getpid());

    for (k = 0; k < n; k++) {
        argv += 4;
        kinds[k].server = server(argv[0], atoi(argv[1]));
        kinds[k].kind = *argv[2];
        kinds[k].path = argv[3];
        kinds[k].costs = calloc(turns, sizeof(double));
    }

    shares = calloc(turns, sizeof(double));
    more = calloc(turns, sizeof(double));

    /* a long one first, for what is to be stored */

    for (k = 0; k < n; k++) {
        (void) turn(&kinds[k], 10 * milliseconds);
        order[k] = k;
    }

    for (i = 0; i < turns; i++) {
        shuffle(order, n);

        for (k = 0; k < n; k++) {
            kind = &kinds[order[k]];

            /* the processor's caches hold what the one before has left */

            (void) turn(kind, milliseconds / 4);

            kind->costs[i] = turn(kind, milliseconds);
        }
    }

    for (k = 0; k < n; k++) {

        for (i = 0; i < turns; i++) {
            shares[i] = kinds[k].costs[i] / kinds[0].costs[i];
            more[i] = kinds[k].costs[i] - kinds[0].costs[i];
        }

        printf("%.2f %+.2f %.3f %.3f %.3f\n",
               quantile(kinds[k].costs, turns, 0.5),
               quantile(more, turns, 0.5), quantile(shares, turns, 0.5),
               quantile(shares, turns, 0.25), quantile(shares, turns, 0.75));
    }

    return 0;
}


/*
 * What is the first or the last each time would often follow itself, and be
 * cheaper for it than the others are.
 */

static void
shuffle(int *order, int n)
{
    int  i, k, last, swap;

    last = order[n - 1];

    do {
        for (i = n - 1; i > 0; i--) {
            k = rand() % (i + 1);
            swap = order[i];
            order[i] = order[k];
            order[k] = swap;
        }
    } while (n > 1 && order[0] == last);
}


static void
fail(const char *format, ...)
{
    va_list  args;

    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);

    exit(1);
}


/* Kinds that one server answers use the same connections. */

static server_t *
server(const char *pid, int port)
{
    int        i;
    server_t  *s;

    for (i = 0; i < nservers; i++) {

        if (servers[i].port == port) {
            return &servers[i];
        }
    }

    s = &servers[nservers++];

    s->pid = pid;
    s->port = port;
    s->epoll = epoll_create1(0);
    s->connections = calloc(CONNECTIONS, sizeof(connection_t));

    connect_all(s);

    return s;
}


static void
connect_all(server_t *s)
{
    int                  i, on;
    connection_t        *c;
    struct sockaddr_in   sin;
    struct epoll_event   event;

    memset(&sin, 0, sizeof(sin));
    sin.sin_family = AF_INET;
    sin.sin_port = htons(s->port);
    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);

    for (i = 0; i < CONNECTIONS; i++) {
        c = &s->connections[i];
        c->fd = socket(AF_INET, SOCK_STREAM, 0);

        on = 1;

        if (c->fd == -1
            || connect(c->fd, (struct sockaddr *) &sin, sizeof(sin)) == -1
            || setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on))
               == -1
            || fcntl(c->fd, F_SETFL, O_NONBLOCK) == -1)
        {
            fail("127.0.0.1:%d: %s", s->port, strerror(errno));
        }

        event.events = EPOLLIN;
        event.data.ptr = c;

        if (epoll_ctl(s->epoll, EPOLL_CTL_ADD, c->fd, &event) == -1) {
            fail("epoll: %s", strerror(errno));
        }
    }
}


/* All connections ask and ask again; it ends when all are answered. */

static double
turn(kind_t *k, double milliseconds)
{
    int                  i, n, left;
    double               before, end;
    server_t            *s;
    unsigned long        answers;
    struct epoll_event   events[CONNECTIONS];

    s = k->server;

    before = cpu(s->pid);
    end = now() + milliseconds;
    answers = 0;
    left = CONNECTIONS;

    for (i = 0; i < CONNECTIONS; i++) {
        ask(k, &s->connections[i]);
    }

    while (left) {
        n = epoll_wait(s->epoll, events, CONNECTIONS, 10000);

        if (n == 0 || (n == -1 && errno != EINTR)) {
            fail("%s: no answer", k->path);
        }

        for (i = 0; i < n; i++) {

            if (!answered(events[i].data.ptr)) {
                continue;
            }

            answers++;

            if (now() < end) {
                ask(k, events[i].data.ptr);

            } else {
                left--;
            }
        }
    }

    /* it has to say that it is done with the last ones, too */

    usleep(1000);

    return (cpu(s->pid) - before) / answers;
}


static void
ask(kind_t *k, connection_t *c)
{
    int            n;
    char           request[1024];
    unsigned long  serial;

    serial = asked++;
    c->len = 0;
    c->whole = 0;

    switch (k->kind) {

    case 'n':
        n = snprintf(request, sizeof(request), "GET %s?n=%s%lu HTTP/1.1\r\n"
                     "Host: 127.0.0.1\r\n%s\r\n\r\n", k->path, never, serial,
                     header);
        break;

    case 'u':
    case 'g':
        n = snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\n"
                     "Host: 127.0.0.1\r\nAuthorization: Bearer %04lu%0*d"
                     "\r\n%s\r\n", k->path, serial % USERS, TOKEN, 0,
                     k->kind == 'g' ? "Accept-Encoding: gzip\r\n" : "");
        break;

    default:
        n = snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\n"
                     "Host: 127.0.0.1\r\n%s\r\n%s\r\n", k->path, header,
                     k->kind == 'z' ? "Accept-Encoding: gzip\r\n" : "");
        break;
    }

    if (n >= (int) sizeof(request) || write(c->fd, request, n) != n) {
        fail("%s: not asked", k->path);
    }
}


static int
answered(connection_t *c)
{
    ssize_t  n;

    for ( ;; ) {
        n = read(c->fd, c->buf + c->len, RESPONSE - c->len);

        if (n == -1 && errno == EAGAIN) {
            return 0;
        }

        if (n <= 0) {
            fail("a connection ended, or a response is too long");
        }

        c->len += n;
        c->buf[c->len] = '\0';

        if (c->whole == 0) {
            c->whole = whole(c);
        }

        if (c->whole && c->len >= c->whole) {
            return 1;
        }
    }
}


/* 0: not known yet; a chunked one is known when it ends. */

static size_t
whole(connection_t *c)
{
    char  *end, *length;

    end = strstr(c->buf, "\r\n\r\n");

    if (end == NULL) {
        return 0;
    }

    if (strncmp(c->buf, "HTTP/1.1 200 ", sizeof("HTTP/1.1 200 ") - 1) != 0) {
        fail("answered otherwise: %.*s", (int) (end - c->buf), c->buf);
    }

    end += sizeof("\r\n\r\n") - 1;
    length = strcasestr(c->buf, "\r\nContent-Length:");

    if (length && length < end) {
        return end - c->buf
               + strtoul(length + sizeof("\r\nContent-Length:") - 1, NULL, 10);
    }

    return (c->len >= sizeof("0\r\n\r\n") - 1
            && strcmp(c->buf + c->len - (sizeof("0\r\n\r\n") - 1),
                      "0\r\n\r\n")
               == 0)
           ? c->len : 0;
}


/* Microseconds that all threads of a process have been on a core. */

static double
cpu(const char *pid)
{
    DIR                 *dir;
    FILE                *file;
    char                 name[300];
    double               sum;
    struct dirent       *entry;
    unsigned long long   nanoseconds;

    snprintf(name, sizeof(name), "/proc/%s/task", pid);

    dir = opendir(name);
    sum = 0;

    while (dir && (entry = readdir(dir)) != NULL) {
        snprintf(name, sizeof(name), "/proc/%s/task/%s/schedstat", pid,
                 entry->d_name);

        file = (*entry->d_name == '.') ? NULL : fopen(name, "r");

        if (file) {
            sum += (fscanf(file, "%llu", &nanoseconds) == 1)
                   ? nanoseconds / 1e3 : 0;
            fclose(file);
        }
    }

    if (dir) {
        closedir(dir);
    }

    if (sum == 0) {
        fail("%s: its time is not to be had", pid);
    }

    return sum;
}


static double
now(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);

    return ts.tv_sec * 1e3 + ts.tv_nsec / 1e6;
}


static double
quantile(const double *values, int n, double part)
{
    double  *sorted, value;

    sorted = malloc(n * sizeof(double));
    memcpy(sorted, values, n * sizeof(double));

    qsort(sorted, n, sizeof(double), compare);
    value = sorted[(int) (part * (n - 1) + 0.5)];

    free(sorted);

    return value;
}


static int
compare(const void *one, const void *two)
{
    double  a, b;

    a = *(const double *) one;
    b = *(const double *) two;

    return (a > b) - (a < b);
}
