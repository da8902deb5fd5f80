
/*
 * Copyright (C) The Optcache authors
 */


/*
 * What was invalidated, against a list of all events: never forgotten,
 * whatever has to leave the table, and not made up as long as there is room.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "ngx_optcache_ledger_shm.h"
#include "ledger_zone.h"


#define ENTRIES  400
#define TURNS    20000


typedef struct {
    ngx_optcache_target_t  target;
    ngx_optcache_event_t   event;
    char                   text[64];
} request_t;


typedef struct {
    ngx_optcache_marks_t   marks;
    uint64_t               clock;
    uint64_t               position;
    uint64_t               tags[3];
    char                   path[64];
    char                   names[3][16];
    char                   host[16];
    ngx_uint_t             user;
    ngx_uint_t             gone;
    ngx_uint_t             soft;
} item_t;


static unsigned                seed;


static ngx_str_t
str(char *text)
{
    ngx_str_t  s;

    s.data = (u_char *) text;
    s.len = strlen(text);

    return s;
}


static uint64_t
user_of(ngx_uint_t user)
{
    u_char  digest[32];

    memset(digest, (int) user, sizeof(digest));

    return ngx_optcache_mark_user(digest);
}


static ngx_optcache_ledger_id_t
id_of(uint64_t ms, uint64_t number)
{
    ngx_optcache_ledger_id_t  id;

    id.ms = ms;
    id.number = number;

    return id;
}


static ngx_optcache_event_t
event_of(char *kind, char *value, ngx_uint_t soft)
{
    ngx_optcache_event_t   event;
    ngx_optcache_target_t  target;

    memset(&target, 0, sizeof(target));
    target.soft = soft;

    if (strcmp(kind, "tag") == 0) {
        target.tag = str(value);

    } else if (strcmp(kind, "uri") == 0) {
        target.uri = str(value);

    } else if (strcmp(kind, "prefix") == 0) {
        target.prefix = str(value);

    } else {
        target.all = 1;
    }

    assert_int_equal(ngx_optcache_mark_event(&target, &event), NGX_OK);

    return event;
}


static void
item_make(item_t *item, char *host, char *path, ngx_uint_t user, char *tag)
{
    ngx_str_t              s;
    ngx_optcache_moment_t  moment;

    memset(item, 0, sizeof(*item));

    snprintf(item->host, sizeof(item->host), "%s", host);
    snprintf(item->path, sizeof(item->path), "%s", path);
    snprintf(item->names[0], sizeof(item->names[0]), "%s", tag);

    s = str(item->host);
    item->marks.origin.host = ngx_optcache_mark_host(&s);
    item->marks.path = str(item->path);
    item->marks.origin.uri = ngx_optcache_mark_uri(&item->marks.path);
    item->user = user;
    item->marks.user = user ? user_of(user) : 0;

    item->marks.tags = item->tags;

    if (*tag) {
        s = str(item->names[0]);
        item->tags[0] = ngx_optcache_mark_tag(&s);
        item->marks.ntags = 1;
    }

    ngx_optcache_ledger_now(&ledger, &moment);
    item->clock = moment.clock;
    item->position = moment.position;
}


static ngx_optcache_ledger_verdict_e
verdict(item_t *item)
{
    return ngx_optcache_ledger_check(&ledger, &item->marks, &item->clock);
}


static ngx_optcache_ledger_verdict_e
verdict_l2(item_t *item)
{
    return ngx_optcache_ledger_check_l2(&ledger, &item->marks,
                                        item->position);
}


/* whether a request is about an item, by its words */

static ngx_uint_t
matches(ngx_optcache_target_t *t, item_t *item)
{
    ngx_uint_t  i;

    if (t->host.len
        && (t->host.len != strlen(item->host)
            || memcmp(t->host.data, item->host, t->host.len) != 0))
    {
        return 0;
    }

    if (t->user && t->user != item->marks.user) {
        return 0;
    }

    if (t->uri.len) {
        return t->uri.len == item->marks.path.len
               && memcmp(t->uri.data, item->path, t->uri.len) == 0;
    }

    if (t->prefix.len) {
        return t->prefix.len <= item->marks.path.len
               && memcmp(t->prefix.data, item->path, t->prefix.len) == 0;
    }

    if (t->tag.len) {

        for (i = 0; i < item->marks.ntags; i++) {
            if (t->tag.len == strlen(item->names[i])
                && memcmp(t->tag.data, item->names[i], t->tag.len) == 0)
            {
                return 1;
            }
        }

        return 0;
    }

    return 1;
}


