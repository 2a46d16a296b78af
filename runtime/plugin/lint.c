#include "plugin/lint.h"

#include "plugin/describe.h"
#include "plugin/elf.h"
#include "plugin/elf_image.h"
#include "plugin/load.h"
#include "plugin/sql_lexer.h"
#include "plugin/sql_names.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define NAMED_MAX  3u   /* of many symbols, so many are named */
#define NEEDED_MAX 256u /* libraries */

const char *pw_lint_level_name(enum pw_lint_level level)
{
    static const char *const names[PW_LINT_LEVELS] = { "note", "warning", "error" };

    return names[level];
}

void pw_lint_add(struct pw_lint *li, enum pw_lint_level level, const char *rule, const char *fmt, ...)
{
    char    text[1024];
    va_list ap;

    if (li->n == li->cap) {
        size_t                  cap = li->cap ? li->cap * 2 : 16;
        struct pw_lint_finding *v   = pw_arena_array(li->ar, cap, sizeof(*v));

        if (li->n)
            memcpy(v, li->v, li->n * sizeof(*v));
        li->v   = v;
        li->cap = cap;
    }
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    li->v[li->n++] = (struct pw_lint_finding){ level, rule, pw_arena_strdup(li->ar, text) };
}

size_t pw_lint_count(const struct pw_lint *li, enum pw_lint_level least)
{
    size_t n = 0;

    for (size_t i = 0; i < li->n; i++)
        n += li->v[i].level >= least;
    return n;
}

/* ---- the file ---- */

/* "a, b, c and 7 more" */
struct listed {
    struct pw_buf b;
    size_t        n;
};

static void list_name(struct listed *ls, const char *name)
{
    if (ls->n++ < NAMED_MAX)
        pw_buf_printf(&ls->b, "%s%.200s", ls->n > 1 ? ", " : "", name);
}

static const char *list_text(struct listed *ls)
{
    if (ls->n > NAMED_MAX) {
        pw_buf_printf(&ls->b, " and %zu more", ls->n - NAMED_MAX);
        ls->n = 0; /* said once */
    }
    return ls->b.p;
}

