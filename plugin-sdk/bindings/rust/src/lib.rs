//! Plugins for pawl in Rust. A plugin is a type that implements [`Plugin`]; the macro [`plugin!`] makes the library's entry of it.
//!
//! No panic leaves a plugin: it becomes `FATAL` with the code `plugin.panic`. With `panic = "abort"` it ends the worker, which the
//! runtime survives, too. The crate needs nothing but the standard library.

pub mod abi;

use abi::*;
use core::ffi::c_void;
use std::ffi::CString;
use std::panic::{catch_unwind, AssertUnwindSafe};

/// What becomes of a message.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Commit the effects.
    Done,
    /// Not for me: drop the effects, go on.
    Skip,
    /// Of `plan` only: fetch what was asked, then call it again.
    More,
    Retry { code: &'static str, text: String },
    Reject { code: &'static str, text: String },
    Fatal { code: &'static str, text: String },
}

impl Verdict {
    /// `code`: stable and dotted, for machines; the text is for people.
    pub fn reject(code: &'static str, text: impl Into<String>) -> Verdict {
        Verdict::Reject { code, text: text.into() }
    }
    pub fn retry(code: &'static str, text: impl Into<String>) -> Verdict {
        Verdict::Retry { code, text: text.into() }
    }
    pub fn fatal(code: &'static str, text: impl Into<String>) -> Verdict {
        Verdict::Fatal { code, text: text.into() }
    }
}

/// `handle` and `plan` may run many times for one message, so: no I/O, no clock but [`Context::now_us`], no state.
pub trait Plugin: Sized {
    /// An error refuses to begin; its text is logged.
    fn create(config: &Config) -> Result<Self, String>;
    fn plan(&self, _c: &mut Context, _m: &Message) -> Verdict {
        Verdict::Done
    }
    fn handle(&self, c: &mut Context, m: &Message) -> Verdict;

    /// Format of the cache that `save` writes for the successor at a reload; 0: there is none.
    const STATE_VERSION: u32 = 0;
    /// Between two batches. False, or a panic: the successor starts cold.
    fn save(&self, _to: &mut Saved) -> bool {
        false
    }
    /// After `create`, before the first message; `version` is 1 to one's own. False, or a panic: another instance starts cold.
    fn load(&mut self, _version: u32, _bytes: &[u8]) -> bool {
        false
    }
}

/// What `save` writes to.
pub struct Saved<'a> {
    sink: &'a Sink,
}

impl Saved<'_> {
    /// False: more than `reload.max_state`; the successor starts cold.
    pub fn write(&mut self, bytes: &[u8]) -> bool {
        (self.sink.put)(self.sink.imp, bytes.as_ptr() as *const c_void, bytes.len()) == OK
    }
}

