
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <ngx_token_claims.h>

#include "ngx_token_test.h"


static ngx_pool_t          *pool;
static ngx_token_jwt_t      jwt;
static ngx_token_rules_t    rules;
static ngx_token_claims_t   claims;


static int
setup(void **state)
{
    pool = test_pool();
    ngx_memzero(&jwt, sizeof(ngx_token_jwt_t));
    ngx_memzero(&rules, sizeof(ngx_token_rules_t));

    return 0;
}


static int
teardown(void **state)
{
    ngx_destroy_pool(pool);
    return 0;
}


static ngx_token_verdict_e
parse(const char *payload)
{
    jwt.payload = test_str(payload);

    return ngx_token_claims_parse(pool, &jwt, &claims);
}


static void
good(const char *payload)
{
    if (parse(payload) != NGX_TOKEN_VERDICT_OK) {
        fail_msg("%s", payload);
    }
}


static void
bad(const char *payload)
{
    if (parse(payload) != NGX_TOKEN_VERDICT_MALFORMED) {
        fail_msg("%s", payload);
    }
}


static void
check(time_t now, ngx_token_verdict_e verdict)
{
    assert_int_equal(ngx_token_claims_check(&claims, &jwt, &rules, now),
                     verdict);
}


static void
require(const char *parameter)
{
    ngx_str_t  s;

    s = test_str(parameter);
    assert_int_equal(ngx_token_rules_add(pool, &rules, &s), NGX_OK);
}


static void
equal(const ngx_str_t *text, const char *expected)
{
    if (text->len != strlen(expected)
        || (text->len && memcmp(text->data, expected, text->len) != 0))
    {
        fail_msg("\"%.*s\" is not \"%s\"", (int) text->len, text->data,
                 expected);
    }
}


static void
text_is(const char *path, const char *expected)
{
    ngx_str_t  name, text;

    name = test_str(path);

    assert_int_equal(ngx_token_claims_text(pool, &claims, &name, &text),
                     NGX_OK);
    equal(&text, expected);
}


static void
variable_is(const char *rest, const char *expected)
{
    ngx_str_t  name, text;

    name = test_str(rest);

    assert_int_equal(ngx_token_claims_variable(pool, &claims, &name, &text),
                     NGX_OK);
    equal(&text, expected);
}


static void
user_is(const char *payload, const char *expected)
{
    ngx_str_t  user;

    good(payload);

    assert_int_equal(ngx_token_claims_user(pool, &claims, &user), NGX_OK);
    equal(&user, expected);
}


static void
test_registered(void **state)
{
    good("{}");
    assert_int_equal(claims.iss.len + claims.sub.len + claims.jti.len, 0);
    assert_false(claims.has_exp || claims.has_nbf || claims.has_iat);

    good("{\"iss\":\"https://a\",\"sub\":\"u\\u00e9\",\"jti\":\"1-2\","
         "\"exp\":30,\"nbf\":10,\"iat\":-20,\"aud\":[]}");
    equal(&claims.iss, "https://a");
    equal(&claims.sub, "u\xc3\xa9");
    equal(&claims.jti, "1-2");
    assert_true(claims.has_exp && claims.exp == 30);
    assert_true(claims.has_nbf && claims.nbf == 10);
    assert_true(claims.has_iat && claims.iat == -20);

    good("{\"sub\":42,\"jti\":-9007199254740991}");
    equal(&claims.sub, "42");
    equal(&claims.jti, "-9007199254740991");

    /* to the side that allows less */

    good("{\"exp\":10.9,\"nbf\":10.1,\"iat\":10.9}");
    assert_true(claims.exp == 10 && claims.nbf == 11 && claims.iat == 10);

    good("{\"exp\":-10.1,\"nbf\":-10.9,\"iat\":-10.1}");
    assert_true(claims.exp == -11 && claims.nbf == -10 && claims.iat == -11);
}


