
/*
 * Copyright (C) The Optcache authors
 */


/*
 * Comparing an entry with what was invalidated.  What no event was of since
 * then, by its kind, is not looked for at all.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_optcache_ledger_shm.h"


/* what is compared, and with which of the two times */

typedef struct {
    ngx_optcache_ledger_shctx_t  *sh;
    ngx_optcache_marks_t         *marks;
    uint64_t                      since;
    ngx_uint_t                    soft;
    unsigned                      l2:1;
} ngx_optcache_ledger_check_t;


static ngx_uint_t ngx_optcache_ledger_within(ngx_optcache_ledger_t *ledger,
    ngx_optcache_position_t position);
static ngx_optcache_ledger_verdict_e ngx_optcache_ledger_verdict(
    ngx_optcache_ledger_check_t *check);
static ngx_uint_t ngx_optcache_ledger_met(ngx_optcache_ledger_check_t *check);
static ngx_uint_t ngx_optcache_ledger_met_uri(
    ngx_optcache_ledger_check_t *check);
static ngx_uint_t ngx_optcache_ledger_met_tags(
    ngx_optcache_ledger_check_t *check);
static ngx_uint_t ngx_optcache_ledger_met_prefix(
    ngx_optcache_ledger_check_t *check);
static ngx_uint_t ngx_optcache_ledger_met_length(
    ngx_optcache_ledger_check_t *check, ngx_uint_t len);
static ngx_uint_t ngx_optcache_ledger_kind(ngx_optcache_ledger_check_t *check,
    ngx_optcache_mark_e kind);
static ngx_uint_t ngx_optcache_ledger_mark(ngx_optcache_ledger_check_t *check,
    uint64_t mark);
static ngx_uint_t ngx_optcache_ledger_newer(
    ngx_optcache_ledger_check_t *check, ngx_optcache_ledger_time_t *time);


ngx_optcache_ledger_verdict_e
ngx_optcache_ledger_check(ngx_optcache_ledger_t *ledger,
    ngx_optcache_marks_t *marks, uint64_t *clock)
{
    uint64_t                       now;
    ngx_optcache_ledger_check_t    check;
    ngx_optcache_ledger_verdict_e  verdict;

    now = ngx_optcache_ledger_get(&ledger->sh->clock);

    if (now == *clock) {
        return NGX_OPTCACHE_LEDGER_VALID;
    }

    check.sh = ledger->sh;
    check.marks = marks;
    check.since = *clock;
    check.l2 = 0;

    verdict = ngx_optcache_ledger_verdict(&check);

    if (verdict == NGX_OPTCACHE_LEDGER_VALID
        && marks->path.data
        && now > *clock)
    {
        *clock = now;
    }

    return verdict;
}


ngx_optcache_ledger_verdict_e
ngx_optcache_ledger_check_l2(ngx_optcache_ledger_t *ledger,
    ngx_optcache_marks_t *marks, ngx_optcache_position_t position)
{
    ngx_optcache_ledger_check_t    check;
    ngx_optcache_ledger_verdict_e  verdict;

    if (!ngx_optcache_ledger_within(ledger, position)) {
        return NGX_OPTCACHE_LEDGER_GONE;
    }

    check.sh = ledger->sh;
    check.marks = marks;
    check.since = position;
    check.l2 = 1;

    verdict = ngx_optcache_ledger_verdict(&check);

    /* positions that were compared may be those of a stream that begins */

    ngx_memory_barrier();

    return ngx_optcache_ledger_within(ledger, position)
           ? verdict : NGX_OPTCACHE_LEDGER_GONE;
}


static ngx_uint_t
ngx_optcache_ledger_within(ngx_optcache_ledger_t *ledger,
    ngx_optcache_position_t position)
{
    return ngx_optcache_ledger_follows(ledger)
           && position >= ngx_optcache_ledger_get(&ledger->sh->floor)
           && position <= ngx_optcache_ledger_get(&ledger->sh->position);
}