/// A value of a statement.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    Null,
    Bool(bool),
    I64(i64),
    F64(f64),
    /// Decimal text; money goes here.
    Numeric(&'a str),
    Text(&'a str),
    Bytes(&'a [u8]),
    /// Microseconds since 1970.
    TimeUs(i64),
    Uuid(&'a [u8; 16]),
    Json(&'a str),
    /// Days since 1970.
    Date(i64),
}

/// The types of columns and options.
pub mod kind {
    pub const BOOL: u32 = 1;
    pub const I64: u32 = 2;
    pub const F64: u32 = 3;
    pub const NUMERIC: u32 = 4;
    pub const TEXT: u32 = 5;
    pub const BYTES: u32 = 6;
    pub const TIME_US: u32 = 7;
    pub const UUID: u32 = 8;
    pub const JSON: u32 = 9;
    pub const DATE: u32 = 10;
}

fn raw_bytes(kind: u32, b: &[u8]) -> RawValue {
    RawValue { kind: kind as i32, reserved: 0, i: 0, f: 0.0, b: Bytes { p: b.as_ptr() as *const c_void, n: b.len() } }
}

fn raw(v: &Value) -> RawValue {
    let plain = |kind: u32, i: i64, f: f64| RawValue { kind: kind as i32, reserved: 0, i, f, b: Bytes { p: core::ptr::null(), n: 0 } };

    match *v {
        Value::Null => plain(0, 0, 0.0),
        Value::Bool(x) => plain(kind::BOOL, x as i64, 0.0),
        Value::I64(x) => plain(kind::I64, x, 0.0),
        Value::F64(x) => plain(kind::F64, 0, x),
        Value::Numeric(s) => raw_bytes(kind::NUMERIC, s.as_bytes()),
        Value::Text(s) => raw_bytes(kind::TEXT, s.as_bytes()),
        Value::Bytes(b) => raw_bytes(kind::BYTES, b),
        Value::TimeUs(x) => plain(kind::TIME_US, x, 0.0),
        Value::Uuid(b) => raw_bytes(kind::UUID, b),
        Value::Json(s) => raw_bytes(kind::JSON, s.as_bytes()),
        Value::Date(x) => plain(kind::DATE, x, 0.0),
    }
}

/// The bytes live as long as what they were lent from: `'a` is the call, or the instance for options.
unsafe fn slice<'a>(b: Bytes) -> &'a [u8] {
    if b.p.is_null() {
        &[]
    } else {
        core::slice::from_raw_parts(b.p as *const u8, b.n)
    }
}

unsafe fn cooked<'a>(v: &RawValue) -> Value<'a> {
    let text = || core::str::from_utf8(slice(v.b)).unwrap_or("");

    match v.kind as u32 {
        kind::BOOL => Value::Bool(v.i != 0),
        kind::I64 => Value::I64(v.i),
        kind::F64 => Value::F64(v.f),
        kind::NUMERIC => Value::Numeric(text()),
        kind::TEXT => Value::Text(text()),
        kind::BYTES => Value::Bytes(slice(v.b)),
        kind::TIME_US => Value::TimeUs(v.i),
        kind::UUID if v.b.n == 16 => Value::Uuid(&*(v.b.p as *const [u8; 16])),
        kind::JSON => Value::Json(text()),
        kind::DATE => Value::Date(v.i),
        _ => Value::Null,
    }
}

const NULL: RawValue = RawValue { kind: 0, reserved: 0, i: 0, f: 0.0, b: Bytes { p: core::ptr::null(), n: 0 } };

/// The plugin's options, while it is created.
pub struct Config {
    host: *const Host,
}

impl Config {
    /// `None`: absent, without a default, or not declared.
    pub fn get(&self, path: &str) -> Option<Value<'static>> {
        let path = CString::new(path).ok()?;
        let mut v = NULL;

        // Safety: the host outlives the instance, and so do the values of options.
        match unsafe { ((*self.host).config)(self.host, path.as_ptr(), &mut v) } {
            OK => Some(unsafe { cooked(&v) }),
            _ => None,
        }
    }
    pub fn i64(&self, path: &str) -> Result<i64, String> {
        match self.get(path) {
            Some(Value::I64(x)) => Ok(x),
            _ => Err(format!("option '{}' is not a whole number", path)),
        }
    }
    pub fn text(&self, path: &str) -> Result<&'static str, String> {
        match self.get(path) {
            Some(Value::Text(s)) | Some(Value::Numeric(s)) => Ok(s),
            _ => Err(format!("option '{}' is no text", path)),
        }
    }
    /// Elements of a list or members of a group.
    pub fn len(&self, path: &str) -> Option<usize> {
        let path = CString::new(path).ok()?;

        usize::try_from(unsafe { ((*self.host).config_len)(self.host, path.as_ptr()) }).ok()
    }
}

/// One record of a source partition.
pub struct Message<'a> {
    m: &'a Msg,
}

impl<'a> Message<'a> {
    pub fn topic(&self) -> &'a str {
        let t = self.m.topic;

        unsafe { core::str::from_utf8(slice(Bytes { p: t.p as *const c_void, n: t.n })).unwrap_or("") }
    }
    pub fn partition(&self) -> i32 {
        self.m.partition
    }
    pub fn offset(&self) -> i64 {
        self.m.offset
    }
    pub fn attempt(&self) -> i32 {
        self.m.attempt
    }
    pub fn timestamp_ms(&self) -> Option<i64> {
        if self.m.timestamp_ms < 0 {
            None
        } else {
            Some(self.m.timestamp_ms)
        }
    }
    pub fn key(&self) -> Option<&'a [u8]> {
        if self.m.key.p.is_null() {
            None
        } else {
            Some(unsafe { slice(self.m.key) })
        }
    }
    /// `None`: a tombstone.
    pub fn value(&self) -> Option<&'a [u8]> {
        if self.m.value.p.is_null() {
            None
        } else {
            Some(unsafe { slice(self.m.value) })
        }
    }
    /// The last header of that name.
    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        let all = if self.m.n_headers == 0 { &[][..] } else { unsafe { core::slice::from_raw_parts(self.m.headers, self.m.n_headers) } };

        all.iter()
            .rev()
            .find(|h| unsafe { slice(Bytes { p: h.name.p as *const c_void, n: h.name.n }) } == name.as_bytes())
            .map(|h| unsafe { slice(h.value) })
    }
}

