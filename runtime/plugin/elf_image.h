/* elf_image: an ELF file in memory, of which nothing is believed. Private to the room. */
#ifndef PW_PLUGIN_ELF_IMAGE_H
#define PW_PLUGIN_ELF_IMAGE_H

#include "base/err.h"

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PW_ELF_SYMBOLS_MAX (1u << 20)

struct pw_elf_bytes {
    const unsigned char *p;
    size_t               n;
};

struct pw_elf {
    struct pw_elf_bytes file;
    Elf64_Ehdr          head;
    struct pw_elf_bytes names; /* of sections */
    struct pw_err      *err;
};

/* Checks the header: ELF64 of this machine, a shared library, with section headers. */
int pw_elf_open(struct pw_elf *im, const void *p, size_t n, struct pw_err *err) PW_MUST_CHECK;

/* off..off+n of the file; false if that is not inside it. */
bool pw_elf_slice(struct pw_elf_bytes file, uint64_t off, uint64_t n, struct pw_elf_bytes *ret);
/* The i-th element of a table, by copy: nothing in a file is aligned for certain. The caller checked i. */
void pw_elf_element(struct pw_elf_bytes table, size_t i, void *ret, size_t each);
/* A NUL-terminated name inside a string table; NULL if it runs out of it. */
const char *pw_elf_string(struct pw_elf_bytes table, uint64_t off);

int pw_elf_section(const struct pw_elf *im, uint32_t i, Elf64_Shdr *ret);
int pw_elf_contents(const struct pw_elf *im, const Elf64_Shdr *sh, const char *what, struct pw_elf_bytes *ret);
/* The section of that type (SHT_NULL: any), and name unless NULL. 1 if found, 0 if not. */
int pw_elf_find(const struct pw_elf *im, uint32_t type, const char *name, Elf64_Shdr *ret);
/* The table of a section and the string table it links to. */
int pw_elf_table(const struct pw_elf *im, const Elf64_Shdr *sh, const char *what, size_t each, struct pw_elf_bytes *ret,
                 struct pw_elf_bytes *ret_strings);

#endif
