#include "plugin/state.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#define MAGIC UINT64_C(0x315f45544154534c) /* "LSTATE_1" */
#define MIB   (UINT64_C(1) << 20)

struct head {
    uint64_t magic, n, hash; /* of the n bytes behind it */
    uint32_t version, reserved;
    char     id[sizeof(((struct pw_plugin_meta *)0)->id)]; /* of the plugin that wrote it */
};

/* ---- the calls ---- */

struct sink {
    struct pw_buf *out;
    uint64_t       max;
    bool           full, misused;
};

static pawl_rc put(void *impl, const void *p, size_t n)
{
    struct sink *si = impl;

    si->misused = si->misused || (!p && n);
    si->full    = si->full || n > si->max - si->out->n;
    if (si->full || si->misused)
        return PAWL_FATAL;
    pw_buf_add(si->out, p, n);
    return PAWL_OK;
}

int pw_state_collect(const struct pw_inst *inst, uint64_t max_bytes, struct pw_buf *out, struct pw_err *err)
{
    struct sink     si   = { .out = out, .max = max_bytes };
    const pawl_sink sink = { &si, put };
    pawl_rc         rc   = inst->pl->desc->save(inst->self, &sink);

    if (si.full)
        return pw_err_set(err, PW_D_REJECT, "save() wrote more than the %" PRIu64 " MiB that are allowed", max_bytes / MIB);
    if (si.misused)
        return pw_err_set(err, PW_D_REJECT, "save() gave bytes that are nowhere");
    return rc == PAWL_OK ? 0 : pw_err_set(err, PW_D_REJECT, "save() answered %d", rc);
}

int pw_state_give(const struct pw_inst *inst, uint32_t version, const void *p, size_t n, struct pw_err *err)
{
    pawl_rc rc = inst->pl->desc->load(inst->self, version, p, n);

    return rc == PAWL_OK ? 0 : pw_err_set(err, PW_D_REJECT, "load() answered %d", rc);
}

/* ---- the file ---- */

static int write_at(int fd, const void *p, size_t n, off_t at, struct pw_err *err)
{
    while (n) {
        ssize_t done = pwrite(fd, p, n, at);

        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return pw_err_sys(err, PW_D_REJECT, "write what save() wrote");
        p = (const char *)p + done;
        n -= (size_t)done;
        at += done;
    }
    return 0;
}

/* -1: there are no n bytes. */
static int read_at(int fd, void *p, size_t n, off_t at)
{
    while (n) {
        ssize_t done = pread(fd, p, n, at);

        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return -1;
        p = (char *)p + done;
        n -= (size_t)done;
        at += done;
    }
    return 0;
}

/* The header comes last: until then the file holds nothing. */
int pw_state_save(const struct pw_inst *inst, int fd, uint64_t max_bytes, uint64_t *ret_n, struct pw_err *err)
{
    struct pw_buf out = { 0 };
    struct head   hd  = { .magic = MAGIC, .version = inst->pl->desc->state_version };
    int           rc  = -1;

    if (ftruncate(fd, 0) < 0)
        return pw_err_sys(err, PW_D_REJECT, "empty the state");
    if (pw_state_collect(inst, max_bytes, &out, err) == 0) {
        hd.n    = out.n;
        hd.hash = XXH3_64bits(out.n ? out.p : "", out.n);
        memcpy(hd.id, inst->pl->meta.id, sizeof(hd.id));
        rc = write_at(fd, out.p, out.n, sizeof(hd), err);
        if (rc == 0)
            rc = write_at(fd, &hd, sizeof(hd), 0, err);
        *ret_n = out.n;
    }
    pw_buf_done(&out);
    return rc;
}

static int check_head(const struct pw_inst *inst, int fd, uint64_t max_bytes, struct head *ret, struct pw_err *err)
{
    const uint32_t ours = inst->pl->desc->state_version;
    struct stat    st;

    if (fstat(fd, &st) < 0)
        return pw_err_sys(err, PW_D_REJECT, "look at the state");
    if (read_at(fd, ret, sizeof(*ret), 0) < 0 || ret->magic != MAGIC)
        return pw_err_set(err, PW_D_REJECT, "there is no state");
    if (ret->n > max_bytes)
        return pw_err_set(err, PW_D_REJECT, "the state has %" PRIu64 " bytes, more than the %" PRIu64 " MiB that are allowed",
                          ret->n, max_bytes / MIB);
    if ((uint64_t)st.st_size != sizeof(*ret) + ret->n)
        return pw_err_set(err, PW_D_REJECT, "the state is cut short: %lld bytes of %" PRIu64, (long long)st.st_size,
                          sizeof(*ret) + ret->n);
    ret->id[sizeof(ret->id) - 1] = 0;
    if (strcmp(ret->id, inst->pl->meta.id) != 0)
        return pw_err_set(err, PW_D_REJECT, "the state is of another plugin, %s", ret->id);
    if (ret->version == 0 || ret->version > ours)
        return pw_err_set(err, PW_D_REJECT, "the state has format %u, this build knows %u at most", ret->version, ours);
    return 0;
}

int pw_state_load(const struct pw_inst *inst, int fd, uint64_t max_bytes, uint64_t *ret_n, struct pw_err *err)
{
    struct head hd = { 0 };
    char       *p;
    int         rc;

    if (check_head(inst, fd, max_bytes, &hd, err) < 0)
        return -1;
    p = malloc(hd.n + 1); /* read, not mapped: whoever still writes there must not change it, or take it away */
    if (!p)
        return pw_err_set(err, PW_D_REJECT, "no memory for a state of %" PRIu64 " bytes", hd.n);
    if (read_at(fd, p, hd.n, sizeof(hd)) < 0)
        rc = pw_err_set(err, PW_D_REJECT, "the state is cut short");
    else if (XXH3_64bits(p, hd.n) != hd.hash)
        rc = pw_err_set(err, PW_D_REJECT, "the state has another checksum than it was written with");
    else
        rc = pw_state_give(inst, hd.version, p, hd.n, err);
    free(p);
    *ret_n = hd.n;
    return rc;
}
