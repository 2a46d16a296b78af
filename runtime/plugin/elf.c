#include "plugin/elf.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX     ((size_t)256 << 20)
#define SECTIONS_MAX 4096u
#define SYMBOLS_MAX  (1u << 20)
#define ENTRY        "pawl_plugin_entry_v1"

#if defined(__x86_64__)
#define MACHINE EM_X86_64
#elif defined(__aarch64__)
#define MACHINE EM_AARCH64
#elif defined(__riscv)
#define MACHINE EM_RISCV
#elif defined(__powerpc64__)
#define MACHINE EM_PPC64
#elif defined(__s390x__)
#define MACHINE EM_S390
#else
#error "add this machine's e_machine"
#endif

#define ENCODING (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB)

struct bytes {
    const unsigned char *p;
    size_t               n;
};

struct image {
    struct bytes   file;
    Elf64_Ehdr     head;
    struct bytes   names; /* of sections */
    struct pw_err *err;
};

#define refuse(im, ...) (pw_err_set((im)->err, PW_D_FATAL, __VA_ARGS__), -1) /* -1 spelt out for static analysis */

/* off..off+n of the file; false if that is not inside it. */
static bool slice(struct bytes file, uint64_t off, uint64_t n, struct bytes *ret)
{
    if (off > file.n || n > file.n - off)
        return false;
    *ret = (struct bytes){ file.p + off, (size_t)n };
    return true;
}

/* The i-th element of a table, by copy: nothing in a file is aligned for certain. The caller checked i. */
static void element(struct bytes table, size_t i, void *ret, size_t each)
{
    memcpy(ret, table.p + i * each, each);
}

/* A NUL-terminated name inside a string table; NULL if it runs out of it. */
static const char *string_at(struct bytes table, uint64_t off)
{
    if (off >= table.n || !memchr(table.p + off, 0, table.n - (size_t)off))
        return NULL;
    return (const char *)table.p + off;
}

static int check_head(struct image *im)
{
    const Elf64_Ehdr *h = &im->head;

    if (im->file.n < sizeof(*h) || memcmp(im->file.p, ELFMAG, SELFMAG) != 0)
        return refuse(im, "not an ELF file: a plugin is a shared library (.so)");
    memcpy(&im->head, im->file.p, sizeof(im->head));
    if (h->e_ident[EI_CLASS] != ELFCLASS64 || h->e_ident[EI_DATA] != ENCODING || h->e_machine != MACHINE)
        return refuse(
            im, "built for another machine (class %u, encoding %u, machine %u; this one is class %u, encoding %u, machine %u)",
            h->e_ident[EI_CLASS], h->e_ident[EI_DATA], h->e_machine, ELFCLASS64, ENCODING, MACHINE);
    if (h->e_type != ET_DYN)
        return refuse(im, "not a shared library (ELF type %u): link it with -shared", h->e_type);
    if (h->e_shoff == 0 || h->e_shnum == 0)
        return refuse(im, "has no section headers, so its .pawl.meta cannot be found: strip it with strip, not with tools "
                          "that remove the section headers");
    if (h->e_shentsize != sizeof(Elf64_Shdr) || h->e_shnum > SECTIONS_MAX || h->e_shstrndx >= h->e_shnum)
        return refuse(im, "its section headers are malformed: was it copied completely?");
    return 0;
}

static int section(const struct image *im, uint32_t i, Elf64_Shdr *ret)
{
    struct bytes table;

    if (!slice(im->file, im->head.e_shoff, (uint64_t)im->head.e_shnum * sizeof(Elf64_Shdr), &table))
        return refuse(im, "its section headers end behind the file: was it copied completely?");
    if (i >= im->head.e_shnum)
        return refuse(im, "a section refers to section %u of %u", i, im->head.e_shnum);
    element(table, i, ret, sizeof(*ret));
    return 0;
}

static int contents(const struct image *im, const Elf64_Shdr *sh, const char *what, struct bytes *ret)
{
    if (sh->sh_type == SHT_NOBITS)
        return refuse(im, "%s has no contents in the file: is this a file of debug information?", what);
    if (!slice(im->file, sh->sh_offset, sh->sh_size, ret))
        return refuse(im, "%s ends behind the file: was it copied completely?", what);
    return 0;
}

