#include "plugin/elf.h"

#include <criterion/criterion.h>
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct pw_plugin_meta meta;
static struct pw_err         err;

/* ---- a small library, made up of what the reader looks at ---- */

#define META "abi=1.0\0id=org.example.a\0version=1.0.0\0"

enum { S_NULL = 0, S_META, S_DYNSYM, S_DYNSTR, S_DYNAMIC, S_NOTE, S_NAMES, S_N };

static const char names[]   = "\0.pawl.meta\0.dynsym\0.dynstr\0.dynamic\0.note\0.shstrtab";
static const char strings[] = "\0pawl_plugin_entry_v1\0libpq.so.5\0librdkafka.so.1\0libm.so.6";

struct library {
    Elf64_Ehdr    head;
    Elf64_Shdr    section[S_N];
    Elf64_Sym     symbol[2];
    Elf64_Dyn     dynamic[4];
    Elf64_Nhdr    note;
    char          note_name[4];
    unsigned char note_desc[20];
    char          names[sizeof(names)], strings[sizeof(strings)];
    char          meta[PW_ELF_META_MAX + 1];
};

static Elf64_Shdr section(uint32_t name, uint32_t type, size_t offset, size_t size, size_t each)
{
    return (Elf64_Shdr){ .sh_name = name, .sh_type = type, .sh_offset = offset, .sh_size = size, .sh_entsize = each };
}

/* text: the meta section, n bytes of it */
static struct library library(const char *text, size_t n)
{
    struct library li = { 0 };

    memcpy(li.head.e_ident, ELFMAG, SELFMAG);
    li.head.e_ident[EI_CLASS] = ELFCLASS64;
    li.head.e_ident[EI_DATA]  = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB;
#if defined(__x86_64__)
    li.head.e_machine = EM_X86_64;
#elif defined(__aarch64__)
    li.head.e_machine = EM_AARCH64;
#endif
    li.head.e_type      = ET_DYN;
    li.head.e_shoff     = offsetof(struct library, section);
    li.head.e_shentsize = sizeof(Elf64_Shdr);
    li.head.e_shnum     = S_N;
    li.head.e_shstrndx  = S_NAMES;
    memcpy(li.names, names, sizeof(names));
    memcpy(li.strings, strings, sizeof(strings));
    memcpy(li.meta, text, n);
    li.symbol[1]  = (Elf64_Sym){ .st_name = 1, .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC), .st_shndx = 1 };
    li.dynamic[0] = (Elf64_Dyn){ .d_tag = DT_NEEDED, .d_un.d_val = 49 };
    li.note       = (Elf64_Nhdr){ 4, 20, NT_GNU_BUILD_ID };
    memcpy(li.note_name, "GNU", 4);
    memset(li.note_desc, 0xab, sizeof(li.note_desc));
    li.section[S_META]    = section(1, SHT_PROGBITS, offsetof(struct library, meta), n, 0);
    li.section[S_DYNSYM]  = section(12, SHT_DYNSYM, offsetof(struct library, symbol), sizeof(li.symbol), sizeof(Elf64_Sym));
    li.section[S_DYNSTR]  = section(20, SHT_STRTAB, offsetof(struct library, strings), sizeof(strings), 0);
    li.section[S_DYNAMIC] = section(28, SHT_DYNAMIC, offsetof(struct library, dynamic), sizeof(li.dynamic), sizeof(Elf64_Dyn));
    li.section[S_NOTE]    = section(37, SHT_NOTE, offsetof(struct library, note), 36, 0);
    li.section[S_NAMES]   = section(43, SHT_STRTAB, offsetof(struct library, names), sizeof(names), 0);
    li.section[S_DYNSYM].sh_link = li.section[S_DYNAMIC].sh_link = S_DYNSTR;
    return li;
}

static struct library right(void)
{
    return library(META, sizeof(META));
}

/* Reads from a buffer that ends where the file ends. */
static int read_bytes(const void *p, size_t n)
{
    void *file = malloc(n ? n : 1);
    int   rc;

    cr_assert_not_null(file);
    memcpy(file, p, n);
    rc = pw_elf_meta(file, n, &meta, &err);
    free(file);
    return rc;
}

static void refused(const struct library *li, const char *why)
{
    cr_assert_eq(read_bytes(li, sizeof(*li)), -1, "%s", why);
    cr_assert_not_null(strstr(err.text, why), "%s", err.text);
}

static void accepted(const struct library *li)
{
    cr_assert_eq(read_bytes(li, sizeof(*li)), 0, "%s", err.text);
}

