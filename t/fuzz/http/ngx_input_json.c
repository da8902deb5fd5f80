
/*
 * Copyright (C) The Optcache authors
 */


/*
 * JSON that came from elsewhere: what is taken is one object within its
 * limits, each of whose members is found by its name.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <ngx_input_json.h>


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_walk(ngx_input_json_t *json, ngx_uint_t depth);


static ngx_input_json_limits_t  limits = { 4096, 32, 64 };
static ngx_uint_t               members;
static ngx_uint_t               values;


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ngx_int_t          rc;
    ngx_str_t          text;
    ngx_pool_t        *pool;
    ngx_input_json_t  *json;

    static ngx_log_t   log;

    pool = ngx_create_pool(4096, &log);
    if (pool == NULL) {
        abort();
    }

    text.data = malloc(size ? size : 1);
    text.len = size;

    if (text.data == NULL) {
        abort();
    }

    memcpy(text.data, data, size);

    rc = ngx_input_json_parse(pool, &text, &limits, &json);

    if (rc == NGX_OK) {
        members = 0;
        values = 0;

        if (size > limits.size
            || ngx_input_json_scan(&text, &limits) != NGX_OK
            || ngx_input_json_type(json) != NGX_INPUT_JSON_OBJECT)
        {
            abort();
        }

        fuzz_walk(json, 1);

        if (members > limits.members || values > limits.values) {
            abort();
        }

    } else if (rc != NGX_DECLINED) {
        abort();
    }

    ngx_destroy_pool(pool);
    free(text.data);

    return 0;
}


static void
fuzz_walk(ngx_input_json_t *json, ngx_uint_t depth)
{
    double                  number;
    ngx_str_t               s;
    ngx_input_json_t       *child;
    ngx_input_json_type_e   type;

    values++;
    type = ngx_input_json_type(json);

    switch (type) {

    case NGX_INPUT_JSON_NONE:
        abort();

    case NGX_INPUT_JSON_NUMBER:

        if (ngx_input_json_number(json, &number) != NGX_OK
            || !(number > -9007199254740992.0 && number < 9007199254740992.0))
        {
            abort();
        }

        return;

    case NGX_INPUT_JSON_STRING:

        if (ngx_input_json_string(json, &s) != NGX_OK
            || strlen((char *) s.data) != s.len)
        {
            abort();
        }

        return;

    case NGX_INPUT_JSON_ARRAY:
    case NGX_INPUT_JSON_OBJECT:
        break;

    default:
        return;
    }

    if (depth > NGX_INPUT_JSON_DEPTH) {
        abort();
    }

    for (child = ngx_input_json_first(json);
         child;
         child = ngx_input_json_next(child))
    {
        if (type == NGX_INPUT_JSON_OBJECT) {
            members++;
            ngx_input_json_name(child, &s);

            if (ngx_input_json_find(json, s.data, s.len) != child) {
                abort();
            }
        }

        fuzz_walk(child, depth + 1);
    }
}
