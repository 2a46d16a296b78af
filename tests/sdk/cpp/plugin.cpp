// guarded: throws what its message says.
#include <pawl/plugin.hpp>

namespace {

constexpr pawl_column key[]        = { pawl::column("id", PAWL_V_TEXT) };
constexpr pawl_stmt   statements[] = { pawl::read("find", "guarded.t", 0, key, "SELECT k.i, t.n FROM keys k JOIN guarded.t t USING (id)"),
                                       pawl::write_one("save", "guarded.t", 0, key, "DELETE FROM guarded.t t USING rows r WHERE t.id = r.id") };
constexpr pawl_port   outputs[]    = { pawl::port("out", "text/plain", "what it was told") };
constexpr pawl_option options[]    = { pawl::option("refuse", PAWL_V_BOOL, "false", "do not begin") };

class plugin {
public:
    explicit plugin(const pawl::config &config)
    {
        if (config.boolean("refuse"))
            throw std::runtime_error("told to refuse");
    }

    pawl_rc plan(pawl::context &c, const pawl::message &m) const
    {
        if (m.value() == "throw in plan")
            throw std::runtime_error("in plan");
        if (m.value() == "write in plan")
            c.write(1, { pawl::text("x") });
        return PAWL_OK;
    }

    pawl_rc handle(pawl::context &c, const pawl::message &m)
    {
        if (m.value() == "remember")
            key_ = m.key();
        if (m.value() == "recall") {
            c.emit(0, m.key(), key_);
            return PAWL_OK;
        }
        if (m.value() == "reject")
            throw pawl::reject("guarded.no", "told to");
        if (m.value() == "retry")
            throw pawl::retry("guarded.later", "told to");
        if (m.value() == "fatal")
            throw pawl::fatal("guarded.never", "told to");
        if (m.value() == "exception")
            throw std::runtime_error("something else");
        if (m.value() == "number")
            throw 7;
        if (m.value() == "misuse")
            c.write(0, { pawl::text("x") });
        c.emit(0, m.key(), m.header("word"));
        return PAWL_OK;
    }

    static constexpr std::uint32_t state_version = 1;

    bool save(pawl::sink &to) const
    {
        to.write(key_);
        return true;
    }

    bool load(std::uint32_t, std::string_view bytes)
    {
        if (bytes == "throw")
            throw std::runtime_error("told to");
        key_ = bytes;
        return !key_.empty();
    }

private:
    std::string key_;
};

constexpr pawl_plugin describe()
{
    pawl_plugin p = pawl::describe<plugin>("org.example.guarded", "1.0.0", "throws what its message says");

    p.outputs    = pawl::span(outputs);
    p.options    = pawl::span(options);
    p.statements = pawl::span(statements);
    p.db_schema  = pawl::str("guarded");
    return p;
}

constexpr pawl_plugin descriptor = describe();

} // namespace

PAWL_PLUGIN(descriptor, "org.example.guarded", "1.0.0");
