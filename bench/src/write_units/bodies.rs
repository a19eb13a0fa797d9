//! What senders send.

use std::fs;

use serde_json::{Value, json};

use super::{Result, engine::installed};

/// A kind of body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// JSON as a payment provider writes it: known names, random ids and amounts.
    Json,
    /// JSON with one text of random printable characters: as near as JSON comes to what does not compress.
    Random,
    /// GitHub's recorded payloads, one after the other.
    GitHub,
}

/// Bodies of one kind and size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bodies {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// Of each body; nothing where they are recorded.
    pub(super) bytes: usize,
}

/// A body, and what it is called.
#[derive(Clone, Debug)]
pub(super) struct Body {
    pub(super) event_type: String,
    pub(super) bytes: Vec<u8>,
}

const fn bodies(name: &'static str, kind: Kind, bytes: usize) -> Bodies {
    Bodies { name, kind, bytes }
}

/// All that is measured.
pub(super) const ALL: [Bodies; 8] = [
    bodies("300 B, JSON", Kind::Json, 300),
    bodies("300 B, random", Kind::Random, 300),
    bodies("900 B, random", Kind::Random, 900),
    bodies("1 KB, JSON", Kind::Json, 1_024),
    bodies("1 KB, random", Kind::Random, 1_024),
    bodies("4 KB, JSON", Kind::Json, 4_096),
    bodies("4 KB, random", Kind::Random, 4_096),
    bodies("GitHub", Kind::GitHub, 0),
];

/// The largest that the promise of 1.1 units is about, and that it is hardest for.
pub(super) const PROMISED: Bodies = bodies("900 B, random", Kind::Random, 900);

/// Within a megabyte, and more than an item takes once it is compressed.
pub(super) const TOO_LARGE: Bodies = bodies("600 KB, random", Kind::Random, 600 * 1_024);

impl Bodies {
    /// So many bodies, always the same; all that there are, where these are fewer.
    pub(super) fn make(&self, count: usize) -> Result<Vec<Body>> {
        let mut dice = fastrand::Rng::with_seed(self.bytes as u64);
        Ok(match self.kind {
            Kind::Json => (0..count).map(|_| provider(&mut dice, self.bytes)).collect(),
            Kind::Random => (0..count).map(|_| random(&mut dice, self.bytes)).collect(),
            Kind::GitHub => recorded()?.into_iter().take(count).collect(),
        })
    }
}

/// An invoice of a payment provider, with as many lines as fit; the rest is text.
fn provider(dice: &mut fastrand::Rng, bytes: usize) -> Body {
    const WORDS: [&str; 8] =
        ["invoice ", "for ", "the ", "services ", "of ", "last ", "month ", "thank you "];
    let id = |dice: &mut fastrand::Rng, prefix: &str| -> String {
        prefix.chars().chain(std::iter::repeat_with(|| dice.alphanumeric()).take(24)).collect()
    };
    let mut value = json!({
        "id": id(dice, "evt_"), "type": "invoice.paid", "created": 1_790_000_000 + dice.u32(..50_000_000), "livemode": true,
        "data": { "object": {
            "id": id(dice, "in_"), "customer": id(dice, "cus_"), "amount_paid": dice.u32(100..1_000_000), "currency": "eur",
            "description": "", "lines": [],
        } },
    });
    let mut written = value.to_string();
    loop {
        let line = json!({
            "id": id(dice, "il_"), "object": "line_item", "amount": dice.u32(100..100_000), "currency": "eur",
            "description": "1 × Standard plan (at €19.00 / month)", "discountable": true,
            "period": { "start": 1_790_000_000 + dice.u32(..50_000_000), "end": 1_790_000_000 + dice.u32(..50_000_000) },
            "price": id(dice, "price_"), "proration": false, "quantity": dice.u32(1..9), "subscription": id(dice, "sub_"),
        });
        let mut longer = value.clone();
        if let Some(lines) = longer.pointer_mut("/data/object/lines").and_then(Value::as_array_mut)
        {
            lines.push(line);
        }
        if longer.to_string().len() > bytes {
            break;
        }
        (written, value) = (longer.to_string(), longer);
    }
    let mut text = String::new();
    let missing = bytes.saturating_sub(written.len());
    while text.len() < missing {
        text.push_str(dice.choice(WORDS).unwrap_or_default());
    }
    text.truncate(missing);
    if let Some(description) = value.pointer_mut("/data/object/description") {
        *description = Value::from(text);
    }
    Body { event_type: "invoice.paid".to_owned(), bytes: value.to_string().into_bytes() }
}

fn random(dice: &mut fastrand::Rng, bytes: usize) -> Body {
    const FRAME: usize = r#"{"type":"blob","data":""}"#.len();
    let printable = |dice: &mut fastrand::Rng| loop {
        let character = char::from(dice.u8(b' '..=b'~'));
        if !['"', '\\'].contains(&character) {
            return character;
        }
    };
    let data: String =
        std::iter::repeat_with(|| printable(dice)).take(bytes.saturating_sub(FRAME)).collect();
    let written = format!(r#"{{"type":"blob","data":"{data}"}}"#);
    Body { event_type: "blob".to_owned(), bytes: written.into_bytes() }
}

/// GitHub's recorded payloads, minified as GitHub sends them, without those that are there twice.
fn recorded() -> Result<Vec<Body>> {
    let mut files: Vec<_> = fs::read_dir(installed("node/payloads")?)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<std::io::Result<_>>()?;
    files.sort();
    let mut payloads: Vec<Body> = Vec::new();
    for file in files {
        let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let event_type = name.split('.').nth(1).unwrap_or_default().to_owned();
        let bytes = fs::read(&file)?;
        if payloads.iter().all(|it| it.bytes != bytes) {
            payloads.push(Body { event_type, bytes });
        }
    }
    Ok(payloads)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_json_of_the_size_that_they_say_and_differ() {
        for bodies in ALL {
            let made = bodies.make(20).unwrap();
            assert_eq!(made.len(), 20, "{}", bodies.name);
            for (place, body) in made.iter().enumerate() {
                serde_json::from_slice::<Value>(&body.bytes).unwrap();
                if bodies.kind != Kind::GitHub {
                    assert_eq!(body.bytes.len(), bodies.bytes, "{}", bodies.name);
                }
                assert!(made[..place].iter().all(|other| other.bytes != body.bytes));
            }
        }
    }
}
