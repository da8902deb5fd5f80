
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_redis_nodes.h"


typedef struct {
    ngx_redis_endpoint_t      endpoint;
    u_char                   *id;
    ngx_uint_t                slots;
    unsigned                  myself:1;
    unsigned                  master:1;
    unsigned                  joining:1;
    unsigned                  down:1;
} ngx_redis_nodes_line_t;


static ngx_int_t ngx_redis_nodes_line(u_char *p, u_char *last,
    ngx_redis_nodes_line_t *line, const char **err);
static ngx_int_t ngx_redis_nodes_add(ngx_redis_nodes_line_t *line,
    ngx_array_t *masters, ngx_redis_nodes_t *nodes, const char **err);
static ngx_int_t ngx_redis_nodes_slots(ngx_str_t *word,
    ngx_redis_nodes_line_t *line);
static ngx_uint_t ngx_redis_nodes_word(u_char **p, u_char *last, u_char ch,
    ngx_str_t *word);
static ngx_int_t ngx_redis_nodes_sum(u_char *id, ngx_redis_nodes_t *nodes);
static ngx_int_t ngx_redis_nodes_endpoint(ngx_str_t *word,
    ngx_redis_endpoint_t *e);
static void ngx_redis_nodes_flags(ngx_str_t *word,
    ngx_redis_nodes_line_t *line);
static ngx_uint_t ngx_redis_nodes_is(ngx_str_t *word, const char *text);
static ngx_int_t ngx_redis_nodes_info_line(ngx_str_t *line,
    ngx_redis_nodes_info_t *info, ngx_uint_t *found);
static ngx_int_t ngx_redis_nodes_number(ngx_str_t *word, uint64_t *n);


