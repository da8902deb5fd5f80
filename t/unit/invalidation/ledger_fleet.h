
/*
 * Copyright (C) The Optcache authors
 */


/*
 * Hosts with a ledger each, Redis with a stream and values, a list of all that
 * was invalidated, and what hosts tell Redis and may hear of it.
 */


#include "ngx_optcache_ledger_shm.h"


#define HOSTS    3
#define SERVERS  2
#define TAGS     5           /* the last of these is all there is */
#define EVENTS   4096
#define FLIGHTS  16
#define ENTRIES  64
#define TURNS    3000
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

        if (f->again) {
            ngx_optcache_ledger_told(&h->ledger, &f->id, &f->ticket);

        } else {
            ngx_optcache_ledger_placed(&h->ledger, &f->told, &f->id,
                                       &f->ticket);
        }

    } else {
        ngx_optcache_ledger_untold(&h->ledger, &f->ticket);
    }

    f->state = IDLE;
}
