#include "plugin/plugin.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_BYTES_DEFAULT ((uint64_t)256 << 20)
#define STEM_MAX          128 /* of the file's name: leaves room for the hash within NAME_MAX */
#define EXT_MAX           16
#define SHA_BYTES         32

/* Anybody who may replace the file may run code as us. A sticky folder (/tmp) only lets owners replace. */
static int check_parents(int fd, const char *path, struct pw_err *err)
{
    char        link[64], real[PATH_MAX];
    struct stat st;
    ssize_t     n;

    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd); /* of the file we hold, not of what the path says now */
    n = readlink(link, real, sizeof(real) - 1);
    if (n > 0)
        real[n] = 0;
    else if (!realpath(path, real))
        return pw_err_sys(err, PW_D_FATAL, "resolve %s", path);
    for (char *slash; (slash = strrchr(real, '/'));) {
        *slash = 0;
        if (stat(*real ? real : "/", &st) < 0)
            return pw_err_sys(err, PW_D_FATAL, "stat %s", *real ? real : "/");
        if ((st.st_mode & S_IWOTH) && !(st.st_mode & S_ISVTX))
            return pw_err_set(err, PW_D_FATAL, "%s: everybody may replace files in %s: chmod o-w it", path, *real ? real : "/");
    }
    return 0;
}

static int open_source(const char *path, uint64_t max_bytes, struct stat *ret_st, struct pw_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not block us */

    if (fd < 0) {
        (void)pw_err_sys(err, PW_D_FATAL, "open %s", path);
        return -1;
    }
    if (fstat(fd, ret_st) < 0)
        (void)pw_err_sys(err, PW_D_FATAL, "stat %s", path);
    else if (!S_ISREG(ret_st->st_mode))
        (void)pw_err_set(err, PW_D_FATAL, "%s is not a regular file", path);
    else if (ret_st->st_mode & S_IWOTH)
        (void)pw_err_set(err, PW_D_FATAL, "%s: everybody may write this file: chmod o-w it", path);
    else if (ret_st->st_size == 0)
        (void)pw_err_set(err, PW_D_FATAL, "%s is empty", path);
    else if ((uint64_t)ret_st->st_size > max_bytes)
        (void)pw_err_set(err, PW_D_FATAL, "%s has %lld bytes, more than the %llu allowed: is it a plugin?", path,
                         (long long)ret_st->st_size, (unsigned long long)max_bytes);
    else if (check_parents(fd, path, err) == 0)
        return fd;
    (void)close(fd); /* only read from */
    return -1;
}

/* The folder holds code that we run: nobody else may write there. */
static int make_dir(const char *dir, struct pw_err *err)
{
    struct stat st;

    if (mkdir(dir, 0700) < 0 && errno != EEXIST)
        return pw_err_sys(err, PW_D_FATAL, "make folder %s", dir);
    if (stat(dir, &st) < 0)
        return pw_err_sys(err, PW_D_FATAL, "stat %s", dir);
    if (!S_ISDIR(st.st_mode))
        return pw_err_set(err, PW_D_FATAL, "%s is not a folder", dir);
    if (st.st_mode & (S_IWGRP | S_IWOTH))
        return pw_err_set(err, PW_D_FATAL, "%s: others may write here, and it is for code that is run: chmod 0700 it", dir);
    return 0;
}

static int write_all(int fd, const unsigned char *p, size_t n)
{
    while (n) {
        ssize_t done = write(fd, p, n);

        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return -1;
        p += done;
        n -= (size_t)done;
    }
    return 0;
}

/* Hashes what is read from `in`, and writes it to `out` unless that is -1: so the hash is of the very bytes copied. */
static int hash_copy(int in, int out, uint64_t max_bytes, unsigned char sha[SHA_BYTES], struct pw_err *err)
{
    unsigned char buf[64 * 1024];
    EVP_MD_CTX   *md    = EVP_MD_CTX_new();
    uint64_t      total = 0;
    ssize_t       n     = 0;
    int           rc    = -1;

    if (!md || EVP_DigestInit_ex(md, EVP_sha256(), NULL) != 1) {
        (void)pw_err_set(err, PW_D_FATAL, "sha256 is not available");
        goto out;
    }
    for (;;) {
        n = read(in, buf, sizeof(buf));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        total += (uint64_t)n;
        if (total > max_bytes) {
            (void)pw_err_set(err, PW_D_FATAL, "more than the %llu bytes allowed", (unsigned long long)max_bytes);
            goto out;
        }
        if (EVP_DigestUpdate(md, buf, (size_t)n) != 1) {
            (void)pw_err_set(err, PW_D_FATAL, "sha256 failed");
            goto out;
        }
        if (out >= 0 && write_all(out, buf, (size_t)n) < 0) {
            (void)pw_err_sys(err, PW_D_FATAL, "write the copy");
            goto out;
        }
    }
    if (n < 0)
        (void)pw_err_sys(err, PW_D_FATAL, "read");
    else if (EVP_DigestFinal_ex(md, sha, NULL) != 1)
        (void)pw_err_set(err, PW_D_FATAL, "sha256 failed");
    else
        rc = 0;
out:
    EVP_MD_CTX_free(md);
    return rc;
}

