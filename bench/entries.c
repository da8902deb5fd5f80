
/*
 * Copyright (C) The Optcache authors
 */


/*
 * The store of the cache in shared memory without nginx around it:
 *
 *     entries find N LOOKUPS M   among N entries, nanoseconds for one of M
 *     entries space BODY HEAD    what a full zone of 64 megabytes holds
 *     entries mixed ROUNDS       the same of all sizes, used for a long time
 *     entries hits SKEW SCANS    hit ratio beside LRU, in percent
 *
 * entries.sh builds it and counts the instructions of every().
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <math.h>

#include <ngx_optcache_l1.h>
#include <ngx_optcache_l1_shm.h>
#include <ngx_optcache_lock.h>


#define KEYS       200000                   /* of a trace */
#define REQUESTS   3000000
#define KEY_LEN    40


static ngx_shm_zone_t     shm_zone;
static ngx_optcache_l1_t  *l1;
static u_char             bytes[1024 * 1024];

ngx_uint_t                ngx_pagesize = 4096;
ngx_pid_t                 ngx_pid;
volatile ngx_time_t      *ngx_cached_time;


/* of nginx: as little of it as the store asks for */

struct pool_s {
    ngx_pool_cleanup_t   cleanup;
    u_char              *pos;
    u_char               data[4 * 1024 * 1024];
};

static struct pool_s      pool;


static void *
pool_alloc(size_t size)
{
    void  *p;

    p = pool.pos;
    pool.pos += ngx_align(size, NGX_ALIGNMENT);

    if (pool.pos > pool.data + sizeof(pool.data)) {
        abort();
    }

    return p;
}


static void
pool_start(void)
{
    pool.pos = pool.data;
    pool.cleanup.handler = NULL;
}


static void
pool_end(void)
{
    if (pool.cleanup.handler) {
        pool.cleanup.handler(pool.cleanup.data);
    }
}


void *
ngx_palloc(ngx_pool_t *p, size_t size)
{
    return pool_alloc(size);
}


void *
ngx_pnalloc(ngx_pool_t *p, size_t size)
{
    return pool_alloc(size);
}


void *
ngx_pcalloc(ngx_pool_t *p, size_t size)
{
    return memset(pool_alloc(size), 0, size);
}


ngx_pool_cleanup_t *
ngx_pool_cleanup_add(ngx_pool_t *p, size_t size)
{
    pool.cleanup.data = pool_alloc(size);

    return &pool.cleanup;
}


ngx_chain_t *
ngx_alloc_chain_link(ngx_pool_t *p)
{
    return pool_alloc(sizeof(ngx_chain_t));
}


void *
ngx_slab_alloc_locked(ngx_slab_pool_t *sp, size_t size)
{
    return sp->start;
}


/* nobody waits here */

ngx_optcache_locks_t *
ngx_optcache_lock_create(ngx_slab_pool_t *sp, ngx_uint_t pages)
{
    return (ngx_optcache_locks_t *) sp;
}


ngx_shm_zone_t *
ngx_shared_memory_add(ngx_conf_t *cf, ngx_str_t *name, size_t size, void *tag)
{
    return &shm_zone;
}


void
ngx_log_error_core(ngx_uint_t level, ngx_log_t *log, ngx_err_t err,
    const char *fmt, ...)
{
    abort();
}


void ngx_cdecl
ngx_conf_log_error(ngx_uint_t level, ngx_conf_t *cf, ngx_err_t err,
    const char *fmt, ...)
{
    abort();
}


static void
zone(size_t size)
{
    ngx_log_t         log;
    ngx_str_t         name = ngx_string("zone");
    ngx_conf_t        cf;
    ngx_slab_pool_t  *sp;

    ngx_memzero(&log, sizeof(log));
    ngx_memzero(&cf, sizeof(cf));

    sp = mmap(NULL, size, PROT_READ|PROT_WRITE, MAP_ANON|MAP_SHARED, -1, 0);
    if (sp == MAP_FAILED) {
        abort();
    }

    /* as many pages as the slab allocator makes of it */

    sp->start = (u_char *) sp + ngx_pagesize;
    sp->pfree = (size - ngx_pagesize)
                / (ngx_pagesize + sizeof(ngx_slab_page_t));

    pool_start();

    l1 = ngx_optcache_l1_create(&cf, &name, size, NULL);

    /* the pool is given up */

    l1 = memcpy(malloc(sizeof(*l1)), l1, sizeof(*l1));

    shm_zone.shm.addr = (u_char *) sp;
    shm_zone.data = l1;

    if (shm_zone.init(&shm_zone, NULL) != NGX_OK
        || ngx_optcache_l1_attach(l1, &log) != NGX_OK)
    {
        abort();
    }
}