static void
request_random(request_t *r, ngx_uint_t wide)
{
    static char  *hosts[] = { "a.example", "b.example" };

    memset(r, 0, sizeof(*r));

    switch (rand_r(&seed) % 8) {

    case 0:
        snprintf(r->text, sizeof(r->text), "/api/%u",
                 rand_r(&seed) % (unsigned) wide);
        r->target.uri = str(r->text);
        break;

    case 1:
        snprintf(r->text, sizeof(r->text), "/api/%u",
                 rand_r(&seed) % (unsigned) wide);
        r->target.prefix = str(r->text);
        break;

    case 2:
        r->target.user = user_of(1 + rand_r(&seed) % 100);
        break;

    case 3:
        snprintf(r->text, sizeof(r->text), "/api/%u",
                 rand_r(&seed) % (unsigned) wide);
        r->target.uri = str(r->text);
        r->target.user = user_of(1 + rand_r(&seed) % 100);
        break;

    default:
        snprintf(r->text, sizeof(r->text), "t%u",
                 rand_r(&seed) % (unsigned) wide);
        r->target.tag = str(r->text);
    }

    if (r->target.user == 0 || r->target.uri.len) {
        if (rand_r(&seed) % 3 == 0) {
            r->target.host = str(hosts[rand_r(&seed) % 2]);
        }
    }

    r->target.soft = rand_r(&seed) % 4 == 0;

    assert_int_equal(ngx_optcache_mark_event(&r->target, &r->event), NGX_OK);
}


static void
item_random(item_t *item, ngx_uint_t wide)
{
    char        path[64], tag[16];
    ngx_uint_t  i;
    ngx_str_t   s;

    snprintf(path, sizeof(path), "/api/%u", rand_r(&seed) % (unsigned) wide);
    snprintf(tag, sizeof(tag), "t%u", rand_r(&seed) % (unsigned) wide);

    item_make(item, rand_r(&seed) % 2 ? "a.example" : "b.example", path,
              rand_r(&seed) % 3 ? 0 : 1 + rand_r(&seed) % 100, tag);

    for (i = 1; i < 1 + rand_r(&seed) % 3; i++) {
        snprintf(item->names[i], sizeof(item->names[i]), "t%u",
                 rand_r(&seed) % (unsigned) wide);
        s = str(item->names[i]);
        item->tags[i] = ngx_optcache_mark_tag(&s);
        item->marks.ntags = i + 1;
    }
}


/*
 * Events are applied as they are read; "strict": nothing else than what they
 * are of may be gone.
 */

static void
model(ngx_uint_t wide, ngx_uint_t strict)
{
    ngx_uint_t                      i, n;
    item_t                         *items, *item;
    request_t                       r;
    ngx_optcache_ledger_id_t        id;
    ngx_optcache_ledger_verdict_e   v, l2;

    items = calloc(ENTRIES, sizeof(item_t));
    assert_non_null(items);

    id = id_of(1, 0);
    ngx_optcache_ledger_reset(&ledger, &id, 0);
    ngx_optcache_ledger_whole(&ledger);

    for (i = 0; i < ENTRIES; i++) {
        item_random(&items[i], wide);
    }

    for (n = 0; n < TURNS; n++) {
        request_random(&r, wide);

        id = id_of(2 + n / 3, n % 3);
        ngx_optcache_ledger_apply(&ledger, &r.event, &id);
        ngx_optcache_ledger_read(&ledger, &id);

        for (i = 0; i < ENTRIES; i++) {
            if (matches(&r.target, &items[i])) {
                if (r.target.soft) {
                    items[i].soft = 1;
                } else {
                    items[i].gone = 1;
                }
            }
        }

        item = &items[rand_r(&seed) % ENTRIES];

        v = verdict(item);
        l2 = verdict_l2(item);

        if (item->gone) {
            assert_int_equal(v, NGX_OPTCACHE_LEDGER_GONE);
            assert_int_equal(l2, NGX_OPTCACHE_LEDGER_GONE);

        } else if (item->soft) {
            assert_int_not_equal(v, NGX_OPTCACHE_LEDGER_VALID);
            assert_int_not_equal(l2, NGX_OPTCACHE_LEDGER_VALID);
        }

        if (strict && !item->gone) {
            assert_int_equal(v, item->soft ? NGX_OPTCACHE_LEDGER_SOFT
                                           : NGX_OPTCACHE_LEDGER_VALID);
            assert_int_equal(l2, v);
        }

        if (v != NGX_OPTCACHE_LEDGER_VALID) {
            item_random(item, wide);
        }
    }

    free(items);
}


static void
test_model(void **state)
{
    seed = 1;
    model(200, 1);
}


static void
test_model_crowded(void **state)
{
    seed = 2;
    model(1000 * 1000, 0);
}


/* more than the table holds: what was before seems gone, what is new is not */

static void
test_flood(void **state)
{
    char                      tag[32];
    item_t                    old, fresh;
    ngx_uint_t                i, n;
    ngx_optcache_event_t      event;
    ngx_optcache_ledger_id_t  id;

    id = id_of(1, 0);
    ngx_optcache_ledger_reset(&ledger, &id, 0);
    ngx_optcache_ledger_whole(&ledger);

    item_make(&old, "a", "/", 0, "mine");

    event = event_of("tag", "mine", 0);
    id = id_of(2, 0);
    ngx_optcache_ledger_apply(&ledger, &event, &id);
    ngx_optcache_ledger_read(&ledger, &id);

    item_make(&fresh, "a", "/", 0, "mine");

    for (i = 0; i < 300000; i++) {
        snprintf(tag, sizeof(tag), "flood %u", (unsigned) i);
        event = event_of("tag", tag, 0);
        id = id_of(3 + i, 0);
        ngx_optcache_ledger_apply(&ledger, &event, &id);
    }

    assert_int_equal(verdict(&old), NGX_OPTCACHE_LEDGER_GONE);
    assert_int_equal(verdict_l2(&old), NGX_OPTCACHE_LEDGER_GONE);

    /* one that was compared meanwhile is not taken for one of them */

    n = 0;

    for (i = 0; i < 100; i++) {
        snprintf(tag, sizeof(tag), "other %u", (unsigned) i);
        item_make(&fresh, "a", "/", 0, tag);
        event = event_of("tag", "flood again", 0);
        ngx_optcache_ledger_apply(&ledger, &event, NULL);
        n += (verdict(&fresh) == NGX_OPTCACHE_LEDGER_VALID);
    }

    assert_int_equal(n, 100);
}


