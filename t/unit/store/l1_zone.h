
/*
 * Copyright (C) The Optcache authors
 */


/*
 * A zone without nginx around it, entries that tell what they are, and what
 * must be true of all that lies in the zone.
 */


#ifndef _L1_ZONE_H_INCLUDED_
#define _L1_ZONE_H_INCLUDED_


#define NOW     ((time_t) 1700000000)


typedef struct {
    ngx_pool_t         *pool;
    ngx_log_t           log;
    ngx_cycle_t         cycle;
    ngx_conf_t          cf;
    ngx_shm_zone_t     *shm_zone;
    ngx_optcache_l1_t  *l1;
    size_t              size;
    uint64_t            free;       /* cells of an empty zone */
} zone_t;


/* an entry is told by two numbers: its key, and which of that key it is */

static ngx_int_t l1_store(zone_t *z, ngx_uint_t key, ngx_uint_t gen,
    size_t body, size_t gzip);
static ngx_pool_t *l1_lookup(zone_t *z, ngx_uint_t key,
    ngx_optcache_entry_t *e);
static ngx_uint_t l1_holds(zone_t *z, ngx_uint_t key, ngx_uint_t gen);
static void l1_remove(zone_t *z, ngx_uint_t key);
static void l1_fill(ngx_pool_t *pool, ngx_optcache_entry_t *e, ngx_uint_t key,
    ngx_uint_t gen, size_t body, size_t gzip);
static ngx_chain_t *l1_chain_make(ngx_pool_t *pool, size_t len, u_char first);
static void assert_entry(ngx_optcache_entry_t *e, ngx_uint_t key,
    ngx_uint_t gen);
static uint64_t l1_tag(ngx_uint_t key, ngx_uint_t gen, ngx_uint_t i);
static void assert_chain(ngx_chain_t *cl, size_t len, u_char first);

static ngx_int_t zone_create(zone_t *z, size_t size);
static void zone_pool(zone_t *z, void *addr);
static void zone_destroy(zone_t *z);
static void zone_process(void);
static ngx_inline pid_t zone_worker(zone_t *z);


static ngx_int_t
l1_store(zone_t *z, ngx_uint_t key, ngx_uint_t gen, size_t body, size_t gzip)
{
    ngx_int_t              rc;
    ngx_pool_t            *pool;
    ngx_optcache_entry_t   e;

    pool = ngx_create_pool(4096, &z->log);
    assert_non_null(pool);

    l1_fill(pool, &e, key, gen, body, gzip);

    rc = ngx_optcache_l1_store(z->l1, &e);

    ngx_destroy_pool(pool);

    return rc;
}


/* returns the pool that pins the entry, NULL on a miss */

static ngx_pool_t *
l1_lookup(zone_t *z, ngx_uint_t key, ngx_optcache_entry_t *e)
{
    ngx_int_t              rc;
    ngx_pool_t            *pool;
    ngx_optcache_entry_t   wanted;

    pool = ngx_create_pool(4096, &z->log);
    assert_non_null(pool);

    l1_fill(pool, &wanted, key, 0, 0, 0);

    memset(e, 0xff, sizeof(ngx_optcache_entry_t));

    rc = ngx_optcache_l1_lookup(z->l1, &wanted.key, pool, e);

    if (rc == NGX_OK) {
        return pool;
    }

    assert_int_equal(rc, NGX_DECLINED);

    ngx_destroy_pool(pool);

    return NULL;
}


static ngx_uint_t
l1_holds(zone_t *z, ngx_uint_t key, ngx_uint_t gen)
{
    ngx_pool_t            *pool;
    ngx_optcache_entry_t   e;

    pool = l1_lookup(z, key, &e);
    if (pool == NULL) {
        return 0;
    }

    assert_entry(&e, key, gen);

    ngx_destroy_pool(pool);

    return 1;
}