/// A call that the runtime refused: it has said why, and the message's verdict is `FATAL`.
#[derive(Debug)]
pub struct Misuse;

/// What a plugin may ask and do while it plans or handles a message.
pub struct Context<'a> {
    c: *mut Ctx,
    host: &'a Host,
}

impl<'a> Context<'a> {
    fn done(rc: Rc) -> Result<(), Misuse> {
        if rc == OK {
            Ok(())
        } else {
            Err(Misuse)
        }
    }
    /// Into the slot of the statement's number.
    pub fn read(&mut self, stmt: u32, args: &[Value]) -> Result<(), Misuse> {
        let args: Vec<RawValue> = args.iter().map(raw).collect();

        Self::done((self.host.read)(self.c, stmt, args.as_ptr(), args.len(), stmt))
    }
    /// `None`: nothing has been fetched into the slot yet.
    pub fn rows(&self, slot: u32) -> Option<u64> {
        u64::try_from((self.host.rows)(self.c, slot)).ok()
    }
    /// Column 0 is the first after `i`.
    pub fn cell(&self, slot: u32, row: u64, col: u32) -> Value<'a> {
        let mut v = NULL;

        // Safety: cells live as long as the batch, the context as long as the call.
        match (self.host.cell)(self.c, slot, row as i64, col, &mut v) {
            OK => unsafe { cooked(&v) },
            _ => Value::Null,
        }
    }
    pub fn write(&mut self, stmt: u32, args: &[Value]) -> Result<(), Misuse> {
        let args: Vec<RawValue> = args.iter().map(raw).collect();

        Self::done((self.host.write)(self.c, stmt, args.as_ptr(), args.len()))
    }
    pub fn emit(&mut self, output: u32, key: &[u8], value: &[u8], headers: &[(&str, &[u8])]) -> Result<(), Misuse> {
        let bytes = |b: &[u8]| Bytes { p: b.as_ptr() as *const c_void, n: b.len() };
        let headers: Vec<Header> = headers
            .iter()
            .map(|(name, value)| Header { name: Str { p: name.as_ptr() as *const _, n: name.len() }, value: bytes(value) })
            .collect();
        let out = Out {
            size: core::mem::size_of::<Out>() as u32,
            output,
            key: bytes(key),
            value: bytes(value),
            headers: headers.as_ptr(),
            n_headers: headers.len(),
        };

        Self::done((self.host.emit)(self.c, &out))
    }
    /// One value per batch.
    pub fn now_us(&self) -> i64 {
        (self.host.now_us)(self.c)
    }
    /// The same message and number: the same id, always.
    pub fn stable_id(&self, k: u32) -> [u8; 16] {
        let mut id = [0; 16];

        (self.host.stable_id)(self.c, k, id.as_mut_ptr());
        id
    }
}

fn text(s: &str) -> Str {
    Str { p: s.as_ptr() as *const _, n: s.len() }
}

fn told(panic: &(dyn std::any::Any + Send)) -> &str {
    if let Some(s) = panic.downcast_ref::<String>() {
        s
    } else if let Some(s) = panic.downcast_ref::<&str>() {
        s
    } else {
        "of an unknown type"
    }
}

