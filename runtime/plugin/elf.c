#include "plugin/elf.h"

#include "plugin/elf_image.h"
#include "plugin/load.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX ((size_t)256 << 20)

#define refuse(im, ...) (pw_err_set((im)->err, PW_D_FATAL, __VA_ARGS__), -1) /* -1 spelt out for static analysis */

static int check_entry(const struct pw_elf *im, bool middleware)
{
    const char         *entry = middleware ? PW_LOAD_MIDDLEWARE_ENTRY : PW_LOAD_ENTRY;
    struct pw_elf_bytes table, strings;
    Elf64_Shdr          sh;
    int                 found = pw_elf_find(im, SHT_DYNSYM, NULL, &sh);

    if (found < 0)
        return -1;
    if (found == 0)
        return refuse(im, "has no dynamic symbols: is it a plugin?");
    if (pw_elf_table(im, &sh, "the dynamic symbol table", sizeof(Elf64_Sym), &table, &strings) < 0)
        return -1;
    if (table.n / sizeof(Elf64_Sym) > PW_ELF_SYMBOLS_MAX)
        return refuse(im, "has more than %u dynamic symbols", PW_ELF_SYMBOLS_MAX);
    for (size_t i = 0; i < table.n / sizeof(Elf64_Sym); i++) {
        const char *name;
        Elf64_Sym   sym;

        pw_elf_element(table, i, &sym, sizeof(sym));
        name = pw_elf_string(strings, sym.st_name);
        if (name && strcmp(name, entry) == 0 && sym.st_shndx != SHN_UNDEF && ELF64_ST_TYPE(sym.st_info) == STT_FUNC)
            return 0;
    }
    return refuse(im,
                  "does not export %s(): end the plugin's source with %s(descriptor, id, version), "
                  "and do not strip or hide that symbol",
                  entry, middleware ? "PAWL_MIDDLEWARE" : "PAWL_PLUGIN");
}

static int check_needed(const struct pw_elf *im, const char *name)
{
    static const char *const owned[] = { "libpq.so", "librdkafka.so", "librdkafka++.so" };

    if (!name)
        return refuse(im, "the dynamic section names a library outside its string table");
    for (size_t i = 0; i < sizeof(owned) / sizeof(owned[0]); i++)
        if (strncmp(name, owned[i], strlen(owned[i])) == 0)
            return refuse(
                im, "is linked with %s: a plugin does not talk to Kafka or PostgreSQL, it declares statements and outputs",
                name);
    return 0;
}

static int check_dynamic(const struct pw_elf *im)
{
    struct pw_elf_bytes table, strings;
    Elf64_Shdr          sh;
    int                 found = pw_elf_find(im, SHT_DYNAMIC, NULL, &sh);

    if (found < 0)
        return -1;
    if (found == 0)
        return refuse(im, "has no dynamic section: is it a shared library?");
    if (pw_elf_table(im, &sh, "the dynamic section", sizeof(Elf64_Dyn), &table, &strings) < 0)
        return -1;
    for (size_t i = 0; i < table.n / sizeof(Elf64_Dyn); i++) {
        Elf64_Dyn dyn;

        pw_elf_element(table, i, &dyn, sizeof(dyn));
        if (dyn.d_tag == DT_NULL)
            break;
        if (dyn.d_tag == DT_TEXTREL || (dyn.d_tag == DT_FLAGS && (dyn.d_un.d_val & DF_TEXTREL)))
            return refuse(im, "has text relocations: compile all of it with -fPIC");
        if (dyn.d_tag == DT_FLAGS_1 && (dyn.d_un.d_val & DF_1_PIE))
            return refuse(im, "is a program, not a shared library: link it with -shared");
        if (dyn.d_tag == DT_NEEDED && check_needed(im, pw_elf_string(strings, dyn.d_un.d_val)) < 0)
            return -1;
    }
    return 0;
}