static void
test_clock(void **state)
{
    item_t                item, unknown;
    uint64_t              clock;
    ngx_optcache_event_t  event;

    item_make(&item, "a", "/x", 0, "");
    unknown = item;
    unknown.marks.path.data = NULL;

    event = event_of("tag", "t", 0);
    ngx_optcache_ledger_apply(&ledger, &event, NULL);

    clock = item.clock;
    assert_int_equal(verdict(&item), NGX_OPTCACHE_LEDGER_VALID);
    assert_int_equal(item.clock, clock + 1);

    /* nothing was decided for good while its path was not known */

    assert_int_equal(verdict(&unknown), NGX_OPTCACHE_LEDGER_VALID);
    assert_int_equal(unknown.clock, clock);

    event = event_of("prefix", "/y", 0);
    ngx_optcache_ledger_apply(&ledger, &event, NULL);

    assert_int_equal(verdict(&item), NGX_OPTCACHE_LEDGER_VALID);
    assert_int_equal(verdict(&unknown), NGX_OPTCACHE_LEDGER_GONE);

    event = event_of("all", "", 1);
    ngx_optcache_ledger_apply(&ledger, &event, NULL);
    assert_int_equal(verdict(&item), NGX_OPTCACHE_LEDGER_SOFT);

    event = event_of("all", "", 0);
    ngx_optcache_ledger_apply(&ledger, &event, NULL);
    assert_int_equal(verdict(&item), NGX_OPTCACHE_LEDGER_GONE);
}


/* L2: nothing before the stream was read, nothing of before its begin */

static void
test_floor(void **state)
{
    item_t                    item;
    ngx_optcache_ledger_id_t  id;

    item_make(&item, "a", "/x", 0, "");
    item.position = (uint64_t) 100 << 20;

    assert_int_equal(verdict_l2(&item), NGX_OPTCACHE_LEDGER_GONE);

    id = id_of(100, 1);
    ngx_optcache_ledger_reset(&ledger, &id, 0);
    ngx_optcache_ledger_whole(&ledger);
    assert_int_equal(verdict_l2(&item), NGX_OPTCACHE_LEDGER_GONE);
    assert_int_equal(verdict(&item), NGX_OPTCACHE_LEDGER_VALID);

    id = id_of(100, 0);
    ngx_optcache_ledger_reset(&ledger, &id, 0);
    ngx_optcache_ledger_whole(&ledger);
    assert_int_equal(verdict_l2(&item), NGX_OPTCACHE_LEDGER_VALID);

    id = id_of(50, 0);
    ngx_optcache_ledger_reset(&ledger, &id, 1);
    ngx_optcache_ledger_whole(&ledger);
    assert_int_equal(verdict(&item), NGX_OPTCACHE_LEDGER_GONE);
    assert_int_equal(ngx_optcache_ledger_stream(&ledger)->gaps, 1);
}


/* L2: nothing while some of the stream is still to be read */

static void
test_whole(void **state)
{
    item_t                    item;
    ngx_optcache_event_t      event;
    ngx_optcache_ledger_id_t  id;

    id = id_of(100, 0);
    ngx_optcache_ledger_reset(&ledger, &id, 0);

    item_make(&item, "a", "/x", 0, "t");
    assert_int_equal(verdict_l2(&item), NGX_OPTCACHE_LEDGER_GONE);

    id = id_of(200, 0);
    ngx_optcache_ledger_read(&ledger, &id);
    assert_int_equal(verdict_l2(&item), NGX_OPTCACHE_LEDGER_GONE);

    event = event_of("tag", "t", 0);
    id = id_of(300, 0);
    ngx_optcache_ledger_apply(&ledger, &event, &id);
    ngx_optcache_ledger_read(&ledger, &id);
    ngx_optcache_ledger_whole(&ledger);
    assert_int_equal(verdict_l2(&item), NGX_OPTCACHE_LEDGER_GONE);

    item_make(&item, "a", "/x", 0, "t");
    assert_int_equal(verdict_l2(&item), NGX_OPTCACHE_LEDGER_VALID);
}


/* L2: nothing that is later than what was read, as of another stream */

