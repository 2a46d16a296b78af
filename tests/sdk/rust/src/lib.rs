//! guarded: panics where its message says so.
use pawl_plugin::abi::{Column, Migration, Opt, Port, Stmt};
use pawl_plugin::{column, kind, option, port, read, write_one, Config, Context, Message, Plugin, Saved, Value, Verdict};
use std::cell::RefCell;

const KEY: &[Column] = &[column("id", kind::TEXT)];
static STATEMENTS: [Stmt; 2] = [
    read("find", "guarded.t", 0, KEY, "SELECT k.i, t.n FROM keys k JOIN guarded.t t USING (id)"),
    write_one("save", "guarded.t", 0, KEY, "DELETE FROM guarded.t t USING rows r WHERE t.id = r.id"),
];
static OUTPUTS: [Port; 1] = [port("out", "text/plain", "what it was told")];
static OPTIONS: [Opt; 1] = [option("refuse", kind::BOOL, "false", "do not begin")];
static INPUTS: [Port; 0] = [];
static MIGRATIONS: [Migration; 0] = [];

struct Guarded {
    key: RefCell<Vec<u8>>,
}

impl Plugin for Guarded {
    fn create(config: &Config) -> Result<Guarded, String> {
        match config.get("refuse") {
            Some(Value::Bool(false)) => Ok(Guarded { key: RefCell::default() }),
            _ => panic!("told to {}", "refuse"),
        }
    }

    fn plan(&self, c: &mut Context, m: &Message) -> Verdict {
        match m.value() {
            Some(b"panic in plan") => panic!("in plan"),
            Some(b"more") if c.rows(0).is_none() => {
                c.read(0, &[Value::Text("x")]).unwrap();
                Verdict::More
            }
            _ => Verdict::Done,
        }
    }

    fn handle(&self, c: &mut Context, m: &Message) -> Verdict {
        match m.value() {
            Some(b"reject") => return Verdict::reject("guarded.no", "told to"),
            Some(b"retry") => return Verdict::retry("guarded.later", "told to"),
            Some(b"skip") => return Verdict::Skip,
            Some(b"remember") => *self.key.borrow_mut() = m.key().unwrap_or(b"").to_vec(),
            Some(b"recall") => {
                c.emit(0, b"", &self.key.borrow(), &[]).unwrap();
                return Verdict::Done;
            }
            Some(b"panic") => panic!("number {}", 7),
            Some(b"bounds") => return Verdict::reject("never", format!("{}", [1, 2, 3][m.key().unwrap_or(b"").len() + 9])),
            Some(b"misuse") => return c.write(0, &[Value::Null]).map(|_| Verdict::Done).unwrap_or(Verdict::Skip),
            Some(b"more") => {
                let n = match c.cell(0, 0, 0) {
                    Value::Numeric(n) => n.to_string(),
                    other => format!("{:?}", other),
                };
                c.emit(0, b"n", n.as_bytes(), &[]).unwrap();
                return Verdict::Done;
            }
            _ => (),
        }
        c.emit(0, m.key().unwrap_or(b""), m.header("word").unwrap_or(b""), &[("id", &c.stable_id(1)[..2])]).unwrap();
        Verdict::Done
    }

    const STATE_VERSION: u32 = 1;

    fn save(&self, to: &mut Saved) -> bool {
        to.write(&self.key.borrow())
    }

    fn load(&mut self, _version: u32, bytes: &[u8]) -> bool {
        assert!(bytes != b"throw", "told to");
        self.key = RefCell::new(bytes.to_vec());
        !bytes.is_empty()
    }
}

pawl_plugin::plugin! {
    Guarded,
    id: "org.example.guarded",
    version: "1.0.0",
    doc: "panics where its message says so",
    inputs: &INPUTS,
    outputs: &OUTPUTS,
    options: &OPTIONS,
    statements: &STATEMENTS,
    migrations: &MIGRATIONS,
    schema: "guarded",
    db_version: 0,
    db_version_min: 0,
}