static void meta_refused(const char *text, size_t n, const char *why)
{
    struct library li = library(text, n);

    refused(&li, why);
}
#define META_REFUSED(text, why) meta_refused(text, sizeof(text), why)

static void file_refused(const char *path, const char *why)
{
    cr_assert_eq(pw_plugin_meta(path, &meta, &err), -1);
    cr_assert_not_null(strstr(err.text, why), "%s", err.text);
    cr_assert_not_null(strstr(err.text, path), "the error names the file: %s", err.text);
}

/* ---- files made by the tool chain ---- */

Test(elf, a_plugin_says_who_it_is_without_running)
{
    cr_assert_eq(pw_plugin_meta(TEST_PLUGINS "/good.so", &meta, &err), 0, "%s", err.text);
    cr_assert_str_eq(meta.id, "org.example.test.good");
    cr_assert_str_eq(meta.version, "1.0.0");
    cr_assert_eq(meta.abi_major, 1);
    cr_assert_eq(meta.abi_minor, 0);
    cr_assert_eq(strlen(meta.build_id) % 2, 0);
}

Test(elf, a_plugin_whose_constructor_crashes_or_exits_can_still_be_read)
{
    cr_assert_eq(pw_plugin_meta(TEST_PLUGINS "/constructor_crashes.so", &meta, &err), 0, "%s", err.text);
    cr_assert_eq(pw_plugin_meta(TEST_PLUGINS "/constructor_exits.so", &meta, &err), 0, "%s", err.text);
    cr_assert_str_eq(meta.id, "org.example.test.constructor_exits");
}

Test(elf, a_file_that_is_no_usable_plugin_is_refused_with_the_reason)
{
    file_refused(TEST_PLUGINS "/no_entry.so", "does not export pawl_plugin_entry_v1()");
    file_refused(TEST_PLUGINS "/no_meta.so", "has no .pawl.meta section");
    file_refused(TEST_PLUGINS "/wrong_major.so", "needs plugin ABI 2.x, this pawl offers 1.0");
    file_refused(TEST_PLUGINS "/two_in_one.so", "twice: one library holds one plugin");
    file_refused(TEST_PLUGINS "/linked_with_libpq.so", "is linked with libpq.so.5");
    file_refused(TEST_PLUGINS "/absent.so", "No such file");
    file_refused(TEST_PLUGINS, "not a regular file");
    file_refused("/dev/null", "not a regular file");
    file_refused("/proc/self/exe", "has no .pawl.meta section");
}

Test(elf, a_cut_file_is_refused_wherever_it_is_cut)
{
    FILE  *f = fopen(TEST_PLUGINS "/good.so", "rb");
    char  *p = malloc(1 << 20);
    size_t n;

    cr_assert_not_null(f);
    cr_assert_not_null(p);
    n = fread(p, 1, 1 << 20, f);
    (void)fclose(f);
    cr_assert_eq(read_bytes(p, n), 0, "%s", err.text);
    for (size_t cut = 0; cut < n; cut += cut < 4096 ? 1 : 61)
        cr_assert_eq(read_bytes(p, cut), -1, "%zu of %zu bytes", cut, n);
    free(p);
}

/* ---- each rule by itself ---- */

Test(elf, the_library_made_here_is_right)
{
    struct library li = right();

    accepted(&li);
    cr_assert_str_eq(meta.id, "org.example.a");
    cr_assert_str_eq(meta.build_id, "abababababababababababababababababababab");
}

Test(elf, another_kind_of_file_is_refused)
{
    struct library li = right();

    li.head.e_ident[0] = 'M';
    refused(&li, "not an ELF file");
    cr_assert_eq(read_bytes("", 0), -1);
    cr_assert_eq(read_bytes("\177ELF", 4), -1);
    li                        = right();
    li.head.e_ident[EI_CLASS] = ELFCLASS32;
    refused(&li, "built for another machine");
    li                       = right();
    li.head.e_ident[EI_DATA] = li.head.e_ident[EI_DATA] == ELFDATA2LSB ? ELFDATA2MSB : ELFDATA2LSB;
    refused(&li, "built for another machine");
    li                = right();
    li.head.e_machine = EM_68K;
    refused(&li, "built for another machine");
    li             = right();
    li.head.e_type = ET_REL;
    refused(&li, "not a shared library (ELF type 1)");
}

Test(elf, missing_section_headers_are_named)
{
    struct library li = right();

    li.head.e_shoff = 0;
    refused(&li, "has no section headers");
    li              = right();
    li.head.e_shnum = 0;
    refused(&li, "has no section headers");
}