static void
test_ahead(void **state)
{
    item_t                    item;
    ngx_optcache_ledger_id_t  id;

    id = id_of(100, 0);
    ngx_optcache_ledger_reset(&ledger, &id, 0);
    ngx_optcache_ledger_whole(&ledger);

    item_make(&item, "a", "/x", 0, "t");
    assert_int_equal(verdict_l2(&item), NGX_OPTCACHE_LEDGER_VALID);

    item.position++;
    assert_int_equal(verdict_l2(&item), NGX_OPTCACHE_LEDGER_GONE);

    id = id_of((uint64_t) -1, 1);
    ngx_optcache_ledger_read(&ledger, &id);
    item_make(&item, "a", "/x", 0, "t");
    assert_int_equal(verdict_l2(&item), NGX_OPTCACHE_LEDGER_VALID);

    id = id_of(200, 0);
    ngx_optcache_ledger_reset(&ledger, &id, 1);
    ngx_optcache_ledger_whole(&ledger);
    assert_int_equal(verdict_l2(&item), NGX_OPTCACHE_LEDGER_GONE);
}


/* a worker that was killed while it applied an event has not done so */

static void
test_killed(void **state)
{
    item_t                    item;
    ngx_optcache_event_t      event;
    ngx_optcache_ledger_id_t  id;

    id = id_of(100, 0);
    ngx_optcache_ledger_reset(&ledger, &id, 0);
    ngx_optcache_ledger_whole(&ledger);

    item_make(&item, "a", "/x", 0, "t");

    event = event_of("tag", "t", 0);
    id = id_of(200, 0);
    ngx_optcache_ledger_apply(&ledger, &event, &id);

    ledger.sh->clock--;

    ngx_optcache_ledger_apply(&ledger, &event, &id);
    assert_int_equal(verdict(&item), NGX_OPTCACHE_LEDGER_GONE);
}


/* events of this host: L2 is not used until it is known where they are */

static void
test_placed(void **state)
{
    item_t                    item, later;
    uint64_t                  clock;
    ngx_optcache_event_t      event;
    ngx_optcache_moment_t     moment;
    ngx_optcache_ledger_id_t  id;

    id = id_of(100, 0);
    ngx_optcache_ledger_reset(&ledger, &id, 0);
    ngx_optcache_ledger_whole(&ledger);

    id = id_of(200, 0);
    ngx_optcache_ledger_read(&ledger, &id);

    item_make(&item, "a", "/x", 0, "t");

    event = event_of("tag", "t", 0);
    ngx_optcache_ledger_apply(&ledger, &event, NULL);
    item_make(&later, "a", "/x", 0, "t");

    assert_int_equal(verdict(&item), NGX_OPTCACHE_LEDGER_GONE);
    assert_int_equal(verdict_l2(&item), NGX_OPTCACHE_LEDGER_GONE);

    id = id_of(150, 3);
    ngx_optcache_ledger_placed(&ledger, &event, &id, NULL);
    assert_int_equal(verdict_l2(&item), NGX_OPTCACHE_LEDGER_VALID);

    /* read from the stream it is no news, that of another host is */

    clock = later.clock;
    ngx_optcache_ledger_apply(&ledger, &event, &id);
    assert_int_equal(verdict(&later), NGX_OPTCACHE_LEDGER_VALID);
    assert_int_equal(later.clock, clock);

    id = id_of(150, 2);
    ngx_optcache_ledger_apply(&ledger, &event, &id);
    assert_int_equal(verdict(&later), NGX_OPTCACHE_LEDGER_GONE);

    /* not known until a hello comes back */

    ngx_optcache_ledger_apply(&ledger, &event, NULL);
    assert_int_equal(verdict_l2(&item), NGX_OPTCACHE_LEDGER_GONE);

    id = id_of(180, 0);
    ngx_optcache_ledger_now(&ledger, &moment);
    assert_int_equal(ngx_optcache_ledger_settle(&ledger, &id,
                                                moment.clock - 1),
                     NGX_DECLINED);
    assert_int_equal(verdict_l2(&item), NGX_OPTCACHE_LEDGER_GONE);
    assert_int_equal(ngx_optcache_ledger_settle(&ledger, &id, moment.clock),
                     NGX_OK);
    assert_int_equal(verdict_l2(&item), NGX_OPTCACHE_LEDGER_VALID);

    id = id_of(300, 0);
    ngx_optcache_ledger_apply(&ledger, &event, &id);
    id = id_of(180, 0);
    ngx_optcache_ledger_now(&ledger, &moment);
    ngx_optcache_ledger_settle(&ledger, &id, moment.clock);
    assert_int_equal(verdict_l2(&item), NGX_OPTCACHE_LEDGER_GONE);
}


/* one of two is where it is, of the other it is not known yet */

