#include "supervisor/door.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define TOKEN "0123456789abcdefghij"
#define RIGHT "Bearer " TOKEN

static struct pw_door door;

static enum pw_door_token knock(const char *peer, const char *authorization, int64_t now_us)
{
    return pw_door_token(&door, peer, authorization, TOKEN, now_us);
}

Test(door, a_name_that_was_made_to_lead_here_is_refused)
{
    static const char *const good[] = { "127.0.0.1:9465",        "127.0.0.1",       "[::1]:9465",  "[::1]",
                                        "localhost:9465",        "LOCALHOST",       "10.1.2.3:80", "pawl.example.org",
                                        "PAWL.example.org:9465", "admin.internal:1" };
    static const char *const bad[]  = { "evil.example",
                                        "evil.example:9465",
                                        "127.0.0.1.evil.example:9465",
                                        "localhost.evil.example",
                                        "xpawl.example.org",
                                        "pawl.example.or",
                                        "",
                                        ":9465",
                                        "1.2.3",
                                        "[evil]:1",
                                        "2130706433",
                                        "127.0.0.1@evil.example" };

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        cr_expect(pw_door_host(good[i], "admin.internal:9465", "pawl.example.org"), "%s", good[i]);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        cr_expect_not(pw_door_host(bad[i], "admin.internal:9465", "pawl.example.org"), "%s", bad[i]);
    cr_expect_not(pw_door_host(NULL, "127.0.0.1:1", NULL));
    cr_expect_not(pw_door_host("pawl.example.org", "127.0.0.1:1", NULL), "it is not named in the topology");
}

Test(door, a_page_of_another_origin_is_refused)
{
    cr_expect(pw_door_origin(NULL, "127.0.0.1:9465"), "a command, or a page that is being opened");
    cr_expect(pw_door_origin("http://127.0.0.1:9465", "127.0.0.1:9465"));
    cr_expect(pw_door_origin("https://PAWL.example.org", "pawl.example.org"));
    cr_expect_not(pw_door_origin("http://127.0.0.1:9464", "127.0.0.1:9465"));
    cr_expect_not(pw_door_origin("http://evil.example", "127.0.0.1:9465"));
    cr_expect_not(pw_door_origin("null", "127.0.0.1:9465"));
    cr_expect_not(pw_door_origin("", "127.0.0.1:9465"));
}

Test(door, only_the_token_itself_is_right)
{
    static const char *const wrong[] = { "",
                                         "Bearer",
                                         "Bearer ",
                                         "Bearer  " TOKEN,
                                         "Bearer " TOKEN "x",
                                         "Bearer 0123456789abcdefghi",
                                         "Bearer 0123456789abcdefghiJ",
                                         TOKEN,
                                         "Basic " TOKEN };

    cr_expect_eq(knock("a", NULL, 0), PW_DOOR_NONE);
    cr_expect_eq(knock("a", RIGHT, 0), PW_DOOR_RIGHT);
    cr_expect_eq(knock("a", "bearer " TOKEN, 0), PW_DOOR_RIGHT);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        cr_expect_eq(knock("a", wrong[i], 0), PW_DOOR_WRONG, "%s", wrong[i]);
    cr_expect_eq(pw_door_token(&door, "b", "Bearer ", NULL, 0), PW_DOOR_WRONG, "where there is none, none is right");
}

Test(door, an_address_with_too_many_wrong_tokens_is_locked_out_for_a_minute)
{
    int64_t t = 1000;

    for (int i = 0; i < PW_DOOR_TRIES; i++)
        cr_assert_eq(knock("a", "Bearer x", t), PW_DOOR_WRONG);
    cr_expect_eq(knock("a", RIGHT, t + PW_DOOR_WINDOW_US - 1), PW_DOOR_LOCKED, "what it sends is not looked at");
    cr_expect_eq(knock("a", NULL, t), PW_DOOR_NONE, "without a token it may see what all may");
    cr_expect_eq(knock("b", RIGHT, t), PW_DOOR_RIGHT, "others are not");
    cr_expect_eq(knock("a", RIGHT, t + PW_DOOR_WINDOW_US), PW_DOOR_RIGHT);
    cr_expect_eq(knock("a", "Bearer x", t + PW_DOOR_WINDOW_US), PW_DOOR_WRONG);
    cr_expect_eq(knock("a", RIGHT, t + PW_DOOR_WINDOW_US), PW_DOOR_RIGHT, "it is counted anew");
}

Test(door, many_addresses_are_remembered_and_then_the_oldest_is_forgotten)
{
    char peer[16];

    for (int64_t i = 0; i < PW_DOOR_PEERS; i++) {
        (void)snprintf(peer, sizeof(peer), "p%d", (int)i);
        for (int k = 0; k < PW_DOOR_TRIES; k++)
            cr_assert_eq(knock(peer, "Bearer x", 1 + i), PW_DOOR_WRONG);
    }
    cr_expect_eq(knock("p0", RIGHT, 100), PW_DOOR_LOCKED);
    cr_expect_eq(knock("new", "Bearer x", 100), PW_DOOR_WRONG);
    cr_expect_eq(knock("p0", RIGHT, 100), PW_DOOR_RIGHT);
    cr_expect_eq(knock("p1", RIGHT, 100), PW_DOOR_LOCKED);
    cr_expect_eq(knock("p63", RIGHT, 100), PW_DOOR_LOCKED);
}
