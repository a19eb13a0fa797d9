//! A sample webhook of each provider: made here, in the shape that its documentation shows.

use hookward_core::{Timestamp, provider::Provider};

/// A body that the provider might send, with an id that only this call has.
pub(crate) fn body(provider: &Provider, id: &str, now: Timestamp) -> String {
    let created = now.as_secs();
    let value = match provider.name {
        "stripe" => serde_json::json!({
            "id": format!("evt_{id}"), "object": "event", "type": "invoice.paid", "created": created, "livemode": true,
            "data": { "object": { "id": format!("in_{id}"), "object": "invoice", "amount_paid": 4200, "currency": "eur" } },
        }),
        "github" => serde_json::json!({
            "zen": "Keep it logically awesome.", "hook_id": created,
            "hook": { "type": "Repository", "name": "web", "active": true, "events": ["push"], "test_run": id },
        }),
        "shopify" => serde_json::json!({
            "id": created, "name": format!("#{id}"), "currency": "EUR", "total_price": "42.00", "financial_status": "paid",
        }),
        "slack" => serde_json::json!({
            "type": "event_callback", "event_id": format!("Ev{id}"), "event_time": created, "team_id": "T0SAMPLE",
            "event": { "type": "app_mention", "user": "U0SAMPLE", "text": "hello", "ts": format!("{created}.000100") },
        }),
        _ => serde_json::json!({
            "id": format!("evt_{id}"), "type": "order.paid", "created": created,
            "data": { "order": format!("ord_{id}"), "amount": 4200, "currency": "EUR" },
        }),
    };
    value.to_string()
}

/// The unsigned headers that go with it.
pub(crate) fn headers(provider: &Provider, id: &str) -> Vec<(&'static str, String)> {
    match provider.name {
        "github" => {
            vec![("x-github-event", "ping".to_owned()), ("x-github-delivery", id.to_owned())]
        }
        "shopify" => vec![
            ("x-shopify-topic", "orders/paid".to_owned()),
            ("x-shopify-event-id", id.to_owned()),
        ],
        _ => Vec::new(),
    }
}

/// Random text of this many hex digits, for ids and secrets.
pub(crate) fn random_hex(digits: usize) -> String {
    let mut bytes = vec![0; digits.div_ceil(2)];
    getrandom::fill(&mut bytes).expect("the system gives random bytes");
    let mut text = hex::encode(bytes);
    text.truncate(digits);
    text
}

/// A random secret of the form that the provider's scheme takes.
pub(crate) fn secret(provider: &Provider) -> String {
    use base64::Engine as _;
    match provider.name {
        "standard-webhooks" | "svix" => {
            let mut bytes = [0; 32];
            getrandom::fill(&mut bytes).expect("the system gives random bytes");
            format!("whsec_{}", base64::engine::general_purpose::STANDARD.encode(bytes))
        }
        _ => random_hex(64),
    }
}