static void
test_placed_two(void **state)
{
    item_t                         item;
    ngx_optcache_event_t           event;
    ngx_optcache_ledger_id_t       id;
    ngx_optcache_ledger_ticket_t   first, second;

    id = id_of(100, 0);
    ngx_optcache_ledger_reset(&ledger, &id, 0);
    ngx_optcache_ledger_whole(&ledger);

    id = id_of(200, 0);
    ngx_optcache_ledger_read(&ledger, &id);

    item_make(&item, "a", "/x", 0, "t");

    event = event_of("tag", "t", 0);

    assert_int_equal(ngx_optcache_ledger_post(&ledger, &event, 1, &first),
                     NGX_OK);
    ngx_optcache_ledger_apply(&ledger, &event, NULL);
    assert_int_equal(ngx_optcache_ledger_post(&ledger, &event, 1, &second),
                     NGX_OK);
    ngx_optcache_ledger_apply(&ledger, &event, NULL);

    id = id_of(150, 0);
    ngx_optcache_ledger_placed(&ledger, &event, &id, &first);
    assert_int_equal(verdict_l2(&item), NGX_OPTCACHE_LEDGER_GONE);

    /* read, before it is answered; and one of another host */

    ngx_optcache_ledger_placed(&ledger, &event, &id, NULL);
    assert_int_equal(verdict_l2(&item), NGX_OPTCACHE_LEDGER_GONE);

    id = id_of(160, 0);
    ngx_optcache_ledger_apply(&ledger, &event, &id);
    assert_int_equal(verdict_l2(&item), NGX_OPTCACHE_LEDGER_GONE);

    id = id_of(170, 0);
    ngx_optcache_ledger_placed(&ledger, &event, &id, &second);
    assert_int_equal(verdict_l2(&item), NGX_OPTCACHE_LEDGER_VALID);
}


/* What is answered last need not be what was put there last. */

static void
test_placed_between(void **state)
{
    item_t                         item;
    ngx_uint_t                     i;
    ngx_optcache_event_t           event;
    ngx_optcache_ledger_id_t       id;
    ngx_optcache_ledger_ticket_t   first, second;

    id = id_of(100, 0);
    ngx_optcache_ledger_reset(&ledger, &id, 0);
    ngx_optcache_ledger_whole(&ledger);

    event = event_of("tag", "t", 0);

    for (i = 0; i < 2; i++) {
        id = id_of(155 + i * 100, 0);
        ngx_optcache_ledger_read(&ledger, &id);

        /* asked for between the two */

        item_make(&item, "a", "/x", 0, "t");

        assert_int_equal(ngx_optcache_ledger_post(&ledger, &event, 1, &first),
                         NGX_OK);
        ngx_optcache_ledger_apply(&ledger, &event, NULL);

        if (i == 0) {
            /* of another host */
            id = id_of(160, 0);
            ngx_optcache_ledger_apply(&ledger, &event, &id);

        } else {
            /* of another worker */
            assert_int_equal(ngx_optcache_ledger_post(&ledger, &event, 1,
                                                      &second),
                             NGX_OK);
            ngx_optcache_ledger_apply(&ledger, &event, NULL);

            id = id_of(260, 0);
            ngx_optcache_ledger_placed(&ledger, &event, &id, &second);
        }

        id = id_of(200 + i * 100, 0);
        ngx_optcache_ledger_read(&ledger, &id);

        id = id_of(150 + i * 100, 0);
        ngx_optcache_ledger_placed(&ledger, &event, &id, &first);

        assert_int_equal(verdict_l2(&item), NGX_OPTCACHE_LEDGER_GONE);

        item_make(&item, "a", "/x", 0, "t");
        assert_int_equal(verdict_l2(&item), NGX_OPTCACHE_LEDGER_VALID);
    }
}


/* The keeper reads both of two workers before these hear of them. */

static void
test_placed_both(void **state)
{
    item_t                         item;
    ngx_uint_t                     i;
    ngx_optcache_event_t           event;
    ngx_optcache_ledger_id_t       id;
    ngx_optcache_ledger_ticket_t   tickets[2];

    id = id_of(100, 0);
    ngx_optcache_ledger_reset(&ledger, &id, 0);
    ngx_optcache_ledger_whole(&ledger);

    event = event_of("tag", "t", 0);

    for (i = 0; i < 2; i++) {
        assert_int_equal(ngx_optcache_ledger_post(&ledger, &event, 1,
                                                  &tickets[i]),
                         NGX_OK);
        ngx_optcache_ledger_apply(&ledger, &event, NULL);
    }

    for (i = 0; i < 2; i++) {
        id = id_of(110 + i, 0);
        ngx_optcache_ledger_placed(&ledger, &event, &id, NULL);
        ngx_optcache_ledger_read(&ledger, &id);
    }

    item_make(&item, "a", "/x", 0, "t");
    assert_int_equal(verdict_l2(&item), NGX_OPTCACHE_LEDGER_GONE);

    for (i = 0; i < 2; i++) {
        id = id_of(110 + i, 0);
        ngx_optcache_ledger_placed(&ledger, &event, &id, &tickets[i]);
    }

    assert_int_equal(ngx_optcache_ledger_pending(&ledger), 0);

    id = id_of(120, 0);
    ngx_optcache_ledger_read(&ledger, &id);
    item_make(&item, "a", "/x", 0, "t");
    assert_int_equal(verdict_l2(&item), NGX_OPTCACHE_LEDGER_VALID);
}


/* One that was told again is further on than is read. */

