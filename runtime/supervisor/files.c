#include "supervisor/files.h"

#include <string.h>
#include <sys/stat.h>

struct pw_file_id pw_file_look(const char *path)
{
    struct stat st;

    if (!path || !*path || stat(path, &st) < 0)
        return (struct pw_file_id){ 0 };
    return (struct pw_file_id){ (uint64_t)st.st_dev, (uint64_t)st.st_ino, (int64_t)st.st_size,
                                (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec };
}

static bool same(const struct pw_file_id *a, const struct pw_file_id *b)
{
    for (int i = 0; i < PW_FILES_N; i++)
        if (a[i].device != b[i].device || a[i].inode != b[i].inode || a[i].bytes != b[i].bytes ||
            a[i].written_ns != b[i].written_ns)
            return false;
    return true;
}

bool pw_files_changed(struct pw_files *fs, const struct pw_file_id now[PW_FILES_N], int64_t now_us)
{
    if (!fs->known) {
        fs->known = true;
        memcpy(fs->taken, now, sizeof(fs->taken));
    }
    if (!same(fs->seen, now)) {
        memcpy(fs->seen, now, sizeof(fs->seen));
        fs->changed_us = now_us;
    }
    if (same(fs->taken, now) || now_us - fs->changed_us < PW_FILES_SETTLE_US || now[0].bytes == 0) /* being replaced */
        return false;
    memcpy(fs->taken, now, sizeof(fs->taken));
    return true;
}
