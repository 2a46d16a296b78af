#include "kafka/props.h"
#include "topology/keys.h"
#include "topology/topology.h"
#include "topology/value.h"
#include "topology/yaml.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- JSON Schema ---- */

/* ${...} may stand for any value, so every pattern and type has it as the other way. */
#define ANY_VALUE "\\$\\{"

struct json {
    struct pw_buf *out;
    unsigned       depth;
    bool           first; /* nothing stands in the innermost object or list yet */
};

static void put_json(struct json *js, const char *s)
{
    pw_buf_json(js->out, s, strlen(s));
}

/* A new line for the next member; name NULL: an element of a list. */
static void member(struct json *js, const char *name)
{
    pw_buf_puts(js->out, js->first ? "\n" : ",\n");
    for (unsigned i = 0; i < js->depth; i++)
        pw_buf_puts(js->out, "  ");
    js->first = false;
    if (name) {
        put_json(js, name);
        pw_buf_puts(js->out, ": ");
    }
}

static void begin(struct json *js, const char *name, const char *bracket)
{
    if (js->depth > 0)
        member(js, name);
    pw_buf_puts(js->out, bracket);
    js->depth++;
    js->first = true;
}

static void end(struct json *js, const char *bracket)
{
    js->depth--;
    if (!js->first)
        pw_buf_puts(js->out, "\n");
    for (unsigned i = 0; i < js->depth && !js->first; i++)
        pw_buf_puts(js->out, "  ");
    pw_buf_puts(js->out, bracket);
    js->first = false;
}

static void text(struct json *js, const char *name, const char *value)
{
    member(js, name);
    put_json(js, value);
}

static void number(struct json *js, const char *name, int64_t value)
{
    member(js, name);
    pw_buf_printf(js->out, "%" PRId64, value);
}

static void pattern(struct json *js, const char *whole)
{
    char buf[160];

    (void)snprintf(buf, sizeof(buf), "^(%s)$|%s", whole, ANY_VALUE);
    text(js, "type", "string");
    text(js, "pattern", buf);
}

static void string_or_value(struct json *js)
{
    begin(js, NULL, "{");
    text(js, "type", "string");
    text(js, "pattern", ANY_VALUE);
    end(js, "}");
}

static void bool_schema(struct json *js)
{
    begin(js, "anyOf", "[");
    begin(js, NULL, "{");
    text(js, "type", "boolean");
    end(js, "}");
    string_or_value(js);
    end(js, "]");
}

static void int_schema(struct json *js, int64_t min, int64_t max)
{
    begin(js, "anyOf", "[");
    begin(js, NULL, "{");
    text(js, "type", "integer");
    number(js, "minimum", min);
    number(js, "maximum", max);
    end(js, "}");
    string_or_value(js);
    end(js, "]");
}

/* In a list of choices, booleans and numbers are what YAML makes of them. */
static void choice_schema(struct json *js, const char *choices)
{
    begin(js, "anyOf", "[");
    begin(js, NULL, "{");
    begin(js, "enum", "[");
    for (const char *c = choices; c;) {
        size_t len = strcspn(c, "|");

        member(js, NULL);
        pw_buf_json(js->out, c, len);
        c = c[len] ? c + len + 1 : NULL;
    }
    end(js, "]");
    end(js, "}");
    string_or_value(js);
    end(js, "]");
}

static void kafka_schema(struct json *js)
{
    size_t                      n;
    const struct pw_kafka_prop *p = pw_kafka_props(&n);

    text(js, "type", "object");
    begin(js, "required", "[");
    for (size_t i = 0; i < n; i++)
        if (p[i].required) {
            member(js, NULL);
            put_json(js, p[i].name);
        }
    end(js, "]");
    begin(js, "properties", "{");
    for (size_t i = 0; i < n; i++) {
        if (p[i].rule != PW_KAFKA_ALLOWED)
            continue;
        begin(js, p[i].name, "{");
        text(js, "description", p[i].doc);
        if (p[i].type == PW_KAFKA_INT) {
            int_schema(js, p[i].min, p[i].max);
        } else if (p[i].type == PW_KAFKA_BOOL) {
            begin(js, "type", "[");
            text(js, NULL, "boolean");
            text(js, NULL, "string");
            end(js, "]");
        } else if (p[i].type == PW_KAFKA_CHOICE) {
            choice_schema(js, p[i].choices);
        } else {
            begin(js, "type", "[");
            text(js, NULL, "string");
            text(js, NULL, "integer");
            text(js, NULL, "boolean");
            end(js, "]");
            number(js, "minLength", 1);
        }
        end(js, "}");
    }
    end(js, "}");
    member(js, "additionalProperties");
    pw_buf_puts(js->out, "false");
}