static void
test_told_again(void **state)
{
    item_t                         item;
    ngx_optcache_event_t           event;
    ngx_optcache_ledger_id_t       id;
    ngx_optcache_ledger_ticket_t   ticket;

    id = id_of(100, 0);
    ngx_optcache_ledger_reset(&ledger, &id, 0);
    ngx_optcache_ledger_whole(&ledger);

    event = event_of("tag", "t", 0);

    item_make(&item, "a", "/x", 0, "t");
    item.position = (uint64_t) 130 << 20;

    assert_int_equal(ngx_optcache_ledger_post(&ledger, &event, 1, &ticket),
                     NGX_OK);
    ngx_optcache_ledger_apply(&ledger, &event, NULL);
    ngx_optcache_ledger_untold(&ledger, &ticket);

    ticket.slot = NGX_OPTCACHE_LEDGER_FIRST;
    assert_int_equal(ngx_optcache_ledger_overdue(&ledger, 5000, 3000, &event,
                                                 &ticket),
                     NGX_OK);

    id = id_of(150, 0);
    ngx_optcache_ledger_told(&ledger, &id, &ticket);

    /* of another host, and what comes before ours */

    id = id_of(120, 0);
    ngx_optcache_ledger_apply(&ledger, &event, &id);
    id = id_of(140, 0);
    ngx_optcache_ledger_read(&ledger, &id);

    assert_int_equal(verdict_l2(&item), NGX_OPTCACHE_LEDGER_GONE);
}


/* A stream has lost its end, which was read, and goes on. */

static void
test_end_lost(void **state)
{
    item_t                    item;
    ngx_optcache_event_t      event;
    ngx_optcache_ledger_id_t  id;

    id = id_of(100, 0);
    ngx_optcache_ledger_reset(&ledger, &id, 0);
    ngx_optcache_ledger_whole(&ledger);

    item_make(&item, "a", "/x", 0, "t");

    event = event_of("tag", "t", 0);
    id = id_of(150, 0);
    ngx_optcache_ledger_apply(&ledger, &event, &id);
    ngx_optcache_ledger_read(&ledger, &id);

    assert_int_equal(verdict_l2(&item), NGX_OPTCACHE_LEDGER_GONE);

    id = id_of(90, 0);
    assert_true(ngx_optcache_ledger_reset(&ledger, &id, 1));
    id = id_of(160, 0);
    ngx_optcache_ledger_read(&ledger, &id);
    ngx_optcache_ledger_whole(&ledger);

    assert_int_equal(verdict_l2(&item), NGX_OPTCACHE_LEDGER_GONE);

    item_make(&item, "a", "/x", 0, "t");
    assert_int_equal(verdict_l2(&item), NGX_OPTCACHE_LEDGER_VALID);
}


/* an id that is not a time */

static void
test_far(void **state)
{
    item_t                    item;
    ngx_uint_t                i;
    ngx_optcache_event_t      event;
    ngx_optcache_ledger_id_t  id;

    id = id_of(100, 0);
    ngx_optcache_ledger_reset(&ledger, &id, 0);
    ngx_optcache_ledger_whole(&ledger);

    event = event_of("tag", "t", 0);

    for (i = 0; i < 3; i++) {
        item_make(&item, "a", "/x", 0, "t");

        id = id_of((uint64_t) -1, i);
        ngx_optcache_ledger_apply(&ledger, &event, &id);
        ngx_optcache_ledger_read(&ledger, &id);

        assert_int_equal(verdict(&item), NGX_OPTCACHE_LEDGER_GONE);
        assert_int_equal(verdict_l2(&item), NGX_OPTCACHE_LEDGER_GONE);
    }
}


/* more events in a millisecond than a word counts */

static void
test_saturated(void **state)
{
    item_t                    item;
    ngx_optcache_event_t      event;
    ngx_optcache_ledger_id_t  id;

    id = id_of(100, 0);
    ngx_optcache_ledger_reset(&ledger, &id, 0);
    ngx_optcache_ledger_whole(&ledger);

    id = id_of(200, 5000000);
    ngx_optcache_ledger_read(&ledger, &id);
    item_make(&item, "a", "/x", 0, "t");

    event = event_of("tag", "t", 0);
    id = id_of(200, 5000001);
    ngx_optcache_ledger_apply(&ledger, &event, &id);
    assert_int_equal(verdict_l2(&item), NGX_OPTCACHE_LEDGER_GONE);
    assert_int_equal(verdict(&item), NGX_OPTCACHE_LEDGER_GONE);

    item_make(&item, "a", "/x", 0, "t");
    id = id_of(200, 5000002);
    ngx_optcache_ledger_apply(&ledger, &event, &id);
    assert_int_equal(verdict(&item), NGX_OPTCACHE_LEDGER_GONE);
}


