#include "plugin/plugin.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char          root[64], source[512], dir[128];
static struct pw_err err;
static char          copy[PATH_MAX];

static void put(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    cr_assert_not_null(f);
    cr_assert_eq(fputs(text, f) >= 0, 1);
    cr_assert_eq(fclose(f), 0);
}

static void up(void)
{
    (void)umask(022);
    (void)strcpy(root, "/tmp/pawl-stage-XXXXXX");
    cr_assert_not_null(mkdtemp(root));
    (void)snprintf(source, sizeof(source), "%s/premium.so", root);
    (void)snprintf(dir, sizeof(dir), "%s/run", root);
    put(source, "one");
}

static void down(void)
{
    char command[256];

    (void)snprintf(command, sizeof(command), "chmod -R u+w %s; rm -rf %s", root, root);
    cr_assert_eq(system(command), 0);
}

TestSuite(stage, .init = up, .fini = down);

static int stage(uint64_t max_bytes)
{
    return pw_stage_file(source, dir, max_bytes, copy, sizeof(copy), &err);
}

static void refused(uint64_t max_bytes, const char *why)
{
    cr_assert_eq(stage(max_bytes), -1);
    cr_assert_not_null(strstr(err.text, why), "%s", err.text);
}

static int files(void)
{
    DIR *d = opendir(dir);
    int  n = 0;

    if (!d)
        return 0;
    for (struct dirent *e; (e = readdir(d));)
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    (void)closedir(d);
    return n;
}

static void holds(const char *path, const char *want)
{
    char  have[64] = { 0 };
    FILE *f        = fopen(path, "r");

    cr_assert_not_null(f);
    cr_assert_eq(fread(have, 1, sizeof(have) - 1, f), strlen(want));
    (void)fclose(f);
    cr_assert_str_eq(have, want);
}

static ino_t inode(const char *path)
{
    struct stat st;

    cr_assert_eq(stat(path, &st), 0);
    return st.st_ino;
}

static mode_t mode(const char *path)
{
    struct stat st;

    cr_assert_eq(stat(path, &st), 0);
    return st.st_mode & 07777;
}

Test(stage, a_copy_is_named_by_its_content_and_cannot_be_written)
{
    char want[PATH_MAX];

    cr_assert_eq(stage(0), 0, "%s", err.text);
    (void)snprintf(want, sizeof(want), "%s/premium-7692c3ad3540bb80.so", dir); /* sha256 of "one" */
    cr_assert_str_eq(copy, want);
    holds(copy, "one");
    cr_assert_eq(mode(copy), 0500);
    cr_assert_eq(mode(dir), 0700);
    cr_assert_eq(files(), 1);
}

Test(stage, the_same_content_is_staged_once)
{
    ino_t before;

    cr_assert_eq(stage(0), 0);
    before = inode(copy);
    cr_assert_eq(stage(0), 0);
    cr_assert_eq(inode(copy), before);
    cr_assert_eq(files(), 1);
}

Test(stage, other_content_gets_another_name_and_leaves_the_old_copy_alone)
{
    char first[PATH_MAX];

    cr_assert_eq(stage(0), 0);
    (void)strcpy(first, copy);
    put(source, "two");
    cr_assert_eq(stage(0), 0);
    cr_assert_str_neq(copy, first);
    holds(first, "one");
    holds(copy, "two");
}

Test(stage, a_copy_with_wrong_content_is_replaced)
{
    ino_t before;

    cr_assert_eq(stage(0), 0);
    before = inode(copy);
    cr_assert_eq(chmod(copy, 0700), 0);
    put(copy, "evil");
    cr_assert_eq(chmod(copy, 0500), 0);
    cr_assert_eq(stage(0), 0);
    holds(copy, "one");
    cr_assert_neq(inode(copy), before); /* whoever has the old one mapped keeps it */
}

Test(stage, a_copy_that_others_could_write_is_replaced)
{
    cr_assert_eq(stage(0), 0);
    cr_assert_eq(chmod(copy, 0722), 0);
    cr_assert_eq(stage(0), 0);
    cr_assert_eq(mode(copy), 0500);
}

Test(stage, a_symbolic_link_in_place_of_the_copy_is_replaced)
{
    cr_assert_eq(stage(0), 0);
    cr_assert_eq(unlink(copy), 0);
    cr_assert_eq(symlink(source, copy), 0);
    cr_assert_eq(stage(0), 0);
    holds(source, "one");
    cr_assert_neq(inode(copy), inode(source));
}

Test(stage, a_link_to_the_plugin_is_followed)
{
    char link[128];

    (void)snprintf(link, sizeof(link), "%s/current.so", root);
    cr_assert_eq(symlink(source, link), 0);
    (void)strcpy(source, link);
    cr_assert_eq(stage(0), 0, "%s", err.text);
    cr_assert_not_null(strstr(copy, "/current-"));
    holds(copy, "one");
}

