
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_rfc9110_date.h"


#define NGX_HTTP_RFC9110_DATE_LEN  64


static ngx_uint_t ngx_http_rfc9110_date_form(ngx_str_t *s, const char *form);
static u_char *ngx_http_rfc9110_date_part(u_char *p, u_char *last, char part);


/*
 * What a character of a form stands for: @ any letter, ~ the name of a month,
 * 0 any digit, * a weekday in full, _ a digit or a space, and itself, be it a
 * capital or not, otherwise.  ngx_parse_http_time() looks at the numbers, but
 * hardly at what surrounds them: it takes "APR" for August.
 */

static const char  *ngx_http_rfc9110_date_forms[] = {
    "@@@, 00 ~ 0000 00:00:00 GMT",         /* IMF-fixdate */
    "*, 00-~-00 00:00:00 GMT",             /* RFC 850 */
    "@@@ ~ _0 00:00:00 0000",              /* asctime() */
    NULL
};

static const char  *ngx_http_rfc9110_date_months[] = {
    "Jan", "Feb", "Mar", "Apr", "May", "Jun",
    "Jul", "Aug", "Sep", "Oct", "Nov", "Dec", NULL
};


time_t
ngx_http_rfc9110_date(ngx_str_t *value)
{
    u_char        buf[NGX_HTTP_RFC9110_DATE_LEN];
    ngx_str_t     s;
    const char  **form;

    s = *value;

    while (s.len && (s.data[0] == ' ' || s.data[0] == '\t')) {
        s.data++;
        s.len--;
    }

    while (s.len && (s.data[s.len - 1] == ' ' || s.data[s.len - 1] == '\t')) {
        s.len--;
    }

    if (s.len > sizeof(buf)) {
        return NGX_ERROR;
    }

    /* the name of a month is spelled as it should be, in a copy */

    ngx_memcpy(buf, s.data, s.len);
    s.data = buf;

    for (form = ngx_http_rfc9110_date_forms; *form; form++) {

        if (ngx_http_rfc9110_date_form(&s, *form)) {
            return ngx_parse_http_time(s.data, s.len);
        }
    }

    return NGX_ERROR;
}


static ngx_uint_t
ngx_http_rfc9110_date_form(ngx_str_t *s, const char *form)
{
    u_char  *p, *last;

    p = s->data;
    last = p + s->len;

    for ( /* void */ ; *form; form++) {
        p = ngx_http_rfc9110_date_part(p, last, *form);

        if (p == NULL) {
            return 0;
        }
    }

    return p == last;
}


static u_char *
ngx_http_rfc9110_date_part(u_char *p, u_char *last, char part)
{
    const char  **month;

    if (part == '*') {

        while (p < last && *p != ',') {
            p++;
        }

        return p;
    }

    if (part == '~') {

        for (month = ngx_http_rfc9110_date_months; *month; month++) {
            if (last - p >= 3
                && ngx_strncasecmp(p, (u_char *) *month, 3) == 0)
            {
                return ngx_cpymem(p, *month, 3);
            }
        }

        return NULL;
    }

    if (p == last) {
        return NULL;
    }

    switch (part) {

    case '@':
        return ((*p | 0x20) >= 'a' && (*p | 0x20) <= 'z') ? p + 1 : NULL;

    case '0':
        return (*p >= '0' && *p <= '9') ? p + 1 : NULL;

    case '_':
        return (*p == ' ' || (*p >= '0' && *p <= '9')) ? p + 1 : NULL;

    default:
        return (ngx_tolower(*p) == ngx_tolower(part)) ? p + 1 : NULL;
    }
}