/* The section of that type (and name, unless NULL). 1 if found, 0 if not. */
static int find(const struct image *im, uint32_t type, const char *name, Elf64_Shdr *ret)
{
    for (uint32_t i = 0; i < im->head.e_shnum; i++) {
        const char *has;

        if (section(im, i, ret) < 0)
            return -1;
        if (type != SHT_NULL && ret->sh_type != type)
            continue;
        if (!name)
            return 1;
        has = string_at(im->names, ret->sh_name);
        if (has && strcmp(has, name) == 0)
            return 1;
    }
    return 0;
}

/* The table of a section and the string table it links to. */
static int table_and_strings(const struct image *im, const Elf64_Shdr *sh, const char *what, size_t each, struct bytes *ret,
                             struct bytes *ret_strings)
{
    Elf64_Shdr strings;

    if (contents(im, sh, what, ret) < 0 || section(im, sh->sh_link, &strings) < 0 ||
        contents(im, &strings, "the dynamic string table", ret_strings) < 0)
        return -1;
    if (sh->sh_entsize != each || ret->n % each)
        return refuse(im, "%s is malformed", what);
    return 0;
}

static int check_entry(const struct image *im)
{
    struct bytes table, strings;
    Elf64_Shdr   sh;
    int          found = find(im, SHT_DYNSYM, NULL, &sh);

    if (found < 0)
        return -1;
    if (found == 0)
        return refuse(im, "has no dynamic symbols: is it a plugin?");
    if (table_and_strings(im, &sh, "the dynamic symbol table", sizeof(Elf64_Sym), &table, &strings) < 0)
        return -1;
    if (table.n / sizeof(Elf64_Sym) > SYMBOLS_MAX)
        return refuse(im, "has more than %u dynamic symbols", SYMBOLS_MAX);
    for (size_t i = 0; i < table.n / sizeof(Elf64_Sym); i++) {
        const char *name;
        Elf64_Sym   sym;

        element(table, i, &sym, sizeof(sym));
        name = string_at(strings, sym.st_name);
        if (name && strcmp(name, ENTRY) == 0 && sym.st_shndx != SHN_UNDEF && ELF64_ST_TYPE(sym.st_info) == STT_FUNC)
            return 0;
    }
    return refuse(im, "does not export " ENTRY "(): end the plugin's source with PAWL_PLUGIN(descriptor, id, version), "
                      "and do not strip or hide that symbol");
}

static int check_needed(const struct image *im, const char *name)
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

static int check_dynamic(const struct image *im)
{
    struct bytes table, strings;
    Elf64_Shdr   sh;
    int          found = find(im, SHT_DYNAMIC, NULL, &sh);

    if (found < 0)
        return -1;
    if (found == 0)
        return refuse(im, "has no dynamic section: is it a shared library?");
    if (table_and_strings(im, &sh, "the dynamic section", sizeof(Elf64_Dyn), &table, &strings) < 0)
        return -1;
    for (size_t i = 0; i < table.n / sizeof(Elf64_Dyn); i++) {
        Elf64_Dyn dyn;

        element(table, i, &dyn, sizeof(dyn));
        if (dyn.d_tag == DT_NULL)
            break;
        if (dyn.d_tag == DT_TEXTREL || (dyn.d_tag == DT_FLAGS && (dyn.d_un.d_val & DF_TEXTREL)))
            return refuse(im, "has text relocations: compile all of it with -fPIC");
        if (dyn.d_tag == DT_FLAGS_1 && (dyn.d_un.d_val & DF_1_PIE))
            return refuse(im, "is a program, not a shared library: link it with -shared");
        if (dyn.d_tag == DT_NEEDED && check_needed(im, string_at(strings, dyn.d_un.d_val)) < 0)
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

static int take_text(const struct image *im, const char *key, const char *value, const char *more, char *ret, size_t cap)
{
    if (*ret)
        return refuse(im, ".pawl.meta says %s twice: one library holds one plugin", key);
    if (!*value || strlen(value) >= cap || !in_set(value, more))
        return refuse(im, ".pawl.meta: %s must have 1 to %zu letters, digits or any of %s", key, cap - 1, more);
    (void)snprintf(ret, cap, "%s", value);
    return 0;
}

static int take_pair(const struct image *im, const char *pair, struct pw_plugin_meta *ret, bool *ret_abi)
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
    } else if (!strchr(pair, '=')) {
        return refuse(im, ".pawl.meta is malformed: not every entry is key=value");
    }
    return 0; /* a key we do not know: a newer SDK's */
}