/* What makes the same message come out otherwise the next time, or has effects that no transaction takes back. */
static bool impure(const char *name)
{
    static const char *const names[] = { "fork",         "vfork",         "execve",       "execvp",         "system",
                                         "popen",        "socket",        "connect",      "pthread_create", "exit",
                                         "_exit",        "rand",          "random",       "getrandom",      "getentropy",
                                         "time",         "clock_gettime", "gettimeofday", "longjmp",        "_longjmp",
                                         "siglongjmp",   "setlocale",     "signal",       "sigaction",      "dlopen",
                                         "__longjmp_chk" };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

static void lint_symbols(struct pw_lint *li, const struct pw_elf *im)
{
    struct pw_elf_bytes table, strings;
    struct listed       ours = { 0 }, others = { 0 }, calls = { 0 }, unique = { 0 };
    Elf64_Shdr          sh;

    if (pw_elf_find(im, SHT_DYNSYM, NULL, &sh) <= 0 ||
        pw_elf_table(im, &sh, "the dynamic symbol table", sizeof(Elf64_Sym), &table, &strings) < 0)
        return; /* pw_elf_meta has refused it */
    for (size_t i = 0; i < table.n / sizeof(Elf64_Sym); i++) {
        const char *name;
        Elf64_Sym   sym;

        pw_elf_element(table, i, &sym, sizeof(sym));
        name = pw_elf_string(strings, sym.st_name);
        if (!name || !*name || strcmp(name, PW_LOAD_ENTRY) == 0 || strcmp(name, PW_LOAD_MIDDLEWARE_ENTRY) == 0)
            continue;
        if (sym.st_shndx == SHN_UNDEF) {
            if (impure(name))
                list_name(&calls, name);
        } else if (ELF64_ST_BIND(sym.st_info) == STB_GNU_UNIQUE) {
            list_name(&unique, name);
        } else if (strncmp(name, "pawl_", 5) == 0) {
            list_name(&ours, name);
        } else if (strcmp(name, "_init") != 0 && strcmp(name, "_fini") != 0) {
            list_name(&others, name);
        }
    }
    if (ours.n)
        pw_lint_add(li, PW_LINT_ERROR, "elf.pawl_symbols", "exports %s beside its entry: names with pawl_ are pawl's own",
                    list_text(&ours));
    if (others.n)
        pw_lint_add(li, PW_LINT_WARNING, "elf.exports",
                    "exports %s: compile with -fvisibility=hidden, and link static libraries with --exclude-libs,ALL",
                    list_text(&others));
    if (unique.n)
        pw_lint_add(li, PW_LINT_WARNING, "elf.unique",
                    "%s would be shared with other plugins of the process: compile with -fno-gnu-unique", list_text(&unique));
    if (calls.n)
        pw_lint_add(li, PW_LINT_NOTE, "elf.impure",
                    "uses %s: plan() and handle() must do the same each time, and have no effects of their own",
                    list_text(&calls));
    pw_buf_done(&ours.b);
    pw_buf_done(&others.b);
    pw_buf_done(&calls.b);
    pw_buf_done(&unique.b);
}

static void lint_dynamic(struct pw_lint *li, const struct pw_elf *im)
{
    struct pw_elf_bytes table, strings;
    Elf64_Shdr          sh;
    bool                now = false, path = false;

    if (pw_elf_find(im, SHT_DYNAMIC, NULL, &sh) <= 0 ||
        pw_elf_table(im, &sh, "the dynamic section", sizeof(Elf64_Dyn), &table, &strings) < 0)
        return;
    li->needed = pw_arena_array(li->ar, NEEDED_MAX, sizeof(*li->needed));
    for (size_t i = 0; i < table.n / sizeof(Elf64_Dyn); i++) {
        const char *name;
        Elf64_Dyn   dyn;

        pw_elf_element(table, i, &dyn, sizeof(dyn));
        if (dyn.d_tag == DT_NULL)
            break;
        now |= dyn.d_tag == DT_BIND_NOW || (dyn.d_tag == DT_FLAGS && (dyn.d_un.d_val & DF_BIND_NOW)) ||
               (dyn.d_tag == DT_FLAGS_1 && (dyn.d_un.d_val & DF_1_NOW));
        path |= dyn.d_tag == DT_RPATH || dyn.d_tag == DT_RUNPATH;
        name = dyn.d_tag == DT_NEEDED ? pw_elf_string(strings, dyn.d_un.d_val) : NULL;
        if (name && li->needed_n < NEEDED_MAX)
            li->needed[li->needed_n++] = pw_arena_strdup(li->ar, name);
    }
    if (!now)
        pw_lint_add(li, PW_LINT_WARNING, "elf.lazy", "symbols are bound when they are first called: link with -z now");
    if (path)
        pw_lint_add(
            li, PW_LINT_WARNING, "elf.runpath",
            "has a RUNPATH, so where its libraries come from depends on the machine that built it: link without -rpath");
}

static void lint_segments(struct pw_lint *li, const struct pw_elf *im)
{
    struct pw_elf_bytes table;
    bool                relro = false;

    if (im->head.e_phentsize != sizeof(Elf64_Phdr) ||
        !pw_elf_slice(im->file, im->head.e_phoff, (uint64_t)im->head.e_phnum * sizeof(Elf64_Phdr), &table)) {
        pw_lint_add(li, PW_LINT_ERROR, "elf.segments", "its program headers are malformed: was it copied completely?");
        return;
    }
    for (size_t i = 0; i < im->head.e_phnum; i++) {
        Elf64_Phdr ph;

        pw_elf_element(table, i, &ph, sizeof(ph));
        relro |= ph.p_type == PT_GNU_RELRO;
        if (ph.p_type == PT_GNU_STACK && (ph.p_flags & PF_X))
            pw_lint_add(li, PW_LINT_WARNING, "elf.execstack", "asks for an executable stack: link with -z noexecstack");
        if (ph.p_type == PT_LOAD && (ph.p_flags & (PF_W | PF_X)) == (PF_W | PF_X))
            pw_lint_add(li, PW_LINT_WARNING, "elf.writable_code", "has a segment that is writable and executable");
    }
    if (!relro)
        pw_lint_add(li, PW_LINT_WARNING, "elf.relro", "its tables stay writable: link with -z relro");
}

void pw_lint_elf(struct pw_lint *li, const void *p, size_t n)
{
    struct pw_plugin_meta meta;
    struct pw_elf         im;
    struct pw_err         err;

    if (pw_elf_meta(p, n, &meta, &err) < 0 || pw_elf_open(&im, p, n, &err) < 0) {
        pw_lint_add(li, PW_LINT_ERROR, "elf.refused", "%s", err.text);
        return;
    }
    lint_symbols(li, &im);
    lint_dynamic(li, &im);
    lint_segments(li, &im);
    if (!meta.build_id[0])
        pw_lint_add(li, PW_LINT_WARNING, "elf.build_id",
                    "has no build id, which tells two builds of one version apart: link with --build-id");
    if (meta.abi_minor > PAWL_ABI_MINOR)
        pw_lint_add(li, PW_LINT_ERROR, "elf.abi", "needs plugin ABI %u.%u, this pawl offers %u.%u", meta.abi_major,
                    meta.abi_minor, PAWL_ABI_MAJOR, PAWL_ABI_MINOR);
}

/* ---- the descriptor ---- */

struct statement {
    struct pw_lint         *li;
    const struct pw_plugin *pl;
    const pawl_stmt        *st;
};

static void lint_name(void *arg, const struct pw_sql_name *na)
{
    const struct statement *s      = arg;
    const pawl_str          schema = s->pl->desc->db_schema;

    if (!na->qualified) {
        if (!na->function)
            pw_lint_add(s->li, PW_LINT_WARNING, "sql.unqualified",
                        "statement '%s': '%.*s' has no schema, so it depends on the search_path", s->st->name.p, (int)na->n,
                        na->p);
    } else if (na->written && !(na->n > schema.n && memcmp(na->p, schema.p, schema.n) == 0 && na->p[schema.n] == '.')) {
        pw_lint_add(s->li, PW_LINT_WARNING, "sql.foreign", "statement '%s' writes to '%.*s', outside of the plugin's schema %s",
                    s->st->name.p, (int)na->n, na->p, schema.p);
    }
}

/* A column that is added to the table must not come between the ones that the plugin counts. */
static bool selects_star(const pawl_stmt *st)
{
    struct pw_err       err;
    struct pw_sql_lexer lx    = { .sql = st->sql.p, .n = st->sql.n, .err = &err };
    size_t              depth = 0;
    bool                head = true, follows = false;
    int                 t;

    while (head && (t = pw_sql_next(&lx)) > PW_SQL_END) {
        char c = st->sql.p[lx.from];

        if (depth == 0 && t == PW_SQL_OTHER && c == '*' && follows)
            return true;
        head    = !(depth == 0 && t == PW_SQL_WORD && pw_sql_says(&lx, "from"));
        follows = (t == PW_SQL_WORD && pw_sql_says(&lx, "select")) || (t == PW_SQL_OTHER && (c == ',' || c == '.'));
        depth += t == PW_SQL_OPEN;
        depth -= t == PW_SQL_CLOSE && depth;
    }
    return false;
}

static bool varies(const pawl_stmt *st)
{
    static const char *const names[] = {
        "now",     "random",          "clock_timestamp",   "statement_timestamp", "transaction_timestamp",
        "nextval", "gen_random_uuid", "current_timestamp", "current_date",        "localtimestamp"
    };
    struct pw_err       err;
    struct pw_sql_lexer lx = { .sql = st->sql.p, .n = st->sql.n, .err = &err };
    int                 t;

    while ((t = pw_sql_next(&lx)) > PW_SQL_END)
        for (size_t i = 0; t == PW_SQL_WORD && i < sizeof(names) / sizeof(names[0]); i++)
            if (pw_sql_says(&lx, names[i]))
                return true;
    return false;
}

void pw_lint_plugin(struct pw_lint *li, const struct pw_plugin *pl, uint32_t calls)
{
    const bool saves = calls & PW_DESCRIBE_SAVE, loads = calls & PW_DESCRIBE_LOAD;

    for (uint32_t i = 0; i < pl->n_stmts; i++) {
        struct statement s = { li, pl, &pl->stmts[i] };

        pw_sql_names(s.st->sql.p, s.st->sql.n, lint_name, &s);
        if (s.st->kind == PAWL_STMT_READ && selects_star(s.st))
            pw_lint_add(li, PW_LINT_WARNING, "sql.star", "statement '%s' selects *: name the columns, the plugin counts them",
                        s.st->name.p);
        if (varies(s.st))
            pw_lint_add(
                li, PW_LINT_NOTE, "sql.varies",
                "statement '%s' asks PostgreSQL for the time, a random value or a sequence: it is another one when the message is tried again",
                s.st->name.p);
    }
    for (uint32_t i = 0; i < pl->n_options; i++)
        if (!pl->options[i].doc.n)
            pw_lint_add(li, PW_LINT_WARNING, "option.doc",
                        "option '%s' has no doc: it is what an operator reads when it is missing", pl->options[i].path.p);
    if (saves != loads)
        pw_lint_add(li, PW_LINT_WARNING, "state.half", "has %s() without %s(): a cache is handed over by both, or not",
                    saves ? "save" : "load", saves ? "load" : "save");
    else if (saves && pl->desc->state_version == 0)
        pw_lint_add(li, PW_LINT_WARNING, "state.version", "save() and load() are never called: state_version is 0");
    if (pl->n_migrations && pl->desc->db_version_min == 0)
        pw_lint_add(li, PW_LINT_NOTE, "schema.min", "db_version_min is 0: the plugin says that it runs on an empty schema");
}
