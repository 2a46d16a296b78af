/* Where every field is, and what every constant is worth, one a line. Built with the current header and with each frozen one: what an old
 * one has, the current one must have at the same place. A new field gets a line here when its header is frozen. */
#include <pawl/middleware.h>
#include <pawl/plugin.h>
#include <stdio.h>

#define SIZE(type) (void)printf("size %s %zu\n", #type, sizeof(type))
#define FIELD(type, field) \
    (void)printf("%s.%s at %zu, %zu bytes\n", #type, #field, offsetof(type, field), sizeof(((type *)0)->field))
#define CONSTANT(name) (void)printf("%s %lld\n", #name, (long long)(name))

static void structs(void)
{
    SIZE(pawl_str);
    FIELD(pawl_str, p);
    FIELD(pawl_str, n);
    SIZE(pawl_bytes);
    FIELD(pawl_bytes, p);
    FIELD(pawl_bytes, n);
    SIZE(pawl_span);
    FIELD(pawl_span, items);
    FIELD(pawl_span, count);
    FIELD(pawl_span, stride);
    SIZE(pawl_value);
    FIELD(pawl_value, type);
    FIELD(pawl_value, reserved);
    FIELD(pawl_value, i);
    FIELD(pawl_value, f);
    FIELD(pawl_value, b);
    SIZE(pawl_header);
    FIELD(pawl_header, name);
    FIELD(pawl_header, value);
    SIZE(pawl_msg);
    FIELD(pawl_msg, size);
    FIELD(pawl_msg, input);
    FIELD(pawl_msg, topic);
    FIELD(pawl_msg, partition);
    FIELD(pawl_msg, attempt);
    FIELD(pawl_msg, offset);
    FIELD(pawl_msg, timestamp_ms);
    FIELD(pawl_msg, timestamp_type);
    FIELD(pawl_msg, flags);
    FIELD(pawl_msg, key);
    FIELD(pawl_msg, value);
    FIELD(pawl_msg, headers);
    FIELD(pawl_msg, n_headers);
    SIZE(pawl_out);
    FIELD(pawl_out, size);
    FIELD(pawl_out, output);
    FIELD(pawl_out, key);
    FIELD(pawl_out, value);
    FIELD(pawl_out, headers);
    FIELD(pawl_out, n_headers);
    SIZE(pawl_port);
    FIELD(pawl_port, name);
    FIELD(pawl_port, content_type);
    FIELD(pawl_port, doc);
    FIELD(pawl_port, flags);
    FIELD(pawl_port, reserved);
    SIZE(pawl_option);
    FIELD(pawl_option, path);
    FIELD(pawl_option, type);
    FIELD(pawl_option, flags);
    FIELD(pawl_option, dflt);
    FIELD(pawl_option, min);
    FIELD(pawl_option, max);
    FIELD(pawl_option, doc);
    SIZE(pawl_column);
    FIELD(pawl_column, name);
    FIELD(pawl_column, type);
    FIELD(pawl_column, flags);
    SIZE(pawl_stmt);
    FIELD(pawl_stmt, name);
    FIELD(pawl_stmt, sql);
    FIELD(pawl_stmt, columns);
    FIELD(pawl_stmt, entity);
    FIELD(pawl_stmt, kind);
    FIELD(pawl_stmt, entity_column);
    FIELD(pawl_stmt, expect_rows);
    FIELD(pawl_stmt, on_mismatch);
    FIELD(pawl_stmt, flags);
    FIELD(pawl_stmt, reserved);
    SIZE(pawl_migration);
    FIELD(pawl_migration, version);
    FIELD(pawl_migration, flags);
    FIELD(pawl_migration, name);
    FIELD(pawl_migration, up_sql);
    FIELD(pawl_migration, down_sql);
    SIZE(pawl_metric);
    FIELD(pawl_metric, name);
    FIELD(pawl_metric, unit);
    FIELD(pawl_metric, doc);
    FIELD(pawl_metric, kind);
    FIELD(pawl_metric, reserved);
    SIZE(pawl_ctx);
    FIELD(pawl_ctx, host);
    SIZE(pawl_sink);
    FIELD(pawl_sink, impl);
    FIELD(pawl_sink, put);
    SIZE(pawl_plugin);
    FIELD(pawl_plugin, size);
    FIELD(pawl_plugin, abi_major);
    FIELD(pawl_plugin, abi_minor);
    FIELD(pawl_plugin, flags);
    FIELD(pawl_plugin, state_version);
    FIELD(pawl_plugin, id);
    FIELD(pawl_plugin, version);
    FIELD(pawl_plugin, doc);
    FIELD(pawl_plugin, inputs);
    FIELD(pawl_plugin, outputs);
    FIELD(pawl_plugin, options);
    FIELD(pawl_plugin, statements);
    FIELD(pawl_plugin, migrations);
    FIELD(pawl_plugin, metrics);
    FIELD(pawl_plugin, db_schema);
    FIELD(pawl_plugin, db_version);
    FIELD(pawl_plugin, db_version_min);
    FIELD(pawl_plugin, create);
    FIELD(pawl_plugin, destroy);
    FIELD(pawl_plugin, plan);
    FIELD(pawl_plugin, handle);
    FIELD(pawl_plugin, save);
    FIELD(pawl_plugin, load);
    FIELD(pawl_plugin, extension);
    SIZE(pawl_host);
    FIELD(pawl_host, size);
    FIELD(pawl_host, abi_major);
    FIELD(pawl_host, abi_minor);
    FIELD(pawl_host, impl);
    FIELD(pawl_host, log_enabled);
    FIELD(pawl_host, log);
    FIELD(pawl_host, metric);
    FIELD(pawl_host, extension);
    FIELD(pawl_host, config);
    FIELD(pawl_host, config_len);
    FIELD(pawl_host, alloc);
    FIELD(pawl_host, now_us);
    FIELD(pawl_host, stable_id);
    FIELD(pawl_host, fail);
    FIELD(pawl_host, read);
    FIELD(pawl_host, rows);
    FIELD(pawl_host, cell);
    FIELD(pawl_host, write);
    FIELD(pawl_host, emit);
}

static void middleware(void)
{
    SIZE(pawl_headers);
    FIELD(pawl_headers, items);
    FIELD(pawl_headers, n);
    SIZE(pawl_outcome);
    FIELD(pawl_outcome, size);
    FIELD(pawl_outcome, verdict);
    FIELD(pawl_outcome, flags);
    FIELD(pawl_outcome, writes);
    FIELD(pawl_outcome, emits);
    FIELD(pawl_outcome, reserved);
    FIELD(pawl_outcome, code);
    FIELD(pawl_outcome, took_us);
    SIZE(pawl_middleware);
    FIELD(pawl_middleware, size);
    FIELD(pawl_middleware, abi_major);
    FIELD(pawl_middleware, abi_minor);
    FIELD(pawl_middleware, flags);
    FIELD(pawl_middleware, reserved);
    FIELD(pawl_middleware, id);
    FIELD(pawl_middleware, version);
    FIELD(pawl_middleware, doc);
    FIELD(pawl_middleware, options);
    FIELD(pawl_middleware, create);
    FIELD(pawl_middleware, destroy);
    FIELD(pawl_middleware, before);
    FIELD(pawl_middleware, after);
    FIELD(pawl_middleware, done);
    CONSTANT(PAWL_MW_KEY);
    CONSTANT(PAWL_MW_VALUE);
    CONSTANT(PAWL_MW_TIMING);
    CONSTANT(PAWL_DONE_DUPLICATE);
    CONSTANT(PAWL_DONE_PARKED);
    CONSTANT(PAWL_DONE_FORCED);
    CONSTANT(PAWL_DONE_MW);
}

int main(void)
{
    structs();
    middleware();
    CONSTANT(PAWL_ABI_MAJOR);
    CONSTANT(PAWL_OK);
    CONSTANT(PAWL_SKIP);
    CONSTANT(PAWL_RETRY);
    CONSTANT(PAWL_REJECT);
    CONSTANT(PAWL_FATAL);
    CONSTANT(PAWL_MORE);
    CONSTANT(PAWL_V_NULL);
    CONSTANT(PAWL_V_BOOL);
    CONSTANT(PAWL_V_I64);
    CONSTANT(PAWL_V_F64);
    CONSTANT(PAWL_V_NUMERIC);
    CONSTANT(PAWL_V_TEXT);
    CONSTANT(PAWL_V_BYTES);
    CONSTANT(PAWL_V_TIME_US);
    CONSTANT(PAWL_V_UUID);
    CONSTANT(PAWL_V_JSON);
    CONSTANT(PAWL_V_DATE);
    CONSTANT(PAWL_OPT_REQUIRED);
    CONSTANT(PAWL_OPT_SECRET);
    CONSTANT(PAWL_STMT_READ);
    CONSTANT(PAWL_STMT_WRITE);
    CONSTANT(PAWL_STMT_LAST_WINS);
    CONSTANT(PAWL_MIG_NO_TX);
    CONSTANT(PAWL_METRIC_COUNTER);
    CONSTANT(PAWL_METRIC_GAUGE);
    CONSTANT(PAWL_METRIC_HISTOGRAM);
    CONSTANT(PAWL_LOG_DEBUG);
    CONSTANT(PAWL_LOG_INFO);
    CONSTANT(PAWL_LOG_WARN);
    CONSTANT(PAWL_LOG_ERROR);
    CONSTANT(PAWL_SLOTS);
    return 0;
}