static void key_schema(struct json *js, const struct pw_key *k);

static void map_schema(struct json *js, const char *parent)
{
    size_t               n;
    const struct pw_key *keys = pw_keys(&n);
    const char          *name;

    text(js, "type", "object");
    begin(js, "required", "[");
    for (const struct pw_key *k = keys; k < keys + n; k++)
        if (k->required && (name = pw_key_name_in(k, parent)))
            text(js, NULL, name);
    end(js, "]");
    begin(js, "properties", "{");
    for (const struct pw_key *k = keys; k < keys + n; k++) {
        if (!(name = pw_key_name_in(k, parent)))
            continue;
        begin(js, name, "{");
        key_schema(js, k);
        end(js, "}");
    }
    end(js, "}");
    member(js, "additionalProperties");
    pw_buf_puts(js->out, "false");
}

/* name -> value, with free names of a pattern. */
static void free_schema(struct json *js, const struct pw_key *k, const char *name_pattern)
{
    char buf[80];

    text(js, "type", "object");
    if (k->min > 0)
        number(js, "minProperties", k->min);
    number(js, "maxProperties", k->max);
    (void)snprintf(buf, sizeof(buf), "^%s$", name_pattern);
    begin(js, "propertyNames", "{");
    text(js, "pattern", buf);
    end(js, "}");
    begin(js, "additionalProperties", "{");
    if (k->type == PW_KEY_PIPELINES)
        map_schema(js, "pipelines.*");
    else
        pattern(js, PW_KEYS_TOPIC_PATTERN);
    end(js, "}");
}

static void topics_schema(struct json *js, const struct pw_key *k)
{
    text(js, "type", "array");
    number(js, "minItems", k->min);
    number(js, "maxItems", k->max);
    member(js, "uniqueItems");
    pw_buf_puts(js->out, "true");
    begin(js, "items", "{");
    pattern(js, PW_KEYS_TOPIC_PATTERN);
    end(js, "}");
}

static void layers_schema(struct json *js, const struct pw_key *k)
{
    text(js, "type", "array");
    number(js, "maxItems", k->max);
    begin(js, "items", "{");
    begin(js, "anyOf", "[");
    begin(js, NULL, "{");
    choice_schema(js, k->choices);
    end(js, "}");
    begin(js, NULL, "{");
    map_schema(js, k->path);
    end(js, "}");
    end(js, "]");
    end(js, "}");
}

static void default_schema(struct json *js, const struct pw_key *k)
{
    if (!k->dflt)
        return;
    if (k->type == PW_KEY_INT || k->type == PW_KEY_BOOL) {
        member(js, "default");
        pw_buf_puts(js->out, k->dflt);
    } else {
        text(js, "default", k->dflt);
    }
}