static ngx_str_t
key(ngx_uint_t i)
{
    static u_char  text[KEY_LEN + 1];
    ngx_str_t      s = { KEY_LEN, text };

    (void) snprintf((char *) text, sizeof(text), "%0*lu", KEY_LEN,
                    (unsigned long) i);

    return s;
}


static void
store(ngx_uint_t i, size_t head, size_t body)
{
    ngx_buf_t             b;
    ngx_chain_t           cl;
    ngx_optcache_entry_t  e;

    ngx_memzero(&e, sizeof(e));
    ngx_memzero(&b, sizeof(b));

    b.pos = bytes;
    b.last = bytes + body;
    cl.buf = &b;
    cl.next = NULL;

    e.key = key(i);
    e.head.data = bytes;
    e.head.len = head;
    e.body = &cl;
    e.body_len = body;

    if (ngx_optcache_l1_store(l1, &e) != NGX_OK) {
        abort();
    }
}


static ngx_uint_t
lookup(ngx_str_t *s, ngx_optcache_entry_t *e)
{
    return ngx_optcache_l1_lookup(l1, s, NULL, e) == NGX_OK;
}


static ngx_uint_t
hit(ngx_str_t *s)
{
    ngx_uint_t            found;
    ngx_optcache_entry_t  e;

    pool_start();
    found = lookup(s, &e);
    pool_end();

    return found;
}


static uint64_t
next_random(void)
{
    static uint64_t  x = 9111;

    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;

    return x;
}


static double
now(void)
{
    struct timespec  t;

    (void) clock_gettime(CLOCK_MONOTONIC, &t);

    return t.tv_sec * 1e9 + t.tv_nsec;
}


/* keys are made before, so that only lookups are counted */

__attribute__((noinline)) static void
every(ngx_str_t *keys, ngx_uint_t n)
{
    while (n--) {
        if (!hit(&keys[n])) {
            abort();
        }
    }
}


static void
find(ngx_uint_t n, ngx_uint_t lookups, ngx_uint_t among)
{
    double       start;
    u_char      *p;
    ngx_str_t   *keys;
    ngx_uint_t   i;

    /* the same zone, however many there are */

    zone((size_t) 768 * 1024 * 1024);

    for (i = 0; i < n; i++) {
        store(i, 100, 200);
    }

    keys = malloc(lookups * sizeof(ngx_str_t));
    p = malloc(lookups * KEY_LEN);

    for (i = 0; i < lookups; i++) {
        keys[i] = key(next_random() % among);
        keys[i].data = memcpy(p + i * KEY_LEN, keys[i].data, KEY_LEN);
    }

    start = now();
    every(keys, lookups);

    printf("%.0f\n", (now() - start) / lookups);
}


/* entries, payload and overhead of what is there */

static void
report(size_t size)
{
    double                   n, payload, bodies, pieces, whole;
    size_t                   len;
    uint64_t                 starts;
    ngx_uint_t               i;
    ngx_optcache_l1_ref_t    ref;
    ngx_optcache_l1_node_t  *node;

    n = payload = bodies = pieces = whole = 0;

    for (i = 0; i < l1->sh->npages; i++) {
        starts = l1->sh->pages[i].starts;

        for ( /* void */ ; starts; starts &= starts - 1) {
            node = ngx_optcache_l1_node(l1->sh, i * NGX_OPTCACHE_L1_CELLS
                                                + __builtin_ctzll(starts));
            n++;
            payload += (double) node->key_len + node->head_len
                       + node->body_len + node->gzip_len;
            bodies += node->body_len;
            whole += (node->body_len + NGX_OPTCACHE_L1_PAGE - 1)
                     / NGX_OPTCACHE_L1_PAGE;

            for (ref = node->body; ref; /* void */ ) {
                (void) ngx_optcache_l1_piece(l1->sh, &ref, &len);
                pieces++;
            }
        }
    }

    printf("%.0f entries, payload %.1f %% (bodies %.1f %%), overhead %.0f "
           "bytes an entry,\n    %.2f pieces a body of %.2f pages, "
           "%.1f %% free\n",
           n, 100 * payload / size, 100 * bodies / size, (size - payload) / n,
           pieces / n, whole / n,
           100.0 * l1->sh->free * NGX_OPTCACHE_L1_CELL / size);
}


static void
space(size_t body, size_t head)
{
    size_t      size;
    ngx_uint_t  i;

    size = 64 * 1024 * 1024;
    zone(size);

    for (i = 0; i < 4 * size / (body + head); i++) {
        store(i, head, body);
    }

    report(size);
}


/* sizes as they are: most are small, some are not */

static size_t
some_size(ngx_uint_t i)
{
    uint64_t  x;

    x = (i + 1) * 0x9e3779b97f4a7c15;
    x ^= x >> 29;
    x *= 0xbf58476d1ce4e5b9;
    x ^= x >> 32;

    return (size_t) exp2(6 + 14.0 * (x % 10007) / 10007
                           * (x / 10007 % 10007) / 10007);
}