Test(stage, a_file_of_the_largest_size_is_taken_and_one_byte_more_is_not)
{
    cr_assert_eq(stage(3), 0);
    refused(2, "more than the 2 allowed");
}

Test(stage, without_a_limit_it_is_256_mib)
{
    cr_assert_eq(truncate(source, ((off_t)256 << 20) + 1), 0); /* sparse: costs nothing */
    refused(0, "more than the 268435456 allowed");
}

Test(stage, what_is_not_a_plugin_file_is_refused)
{
    cr_assert_eq(unlink(source), 0);
    refused(0, "No such file");
    cr_assert_eq(mkdir(source, 0755), 0);
    refused(0, "not a regular file");
    cr_assert_eq(rmdir(source), 0);
    cr_assert_eq(mkfifo(source, 0600), 0);
    refused(0, "not a regular file"); /* and does not wait for a writer */
    cr_assert_eq(unlink(source), 0);
    put(source, "");
    refused(0, "is empty");
    cr_assert_eq(files(), 0);
}

Test(stage, a_file_that_everybody_may_write_is_refused)
{
    cr_assert_eq(chmod(source, 0646), 0);
    refused(0, "everybody may write this file");
    cr_assert_eq(chmod(source, 0664), 0);
    cr_assert_eq(stage(0), 0);
}

Test(stage, a_folder_where_everybody_may_replace_files_is_refused_unless_it_is_sticky)
{
    cr_assert_eq(chmod(root, 0777), 0);
    refused(0, "everybody may replace files in");
    cr_assert_eq(chmod(root, 01777), 0);
    cr_assert_eq(stage(0), 0);
}

Test(stage, the_folder_of_the_real_file_counts_not_that_of_a_link)
{
    char open_dir[128], link[256];

    (void)snprintf(open_dir, sizeof(open_dir), "%s/open", root);
    cr_assert_eq(mkdir(open_dir, 0777), 0);
    cr_assert_eq(chmod(open_dir, 0777), 0);
    (void)snprintf(link, sizeof(link), "%s/hidden.so", root);
    (void)snprintf(source, sizeof(source), "%s/real.so", open_dir);
    put(source, "one");
    cr_assert_eq(symlink(source, link), 0);
    (void)snprintf(source, sizeof(source), "%s", link);
    refused(0, "everybody may replace files in");
}

Test(stage, copies_are_not_kept_where_others_may_write)
{
    cr_assert_eq(mkdir(dir, 0700), 0);
    cr_assert_eq(chmod(dir, 0770), 0);
    refused(0, "others may write here");
    cr_assert_eq(chmod(dir, 0755), 0);
    cr_assert_eq(stage(0), 0);
}

Test(stage, a_folder_that_is_none_or_has_no_parent_is_an_error)
{
    put(dir, "a file");
    refused(0, "is not a folder");
    cr_assert_eq(unlink(dir), 0);
    (void)snprintf(dir, sizeof(dir), "%s/no/run", root);
    refused(0, "make folder");
}

Test(stage, a_long_name_is_cut_and_a_short_buffer_is_an_error)
{
    char name[201];

    memset(name, 'p', 200);
    name[200] = 0;
    cr_assert_eq(chdir(root), 0);
    put(name, "one");
    cr_assert_eq(pw_stage_file(name, dir, 0, copy, sizeof(copy), &err), 0, "%s", err.text);
    cr_assert_eq(strlen(strrchr(copy, '/') + 1), 128 + 1 + 16);
    cr_assert_eq(pw_stage_file(name, dir, 0, copy, 20, &err), -1);
    cr_assert_not_null(strstr(err.text, "too long"));
    cr_assert_eq(files(), 1); /* the temporary file is gone */
}

Test(stage, a_pinned_file_is_copied_and_another_one_is_not)
{
    static const char one[] = "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"; /* printf one | sha256sum */
    char              wrong[sizeof(one)];

    memcpy(wrong, one, sizeof(one));
    wrong[63] = 'e';
    cr_assert_eq(pw_stage_pinned(source, one, dir, 0, copy, sizeof(copy), &err), 0, "%s", err.text);
    cr_assert_eq(pw_stage_check_pin(source, one, &err), 0, "%s", err.text);
    cr_assert_eq(pw_stage_check_pin(source, NULL, &err), 0);
    cr_assert_eq(pw_stage_pinned(source, wrong, dir, 0, copy, sizeof(copy), &err), -1);
    cr_assert(strstr(err.text, "premium.so has sha256 7692c3ad") && strstr(err.text, "it is another file"), "%s", err.text);
    cr_assert_eq(pw_stage_check_pin(source, wrong, &err), -1);
    put(source, "two");
    cr_assert_eq(pw_stage_pinned(source, one, dir, 0, copy, sizeof(copy), &err), -1);
    cr_assert_eq(files(), 1, "only the good one was staged");
}
