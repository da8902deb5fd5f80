
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <hiredis/hiredis.h>

#include "ngx_redis_format.h"
#include "ngx_text.h"


#define NGX_REDIS_FORMAT_FORMS  64
#define NGX_REDIS_FORMAT_ARGS   8
#define NGX_REDIS_FORMAT_SIZE   1024


struct ngx_redis_form_s {
    ngx_uint_t                argc;      /* 0: there is none */
    size_t                    len[NGX_REDIS_FORMAT_ARGS];
    size_t                    at[NGX_REDIS_FORMAT_ARGS];
    size_t                    size;
    u_char                    bytes[NGX_REDIS_FORMAT_SIZE];
};


static ngx_redis_form_t *ngx_redis_format_form(ngx_uint_t argc,
    const ngx_str_t *argv);
static ngx_uint_t ngx_redis_format_fits(const ngx_redis_form_t *form,
    ngx_uint_t argc, const ngx_str_t *argv);
static ngx_int_t ngx_redis_format_make(ngx_uint_t argc, const ngx_str_t *argv,
    size_t max, ngx_str_t *command);
static void ngx_redis_format_learn(ngx_redis_form_t *form, ngx_uint_t argc,
    const ngx_str_t *argv, const ngx_str_t *command);


/* of this process */

static ngx_redis_form_t  ngx_redis_format_forms[NGX_REDIS_FORMAT_FORMS];


ngx_int_t
ngx_redis_format(ngx_uint_t argc, const ngx_str_t *argv, size_t max,
    ngx_str_t *command)
{
    size_t                   size;
    u_char                  *p;
    const ngx_redis_form_t  *form;

    form = ngx_redis_format_known(argc, argv, &size);

    if (form == NULL) {
        return ngx_redis_format_make(argc, argv, max, command);
    }

    if (size > max) {
        return NGX_ERROR;
    }

    /* as hiredis does, for it is freed with its function */

    p = malloc(size);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ngx_redis_format_write(form, argv, p);

    command->data = p;
    command->len = size;

    return NGX_OK;
}


const ngx_redis_form_t *
ngx_redis_format_known(ngx_uint_t argc, const ngx_str_t *argv, size_t *size)
{
    ngx_redis_form_t  *form;

    form = ngx_redis_format_form(argc, argv);

    if (form == NULL || !ngx_redis_format_fits(form, argc, argv)) {
        return NULL;
    }

    *size = form->size;

    return form;
}


void
ngx_redis_format_write(const ngx_redis_form_t *form, const ngx_str_t *argv,
    u_char *p)
{
    ngx_uint_t  i;

    ngx_memcpy(p, form->bytes, form->size);

    for (i = 0; i < form->argc; i++) {
        (void) ngx_text_copy(p + form->at[i], &argv[i]);
    }
}


/* the place of a form for such arguments; NULL: there are or are to be none */

static ngx_redis_form_t *
ngx_redis_format_form(ngx_uint_t argc, const ngx_str_t *argv)
{
    size_t      sum;
    ngx_uint_t  i, hash;

    if (argc == 0 || argc > NGX_REDIS_FORMAT_ARGS) {
        return NULL;
    }

    sum = 0;
    hash = argc;

    for (i = 0; i < argc; i++) {

        if (argv[i].len > NGX_REDIS_FORMAT_SIZE - sum) {
            return NULL;
        }

        sum += argv[i].len;
        hash = hash * 31 + argv[i].len;
    }

    return &ngx_redis_format_forms[hash % NGX_REDIS_FORMAT_FORMS];
}


static ngx_uint_t
ngx_redis_format_fits(const ngx_redis_form_t *form, ngx_uint_t argc,
    const ngx_str_t *argv)
{
    ngx_uint_t  i;

    if (form->argc != argc) {
        return 0;
    }

    for (i = 0; i < argc; i++) {
        if (form->len[i] != argv[i].len) {
            return 0;
        }
    }

    return 1;
}


static ngx_int_t
ngx_redis_format_make(ngx_uint_t argc, const ngx_str_t *argv, size_t max,
    ngx_str_t *command)
{
    int                n;
    char              *wire;
    size_t             sum, len[NGX_REDIS_MAX_ARGS];
    ngx_uint_t         i;
    const char        *data[NGX_REDIS_MAX_ARGS];
    ngx_redis_form_t  *form;

    if (argc > NGX_REDIS_MAX_ARGS) {
        return NGX_ERROR;
    }

    sum = 0;

    for (i = 0; i < argc; i++) {

        /* before hiredis allocates it, and counts it in an int */

        if (argv[i].len > max - sum) {
            return NGX_ERROR;
        }

        sum += argv[i].len;

        /* hiredis copies an empty one, too: it may have no address */

        data[i] = argv[i].len ? (char *) argv[i].data : "";
        len[i] = argv[i].len;
    }

    n = redisFormatCommandArgv(&wire, (int) argc, data, len);

    if (n < 0) {
        return NGX_ERROR;
    }

    if ((size_t) n > max) {
        redisFreeCommand(wire);
        return NGX_ERROR;
    }

    command->data = (u_char *) wire;
    command->len = n;

    form = ngx_redis_format_form(argc, argv);

    if (form) {
        ngx_redis_format_learn(form, argc, argv, command);
    }

    return NGX_OK;
}


/* Each argument is followed by CRLF, and nothing else comes behind the last. */

static void
ngx_redis_format_learn(ngx_redis_form_t *form, ngx_uint_t argc,
    const ngx_str_t *argv, const ngx_str_t *command)
{
    u_char      *p;
    ngx_uint_t   i;

    form->argc = 0;

    if (command->len > NGX_REDIS_FORMAT_SIZE) {
        return;
    }

    form->size = command->len;
    ngx_memcpy(form->bytes, command->data, command->len);

    p = form->bytes + command->len;

    for (i = argc; i > 0; i--) {

        /* from behind: "$<length>" CRLF <argument> CRLF */

        p -= argv[i - 1].len + sizeof(CRLF) - 1;

        form->len[i - 1] = argv[i - 1].len;
        form->at[i - 1] = p - form->bytes;

        if (argv[i - 1].len
            && ngx_memcmp(p, argv[i - 1].data, argv[i - 1].len) != 0)
        {
            return;
        }

        ngx_memzero(p, argv[i - 1].len);

        while (*--p != '$') { /* void */ }
    }

    form->argc = argc;
}


void
ngx_redis_format_free(ngx_str_t *command)
{
    redisFreeCommand((char *) command->data);
}