static void key_schema(struct json *js, const struct pw_key *k)
{
    char        buf[160], doc[400];
    const char *expect = pw_key_expect(k, buf, sizeof(buf));

    (void)snprintf(doc, sizeof(doc), "%s Takes %s.", k->doc, expect);
    text(js, "description", doc);
    default_schema(js, k);
    switch (k->type) {
    case PW_KEY_MAP: map_schema(js, k->path); return;
    case PW_KEY_PIPELINES: free_schema(js, k, PW_KEYS_NAME_PATTERN); return;
    case PW_KEY_NAMED:
    case PW_KEY_OUTPUTS: free_schema(js, k, PW_KEYS_PORT_PATTERN); return;
    case PW_KEY_KAFKA: kafka_schema(js); return;
    case PW_KEY_TOPICS: topics_schema(js, k); return;
    case PW_KEY_LAYERS: layers_schema(js, k); return;
    case PW_KEY_INT: int_schema(js, k->min, k->max); return;
    case PW_KEY_BOOL: bool_schema(js); return;
    case PW_KEY_CHOICE: choice_schema(js, k->choices); return;
    case PW_KEY_DURATION: pattern(js, "(0|[1-9][0-9]*)(ms|s|m|h|d)"); return;
    case PW_KEY_SIZE: pattern(js, "(0|[1-9][0-9]*)(B|KiB|MiB|GiB)"); return;
    case PW_KEY_PERCENT: pattern(js, "(0|[1-9][0-9]*)(\\.[0-9]{1,3})?%"); return;
    case PW_KEY_NAME: pattern(js, PW_KEYS_NAME_PATTERN); return;
    case PW_KEY_TOPIC:
    case PW_KEY_GROUP: pattern(js, PW_KEYS_TOPIC_PATTERN); return;
    case PW_KEY_SHA256: pattern(js, "[0-9a-f]{64}"); return;
    case PW_KEY_LISTEN: pattern(js, ".+:[0-9]{1,5}"); return;
    case PW_KEY_PORTS: pattern(js, "[1-9][0-9]{0,4}(-[1-9][0-9]{0,4})?(,[1-9][0-9]{0,4}(-[1-9][0-9]{0,4})?)*"); return;
    case PW_KEY_FOLDER: pattern(js, "/.*"); return;
    case PW_KEY_TEXT:
    case PW_KEY_BESIDE:
        text(js, "type", "string");
        number(js, "minLength", 1);
        return;
    }
}

void pw_topology_schema(struct pw_buf *out)
{
    struct json js = { .out = out };

    begin(&js, NULL, "{");
    text(&js, "$schema", "https://json-schema.org/draft/2020-12/schema");
    text(&js, "title", "pawl topology, version 1");
    map_schema(&js, "");
    end(&js, "}");
    pw_buf_puts(out, "\n");
}

/* ---- manual ---- */

static void manual_intro(struct pw_buf *out)
{
    pw_buf_puts(out, "# Topology reference\n\n"
                     "<!-- Made from the key table by the program itself; a test compares. Do not edit. -->\n\n"
                     "A topology is one YAML file that says what `pawl run` runs. `pawl validate FILE` checks it and prints "
                     "all errors at once;\n`pawl schema` prints the JSON Schema for editors.\n\n"
                     "## The file\n\n");
    pw_buf_printf(out,
                  "- UTF-8, one document, at most %d bytes, lines of at most %d bytes.\n"
                  "- Every key must be known and may stand once. Tags (`!!str`) and merge keys (`<<`) are refused.\n"
                  "- Anchors and aliases may be used. The file may have %d keys and values, aliases counted as what they "
                  "stand for, nested\n  %d deep.\n"
                  "- Text that looks like a number, `true`, `false` or `null` needs quotes. Numbers must have none.\n\n",
                  PW_YAML_MAX_BYTES, PW_YAML_MAX_LINE, PW_YAML_MAX_NODES, PW_YAML_MAX_DEPTH);
    pw_buf_printf(out,
                  "## Values\n\n"
                  "| Written | Means |\n|---|---|\n"
                  "| `100ms` `10s` `5m` `2h` `7d` | a duration; the unit is needed |\n"
                  "| `512B` `64KiB` `8MiB` `1GiB` | a size; the unit is needed |\n"
                  "| `${NAME}` | the environment variable; an error if it is not set |\n"
                  "| `${NAME:-default}` | the same, or the default if it is not set or empty |\n"
                  "| `${file:/path}` | what the file contains, without the line break at its end |\n"
                  "| `$${` | the characters `${` |\n\n"
                  "In a flow mapping (`{ key: value }`) a value with `${...}` needs quotes. Keys are taken as they are, and "
                  "what a `${...}` gives\nis not looked at for more of them.\n\n"
                  "A file named by `${file:...}` is a secret: its contents are never shown. It must be a regular file with an "
                  "absolute path and\nat most %d bytes of text. It must belong to root or to the user who runs pawl. Others "
                  "must have no rights on it, and a\ngroup neither, except that root may let a group read (mode 0440). So: "
                  "`chmod 0400 FILE`; in Kubernetes, `defaultMode: 0400`.\n"
                  "Passwords that are written into the topology itself are hidden in messages, but keep them out of it.\n\n",
                  PW_VALUE_MAX_BYTES);
}