ngx_int_t
ngx_redis_nodes_parse(redisReply *reply, ngx_array_t *masters,
    ngx_redis_nodes_t *nodes, const char **err)
{
    u_char                  *p, *last, *end;
    ngx_str_t                text;
    ngx_redis_nodes_line_t   line;

    *err = NULL;

    ngx_memzero(nodes, sizeof(ngx_redis_nodes_t));
    nodes->settled = 1;

    if (ngx_redis_reply_string(reply, &text) != NGX_OK) {
        *err = "no text";
        return NGX_ERROR;
    }

    last = text.data + text.len;

    for (p = text.data; p < last; p = end + 1) {

        end = ngx_strlchr(p, last, '\n');
        if (end == NULL) {
            *err = "a line without an end";
            return NGX_ERROR;
        }

        if (ngx_redis_nodes_line(p, end, &line, err) != NGX_OK) {
            return NGX_ERROR;
        }

        if (ngx_redis_nodes_add(&line, masters, nodes, err) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    if (nodes->slots != NGX_REDIS_SLOTS) {
        nodes->settled = 0;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_redis_nodes_add(ngx_redis_nodes_line_t *line, ngx_array_t *masters,
    ngx_redis_nodes_t *nodes, const char **err)
{
    ngx_redis_nodes_master_t  *master;

    if (line->joining || (line->master && line->down && line->slots)) {
        nodes->settled = 0;
    }

    if (line->master) {
        nodes->slots += line->slots;
    }

    if (!line->master || line->joining || (line->down && !line->slots)) {
        return NGX_OK;
    }

    if (ngx_redis_nodes_sum(line->id, nodes) != NGX_OK) {
        *err = "an invalid ID";
        return NGX_ERROR;
    }

    if (line->myself) {
        nodes->myself = line->id;
    }

    if (masters == NULL) {
        return NGX_OK;
    }

    master = ngx_array_push(masters);
    if (master == NULL) {
        return NGX_ERROR;
    }

    master->endpoint = line->endpoint;
    master->id = line->id;

    return NGX_OK;
}


/*
 * ID, ip:port@bus,name, flags, master, ping, pong, epoch, link, slots; the
 * name is of Redis 7, and what follows it is not looked at
 */

static ngx_int_t
ngx_redis_nodes_line(u_char *p, u_char *last, ngx_redis_nodes_line_t *line,
    const char **err)
{
    ngx_str_t   word;
    ngx_uint_t  i;

    ngx_memzero(line, sizeof(ngx_redis_nodes_line_t));

    for (i = 0; ngx_redis_nodes_word(&p, last, ' ', &word); i++) {

        switch (i) {

        case 0:
            if (word.len != NGX_REDIS_NODES_ID) {
                *err = "an invalid ID";
                return NGX_ERROR;
            }

            line->id = word.data;
            break;

        case 1:
            if (ngx_redis_nodes_endpoint(&word, &line->endpoint) != NGX_OK) {
                *err = "an invalid address";
                return NGX_ERROR;
            }

            break;

        case 2:
            ngx_redis_nodes_flags(&word, line);
            break;

        default:

            /* what is in brackets is on its way */

            if (i >= 8 && word.len && word.data[0] != '['
                && ngx_redis_nodes_slots(&word, line) != NGX_OK)
            {
                *err = "invalid slots";
                return NGX_ERROR;
            }
        }
    }

    if (i < 8) {
        *err = "a line that is too short";
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* "5461-10922", or one */

static ngx_int_t
ngx_redis_nodes_slots(ngx_str_t *word, ngx_redis_nodes_line_t *line)
{
    u_char     *p, *end;
    ngx_int_t   first, last;

    p = word->data;
    end = word->data + word->len;

    p = ngx_strlchr(p, end, '-');
    if (p == NULL) {
        p = end;
    }

    first = ngx_atoi(word->data, p - word->data);
    last = (p == end) ? first : ngx_atoi(p + 1, end - (p + 1));

    if (first == NGX_ERROR || last < first || last >= NGX_REDIS_SLOTS) {
        return NGX_ERROR;
    }

    line->slots += last - first + 1;

    return NGX_OK;
}


/* The next word and its end; 0 when there is none. */

static ngx_uint_t
ngx_redis_nodes_word(u_char **p, u_char *last, u_char ch, ngx_str_t *word)
{
    u_char  *end;

    if (*p >= last) {
        return 0;
    }

    end = ngx_strlchr(*p, last, ch);
    if (end == NULL) {
        end = last;
    }

    word->data = *p;
    word->len = end - *p;

    *p = end + 1;

    return 1;
}


/* IDs are random */

static ngx_int_t
ngx_redis_nodes_sum(u_char *id, ngx_redis_nodes_t *nodes)
{
    u_char      ch;
    uint64_t    n[2];
    ngx_uint_t  i;

    n[0] = 0;
    n[1] = 0;

    for (i = 0; i < NGX_REDIS_NODES_ID; i++) {
        ch = id[i];

        if (ch >= '0' && ch <= '9') {
            ch -= '0';

        } else if (ch >= 'a' && ch <= 'f') {
            ch -= 'a' - 10;

        } else {
            return NGX_ERROR;
        }

        n[i % 2] = n[i % 2] << 4 | ch;
    }

    nodes->sums[0] += n[0];
    nodes->sums[1] += n[1];
    nodes->n++;

    return NGX_OK;
}


/* an IPv6 address is without brackets; without an address it is ":port@bus" */

static ngx_int_t
ngx_redis_nodes_endpoint(ngx_str_t *word, ngx_redis_endpoint_t *e)
{
    u_char     *p, *last;
    ngx_int_t   n;
    ngx_str_t   address, host;

    p = word->data;
    last = word->data + word->len;

    ngx_memzero(e, sizeof(ngx_redis_endpoint_t));

    if (!ngx_redis_nodes_word(&p, last, ',', &address)) {
        return NGX_ERROR;
    }

    if (ngx_redis_nodes_word(&p, last, ',', &e->name)
        && ngx_redis_map_host(&e->name) != NGX_OK)
    {
        return NGX_ERROR;
    }

    p = address.data;

    if (!ngx_redis_nodes_word(&p, address.data + address.len, '@', &host)) {
        return NGX_ERROR;
    }

    for (p = host.data + host.len; p > host.data; p--) {
        if (p[-1] == ':') {
            break;
        }
    }

    if (p == host.data) {
        return NGX_ERROR;
    }

    n = ngx_atoi(p, host.data + host.len - p);
    if (n == NGX_ERROR || n > 65535) {
        return NGX_ERROR;
    }

    /* 0 is of one without an address, which is not to be connected to */

    e->port = (in_port_t) n;
    e->host.data = host.data;
    e->host.len = p - 1 - host.data;

    return ngx_redis_map_host(&e->host);
}


static void
ngx_redis_nodes_flags(ngx_str_t *word, ngx_redis_nodes_line_t *line)
{
    u_char     *p, *last;
    ngx_str_t   flag;

    p = word->data;
    last = word->data + word->len;

    while (ngx_redis_nodes_word(&p, last, ',', &flag)) {

        if (ngx_redis_nodes_is(&flag, "myself")) {
            line->myself = 1;

        } else if (ngx_redis_nodes_is(&flag, "master")) {
            line->master = 1;

        } else if (ngx_redis_nodes_is(&flag, "handshake")) {
            line->joining = 1;

        } else if (ngx_redis_nodes_is(&flag, "fail")
                   || ngx_redis_nodes_is(&flag, "noaddr"))
        {
            line->down = 1;
        }
    }
}


static ngx_uint_t
ngx_redis_nodes_is(ngx_str_t *word, const char *text)
{
    return word->len == ngx_strlen(text)
           && ngx_memcmp(word->data, text, word->len) == 0;
}


ngx_uint_t
ngx_redis_nodes_same(ngx_redis_nodes_t *a, ngx_redis_nodes_t *b)
{
    return a->n == b->n
           && a->sums[0] == b->sums[0]
           && a->sums[1] == b->sums[1];
}


/* lines of "name:value", of which these are of use */

ngx_int_t
ngx_redis_nodes_info(redisReply *reply, ngx_redis_nodes_info_t *info)
{
    u_char      *p, *last;
    ngx_str_t    text, line;
    ngx_uint_t   found;

    ngx_memzero(info, sizeof(ngx_redis_nodes_info_t));

    if (ngx_redis_reply_string(reply, &text) != NGX_OK) {
        return NGX_ERROR;
    }

    p = text.data;
    last = text.data + text.len;
    found = 0;

    while (ngx_redis_nodes_word(&p, last, '\n', &line)) {

        if (line.len && line.data[line.len - 1] == '\r') {
            line.len--;
        }

        if (ngx_redis_nodes_info_line(&line, info, &found) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    /* each of the five */

    return (found == 0x1f) ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
ngx_redis_nodes_info_line(ngx_str_t *line, ngx_redis_nodes_info_t *info,
    ngx_uint_t *found)
{
    u_char      *p, *last;
    uint64_t    *numbers[4];
    ngx_str_t    name, value;
    ngx_uint_t   i;

    static const char  *names[] = {
        "cluster_known_nodes", "cluster_size", "cluster_current_epoch",
        "cluster_my_epoch"
    };

    p = line->data;
    last = line->data + line->len;

    if (!ngx_redis_nodes_word(&p, last, ':', &name)) {
        return NGX_OK;
    }

    value.data = ngx_min(p, last);
    value.len = last - value.data;

    if (ngx_redis_nodes_is(&name, "cluster_state")) {
        info->ok = ngx_redis_nodes_is(&value, "ok");
        *found |= 0x10;
        return NGX_OK;
    }

    numbers[0] = &info->nodes;
    numbers[1] = &info->size;
    numbers[2] = &info->epoch;
    numbers[3] = &info->own;

    for (i = 0; i < 4; i++) {
        if (ngx_redis_nodes_is(&name, names[i])) {
            *found |= 1 << i;
            return ngx_redis_nodes_number(&value, numbers[i]);
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_redis_nodes_number(ngx_str_t *word, uint64_t *n)
{
    off_t  value;

    value = ngx_atoof(word->data, word->len);

    if (value == NGX_ERROR) {
        return NGX_ERROR;
    }

    *n = value;

    return NGX_OK;
}


ngx_uint_t
ngx_redis_nodes_info_same(ngx_redis_nodes_info_t *a,
    ngx_redis_nodes_info_t *b)
{
    return a->ok
           && b->ok
           && a->nodes == b->nodes
           && a->size == b->size
           && a->epoch == b->epoch
           && a->own == b->own;
}
