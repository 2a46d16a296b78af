//! order: what is in a message, and in an output.

use serde_json::{json, Value};

pub struct Order {
    pub order_id: String,
    pub amount_minor: i64,
}

pub fn decode(value: &[u8]) -> Option<Order> {
    let root: Value = serde_json::from_slice(value).ok()?;
    let order_id = root.get("order_id")?.as_str().filter(|id| !id.is_empty())?.to_string();
    let amount_minor = root.get("amount_minor")?.as_i64().filter(|amount| *amount >= 0)?;

    Some(Order { order_id, amount_minor })
}

pub fn encode_total(customer: &str, orders: i64, total_minor: i64) -> Vec<u8> {
    json!({ "customer": customer, "orders": orders, "total_minor": total_minor }).to_string().into_bytes()
}