static void
l1_remove(zone_t *z, ngx_uint_t key)
{
    ngx_pool_t            *pool;
    ngx_optcache_entry_t   e;

    pool = ngx_create_pool(4096, &z->log);
    assert_non_null(pool);

    l1_fill(pool, &e, key, 0, 0, 0);

    ngx_optcache_l1_remove(z->l1, &e.key);

    ngx_destroy_pool(pool);
}


static void
l1_fill(ngx_pool_t *pool, ngx_optcache_entry_t *e, ngx_uint_t key,
    ngx_uint_t gen, size_t body, size_t gzip)
{
    ngx_uint_t  i;

    ngx_memzero(e, sizeof(ngx_optcache_entry_t));

    e->key.data = ngx_pnalloc(pool, 64);
    e->head.data = ngx_pnalloc(pool, 64);
    assert_non_null(e->key.data);
    assert_non_null(e->head.data);

    e->key.len = ngx_sprintf(e->key.data, "sm/uri/%ui", key) - e->key.data;
    e->head.len = ngx_sprintf(e->head.data, "head %ui %ui", key, gen)
                  - e->head.data;

    e->status = 200 + gen % 300;
    e->date = NOW + gen;
    e->last_modified = NOW + key;
    e->age = (uint32_t) gen;
    e->lifetime = (uint32_t) (gen + key);

    e->origin.host = (uint32_t) key;
    e->origin.uri = (uint32_t) gen;
    e->moment.clock = key * gen;

    e->ntags = gen % 7;
    e->tags = ngx_palloc(pool, (e->ntags + 1) * sizeof(uint64_t));
    assert_non_null(e->tags);

    for (i = 0; i < e->ntags; i++) {
        e->tags[i] = l1_tag(key, gen, i);
    }

    e->body = l1_chain_make(pool, body, (u_char) (key + gen));
    e->body_len = body;
    e->gzip = l1_chain_make(pool, gzip, (u_char) (key - gen));
    e->gzip_len = gzip;
}


static uint64_t
l1_tag(ngx_uint_t key, ngx_uint_t gen, ngx_uint_t i)
{
    return (key + 1) * 0x9e3779b97f4a7c15 + gen * 1000 + i;
}


/* buffers that do not end where the pieces do */

static ngx_chain_t *
l1_chain_make(ngx_pool_t *pool, size_t len, u_char first)
{
    size_t        n, i;
    ngx_buf_t    *b;
    ngx_chain_t  *cl, *chain, **ll;

    ll = &chain;

    while (len) {
        n = ngx_min(len, 7777);

        b = ngx_create_temp_buf(pool, n);
        cl = ngx_alloc_chain_link(pool);
        assert_non_null(b);
        assert_non_null(cl);

        for (i = 0; i < n; i++) {
            *b->last++ = first;
            first = first * 5 + 1;
        }

        cl->buf = b;
        *ll = cl;
        ll = &cl->next;

        len -= n;
    }

    *ll = NULL;

    return chain;
}


static void
assert_entry(ngx_optcache_entry_t *e, ngx_uint_t key, ngx_uint_t gen)
{
    size_t      len;
    u_char      text[64];
    ngx_uint_t  i;

    len = ngx_sprintf(text, "sm/uri/%ui", key) - text;
    assert_int_equal(e->key.len, len);
    assert_memory_equal(e->key.data, text, len);

    len = ngx_sprintf(text, "head %ui %ui", key, gen) - text;
    assert_int_equal(e->head.len, len);
    assert_memory_equal(e->head.data, text, len);

    assert_int_equal(e->status, 200 + gen % 300);
    assert_int_equal(e->date, NOW + gen);
    assert_int_equal(e->last_modified, NOW + key);
    assert_int_equal(e->age, gen);
    assert_int_equal(e->lifetime, gen + key);
    assert_int_equal(e->origin.host, key);
    assert_int_equal(e->origin.uri, gen);
    assert_true(e->moment.clock == key * gen);
    assert_int_equal(e->ntags, gen % 7);

    for (i = 0; i < e->ntags; i++) {
        assert_true(e->tags[i] == l1_tag(key, gen, i));
    }

    assert_chain(e->body, e->body_len, (u_char) (key + gen));
    assert_chain(e->gzip, e->gzip_len, (u_char) (key - gen));
}


