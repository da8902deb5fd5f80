
/*
 * Copyright (C) The Optcache authors
 */


/*
 * Hosts with a ledger each, and two Redis of which each host follows one at a
 * time: events, questions and answers that come late or never, streams that
 * are cut or lost, reloads to the other Redis.  Against a list of all that was
 * invalidated: what a host knows of is in force there, for whatever was asked
 * for before; and when all has come to rest, what is stored is of use.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "ledger_fleet.h"


#define SEEDS    300


/* What the script does: see ngx_optcache_stream.c. */

static void
ask(host_t *h)
{
    server_t                 *s;
    ngx_uint_t                i;
    ngx_optcache_ledger_id_t  id;

    if (h->server == SERVERS || h->asked) {
        return;
    }

    s = &servers[h->server];

    ngx_optcache_ledger_id(&h->ledger, &id);

    h->asked = 1;
    h->turn = h->turns;
    h->late = (now > LATE);
    h->behind = id;
    h->found = 0;

    for (i = s->first; i < s->n; i++) {
        if (s->elements[i].id.ms == id.ms) {
            h->found = 1;
            break;
        }
    }

    if (h->found) {
        h->from = i + 1;

    } else {
        if (s->n == s->first || s->elements[s->n - 1].id.ms <= id.ms) {
            (void) add(s, -1, HOSTS);
            s->first = s->n - 1;
        }

        h->from = s->first;
    }

    h->to = s->n;

    if (pick(4) == 0) {
        h->to = ngx_min(h->to, h->from + 2);
    }

    for (i = h->from; i < h->to; i++) {
        h->answer[i] = s->elements[i];
    }

    for (i = 0; i < nevents; i++) {
        h->known[i] = (h->to == s->n) && (there[i] & 1 << h->server);
    }
}


static void
hear(host_t *h)
{
    element_t                *e;
    ngx_uint_t                i, whole;
    ngx_optcache_event_t      event;
    ngx_optcache_ledger_id_t  id;

    if (!h->asked) {
        return;
    }

    h->asked = 0;

    ngx_optcache_ledger_id(&h->ledger, &id);

    if (h->turn != h->turns || id.ms != h->behind.ms || pick(8) == 0) {
        return;
    }

    if (!h->found
        && ngx_optcache_ledger_reset(&h->ledger, &h->answer[h->from].id,
                                     h->behind.ms || h->late))
    {
        ngx_optcache_ledger_again(&h->ledger, now > 60000 ? now - 60000 : 0);
    }

    for (i = h->from; i < h->to; i++) {
        e = &h->answer[i];

        if (e->event < 0) {
            continue;
        }

        event = event_of(events[e->event].tag);

        if (e->from == (ngx_uint_t) (h - hosts)) {
            ngx_optcache_ledger_placed(&h->ledger, &event, &e->id, NULL);

        } else {
            ngx_optcache_ledger_apply(&h->ledger, &event, &e->id);
            events[e->event].force |= 1 << (h - hosts);
        }
    }

    if (h->to > h->from) {
        ngx_optcache_ledger_read(&h->ledger, &h->answer[h->to - 1].id);
    }

    whole = (h->to == servers[h->server].n);

    if (whole || pick(2)) {

        /* "more" was not said: it was all, when it was asked */

        for (i = 0; i < nevents; i++) {
            if (h->known[i]) {
                events[i].force |= 1 << (h - hosts);
                whole = 1;
            }
        }
    }

    if (whole) {
        ngx_optcache_ledger_whole(&h->ledger);
    }
}


static void
fetch(host_t *h)
{
    entry_t  *e;

    if (h->wanted != -1) {
        return;
    }

    e = &entries[nentries];

    e->tag = pick(TAGS - 1);
    e->at = now;

    h->wanted = nentries++;
    ngx_optcache_ledger_now(&h->ledger, &h->moment);
}


