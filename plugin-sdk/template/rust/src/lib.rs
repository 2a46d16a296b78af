//! @name@: what each customer has ordered so far. One order in; the total is kept, and published once it is large.

mod order;

use pawl_plugin::abi::{Column, Migration, Opt, Port, Stmt};
use pawl_plugin::{column, kind, migration, option, port, read, upsert, Config, Context, Message, Plugin, Value, Verdict};

// What it may read and write. The indices are the order of the tables.
const FIND_TOTAL: u32 = 0;
const SAVE_TOTAL: u32 = 1;
const TOTALS: u32 = 0;

const FIND_KEYS: &[Column] = &[column("customer", kind::TEXT)];
const SAVE_ROWS: &[Column] = &[column("customer", kind::TEXT), column("orders", kind::I64), column("total_minor", kind::I64)];
static STATEMENTS: [Stmt; 2] = [
    read(
        "find_total",
        "@name@.total",
        0,
        FIND_KEYS,
        "SELECT k.i, t.orders, t.total_minor FROM keys k JOIN @name@.total t USING (customer)",
    ),
    upsert(
        "save_total",
        "@name@.total",
        0,
        SAVE_ROWS,
        "INSERT INTO @name@.total (customer, orders, total_minor) SELECT customer, orders, total_minor FROM rows \
         ON CONFLICT (customer) DO UPDATE SET orders = excluded.orders, total_minor = excluded.total_minor",
    ),
];

static OPTIONS: [Opt; 2] = [
    option("max_amount_minor", kind::I64, "1000000", "an order above it is refused"),
    option("tell_above_minor", kind::I64, "500000", "a total above it is published"),
];
static INPUTS: [Port; 1] = [port("orders", "@content_type@", "an order; key: the customer")];
static OUTPUTS: [Port; 1] = [port("totals", "@content_type@", "a customer's total; key: the customer")];
static MIGRATIONS: [Migration; 1] = [migration(1, "total", include_str!("../sql/001_total.sql"))];

struct Totals {
    max_amount_minor: i64,
    tell_above_minor: i64,
}

fn number(v: Value) -> i64 {
    match v {
        Value::I64(x) => x,
        _ => 0,
    }
}

impl Plugin for Totals {
    fn create(config: &Config) -> Result<Totals, String> {
        Ok(Totals { max_amount_minor: config.i64("max_amount_minor")?, tell_above_minor: config.i64("tell_above_minor")? })
    }

    // May run many times for one message, so: no I/O, no clock, no state.
    fn plan(&self, c: &mut Context, m: &Message) -> Verdict {
        match m.key().and_then(|k| std::str::from_utf8(k).ok()) {
            Some(customer) if c.read(FIND_TOTAL, &[Value::Text(customer)]).is_err() => Verdict::fatal("order.defect", "read"),
            _ => Verdict::Done,
        }
    }

    fn handle(&self, c: &mut Context, m: &Message) -> Verdict {
        let customer = match m.key().and_then(|k| std::str::from_utf8(k).ok()) {
            Some(k) if !k.is_empty() => k,
            _ => return Verdict::reject("order.no_customer", "the record has no key"),
        };
        let order = match m.value().and_then(order::decode) {
            Some(order) => order,
            None => return Verdict::reject("order.malformed", "the value is no order"),
        };
        if order.amount_minor > self.max_amount_minor {
            return Verdict::reject("order.too_large", format!("order {} is about {}", order.order_id, order.amount_minor));
        }
        let (mut orders, mut total) = (1, order.amount_minor);
        if c.rows(FIND_TOTAL).unwrap_or(0) > 0 {
            orders += number(c.cell(FIND_TOTAL, 0, 0));
            total += number(c.cell(FIND_TOTAL, 0, 1));
        }
        if c.write(SAVE_TOTAL, &[Value::Text(customer), Value::I64(orders), Value::I64(total)]).is_err() {
            return Verdict::fatal("order.defect", "write");
        }
        if total > self.tell_above_minor
            && c.emit(TOTALS, customer.as_bytes(), &order::encode_total(customer, orders, total), &[]).is_err()
        {
            return Verdict::fatal("order.defect", "emit");
        }
        Verdict::Done
    }
}

pawl_plugin::plugin! {
    Totals,
    id: "org.example.@name@",
    version: "0.1.0",
    doc: "What each customer has ordered so far",
    inputs: &INPUTS,
    outputs: &OUTPUTS,
    options: &OPTIONS,
    statements: &STATEMENTS,
    migrations: &MIGRATIONS,
    schema: "@name@",
    db_version: 1,
    db_version_min: 1,
}