Test(elf, offsets_and_sizes_that_lie_are_refused)
{
    static const struct {
        uint32_t    section;
        const char *why;
    } cases[]                   = { { S_META, ".pawl.meta ends behind the file" },
                                    { S_DYNSYM, "the dynamic symbol table ends behind the file" },
                                    { S_DYNSTR, "the dynamic string table ends behind the file" },
                                    { S_DYNAMIC, "the dynamic section ends behind the file" },
                                    { S_NAMES, "the section name table ends behind the file" } };
    static const uint64_t far[] = { UINT64_MAX, UINT64_MAX - 8, (uint64_t)1 << 63, sizeof(struct library) + 1 };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        for (size_t k = 0; k < sizeof(far) / sizeof(far[0]); k++) {
            struct library li = right();

            li.section[cases[i].section].sh_offset = far[k];
            refused(&li, cases[i].why);
            li                                   = right();
            li.section[cases[i].section].sh_size = far[k];
            refused(&li, cases[i].why);
        }
    for (size_t k = 0; k < sizeof(far) / sizeof(far[0]); k++) {
        struct library li = right();

        li.head.e_shoff = far[k];
        refused(&li, "section headers end behind the file");
    }
}

Test(elf, malformed_tables_are_refused)
{
    struct library li = right();

    li.head.e_shentsize = 40;
    refused(&li, "section headers are malformed");
    li                 = right();
    li.head.e_shstrndx = S_N;
    refused(&li, "section headers are malformed");
    li                           = right();
    li.section[S_DYNSYM].sh_link = S_N;
    refused(&li, "refers to section 7 of 7");
    li                              = right();
    li.section[S_DYNSYM].sh_entsize = 8;
    refused(&li, "the dynamic symbol table is malformed");
    li = right();
    li.section[S_DYNAMIC].sh_size -= 1;
    refused(&li, "the dynamic section is malformed");
    li                         = right();
    li.section[S_META].sh_type = SHT_NOBITS;
    refused(&li, ".pawl.meta has no contents");
    li                           = right();
    li.section[S_DYNSYM].sh_type = SHT_NULL;
    refused(&li, "has no dynamic symbols");
    li                            = right();
    li.section[S_DYNAMIC].sh_type = SHT_NULL;
    refused(&li, "has no dynamic section");
}

Test(elf, names_outside_their_table_are_not_followed)
{
    struct library li = right();

    li.section[S_META].sh_name = UINT32_MAX;
    refused(&li, "has no .pawl.meta section");
    li                   = right();
    li.symbol[1].st_name = UINT32_MAX;
    refused(&li, "does not export");
    li                       = right();
    li.dynamic[0].d_un.d_val = UINT64_MAX;
    refused(&li, "names a library outside its string table");
}

Test(elf, the_number_of_sections_has_a_limit)
{
    size_t         n    = sizeof(struct library) + 4097 * sizeof(Elf64_Shdr);
    unsigned char *file = calloc(1, n);
    struct library li   = right();

    cr_assert_not_null(file);
    memcpy(file + sizeof(li), li.section, sizeof(li.section));
    li.head.e_shoff = sizeof(li);
    li.head.e_shnum = 4096;
    memcpy(file, &li, sizeof(li));
    cr_assert_eq(read_bytes(file, n), 0, "%s", err.text);
    li.head.e_shnum = 4097;
    memcpy(file, &li, sizeof(li));
    cr_assert_eq(read_bytes(file, n), -1);
    cr_assert_not_null(strstr(err.text, "section headers are malformed"));
    free(file);
}

Test(elf, the_entry_must_be_a_defined_function)
{
    struct library li = right();

    li.symbol[1].st_shndx = SHN_UNDEF;
    refused(&li, "does not export pawl_plugin_entry_v1()");
    li                   = right();
    li.symbol[1].st_info = ELF64_ST_INFO(STB_GLOBAL, STT_OBJECT);
    refused(&li, "does not export pawl_plugin_entry_v1()");
}

Test(elf, libraries_that_the_runtime_owns_are_refused)
{
    struct library li = right();

    li.dynamic[0].d_un.d_val = 22;
    refused(&li, "is linked with libpq.so.5: a plugin does not talk to Kafka or PostgreSQL");
    li.dynamic[0].d_un.d_val = 33;
    refused(&li, "is linked with librdkafka.so.1");
    li.dynamic[0].d_tag = DT_NULL; /* nothing counts behind the end */
    accepted(&li);
}

