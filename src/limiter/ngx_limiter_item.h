
/*
 * Copyright (C) The Optcache authors
 */


/*
 * One zone as one request meets it.
 */


#ifndef _NGX_LIMITER_ITEM_H_INCLUDED_
#define _NGX_LIMITER_ITEM_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_limiter_local.h"
#include "ngx_limiter_subject.h"


/* what to do when Redis does not answer */

typedef enum {
    NGX_LIMITER_ON_ERROR_LOCAL = 0,
    NGX_LIMITER_ON_ERROR_ALLOW,
    NGX_LIMITER_ON_ERROR_DENY
} ngx_limiter_on_error_e;


/* what became of it */

typedef enum {
    NGX_LIMITER_PASSED = 0,  /* had room */
    NGX_LIMITER_REJECTED,    /* had none */
    NGX_LIMITER_SKIPPED      /* nobody knows: Redis did not answer */
} ngx_limiter_verdict_e;


typedef struct {
    ngx_limiter_zone_t       *zone;
    ngx_limiter_subject_t     subject;
    uint64_t                  cost;
    ngx_limiter_on_error_e    on_error;

    /* the answer */

    ngx_limiter_verdict_e     verdict;
    ngx_limiter_window_t      windows[NGX_LIMITER_MAX_RATES];

    unsigned                  soft:1;    /* dry run: refuses nobody */
    unsigned                  local:1;   /* decided here, for want of Redis */
} ngx_limiter_item_t;


#endif /* _NGX_LIMITER_ITEM_H_INCLUDED_ */
