/* page: the files of the web page (runtime/web), which are in the program. */
#ifndef PW_SUPERVISOR_PAGE_H
#define PW_SUPERVISOR_PAGE_H

#include <stddef.h>

struct pw_page_file {
    const char          *path, *type;
    const unsigned char *bytes;
    const size_t        *n;
};

const struct pw_page_file *pw_page_find(const char *path); /* NULL: there is none */

#define PW_PAGE_FILES(X)                                     \
    X(index_html, "/", "text/html; charset=utf-8")           \
    X(page_css, "/page.css", "text/css; charset=utf-8")      \
    X(page_js, "/page.js", "text/javascript; charset=utf-8") \
    X(icon_svg, "/icon.svg", "image/svg+xml")
#define X(name, path, type)                      \
    extern const unsigned char pw_page_##name[]; \
    extern const size_t        pw_page_##name##_n;
PW_PAGE_FILES(X)
#undef X

#endif
