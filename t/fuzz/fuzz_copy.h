
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * A copy of the text with a suffix, in memory that ends where it does, so that
 * overruns are seen; to be freed.
 */

static ngx_str_t
fuzz_copy(const u_char *data, size_t len, const char *suffix)
{
    ngx_str_t  s;

    s.len = len + strlen(suffix);
    s.data = malloc(s.len ? s.len : 1);

    if (s.data == NULL) {
        abort();
    }

    memcpy(s.data, data, len);
    memcpy(s.data + len, suffix, strlen(suffix));

    return s;
}