ngx_uint_t
ngx_optcache_ledger_uris(ngx_optcache_ledger_t *ledger,
    ngx_optcache_position_t position)
{
    ngx_uint_t                   kind;
    ngx_optcache_ledger_check_t  check;

    check.sh = ledger->sh;
    check.since = position;
    check.l2 = 1;

    for (kind = NGX_OPTCACHE_MARK_URI;
         kind <= NGX_OPTCACHE_MARK_URI_HOST_USER;
         kind++)
    {
        for (check.soft = 0; check.soft < 2; check.soft++) {
            if (ngx_optcache_ledger_kind(&check, kind)) {
                return 1;
            }
        }
    }

    return 0;
}


static ngx_optcache_ledger_verdict_e
ngx_optcache_ledger_verdict(ngx_optcache_ledger_check_t *check)
{
    check->soft = 0;

    if (ngx_optcache_ledger_met(check)) {
        return NGX_OPTCACHE_LEDGER_GONE;
    }

    check->soft = 1;

    if (ngx_optcache_ledger_met(check)) {
        return NGX_OPTCACHE_LEDGER_SOFT;
    }

    return NGX_OPTCACHE_LEDGER_VALID;
}


static ngx_uint_t
ngx_optcache_ledger_met(ngx_optcache_ledger_check_t *check)
{
    ngx_optcache_marks_t  *marks;

    marks = check->marks;

    if (ngx_optcache_ledger_kind(check, NGX_OPTCACHE_MARK_ALL)) {
        return 1;
    }

    if (ngx_optcache_ledger_kind(check, NGX_OPTCACHE_MARK_HOST)
        && ngx_optcache_ledger_mark(check,
                       ngx_optcache_mark_of_host(marks->origin.host,
                                                 check->soft)))
    {
        return 1;
    }

    if (marks->user
        && ngx_optcache_ledger_kind(check, NGX_OPTCACHE_MARK_USER)
        && ngx_optcache_ledger_mark(check,
                       ngx_optcache_mark_of_user(marks->user, check->soft)))
    {
        return 1;
    }

    return ngx_optcache_ledger_met_uri(check)
           || ngx_optcache_ledger_met_tags(check)
           || ngx_optcache_ledger_met_prefix(check);
}


static ngx_uint_t
ngx_optcache_ledger_met_uri(ngx_optcache_ledger_check_t *check)
{
    uint32_t               host, uri;
    uint64_t               user;
    ngx_uint_t             soft;
    ngx_optcache_marks_t  *marks;

    marks = check->marks;
    host = marks->origin.host;
    uri = marks->origin.uri;
    user = marks->user;
    soft = check->soft;

    if (ngx_optcache_ledger_kind(check, NGX_OPTCACHE_MARK_URI)
        && ngx_optcache_ledger_mark(check,
                                ngx_optcache_mark_of_uri(uri, 0, 0, soft)))
    {
        return 1;
    }

    if (ngx_optcache_ledger_kind(check, NGX_OPTCACHE_MARK_URI_HOST)
        && ngx_optcache_ledger_mark(check,
                             ngx_optcache_mark_of_uri(uri, host, 0, soft)))
    {
        return 1;
    }

    if (user == 0) {
        return 0;
    }

    if (ngx_optcache_ledger_kind(check, NGX_OPTCACHE_MARK_URI_USER)
        && ngx_optcache_ledger_mark(check,
                             ngx_optcache_mark_of_uri(uri, 0, user, soft)))
    {
        return 1;
    }

    return ngx_optcache_ledger_kind(check, NGX_OPTCACHE_MARK_URI_HOST_USER)
           && ngx_optcache_ledger_mark(check,
                             ngx_optcache_mark_of_uri(uri, host, user, soft));
}


