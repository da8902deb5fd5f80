
/*
 * Copyright (C) The Optcache authors
 */


/*
 * What Redis is to be told of a subject.  A slot whose era is not the fleet's
 * was learned before Redis may have lost something; one with "own" units has
 * admitted what Redis does not know of; a lease that is over is given back.
 * The next question about the subject carries all of it.
 */


#ifndef _NGX_LIMITER_CARRY_H_INCLUDED_
#define _NGX_LIMITER_CARRY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_limiter_item.h"


/*
 * Takes what is to be carried out of an entry of a locked zone; if "lost", even
 * what Redis had known.  From then on it is taken for told; while "settling" it
 * stays this host's own, see ngx_limiter_settle.h.  Returns 1 if there is
 * anything, else 0.  The caller stores the entry.
 */

ngx_uint_t ngx_limiter_carry_take(ngx_limiter_entry_t *entry,
    const ngx_limiter_policy_t *policy, ngx_limiter_carry_t *carry,
    ngx_uint_t lost, ngx_uint_t hosts, ngx_uint_t settling, uint64_t now);

/*
 * What a Redis was told whose data is gone for sure, it has to be told again:
 * as this host's own, for hosts have told of different units, and not as what
 * it is known to have had, of which the most that any of them says is taken.
 * To be called of each entry of a locked zone before its "told" is made use of.
 * The entry need not be stored.
 */

void ngx_limiter_carry_renew(ngx_limiter_zone_t *zone,
    ngx_limiter_entry_t *entry, const ngx_limiter_policy_t *policy,
    ngx_uint_t hosts, uint64_t now);

/*
 * Takes "take" back, if it was counted for the item: of what is told, or, when
 * the entry has been renewed since, of what is to be told again.  To be called
 * of an entry of a locked zone before it is renewed.
 */

void ngx_limiter_carry_unreserve(ngx_limiter_item_t *item,
    ngx_limiter_entry_t *entry);

/*
 * There was no answer: what the item carried is not told, and what it was to
 * take was not taken.
 */

void ngx_limiter_carry_restore(ngx_limiter_item_t *item);

/*
 * Books "add" units of the item and takes "sub" back on this host: as its own
 * with a share, for Redis could not be told; as used without, for there is no
 * Redis.
 */

void ngx_limiter_carry_book(ngx_limiter_item_t *item,
    const ngx_limiter_share_t *share);


#endif /* _NGX_LIMITER_CARRY_H_INCLUDED_ */