static void
test_pending(void **state)
{
    ngx_uint_t                    i;
    ngx_optcache_event_t          event, found;
    ngx_optcache_ledger_ticket_t  t, first, again;
    ngx_optcache_ledger_id_t  id = id_of(1, 0);

    event = event_of("prefix", "/abc", 1);

    assert_int_equal(ngx_optcache_ledger_post(&ledger, &event, 10, &first),
                     NGX_OK);
    assert_int_equal(ngx_optcache_ledger_pending(&ledger), 1);

    /* not overdue yet; then it is, once; then it was told */

    t.slot = NGX_OPTCACHE_LEDGER_FIRST;
    assert_int_equal(ngx_optcache_ledger_overdue(&ledger, 10, 10, &found, &t),
                     NGX_DECLINED);
    t.slot = NGX_OPTCACHE_LEDGER_FIRST;
    assert_int_equal(ngx_optcache_ledger_overdue(&ledger, 20, 11, &found, &t),
                     NGX_OK);
    assert_int_equal(found.mark, event.mark);
    assert_int_equal(found.prefix, 4);
    assert_int_equal(found.soft, 1);
    assert_int_equal(ngx_optcache_ledger_overdue(&ledger, 20, 11, &found, &t),
                     NGX_DECLINED);

    ngx_optcache_ledger_untold(&ledger, &first);
    t.slot = NGX_OPTCACHE_LEDGER_FIRST;
    assert_int_equal(ngx_optcache_ledger_overdue(&ledger, 20, 0, &found, &t),
                     NGX_OK);
    ngx_optcache_ledger_told(&ledger, &id, &t);
    assert_int_equal(ngx_optcache_ledger_pending(&ledger), 0);

    /* a ticket of before is of no use to who has the slot now */

    for (i = 0; i < NGX_OPTCACHE_LEDGER_PENDING; i++) {
        assert_int_equal(ngx_optcache_ledger_post(&ledger, &event, 30, &again),
                         NGX_OK);
    }

    ngx_optcache_ledger_told(&ledger, &id, &first);
    assert_int_equal(ngx_optcache_ledger_pending(&ledger),
                     NGX_OPTCACHE_LEDGER_PENDING);

    /* one more is all */

    assert_int_equal(ngx_optcache_ledger_post(&ledger, &event, 30, &again),
                     NGX_DECLINED);

    t.slot = NGX_OPTCACHE_LEDGER_FIRST;
    assert_int_equal(ngx_optcache_ledger_overdue(&ledger, 40, 0, &found, &t),
                     NGX_OK);
    assert_int_equal(found.mark, ngx_optcache_mark_all(0));
    assert_int_equal(found.prefix, 0);

    /* another one that has no room before it is told: still to be told */

    assert_int_equal(ngx_optcache_ledger_post(&ledger, &event, 30, &again),
                     NGX_DECLINED);
    ngx_optcache_ledger_told(&ledger, &id, &t);
    t.slot = NGX_OPTCACHE_LEDGER_FIRST;
    assert_int_equal(ngx_optcache_ledger_overdue(&ledger, 40, 0, &found, &t),
                     NGX_OK);
    ngx_optcache_ledger_told(&ledger, &id, &t);
    assert_int_equal(ngx_optcache_ledger_pending(&ledger),
                     NGX_OPTCACHE_LEDGER_PENDING);
}


/* of too many, the one that is all is told first, and each of the others once */

static void
test_pending_order(void **state)
{
    ngx_uint_t                    i;
    ngx_optcache_event_t          event, found;
    ngx_optcache_ledger_ticket_t  t;

    event = event_of("tag", "t", 0);

    for (i = 0; i < NGX_OPTCACHE_LEDGER_PENDING; i++) {
        assert_int_equal(ngx_optcache_ledger_post(&ledger, &event, 10, &t),
                         NGX_OK);
        ngx_optcache_ledger_untold(&ledger, &t);
    }

    assert_int_equal(ngx_optcache_ledger_post(&ledger, &event, 10, &t),
                     NGX_DECLINED);

    t.slot = NGX_OPTCACHE_LEDGER_FIRST;

    for (i = 0; i <= NGX_OPTCACHE_LEDGER_PENDING; i++) {
        assert_int_equal(ngx_optcache_ledger_overdue(&ledger, 20, 0, &found,
                                                     &t),
                         NGX_OK);
        assert_int_equal(found.mark, i ? event.mark
                                       : ngx_optcache_mark_all(0));
    }

    assert_int_equal(ngx_optcache_ledger_overdue(&ledger, 20, 0, &found, &t),
                     NGX_DECLINED);
}


/* what was told lately is told again, when Redis may have lost it */

static void
test_again(void **state)
{
    ngx_optcache_event_t          event, found;
    ngx_optcache_ledger_ticket_t  t, old, late;
    ngx_optcache_ledger_id_t  id = id_of(1, 0);

    event = event_of("tag", "old", 0);
    assert_int_equal(ngx_optcache_ledger_post(&ledger, &event, 10, &old),
                     NGX_OK);
    ngx_optcache_ledger_told(&ledger, &id, &old);

    event = event_of("prefix", "/late", 0);
    assert_int_equal(ngx_optcache_ledger_post(&ledger, &event, 20, &late),
                     NGX_OK);
    ngx_optcache_ledger_told(&ledger, &id, &late);
    assert_int_equal(ngx_optcache_ledger_pending(&ledger), 0);

    ngx_optcache_ledger_again(&ledger, 20);
    assert_int_equal(ngx_optcache_ledger_pending(&ledger), 1);

    t.slot = NGX_OPTCACHE_LEDGER_FIRST;
    assert_int_equal(ngx_optcache_ledger_overdue(&ledger, 30, 0, &found, &t),
                     NGX_OK);
    assert_int_equal(found.mark, event.mark);
    assert_int_equal(found.prefix, 5);
    assert_int_equal(ngx_optcache_ledger_overdue(&ledger, 30, 0, &found, &t),
                     NGX_DECLINED);

    /* not that which is under way */

    ngx_optcache_ledger_again(&ledger, 0);
    assert_int_equal(ngx_optcache_ledger_pending(&ledger), 2);
}


