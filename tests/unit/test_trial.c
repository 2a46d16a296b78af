/* When probation is over, and when files have changed: with a clock of the test's own. */
#include "supervisor/files.h"
#include "supervisor/trial.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define S INT64_C(1000000)

Test(trial, it_is_over_after_enough_messages_once_all_workers_are_new)
{
    struct pw_trial tr = { 0 };

    pw_trial_begin(&tr, 100, 30 * S, 5000);
    cr_assert(tr.begun && tr.on);
    cr_assert_not(pw_trial_over(&tr, 9000, 100 * S), "a slot still runs the release before");
    pw_trial_all(&tr, 200 * S);
    cr_assert_not(pw_trial_over(&tr, 5099, 201 * S));
    cr_assert(pw_trial_over(&tr, 5100, 201 * S));
    cr_assert_not(pw_trial_over(&tr, 10, 201 * S), "a page may hold any number");
}

Test(trial, it_is_over_after_long_enough_with_few_messages)
{
    struct pw_trial tr = { 0 };

    pw_trial_begin(&tr, 100, 30 * S, 0);
    cr_assert_eq(pw_trial_until_us(&tr), INT64_MAX);
    pw_trial_all(&tr, 200 * S);
    cr_assert_eq(pw_trial_until_us(&tr), 230 * S);
    cr_assert_not(pw_trial_over(&tr, 1, 230 * S - 1));
    cr_assert(pw_trial_over(&tr, 1, 230 * S));
}

Test(trial, without_messages_or_time_there_is_none)
{
    struct pw_trial tr = { 0 };

    pw_trial_begin(&tr, 0, 30 * S, 0);
    cr_assert(tr.begun && !tr.on && pw_trial_over(&tr, 0, 0));
    pw_trial_begin(&tr, 10, 0, 0);
    cr_assert(tr.begun && !tr.on && pw_trial_over(&tr, 0, 0));
}

Test(trial, twice_the_share_that_was_rejected_before_may_be)
{
    cr_assert_eq(pw_trial_share(0, 0), 0);
    cr_assert_eq(pw_trial_share(1000, 0), 0);
    cr_assert_eq(pw_trial_share(1000, 10), 20000);
    cr_assert_eq(pw_trial_share(1000, 900), 1000000, "never more than all");
    cr_assert_eq(pw_trial_share(UINT64_MAX, 1), 0);
}

/* ---- files ---- */

static const struct pw_file_id one[PW_FILES_N]  = { { 1, 10, 500, 7 }, { 1, 11, 20, 7 } };
static const struct pw_file_id two[PW_FILES_N]  = { { 1, 12, 500, 9 }, { 1, 11, 20, 7 } };
static const struct pw_file_id cut[PW_FILES_N]  = { { 1, 12, 250, 8 }, { 1, 11, 20, 7 } };
static const struct pw_file_id gone[PW_FILES_N] = { { 0, 0, 0, 0 }, { 1, 11, 20, 7 } };

Test(files, the_first_look_only_remembers)
{
    struct pw_files fs = { 0 };

    cr_assert_not(pw_files_changed(&fs, one, 0));
    cr_assert_not(pw_files_changed(&fs, one, 100 * S));
}

Test(files, a_change_counts_when_it_has_settled_and_only_once)
{
    struct pw_files fs = { 0 };

    cr_assert_not(pw_files_changed(&fs, one, 0));
    cr_assert_not(pw_files_changed(&fs, cut, 10 * S));
    cr_assert_not(pw_files_changed(&fs, two, 11 * S), "it is still being written");
    cr_assert_not(pw_files_changed(&fs, two, 13 * S - 1));
    cr_assert(pw_files_changed(&fs, two, 13 * S));
    cr_assert_not(pw_files_changed(&fs, two, 30 * S), "it is taken, whatever became of it");
    cr_assert_not(pw_files_changed(&fs, one, 40 * S));
    cr_assert(pw_files_changed(&fs, one, 42 * S), "and back");
}

Test(files, a_file_that_is_away_for_a_moment_is_waited_for)
{
    struct pw_files fs = { 0 };

    cr_assert_not(pw_files_changed(&fs, one, 0));
    cr_assert_not(pw_files_changed(&fs, gone, 10 * S));
    cr_assert_not(pw_files_changed(&fs, gone, 100 * S));
    cr_assert_not(pw_files_changed(&fs, one, 101 * S));
    cr_assert_not(pw_files_changed(&fs, one, 110 * S), "it is the same as before");
}

Test(files, what_is_looked_at_is_where_a_link_leads)
{
    char              dir[] = "/tmp/pawl-files-XXXXXX", file[64], link[64];
    struct pw_file_id a, b;
    FILE             *f;

    cr_assert_not_null(mkdtemp(dir));
    (void)snprintf(file, sizeof(file), "%s/file", dir);
    (void)snprintf(link, sizeof(link), "%s/link", dir);
    cr_assert_eq(symlink("file", link), 0);
    a = pw_file_look(link);
    cr_assert_eq(a.inode, 0, "it leads nowhere");
    f = fopen(file, "w");
    cr_assert_not_null(f);
    (void)fputs("text", f);
    cr_assert_eq(fclose(f), 0);
    a = pw_file_look(link);
    b = pw_file_look(file);
    cr_assert(a.inode != 0 && a.inode == b.inode && a.bytes == 4 && a.written_ns == b.written_ns);
    cr_assert_eq(pw_file_look(NULL).inode, 0);
    (void)unlink(file);
    (void)unlink(link);
    (void)rmdir(dir);
}
