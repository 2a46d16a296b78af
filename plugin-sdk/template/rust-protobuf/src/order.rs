//! order: what is in a message, and in an output. The types are those of proto/@name@.proto.

use prost::Message;

#[derive(Clone, PartialEq, Message)]
pub struct Order {
    #[prost(string, tag = "1")]
    pub order_id: String,
    #[prost(int64, tag = "2")]
    pub amount_minor: i64,
}

#[derive(Clone, PartialEq, Message)]
pub struct Total {
    #[prost(string, tag = "1")]
    pub customer: String,
    #[prost(int64, tag = "2")]
    pub orders: i64,
    #[prost(int64, tag = "3")]
    pub total_minor: i64,
}

pub fn decode(value: &[u8]) -> Option<Order> {
    Order::decode(value).ok().filter(|o| !o.order_id.is_empty() && o.amount_minor >= 0)
}

pub fn encode_total(customer: &str, orders: i64, total_minor: i64) -> Vec<u8> {
    Total { customer: customer.to_string(), orders, total_minor }.encode_to_vec()
}
