#include "reflection.h"

#include "base/pb.h"

#include <criterion/criterion.h>
#include <string.h>

static struct pw_buf out;

/* Asks with one text field; returns the field of the answer that is its oneof. */
static struct pw_pb_field ask(uint32_t number, const char *what)
{
    struct pw_buf      req = { 0 };
    struct pw_pb       pb;
    struct pw_pb_field f, answer = { 0 };

    pw_pb_put_str(&req, number, what);
    pw_buf_reset(&out);
    cr_assert(gw_reflection_answer((const uint8_t *)req.p, req.n, &out));
    pb = pw_pb_of(out.p, out.n);
    cr_assert(pw_pb_next(&pb, &f) && f.number == 2 && f.n == req.n && memcmp(f.p, req.p, req.n) == 0, "the request comes back");
    cr_assert(pw_pb_next(&pb, &answer));
    cr_assert_not(pw_pb_next(&pb, &f));
    pw_buf_done(&req);
    return answer;
}

/* Names of the files in a FileDescriptorResponse, as "a b ". */
static const char *files_of(struct pw_pb_field answer)
{
    static char        names[1024];
    struct pw_pb       pb = pw_pb_of(answer.p, answer.n), file;
    struct pw_pb_field f, name;

    names[0] = 0;
    cr_assert_eq(answer.number, 4);
    while (pw_pb_next(&pb, &f)) {
        file = pw_pb_of(f.p, f.n);
        while (pw_pb_next(&file, &name))
            if (name.number == 1) {
                strncat(names, (const char *)name.p, name.n);
                strcat(names, " ");
            }
    }
    cr_assert_not(pb.bad);
    return names;
}

Test(gw_reflection, services_are_listed_by_their_full_names)
{
    struct pw_pb_field answer      = ask(7, ""), f, name;
    struct pw_pb       pb          = pw_pb_of(answer.p, answer.n), one;
    char               names[1024] = "";

    cr_assert_eq(answer.number, 6);
    while (pw_pb_next(&pb, &f)) {
        one = pw_pb_of(f.p, f.n);
        cr_assert(pw_pb_next(&one, &name));
        strncat(names, (const char *)name.p, name.n);
        strcat(names, " ");
    }
    cr_assert_str_eq(names, "auto.events.v1.PolicyEvents grpc.health.v1.Health grpc.reflection.v1.ServerReflection "
                            "grpc.reflection.v1alpha.ServerReflection ");
}

Test(gw_reflection, a_file_comes_with_what_it_imports)
{
    static const char both[] = "auto/events/v1/gateway.proto auto/events/v1/events.proto ";

    cr_assert_str_eq(files_of(ask(3, "auto/events/v1/gateway.proto")), both);
    cr_assert_str_eq(files_of(ask(3, "auto/events/v1/events.proto")), "auto/events/v1/events.proto ");
    cr_assert_str_eq(files_of(ask(4, "auto.events.v1.PolicyEvents")), both);
}

Test(gw_reflection, a_symbol_is_found_wherever_it_stands)
{
    cr_assert_str_eq(files_of(ask(4, "auto.events.v1.Driver")), "auto/events/v1/events.proto ");
    cr_assert_str_eq(files_of(ask(4, "auto.events.v1.PolicyEvents.PublishStream")),
                     "auto/events/v1/gateway.proto auto/events/v1/events.proto ");
    cr_assert_str_eq(files_of(ask(4, "grpc.health.v1.HealthCheckResponse.ServingStatus")), "grpc/health/v1/health.proto ");
}

Test(gw_reflection, what_is_not_there_is_not_found)
{
    static const char *const symbols[] = { "",
                                           "auto",
                                           "auto.events.v1",
                                           "auto.events.v1.",
                                           "auto.events.v1.Drive",
                                           "auto.events.v1.Driverx",
                                           "auto.events.v1.PolicyEvents.Nothing",
                                           "Driver" };

    for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++) {
        struct pw_pb_field answer = ask(4, symbols[i]), f;
        struct pw_pb       pb     = pw_pb_of(answer.p, answer.n);

        cr_assert_eq(answer.number, 7, "'%s'", symbols[i]);
        cr_assert(pw_pb_next(&pb, &f) && f.number == 1 && f.v == GW_NOT_FOUND);
    }
    cr_assert_eq(ask(3, "events.proto").number, 7);
    cr_assert_eq(ask(6, "auto.events.v1.Driver").number, 7, "there are no extensions");
}

Test(gw_reflection, what_is_no_request_is_refused)
{
    cr_assert_not(gw_reflection_answer((const uint8_t *)"\x22\x05"
                                                        "ab",
                                       4, &out));
}