static void
test_types(void **state)
{
    bad("{\"iss\":1}");
    bad("{\"iss\":null}");
    bad("{\"iss\":[\"a\"]}");
    bad("{\"sub\":1.5}");
    bad("{\"sub\":true}");
    bad("{\"sub\":{}}");
    bad("{\"sub\":null}");
    bad("{\"jti\":[]}");
    bad("{\"aud\":1}");
    bad("{\"aud\":{}}");
    bad("{\"aud\":null}");
    bad("{\"aud\":[\"a\",1]}");
    bad("{\"aud\":[[\"a\"]]}");
    bad("{\"exp\":\"1\"}");
    bad("{\"nbf\":{}}");
    bad("{\"iat\":false}");
    good("{\"aud\":\"a\"}");
    good("{\"aud\":[\"a\",\"b\"]}");

    /* these become keys and fields */

    bad("{\"sub\":\"a\\r\\nX-Admin: 1\"}");
    bad("{\"iss\":\"a\\u007f\"}");
    bad("{\"jti\":\"a\\tb\"}");
    good("{\"name\":\"a\\nb\"}");
}


/* RFC 7519, 4.1.4 and 4.1.5 */

static void
test_times(void **state)
{
    good("{\"exp\":1000,\"nbf\":900,\"iat\":950}");

    check(899, NGX_TOKEN_VERDICT_NOT_YET);
    check(900, NGX_TOKEN_VERDICT_OK);
    check(999, NGX_TOKEN_VERDICT_OK);
    check(1000, NGX_TOKEN_VERDICT_EXPIRED);
    check(1001, NGX_TOKEN_VERDICT_EXPIRED);

    rules.leeway = 10;

    check(889, NGX_TOKEN_VERDICT_NOT_YET);
    check(890, NGX_TOKEN_VERDICT_OK);
    check(1009, NGX_TOKEN_VERDICT_OK);
    check(1010, NGX_TOKEN_VERDICT_EXPIRED);

    /* issued later */

    check(939, NGX_TOKEN_VERDICT_OK);

    good("{\"exp\":9007199254740991,\"nbf\":-9007199254740991}");
    check(0, NGX_TOKEN_VERDICT_OK);
    check(4102444800, NGX_TOKEN_VERDICT_OK);

    good("{\"exp\":0}");
    check(1000, NGX_TOKEN_VERDICT_EXPIRED);

    good("{}");
    check(1000, NGX_TOKEN_VERDICT_OK);
}


static void
test_issuer(void **state)
{
    require("iss=https://a");
    require("iss=https://b");

    good("{\"iss\":\"https://a\"}");
    check(0, NGX_TOKEN_VERDICT_OK);
    good("{\"iss\":\"https://b\"}");
    check(0, NGX_TOKEN_VERDICT_OK);

    good("{\"iss\":\"https://a/\"}");
    check(0, NGX_TOKEN_VERDICT_ISSUER);
    good("{\"iss\":\"HTTPS://a\"}");
    check(0, NGX_TOKEN_VERDICT_ISSUER);
    good("{\"iss\":\"\"}");
    check(0, NGX_TOKEN_VERDICT_ISSUER);
    good("{}");
    check(0, NGX_TOKEN_VERDICT_ISSUER);
}


static void
test_audience(void **state)
{
    require("aud=api");
    require("aud=web");

    good("{\"aud\":\"api\"}");
    check(0, NGX_TOKEN_VERDICT_OK);
    good("{\"aud\":[\"other\",\"web\"]}");
    check(0, NGX_TOKEN_VERDICT_OK);

    good("{\"aud\":\"apis\"}");
    check(0, NGX_TOKEN_VERDICT_AUDIENCE);
    good("{\"aud\":\"api web\"}");
    check(0, NGX_TOKEN_VERDICT_AUDIENCE);
    good("{\"aud\":[\"other\"]}");
    check(0, NGX_TOKEN_VERDICT_AUDIENCE);
    good("{\"aud\":[]}");
    check(0, NGX_TOKEN_VERDICT_AUDIENCE);
    good("{}");
    check(0, NGX_TOKEN_VERDICT_AUDIENCE);
}


/* RFC 8725, 3.11 and 3.12; RFC 7515, 4.1.9 */

