/* pawl plugin new: a folder that builds, tests and runs as it is, from the templates of the SDK. */
#include "cli/cli.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_MAX_BYTES 40u
#define DEPTH_MAX      8
#define FILE_BYTES_MAX ((size_t)1 << 20)

struct word {
    const char *from, *to;
};

struct maker {
    struct pw_arena *ar;
    const char      *templates, *to;
    struct word      words[12];
    size_t           words_n, files;
};

/* ---- where the templates are ---- */

static bool is_folder(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* Of the installation, or of the source tree: template/ and the crate for Rust. */
static int find_templates(struct maker *mk, const char **ret_rust)
{
    const char *share = getenv("PAWL_SHARE");
    char        self[PATH_MAX], real[PATH_MAX];
    ssize_t     n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    char       *slash;

    if (n < 0)
        return pw_cli_fail(-1, "plugin new: cannot find this program: %s", strerror(errno));
    self[n]       = 0;
    slash         = strrchr(self, '/');
    *slash        = 0;
    mk->templates = share && *share ? pw_arena_printf(mk->ar, "%s/template", share) :
                                      pw_arena_printf(mk->ar, "%s/../share/pawl/template", self);
    *ret_rust     = pw_arena_printf(mk->ar, "%s/../rust", mk->templates);
    if (!is_folder(mk->templates) && !(share && *share)) {
        mk->templates = PW_SHARE_DIR "/plugin-sdk/template";
        *ret_rust     = PW_SHARE_DIR "/plugin-sdk/bindings/rust";
    }
    if (!is_folder(mk->templates))
        return pw_cli_fail(-1, "plugin new: there are no templates at %s: install the package pawl-dev", mk->templates);
    if (realpath(*ret_rust, real))
        *ret_rust = pw_arena_strdup(mk->ar, real);
    return 0;
}

/* ---- one file ---- */

/* Every @word@ is replaced; others stay. */
static void replace(const struct maker *mk, const char *p, size_t n, struct pw_buf *out)
{
    for (size_t i = 0; i < n;) {
        size_t k = 0, len = 0;

        for (; p[i] == '@' && k < mk->words_n; k++) {
            len = strlen(mk->words[k].from);
            if (len <= n - i && memcmp(p + i, mk->words[k].from, len) == 0)
                break;
        }
        if (p[i] == '@' && k < mk->words_n) {
            pw_buf_puts(out, mk->words[k].to);
            i += len;
        } else {
            pw_buf_add(out, p + i++, 1);
        }
    }
    pw_buf_puts(out, "");
}

static int read_all(const char *path, struct pw_buf *b)
{
    FILE *f = fopen(path, "re");
    bool  ok;

    if (!f)
        return pw_cli_fail(-1, "plugin new: open %s: %s", path, strerror(errno));
    for (size_t n = 1; n > 0 && b->n < FILE_BYTES_MAX; b->n += n)
        n = fread(pw_buf_room(b, 4096), 1, 4096, f);
    ok = !ferror(f);
    (void)fclose(f); /* only read from */
    return ok ? 0 : pw_cli_fail(-1, "plugin new: %s cannot be read", path);
}

/* A later template overrules an earlier one. */
static int write_all(const char *path, const struct pw_buf *b)
{
    FILE *f = fopen(path, "we");
    bool  ok;

    if (!f)
        return pw_cli_fail(-1, "plugin new: open %s: %s", path, strerror(errno));
    ok = b->n == 0 || fwrite(b->p, 1, b->n, f) == b->n;
    ok = fclose(f) == 0 && ok;
    return ok ? 0 : pw_cli_fail(-1, "plugin new: write %s: %s", path, strerror(errno));
}

static int copy_file(struct maker *mk, const char *from, const char *to)
{
    struct pw_buf in = { 0 }, out = { 0 };
    int           rc = read_all(from, &in);

    if (rc == 0) {
        replace(mk, in.n ? in.p : "", in.n, &out);
        rc = write_all(to, &out);
    }
    mk->files++;
    pw_buf_done(&in);
    pw_buf_done(&out);
    return rc;
}

/* ---- folders ---- */

static int make_folder(const char *path)
{
    return mkdir(path, 0777) == 0 || errno == EEXIST ? 0 : pw_cli_fail(-1, "plugin new: make %s: %s", path, strerror(errno));
}

static int copy_tree(struct maker *mk, const char *from, const char *to, int depth)
{
    DIR           *dir = opendir(from);
    struct dirent *en;
    int            rc = make_folder(to);

    if (!dir)
        return errno == ENOENT ? 0 : pw_cli_fail(-1, "plugin new: open %s: %s", from, strerror(errno)); /* nothing of its own */
    while (rc == 0 && (en = readdir(dir))) {
        struct pw_buf name = { 0 };
        const char   *source, *target;

        if (strcmp(en->d_name, ".") == 0 || strcmp(en->d_name, "..") == 0)
            continue;
        replace(mk, en->d_name, strlen(en->d_name), &name);
        source = pw_arena_printf(mk->ar, "%s/%s", from, en->d_name);
        target = pw_arena_printf(mk->ar, "%s/%s", to, name.p);
        pw_buf_done(&name);
        if (is_folder(source))
            rc = depth < DEPTH_MAX ? copy_tree(mk, source, target, depth + 1) : -1;
        else
            rc = copy_file(mk, source, target);
    }
    (void)closedir(dir); /* only read from */
    return rc;
}

/* ---- words ---- */

static void add_word(struct maker *mk, const char *from, const char *to)
{
    PW_ASSERT(mk->words_n < sizeof(mk->words) / sizeof(mk->words[0]));
    mk->words[mk->words_n++] = (struct word){ from, to };
}

/* my_orders as MyOrders, and as MY_ORDERS. */
static char *camel(struct pw_arena *ar, const char *name)
{
    char *to = pw_arena_strdup(ar, name), *at = to;
    bool  up = true;

    for (; *name; name++) {
        if (*name != '_')
            *at++ = (char)(up && *name >= 'a' && *name <= 'z' ? *name - 'a' + 'A' : *name);
        up = *name == '_';
    }
    *at = 0;
    return to;
}

/* my_orders as my-orders, which is how a pipeline may be called. */
static char *dashed(struct pw_arena *ar, const char *name)
{
    char *to = pw_arena_strdup(ar, name);

    for (char *at = to; *at; at++)
        if (*at == '_')
            *at = '-';
    return to;
}

static char *upper(struct pw_arena *ar, const char *name)
{
    char *to = pw_arena_strdup(ar, name);

    for (char *at = to; *at; at++)
        if (*at >= 'a' && *at <= 'z')
            *at = (char)(*at - 'a' + 'A');
    return to;
}

/* It becomes a folder, a library, an SQL schema and a Protobuf package. */
static int check_name(const char *name)
{
    size_t n  = strlen(name);
    bool   ok = n > 0 && n <= NAME_MAX_BYTES && name[0] >= 'a' && name[0] <= 'z' && name[n - 1] != '_' && !strstr(name, "__");

    for (size_t i = 0; i < n; i++)
        ok = ok && ((name[i] >= 'a' && name[i] <= 'z') || (name[i] >= '0' && name[i] <= '9') || name[i] == '_');
    if (!ok)
        return pw_cli_fail(
            -1, "plugin new: '%s' must be 1 to %u lower-case letters, digits and single '_', beginning with a letter", name,
            NAME_MAX_BYTES);
    if (strcmp(name, "pawl") == 0 || strcmp(name, "public") == 0 || strncmp(name, "pg_", 3) == 0 ||
        strcmp(name, "information_schema") == 0 || strcmp(name, "test") == 0)
        return pw_cli_fail(-1, "plugin new: '%s' is taken; it also names the plugin's schema and library", name);
    return 0;
}

static bool one_of(const char *word, const char *const *words)
{
    for (; *words; words++)
        if (strcmp(word, *words) == 0)
            return true;
    return false;
}

static int make(struct maker *mk, const char *name, const char *lang, const char *payload)
{
    const char *overlays[] = { "common", payload, lang, pw_arena_printf(mk->ar, "%s-%s", lang, payload) }, *rust = NULL;
    bool        cargo = strcmp(lang, "rust") == 0;

    if (find_templates(mk, &rust) < 0)
        return -1;
    add_word(mk, "@name@", name);
    add_word(mk, "@Name@", camel(mk->ar, name));
    add_word(mk, "@pipeline@", dashed(mk->ar, name));
    add_word(mk, "@NAME@", upper(mk->ar, name));
    add_word(mk, "@rust@", rust);
    add_word(mk, "@dir@", cargo ? "target/release" : "build");
    add_word(mk, "@so@", cargo ? pw_arena_printf(mk->ar, "lib%s.so", name) : pw_arena_printf(mk->ar, "%s.so", name));
    add_word(mk, "@content_type@", strcmp(payload, "json") == 0 ? "application/json" : "application/protobuf");
    add_word(mk, "@build@",
             cargo ? "    cargo build --release" :
                     "    cmake -S . -B build\n    cmake --build build\n    ctest --test-dir build --output-on-failure");
    if (mkdir(mk->to, 0777) < 0)
        return pw_cli_fail(-1, "plugin new: make %s: %s", mk->to, strerror(errno));
    for (size_t i = 0; i < sizeof(overlays) / sizeof(overlays[0]); i++)
        if (copy_tree(mk, pw_arena_printf(mk->ar, "%s/%s", mk->templates, overlays[i]), mk->to, 0) < 0)
            return -1;
    return 0;
}

int pw_cmd_plugin_new(const struct pw_cli_args *args)
{
    static const char *const langs[] = { "c", "c++", "rust", NULL }, *const payloads[] = { "protobuf", "json", NULL };
    const char  *lang = pw_cli_opt(args, "--lang"), *payload = pw_cli_opt(args, "--payload"), *slash = strrchr(args->arg, '/');
    const char  *name = slash ? slash + 1 : args->arg;
    struct maker mk   = { .ar = pw_arena_new(64 << 10), .to = args->arg };
    int          code = PW_CLI_EXIT_USAGE;

    lang    = lang ? lang : "c";
    payload = payload ? payload : "protobuf";
    if (!one_of(lang, langs))
        (void)pw_cli_fail(0, "plugin new: --lang is '%s'; it must be c, c++ or rust", lang);
    else if (!one_of(payload, payloads))
        (void)pw_cli_fail(0, "plugin new: --payload is '%s'; it must be protobuf or json", payload);
    else if (check_name(name) == 0)
        code = make(&mk, name, lang, payload) == 0 ? 0 : PW_CLI_EXIT_FAILED;
    if (code == 0)
        (void)printf("%s: %zu files; begin with %s/README.md\n", args->arg, mk.files, args->arg);
    pw_arena_free(mk.ar);
    return code;
}