static int check_pin(const char *path, const unsigned char sha[SHA_BYTES], const char *pin, struct pw_err *err)
{
    char hex[2 * SHA_BYTES + 1];

    for (size_t i = 0; i < SHA_BYTES; i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", sha[i]);
    if (!pin || strcmp(hex, pin) == 0)
        return 0;
    return pw_err_set(err, PW_D_FATAL, "%s has sha256 %s, and plugin.sha256 of the topology is %s: it is another file", path,
                      hex, pin);
}

/* <dir>/<stem>-<hash><ext>, so that a debugger and a core still name the plugin. */
static int content_name(const char *path, const char *dir, const unsigned char sha[SHA_BYTES], char *ret, size_t cap,
                        struct pw_err *err)
{
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path, *ext = strrchr(base, '.');
    size_t      stem;
    char        hex[17];
    int         n;

    if (!ext || ext == base || strlen(ext) > EXT_MAX)
        ext = base + strlen(base);
    stem = (size_t)(ext - base);
    for (size_t i = 0; i < 8; i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", sha[i]);
    n = snprintf(ret, cap, "%s/%.*s-%s%s", dir, (int)(stem > STEM_MAX ? STEM_MAX : stem), base, hex, ext);
    if (n < 0 || (size_t)n >= cap)
        return pw_err_set(err, PW_D_FATAL, "the name of the copy of %s in %s is too long", path, dir);
    return 0;
}

/* An earlier copy counts only if it is ours, nobody could write to it since, and every byte is right. */
static int is_same_copy(const char *path, const unsigned char sha[SHA_BYTES], uint64_t max_bytes)
{
    unsigned char have[SHA_BYTES];
    struct pw_err ignored;
    struct stat   st;
    int           fd   = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    int           same = 0;

    if (fd < 0)
        return 0;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() && (st.st_mode & 07777) == 0500 &&
        hash_copy(fd, -1, max_bytes, have, &ignored) == 0)
        same = memcmp(have, sha, SHA_BYTES) == 0;
    (void)close(fd); /* only read from */
    return same;
}

static int same_time(const struct stat *a, const struct stat *b)
{
    return a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* Copies `in` to the open temporary file and gives it its name. */
static int copy_and_name(int in, const struct stat *before, int out, const char *temp, const char *path, const char *pin,
                         const char *dir, uint64_t max_bytes, char *ret_path, size_t ret_cap, struct pw_err *err)
{
    unsigned char sha[SHA_BYTES];
    struct stat   after;

    if (hash_copy(in, out, max_bytes, sha, err) < 0)
        return pw_err_wrap(err, "copy %s to %s", path, dir);
    if (fstat(in, &after) < 0)
        return pw_err_sys(err, PW_D_FATAL, "stat %s", path);
    if (!same_time(before, &after))
        return pw_err_set(err, PW_D_RETRY,
                          "%s changed while it was being copied: finish the deployment (rename a complete file into "
                          "place), then try again",
                          path);
    if (check_pin(path, sha, pin, err) < 0 || content_name(path, dir, sha, ret_path, ret_cap, err) < 0)
        return -1;
    if (is_same_copy(ret_path, sha, max_bytes)) {
        (void)unlink(temp); /* ours alone; a leftover harms nobody */
        return 0;
    }
    if (fchmod(out, 0500) < 0)
        return pw_err_sys(err, PW_D_FATAL, "chmod %s", temp);
    if (rename(temp, ret_path) < 0)
        return pw_err_sys(err, PW_D_FATAL, "rename %s to %s", temp, ret_path);
    return 0;
}

int pw_stage_check_pin(const char *path, const char *sha256, struct pw_err *err)
{
    unsigned char sha[SHA_BYTES];
    struct stat   st;
    int           fd, rc;

    if (!sha256)
        return 0;
    fd = open_source(path, MAX_BYTES_DEFAULT, &st, err);
    if (fd < 0)
        return -1;
    rc = hash_copy(fd, -1, MAX_BYTES_DEFAULT, sha, err);
    (void)close(fd); /* only read from */
    return rc < 0 ? pw_err_wrap(err, "read %s", path) : check_pin(path, sha, sha256, err);
}

int pw_stage_file(const char *path, const char *dir, uint64_t max_bytes, char *ret_path, size_t ret_cap, struct pw_err *err)
{
    return pw_stage_pinned(path, NULL, dir, max_bytes, ret_path, ret_cap, err);
}

int pw_stage_pinned(const char *path, const char *sha256, const char *dir, uint64_t max_bytes, char *ret_path, size_t ret_cap,
                    struct pw_err *err)
{
    char        temp[PATH_MAX];
    struct stat st;
    int         in, out, n, rc;

    if (max_bytes == 0)
        max_bytes = MAX_BYTES_DEFAULT;
    in = open_source(path, max_bytes, &st, err);
    if (in < 0)
        return -1;
    n = snprintf(temp, sizeof(temp), "%s/.stage-XXXXXX", dir);
    if (n < 0 || (size_t)n >= sizeof(temp)) {
        rc = pw_err_set(err, PW_D_FATAL, "the name of folder %.60s... is too long", dir);
        goto out;
    }
    rc = make_dir(dir, err);
    if (rc < 0)
        goto out;
    out = mkostemp(temp, O_CLOEXEC); /* O_EXCL, 0600 */
    if (out < 0) {
        rc = pw_err_sys(err, PW_D_FATAL, "make a file in %s", dir);
        goto out;
    }
    rc = copy_and_name(in, &st, out, temp, path, sha256, dir, max_bytes, ret_path, ret_cap, err);
    if (close(out) < 0 && rc == 0) /* where a full disk may show */
        rc = pw_err_sys(err, PW_D_FATAL, "close the copy of %s in %s", path, dir);
    if (rc < 0)
        (void)unlink(temp); /* the first error counts */
out:
    (void)close(in); /* only read from */
    return rc;
}