static bool in_set(const char *s, const char *more)
{
    for (; *s; s++)
        if (!((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || (*s >= '0' && *s <= '9') || strchr(more, *s)))
            return false;
    return true;
}

/* Decimal below 65536; moves *s behind it. */
static bool small_number(const char **s, uint16_t *ret)
{
    uint32_t v = 0;
    size_t   n = 0;

    for (; n < 5 && **s >= '0' && **s <= '9'; n++, (*s)++)
        v = v * 10 + (uint32_t)(**s - '0');
    *ret = (uint16_t)v;
    return n > 0 && v <= UINT16_MAX;
}

static int take_text(const struct pw_elf *im, const char *key, const char *value, const char *more, char *ret, size_t cap)
{
    if (*ret)
        return refuse(im, ".pawl.meta says %s twice: one library holds one plugin", key);
    if (!*value || strlen(value) >= cap || !in_set(value, more))
        return refuse(im, ".pawl.meta: %s must have 1 to %zu letters, digits or any of %s", key, cap - 1, more);
    (void)snprintf(ret, cap, "%s", value);
    return 0;
}

static int take_pair(const struct pw_elf *im, const char *pair, struct pw_plugin_meta *ret, bool *ret_abi)
{
    if (strncmp(pair, "id=", 3) == 0) {
        if (take_text(im, "id", pair + 3, "._-", ret->id, sizeof(ret->id)) < 0)
            return -1;
        if (!strchr(ret->id, '.') || ret->id[0] == '.' || ret->id[strlen(ret->id) - 1] == '.')
            return refuse(im, ".pawl.meta: id '%s' is not a reverse DNS name like org.example.underwriting", ret->id);
    } else if (strncmp(pair, "version=", 8) == 0) {
        return take_text(im, "version", pair + 8, ".+~_-", ret->version, sizeof(ret->version));
    } else if (strncmp(pair, "abi=", 4) == 0) {
        const char *s = pair + 4;

        if (*ret_abi)
            return refuse(im, ".pawl.meta says abi twice: one library holds one plugin");
        if (!small_number(&s, &ret->abi_major) || *s++ != '.' || !small_number(&s, &ret->abi_minor) || *s)
            return refuse(im, ".pawl.meta: abi is not MAJOR.MINOR");
        *ret_abi = true;
    } else if (strncmp(pair, "kind=", 5) == 0) {
        if (strcmp(pair + 5, "middleware") != 0)
            return refuse(im, ".pawl.meta: kind '%.32s' is none that this pawl knows: upgrade pawl", pair + 5);
        ret->middleware = true;
    } else if (!strchr(pair, '=')) {
        return refuse(im, ".pawl.meta is malformed: not every entry is key=value");
    }
    return 0; /* a key we do not know: a newer SDK's */
}

static int read_meta(const struct pw_elf *im, struct pw_plugin_meta *ret)
{
    struct pw_elf_bytes meta;
    Elf64_Shdr          sh;
    bool                abi   = false;
    int                 found = pw_elf_find(im, SHT_NULL, ".pawl.meta", &sh);

    if (found < 0)
        return -1;
    if (found == 0)
        return refuse(im, "has no .pawl.meta section: end the plugin's source with PAWL_PLUGIN(descriptor, id, version)");
    if (pw_elf_contents(im, &sh, ".pawl.meta", &meta) < 0)
        return -1;
    if (meta.n == 0 || meta.n > PW_ELF_META_MAX || meta.p[meta.n - 1] != 0)
        return refuse(im, ".pawl.meta is malformed: it must have 1 to %u bytes and end with NUL", PW_ELF_META_MAX);
    for (size_t i = 0; i < meta.n;) {
        const char *pair = (const char *)meta.p + i;
        size_t      n    = strlen(pair);

        if (n && take_pair(im, pair, ret, &abi) < 0)
            return -1;
        i += n + 1;
    }
    if (!abi || !*ret->id || !*ret->version)
        return refuse(im, ".pawl.meta lacks %s", !abi ? "abi" : !*ret->id ? "id" : "version");
    if (ret->abi_major != PAWL_ABI_MAJOR)
        return refuse(im, "%s %s needs plugin ABI %u.x, this pawl offers %u.%u: rebuild the plugin with this pawl's SDK",
                      ret->id, ret->version, ret->abi_major, PAWL_ABI_MAJOR, PAWL_ABI_MINOR);
    return 0;
}

/* The build-id in one SHT_NOTE section, if it is there; a malformed note only ends the search. */
static bool build_id_in(struct pw_elf_bytes notes, char ret[65])
{
    while (notes.n >= sizeof(Elf64_Nhdr)) {
        Elf64_Nhdr          h;
        struct pw_elf_bytes name, desc;
        uint64_t            desc_at, next;

        memcpy(&h, notes.p, sizeof(h));
        desc_at = sizeof(h) + (((uint64_t)h.n_namesz + 3) & ~(uint64_t)3);
        next    = desc_at + (((uint64_t)h.n_descsz + 3) & ~(uint64_t)3);
        if (!pw_elf_slice(notes, sizeof(h), h.n_namesz, &name) || !pw_elf_slice(notes, desc_at, h.n_descsz, &desc))
            return false;
        if (h.n_type == NT_GNU_BUILD_ID && name.n == 4 && memcmp(name.p, "GNU", 4) == 0 && desc.n) {
            for (size_t i = 0; i < desc.n && i < 32; i++)
                (void)snprintf(ret + 2 * i, 3, "%02x", desc.p[i]);
            return true;
        }
        if (next > notes.n)
            return false;
        notes = (struct pw_elf_bytes){ notes.p + next, notes.n - (size_t)next };
    }
    return false;
}

static int read_build_id(const struct pw_elf *im, struct pw_plugin_meta *ret)
{
    for (uint32_t i = 0; i < im->head.e_shnum; i++) {
        struct pw_elf_bytes notes;
        Elf64_Shdr          sh;

        if (pw_elf_section(im, i, &sh) < 0)
            return -1;
        if (sh.sh_type == SHT_NOTE && pw_elf_slice(im->file, sh.sh_offset, sh.sh_size, &notes) &&
            build_id_in(notes, ret->build_id))
            break;
    }
    return 0;
}

int pw_elf_meta(const void *p, size_t n, struct pw_plugin_meta *ret, struct pw_err *err)
{
    struct pw_elf im;

    memset(ret, 0, sizeof(*ret));
    if (pw_elf_open(&im, p, n, err) < 0 || read_meta(&im, ret) < 0 || check_entry(&im, ret->middleware) < 0 ||
        check_dynamic(&im) < 0)
        return -1;
    return read_build_id(&im, ret);
}

/* Read, not mapped: a file that is cut while we look must not raise SIGBUS. */
static int read_file(int fd, size_t n, unsigned char *to, struct pw_err *err)
{
    size_t have = 0;

    while (have < n) {
        ssize_t got = read(fd, to + have, n - have);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return pw_err_sys(err, PW_D_FATAL, "read");
        if (got == 0)
            return pw_err_set(err, PW_D_FATAL, "became shorter while it was read");
        have += (size_t)got;
    }
    return 0;
}

int pw_elf_read(const char *path, unsigned char **ret, size_t *ret_n, struct pw_err *err)
{
    unsigned char *p = NULL;
    struct stat    st;
    int            rc = -1, fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0)
        return pw_err_sys(err, PW_D_FATAL, "open %s", path);
    if (fstat(fd, &st) < 0)
        (void)pw_err_sys(err, PW_D_FATAL, "stat");
    else if (!S_ISREG(st.st_mode))
        (void)pw_err_set(err, PW_D_FATAL, "not a regular file");
    else if ((uint64_t)st.st_size > FILE_MAX)
        (void)pw_err_set(err, PW_D_FATAL, "larger than %zu MiB: is it a plugin?", FILE_MAX >> 20);
    else if (!(p = malloc((size_t)st.st_size + 1)))
        (void)pw_err_set(err, PW_D_FATAL, "no memory for %lld bytes", (long long)st.st_size);
    else
        rc = read_file(fd, (size_t)st.st_size, p, err);
    (void)close(fd); /* only read from */
    if (rc < 0) {
        free(p);
        return pw_err_wrap(err, "%s", path);
    }
    *ret   = p;
    *ret_n = (size_t)st.st_size;
    return 0;
}

int pw_plugin_meta(const char *path, struct pw_plugin_meta *ret, struct pw_err *err)
{
    unsigned char *p = NULL;
    size_t         n = 0;
    int            rc;

    if (pw_elf_read(path, &p, &n, err) < 0)
        return -1;
    rc = pw_elf_meta(p, n, ret, err);
    free(p);
    return rc < 0 ? pw_err_wrap(err, "%s", path) : 0;
}