static void
test_targets(void **state)
{
    char                   path[NGX_OPTCACHE_MARK_PREFIX_MAX + 2];
    ngx_optcache_event_t   e, f;
    ngx_optcache_target_t  t;

    memset(&t, 0, sizeof(t));
    assert_int_equal(ngx_optcache_mark_event(&t, &e), NGX_DECLINED);

    t.host = str("a");
    assert_int_equal(ngx_optcache_mark_event(&t, &e), NGX_OK);

    t.all = 1;
    assert_int_equal(ngx_optcache_mark_event(&t, &e), NGX_DECLINED);

    t.all = 0;
    t.user = 1;
    assert_int_equal(ngx_optcache_mark_event(&t, &e), NGX_DECLINED);

    t.uri = str("/");
    assert_int_equal(ngx_optcache_mark_event(&t, &e), NGX_OK);

    t.tag = str("t");
    assert_int_equal(ngx_optcache_mark_event(&t, &e), NGX_DECLINED);

    t.user = 0;
    assert_int_equal(ngx_optcache_mark_event(&t, &e), NGX_DECLINED);

    memset(&t, 0, sizeof(t));
    memset(path, '/', sizeof(path));
    path[sizeof(path) - 1] = '\0';
    t.prefix = str(path);
    t.prefix.len = NGX_OPTCACHE_MARK_PREFIX_MAX;
    assert_int_equal(ngx_optcache_mark_event(&t, &e), NGX_OK);
    assert_int_equal(ngx_optcache_mark_read(e.mark, e.prefix, &f), NGX_OK);
    assert_int_equal(ngx_optcache_mark_read(e.mark, 0, &f), NGX_DECLINED);
    assert_int_equal(ngx_optcache_mark_read(e.mark,
                                            NGX_OPTCACHE_MARK_PREFIX_MAX + 1,
                                            &f),
                     NGX_DECLINED);
    t.prefix.len++;
    assert_int_equal(ngx_optcache_mark_event(&t, &e), NGX_DECLINED);

    assert_int_equal(ngx_optcache_mark_read(0, 0, &f), NGX_DECLINED);
    assert_int_equal(ngx_optcache_mark_read((uint64_t) -1, 0, &f),
                     NGX_DECLINED);
    assert_int_equal(ngx_optcache_mark_read(ngx_optcache_mark_all(1), 0, &f),
                     NGX_OK);
    assert_int_equal(f.soft, 1);
    assert_int_equal(ngx_optcache_mark_read(ngx_optcache_mark_all(1) + 1, 0,
                                            &f),
                     NGX_DECLINED);

    /* all hosts agree on these: what is in the stream stays what it is */

    e = event_of("tag", "allocations:42", 0);
    assert_true(e.mark == 0x089b851890dafb68);
    e = event_of("uri", "/a?b=c", 1);
    assert_true(e.mark == 0x8408dbcec4a6cb34);
    e = event_of("prefix", "/api/", 0);
    assert_true(e.mark == 0x0a4eb7200ece99e9);
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_model, ledger_create,
                                        ledger_destroy),
        cmocka_unit_test_setup_teardown(test_model_crowded, ledger_create,
                                        ledger_destroy),
        cmocka_unit_test_setup_teardown(test_flood, ledger_create,
                                        ledger_destroy),
        cmocka_unit_test_setup_teardown(test_clock, ledger_create,
                                        ledger_destroy),
        cmocka_unit_test_setup_teardown(test_floor, ledger_create,
                                        ledger_destroy),
        cmocka_unit_test_setup_teardown(test_killed, ledger_create,
                                        ledger_destroy),
        cmocka_unit_test_setup_teardown(test_whole, ledger_create,
                                        ledger_destroy),
        cmocka_unit_test_setup_teardown(test_ahead, ledger_create,
                                        ledger_destroy),
        cmocka_unit_test_setup_teardown(test_placed, ledger_create,
                                        ledger_destroy),
        cmocka_unit_test_setup_teardown(test_placed_two, ledger_create,
                                        ledger_destroy),
        cmocka_unit_test_setup_teardown(test_placed_between, ledger_create,
                                        ledger_destroy),
        cmocka_unit_test_setup_teardown(test_placed_both, ledger_create,
                                        ledger_destroy),
        cmocka_unit_test_setup_teardown(test_told_again, ledger_create,
                                        ledger_destroy),
        cmocka_unit_test_setup_teardown(test_end_lost, ledger_create,
                                        ledger_destroy),
        cmocka_unit_test_setup_teardown(test_far, ledger_create,
                                        ledger_destroy),
        cmocka_unit_test_setup_teardown(test_saturated, ledger_create,
                                        ledger_destroy),
        cmocka_unit_test_setup_teardown(test_pending, ledger_create,
                                        ledger_destroy),
        cmocka_unit_test_setup_teardown(test_pending_order, ledger_create,
                                        ledger_destroy),
        cmocka_unit_test_setup_teardown(test_again, ledger_create,
                                        ledger_destroy),
        cmocka_unit_test(test_targets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