static void
test_type(void **state)
{
    require("typ=at+jwt");
    good("{\"typ\":\"at+jwt\"}");

    jwt.typ = test_str("at+jwt");
    check(0, NGX_TOKEN_VERDICT_OK);
    jwt.typ = test_str("AT+JWT");
    check(0, NGX_TOKEN_VERDICT_OK);
    jwt.typ = test_str("application/at+jwt");
    check(0, NGX_TOKEN_VERDICT_OK);

    jwt.typ = test_str("JWT");
    check(0, NGX_TOKEN_VERDICT_TYPE);
    jwt.typ = test_str("id+jwt");
    check(0, NGX_TOKEN_VERDICT_TYPE);
    jwt.typ = test_str("text/at+jwt");
    check(0, NGX_TOKEN_VERDICT_TYPE);
    jwt.typ = test_str("application/");
    check(0, NGX_TOKEN_VERDICT_TYPE);
    ngx_str_null(&jwt.typ);
    check(0, NGX_TOKEN_VERDICT_TYPE);

    /* each name has to be met, and tokens are told apart by time first */

    require("iss=a");
    jwt.typ = test_str("at+jwt");
    check(0, NGX_TOKEN_VERDICT_ISSUER);
    good("{\"exp\":1}");
    check(1, NGX_TOKEN_VERDICT_EXPIRED);
}


/* a token may leave out what is told of it in full */

static void
test_type_whole(void **state)
{
    require("typ=application/at+jwt");
    good("{}");

    jwt.typ = test_str("at+jwt");
    check(0, NGX_TOKEN_VERDICT_OK);
    jwt.typ = test_str("application/at+jwt");
    check(0, NGX_TOKEN_VERDICT_OK);
    jwt.typ = test_str("jwt");
    check(0, NGX_TOKEN_VERDICT_TYPE);
}


static void
test_any_claim(void **state)
{
    size_t     i;
    ngx_str_t  s;

    static const char  *wrong[] = { "", "iss", "=a", "iss=", "=", NULL };

    require("realm.roles=admin");
    require("verified=true");
    require("level=3");

    good("{\"realm\":{\"roles\":[\"user\",\"admin\"]},\"verified\":true,"
         "\"level\":3}");
    check(0, NGX_TOKEN_VERDICT_OK);
    good("{\"realm.roles\":\"admin\",\"verified\":\"true\",\"level\":[1,3]}");
    check(0, NGX_TOKEN_VERDICT_OK);
    good("{\"realm\":{\"roles\":[\"admins\"]},\"verified\":true,\"level\":3}");
    check(0, NGX_TOKEN_VERDICT_CLAIM);
    good("{\"realm\":{\"roles\":[\"admin\"]},\"verified\":false,\"level\":3}");
    check(0, NGX_TOKEN_VERDICT_CLAIM);
    good("{\"realm\":{\"roles\":[\"admin\"]},\"verified\":true}");
    check(0, NGX_TOKEN_VERDICT_CLAIM);

    for (i = 0; wrong[i]; i++) {
        s = test_str(wrong[i]);
        assert_int_equal(ngx_token_rules_add(pool, &rules, &s), NGX_DECLINED);
    }

    assert_int_equal(rules.required->nelts, 3);
}


static void
test_text(void **state)
{
    good("{\"s\":\"a\\\"\\u00e9\",\"empty\":\"\",\"i\":42,\"neg\":-7,"
         "\"big\":9007199254740991,\"sci\":1e3,\"zero\":-0.0,\"f\":1.5,"
         "\"tenth\":0.1,\"third\":0.3333333333333333,\"t\":true,\"n\":false,"
         "\"null\":null,\"o\":{\"a\":1},\"lines\":\"a\\r\\nb\"}");

    text_is("s", "a\"\xc3\xa9");
    text_is("empty", "");
    text_is("i", "42");
    text_is("neg", "-7");
    text_is("big", "9007199254740991");
    text_is("sci", "1000");
    text_is("zero", "0");
    text_is("f", "1.5");
    text_is("tenth", "0.1");
    text_is("third", "0.3333333333333333");
    text_is("t", "true");
    text_is("n", "false");
    text_is("null", "");
    text_is("o", "");
    text_is("lines", "");
    text_is("none", "");
    text_is("S", "");
    text_is("", "");
}