static void
mixed(ngx_uint_t rounds)
{
    size_t      size;
    ngx_str_t   s;
    ngx_uint_t  i, k, n;

    size = 64 * 1024 * 1024;
    zone(size);

    for (n = 0; n < rounds; n++) {
        for (i = 0; i < 50000; i++) {
            k = next_random() % (1 + next_random() % 300000);
            s = key(k);

            if (!hit(&s)) {
                store(k, 50 + k % 300, some_size(k));
            }
        }
    }

    report(size);
}


/* ranks by the inverse of the distribution: a table of bounds */

static double  *zipf;


static void
zipf_init(double skew)
{
    double      sum;
    ngx_uint_t  i;

    zipf = malloc(KEYS * sizeof(double));

    for (i = 0, sum = 0; i < KEYS; i++) {
        sum += 1 / pow(i + 1, skew);
        zipf[i] = sum;
    }

    for (i = 0; i < KEYS; i++) {
        zipf[i] /= sum;
    }
}


static ngx_uint_t
zipf_next(void)
{
    double      x;
    ngx_uint_t  low, high, mid;

    x = (next_random() >> 11) * (1.0 / ((uint64_t) 1 << 53));

    for (low = 0, high = KEYS - 1; low < high; /* void */ ) {
        mid = (low + high) / 2;

        if (zipf[mid] < x) {
            low = mid + 1;

        } else {
            high = mid;
        }
    }

    return low;
}


/* LRU, by numbers: a list and where each is */

static uint32_t    *newer, *older, newest, oldest;
static ngx_uint_t   held;


static void
lru_unlink(uint32_t i)
{
    *(newer[i] ? &older[newer[i]] : &newest) = older[i];
    *(older[i] ? &newer[older[i]] : &oldest) = newer[i];
}


static ngx_uint_t
lru_hit(uint32_t i, ngx_uint_t max)
{
    ngx_uint_t  found;

    found = (newer[i] || newest == i);

    if (found) {
        lru_unlink(i);

    } else if (held++ == max) {
        uint32_t  last = oldest;

        lru_unlink(last);
        newer[last] = 0;
        held--;
    }

    newer[i] = 0;
    older[i] = newest;
    *(newest ? &newer[newest] : &oldest) = i;
    newest = i;

    return found;
}


/* the same requests; LRU holds as many as the zone does */

static void
hits(double skew, ngx_uint_t scans)
{
    ngx_str_t    s;
    uint32_t    *trace;
    ngx_uint_t   i, n, scan, ours, lru, asked, entries;

    trace = malloc(REQUESTS * sizeof(uint32_t));
    newer = calloc(2 * REQUESTS + KEYS, sizeof(uint32_t));
    older = calloc(2 * REQUESTS + KEYS, sizeof(uint32_t));

    zipf_init(skew);

    /* of a hundred requests so many are of scans, 20,000 at a time */

    for (i = 0, n = 0, scan = KEYS; i < REQUESTS; i++) {
        if (n == 0 && scans && i % (2000000 / scans) == 0) {
            n = 20000;
        }

        if (n) {
            n--;
            trace[i] = 1 + scan++;

        } else {
            trace[i] = 1 + zipf_next();
        }
    }

    zone(24 * 1024 * 1024);

    for (i = 0, ours = 0, asked = 0; i < REQUESTS; i++) {
        s = key(trace[i]);
        n = hit(&s);

        if (!n) {
            store(trace[i], 150, 1024);
        }

        /* what the scans ask for can be no hit */

        if (i >= REQUESTS / 4 && trace[i] <= KEYS) {
            asked++;
            ours += n;
        }
    }

    for (i = 0, entries = 0; i < l1->sh->nshards; i++) {
        entries += l1->sh->shards[i].entries;
    }

    for (i = 0, lru = 0; i < REQUESTS; i++) {
        n = lru_hit(trace[i], entries);

        if (i >= REQUESTS / 4 && trace[i] <= KEYS) {
            lru += n;
        }
    }

    printf("%lu %.1f %.1f\n", (unsigned long) entries, 100.0 * ours / asked,
           100.0 * lru / asked);
}


int
main(int argc, char **argv)
{
    if (argc < 3) {
        return 1;
    }

    switch (argv[1][0]) {

    case 'f':
        find(atol(argv[2]), atol(argv[3]), atol(argv[4]));
        break;

    case 's':
        space(atol(argv[2]), atol(argv[3]));
        break;

    case 'm':
        mixed(atol(argv[2]));
        break;

    default:
        hits(atof(argv[2]), atol(argv[3]));
    }

    return 0;
}
