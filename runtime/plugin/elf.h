/* elf: the metadata of a plugin out of the bytes of its file. Private to the room, and open to its fuzz target. */
#ifndef PW_PLUGIN_ELF_H
#define PW_PLUGIN_ELF_H

#include "plugin/plugin.h"

#define PW_ELF_META_MAX 4096u /* bytes of .pawl.meta */

/* As pw_plugin_meta; trusts nothing in p[0..n). */
int pw_elf_meta(const void *p, size_t n, struct pw_plugin_meta *ret, struct pw_err *err) PW_MUST_CHECK;

/* The bytes of a regular file, to be freed; the error names the file. */
int pw_elf_read(const char *path, unsigned char **ret, size_t *ret_n, struct pw_err *err) PW_MUST_CHECK;

#endif