static void
test_lists(void **state)
{
    good("{\"a\":[\"x\",\"y z\"],\"one\":[\"x\"],\"none\":[],"
         "\"mixed\":[\"x\",1,1.5,true],\"comma\":[\"user\",\"x,admin\"],"
         "\"spaces\":[\"\",\"\"],\"nested\":[\"a\",[\"b\"]],"
         "\"objects\":[{\"a\":1}],\"null\":[\"a\",null],"
         "\"lines\":[\"a\",\"b\\n\"],\"percent\":[\"%2C\"]}");

    text_is("a", "x,y z");
    text_is("one", "x");
    text_is("none", "");
    text_is("mixed", "x,1,1.5,true");
    text_is("comma", "user,x%2Cadmin");
    text_is("spaces", ",");
    text_is("nested", "");
    text_is("objects", "");
    text_is("null", "");
    text_is("lines", "");
    text_is("percent", "%2C");
}


static void
test_paths(void **state)
{
    good("{\"realm_access\":{\"roles\":[\"a\",\"b\"]},"
         "\"https://x.example/role\":\"whole\","
         "\"a\":{\"b\":{\"c\":\"deep\"},\"b.c\":\"shorter\",\"z\":\"az\"},"
         "\"a.b\":{\"c\":\"longer\"},\"a.z\":\"literal\","
         "\"p\":{\"q\":1},\"p.q\":{\"r\":2},"
         "\"array\":[{\"b\":1}],\"\":{\"x\":\"under\"}}");

    text_is("realm_access.roles", "a,b");
    text_is("realm_access.Roles", "");
    text_is("realm_access", "");
    text_is("https://x.example/role", "whole");
    text_is("a.b.c", "longer");
    text_is("a.z", "literal");
    text_is("p.q", "");
    text_is("p.q.r", "2");
    text_is("array.b", "");
    text_is("array.0", "");
    text_is(".x", "under");
    text_is("a.", "");
    text_is(".", "");
    text_is("......", "");
    text_is("a.b.c.d", "");

    /* not the longer name, if the way ends there */

    good("{\"a\":{\"b\":{\"c\":\"deep\"}},\"a.b\":{\"d\":1}}");
    text_is("a.b.c", "deep");
}


/* names of variables are in lower case, and have no dots */

static void
test_variables(void **state)
{
    char    name[1024];
    size_t  i;

    good("{\"realm_access\":{\"roles\":[\"a\",\"b\"]},\"planName\":\"gold\","
         "\"a\":{\"B\":{\"c\":\"deep\"}},\"a__b\":\"literal\","
         "\"a.b\":\"dotted\",\"x.y\":{\"Z\":1},\"x__y\":{\"w\":2},"
         "\"_u_\":{\"_v\":3},\"role\":\"exact\",\"Role\":\"other\","
         "\"PLAN\":1,\"Plan\":2,\"o\":{\"K\":1},\"O\":{\"k\":2},"
         "\"e\":{\"\":4},\"p.Q\":5,\"p\":{\"q\":6},\"array\":[{\"b\":1}]}");

    variable_is("realm_access__roles", "a,b");
    variable_is("planname", "gold");
    variable_is("a__b__c", "deep");
    variable_is("a__b", "literal");
    variable_is("x__y__z", "1");
    variable_is("x__y__w", "2");
    variable_is("_u____v", "3");
    variable_is("role", "exact");
    variable_is("p__q", "6");
    variable_is("e__", "4");

    /* which of two was meant is not told */

    variable_is("plan", "");
    variable_is("o__k", "");

    good("{\"o\":{\"K\":1},\"O\":{\"K\":1},\"P.q\":1,\"p\":{\"Q\":2},"
         "\"A\":{\"B\":1},\"a\":[1],\"n\":null,\"N\":1}");

    variable_is("o__k", "");
    variable_is("p__q", "");
    variable_is("a__b", "1");
    variable_is("a", "1");
    variable_is("n", "");

    /* not what only begins, or ends, like it */

    good("{\"planName\":\"gold\",\"a\":{\"b\":1},\"a.bc\":2,\"\":3}");

    variable_is("plan", "");
    variable_is("plannames", "");
    variable_is("a__", "");
    variable_is("a__b__", "");
    variable_is("a__b__c", "");
    variable_is("a_b", "");
    variable_is("__a", "");
    variable_is("_", "");
    variable_is("", "3");

    /* longer than what is turned into dots at once */

    ngx_memset(name, 'a', sizeof(name));
    ngx_memcpy(name, "{\"", 2);
    ngx_memcpy(&name[400], "\":{\"b\":7}}", sizeof("\":{\"b\":7}}"));
    good(name);

    ngx_memcpy(&name[400], "__b", sizeof("__b"));
    variable_is(&name[2], "7");

    for (i = 0; i < 1000; i++) {
        name[i] = '_';
    }

    name[i] = '\0';
    variable_is(name, "");
}


