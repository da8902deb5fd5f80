
/*
 * Copyright (C) The Optcache authors
 */


/*
 * What the limits mean, written down once more and naively: lists of what was
 * admitted where the module keeps counters, and for gcra the time at which all
 * will have leaked where it keeps a level.
 */


#include <ngx_limiter_item.h>


#define ZONES     3
#define SUBJECTS  2
#define PERIODS   4
#define EVENTS    512


typedef __int128  wide_t;


/* of one zone, subject and period */

typedef struct {
    uint64_t            period;
    uint64_t            touched;   /* when it was last written; 0: never */

    /* windows: the one written to last, and what was admitted in which */

    uint64_t            window;    /* its start */
    ngx_uint_t          n;

    struct {
        uint64_t        window;
        uint64_t        units;
    } events[EVENTS];

    /* gcra: limit * (the time at which all will have leaked) */

    uint64_t            limit;
    wide_t              empty;
} model_t;


typedef struct {
    ngx_uint_t          room;
    uint64_t            granted;
    uint64_t            rooms[NGX_LIMITER_MAX_RATES];
} answer_t;


static ngx_limiter_zone_t   zones[ZONES];
static model_t              model[ZONES][SUBJECTS][PERIODS];
static model_t              copies[ZONES][PERIODS];


static wide_t
model_sum(model_t *m, uint64_t window)
{
    wide_t      sum;
    ngx_uint_t  i;

    sum = 0;

    for (i = 0; i < m->n; i++) {
        if (m->events[i].window == window) {
            sum += m->events[i].units;
        }
    }

    return sum;
}


static void
model_admit(model_t *m, ngx_uint_t algorithm, uint64_t units)
{
    if (algorithm == NGX_LIMITER_GCRA) {
        m->empty += (wide_t) units * m->period;
        return;
    }

    if (units == 0) {
        return;
    }

    assert_true(m->n < EVENTS);

    m->events[m->n].window = m->window;
    m->events[m->n++].units = units;
}


static void
model_return(model_t *m, ngx_uint_t algorithm, uint64_t units, uint64_t now)
{
    uint64_t    some;
    ngx_uint_t  i;

    if (algorithm == NGX_LIMITER_GCRA) {
        m->empty = ngx_max(m->empty - (wide_t) units * m->period,
                           (wide_t) now * m->limit);
        return;
    }

    for (i = m->n; i > 0 && units; i--) {
        if (m->events[i - 1].window == m->window) {
            some = ngx_min(units, m->events[i - 1].units);
            m->events[i - 1].units -= some;
            units -= some;
        }
    }
}


static void
model_shift(model_t *m, uint64_t by)
{
    ngx_uint_t  i;

    m->window -= by;

    for (i = 0; i < m->n; i++) {
        m->events[i].window -= by;
    }
}


/* all but the last two windows */

static void
model_forget(model_t *m)
{
    ngx_uint_t  i, n;

    for (i = 0, n = 0; i < m->n; i++) {
        if (m->events[i].window + m->period >= m->window) {
            m->events[n++] = m->events[i];
        }
    }

    m->n = n;
}


/* Brings it to the present; tells whether the clock stepped back. */

static ngx_uint_t
model_open(model_t *m, ngx_uint_t algorithm, uint64_t limit, uint64_t now)
{
    wide_t      level;
    ngx_uint_t  stepped, known;

    known = (m->touched != 0);
    stepped = 0;

    if (algorithm == NGX_LIMITER_GCRA) {
        level = known ? m->empty - (wide_t) m->touched * m->limit : 0;

        if (known && m->touched <= now) {
            level -= (wide_t) (now - m->touched) * limit;
        }

        stepped = (known && m->touched > now && level > 0);

        m->limit = limit;
        m->empty = (wide_t) now * limit + ngx_max(level, 0);

    } else if (known && m->window > now) {
        stepped = 1;
        model_shift(m, m->window - now);

    } else if (known && algorithm == NGX_LIMITER_SLIDING_WINDOW
               && now >= m->window + m->period
               && now < m->window + 2 * m->period)
    {
        m->window += m->period;
        model_forget(m);

    } else if (!known || now >= m->window + m->period) {
        m->window = now;
        m->n = 0;
    }

    m->touched = now;

    return stepped;
}


static ngx_uint_t
model_has(model_t *m, ngx_limiter_policy_t *policy, uint64_t units,
    uint64_t now)
{
    wide_t  used, weight;

    if (policy->algorithm == NGX_LIMITER_GCRA) {
        return m->limit
               && m->empty + (wide_t) units * m->period
                  <= (wide_t) now * m->limit
                     + (wide_t) (policy->burst + 1) * m->period;
    }

    used = (model_sum(m, m->window) + units) * m->period;

    if (policy->algorithm == NGX_LIMITER_SLIDING_WINDOW) {
        weight = m->window + m->period - now;
        used += model_sum(m, m->window - m->period) * weight;
    }

    return used <= (wide_t) m->limit * m->period;
}


static uint64_t
model_room(model_t *m, ngx_limiter_policy_t *policy, uint64_t now)
{
    uint64_t  room, step;

    room = 0;

    for (step = (uint64_t) 1 << 47; step; step /= 2) {
        if (model_has(m, policy, room + step, now)) {
            room += step;
        }
    }

    return room;
}


/* nothing in it counts, now or later */

