//! Settings that were not written as a file: a tree of values, in the language of the file.

use std::fmt::{self, Write as _};

/// A value of settings, as a program holds them. Its `Display` is how the file would write it.
#[derive(Clone, Debug, PartialEq)]
pub enum Written {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Float(f64),
    /// A text.
    Text(String),
    /// A point in time, in RFC 3339.
    Moment(String),
    /// A list.
    List(Vec<Self>),
    /// A table; its keys are unique.
    Table(Vec<(String, Self)>),
}

impl Written {
    /// The text of a file that says this, when it is a table.
    pub(super) fn file(&self) -> String {
        let Self::Table(entries) = self else { return String::new() };
        let mut text = String::new();
        for (key, value) in entries {
            // A line for each: a diagnostic's line is the number of its table.
            writeln!(text, "{} = {value}", Quoted(key)).expect("a string takes everything");
        }
        text
    }
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => write!(f, "{value}"),
            Self::Integer(value) => write!(f, "{value}"),
            Self::Float(value) if value.is_nan() => f.write_str("nan"),
            // Debug writes a point or an exponent, as TOML wants it.
            Self::Float(value) => write!(f, "{value:?}"),
            Self::Text(text) => Quoted(text).fmt(f),
            Self::Moment(text) => f.write_str(text),
            Self::List(items) => {
                f.write_char('[')?;
                for item in items {
                    write!(f, "{item}, ")?;
                }
                f.write_char(']')
            }
            Self::Table(entries) => {
                f.write_char('{')?;
                for (index, (key, value)) in entries.iter().enumerate() {
                    let separator = if index == 0 { "" } else { "," };
                    write!(f, "{separator} {} = {value}", Quoted(key))?;
                }
                f.write_str(" }")
            }
        }
    }
}

/// A text between double quotes, as TOML has it.
struct Quoted<'t>(&'t str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for c in self.0.chars() {
            match c {
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str("\\\\")?,
                c if c.is_control() => write!(f, "\\u{:04x}", u32::from(c))?,
                c => f.write_char(c)?,
            }
        }
        f.write_char('"')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let text = "a \"quoted\" \\ back\u{0}\u{7f}\u{85}\n\té 🦀";
        let inner = Written::Table(vec![(text.to_owned(), Written::Text(text.to_owned()))]);
        let list = Written::List(vec![Written::Float(0.5), Written::Float(3.0), inner]);
        let moment = Written::Moment("2026-12-01T00:00:00+00:00".to_owned());
        let all = Written::Table(vec![
            ("list".to_owned(), list),
            ("a.b".to_owned(), Written::Integer(-7)),
            ("empty".to_owned(), Written::Table(Vec::new())),
            ("none".to_owned(), Written::List(Vec::new())),
            ("flag".to_owned(), Written::Bool(true)),
            ("moment".to_owned(), moment),
        ]);
        let read: toml::Table = all.file().parse().unwrap();
        assert_eq!(read["list"][2][text].as_str(), Some(text));
        assert_eq!(
            (read["list"][0].as_float(), read["list"][1].as_float()),
            (Some(0.5), Some(3.0))
        );
        assert_eq!(read["a.b"].as_integer(), Some(-7));
        assert!(read["empty"].as_table().unwrap().is_empty());
        assert!(read["none"].as_array().unwrap().is_empty());
        assert!(read["flag"].as_bool().unwrap() && read["moment"].is_datetime());
    }
}