static void
store(host_t *h)
{
    server_t              *s;
    uint64_t               hash, clock;
    ngx_uint_t             tag;
    ngx_optcache_marks_t   marks;

    if (h->wanted == -1) {
        return;
    }

    tag = entries[h->wanted].tag;
    marks_of(tag, &marks, &hash);

    clock = h->moment.clock;

    if (ngx_optcache_ledger_check(&h->ledger, &marks, &clock)
        == NGX_OPTCACHE_LEDGER_VALID)
    {
        h->entries[tag] = h->wanted;
        h->clocks[tag] = clock;

        if (h->server != SERVERS) {
            s = &servers[h->server];
            s->entries[tag] = h->wanted;
            s->positions[tag] = h->moment.position;
        }
    }

    h->wanted = -1;
}


static ngx_uint_t
lookup_l2(host_t *h, ngx_uint_t tag)
{
    server_t              *s;
    uint64_t               hash;
    ngx_optcache_marks_t   marks;
    ngx_optcache_moment_t  moment;

    if (h->server == SERVERS) {
        return 0;
    }

    s = &servers[h->server];

    if (s->entries[tag] == -1) {
        return 0;
    }

    ngx_optcache_ledger_now(&h->ledger, &moment);
    marks_of(tag, &marks, &hash);

    if (ngx_optcache_ledger_check_l2(&h->ledger, &marks, s->positions[tag])
        != NGX_OPTCACHE_LEDGER_VALID)
    {
        return 0;
    }

    serve(h, s->entries[tag], "L2");

    h->entries[tag] = s->entries[tag];
    h->clocks[tag] = moment.clock;

    return 1;
}


static void
lookup(host_t *h)
{
    uint64_t              hash;
    ngx_uint_t            tag;
    ngx_optcache_marks_t  marks;

    tag = pick(TAGS - 1);
    marks_of(tag, &marks, &hash);

    if (h->entries[tag] != -1 && pick(3)) {

        if (ngx_optcache_ledger_check(&h->ledger, &marks, &h->clocks[tag])
            == NGX_OPTCACHE_LEDGER_VALID)
        {
            serve(h, h->entries[tag], "L1");
            return;
        }

        h->entries[tag] = -1;
    }

    (void) lookup_l2(h, tag);
}


/* a reload, to the other Redis, to none or to the same */

static void
reload(host_t *h)
{
    ngx_uint_t              server;
    ngx_optcache_ledger_t   next;

    server = pick(4) ? pick(SERVERS) : SERVERS;

    next = h->ledger;
    next.cycle = ++h->ledger.sh->cycles;
    next.turn = 0;

    ngx_optcache_ledger_enter(&next, server == SERVERS ? 0 : server + 1);

    h->ledger = next;
    h->server = server;
    h->turns++;
    h->settled = 0;
    h->greeting = 0;
    h->wanted = -1;
}


static void
cut(server_t *s)
{
    if (s->n > s->first) {
        s->first += pick(s->n - s->first);
    }
}


static void
lose(server_t *s)
{
    ngx_uint_t  i;

    s->first = s->n;

    for (i = 0; i < ENTRIES; i++) {
        s->entries[i] = -1;
    }
}


/* A replica takes over that does not have the end of the stream. */

static void
lose_end(server_t *s)
{
    ngx_uint_t  i;

    for (i = pick(4); i && s->n > s->first + 1; i--) {
        s->n--;

        if (s->elements[s->n].event >= 0) {
            there[s->elements[s->n].event] &= ~(1 << (s - servers));
        }
    }
}


static void
turn(ngx_uint_t reloads, ngx_uint_t losses)
{
    host_t  *h;

    now++;
    h = &hosts[pick(HOSTS)];

    switch (pick(16)) {

    case 0:
        invalidate(h);
        return;

    case 1:
    case 2:
        fetch(h);
        return;

    case 3:
    case 4:
        store(h);
        return;

    case 5:
    case 6:
    case 7:
        lookup(h);
        return;

    case 8:
    case 9:
        ask(h);
        return;

    case 10:
    case 11:
        hear(h);
        return;

    case 12:
        catch_up(h);
        return;

    case 13:

        if (now <= LATE) {
            return;
        }

        if (pick(4) == 0) {
            cut(&servers[pick(SERVERS)]);

        } else if (losses && pick(16) == 0) {
            lose(&servers[pick(SERVERS)]);

        } else if (losses && pick(8) == 0) {
            lose_end(&servers[pick(SERVERS)]);

        } else if (reloads && pick(3) == 0) {
            reload(h);
        }

        return;

    default:
        move(h);
        return;
    }
}


