
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_rfc9110_list.h"
#include "ngx_http_surrogate_control.h"


static ngx_uint_t ngx_http_surrogate_control_target(ngx_str_t *member);
static ngx_int_t ngx_http_surrogate_control_max_age(u_char *p, u_char *last,
    ngx_http_rfc9111_control_t *cc);


ngx_int_t
ngx_http_surrogate_control(ngx_str_t *line, ngx_http_rfc9111_control_t *cc)
{
    u_char                      *p, *last;
    ngx_str_t                    member;
    ngx_uint_t                   said;
    ngx_http_rfc9111_control_t   found;

    static ngx_str_t  no_store = ngx_string("no-store");
    static ngx_str_t  max_age = ngx_string("max-age=");

    ngx_http_rfc9111_control_init(&found);

    said = 0;

    p = line->data;
    last = p + line->len;

    while ((p = ngx_http_rfc9110_list_next(p, last, &member)) != NULL) {

        if (!ngx_http_surrogate_control_target(&member)) {
            continue;
        }

        if (member.len == no_store.len
            && ngx_strncasecmp(member.data, no_store.data, no_store.len) == 0)
        {
            found.no_store = 1;
            said = 1;
            continue;
        }

        if (member.len > max_age.len
            && ngx_strncasecmp(member.data, max_age.data, max_age.len) == 0
            && ngx_http_surrogate_control_max_age(member.data + max_age.len,
                                                  member.data + member.len,
                                                  &found)
               == NGX_OK)
        {
            said = 1;
        }
    }

    if (!said) {
        return NGX_DECLINED;
    }

    *cc = found;

    return NGX_OK;
}


/* Takes the target off; zero: it is somebody else's. */

static ngx_uint_t
ngx_http_surrogate_control_target(ngx_str_t *member)
{
    u_char  *p, *last;

    static ngx_str_t  own = ngx_string("Optcache");

    last = member->data + member->len;
    p = ngx_strlchr(member->data, last, ';');

    if (p == NULL) {
        return 1;
    }

    member->len = p - member->data;

    while (member->len && (member->data[member->len - 1] == ' '
                           || member->data[member->len - 1] == '\t'))
    {
        member->len--;
    }

    p++;

    while (p < last && (*p == ' ' || *p == '\t')) {
        p++;
    }

    return (size_t) (last - p) == own.len
           && ngx_strncasecmp(p, own.data, own.len) == 0;
}


/* "60" or "60+30"; of several the smaller counts. */

static ngx_int_t
ngx_http_surrogate_control_max_age(u_char *p, u_char *last,
    ngx_http_rfc9111_control_t *cc)
{
    u_char   *plus;
    int64_t   fresh, stale;

    plus = ngx_strlchr(p, last, '+');

    fresh = ngx_http_rfc9111_delta(p, (plus ? plus : last) - p);
    stale = plus ? ngx_http_rfc9111_delta(plus + 1, last - plus - 1) : -1;

    if (fresh == -1 || (plus && stale == -1)) {
        return NGX_DECLINED;
    }

    if (cc->max_age == -1 || fresh < cc->max_age) {
        cc->max_age = fresh;
        cc->stale_while_revalidate = stale;
    }

    return NGX_OK;
}