fn call<P: Plugin>(inst: *mut c_void, c: *mut Ctx, m: *const Msg, f: impl FnOnce(&P, &mut Context, &Message) -> Verdict) -> Rc {
    // Safety: the runtime gives what it got from create(), and pointers that hold until this returns.
    let (plugin, host, m) = unsafe { (&*(inst as *const P), &*(*c).host, Message { m: &*m }) };
    let mut cx = Context { c, host };
    let fail = |rc, code: &str, why: &str| (host.fail)(c, rc, text(code), text(why));

    match catch_unwind(AssertUnwindSafe(|| f(plugin, &mut cx, &m))) {
        Ok(Verdict::Done) => OK,
        Ok(Verdict::Skip) => SKIP,
        Ok(Verdict::More) => MORE,
        Ok(Verdict::Retry { code, text }) => fail(RETRY, code, &text),
        Ok(Verdict::Reject { code, text }) => fail(REJECT, code, &text),
        Ok(Verdict::Fatal { code, text }) => fail(FATAL, code, &text),
        Err(panic) => fail(FATAL, "plugin.panic", told(&*panic)),
    }
}

#[doc(hidden)]
pub extern "C" fn create<P: Plugin>(host: *const Host, inst: *mut *mut c_void) -> Rc {
    let log = |why: &str| unsafe { ((*host).log)(host, core::ptr::null_mut(), 3, text(why), core::ptr::null(), 0) };

    unsafe { *inst = core::ptr::null_mut() };
    match catch_unwind(AssertUnwindSafe(|| P::create(&Config { host }))) {
        Ok(Ok(plugin)) => {
            unsafe { *inst = Box::into_raw(Box::new(plugin)) as *mut c_void };
            OK
        }
        Ok(Err(why)) => {
            log(&why);
            FATAL
        }
        Err(panic) => {
            log(told(&*panic));
            FATAL
        }
    }
}

#[doc(hidden)]
pub extern "C" fn destroy<P: Plugin>(inst: *mut c_void) {
    if !inst.is_null() {
        // A destructor that panics has nobody to tell.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(unsafe { Box::from_raw(inst as *mut P) })));
    }
}

#[doc(hidden)]
pub extern "C" fn plan<P: Plugin>(inst: *mut c_void, c: *mut Ctx, m: *const Msg) -> Rc {
    call(inst, c, m, P::plan)
}

#[doc(hidden)]
pub extern "C" fn handle<P: Plugin>(inst: *mut c_void, c: *mut Ctx, m: *const Msg) -> Rc {
    call(inst, c, m, P::handle)
}

fn taken(answer: std::thread::Result<bool>) -> Rc {
    match answer {
        Ok(true) => OK,
        Ok(false) => REJECT,
        Err(_) => FATAL,
    }
}

#[doc(hidden)]
pub extern "C" fn save<P: Plugin>(inst: *mut c_void, sink: *const Sink) -> Rc {
    // Safety: the runtime calls nothing else of this instance meanwhile.
    taken(catch_unwind(AssertUnwindSafe(|| unsafe { (*(inst as *const P)).save(&mut Saved { sink: &*sink }) })))
}

#[doc(hidden)]
pub extern "C" fn load<P: Plugin>(inst: *mut c_void, version: u32, p: *const c_void, n: usize) -> Rc {
    // Safety: as above; p is never null.
    taken(catch_unwind(AssertUnwindSafe(|| unsafe {
        (*(inst as *mut P)).load(version, core::slice::from_raw_parts(p as *const u8, n))
    })))
}

// ---- tables ----

pub const fn column(name: &'static str, kind: u32) -> Column {
    Column { name: Str::new(name), kind, flags: 0 }
}

pub const fn port(name: &'static str, content_type: &'static str, doc: &'static str) -> Port {
    Port { name: Str::new(name), content_type: Str::new(content_type), doc: Str::new(doc), flags: 0, reserved: 0 }
}

/// With a default.
pub const fn option(path: &'static str, kind: u32, dflt: &'static str, doc: &'static str) -> Opt {
    Opt { path: Str::new(path), kind, flags: 0, dflt: Str::new(dflt), min: Str::NONE, max: Str::NONE, doc: Str::new(doc) }
}

pub const fn required(path: &'static str, kind: u32, doc: &'static str) -> Opt {
    Opt { path: Str::new(path), kind, flags: 1, dflt: Str::NONE, min: Str::NONE, max: Str::NONE, doc: Str::new(doc) }
}

pub const fn migration(version: u32, name: &'static str, up_sql: &'static str) -> Migration {
    Migration { version, flags: 0, name: Str::new(name), up_sql: Str::new(up_sql), down_sql: Str::NONE }
}

