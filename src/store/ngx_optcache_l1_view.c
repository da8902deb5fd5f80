
/*
 * Copyright (C) The Optcache authors
 */


/* What lies in the cells of a node, as an entry. */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_optcache_l1.h"
#include "ngx_optcache_l1_shm.h"
#include "ngx_rare.h"


static u_char *ngx_optcache_l1_view_join(u_char *p, ngx_chain_t *chain);
static void ngx_optcache_l1_view_meta(ngx_optcache_l1_node_t *node,
    ngx_optcache_entry_t *e);
static ngx_int_t ngx_optcache_l1_view_head(ngx_optcache_l1_shctx_t *sh,
    ngx_optcache_l1_node_t *node, ngx_pool_t *pool, ngx_optcache_entry_t *e);
static ngx_int_t ngx_optcache_l1_view_tags(ngx_optcache_l1_cursor_t *cursor,
    ngx_pool_t *pool, ngx_optcache_entry_t *e);
static ngx_often ngx_int_t ngx_optcache_l1_view_chain(
    ngx_optcache_l1_shctx_t *sh, ngx_optcache_l1_ref_t ref, size_t len,
    ngx_pool_t *pool, ngx_optcache_l1_link_t *link, ngx_chain_t **chain);
static void ngx_optcache_l1_copy(ngx_optcache_l1_cursor_t *cursor, u_char *to,
    size_t len);