/* All are with one Redis, and nothing is lost any more. */

static void
rest(ngx_uint_t server)
{
    host_t                *h;
    ngx_uint_t             i, j, k;
    ngx_optcache_ledger_t  next;

    for (i = 0; i < HOSTS; i++) {
        h = &hosts[i];

        if (h->server == server) {
            continue;
        }

        next = h->ledger;
        next.cycle = ++h->ledger.sh->cycles;
        next.turn = 0;
        ngx_optcache_ledger_enter(&next, server + 1);

        h->ledger = next;
        h->server = server;
        h->turns++;
        h->settled = 0;
        h->greeting = 0;
    }

    for (k = 0; k < 200; k++) {
        now += 10;

        for (i = 0; i < HOSTS; i++) {
            h = &hosts[i];

            for (j = 0; j < FLIGHTS * 4; j++) {
                move(h);
            }

            catch_up(h);
            hear(h);
            ask(h);
        }
    }

    for (i = 0; i < HOSTS; i++) {
        if (ngx_optcache_ledger_pending(&hosts[i].ledger) != 0
            || !hosts[i].settled)
        {
            fail_msg("host %d does not come to rest", (int) i);
        }
    }
}


static void
run(ngx_uint_t reloads, ngx_uint_t losses)
{
    host_t      *h;
    ngx_uint_t   i, j;

    memset(servers, 0, sizeof(servers));

    for (i = 0; i < SERVERS; i++) {
        for (j = 0; j < ENTRIES; j++) {
            servers[i].entries[j] = -1;
        }
    }

    nevents = 0;
    nentries = 0;
    now = START;
    memset(there, 0, sizeof(there));

    for (i = 0; i < HOSTS; i++) {
        host_create(&hosts[i], reloads ? pick(SERVERS) : 0);
    }

    for (i = 0; i < TURNS; i++) {
        turn(reloads, losses);
    }

    rest(0);

    /* what one stores, all use */

    for (i = 0; i < HOSTS; i++) {
        h = &hosts[i];

        now += 10;

        h->wanted = -1;
        fetch(h);
        j = entries[h->wanted].tag;
        store(h);

        if (servers[0].entries[j] != (ngx_int_t) nentries - 1) {
            fail_msg("host %d stores nothing", (int) i);
        }

        for (h = hosts; h < hosts + HOSTS; h++) {
            if (!lookup_l2(h, j)) {
                fail_msg("host %d does not use what host %d stored",
                         (int) (h - hosts), (int) i);
            }
        }
    }
}


static void
seeds(ngx_uint_t reloads, ngx_uint_t losses)
{
    char        *text;
    ngx_uint_t   i, n;

    text = getenv("LEDGER_FLEET_SEEDS");
    n = text ? (ngx_uint_t) atoi(text) : SEEDS;

    used = 0;

    for (i = 1; i <= n; i++) {
        seed = i;
        run(reloads, losses);
    }

    /* it is a test of what is used, too */

    assert_true(used > n * 5);
}


static void
test_hosts(void **state)
{
    seeds(0, 0);
}


static void
test_losses(void **state)
{
    seeds(0, 1);
}


static void
test_reloads(void **state)
{
    seeds(1, 1);
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hosts),
        cmocka_unit_test(test_losses),
        cmocka_unit_test(test_reloads)
    };

    cycle.log = &logger;
    ngx_cycle = &cycle;

    ngx_pagesize = 4096;
    ngx_pagesize_shift = 12;
    ngx_slab_sizes_init();
    ngx_time_init();

    return cmocka_run_group_tests(tests, NULL, NULL);
}