static ngx_uint_t
ngx_optcache_ledger_met_tags(ngx_optcache_ledger_check_t *check)
{
    ngx_uint_t             i, any, host;
    ngx_optcache_marks_t  *marks;

    marks = check->marks;

    if (marks->ntags == 0) {
        return 0;
    }

    any = ngx_optcache_ledger_kind(check, NGX_OPTCACHE_MARK_TAG);
    host = ngx_optcache_ledger_kind(check, NGX_OPTCACHE_MARK_TAG_HOST);

    if (!any && !host) {
        return 0;
    }

    for (i = 0; i < marks->ntags; i++) {

        if (any
            && ngx_optcache_ledger_mark(check,
                      ngx_optcache_mark_of_tag(marks->tags[i], 0,
                                               check->soft)))
        {
            return 1;
        }

        if (host
            && ngx_optcache_ledger_mark(check,
                      ngx_optcache_mark_of_tag(marks->tags[i],
                                               marks->origin.host,
                                               check->soft)))
        {
            return 1;
        }
    }

    return 0;
}


/* Of all lengths that a prefix ever had, those that the path has. */

static ngx_uint_t
ngx_optcache_ledger_met_prefix(ngx_optcache_ledger_check_t *check)
{
    uint64_t     bits;
    ngx_str_t   *path;
    ngx_uint_t   i, n, len;

    path = &check->marks->path;

    if (!ngx_optcache_ledger_kind(check, NGX_OPTCACHE_MARK_PREFIX)
        && !ngx_optcache_ledger_kind(check, NGX_OPTCACHE_MARK_PREFIX_HOST))
    {
        return 0;
    }

    if (path->data == NULL) {
        return 1;
    }

    n = ngx_min(path->len, NGX_OPTCACHE_MARK_PREFIX_MAX) / 64;

    for (i = 0; i <= n; i++) {
        bits = ngx_optcache_ledger_get(&check->sh->lengths[i]);

        while (bits) {
            len = i * 64 + __builtin_ctzll(bits);

            if (len > path->len) {
                return 0;
            }

            if (ngx_optcache_ledger_met_length(check, len)) {
                return 1;
            }

            bits &= bits - 1;
        }
    }

    return 0;
}


static ngx_uint_t
ngx_optcache_ledger_met_length(ngx_optcache_ledger_check_t *check,
    ngx_uint_t len)
{
    ngx_str_t  prefix;

    prefix.len = len;
    prefix.data = check->marks->path.data;

    return ngx_optcache_ledger_mark(check,
                   ngx_optcache_mark_of_prefix(&prefix, 0, check->soft))
           || ngx_optcache_ledger_mark(check,
                   ngx_optcache_mark_of_prefix(&prefix,
                                               check->marks->origin.host,
                                               check->soft));
}


/* Whether there was an event of this kind at all. */

static ngx_uint_t
ngx_optcache_ledger_kind(ngx_optcache_ledger_check_t *check,
    ngx_optcache_mark_e kind)
{
    return ngx_optcache_ledger_newer(check,
                                     &check->sh->last[check->soft][kind]);
}


static ngx_uint_t
ngx_optcache_ledger_mark(ngx_optcache_ledger_check_t *check, uint64_t mark)
{
    ngx_uint_t                  i;
    ngx_optcache_ledger_set_t  *set;

    set = &check->sh->sets[mark % NGX_OPTCACHE_LEDGER_SETS];

    for (i = 0; i < NGX_OPTCACHE_LEDGER_WAYS; i++) {
        if (ngx_optcache_ledger_get(&set->ways[i].mark) == mark) {
            return ngx_optcache_ledger_newer(check, &set->ways[i].time);
        }
    }

    /* what has left was written here before its place was another one's */

    return ngx_optcache_ledger_newer(check, &set->gone);
}


static ngx_uint_t
ngx_optcache_ledger_newer(ngx_optcache_ledger_check_t *check,
    ngx_optcache_ledger_time_t *time)
{
    if (check->l2) {
        return ngx_optcache_ledger_get(&time->position) > check->since;
    }

    return ngx_optcache_ledger_get(&time->clock) > check->since;
}
