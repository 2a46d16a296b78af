/* option_path: the path of an option or a setting, in parts: "tariff.territory.[].factor". Private to the room. */
#ifndef PW_PLUGIN_OPTION_PATH_H
#define PW_PLUGIN_OPTION_PATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PW_OPTION_DEPTH_MAX 16u
#define PW_OPTION_INDEX_MAX 999999u /* far above what fits into the file */

enum pw_option_part_kind {
    PW_PART_NAME = 0, /* factor */
    PW_PART_INDEX,    /* [3] */
    PW_PART_ANY,      /* [], in declarations only */
};

struct pw_option_part {
    enum pw_option_part_kind kind;
    uint32_t                 index;
    const char              *name; /* into the text that was parsed */
    size_t                   n;
};

struct pw_option_path {
    struct pw_option_part part[PW_OPTION_DEPTH_MAX];
    size_t                n;
};

enum pw_paths_relation { PW_PATHS_APART = 0, PW_PATHS_SAME, PW_PATHS_NESTED };

/* -1 if it is none. "[name]" is read as name. */
int  pw_option_path_parse(const char *p, size_t n, struct pw_option_path *ret);
bool pw_option_part_matches(const struct pw_option_part *declared, const struct pw_option_part *actual);
/* Of two declared paths. */
enum pw_paths_relation pw_option_path_relation(const struct pw_option_path *a, const struct pw_option_path *b);

#endif