static void
assert_chain(ngx_chain_t *cl, size_t len, u_char first)
{
    u_char  *p;

    for ( /* void */ ; cl; cl = cl->next) {

        assert_true(cl->buf->last > cl->buf->pos);
        assert_true(cl->buf->memory && !cl->buf->temporary);

        for (p = cl->buf->pos; p < cl->buf->last; p++) {

            if (*p != first) {
                fail_msg("a byte differs, %d left", (int) len);
            }

            first = first * 5 + 1;
            len--;
        }
    }

    assert_int_equal(len, 0);
}


/* what the core does for a zone at start */

static ngx_int_t
zone_create(zone_t *z, size_t size)
{
    void       *addr;
    ngx_str_t   name = ngx_string("zone");

    ngx_memzero(z, sizeof(zone_t));

    z->size = size;
    z->cycle.log = &z->log;
    ngx_cycle = &z->cycle;

    z->pool = ngx_create_pool(4096, &z->log);
    if (z->pool == NULL
        || ngx_list_init(&z->cycle.shared_memory, z->pool, 1,
                         sizeof(ngx_shm_zone_t))
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    z->cf.pool = z->pool;
    z->cf.cycle = &z->cycle;
    z->cf.log = &z->log;

    z->l1 = ngx_optcache_l1_create(&z->cf, &name, size, z);
    if (z->l1 == NULL) {
        return NGX_ERROR;
    }

    /* MAP_SHARED: another process is to see it */

    addr = mmap(NULL, size, PROT_READ|PROT_WRITE, MAP_ANON|MAP_SHARED, -1, 0);
    if (addr == MAP_FAILED) {
        return NGX_ERROR;
    }

    zone_pool(z, addr);

    if (z->shm_zone->init(z->shm_zone, NULL) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_optcache_l1_attach(z->l1, &z->log) != NGX_OK) {
        return NGX_ERROR;
    }

    z->free = z->l1->sh->free;

    return NGX_OK;
}


static void
zone_pool(zone_t *z, void *addr)
{
    ngx_slab_pool_t  *sp;

    z->shm_zone = z->cycle.shared_memory.part.elts;
    z->shm_zone->shm.addr = addr;
    z->shm_zone->shm.log = &z->log;

    sp = addr;

    sp->end = (u_char *) addr + z->size;
    sp->min_shift = 3;
    sp->addr = addr;

    (void) ngx_shmtx_create(&sp->mutex, &sp->lock, NULL);

    ngx_slab_init(sp);
}


static void
zone_destroy(zone_t *z)
{
    ngx_optcache_l1_detach(z->l1);

    (void) munmap(z->shm_zone->shm.addr, z->size);

    ngx_destroy_pool(z->pool);
}


static void
zone_process(void)
{
    /* a lock that is never given back must not hold up everything */

    (void) alarm(300);

    ngx_pid = ngx_getpid();
    ngx_ncpu = 1;
    ngx_pagesize = getpagesize();

    while ((ngx_uint_t) 1 << ngx_pagesize_shift < ngx_pagesize) {
        ngx_pagesize_shift++;
    }

    ngx_slab_sizes_init();
}


/* Another worker, which ends by _exit() or is killed: 0 to it, its pid to us. */

static ngx_inline pid_t
zone_worker(zone_t *z)
{
    pid_t  pid;

    pid = fork();
    assert_true(pid != -1);

    if (pid == 0) {
        ngx_pid = ngx_getpid();
        z->l1->slot = NULL;

        if (ngx_optcache_l1_attach(z->l1, &z->log) != NGX_OK) {
            _exit(1);
        }
    }

    return pid;
}


#endif /* _L1_ZONE_H_INCLUDED_ */
