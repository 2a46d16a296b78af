/* Which of option, environment and default decides about the log. */
#include "cli/cli.h"
#include "observe/log.h"

#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <stdlib.h>

static void setup(void)
{
    (void)unsetenv("PAWL_LOG_LEVEL");
    (void)unsetenv("PAWL_LOG_FORMAT");
    cr_redirect_stderr();
}

TestSuite(cli_log, .init = setup);

Test(cli_log, the_option_beats_the_environment)
{
    (void)setenv("PAWL_LOG_LEVEL", "error", 1);
    cr_assert_eq(pw_cli_log("supervisor", "debug", NULL), 0);
    cr_assert(pw_log_enabled(PW_LOG_DEBUG));
    cr_assert_str_eq(getenv("PAWL_LOG_LEVEL"), "debug", "the workers take it from there");
    (void)setenv("PAWL_LOG_LEVEL", "debug", 1);
    cr_assert_eq(pw_cli_log("supervisor", "error", NULL), 0);
    cr_assert_not(pw_log_enabled(PW_LOG_WARN));
}

Test(cli_log, the_environment_beats_the_default)
{
    cr_assert_eq(pw_cli_log("supervisor", NULL, NULL), 0);
    cr_assert(pw_log_enabled(PW_LOG_INFO) && !pw_log_enabled(PW_LOG_DEBUG));
    (void)setenv("PAWL_LOG_LEVEL", "warn", 1);
    cr_assert_eq(pw_cli_log("supervisor", NULL, NULL), 0);
    cr_assert(pw_log_enabled(PW_LOG_WARN) && !pw_log_enabled(PW_LOG_INFO));
}

Test(cli_log, a_wrong_environment_is_heeded_only_without_the_option)
{
    (void)setenv("PAWL_LOG_LEVEL", "loud", 1);
    cr_assert_eq(pw_cli_log("supervisor", NULL, NULL), -1);
    cr_assert_eq(pw_cli_log("supervisor", "warn", NULL), 0);
    (void)setenv("PAWL_LOG_LEVEL", "", 1); /* as if it were not set */
    cr_assert_eq(pw_cli_log("supervisor", NULL, NULL), 0);
    cr_assert(pw_log_enabled(PW_LOG_INFO) && !pw_log_enabled(PW_LOG_DEBUG));
}
