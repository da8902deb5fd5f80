
/*
 * Copyright (C) The Optcache authors
 */


/*
 * What Redis is told or asked without anybody waiting for the answer.  A task
 * copies all it needs and frees itself.
 */


#ifndef _NGX_LIMITER_TASK_H_INCLUDED_
#define _NGX_LIMITER_TASK_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_limiter_ask.h"
#include "ngx_limiter_mirror.h"


typedef enum {
    NGX_LIMITER_TASK_BOOK = 0,           /* what a request cost in the end;
                                            booked here if Redis is gone */
    NGX_LIMITER_TASK_REFUND,             /* a request was not let in after all;
                                            lost if Redis is gone */
    NGX_LIMITER_TASK_LEASE,              /* a lease for those to come */
    NGX_LIMITER_TASK_CARRY               /* what Redis does not know; put back
                                            if Redis is gone */
} ngx_limiter_task_e;


/*
 * Of the item are read: zone, policy, subject, share, "add" and "sub" with what
 * goes with it or, for CARRY, "carry".  Failures are seen to as told above; the function itself
 * cannot fail, but for memory, which is as if Redis were gone.
 */

void ngx_limiter_task(ngx_limiter_redis_t *redis, ngx_limiter_item_t *item,
    ngx_limiter_task_e kind);

/*
 * Waits for the answer to a question that is under way, of which Redis is told
 * something by the way, in place of a request that is gone; what it says is
 * learned as of "era", what it was told is put back if it does not answer.  The
 * items are copied.  NGX_DECLINED if it is told nothing, NGX_ERROR when out of
 * memory: the question is as it was then.
 */

ngx_int_t ngx_limiter_task_adopt(ngx_limiter_ask_t *ask, uint16_t era);


#endif /* _NGX_LIMITER_TASK_H_INCLUDED_ */