ngx_int_t
ngx_optcache_l1_view(ngx_optcache_l1_shctx_t *sh,
    ngx_optcache_l1_node_t *node, ngx_pool_t *pool, ngx_optcache_entry_t *e,
    ngx_optcache_l1_link_t *body, ngx_optcache_l1_link_t *gzip)
{
    ngx_optcache_l1_view_meta(node, e);

    if (ngx_optcache_l1_view_head(sh, node, pool, e) != NGX_OK
        || ngx_optcache_l1_view_chain(sh, node->body, e->body_len, pool,
                                      body, &e->body)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_optcache_l1_view_chain(sh, node->gzip, e->gzip_len, pool,
                                      gzip, &e->gzip);
}


ngx_int_t
ngx_optcache_l1_view_own(ngx_pool_t *pool, ngx_optcache_entry_t *e)
{
    u_char  *p;

    /* its clock is the node's */

    e->compared = NULL;

    p = ngx_pnalloc(pool, e->head.len + e->body_len + e->gzip_len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    if (e->head.len) {
        ngx_memcpy(p, e->head.data, e->head.len);
        e->head.data = p;
        p += e->head.len;
    }

    p = ngx_optcache_l1_view_join(p, e->body);
    (void) ngx_optcache_l1_view_join(p, e->gzip);

    return NGX_OK;
}


/* All buffers of a chain as the first one; returns what follows. */

static u_char *
ngx_optcache_l1_view_join(u_char *p, ngx_chain_t *chain)
{
    u_char       *first;
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    if (chain == NULL) {
        return p;
    }

    first = p;

    for (cl = chain; cl; cl = cl->next) {
        p = ngx_cpymem(p, cl->buf->pos, cl->buf->last - cl->buf->pos);
    }

    b = chain->buf;
    b->start = first;
    b->pos = first;
    b->last = p;
    b->end = p;

    chain->next = NULL;

    return p;
}


static void
ngx_optcache_l1_view_meta(ngx_optcache_l1_node_t *node,
    ngx_optcache_entry_t *e)
{
    e->body_len = node->body_len;
    e->gzip_len = node->gzip_len;
    e->status = node->status;
    e->untouched = node->untouched;
    e->date = node->date;
    e->last_modified = node->last_modified;
    e->age = node->age;
    e->lifetime = node->lifetime;
    e->max_stale = node->max_stale;
    e->stale_while_revalidate = node->stale_while_revalidate;
    e->stale_if_error = node->stale_if_error;
    e->origin = node->origin;
    e->ntags = node->ntags;

    e->moment.clock = __atomic_load_n(&node->clock, __ATOMIC_RELAXED);
    e->moment.position = 0;
    e->compared = &node->clock;
}


/* The header fields are parsed as one: copied if they lie in two pieces. */

static ngx_int_t
ngx_optcache_l1_view_head(ngx_optcache_l1_shctx_t *sh,
    ngx_optcache_l1_node_t *node, ngx_pool_t *pool, ngx_optcache_entry_t *e)
{
    size_t                     n, left;
    u_char                    *p;
    ngx_str_t                 *head;
    ngx_optcache_l1_cursor_t   cursor;

    ngx_optcache_l1_first_cursor(&cursor, sh, node);

    for (left = node->key_len; left; left -= n) {
        n = ngx_optcache_l1_read(&cursor, left, &p);
    }

    if (ngx_optcache_l1_view_tags(&cursor, pool, e) != NGX_OK) {
        return NGX_ERROR;
    }

    left = node->head_len;

    head = &e->head;
    head->len = left;
    head->data = NULL;

    if (left == 0) {
        return NGX_OK;
    }

    n = ngx_optcache_l1_read(&cursor, left, &p);

    if (n == left) {
        head->data = p;
        return NGX_OK;
    }

    head->data = ngx_pnalloc(pool, left);
    if (head->data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(head->data, p, n);
    ngx_optcache_l1_copy(&cursor, head->data + n, left - n);

    return NGX_OK;
}


/* They lie as they come: copied, for the sake of alignment. */

static ngx_int_t
ngx_optcache_l1_view_tags(ngx_optcache_l1_cursor_t *cursor, ngx_pool_t *pool,
    ngx_optcache_entry_t *e)
{
    e->tags = NULL;

    if (e->ntags == 0) {
        return NGX_OK;
    }

    e->tags = ngx_palloc(pool, e->ntags * sizeof(uint64_t));
    if (e->tags == NULL) {
        return NGX_ERROR;
    }

    ngx_optcache_l1_copy(cursor, (u_char *) e->tags,
                         e->ntags * sizeof(uint64_t));

    return NGX_OK;
}


static void
ngx_optcache_l1_copy(ngx_optcache_l1_cursor_t *cursor, u_char *to, size_t len)
{
    size_t   n;
    u_char  *p;

    for ( /* void */ ; len; len -= n) {
        n = ngx_optcache_l1_read(cursor, len, &p);
        to = ngx_cpymem(to, p, n);
    }
}


static ngx_int_t
ngx_optcache_l1_view_chain(ngx_optcache_l1_shctx_t *sh,
    ngx_optcache_l1_ref_t ref, size_t len, ngx_pool_t *pool,
    ngx_optcache_l1_link_t *link, ngx_chain_t **chain)
{
    size_t                     n;
    u_char                    *p;
    ngx_buf_t                 *b;
    ngx_chain_t               *cl, **ll;
    ngx_optcache_l1_cursor_t   cursor;

    cursor.sh = sh;
    cursor.next = ref;
    cursor.size = 0;

    ll = chain;

    while (len) {

        if (link == NULL) {
            link = ngx_palloc(pool, sizeof(ngx_optcache_l1_link_t));
            if (link == NULL) {
                return NGX_ERROR;
            }
        }

        ngx_memzero(&link->buf, sizeof(ngx_buf_t));

        cl = &link->chain;
        b = &link->buf;

        n = ngx_optcache_l1_read(&cursor, len, &p);
        len -= n;

        b->start = p;
        b->pos = p;
        b->last = p + n;
        b->end = b->last;
        b->memory = 1;

        cl->buf = b;

        *ll = cl;
        ll = &cl->next;

        link = NULL;
    }

    *ll = NULL;

    return NGX_OK;
}


size_t
ngx_optcache_l1_read(ngx_optcache_l1_cursor_t *cursor, size_t max, u_char **p)
{
    size_t  n;

    if (cursor->size == 0) {
        cursor->pos = ngx_optcache_l1_piece(cursor->sh, &cursor->next,
                                            &cursor->size);
    }

    n = ngx_min(cursor->size, max);

    *p = cursor->pos;

    cursor->pos += n;
    cursor->size -= n;

    return n;
}


void
ngx_optcache_l1_first_cursor(ngx_optcache_l1_cursor_t *cursor,
    ngx_optcache_l1_shctx_t *sh, ngx_optcache_l1_node_t *node)
{
    cursor->sh = sh;
    cursor->next = node->more;
    cursor->pos = ngx_optcache_l1_first(node, &cursor->size);
}
