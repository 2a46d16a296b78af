#include "plugin/elf_image.h"

#include <string.h>

#define SECTIONS_MAX 4096u

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

#define refuse(im, ...) (pw_err_set((im)->err, PW_D_FATAL, __VA_ARGS__), -1) /* -1 spelt out for static analysis */

/* off..off+n of the file; false if that is not inside it. */
bool pw_elf_slice(struct pw_elf_bytes file, uint64_t off, uint64_t n, struct pw_elf_bytes *ret)
{
    if (off > file.n || n > file.n - off)
        return false;
    *ret = (struct pw_elf_bytes){ file.p + off, (size_t)n };
    return true;
}

/* The i-th element of a table, by copy: nothing in a file is aligned for certain. The caller checked i. */
void pw_elf_element(struct pw_elf_bytes table, size_t i, void *ret, size_t each)
{
    memcpy(ret, table.p + i * each, each);
}

/* A NUL-terminated name inside a string table; NULL if it runs out of it. */
const char *pw_elf_string(struct pw_elf_bytes table, uint64_t off)
{
    if (off >= table.n || !memchr(table.p + off, 0, table.n - (size_t)off))
        return NULL;
    return (const char *)table.p + off;
}

static int check_head(struct pw_elf *im)
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

int pw_elf_section(const struct pw_elf *im, uint32_t i, Elf64_Shdr *ret)
{
    struct pw_elf_bytes table;

    if (!pw_elf_slice(im->file, im->head.e_shoff, (uint64_t)im->head.e_shnum * sizeof(Elf64_Shdr), &table))
        return refuse(im, "its section headers end behind the file: was it copied completely?");
    if (i >= im->head.e_shnum)
        return refuse(im, "a section refers to section %u of %u", i, im->head.e_shnum);
    pw_elf_element(table, i, ret, sizeof(*ret));
    return 0;
}

int pw_elf_contents(const struct pw_elf *im, const Elf64_Shdr *sh, const char *what, struct pw_elf_bytes *ret)
{
    if (sh->sh_type == SHT_NOBITS)
        return refuse(im, "%s has no contents in the file: is this a file of debug information?", what);
    if (!pw_elf_slice(im->file, sh->sh_offset, sh->sh_size, ret))
        return refuse(im, "%s ends behind the file: was it copied completely?", what);
    return 0;
}

/* The section of that type (and name, unless NULL). 1 if found, 0 if not. */
int pw_elf_find(const struct pw_elf *im, uint32_t type, const char *name, Elf64_Shdr *ret)
{
    for (uint32_t i = 0; i < im->head.e_shnum; i++) {
        const char *has;

        if (pw_elf_section(im, i, ret) < 0)
            return -1;
        if (type != SHT_NULL && ret->sh_type != type)
            continue;
        if (!name)
            return 1;
        has = pw_elf_string(im->names, ret->sh_name);
        if (has && strcmp(has, name) == 0)
            return 1;
    }
    return 0;
}

/* The table of a section and the string table it links to. */
int pw_elf_table(const struct pw_elf *im, const Elf64_Shdr *sh, const char *what, size_t each, struct pw_elf_bytes *ret,
                 struct pw_elf_bytes *ret_strings)
{
    Elf64_Shdr strings;

    if (pw_elf_contents(im, sh, what, ret) < 0 || pw_elf_section(im, sh->sh_link, &strings) < 0 ||
        pw_elf_contents(im, &strings, "the dynamic string table", ret_strings) < 0)
        return -1;
    if (sh->sh_entsize != each || ret->n % each)
        return refuse(im, "%s is malformed", what);
    return 0;
}

int pw_elf_open(struct pw_elf *im, const void *p, size_t n, struct pw_err *err)
{
    Elf64_Shdr names;

    *im = (struct pw_elf){ .file = { p, n }, .err = err };
    if (check_head(im) < 0 || pw_elf_section(im, im->head.e_shstrndx, &names) < 0)
        return -1;
    return pw_elf_contents(im, &names, "the section name table", &im->names);
}
