/* Every type of the ABI behind an exported name, for abidiff. */
#include <pawl/middleware.h>
#include <pawl/plugin.h>

#define EXPORT __attribute__((visibility("default")))

EXPORT const pawl_plugin *types_plugin(const pawl_plugin *p);
EXPORT const pawl_plugin *types_plugin(const pawl_plugin *p)
{
    return p;
}

EXPORT void types_str(const pawl_str *p);
EXPORT void types_str(const pawl_str *p)
{
    (void)p;
}

EXPORT void types_bytes(const pawl_bytes *p);
EXPORT void types_bytes(const pawl_bytes *p)
{
    (void)p;
}

EXPORT void types_span(const pawl_span *p);
EXPORT void types_span(const pawl_span *p)
{
    (void)p;
}

EXPORT void types_value(const pawl_value *p);
EXPORT void types_value(const pawl_value *p)
{
    (void)p;
}

EXPORT void types_header(const pawl_header *p);
EXPORT void types_header(const pawl_header *p)
{
    (void)p;
}

EXPORT void types_msg(const pawl_msg *p);
EXPORT void types_msg(const pawl_msg *p)
{
    (void)p;
}

EXPORT void types_out(const pawl_out *p);
EXPORT void types_out(const pawl_out *p)
{
    (void)p;
}

EXPORT void types_port(const pawl_port *p);
EXPORT void types_port(const pawl_port *p)
{
    (void)p;
}

EXPORT void types_option(const pawl_option *p);
EXPORT void types_option(const pawl_option *p)
{
    (void)p;
}

EXPORT void types_column(const pawl_column *p);
EXPORT void types_column(const pawl_column *p)
{
    (void)p;
}

EXPORT void types_stmt(const pawl_stmt *p);
EXPORT void types_stmt(const pawl_stmt *p)
{
    (void)p;
}

EXPORT void types_migration(const pawl_migration *p);
EXPORT void types_migration(const pawl_migration *p)
{
    (void)p;
}

EXPORT void types_metric(const pawl_metric *p);
EXPORT void types_metric(const pawl_metric *p)
{
    (void)p;
}

EXPORT void types_ctx(const pawl_ctx *p);
EXPORT void types_ctx(const pawl_ctx *p)
{
    (void)p;
}

EXPORT void types_sink(const pawl_sink *p);
EXPORT void types_sink(const pawl_sink *p)
{
    (void)p;
}

EXPORT void types_host(const pawl_host *p);
EXPORT void types_host(const pawl_host *p)
{
    (void)p;
}

EXPORT void types_middleware(const pawl_middleware *p);
EXPORT void types_middleware(const pawl_middleware *p)
{
    (void)p;
}
