
/*
 * Copyright (C) The Optcache authors
 */


/*
 * A Redis of a test's own, and the scripts in it.
 *
 * Its clock cannot be set.  So there is a second form of each script, the same
 * text but for three calls: TIME comes from two more arguments, and instead of
 * expiring a key has its end written beside it.
 */


#include <signal.h>
#include <sys/wait.h>

#include <ngx_limiter_script.h>


static char                    directory[] = "/tmp/optcache-unit-XXXXXX";
static ngx_log_t               logger;
static ngx_cycle_t             cycle;
static pid_t                   server;
static redisContext           *redis;      /* NULL: there is no Redis here */
static ngx_pool_t             *pool;       /* of one test */
static ngx_pool_t             *texts;      /* of all */
static ngx_limiter_scripts_t   scripts;
static ngx_limiter_scripts_t   timed;


/* the one place where a text has these words gets others */

static char *
replace(char *text, const char *what, const char *with)
{
    char    *p, *out;
    size_t   len;

    p = strstr(text, what);
    assert_non_null(p);
    assert_null(strstr(p + 1, what));

    len = strlen(text) + strlen(with) + 1;
    out = malloc(len);
    assert_non_null(out);

    snprintf(out, len, "%.*s%s%s", (int) (p - text), text, with,
             p + strlen(what));
    free(text);

    return out;
}


static void
timed_init(ngx_limiter_script_t *to, ngx_limiter_script_t *from)
{
    char  *text;

    text = malloc(from->text.len + 1);
    assert_non_null(text);

    ngx_memcpy(text, from->text.data, from->text.len);
    text[from->text.len] = '\0';

    if (from == &scripts.general) {
        text = replace(text, "call('TIME')", "{ARGV[#ARGV - 1], ARGV[#ARGV]}");
        text = replace(text, ", 'PX', string.format('%.0f', ttl))",
                       ")\n    call('SET', KEYS[z] .. ':end',"
                       " string.format('%.0f', now + ttl))");

    } else {
        text = replace(text, "c('TIME')", "{ARGV[#ARGV - 1], ARGV[#ARGV]}");
        text = replace(text, ", 'PX', fin - now)",
                       ")\n    c('SET', KEYS[1] .. ':end',"
                       " string.format('%.0f', fin))");

        if (strstr(text, "PTTL")) {
            text = replace(text, "c('PTTL', KEYS[1])",
                           "c('GET', KEYS[1] .. ':end') - now");
        }
    }

    to->text.data = (u_char *) text;
    to->text.len = strlen(text);
}


static int
server_start(void **state)
{
    char        path[128];
    ngx_uint_t  i, k;

    /* the slab logs to it */

    cycle.log = &logger;
    ngx_cycle = &cycle;

    ngx_pagesize = 4096;
    ngx_pagesize_shift = 12;
    ngx_slab_sizes_init();

    pool = ngx_create_pool(4096, &logger);
    texts = ngx_create_pool(4096, &logger);

    assert_int_equal(ngx_limiter_scripts_init(&scripts, texts), NGX_OK);

    timed_init(&timed.general, &scripts.general);

    for (i = 0; i < 3; i++) {
        for (k = 0; k < NGX_LIMITER_MAX_RATES; k++) {
            timed_init(&timed.single[i][k], &scripts.single[i][k]);
        }
    }

    if (mkdtemp(directory) == NULL) {
        return -1;
    }

    snprintf(path, sizeof(path), "%s/redis.sock", directory);

    server = fork();

    if (server == 0) {
        if (freopen("/dev/null", "w", stdout) == NULL) {
            _exit(1);
        }

        execlp("redis-server", "redis-server", "--port", "0",
               "--unixsocket", path, "--save", "", "--dir", directory,
               (char *) NULL);
        _exit(1);
    }

    for (i = 0; i < 1000; i++) {
        redis = redisConnectUnix(path);

        if (redis && redis->err == 0) {
            return 0;
        }

        if (redis) {
            redisFree(redis);
            redis = NULL;
        }

        if (waitpid(server, NULL, WNOHANG) == server) {
            server = 0;
            return 0;
        }

        ngx_msleep(10);
    }

    return -1;
}


static int
server_stop(void **state)
{
    char        path[128];
    ngx_uint_t  i, k;

    if (redis) {
        redisFree(redis);
    }

    if (server) {
        kill(server, SIGKILL);
        (void) waitpid(server, NULL, 0);
    }

    snprintf(path, sizeof(path), "%s/redis.sock", directory);
    (void) unlink(path);
    (void) rmdir(directory);

    free(timed.general.text.data);

    for (i = 0; i < 3; i++) {
        for (k = 0; k < NGX_LIMITER_MAX_RATES; k++) {
            free(timed.single[i][k].text.data);
        }
    }

    ngx_destroy_pool(texts);
    ngx_destroy_pool(pool);

    return 0;
}


/* Calls a script, at the time "now" if it is not 0. */

static redisReply *
script_call(ngx_limiter_script_t *script, ngx_limiter_item_t **items,
    ngx_uint_t n, ngx_str_t *prefix, uint64_t now)
{
    char         sec[32], usec[32];
    size_t       len[NGX_LIMITER_SCRIPT_ARGS + 2];
    ngx_str_t    argv[NGX_LIMITER_SCRIPT_ARGS];
    ngx_uint_t   i, argc;
    redisReply  *reply;
    const char  *args[NGX_LIMITER_SCRIPT_ARGS + 2];

    if (now) {
        script = (ngx_limiter_script_t *) ((u_char *) script
                                           - (u_char *) &scripts
                                           + (u_char *) &timed);
    }

    for (i = 0; i < n; i++) {
        if (items[i]->at == 0) {
            items[i]->since = items[i]->now;
        }
    }

    argc = ngx_limiter_script_args(script, items, n, prefix, 1, argv, pool);
    assert_true(argc > 0 && argc <= NGX_LIMITER_SCRIPT_ARGS);

    for (i = 0; i < argc; i++) {
        args[i] = (char *) argv[i].data;
        len[i] = argv[i].len;
    }

    if (now) {
        snprintf(sec, sizeof(sec), "%lu", (unsigned long) (now / 1000));
        snprintf(usec, sizeof(usec), "%lu",
                 (unsigned long) (now % 1000 * 1000 + random() % 1000));

        args[argc] = sec;
        len[argc++] = strlen(sec);
        args[argc] = usec;
        len[argc++] = strlen(usec);
    }

    reply = redisCommandArgv(redis, argc, args, len);
    assert_non_null(reply);

    if (reply->type == REDIS_REPLY_ERROR) {
        print_error("%s\n", reply->str);
        assert_int_not_equal(reply->type, REDIS_REPLY_ERROR);
    }

    return reply;
}