static void manual_default(struct pw_buf *out, const struct pw_key *k)
{
    if (k->required)
        pw_buf_puts(out, "required");
    else if (k->dflt)
        pw_buf_printf(out, "`%s`", k->dflt);
    else
        pw_buf_puts(out, k->dflt_text ? k->dflt_text : "");
}

static void manual_table(struct pw_buf *out, const char *parent)
{
    size_t               n;
    const struct pw_key *keys = pw_keys(&n);
    const char          *name;

    pw_buf_puts(out, "| Key | Takes | Default | |\n|---|---|---|---|\n");
    for (const struct pw_key *k = keys; k < keys + n; k++) {
        char buf[160];

        if (!(name = pw_key_name_in(k, parent)))
            continue;
        pw_buf_printf(out, "| `%s` | %s | ", name, pw_key_expect(k, buf, sizeof(buf)));
        manual_default(out, k);
        pw_buf_printf(out, " | %s%s |\n", k->doc, k->restart ? " A change needs a restart." : "");
    }
    pw_buf_puts(out, "\n");
    for (const struct pw_key *k = keys; k < keys + n; k++) {
        if (!(name = pw_key_name_in(k, parent)) || (k->type != PW_KEY_MAP && k->type != PW_KEY_LAYERS))
            continue;
        pw_buf_printf(out, "### %s%s\n\n%s\n\n", strchr(k->path, '*') ? "pipelines.NAME." : "", name, k->doc);
        manual_table(out, k->path);
    }
}

static void manual_kafka_type(struct pw_buf *out, const struct pw_kafka_prop *p)
{
    if (p->type == PW_KAFKA_INT)
        pw_buf_printf(out, "%" PRId64 " to %" PRId64, p->min, p->max);
    else if (p->type == PW_KAFKA_BOOL)
        pw_buf_puts(out, "`true` or `false`");
    else if (p->type == PW_KAFKA_SERVERS)
        pw_buf_puts(out, "host:port,...");
    else if (p->type == PW_KAFKA_TEXT)
        pw_buf_puts(out, p->secret ? "text, secret" : "text");
    for (const char *c = p->type == PW_KAFKA_CHOICE ? p->choices : NULL; c;) {
        size_t len = strcspn(c, "|");

        pw_buf_printf(out, "`%.*s`%s", (int)len, c, c[len] ? " " : "");
        c = c[len] ? c + len + 1 : NULL;
    }
}

static void manual_kafka(struct pw_buf *out)
{
    size_t                      n;
    const struct pw_kafka_prop *p = pw_kafka_props(&n);

    pw_buf_printf(
        out,
        "## kafka\n\nlibrdkafka properties by their own names. Only these may be set; `bootstrap.servers` is "
        "required. `heartbeat.interval.ms` must be\nbelow a third of `session.timeout.ms` (when not set: %d and %d).\n\n"
        "| Property | Takes | |\n|---|---|---|\n",
        PW_KAFKA_HEARTBEAT_INTERVAL_MS, PW_KAFKA_SESSION_TIMEOUT_MS);
    for (size_t i = 0; i < n; i++) {
        if (p[i].rule != PW_KAFKA_ALLOWED)
            continue;
        pw_buf_printf(out, "| `%s` | ", p[i].name);
        manual_kafka_type(out, &p[i]);
        pw_buf_printf(out, " | %s |\n", p[i].doc);
    }
    pw_buf_puts(out, "\nThese are refused, and so is every callback (`*_cb`):\n\n| Property | Why |\n|---|---|\n");
    for (size_t i = 0; i < n; i++)
        if (p[i].rule != PW_KAFKA_ALLOWED)
            pw_buf_printf(out, "| `%s` | %s |\n", p[i].name, p[i].doc);
}

void pw_topology_manual(struct pw_buf *out)
{
    manual_intro(out);
    pw_buf_puts(out, "## Top level\n\n");
    manual_table(out, "");
    pw_buf_puts(
        out,
        "## pipelines\n\nUnder `pipelines`, each key is the name of a pipeline: 1 to 63 of a-z, 0-9 and '-', "
        "beginning with a\nletter or digit. Output ports may have '_' too. Topics and groups have 1 to 249 of a-z, A-Z, 0-9, '.', '_' and "
        "'-'.\n\n");
    manual_table(out, "pipelines.*");
    manual_kafka(out);
}
