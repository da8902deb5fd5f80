
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

        if (pid && now - keeper->beat < late) {
            return 0;
        }

        if (!ngx_atomic_cmp_set(&keeper->pid, pid, ngx_pid)) {
            return 0;
        }
    }

    keeper->beat = now;

    return 1;
}


void
ngx_keeper_leave(ngx_keeper_t *keeper)
{
    (void) ngx_atomic_cmp_set(&keeper->pid, ngx_pid, 0);
}