/// `entity_column`: index into the columns, -1 for the whole entity.
pub const fn read(name: &'static str, entity: &'static str, entity_column: i32, columns: &'static [Column], sql: &'static str) -> Stmt {
    Stmt {
        name: Str::new(name),
        sql: Str::new(sql),
        columns: Span::of(columns),
        entity: Str::new(entity),
        kind: 1,
        entity_column,
        expect_rows: -1,
        on_mismatch: OK,
        flags: 0,
        reserved: 0,
    }
}

pub const fn write(name: &'static str, entity: &'static str, entity_column: i32, columns: &'static [Column], sql: &'static str) -> Stmt {
    Stmt { kind: 2, on_mismatch: REJECT, ..read(name, entity, entity_column, columns, sql) }
}

/// Replaces the whole row of its key: of several rows with one key only the last is sent.
pub const fn upsert(name: &'static str, entity: &'static str, entity_column: i32, columns: &'static [Column], sql: &'static str) -> Stmt {
    Stmt { flags: 1, ..write(name, entity, entity_column, columns, sql) }
}

/// Must affect exactly one row per row sent, else the message is rejected.
pub const fn write_one(name: &'static str, entity: &'static str, entity_column: i32, columns: &'static [Column], sql: &'static str) -> Stmt {
    Stmt { expect_rows: 1, ..write(name, entity, entity_column, columns, sql) }
}

/// The library's entry: what the plugin is, and the tables of what it may do.
#[macro_export]
macro_rules! plugin {
    ($type:ty, id: $id:literal, version: $version:literal, doc: $doc:literal, inputs: $inputs:expr, outputs: $outputs:expr,
     options: $options:expr, statements: $statements:expr, migrations: $migrations:expr, schema: $schema:literal,
     db_version: $db_version:expr, db_version_min: $db_version_min:expr $(,)?) => {
        const PAWL_META_TEXT: &str = concat!("abi=1.0\0id=", $id, "\0version=", $version, "\0");

        #[used]
        #[link_section = ".pawl.meta"]
        static PAWL_META: [u8; PAWL_META_TEXT.len()] = {
            let from = PAWL_META_TEXT.as_bytes();
            let mut to = [0; PAWL_META_TEXT.len()];
            let mut i = 0;

            while i < from.len() {
                to[i] = from[i];
                i += 1;
            }
            to
        };

        static PAWL_DESCRIPTOR: $crate::abi::Descriptor = $crate::abi::Descriptor {
            size: core::mem::size_of::<$crate::abi::Descriptor>() as u32,
            abi_major: $crate::abi::ABI_MAJOR,
            abi_minor: $crate::abi::ABI_MINOR,
            flags: 0,
            state_version: <$type as $crate::Plugin>::STATE_VERSION,
            id: $crate::abi::Str::new($id),
            version: $crate::abi::Str::new($version),
            doc: $crate::abi::Str::new($doc),
            inputs: $crate::abi::Span::of($inputs),
            outputs: $crate::abi::Span::of($outputs),
            options: $crate::abi::Span::of($options),
            statements: $crate::abi::Span::of($statements),
            migrations: $crate::abi::Span::of($migrations),
            metrics: $crate::abi::Span { items: core::ptr::null(), count: 0, stride: 56 },
            db_schema: $crate::abi::Str::new($schema),
            db_version: $db_version,
            db_version_min: $db_version_min,
            create: Some($crate::create::<$type>),
            destroy: Some($crate::destroy::<$type>),
            plan: Some($crate::plan::<$type>),
            handle: Some($crate::handle::<$type>),
            save: if <$type as $crate::Plugin>::STATE_VERSION > 0 { Some($crate::save::<$type>) } else { None },
            load: if <$type as $crate::Plugin>::STATE_VERSION > 0 { Some($crate::load::<$type>) } else { None },
            extension: None,
        };

        #[no_mangle]
        pub extern "C" fn pawl_plugin_entry_v1() -> *const $crate::abi::Descriptor {
            // Or the linker would drop what only `pawl` reads.
            unsafe { core::ptr::read_volatile(&PAWL_META[0]) };
            &PAWL_DESCRIPTOR
        }
    };
}
