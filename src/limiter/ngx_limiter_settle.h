
/*
 * Copyright (C) The Optcache authors
 */


/*
 * The end of an outage.  Hosts do not all find Redis back at once, and until
 * the last of them has told it what was let in there meanwhile, Redis counts
 * too little: the first would let in what is the share of others.  So for a few
 * seconds, see ngx_limiter_fleet_settling(), Redis decides, but each host keeps
 * to its share of what was left when Redis went away: "used" stays what it was
 * then, "own" is all that was let in here since, and "told" as much of it as
 * Redis counts.  At any time Redis is known to have "used" and "told".
 *
 * Pure; of gcra rates "own" and "told" are levels times the hosts.
 */


#ifndef _NGX_LIMITER_SETTLE_H_INCLUDED_
#define _NGX_LIMITER_SETTLE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_limiter_state.h"


/* Whether Redis counts anything that is "own" under one of the rates. */

ngx_uint_t ngx_limiter_settle_told(const ngx_limiter_state_t *state,
    const ngx_limiter_policy_t *policy);

/*
 * What Redis counts of "own", and what it does not: in units; gcra: levels in
 * the measure of Redis, rounded up.
 */

uint64_t ngx_limiter_settle_counted(const ngx_limiter_record_t *record,
    const ngx_limiter_policy_t *policy, ngx_uint_t hosts);
uint64_t ngx_limiter_settle_untold(const ngx_limiter_record_t *record,
    const ngx_limiter_policy_t *policy, ngx_uint_t hosts);

/* All have settled: what Redis counts is used, no matter by whom. */

void ngx_limiter_settle_end(ngx_limiter_state_t *state,
    const ngx_limiter_policy_t *policy, ngx_uint_t hosts);

/* What Redis is known to have, with nothing of this host's own; into "known". */

void ngx_limiter_settle_known(const ngx_limiter_state_t *state,
    const ngx_limiter_policy_t *policy, ngx_uint_t hosts,
    ngx_limiter_state_t *known);

/*
 * Counts units that Redis counts too as this host's own, and takes units back,
 * as ngx_limiter_state_back() does.
 */

void ngx_limiter_settle_count(ngx_limiter_state_t *state,
    const ngx_limiter_policy_t *policy, uint64_t units, ngx_uint_t hosts);
void ngx_limiter_settle_back(ngx_limiter_state_t *state,
    const ngx_limiter_policy_t *policy, uint64_t units, uint64_t kept,
    uint64_t since, ngx_uint_t hosts);

/*
 * Takes over what Redis says it counts, "from", of which "units" are not in
 * "told" yet.  With "keep" only of those rates that have no room for "need"
 * units, or under which nothing was let in here and of which Redis counts no
 * less than it is known to have had: the others have known better since Redis
 * went away, and one that lost something may answer before it is told of it.
 */

void ngx_limiter_settle_learn(ngx_limiter_state_t *state,
    const ngx_limiter_policy_t *policy, const ngx_limiter_state_t *from,
    uint64_t units, ngx_uint_t hosts, ngx_uint_t keep, uint64_t need,
    uint64_t now);


#endif /* _NGX_LIMITER_SETTLE_H_INCLUDED_ */
