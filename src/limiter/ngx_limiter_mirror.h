
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
 * Settling, see ngx_limiter_settle.h.  A host that keeps to its share counts
 * what it asks for as its own beforehand, so that no more is under way than it
 * may have.
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
 * for it, NGX_BUSY if it is sure to have no room, NGX_AGAIN if Redis has to be
 * asked.  The item's state is filled in any case.
 *
 * If "carry" is not NULL (of policy->nrates), there may be something to carry:
 * it is moved there, and from then on is taken for told, and so is what the
 * item itself is about to take, while it is settling: until there is no answer
 * and ngx_limiter_carry_restore() is called.
 */

ngx_int_t ngx_limiter_mirror_look(ngx_limiter_item_t *item,
    ngx_limiter_look_t *look, ngx_limiter_carry_t *carry);

/* Gives back what look() has spent of a lease. */

void ngx_limiter_mirror_unspend(ngx_limiter_item_t *item);

/*
 * Remembers the answer to a question that was sent in "era" and at "sent":
 * the item's state, unless a subject was forgotten by command meanwhile, and as
 * a lease what was granted beyond what it took.
 */

void ngx_limiter_mirror_learn(ngx_limiter_item_t *item, uint16_t era,
    uint64_t sent);


#endif /* _NGX_LIMITER_MIRROR_H_INCLUDED_ */
