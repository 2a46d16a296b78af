/* <pawl/plugin.hpp>: plugins in C++17, over <pawl/plugin.h>; nothing in it that plugin.h cannot say.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A plugin is a class. One object is one instance; all of its functions are called by one thread.
 *
 *   class visits {
 *   public:
 *       explicit visits(const pawl::config &config);                             create(); an exception refuses to begin
 *       pawl_rc plan(pawl::context &c, const pawl::message &m) const;            may be left out
 *       pawl_rc handle(pawl::context &c, const pawl::message &m) const;
 *       static constexpr std::uint32_t state_version = 1;                        may be left out with the two below: a cache for
 *       bool save(pawl::sink &to) const;                                         the successor at a reload; false, or an
 *       bool load(std::uint32_t version, std::string_view bytes);                exception: it starts cold
 *   };
 *
 * No exception leaves a plugin: pawl::reject, pawl::retry and pawl::fatal become these verdicts with their code and text; every other one
 * becomes PAWL_FATAL, with the code plugin.exception and what() as the text. The descriptor is constexpr: pawl::describe<visits>(...), then
 * PAWL_PLUGIN(). Compile with -fvisibility=hidden -fno-gnu-unique; pawl_add_plugin() does. */
#ifndef PAWL_PLUGIN_HPP
#define PAWL_PLUGIN_HPP
#include <pawl/plugin.h>

#include <exception>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace pawl {

/* ---- Tables ---- */

/* Of a literal, or of other text that lives as long as the library. */
constexpr pawl_str str(std::string_view s) { return { s.data(), s.size() }; }
constexpr pawl_str none() { return { nullptr, 0 }; }

template <class T, std::size_t N> constexpr pawl_span span(const T (&table)[N])
{
    return { table, static_cast<std::uint32_t>(N), static_cast<std::uint32_t>(sizeof(T)) };
}

constexpr pawl_column column(std::string_view name, std::uint32_t type) { return { str(name), type, 0 }; }
constexpr pawl_port port(std::string_view name, std::string_view content_type, std::string_view doc)
{
    return { str(name), str(content_type), str(doc), 0, 0 };
}
/* With a default; PAWL_OPT_REQUIRED has none, so required() is for these. */
constexpr pawl_option option(std::string_view path, std::uint32_t type, std::string_view dflt, std::string_view doc)
{
    return { str(path), type, 0, str(dflt), none(), none(), str(doc) };
}
constexpr pawl_option required(std::string_view path, std::uint32_t type, std::string_view doc)
{
    return { str(path), type, PAWL_OPT_REQUIRED, none(), none(), none(), str(doc) };
}
constexpr pawl_migration migration(std::uint32_t version, std::string_view name, std::string_view up_sql)
{
    return { version, 0, str(name), str(up_sql), none() };
}

/* entity_column: index into the columns, -1 for the whole entity. */
template <std::size_t N>
constexpr pawl_stmt read(std::string_view name, std::string_view entity, std::int32_t entity_column, const pawl_column (&cols)[N],
                         std::string_view sql)
{
    return { str(name), str(sql), span(cols), str(entity), PAWL_STMT_READ, entity_column, -1, 0, 0, 0 };
}
template <std::size_t N>
constexpr pawl_stmt write(std::string_view name, std::string_view entity, std::int32_t entity_column, const pawl_column (&cols)[N],
                          std::string_view sql)
{
    return { str(name), str(sql), span(cols), str(entity), PAWL_STMT_WRITE, entity_column, -1, PAWL_REJECT, 0, 0 };
}
/* Replaces the whole row of its key: of several rows with one key only the last is sent. */
template <std::size_t N>
constexpr pawl_stmt upsert(std::string_view name, std::string_view entity, std::int32_t entity_column, const pawl_column (&cols)[N],
                           std::string_view sql)
{
    return { str(name), str(sql), span(cols), str(entity), PAWL_STMT_WRITE, entity_column, -1, PAWL_REJECT, PAWL_STMT_LAST_WINS, 0 };
}
/* Must affect exactly one row per row sent, else the message is rejected. */
template <std::size_t N>
constexpr pawl_stmt write_one(std::string_view name, std::string_view entity, std::int32_t entity_column, const pawl_column (&cols)[N],
                              std::string_view sql)
{
    return { str(name), str(sql), span(cols), str(entity), PAWL_STMT_WRITE, entity_column, 1, PAWL_REJECT, 0, 0 };
}

/* ---- Values ---- */

