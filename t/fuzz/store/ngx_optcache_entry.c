
/*
 * Copyright (C) The Optcache authors
 */


/*
 * What Redis may answer to a lookup: the input is the value, once as it is
 * and once with its sum made right and asked for by its own key, so that what
 * lies behind is reached.  An entry that is accepted stays within the value,
 * has header fields only, and is written as the same bytes again.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <ngx_optcache_entry.h>


#define NOW  ((time_t) 1700000000)


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_decode(ngx_str_t *value, ngx_str_t *key);
static void fuzz_accepted(ngx_pool_t *pool, ngx_str_t *value,
    ngx_optcache_entry_t *e);
static void fuzz_chain(ngx_chain_t *cl, u_char *data, size_t len);
static uint32_t fuzz_get32(u_char *p);
static uint64_t fuzz_get64(u_char *p);


static ngx_log_t  fuzz_log;


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint32_t   sum;
    ngx_str_t  value, key;

    ngx_pagesize = 4096;

    value.len = size;
    value.data = malloc(size);

    if (value.data == NULL) {
        return 0;
    }

    memcpy(value.data, data, size);

    ngx_str_set(&key, "sk");
    fuzz_decode(&value, &key);

    if (size >= NGX_OPTCACHE_ENTRY_HEADER) {
        sum = (uint32_t) XXH64(value.data + 8, size - 8, 0);

        value.data[4] = (u_char) sum;
        value.data[5] = (u_char) (sum >> 8);
        value.data[6] = (u_char) (sum >> 16);
        value.data[7] = (u_char) (sum >> 24);

        key.data = value.data + NGX_OPTCACHE_ENTRY_HEADER;
        key.len = ngx_min(fuzz_get32(value.data + 64),
                          size - NGX_OPTCACHE_ENTRY_HEADER);

        fuzz_decode(&value, &key);
    }

    free(value.data);

    return 0;
}


static void
fuzz_decode(ngx_str_t *value, ngx_str_t *key)
{
    ngx_int_t              rc;
    ngx_pool_t            *pool;
    ngx_optcache_entry_t   e;

    pool = ngx_create_pool(512, &fuzz_log);
    if (pool == NULL) {
        return;
    }

    rc = ngx_optcache_entry_decode(pool, value, key, NOW, &e);

    if (rc == NGX_OK) {

        if (e.key.len != key->len
            || ngx_memcmp(e.key.data, key->data, key->len) != 0)
        {
            abort();
        }

        fuzz_accepted(pool, value, &e);

    } else if (rc != NGX_DECLINED) {
        abort();
    }

    ngx_destroy_pool(pool);
}


static void
fuzz_accepted(ngx_pool_t *pool, ngx_str_t *value, ngx_optcache_entry_t *e)
{
    u_char                *p, *last;
    ngx_str_t              again;
    ngx_optcache_field_t   field;

    if (e->status < 200 || e->status > 599 || e->status == 206
        || e->status == 304 || e->date < 0 || e->date > NOW
        || ngx_optcache_entry_age(e, NOW) < 0
        || e->origin.host == 0 || e->origin.uri == 0
        || e->moment.position == NGX_OPTCACHE_POSITION_UNKNOWN
        || e->ntags > NGX_OPTCACHE_MARK_TAGS)
    {
        abort();
    }

    p = e->head.data;
    last = p + e->head.len;

    while (p < last) {
        p = ngx_optcache_field_read(p, last, &field);

        if (p == NULL
            || !ngx_optcache_field_valid(&field)
            || ngx_optcache_field_id(&field.name) == NGX_OPTCACHE_FIELD_NEVER)
        {
            abort();
        }
    }

    if (last + e->body_len + e->gzip_len != value->data + value->len) {
        abort();
    }

    fuzz_chain(e->body, last, e->body_len);
    fuzz_chain(e->gzip, last + e->body_len, e->gzip_len);

    if (ngx_optcache_entry_encode(pool, e, &again) != NGX_OK
        || again.len != value->len)
    {
        abort();
    }

    /* but for the CRC, and a date in the future, which makes it old */

    if (fuzz_get64(value->data + 20) > (uint64_t) NOW) {

        if (e->date != NOW
            || (ngx_optcache_entry_fresh(e, NOW)
                && fuzz_get64(value->data + 20) > (uint64_t) NOW + 60
                && e->status))
        {
            abort();
        }

        ngx_memcpy(again.data + 12, value->data + 12, 4);
        ngx_memcpy(again.data + 20, value->data + 20, 8);
    }

    if (ngx_memcmp(again.data + 8, value->data + 8, value->len - 8) != 0) {
        abort();
    }
}


static void
fuzz_chain(ngx_chain_t *cl, u_char *data, size_t len)
{
    if (len == 0) {
        if (cl != NULL) {
            abort();
        }

        return;
    }

    if (cl == NULL || cl->next != NULL || cl->buf->pos != data
        || cl->buf->last != data + len)
    {
        abort();
    }
}


static uint32_t
fuzz_get32(u_char *p)
{
    return (uint32_t) p[0] | (uint32_t) p[1] << 8 | (uint32_t) p[2] << 16
           | (uint32_t) p[3] << 24;
}


static uint64_t
fuzz_get64(u_char *p)
{
    return (uint64_t) fuzz_get32(p) | (uint64_t) fuzz_get32(p + 4) << 32;
}
