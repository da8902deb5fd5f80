
/*
 * Copyright (C) The Optcache authors
 */


/*
 * Tokens that others made, of every algorithm: PyJWT (OpenSSL) and Crypt::JWT
 * (libtomcrypt).  Each verifies, and none that differs in one byte does.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <ngx_token_claims.h>

#include "ngx_token_test.h"


#define LINE  16384


/* The fields of a line, and what is in the token of a good one. */

typedef struct {
    char               *kind;
    char               *alg;
    char               *keys;
    char               *token;
    ngx_token_keys_t   *set;
} line_t;


static ngx_pool_t  *pool;


static ngx_token_verdict_e
judge(line_t *line, const ngx_str_t *text)
{
    ngx_pool_t           *temp;
    ngx_token_jwt_t       jwt;
    ngx_token_rules_t     rules;
    ngx_token_claims_t    claims;
    ngx_token_verdict_e   verdict;

    ngx_memzero(&rules, sizeof(ngx_token_rules_t));

    temp = test_pool();
    verdict = ngx_token_claims_judge(temp, text, line->set, &rules, 1000,
                                     &jwt, &claims);
    ngx_destroy_pool(temp);

    return verdict;
}


static void
test_claims(line_t *line)
{
    ngx_str_t             text, path, value;
    ngx_uint_t            i;
    ngx_token_jwt_t       jwt;
    ngx_token_alg_e       alg;
    ngx_token_rules_t     rules;
    ngx_token_claims_t    claims;

    static const char  *expected[][2] = {
        { "iss", "https://issuer.example" },
        { "sub", "u-\xc3\xa9" },
        { "exp", "4102444800" },
        { "roles", "a,b" },
        { "n", "1.5" },
        { NULL, NULL }
    };

    ngx_memzero(&rules, sizeof(ngx_token_rules_t));
    text = test_str(line->token);

    assert_int_equal(ngx_token_claims_judge(pool, &text, line->set, &rules,
                                            1000, &jwt, &claims),
                     NGX_TOKEN_VERDICT_OK);

    text = test_str(line->alg);
    assert_int_equal(ngx_token_alg_find(&text, &alg), NGX_OK);
    assert_int_equal(jwt.alg, alg);

    if (claims.iss.len == 0) {
        /* one that is there for its signature */
        return;
    }

    for (i = 0; expected[i][0]; i++) {
        path = test_str(expected[i][0]);

        assert_int_equal(ngx_token_claims_text(pool, &claims, &path, &value),
                         NGX_OK);
        assert_int_equal(value.len, strlen(expected[i][1]));
        assert_memory_equal(value.data, expected[i][1], value.len);
    }
}


/* One bit of each byte of a part, then the part without its last byte. */

static void
test_tampered(line_t *line, ngx_str_t *parts, ngx_uint_t n)
{
    u_char     *bytes, *p;
    size_t      i, len;
    ngx_str_t   part, text;

    bytes = ngx_pnalloc(pool, LINE);
    text.data = ngx_pnalloc(pool, LINE);
    assert_true(bytes && text.data);

    part.data = bytes;
    assert_int_equal(ngx_token_base64_decode(&parts[n], &part), NGX_OK);

    len = part.len;

    for (i = 0; i <= len; i++) {

        if (i < len) {
            bytes[i] ^= 1 << (i % 8);

        } else {
            part.len--;
        }

        text.len = parts[n].data - parts[0].data;
        p = ngx_cpymem(text.data, parts[0].data, text.len);
        test_part(&text, part.data, part.len);
        p = text.data + text.len;
        p = ngx_cpymem(p, parts[n].data + parts[n].len,
                       parts[2].data + parts[2].len
                       - (parts[n].data + parts[n].len));
        text.len = p - text.data;

        if (judge(line, &text) == NGX_TOKEN_VERDICT_OK) {
            fail_msg("%s: part %u, byte %u", line->alg, (unsigned) n,
                     (unsigned) i);
        }

        if (i < len) {
            bytes[i] ^= 1 << (i % 8);
        }
    }

    /* what was put back is good, so it was the byte */

    part.len = len;
    text.len = parts[n].data - parts[0].data;
    test_part(&text, part.data, part.len);
    assert_memory_equal(text.data, parts[0].data, text.len);
}


static void
test_line(line_t *line)
{
    char       *p;
    ngx_str_t   text, err, parts[3];
    ngx_uint_t  i;

    for (p = line->keys; *p; p++) {
        if (*p == '|') {
            *p = '\n';
        }
    }

    text = test_str(line->keys);
    line->set = ngx_token_keys_parse(pool, &text, 0, &err);

    if (line->set == NULL) {
        fail_msg("%s: %.*s: %s", line->alg, (int) err.len, err.data,
                 line->keys);
    }

    text = test_str(line->token);

    if (strcmp(line->kind, "bad") == 0) {

        if (judge(line, &text) != NGX_TOKEN_VERDICT_SIGNATURE) {
            fail_msg("%s: a bad one: %s", line->alg, line->token);
        }

        return;
    }

    assert_string_equal(line->kind, "good");

    if (judge(line, &text) != NGX_TOKEN_VERDICT_OK) {
        fail_msg("%s: %s %s", line->alg, line->keys, line->token);
    }

    test_claims(line);

    p = line->token;

    for (i = 0; i < 3; i++) {
        parts[i].data = (u_char *) p;
        parts[i].len = strcspn(p, ".");
        p += parts[i].len + 1;
    }

    for (i = 0; i < 3; i++) {
        test_tampered(line, parts, i);
    }
}


/* Runs a script that is beside this file.  Its algorithms have to be all. */

static void
test_tokens(const char *interpreter, const char *modules, const char *script)
{
    FILE              *f;
    char              *text, *next, command[1024];
    line_t             line;
    ngx_str_t          name;
    ngx_uint_t         algorithms;
    ngx_token_alg_e    alg;

    sprintf(command, "%s %s >/dev/null 2>&1", interpreter, modules);

    if (system(command) != 0) {
        print_message("# skipped: no %s %s\n", interpreter, modules);
        skip();
    }

    sprintf(command, "%s %.*s/%s", interpreter,
            (int) (strrchr(__FILE__, '/') - __FILE__), __FILE__, script);

    f = popen(command, "r");
    text = malloc(LINE);
    assert_true(f && text);

    algorithms = 0;

    while (fgets(text, LINE, f)) {
        next = text;

        line.kind = strsep(&next, "\t\n");
        line.alg = strsep(&next, "\t\n");
        line.keys = strsep(&next, "\t\n");
        line.token = strsep(&next, "\t\n");
        assert_non_null(line.token);

        pool = test_pool();
        test_line(&line);
        ngx_destroy_pool(pool);

        name = test_str(line.alg);
        assert_int_equal(ngx_token_alg_find(&name, &alg), NGX_OK);
        algorithms |= ngx_token_alg_bit(alg);
    }

    assert_int_equal(pclose(f), 0);
    assert_int_equal(algorithms, NGX_TOKEN_ALG_ALL);

    free(text);
}


static void
test_pyjwt(void **state)
{
    test_tokens("/usr/bin/python3", "-c 'import jwt, cryptography'",
                "tokens.py");
}


static void
test_crypt_jwt(void **state)
{
    test_tokens("perl", "-MCrypt::JWT -e 1", "tokens.pl");
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_pyjwt),
        cmocka_unit_test(test_crypt_jwt)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