constexpr pawl_bytes bytes(std::string_view s) { return { s.data(), s.size() }; }
constexpr pawl_value null() { return { PAWL_V_NULL, 0, 0, 0, { nullptr, 0 } }; }
constexpr pawl_value boolean(bool x) { return { PAWL_V_BOOL, 0, x ? 1 : 0, 0, { nullptr, 0 } }; }
constexpr pawl_value i64(std::int64_t x) { return { PAWL_V_I64, 0, x, 0, { nullptr, 0 } }; }
constexpr pawl_value f64(double x) { return { PAWL_V_F64, 0, 0, x, { nullptr, 0 } }; }
constexpr pawl_value time_us(std::int64_t us) { return { PAWL_V_TIME_US, 0, us, 0, { nullptr, 0 } }; }
constexpr pawl_value date(std::int64_t days) { return { PAWL_V_DATE, 0, days, 0, { nullptr, 0 } }; }
constexpr pawl_value text(std::string_view s) { return { PAWL_V_TEXT, 0, 0, 0, bytes(s) }; }
constexpr pawl_value numeric(std::string_view s) { return { PAWL_V_NUMERIC, 0, 0, 0, bytes(s) }; }
constexpr pawl_value blob(std::string_view s) { return { PAWL_V_BYTES, 0, 0, 0, bytes(s) }; }
constexpr pawl_value json(std::string_view s) { return { PAWL_V_JSON, 0, 0, 0, bytes(s) }; }
constexpr std::string_view view(pawl_bytes b) { return b.p ? std::string_view(static_cast<const char *>(b.p), b.n) : std::string_view(); }

/* ---- Verdicts by exception ---- */

struct verdict : std::exception {
    pawl_rc     rc;
    std::string code, detail;

    verdict(pawl_rc r, std::string c, std::string d) : rc(r), code(std::move(c)), detail(std::move(d)) {}
    const char *what() const noexcept override { return detail.c_str(); }
};
/* code: stable and dotted, for machines; the text is for people. */
struct reject : verdict { reject(std::string c, std::string d) : verdict(PAWL_REJECT, std::move(c), std::move(d)) {} };
struct retry : verdict { retry(std::string c, std::string d) : verdict(PAWL_RETRY, std::move(c), std::move(d)) {} };
struct fatal : verdict { fatal(std::string c, std::string d) : verdict(PAWL_FATAL, std::move(c), std::move(d)) {} };
/* The runtime has refused a call, and has said why. */
struct misuse : std::exception {
    const char *what() const noexcept override { return "the runtime refused a call"; }
};

/* ---- Calls ---- */

/* Only in the constructor. An option that is absent and has no default is an exception, unless it is asked for by find(). */
class config {
public:
    explicit config(const pawl_host *host) : host_(host) {}
    bool find(const char *path, pawl_value &out) const
    {
        const pawl_rc rc = host_->config(host_, path, &out);

        if (rc != PAWL_OK && rc != PAWL_SKIP)
            throw std::runtime_error(std::string("option '") + path + "' is not declared");
        return rc == PAWL_OK;
    }
    std::int64_t i64(const char *path) const { return get(path).i; }
    double       f64(const char *path) const { return get(path).f; }
    bool         boolean(const char *path) const { return get(path).i != 0; }
    std::string  text(const char *path) const { return std::string(view(get(path).b)); }
    std::int64_t length(const char *path) const { return host_->config_len(host_, path); }
    const pawl_host *host() const { return host_; }

private:
    pawl_value get(const char *path) const
    {
        pawl_value v;

        if (!find(path, v))
            throw std::runtime_error(std::string("option '") + path + "' is not set");
        return v;
    }
    const pawl_host *host_;
};

class message {
public:
    explicit message(const pawl_msg *m) : m_(m) {}
    const pawl_msg &raw() const { return *m_; }
    std::string_view key() const { return view(m_->key); }
    std::string_view value() const { return view(m_->value); }
    bool tombstone() const { return m_->value.p == nullptr; }
    /* The last header of that name; empty if there is none. */
    std::string_view header(std::string_view name) const
    {
        for (std::size_t i = m_->n_headers; i-- > 0;)
            if (std::string_view(m_->headers[i].name.p, m_->headers[i].name.n) == name)
                return view(m_->headers[i].value);
        return {};
    }

private:
    const pawl_msg *m_;
};

class context {
public:
    explicit context(pawl_ctx *c) : c_(c) {}
    pawl_ctx *raw() const { return c_; }
    /* Into the slot of the statement's number, or into another one. */
    void read(std::uint32_t stmt, std::initializer_list<pawl_value> args) { read(stmt, args, stmt); }
    void read(std::uint32_t stmt, std::initializer_list<pawl_value> args, std::uint32_t slot)
    {
        check(c_->host->read(c_, stmt, args.begin(), args.size(), slot));
    }
    /* -1: nothing has been fetched yet */
    std::int64_t rows(std::uint32_t slot) const { return c_->host->rows(c_, slot); }
    pawl_value cell(std::uint32_t slot, std::int64_t row, std::uint32_t col) const
    {
        pawl_value v = null();

        check(c_->host->cell(c_, slot, row, col, &v));
        return v;
    }
    void write(std::uint32_t stmt, std::initializer_list<pawl_value> args) { check(c_->host->write(c_, stmt, args.begin(), args.size())); }
    void emit(std::uint32_t output, std::string_view key, std::string_view value, std::initializer_list<pawl_header> headers = {})
    {
        const pawl_out out = { sizeof(pawl_out), output, bytes(key), bytes(value), headers.begin(), headers.size() };

        check(c_->host->emit(c_, &out));
    }
    std::int64_t now_us() const { return c_->host->now_us(c_); }
    void log(std::int32_t level, std::string_view text) const { c_->host->log(c_->host, c_, level, str(text), nullptr, 0); }

private:
    static void check(pawl_rc rc)
    {
        if (rc != PAWL_OK)
            throw misuse();
    }
    pawl_ctx *c_;
};