static ngx_uint_t
model_empty(model_t *m, ngx_uint_t algorithm, uint64_t now)
{
    if (m->touched == 0) {
        return 1;
    }

    if (algorithm == NGX_LIMITER_GCRA) {
        return m->empty <= (wide_t) now * m->limit
               || now >= m->touched + m->period;
    }

    if (algorithm == NGX_LIMITER_SLIDING_WINDOW) {
        return now >= m->window + 2 * m->period;
    }

    return now >= m->window + m->period;
}


static void
model_carry(model_t *m, ngx_uint_t algorithm, ngx_limiter_carry_t *carry,
    ngx_uint_t had, uint64_t now)
{
    wide_t    level, used;
    uint64_t  end, own, shift;

    if (carry->left == 0) {
        return;
    }

    own = carry->own;

    if (algorithm == NGX_LIMITER_GCRA) {
        level = m->empty - (wide_t) now * m->limit;
        level = ngx_max(level, (wide_t) carry->used) + own;
        level = ngx_max(level - (wide_t) carry->back, 0);
        m->empty = (wide_t) now * m->limit + level;
        return;
    }

    end = now + ngx_min(carry->left, m->period);

    if (!had) {
        m->window = end - m->period;

    } else if (algorithm == NGX_LIMITER_FIXED_WINDOW) {

        if (carry->used && end < m->window + m->period) {
            model_shift(m, m->window + m->period - end);
        }

    } else {
        shift = (end > m->window + m->period) ? end - m->window - m->period
                                              : m->window + m->period - end;
        if (shift >= 1000) {
            model_admit(m, algorithm, own + carry->own_prev);
            model_return(m, algorithm, carry->back, now);
            return;
        }
    }

    used = model_sum(m, m->window);

    if (used < carry->used) {
        model_admit(m, algorithm, carry->used - used);
    }

    model_admit(m, algorithm, own);
    model_return(m, algorithm, carry->back, now);

    if (algorithm == NGX_LIMITER_SLIDING_WINDOW) {
        used = model_sum(m, m->window - m->period);
        used = ngx_max(used, (wide_t) carry->prev) - used + carry->own_prev;

        m->window -= m->period;
        model_admit(m, algorithm, used);
        m->window += m->period;
    }
}


static model_t *
model_find(model_t *m, uint64_t period)
{
    while (m->period != period) {
        m++;
    }

    return m;
}


/* the copy of a zone is written back when the zone is */

static ngx_uint_t
model_look(ngx_limiter_item_t *item, ngx_uint_t subject, answer_t *answer,
    uint64_t now)
{
    model_t               *m;
    uint64_t               room;
    ngx_uint_t             i, z, had, write;
    ngx_limiter_policy_t  *policy;

    policy = item->policy;
    z = item->zone - zones;
    write = item->add || item->carry;
    answer->granted = NGX_LIMITER_MAX_COUNT;

    ngx_memcpy(copies[z], model[z][subject], sizeof(copies[z]));

    for (i = 0; i < PERIODS; i++) {
        write |= (item->sub && copies[z][i].touched);
    }

    for (i = 0; i < policy->nrates; i++) {
        m = model_find(copies[z], policy->rates[i].period);

        had = !model_empty(m, policy->algorithm, now);
        write |= model_open(m, policy->algorithm, policy->rates[i].limit, now);
        m->limit = policy->rates[i].limit;

        if (item->carry) {
            model_carry(m, policy->algorithm, &item->carry[i], had, now);
        }

        model_admit(m, policy->algorithm, item->add);
        model_return(m, policy->algorithm, item->sub, now);

        room = model_room(m, policy, now);
        answer->granted = ngx_min(answer->granted, room);
    }

    answer->room = (answer->granted >= item->need);
    answer->granted = ngx_max(item->take, ngx_min(item->want,
                                                  answer->granted));

    return write && !item->peek;
}


static ngx_uint_t
model_ask(ngx_limiter_item_t **items, ngx_uint_t n, ngx_uint_t subject,
    uint64_t now, answer_t *answers)
{
    model_t                   *m;
    ngx_uint_t                 i, k, z, counted, write[ZONES];
    ngx_limiter_policy_t      *policy;

    counted = 1;

    for (i = 0; i < n; i++) {
        write[i] = model_look(items[i], subject, &answers[i], now);

        if (!answers[i].room && !items[i]->soft) {
            counted = 0;
        }
    }

    for (i = 0; i < n; i++) {
        z = items[i]->zone - zones;
        policy = items[i]->policy;

        if (!counted || !answers[i].room || items[i]->peek) {
            answers[i].granted = 0;
        }

        for (k = 0; k < policy->nrates; k++) {
            m = model_find(copies[z], policy->rates[k].period);

            model_admit(m, policy->algorithm, answers[i].granted);
            answers[i].rooms[k] = model_room(m, policy, now);
        }

        if (!write[i] && !answers[i].granted) {
            continue;
        }

        for (k = 0; k < PERIODS; k++) {
            m = &copies[z][k];

            /* of rates that the policy does not have */

            if (m->touched != now
                && (policy->algorithm == NGX_LIMITER_GCRA
                    ? now >= m->touched + m->period
                    : model_empty(m, policy->algorithm, now)))
            {
                m->touched = 0;
            }
        }

        ngx_memcpy(model[z][subject], copies[z], sizeof(copies[z]));
    }

    return counted;
}
