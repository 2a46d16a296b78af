/* files: have the files of a plugin changed, and is whoever wrote them done? Looking is apart from deciding, so that tests decide with
 * a clock of their own. */
#ifndef PW_SUPERVISOR_FILES_H
#define PW_SUPERVISOR_FILES_H

#include <stdbool.h>
#include <stdint.h>

#define PW_FILES_N         (2 + 2 * 8) /* the plugin and its middleware, and the configuration of each */
#define PW_FILES_EVERY_US  500000      /* between two looks */
#define PW_FILES_SETTLE_US 2000000     /* unchanged for so long: whoever wrote them is done */

/* All zero: it is not there, or there is none. */
struct pw_file_id {
    uint64_t device, inode;
    int64_t  bytes, written_ns;
};

/* Zeroed at first. */
struct pw_files {
    bool              known;
    struct pw_file_id seen[PW_FILES_N], taken[PW_FILES_N];
    int64_t           changed_us; /* when they were first seen so */
    int64_t           look_at_us;
};

/* path NULL or "": none. A symbolic link is followed: what counts is where it leads. */
struct pw_file_id pw_file_look(const char *path);
/* true: they are not what was taken, have settled, and are taken with this. The first look only remembers. */
bool pw_files_changed(struct pw_files *fs, const struct pw_file_id now[PW_FILES_N], int64_t now_us);

#endif