static int read_meta(const struct image *im, struct pw_plugin_meta *ret)
{
    struct bytes meta;
    Elf64_Shdr   sh;
    bool         abi   = false;
    int          found = find(im, SHT_NULL, ".pawl.meta", &sh);

    if (found < 0)
        return -1;
    if (found == 0)
        return refuse(im, "has no .pawl.meta section: end the plugin's source with PAWL_PLUGIN(descriptor, id, version)");
    if (contents(im, &sh, ".pawl.meta", &meta) < 0)
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
static bool build_id_in(struct bytes notes, char ret[65])
{
    while (notes.n >= sizeof(Elf64_Nhdr)) {
        Elf64_Nhdr   h;
        struct bytes name, desc;
        uint64_t     desc_at, next;

        memcpy(&h, notes.p, sizeof(h));
        desc_at = sizeof(h) + (((uint64_t)h.n_namesz + 3) & ~(uint64_t)3);
        next    = desc_at + (((uint64_t)h.n_descsz + 3) & ~(uint64_t)3);
        if (!slice(notes, sizeof(h), h.n_namesz, &name) || !slice(notes, desc_at, h.n_descsz, &desc))
            return false;
        if (h.n_type == NT_GNU_BUILD_ID && name.n == 4 && memcmp(name.p, "GNU", 4) == 0 && desc.n) {
            for (size_t i = 0; i < desc.n && i < 32; i++)
                (void)snprintf(ret + 2 * i, 3, "%02x", desc.p[i]);
            return true;
        }
        if (next > notes.n)
            return false;
        notes = (struct bytes){ notes.p + next, notes.n - (size_t)next };
    }
    return false;
}

static int read_build_id(const struct image *im, struct pw_plugin_meta *ret)
{
    for (uint32_t i = 0; i < im->head.e_shnum; i++) {
        struct bytes notes;
        Elf64_Shdr   sh;

        if (section(im, i, &sh) < 0)
            return -1;
        if (sh.sh_type == SHT_NOTE && slice(im->file, sh.sh_offset, sh.sh_size, &notes) && build_id_in(notes, ret->build_id))
            break;
    }
    return 0;
}

int pw_elf_meta(const void *p, size_t n, struct pw_plugin_meta *ret, struct pw_err *err)
{
    struct image im = { .file = { p, n }, .err = err };
    Elf64_Shdr   names;

    memset(ret, 0, sizeof(*ret));
    if (check_head(&im) < 0 || section(&im, im.head.e_shstrndx, &names) < 0 ||
        contents(&im, &names, "the section name table", &im.names) < 0)
        return -1;
    if (read_meta(&im, ret) < 0 || check_entry(&im) < 0 || check_dynamic(&im) < 0)
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

int pw_plugin_meta(const char *path, struct pw_plugin_meta *ret, struct pw_err *err)
{
    unsigned char *p = NULL;
    struct stat    st;
    int            rc = -1, fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0)
        return pw_err_sys(err, PW_D_FATAL, "open %s", path);
    if (fstat(fd, &st) < 0) {
        (void)pw_err_sys(err, PW_D_FATAL, "stat");
    } else if (!S_ISREG(st.st_mode)) {
        (void)pw_err_set(err, PW_D_FATAL, "not a regular file");
    } else if ((uint64_t)st.st_size > FILE_MAX) {
        (void)pw_err_set(err, PW_D_FATAL, "larger than %zu MiB: is it a plugin?", FILE_MAX >> 20);
    } else if (!(p = malloc((size_t)st.st_size + 1))) {
        (void)pw_err_set(err, PW_D_FATAL, "no memory for %lld bytes", (long long)st.st_size);
    } else if (read_file(fd, (size_t)st.st_size, p, err) == 0) {
        rc = pw_elf_meta(p, (size_t)st.st_size, ret, err);
    }
    free(p);
    (void)close(fd); /* only read from */
    return rc < 0 ? pw_err_wrap(err, "%s", path) : 0;
}
