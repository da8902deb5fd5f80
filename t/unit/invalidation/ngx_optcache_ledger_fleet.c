
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

#include "ngx_optcache_ledger_shm.h"


#define HOSTS    3
#define SERVERS  2
#define TAGS     5           /* the last of these is all there is */
#define EVENTS   4096
#define FLIGHTS  16
#define ENTRIES  64
#define TURNS    3000
#define SEEDS    300
#define START    1000
#define LATE     1100        /* what is in a stream by then is not lost before */


typedef struct {
    ngx_optcache_ledger_id_t      id;
    ngx_int_t                     event;   /* -1: a hello */
    ngx_uint_t                    from;    /* a host, HOSTS: does not say */
} element_t;


/* the stream, and where it begins after it was cut; L2 */

typedef struct {
    element_t                     elements[EVENTS];
    ngx_uint_t                    first;
    ngx_uint_t                    n;

    ngx_optcache_position_t       positions[ENTRIES];
    ngx_int_t                     entries[ENTRIES];    /* -1: none */
} server_t;


/* something was invalidated */

typedef struct {
    ngx_uint_t                    tag;
    uint64_t                      at;
    unsigned                      force:HOSTS;         /* where it is */
} event_t;


/* an answer of upstream */

typedef struct {
    ngx_uint_t                    tag;
    uint64_t                      at;                  /* asked for */
} entry_t;


typedef enum {
    IDLE = 0,
    SENT,
    THERE,
    LOST                                               /* not there */
} flight_e;


/* something that a host tells */

typedef struct {
    flight_e                      state;
    ngx_uint_t                    server;
    ngx_int_t                     event;               /* -1: a hello */
    ngx_uint_t                    again;
    ngx_uint_t                    turn;
    uint64_t                      clock;
    ngx_optcache_event_t          told;
    ngx_optcache_ledger_ticket_t  ticket;
    ngx_optcache_ledger_id_t      id;
} flight_t;


typedef struct {
    void                         *memory;
    ngx_optcache_ledger_t         ledger;
    ngx_uint_t                    server;              /* SERVERS: none */
    ngx_uint_t                    turns;
    ngx_uint_t                    settled;
    ngx_uint_t                    greeting;

    flight_t                      flights[FLIGHTS];

    /* a question that was answered, which has not come yet */

    ngx_uint_t                    asked;
    ngx_uint_t                    turn;
    ngx_uint_t                    late;
    ngx_optcache_ledger_id_t      behind;
    ngx_uint_t                    found;
    ngx_uint_t                    from;
    ngx_uint_t                    to;
    element_t                     answer[EVENTS];
    unsigned                      known[EVENTS];       /* to Redis then */

    /* what it is asking upstream for */

    ngx_int_t                     wanted;              /* -1: nothing */
    ngx_optcache_moment_t         moment;

    /* L1 */

    ngx_int_t                     entries[TAGS];       /* -1: none */
    uint64_t                      clocks[TAGS];
} host_t;


static ngx_log_t     logger;
static ngx_cycle_t   cycle;

static host_t        hosts[HOSTS];
static server_t      servers[SERVERS];
static event_t       events[EVENTS];
static ngx_uint_t    nevents;
static unsigned      there[EVENTS];                    /* on which servers */
static entry_t       entries[TURNS * 2];
static ngx_uint_t    nentries;
static uint64_t      now;
static ngx_uint_t    used;
static unsigned      seed;


static ngx_uint_t
pick(ngx_uint_t n)
{
    seed = seed * 1103515245 + 12345;

    return (seed >> 16) % n;
}


static ngx_optcache_event_t
event_of(ngx_uint_t tag)
{
    u_char                 text[2];
    ngx_optcache_event_t   event;
    ngx_optcache_target_t  target;

    memset(&target, 0, sizeof(target));

    if (tag == TAGS - 1) {
        target.all = 1;

    } else {
        text[0] = (u_char) ('a' + tag);
        target.tag.data = text;
        target.tag.len = 1;
    }

    assert_int_equal(ngx_optcache_mark_event(&target, &event), NGX_OK);

    return event;
}


static void
marks_of(ngx_uint_t tag, ngx_optcache_marks_t *marks, uint64_t *hash)
{
    u_char     text[2];
    ngx_str_t  name, path, host;

    memset(marks, 0, sizeof(*marks));

    text[0] = (u_char) ('a' + tag);
    name.data = text;
    name.len = 1;

    ngx_str_set(&path, "/p");
    ngx_str_set(&host, "h");

    *hash = ngx_optcache_mark_tag(&name);

    marks->tags = hash;
    marks->ntags = 1;
    marks->path = path;
    marks->origin.uri = ngx_optcache_mark_uri(&path);
    marks->origin.host = ngx_optcache_mark_host(&host);
}


static void
host_create(host_t *h, ngx_uint_t server)
{
    ngx_uint_t        i;
    ngx_slab_pool_t  *shpool;

    if (h->memory == NULL) {
        assert_int_equal(posix_memalign(&h->memory, 4096,
                                        NGX_OPTCACHE_LEDGER_SIZE),
                         0);
    }

    shpool = h->memory;
    memset(h, 0, sizeof(*h));
    h->memory = shpool;

    memset(h->memory, 0, NGX_OPTCACHE_LEDGER_SIZE);

    shpool->end = (u_char *) h->memory + NGX_OPTCACHE_LEDGER_SIZE;
    shpool->min_shift = 3;
    shpool->addr = h->memory;

    assert_int_equal(ngx_shmtx_create(&shpool->mutex, &shpool->lock, NULL),
                     NGX_OK);
    ngx_slab_init(shpool);

    h->ledger.shpool = shpool;

    assert_int_equal(ngx_optcache_ledger_init(&h->ledger, &logger), NGX_OK);

    h->server = server;
    ngx_optcache_ledger_enter(&h->ledger, server + 1);

    h->wanted = -1;

    for (i = 0; i < TAGS; i++) {
        h->entries[i] = -1;
    }
}


