//! A document whose keys stay in the order in which they were written: JSON for programs, YAML for people.

use serde::{
    Serialize, Serializer,
    ser::{SerializeMap as _, SerializeSeq as _},
};

/// A document, or a part of one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Tree {
    Text(String),
    Number(u64),
    Flag(bool),
    List(Vec<Self>),
    Map(Vec<(String, Self)>),
}

impl Tree {
    /// A map with these keys, in this order.
    pub(crate) fn map<K: Into<String>>(entries: impl IntoIterator<Item = (K, Self)>) -> Self {
        Self::Map(entries.into_iter().map(|(key, value)| (key.into(), value)).collect())
    }

    /// A list of texts.
    pub(crate) fn texts<T: Into<String>>(texts: impl IntoIterator<Item = T>) -> Self {
        Self::List(texts.into_iter().map(|text| Self::Text(text.into())).collect())
    }

    /// The document as JSON, indented.
    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("texts, numbers and flags are JSON")
    }

    /// The document as YAML in block style. Texts are in double quotes as in JSON, which YAML reads the same, so that
    /// none of them is taken for something else.
    pub(crate) fn to_yaml(&self) -> String {
        let mut lines = Vec::new();
        self.write_yaml(0, &mut lines);
        lines.join("\n")
    }

    fn write_yaml(&self, depth: usize, lines: &mut Vec<String>) {
        let indent = "  ".repeat(depth);
        match self {
            Self::Map(entries) if !entries.is_empty() => {
                for (key, value) in entries {
                    let key = yaml_key(key);
                    if let Some(short) = value.in_one_line() {
                        lines.push(format!("{indent}{key}: {short}"));
                    } else {
                        lines.push(format!("{indent}{key}:"));
                        value.write_yaml(depth + 1, lines);
                    }
                }
            }
            Self::List(items) if !items.is_empty() => {
                for item in items {
                    let from = lines.len();
                    item.write_yaml(depth + 1, lines);
                    // The first line of an item has the dash where the others are indented.
                    if let Some(first) = lines.get_mut(from) {
                        *first = format!("{indent}- {}", first.trim_start());
                    }
                }
            }
            _ => lines.push(format!("{indent}{}", self.in_one_line().unwrap_or_default())),
        }
    }

    /// What needs no lines of its own.
    fn in_one_line(&self) -> Option<String> {
        match self {
            Self::Text(text) => Some(serde_json::Value::from(text.as_str()).to_string()),
            Self::Number(number) => Some(number.to_string()),
            Self::Flag(flag) => Some(flag.to_string()),
            Self::List(items) if items.is_empty() => Some("[]".to_owned()),
            Self::Map(entries) if entries.is_empty() => Some("{}".to_owned()),
            Self::List(_) | Self::Map(_) => None,
        }
    }
}

/// A key as YAML reads it as a text: some words, such as the condition `Null`, would be something else.
fn yaml_key(key: &str) -> String {
    let plain = key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b':' | b'-'))
        && key.starts_with(|c: char| c.is_ascii_alphabetic());
    let words = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"];
    let special = words.iter().any(|word| key.eq_ignore_ascii_case(word));
    if plain && !special { key.to_owned() } else { serde_json::Value::from(key).to_string() }
}

impl From<&str> for Tree {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Tree {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for Tree {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl From<u32> for Tree {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

impl Serialize for Tree {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Number(number) => serializer.serialize_u64(*number),
            Self::Flag(flag) => serializer.serialize_bool(*flag),
            Self::List(items) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    list.serialize_element(item)?;
                }
                list.end()
            }
            Self::Map(entries) => {
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                for (key, value) in entries {
                    map.serialize_entry(key, value)?;
                }
                map.end()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Tree {
        Tree::map([
            ("Zulu", Tree::from("first: \"quoted\"")),
            ("Alpha", Tree::from(7)),
            (
                "List",
                Tree::List(vec![
                    Tree::map([("Sid", Tree::from("A")), ("Keys", Tree::texts(["e#*", "n"]))]),
                    Tree::texts(["yes", "1"]),
                    Tree::from(true),
                ]),
            ),
            ("Null", Tree::map::<&str>([])),
        ])
    }

    #[test]
    fn json_keeps_the_order_of_keys() {
        let json = sample().to_json();
        assert!(json.find("Zulu").unwrap() < json.find("Alpha").unwrap(), "{json}");
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["List"][0]["Keys"][1], "n");
    }

    #[test]
    fn yaml_is_in_block_style() {
        let expected = r#"
Zulu: "first: \"quoted\""
Alpha: 7
List:
  - Sid: "A"
    Keys:
      - "e#*"
      - "n"
  - - "yes"
    - "1"
  - true
"Null": {}"#;
        assert_eq!(sample().to_yaml(), expected.trim_start());
    }
}
