#include "supervisor/page.h"

#include <string.h>

const struct pw_page_file *pw_page_find(const char *path)
{
    static const struct pw_page_file files[] = {
#define X(name, path, type) { path, type, pw_page_##name, &pw_page_##name##_n },
        PW_PAGE_FILES(X)
#undef X
    };

    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
        if (strcmp(files[i].path, path) == 0)
            return &files[i];
    return NULL;
}