static void
test_user(void **state)
{
    user_is("{\"iss\":\"https://a\",\"sub\":\"u\"}", "https://a|u");
    user_is("{\"sub\":\"u\"}", "|u");
    user_is("{\"sub\":42,\"iss\":\"i\"}", "i|42");
    user_is("{\"iss\":\"https://a\"}", "");
    user_is("{\"iss\":\"https://a\",\"sub\":\"\"}", "");

    /* no two pairs are one text */

    user_is("{\"iss\":\"a|b\",\"sub\":\"c\"}", "a%7Cb|c");
    user_is("{\"iss\":\"a\",\"sub\":\"b|c\"}", "a|b|c");
    user_is("{\"iss\":\"a%7Cb\",\"sub\":\"c\"}", "a%257Cb|c");
    user_is("{\"iss\":\"a\",\"sub\":\"%7C\"}", "a|%7C");
}


static void
test_rules_id(void **state)
{
    u_char      ids[5][NGX_TOKEN_DIGEST];
    ngx_uint_t  i, j;

    ngx_token_rules_id(&rules, ids[0]);

    rules.leeway = 1;
    ngx_token_rules_id(&rules, ids[1]);

    require("iss=a");
    ngx_token_rules_id(&rules, ids[2]);

    require("aud=a");
    ngx_token_rules_id(&rules, ids[3]);

    rules.required->nelts = 0;
    require("iss=aa");
    require("ud=a");
    ngx_token_rules_id(&rules, ids[4]);

    for (i = 0; i < 5; i++) {
        for (j = 0; j < i; j++) {
            assert_memory_not_equal(ids[i], ids[j], NGX_TOKEN_DIGEST);
        }
    }

    ngx_token_rules_id(&rules, ids[0]);
    assert_memory_equal(ids[0], ids[4], NGX_TOKEN_DIGEST);
}


static void
test_verdicts(void **state)
{
    ngx_uint_t  i, j;
    ngx_str_t  *one, *two;

    equal(ngx_token_verdict_text(NGX_TOKEN_VERDICT_OK), "ok");
    equal(ngx_token_verdict_text(NGX_TOKEN_VERDICT_EXPIRED), "expired");
    equal(ngx_token_verdict_text(NGX_TOKEN_VERDICT_CLAIM), "claim");
    equal(ngx_token_verdict_text(NGX_TOKEN_VERDICT_ERROR), "error");

    for (i = 0; i <= NGX_TOKEN_VERDICT_ERROR; i++) {
        one = ngx_token_verdict_text(i);

        for (j = 0; j < i; j++) {
            two = ngx_token_verdict_text(j);
            assert_true(one->len != two->len
                        || memcmp(one->data, two->data, one->len) != 0);
        }
    }
}


#define test(name)                                                            \
    cmocka_unit_test_setup_teardown(test_##name, setup, teardown)


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        test(registered), test(types), test(times), test(issuer),
        test(audience), test(type), test(type_whole), test(any_claim),
        test(text), test(lists), test(paths), test(variables), test(user),
        test(rules_id), test(verdicts)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
