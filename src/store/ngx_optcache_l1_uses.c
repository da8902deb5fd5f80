
/*
 * Copyright (C) The Optcache authors
 */


/*
 * How often a key was asked for: a table of fixed size, in which a counter is
 * in one of a few places that the hash of its key names.  When they are full,
 * the one that was not asked for longest leaves.  A counter is a word:
 *
 *     tag(32)       the rest of the hash
 *     minute(24)    of the last request, the lowest bits
 *     uses(8)
 *
 * that is changed at once or not at all: it needs no lock, and a worker that
 * is killed leaves nothing half done.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_optcache_l1.h"
#include "ngx_optcache_l1_shm.h"


#define ngx_optcache_l1_use(tag, minute, uses)                                \
    (((uint64_t) (tag) << 32) | (uint64_t) (minute) << 8 | (uses))

#define ngx_optcache_l1_use_tag(word)     ((uint32_t) ((word) >> 32))
#define ngx_optcache_l1_use_minute(word)  ((uint32_t) ((word) >> 8 & 0xffffff))
#define ngx_optcache_l1_use_uses(word)    ((ngx_uint_t) ((word) & 0xff))


static uint64_t *ngx_optcache_l1_uses_place(uint64_t *places, uint32_t tag,
    uint32_t minute);
static uint64_t ngx_optcache_l1_uses_next(uint64_t word, uint32_t tag,
    uint32_t minute);
static uint32_t ngx_optcache_l1_uses_ago(uint64_t word, uint32_t minute);


ngx_uint_t
ngx_optcache_l1_uses(ngx_optcache_l1_t *l1, ngx_str_t *key, time_t now)
{
    uint32_t   tag, minute;
    uint64_t   hash, word, next, *places, *place;

    hash = ngx_optcache_l1_hash(l1, key);
    tag = (uint32_t) (hash >> 32);
    minute = (uint32_t) (now / 60) & 0xffffff;

    places = &l1->sh->uses[(uint32_t) hash
                           % (l1->sh->nuses / NGX_OPTCACHE_L1_WAYS)
                           * NGX_OPTCACHE_L1_WAYS];

    do {
        place = ngx_optcache_l1_uses_place(places, tag, minute);

        word = __atomic_load_n(place, __ATOMIC_RELAXED);
        next = ngx_optcache_l1_uses_next(word, tag, minute);

    } while (!__atomic_compare_exchange_n(place, &word, next, 0,
                                          __ATOMIC_RELAXED,
                                          __ATOMIC_RELAXED));

    return ngx_optcache_l1_use_uses(next);
}


/* The place of a tag, or else the one whose last request is longest ago. */

static uint64_t *
ngx_optcache_l1_uses_place(uint64_t *places, uint32_t tag, uint32_t minute)
{
    uint32_t    ago, longest;
    uint64_t    word, *oldest;
    ngx_uint_t  i;

    oldest = places;
    longest = 0;

    for (i = 0; i < NGX_OPTCACHE_L1_WAYS; i++) {
        word = __atomic_load_n(&places[i], __ATOMIC_RELAXED);

        if (word == 0) {
            ago = NGX_MAX_UINT32_VALUE;

        } else if (ngx_optcache_l1_use_tag(word) == tag) {
            return &places[i];

        } else {
            ago = ngx_optcache_l1_uses_ago(word, minute);
        }

        if (ago > longest) {
            longest = ago;
            oldest = &places[i];
        }
    }

    return oldest;
}


static uint64_t
ngx_optcache_l1_uses_next(uint64_t word, uint32_t tag, uint32_t minute)
{
    ngx_uint_t  uses;

    uses = ngx_optcache_l1_use_uses(word);

    if (ngx_optcache_l1_use_tag(word) != tag
        || ngx_optcache_l1_uses_ago(word, minute)
           > NGX_OPTCACHE_L1_USES_AGE / 60)
    {
        uses = 0;
    }

    if (uses < NGX_OPTCACHE_L1_USES_MAX) {
        uses++;
    }

    return ngx_optcache_l1_use(tag, minute, uses);
}


/* Minutes; the clock of another worker may be ahead. */

static uint32_t
ngx_optcache_l1_uses_ago(uint64_t word, uint32_t minute)
{
    uint32_t  ago;

    ago = (minute - ngx_optcache_l1_use_minute(word)) & 0xffffff;

    return (ago & 0x800000) ? 0 : ago;
}