/* What save() writes to. Beyond reload.max_state it throws. */
class sink {
public:
    explicit sink(const pawl_sink *s) : s_(s) {}
    void write(std::string_view bytes)
    {
        if (s_->put(s_->impl, bytes.data(), bytes.size()) != PAWL_OK)
            throw misuse();
    }

private:
    const pawl_sink *s_;
};

/* ---- What the runtime calls ---- */

namespace detail {

template <class, class = void> struct has_plan : std::false_type {};
template <class P>
struct has_plan<P, std::void_t<decltype(std::declval<P &>().plan(std::declval<context &>(), std::declval<const message &>()))>> : std::true_type {};

template <class, class = void> struct has_state : std::false_type {};
template <class P> struct has_state<P, std::void_t<decltype(P::state_version)>> : std::true_type {};

inline pawl_rc fail(pawl_ctx *c, pawl_rc rc, std::string_view code, std::string_view text) noexcept
{
    return c->host->fail(c, rc, str(code), str(text));
}

/* Nothing gets out of here. */
template <class F> pawl_rc guarded(pawl_ctx *c, F &&f) noexcept
{
    try {
        return f();
    } catch (const verdict &v) {
        return fail(c, v.rc, v.code, v.detail);
    } catch (const misuse &) {
        return PAWL_FATAL;
    } catch (const std::exception &e) {
        return fail(c, PAWL_FATAL, "plugin.exception", e.what());
    } catch (...) {
        return fail(c, PAWL_FATAL, "plugin.exception", "of an unknown type");
    }
}

template <class P> pawl_rc create(const pawl_host *host, void **inst) noexcept
{
    std::string_view why = "an exception of an unknown type";

    *inst = nullptr;
    try {
        *inst = new P(config(host));
        return PAWL_OK;
    } catch (const std::exception &e) {
        host->log(host, nullptr, PAWL_LOG_ERROR, str(e.what()), nullptr, 0);
        return PAWL_FATAL;
    } catch (...) {
        host->log(host, nullptr, PAWL_LOG_ERROR, str(why), nullptr, 0);
        return PAWL_FATAL;
    }
}

template <class P> void destroy(void *inst) noexcept { delete static_cast<P *>(inst); }

template <class P> pawl_rc plan(void *inst, pawl_ctx *c, const pawl_msg *m) noexcept
{
    return guarded(c, [&] {
        context cx(c);

        return static_cast<P *>(inst)->plan(cx, message(m));
    });
}

template <class P> pawl_rc handle(void *inst, pawl_ctx *c, const pawl_msg *m) noexcept
{
    return guarded(c, [&] {
        context cx(c);

        return static_cast<P *>(inst)->handle(cx, message(m));
    });
}

template <class P> pawl_rc save(void *inst, const pawl_sink *to) noexcept
{
    try {
        sink s(to);

        return static_cast<P *>(inst)->save(s) ? PAWL_OK : PAWL_REJECT;
    } catch (...) {
        return PAWL_FATAL;
    }
}

template <class P> pawl_rc load(void *inst, std::uint32_t version, const void *p, std::size_t n) noexcept
{
    try {
        return static_cast<P *>(inst)->load(version, std::string_view(static_cast<const char *>(p), n)) ? PAWL_OK : PAWL_REJECT;
    } catch (...) {
        return PAWL_FATAL;
    }
}

} // namespace detail

/* A descriptor without tables: set inputs, outputs, options, statements, migrations, db_schema and versions. */
template <class P> constexpr pawl_plugin describe(std::string_view id, std::string_view version, std::string_view doc)
{
    pawl_plugin p = {};

    p.size      = sizeof(pawl_plugin);
    p.abi_major = PAWL_ABI_MAJOR;
    p.abi_minor = PAWL_ABI_MINOR;
    p.id        = str(id);
    p.version   = str(version);
    p.doc       = str(doc);
    p.create    = detail::create<P>;
    p.destroy   = detail::destroy<P>;
    if constexpr (detail::has_plan<P>::value)
        p.plan = detail::plan<P>;
    p.handle = detail::handle<P>;
    if constexpr (detail::has_state<P>::value) {
        p.state_version = P::state_version;
        p.save          = detail::save<P>;
        p.load          = detail::load<P>;
    }
    return p;
}

} // namespace pawl
#endif