static ngx_uint_t
matches(ngx_int_t event, ngx_int_t entry)
{
    return (events[event].tag == TAGS - 1
            || events[event].tag == entries[entry].tag)
           && entries[entry].at < events[event].at;
}


/* Whatever it knows of is in force. */

static void
serve(host_t *h, ngx_int_t entry, const char *from)
{
    ngx_uint_t  i;

    used++;

    for (i = 0; i < nevents; i++) {
        if ((events[i].force & 1 << (h - hosts)) && matches(i, entry)) {
            fail_msg("host %d used what was invalidated, from %s, event %d",
                     (int) (h - hosts), from, (int) i);
        }
    }
}


static ngx_optcache_ledger_id_t
add(server_t *s, ngx_int_t event, ngx_uint_t from)
{
    element_t  *e;

    assert_true(s->n < EVENTS);

    e = &s->elements[s->n++];

    e->id.ms = now;
    e->id.number = 0;
    e->event = event;
    e->from = from;

    if (event >= 0) {
        there[event] |= 1 << (s - servers);
    }

    return e->id;
}


static flight_t *
flight(host_t *h)
{
    ngx_uint_t  i;

    for (i = 0; i < FLIGHTS; i++) {
        if (h->flights[i].state == IDLE) {
            return &h->flights[i];
        }
    }

    return NULL;
}


static void
invalidate(host_t *h)
{
    flight_t                      *f;
    ngx_int_t                      rc;
    ngx_optcache_event_t           event;
    ngx_optcache_ledger_ticket_t   ticket;

    if (nevents == EVENTS / 4) {
        return;
    }

    f = flight(h);

    events[nevents].tag = pick(12) ? pick(TAGS - 1) : TAGS - 1;
    events[nevents].at = now;
    events[nevents].force = 1 << (h - hosts);

    event = event_of(events[nevents].tag);

    if (h->server == SERVERS) {
        ngx_optcache_ledger_apply(&h->ledger, &event, NULL);
        nevents++;
        return;
    }

    rc = ngx_optcache_ledger_post(&h->ledger, &event, now, &ticket);
    assert_int_equal(rc, NGX_OK);

    ngx_optcache_ledger_apply(&h->ledger, &event, NULL);

    if (f == NULL) {
        ngx_optcache_ledger_untold(&h->ledger, &ticket);
        nevents++;
        return;
    }

    f->state = SENT;
    f->server = h->server;
    f->event = nevents++;
    f->again = 0;
    f->turn = h->turns;
    f->told = event;
    f->ticket = ticket;
}


/* as the keeper does each second */

static void
catch_up(host_t *h)
{
    flight_t                      *f;
    ngx_int_t                      i;
    ngx_optcache_event_t           event;
    ngx_optcache_moment_t          moment;
    ngx_optcache_ledger_ticket_t   ticket;

    f = flight(h);

    if (h->server == SERVERS || f == NULL) {
        return;
    }

    f->server = h->server;
    f->turn = h->turns;

    if (ngx_optcache_ledger_pending(&h->ledger) == 0) {

        if (h->settled || h->greeting) {
            return;
        }

        ngx_optcache_ledger_now(&h->ledger, &moment);

        h->greeting = 1;
        f->state = SENT;
        f->event = -1;
        f->clock = moment.clock;
        return;
    }

    h->settled = 0;

    ticket.slot = NGX_OPTCACHE_LEDGER_FIRST;

    while (f && ngx_optcache_ledger_overdue(&h->ledger, now, now - 60, &event,
                                            &ticket)
                == NGX_OK)
    {
        /* an event of this tag, to know where it is; the last such */

        for (i = nevents - 1; i >= 0; i--) {
            if (event_of(events[i].tag).mark == event.mark
                && (events[i].force & 1 << (h - hosts)))
            {
                break;
            }
        }

        f->state = SENT;
        f->server = h->server;
        f->turn = h->turns;
        f->event = i;
        f->again = 1;
        f->told = event;
        f->ticket = ticket;

        f = flight(h);
    }
}


/* Redis is told, or it is not; the host hears of that, or it does not. */

static void
move(host_t *h)
{
    flight_t  *f;

    f = &h->flights[pick(FLIGHTS)];

    switch (f->state) {

    case SENT:

        if (pick(8) == 0) {
            f->state = LOST;
            return;
        }

        f->id = add(&servers[f->server], f->event,
                    f->again ? HOSTS : (ngx_uint_t) (h - hosts));
        f->state = THERE;
        return;

    case THERE:

        if (pick(8) == 0) {
            f->state = LOST;
            return;
        }

        break;

    case LOST:
        break;

    default:
        return;
    }

    /* what workers of before hear, they do not take for that of theirs */

    if (f->event == -1) {

        if (f->turn == h->turns) {
            h->greeting = 0;

            if (f->state == THERE
                && ngx_optcache_ledger_settle(&h->ledger, &f->id, f->clock)
                   == NGX_OK)
            {
                h->settled = 1;
            }
        }

    } else if (f->state == THERE && f->turn == h->turns) {

        if (!f->again) {
            ngx_optcache_ledger_placed(&h->ledger, &f->told, &f->id,
                                       &f->ticket);
        }

        ngx_optcache_ledger_told(&h->ledger, &f->ticket);

    } else {
        ngx_optcache_ledger_untold(&h->ledger, &f->ticket);
    }

    f->state = IDLE;
}


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
