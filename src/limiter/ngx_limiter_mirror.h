
/*
 * Copyright (C) The Optcache authors
 */


/*
 * What this host knows of subjects that are counted in Redis: enough to refuse
 * one that has nothing left, to let one pass whose units were taken in advance,
 * to go on without Redis, and to tell Redis afterwards.
 *
 * Leases.  Units are taken from Redis some at a time and spent from here; in
 * Redis they are used as soon as they are taken, so that all hosts together
 * never exceed the limit.  They are good until the first of the windows ends in
 * which they were counted; what is left then is given back to the others.
 *
 * Carrying.  A slot whose era is not the fleet's was learned before Redis may
 * have lost something; one with "own" units has admitted what Redis does not
 * know of.  The next question about the subject carries both.
 */


#ifndef _NGX_LIMITER_MIRROR_H_INCLUDED_
#define _NGX_LIMITER_MIRROR_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_limiter_item.h"


/* what look() found */

typedef struct {
    ngx_uint_t                refill;    /* it is time to lease again */
    ngx_uint_t                carry;     /* item->carry was filled */
    uint16_t                  era;
} ngx_limiter_look_t;


/*
 * What is known of an item's subject now.  Returns NGX_OK if a lease has paid
 * for it, NGX_BUSY if it has no room, NGX_AGAIN if Redis has to be asked.  The
 * item's state is filled in any case.
 *
 * If "carry" is not NULL (of policy->nrates), there may be something to carry:
 * it is moved there, and from then on is taken for told, until _restore().
 */

ngx_int_t ngx_limiter_mirror_look(ngx_limiter_item_t *item,
    ngx_limiter_look_t *look, ngx_limiter_carry_t *carry);

/* Gives back what look() has spent of a lease. */

void ngx_limiter_mirror_unspend(ngx_limiter_item_t *item);

/*
 * Remembers the answer to a question that was sent in "era" and at "sent":
 * the item's state, and as a lease what was granted beyond what it took.
 */

void ngx_limiter_mirror_learn(ngx_limiter_item_t *item, uint16_t era,
    uint64_t sent);

/* There was no answer: what was carried is not told. */

void ngx_limiter_mirror_restore(ngx_limiter_item_t *item);

/*
 * Takes what is to be carried out of an entry of a locked zone, as look()
 * does; if "lost", even what Redis had known.  Returns 1 if there is anything,
 * else 0.  The caller stores the entry.
 */

ngx_uint_t ngx_limiter_mirror_take(ngx_limiter_entry_t *entry,
    const ngx_limiter_policy_t *policy, ngx_limiter_carry_t *carry,
    ngx_uint_t lost, ngx_uint_t hosts, uint64_t now);

/*
 * Books "add" units of the item and takes "sub" back on this host: as its own
 * with a share, for Redis could not be told; as used without, for there is no
 * Redis.
 */

void ngx_limiter_mirror_book(ngx_limiter_item_t *item,
    const ngx_limiter_share_t *share);


#endif /* _NGX_LIMITER_MIRROR_H_INCLUDED_ */
