//! `<pawl/plugin.h>` as it is: names without the prefix, layout checked when this is compiled.

use core::ffi::c_void;
use std::os::raw::c_char;

pub const ABI_MAJOR: u16 = 1;
pub const ABI_MINOR: u16 = 0;

pub type Rc = i32;
pub const OK: Rc = 0;
pub const SKIP: Rc = 1;
pub const RETRY: Rc = 2;
pub const REJECT: Rc = 3;
pub const FATAL: Rc = 4;
pub const MORE: Rc = 5;

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Str {
    pub p: *const c_char,
    pub n: usize,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Bytes {
    pub p: *const c_void,
    pub n: usize,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Span {
    pub items: *const c_void,
    pub count: u32,
    pub stride: u32,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct RawValue {
    pub kind: i32,
    pub reserved: i32,
    pub i: i64,
    pub f: f64,
    pub b: Bytes,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Header {
    pub name: Str,
    pub value: Bytes,
}

#[repr(C)]
pub struct Msg {
    pub size: u32,
    pub input: u32,
    pub topic: Str,
    pub partition: i32,
    pub attempt: i32,
    pub offset: i64,
    pub timestamp_ms: i64,
    pub timestamp_type: i32,
    pub flags: i32,
    pub key: Bytes,
    pub value: Bytes,
    pub headers: *const Header,
    pub n_headers: usize,
}

#[repr(C)]
pub struct Out {
    pub size: u32,
    pub output: u32,
    pub key: Bytes,
    pub value: Bytes,
    pub headers: *const Header,
    pub n_headers: usize,
}

#[repr(C)]
pub struct Port {
    pub name: Str,
    pub content_type: Str,
    pub doc: Str,
    pub flags: u32,
    pub reserved: u32,
}

#[repr(C)]
pub struct Opt {
    pub path: Str,
    pub kind: u32,
    pub flags: u32,
    pub dflt: Str,
    pub min: Str,
    pub max: Str,
    pub doc: Str,
}

#[repr(C)]
pub struct Column {
    pub name: Str,
    pub kind: u32,
    pub flags: u32,
}

#[repr(C)]
pub struct Stmt {
    pub name: Str,
    pub sql: Str,
    pub columns: Span,
    pub entity: Str,
    pub kind: u32,
    pub entity_column: i32,
    pub expect_rows: i32,
    pub on_mismatch: Rc,
    pub flags: u32,
    pub reserved: u32,
}

#[repr(C)]
pub struct Migration {
    pub version: u32,
    pub flags: u32,
    pub name: Str,
    pub up_sql: Str,
    pub down_sql: Str,
}

#[repr(C)]
pub struct Metric {
    pub name: Str,
    pub unit: Str,
    pub doc: Str,
    pub kind: u32,
    pub reserved: u32,
}

#[repr(C)]
pub struct Ctx {
    pub host: *const Host,
}

#[repr(C)]
pub struct Host {
    pub size: u32,
    pub abi_major: u16,
    pub abi_minor: u16,
    pub imp: *mut c_void,
    pub log_enabled: extern "C" fn(*const Host, i32) -> i32,
    pub log: extern "C" fn(*const Host, *mut Ctx, i32, Str, *const Header, usize),
    pub metric: extern "C" fn(*const Host, u32, f64),
    pub extension: extern "C" fn(*const Host, *const c_char) -> *const c_void,
    pub config: extern "C" fn(*const Host, *const c_char, *mut RawValue) -> Rc,
    pub config_len: extern "C" fn(*const Host, *const c_char) -> i64,
    pub alloc: extern "C" fn(*mut Ctx, usize) -> *mut c_void,
    pub now_us: extern "C" fn(*mut Ctx) -> i64,
    pub stable_id: extern "C" fn(*mut Ctx, u32, *mut u8),
    pub fail: extern "C" fn(*mut Ctx, Rc, Str, Str) -> Rc,
    pub read: extern "C" fn(*mut Ctx, u32, *const RawValue, usize, u32) -> Rc,
    pub rows: extern "C" fn(*mut Ctx, u32) -> i64,
    pub cell: extern "C" fn(*mut Ctx, u32, i64, u32, *mut RawValue) -> Rc,
    pub write: extern "C" fn(*mut Ctx, u32, *const RawValue, usize) -> Rc,
    pub emit: extern "C" fn(*mut Ctx, *const Out) -> Rc,
}

#[repr(C)]
pub struct Sink {
    pub imp: *mut c_void,
    pub put: extern "C" fn(*mut c_void, *const c_void, usize) -> Rc,
}

pub type Create = extern "C" fn(*const Host, *mut *mut c_void) -> Rc;
pub type Destroy = extern "C" fn(*mut c_void);
pub type Call = extern "C" fn(*mut c_void, *mut Ctx, *const Msg) -> Rc;
pub type Save = extern "C" fn(*mut c_void, *const Sink) -> Rc;
pub type Load = extern "C" fn(*mut c_void, u32, *const c_void, usize) -> Rc;
pub type Extension = extern "C" fn(*mut c_void, *const c_char) -> *const c_void;

#[repr(C)]
pub struct Descriptor {
    pub size: u32,
    pub abi_major: u16,
    pub abi_minor: u16,
    pub flags: u32,
    pub state_version: u32,
    pub id: Str,
    pub version: Str,
    pub doc: Str,
    pub inputs: Span,
    pub outputs: Span,
    pub options: Span,
    pub statements: Span,
    pub migrations: Span,
    pub metrics: Span,
    pub db_schema: Str,
    pub db_version: u32,
    pub db_version_min: u32,
    pub create: Option<Create>,
    pub destroy: Option<Destroy>,
    pub plan: Option<Call>,
    pub handle: Option<Call>,
    pub save: Option<Save>,
    pub load: Option<Load>,
    pub extension: Option<Extension>,
}

macro_rules! size_is {
    ($($type:ty: $size:expr),* $(,)?) => {
        $(const _: () = assert!(core::mem::size_of::<$type>() == $size);)*
    };
}
size_is! {
    Str: 16, Bytes: 16, Span: 16, RawValue: 40, Header: 32, Msg: 104, Out: 56, Port: 56, Opt: 88, Column: 24, Stmt: 88,
    Migration: 56, Metric: 56, Host: 136, Sink: 16, Descriptor: 240,
}

// Tables are constants of the library: nobody writes to them.
unsafe impl Sync for Port {}
unsafe impl Sync for Opt {}
unsafe impl Sync for Column {}
unsafe impl Sync for Stmt {}
unsafe impl Sync for Migration {}
unsafe impl Sync for Metric {}
unsafe impl Sync for Descriptor {}

impl Str {
    pub const NONE: Str = Str { p: core::ptr::null(), n: 0 };

    pub const fn new(s: &'static str) -> Str {
        Str { p: s.as_ptr() as *const c_char, n: s.len() }
    }
}

impl Span {
    pub const fn of<T>(table: &'static [T]) -> Span {
        Span { items: table.as_ptr() as *const c_void, count: table.len() as u32, stride: core::mem::size_of::<T>() as u32 }
    }
}
