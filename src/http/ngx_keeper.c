
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_keeper.h"


ngx_uint_t
ngx_keeper_is(ngx_keeper_t *keeper, uint64_t now, uint64_t late)
{
    ngx_atomic_uint_t  pid;

    if (ngx_exiting) {
        ngx_keeper_leave(keeper);
        return 0;
    }

    pid = keeper->pid;

    if (pid != (ngx_atomic_uint_t) ngx_pid) {

        if (ngx_keeper_there(keeper, now, late)) {
            return 0;
        }

        if (!ngx_atomic_cmp_set(&keeper->pid, pid, ngx_pid)) {
            return 0;
        }
    }

    ngx_shared_number_set(&keeper->beat, now);

    return 1;
}


ngx_uint_t
ngx_keeper_there(ngx_keeper_t *keeper, uint64_t now, uint64_t late)
{
    ngx_atomic_uint_t  pid;

    pid = keeper->pid;

    /* it may have called after "now" was looked at */

    return pid
           && (int64_t) (now - ngx_shared_number_get(&keeper->beat))
              < (int64_t) late
           && (kill((ngx_pid_t) pid, 0) == 0 || ngx_errno != ESRCH);
}


void
ngx_keeper_leave(ngx_keeper_t *keeper)
{
    (void) ngx_atomic_cmp_set(&keeper->pid, ngx_pid, 0);
}
