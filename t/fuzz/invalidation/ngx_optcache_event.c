
/*
 * Copyright (C) The Optcache authors
 */


/*
 * An event of the stream, which any application may have written: fields and
 * values, a line each.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <ngx_optcache_event.h>


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_id(ngx_str_t *text);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    u_char                       *copy, *p, *last, *lf;
    ngx_str_t                     fields[NGX_OPTCACHE_EVENT_FIELDS + 4];
    ngx_uint_t                    n;
    ngx_optcache_event_fields_t   ef;

    /* exactly as long, so that a byte more is seen */

    copy = malloc(size ? size : 1);
    if (copy == NULL) {
        abort();
    }

    memcpy(copy, data, size);

    n = 0;
    p = copy;
    last = copy + size;

    while (n < sizeof(fields) / sizeof(fields[0])) {
        lf = memchr(p, LF, last - p);

        fields[n].data = p;
        fields[n].len = (lf ? lf : last) - p;
        fuzz_id(&fields[n]);
        n++;

        if (lf == NULL) {
            break;
        }

        p = lf + 1;
    }

    if (ngx_optcache_event_read(fields, n, &ef) == NGX_OK
        && (ef.n > NGX_OPTCACHE_EVENT_MAX
            || n % 2
            || n > NGX_OPTCACHE_EVENT_FIELDS))
    {
        abort();
    }

    free(copy);

    return 0;
}


/* one that is understood is written as it was read */

static void
fuzz_id(ngx_str_t *text)
{
    u_char                    buf[NGX_OPTCACHE_EVENT_ID], *p;
    ngx_str_t                 again;
    ngx_optcache_ledger_id_t  id, same;

    if (ngx_optcache_event_id(text, &id) != NGX_OK) {
        return;
    }

    p = ngx_optcache_event_id_text(buf, &id);

    again.data = buf;
    again.len = p - buf;

    if (again.len > sizeof(buf)
        || ngx_optcache_event_id(&again, &same) != NGX_OK
        || same.ms != id.ms
        || same.number != id.number)
    {
        abort();
    }
}