Test(elf, text_relocations_and_programs_are_refused)
{
    struct library li = right();

    li.dynamic[1] = (Elf64_Dyn){ .d_tag = DT_TEXTREL };
    refused(&li, "has text relocations");
    li.dynamic[1] = (Elf64_Dyn){ .d_tag = DT_FLAGS, .d_un.d_val = DF_TEXTREL };
    refused(&li, "has text relocations");
    li.dynamic[1] = (Elf64_Dyn){ .d_tag = DT_FLAGS_1, .d_un.d_val = DF_1_PIE };
    refused(&li, "is a program, not a shared library");
    li.dynamic[1] = (Elf64_Dyn){ .d_tag = DT_FLAGS, .d_un.d_val = DF_BIND_NOW };
    accepted(&li);
}

Test(elf, a_malformed_note_means_no_build_id)
{
    struct library li = right();

    li.note.n_namesz = UINT32_MAX;
    accepted(&li);
    cr_assert_str_eq(meta.build_id, "");
    li               = right();
    li.note.n_descsz = 21;
    accepted(&li);
    cr_assert_str_eq(meta.build_id, "");
    li             = right();
    li.note.n_type = NT_GNU_ABI_TAG;
    accepted(&li);
    cr_assert_str_eq(meta.build_id, "");
}

/* ---- the metadata's text ---- */

Test(elf, metadata_may_say_more_than_this_version_knows)
{
    static const char text[] = "\0sdk=2.1 (rust)\0abi=1.7\0\0version=1.0.0-rc.1+b5\0id=org.example.a-b_c\0";
    struct library    li     = library(text, sizeof(text));

    accepted(&li);
    cr_assert_eq(meta.abi_minor, 7); /* the loader decides about it */
    cr_assert_str_eq(meta.version, "1.0.0-rc.1+b5");
}

Test(elf, malformed_metadata_is_refused)
{
    META_REFUSED("abi=1.0\0id=org.example.a\0", "lacks version");
    META_REFUSED("abi=1.0\0version=1.0\0", "lacks id");
    META_REFUSED("id=org.example.a\0version=1.0\0", "lacks abi");
    META_REFUSED("abi=1.0\0id=org.example.a\0version=1.0\0nonsense\0", "not every entry is key=value");
    META_REFUSED("abi=1.0\0abi=1.0\0", "says abi twice");
    META_REFUSED("abi=1\0", "abi is not MAJOR.MINOR");
    META_REFUSED("abi=1.\0", "abi is not MAJOR.MINOR");
    META_REFUSED("abi=1.0.0\0", "abi is not MAJOR.MINOR");
    META_REFUSED("abi=-1.0\0", "abi is not MAJOR.MINOR");
    META_REFUSED("abi=65536.0\0", "abi is not MAJOR.MINOR");
    META_REFUSED("abi=65535.65535\0id=a.b\0version=1\0", "needs plugin ABI 65535.x");
    META_REFUSED("id=\0", "id must have 1 to 127");
    META_REFUSED("id=org.example.\xd0\x9f\0", "id must have 1 to 127 letters");
    META_REFUSED("id=org/example\0", "id must have 1 to 127 letters");
    META_REFUSED("id=underwriting\0", "is not a reverse DNS name");
    META_REFUSED("id=.example\0", "is not a reverse DNS name");
    META_REFUSED("id=example.\0", "is not a reverse DNS name");
    META_REFUSED("version=1 0\0", "version must have 1 to 63");
    meta_refused("abi=1.0", 7, "end with NUL"); /* without its NUL */
    meta_refused("", 0, "is malformed");
}

static void with_lengths(size_t id, size_t version, const char *why)
{
    char           text[512];
    struct library li;
    int            n = 0;

    n = snprintf(text, sizeof(text), "abi=1.0%cid=a.%0*d%cversion=%0*d", 0, (int)id - 2, 0, 0, (int)version, 0);
    cr_assert_eq(n, (int)(8 + 3 + id + 1 + 8 + version));
    li = library(text, (size_t)n + 1);
    if (why) {
        refused(&li, why);
        return;
    }
    accepted(&li);
    cr_assert_eq(strlen(meta.id), id);
    cr_assert_eq(strlen(meta.version), version);
}

Test(elf, id_and_version_have_limits)
{
    with_lengths(127, 63, NULL);
    with_lengths(128, 63, "id must have 1 to 127");
    with_lengths(127, 64, "version must have 1 to 63");
}

Test(elf, the_metadata_has_a_limit)
{
    char           text[PW_ELF_META_MAX + 1] = META;
    struct library li                        = library(text, PW_ELF_META_MAX);

    accepted(&li);
    li = library(text, PW_ELF_META_MAX + 1);
    refused(&li, "must have 1 to 4096 bytes");
}
