
/*
 * Copyright (C) The Optcache authors
 */


#ifndef _NGX_TEXT_H_INCLUDED_
#define _NGX_TEXT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * Copies a text that may be empty, and returns the end of the copy.  Such a one
 * may have no address, as variables without a value and ngx_str_null() have
 * none; memcpy() wants one for 0 bytes, too (C11, 7.24.1), and the compiler
 * takes it from a call that there is one.
 */

static ngx_inline u_char *
ngx_text_copy(u_char *p, const ngx_str_t *text)
{
    if (text->len == 0) {
        return p;
    }

    return ngx_cpymem(p, text->data, text->len);
}


#endif /* _NGX_TEXT_H_INCLUDED_ */
