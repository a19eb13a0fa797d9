//! Strict JSON, read once and kept nowhere: is this body what every parser would agree on, and what
//! stands at the few places that matter?
//!
//! Two parsers that read the same bytes differently are an attack: one checks, the other acts. So what
//! parsers are known to disagree on is refused here, RFC 8259 or not: duplicate keys, lone surrogates,
//! a byte order mark, numbers beyond `f64`, deep nesting.

use std::{borrow::Cow, fmt, str::FromStr};

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::limits;

/// Walks `body` once and gives the scalars at `pointers`, or the first reason to refuse it.
///
/// What it accepts is one RFC 8259 text in UTF-8 without byte order mark whose keys are unique in each
/// object (compared after unescaping), whose strings are Unicode, whose numbers fit an `f64` and whose
/// nesting and top level are within `rules`. No tree is built and nothing of the body is copied except
/// the texts that pointers lead to. Takes time in proportion to the body, times the logarithm of the
/// largest object; stack for at most [`DEPTH_LIMIT`] levels.
pub fn scan(body: &[u8], pointers: &Pointers, rules: Rules) -> Result<Found, NotJson> {
    let text = decode(body)?;
    let mut scan = Scan {
        rules,
        keys: Vec::new(),
        found: Found(vec![None; pointers.len]),
        depth: 0,
        reason: None,
    };
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let walked = Walk { scan: &mut scan, node: Some(&pointers.root) }
        .deserialize(&mut deserializer)
        .and_then(|()| deserializer.end());
    match walked {
        Ok(()) => Ok(scan.found),
        Err(error) => Err(scan.why(&error)),
    }
}

/// The text of a body that is strict JSON by the rules for webhooks, its outermost value an object or an array.
pub fn strict(body: &[u8]) -> Result<&str, NotJson> {
    let rules = Rules { depth_max: limits::JSON_DEPTH_MAX, top_level: TopLevel::ObjectOrArray };
    scan(body, &Pointers::default(), rules)?;
    decode(body)
}

/// The deepest nesting that [`Rules::depth_max`] can allow: the JSON parser below has a limit of its own.
pub const DEPTH_LIMIT: usize = 127;

/// What [`scan`] accepts beyond the grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// How deep objects and arrays may nest; `{}` has depth 1. Above [`DEPTH_LIMIT`] means that limit.
    pub depth_max: usize,
    /// What the outermost value may be.
    pub top_level: TopLevel,
}

/// Depth 64, an object outermost: deeper than any webhook seen, shallower than any parser's limit.
impl Default for Rules {
    fn default() -> Self {
        Self { depth_max: 64, top_level: TopLevel::Object }
    }
}

/// What the outermost value may be. A bare string, number, boolean or null never is a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopLevel {
    /// An object.
    Object,
    /// An object, or an array: some senders batch.
    ObjectOrArray,
}

/// The scalars that a scan found, by the order of the [`Pointers`].
#[derive(Clone, Debug, PartialEq)]
pub struct Found(Vec<Option<Scalar>>);

impl Found {
    /// What stands at the pointer with this index; `None` where the body has nothing there (or there is
    /// no such pointer), which is not the same as `null`.
    pub fn get(&self, index: usize) -> Option<&Scalar> {
        self.0.get(index)?.as_ref()
    }
}

/// A value in a body, as far as identity, type and order need to know it.
///
/// Types never meet: the text `"1"` and the integer `1` are different scalars.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar {
    /// A string, unescaped; perhaps empty, perhaps with control characters or NUL in it.
    Text(String),
    /// A number that is written as an integer and fits `i64` or `u64`: its digits, exactly as sent.
    Integer(String),
    /// Any other number, rounded: with a fraction, an exponent, `-0`, or an integer that is too large.
    /// Two different numbers may be equal here, so it must not become an identity.
    Number(f64),
    /// `true` or `false`.
    Bool(bool),
    /// `null`.
    Null,
    /// An object or an array.
    Container,
}

/// Why a body is not strict JSON. No variant holds anything of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotJson {
    /// There is nothing but perhaps white space.
    #[error("the body is empty")]
    Empty,
    /// It starts with a byte order mark.
    #[error("the body starts with a byte order mark")]
    ByteOrderMark,
    /// It is not UTF-8: bytes that are invalid there, or UTF-16 or UTF-32.
    #[error("the body is not UTF-8 ({at})")]
    NotUtf8 {
        /// The first byte that is wrong.
        at: Place,
    },
    /// The outermost value is of another kind than the rules allow.
    #[error("the outermost value is not {}", match .allowed {
        TopLevel::Object => "an object",
        TopLevel::ObjectOrArray => "an object or an array",
    })]
    WrongTopLevel {
        /// What would have been allowed.
        allowed: TopLevel,
    },
    /// Objects and arrays nest too deep.
    #[error("objects and arrays nest deeper than {depth_max} levels ({at})")]
    TooDeep {
        /// How deep they may nest.
        depth_max: usize,
        /// Just behind where the limit was passed.
        at: Place,
    },
    /// An object has the same key twice, perhaps written with different escapes.
    #[error("an object has the same key twice ({at})")]
    DuplicateKey {
        /// Behind the second one; for an object of more than a few keys, where the object ends.
        at: Place,
    },
    /// A number is too large for an `f64`, such as `1e400`.
    #[error("a number is too large ({at})")]
    NumberOutOfRange {
        /// Behind the number.
        at: Place,
    },
    /// A `\u` escape is half of a surrogate pair.
    #[error("a string has half of a surrogate pair ({at})")]
    LoneSurrogate {
        /// Behind the escape.
        at: Place,
    },
    /// A string holds a control character that is not escaped.
    #[error("a string holds a control character that is not escaped ({at})")]
    ControlCharacter {
        /// Behind the character.
        at: Place,
    },
    /// The text ends in the middle of a value.
    #[error("the text ends in the middle of a value ({at})")]
    Truncated {
        /// The end.
        at: Place,
    },
    /// Something follows the outermost value.
    #[error("something follows the outermost value ({at})")]
    TrailingData {
        /// Where it begins.
        at: Place,
    },
    /// The text breaks the grammar in another way.
    #[error("the text breaks the grammar of JSON ({at})")]
    Syntax {
        /// Where.
        at: Place,
    },
}

/// A place in a body, for people: both count from 1, columns are bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The byte within the line; 0 is the line break before it.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// A place in a JSON document: an RFC 6901 JSON pointer, such as `/data/object/id` or `/entry/0/id`.
///
/// Within a key `~1` stands for a slash and `~0` for a tilde. The empty pointer is the whole document.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pointer {
    text: Box<str>,
    keys: Vec<Box<str>>,
}

impl Pointer {
    /// Reads the text form.
    pub fn parse(text: &str) -> Result<Self, NotAPointer> {
        let mut keys = Vec::new();
        if let Some(path) = text.strip_prefix('/') {
            for key in path.split('/') {
                if keys.len() == DEPTH_LIMIT {
                    return Err(NotAPointer::TooLong);
                }
                keys.push(unescape(key).ok_or(NotAPointer::BadEscape)?);
            }
        } else if !text.is_empty() {
            return Err(NotAPointer::NoSlash);
        }
        Ok(Self { text: text.into(), keys })
    }

    /// The one key that it leads through: a field right below the top.
    pub(crate) fn only_key(&self) -> Option<&str> {
        match &self.keys[..] {
            [key] => Some(key),
            _ => None,
        }
    }

    /// The keys that it leads through.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|key| &**key)
    }

    /// The text form, as it was given.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Pointer {
    type Err = NotAPointer;

    fn from_str(text: &str) -> Result<Self, NotAPointer> {
        Self::parse(text)
    }
}

/// Why a text is not a JSON pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAPointer {
    /// It is neither empty nor starts with a slash.
    #[error("a JSON pointer starts with a slash, such as /data/id")]
    NoSlash,
    /// A tilde is followed by something other than 0 or 1.
    #[error("in a JSON pointer a tilde is written ~0 and a slash within a key ~1")]
    BadEscape,
    /// It leads deeper than any document that [`scan`] accepts.
    #[error("a JSON pointer leads at most {DEPTH_LIMIT} levels deep")]
    TooLong,
}

fn unescape(key: &str) -> Option<Box<str>> {
    let mut plain = String::with_capacity(key.len());
    let mut parts = key.split('~');
    plain.push_str(parts.next()?);
    for part in parts {
        let (tilde, rest) = match part.as_bytes().first()? {
            b'0' => ('~', part.strip_prefix('0')?),
            b'1' => ('/', part.strip_prefix('1')?),
            _ => return None,
        };
        plain.push(tilde);
        plain.push_str(rest);
    }
    Some(plain.into())
}

/// Some [`Pointer`]s, compiled so that one scan answers them all.
#[derive(Clone, Debug, Default)]
pub struct Pointers {
    root: Node,
    len: usize,
}

impl Pointers {
    /// Compiles `pointers`; their order gives the index for [`Found::get`]. The same one may be there twice.
    pub fn new(pointers: impl IntoIterator<Item = Pointer>) -> Self {
        let mut compiled = Self::default();
        for pointer in pointers {
            let mut node = &mut compiled.root;
            for key in pointer.keys {
                node = node.child_or_insert(key);
            }
            node.ends.push(compiled.len);
            compiled.len += 1;
        }
        compiled
    }
}

/// The pointers that lead through one place, by their next key.
#[derive(Clone, Debug, Default)]
struct Node {
    /// The pointers that end here.
    ends: Vec<usize>,
    children: Vec<Child>,
}

#[derive(Clone, Debug)]
struct Child {
    key: Box<str>,
    /// The key as an array index, if it is one.
    index: Option<usize>,
    node: Node,
}

impl Node {
    fn at_key(&self, key: &str) -> Option<&Self> {
        self.children.iter().find(|child| *child.key == *key).map(|child| &child.node)
    }

    fn at_index(&self, index: usize) -> Option<&Self> {
        self.children.iter().find(|child| child.index == Some(index)).map(|child| &child.node)
    }

    fn child_or_insert(&mut self, key: Box<str>) -> &mut Self {
        let known = self.children.iter().position(|child| child.key == key);
        let at = known.unwrap_or_else(|| {
            // RFC 6901: digits without leading zeros; `parse` alone would take `+1`.
            let is_index = key.bytes().all(|byte| byte.is_ascii_digit())
                && (key.len() == 1 || !key.starts_with('0'));
            let index = is_index.then(|| key.parse().ok()).flatten();
            self.children.push(Child { key, index, node: Self::default() });
            self.children.len() - 1
        });
        &mut self.children.get_mut(at).expect("found or inserted just above").node
    }
}

/// The body as text, or which encoding mistake it makes.
fn decode(body: &[u8]) -> Result<&str, NotJson> {
    match body {
        [0xEF, 0xBB, 0xBF, ..] | [0xFE, 0xFF, ..] | [0xFF, 0xFE, ..] | [0, 0, 0xFE, 0xFF, ..] => {
            return Err(NotJson::ByteOrderMark);
        }
        // JSON begins with two ASCII characters, so this is UTF-16 or UTF-32.
        [0, _, ..] | [_, 0, ..] => {
            return Err(NotJson::NotUtf8 { at: Place { line: 1, column: 1 } });
        }
        _ => {}
    }
    match std::str::from_utf8(body) {
        Ok(text) if text.bytes().all(is_white_space) => Err(NotJson::Empty),
        Ok(text) => Ok(text),
        Err(error) => {
            let before = body.get(..error.valid_up_to()).unwrap_or_default();
            let mut lines = before.rsplit(|byte| *byte == b'\n');
            let column = lines.next().map_or(0, <[u8]>::len) + 1;
            Err(NotJson::NotUtf8 { at: Place { line: lines.count() + 1, column } })
        }
    }
}

const fn is_white_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// What a walk carries along.
struct Scan<'de> {
    rules: Rules,
    /// The keys of all objects that are open, innermost last.
    keys: Vec<Cow<'de, str>>,
    found: Found,
    depth: usize,
    /// Why the walk was broken off, when that was not the parser's decision.
    reason: Option<Reason>,
}

#[derive(Clone, Copy)]
enum Reason {
    WrongTopLevel,
    TooDeep,
    DuplicateKey,
}

/// Up to this many keys are compared one by one, more are sorted when the object ends. Measured: sorting
/// is as fast from about 30 keys on, and keeps 200,000 keys from costing their square.
const COMPARED_KEYS_MAX: usize = 24;

impl<'de> Scan<'de> {
    fn refuse<E: Error>(&mut self, reason: Reason) -> E {
        self.reason = Some(reason);
        E::custom("refused")
    }

    /// Takes note of a key of the object whose keys begin at `mark`.
    fn note_key<E: Error>(&mut self, mark: usize, key: Cow<'de, str>) -> Result<(), E> {
        let others = self.keys.get(mark..).unwrap_or_default();
        if others.len() < COMPARED_KEYS_MAX && others.contains(&key) {
            return Err(self.refuse(Reason::DuplicateKey));
        }
        self.keys.push(key);
        Ok(())
    }

    /// Forgets the keys of the object that ends here, after a look at those that were not compared yet.
    fn forget_keys<E: Error>(&mut self, mark: usize) -> Result<(), E> {
        let keys = self.keys.get_mut(mark..).unwrap_or_default();
        if keys.len() > COMPARED_KEYS_MAX {
            keys.sort_unstable();
            if keys.array_windows().any(|[a, b]| a == b) {
                return Err(self.refuse(Reason::DuplicateKey));
            }
        }
        self.keys.truncate(mark);
        Ok(())
    }

    fn why(&self, error: &serde_json::Error) -> NotJson {
        let at = Place { line: error.line(), column: error.column() };
        let depth_max = self.rules.depth_max.min(DEPTH_LIMIT);
        match self.reason {
            Some(Reason::WrongTopLevel) => {
                return NotJson::WrongTopLevel { allowed: self.rules.top_level };
            }
            Some(Reason::TooDeep) => return NotJson::TooDeep { depth_max, at },
            Some(Reason::DuplicateKey) => return NotJson::DuplicateKey { at },
            None => {}
        }
        if error.is_eof() {
            return NotJson::Truncated { at };
        }
        // serde_json tells its reasons apart in words only.
        let words = error.to_string();
        let says = |start| words.starts_with(start);
        if says("recursion limit exceeded") {
            NotJson::TooDeep { depth_max, at }
        } else if says("trailing characters") {
            NotJson::TrailingData { at }
        } else if says("number out of range") {
            NotJson::NumberOutOfRange { at }
        } else if says("lone leading surrogate") || says("unexpected end of hex escape") {
            NotJson::LoneSurrogate { at }
        } else if says("control character") {
            NotJson::ControlCharacter { at }
        } else {
            NotJson::Syntax { at }
        }
    }
}

/// Reads one value. `node` is there if pointers lead to or through it.
struct Walk<'s, 'de, 'p> {
    scan: &'s mut Scan<'de>,
    node: Option<&'p Node>,
}

impl Walk<'_, '_, '_> {
    fn found(&mut self, scalar: impl FnOnce() -> Scalar) {
        if let Some(node) = self.node
            && !node.ends.is_empty()
        {
            let scalar = scalar();
            for end in &node.ends {
                if let Some(slot) = self.scan.found.0.get_mut(*end) {
                    *slot = Some(scalar.clone());
                }
            }
        }
    }

    fn scalar<E: Error>(mut self, scalar: impl FnOnce() -> Scalar) -> Result<(), E> {
        if self.scan.depth == 0 {
            return Err(self.scan.refuse(Reason::WrongTopLevel));
        }
        self.found(scalar);
        Ok(())
    }

    fn enter<E: Error>(&mut self) -> Result<(), E> {
        if self.scan.depth >= self.scan.rules.depth_max {
            return Err(self.scan.refuse(Reason::TooDeep));
        }
        self.scan.depth += 1;
        self.found(|| Scalar::Container);
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_, 'de, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_, 'de, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.scalar(|| Scalar::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.scalar(|| Scalar::Integer(value.to_string()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.scalar(|| Scalar::Integer(value.to_string()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.scalar(|| Scalar::Number(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        self.scalar(|| Scalar::Text(value.to_owned()))
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.scalar(|| Scalar::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        if self.scan.depth == 0 && self.scan.rules.top_level == TopLevel::Object {
            return Err(self.scan.refuse(Reason::WrongTopLevel));
        }
        self.enter()?;
        let mut index = 0;
        loop {
            let node = self.node.and_then(|node| node.at_index(index));
            if items.next_element_seed(Walk { scan: self.scan, node })?.is_none() {
                break;
            }
            index += 1;
        }
        self.scan.depth -= 1;
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<(), A::Error> {
        self.enter()?;
        let mark = self.scan.keys.len();
        while let Some(key) = members.next_key_seed(Key)? {
            let node = self.node.and_then(|node| node.at_key(&key));
            self.scan.note_key(mark, key)?;
            members.next_value_seed(Walk { scan: self.scan, node })?;
        }
        self.scan.forget_keys(mark)?;
        self.scan.depth -= 1;
        Ok(())
    }
}

/// Reads a key, without a copy where it has no escapes.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E: Error>(self, key: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(key))
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(key.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    const ANY: Rules = Rules { depth_max: DEPTH_LIMIT, top_level: TopLevel::ObjectOrArray };

    /// What a scan says, with the place cut off: places are tested by themselves.
    fn check(body: impl AsRef<[u8]>, expected: &str) {
        let body = body.as_ref();
        let said = match scan(body, &Pointers::default(), ANY) {
            Ok(_) => "accepted".to_owned(),
            Err(reason) => reason.to_string().split(" (").next().unwrap().to_owned(),
        };
        assert_eq!(said, expected, "{}", String::from_utf8_lossy(body));
    }

    fn pointers(texts: &[&str]) -> Pointers {
        Pointers::new(texts.iter().map(|text| Pointer::parse(text).unwrap()))
    }

    fn found(body: &str, pointer: &str) -> Option<Scalar> {
        scan(body.as_bytes(), &pointers(&[pointer]), ANY).unwrap().get(0).cloned()
    }

    #[test]
    fn what_rfc_8259_allows_is_accepted() {
        for body in [
            "{}",
            "[]",
            " \t\r\n{ \"a\" : [ 1 , 2 ] } \n",
            r#"{"":0}"#,
            r#"{"a":{"a":{"a":1}},"b":{"a":1}}"#,
            r#"[{"a":1},{"a":1}]"#,
            r#"{"a":1,"A":2}"#,
            r#"{"min":-1.0e+28,"max":1.0e+28,"zero":-0,"frac":0.1E-2}"#,
            r#"["\u0060\u012a\u12AB","\"\\\/\b\f\n\r\t","\u0000","\ud801\udc37","\uFFFF"]"#,
            "[\"\u{7f}\u{2028}\u{10ffff}\u{1f600}\"]",
            r#"{"e\u0301":1,"\u00e9":2}"#,
            r#"{"__proto__":{"constructor":{"prototype":{}}}}"#,
            "[123e-10000000]",
            "[18446744073709551615,-9223372036854775808,123456789012345678901234567890]",
            "[true,false,null]",
        ] {
            check(body, "accepted");
        }
    }

    #[test]
    fn what_rfc_8259_does_not_allow_is_refused() {
        let syntax = "the text breaks the grammar of JSON";
        for body in [
            "[1,]",
            "[,1]",
            "[1,,2]",
            "[1 true]",
            "[1:2]",
            "{\"a\":1,}",
            "{,}",
            "{\"a\" 1}",
            "{\"a\"::1}",
            "{a:1}",
            "{1:1}",
            "{'a':1}",
            "['a']",
            "[NaN]",
            "[Infinity]",
            "[-Infinity]",
            "[-NaN]",
            "[nul0]",
            "[True]",
            "[+1]",
            "[01]",
            "[-01]",
            "[1.]",
            "[.5]",
            "[-.5]",
            "[1e]",
            "[1e+]",
            "[0x10]",
            "[1_000]",
            "[-]",
            "[\u{ff11}]",
            "[\"\\x00\"]",
            "[\"\\a\"]",
            "[\"\\u12G4\"]",
            "[\"\\U0041\"]",
            "[\u{a0}1]",
            "[\u{b}1]",
            "[1/*no*/]",
            "// no\n[1]",
            "hello",
            "payload=%7B%7D",
            "<xml/>",
            "]",
            "\u{2060}{}",
            "[\"a\u{201d}]\u{201d}\"x]",
        ] {
            check(body, syntax);
        }
        let trailing = "something follows the outermost value";
        for body in ["{} {}", "{}}", "[]]", "{}/**/", "{}#", "{},", "{}\0\0", "[1]x"] {
            check(body, trailing);
        }
        let truncated = "the text ends in the middle of a value";
        for body in
            ["{", "[", "[1", "[1,", "[\"a", "[\"\\", "[\"\\u00", "{\"a\"", "{\"a\":", "[tru"]
        {
            check(body, truncated);
        }
        for body in ["", " ", "\r\n\t "] {
            check(body, "the body is empty");
        }
    }

    #[test]
    fn what_parsers_disagree_on_is_refused() {
        let duplicate = "an object has the same key twice";
        check(r#"{"id":"d1","id":"d2"}"#, duplicate);
        check(r#"{"id":1,"\u0069d":2}"#, duplicate);
        check(r#"{"a":[{"b":{"c":1,"d":2,"c":1}}]}"#, duplicate);
        check(r#"{"a":{"x":1},"a":{"x":1}}"#, duplicate);
        check(r#"{"":1,"":1}"#, duplicate);
        let too_large = "a number is too large";
        check("[1e400]", too_large);
        check("[-1e400]", too_large);
        check(format!("[{}]", "9".repeat(5_000)), too_large);
        check(format!("[{}]", "9".repeat(1_000_000)), too_large);
        let surrogate = "a string has half of a surrogate pair";
        for half in
            [r"\ud800", r"\udc00", r"\ud800\ud800", r"\ud800\u0041", r"\ud800x", r"\ud800\n"]
        {
            check(format!("[\"{half}\"]"), surrogate);
            check(format!("{{\"{half}\":1}}"), surrogate);
        }
        for control in ["\0", "\n", "\t", "\u{1f}"] {
            check(
                format!("[\"{control}\"]"),
                "a string holds a control character that is not escaped",
            );
        }
    }

    #[test]
    fn only_utf_8_without_a_byte_order_mark_is_read() {
        check(b"\xEF\xBB\xBF{}", "the body starts with a byte order mark");
        for body in [
            &b"[\"\xff\"]"[..],
            b"[\"\xc0\xaf\"]",
            b"[\"\xed\xa0\x80\"]",
            b"{\"a\xe5\":1}",
            b"[]\xff",
        ] {
            check(body, "the body is not UTF-8");
        }
        let wide = |encode: fn(u16) -> [u8; 2]| {
            "{\"a\":1}".encode_utf16().flat_map(encode).collect::<Vec<_>>()
        };
        check(wide(u16::to_le_bytes), "the body is not UTF-8");
        check(wide(u16::to_be_bytes), "the body is not UTF-8");
        check(
            "{}".chars().flat_map(|c| u32::from(c).to_le_bytes()).collect::<Vec<_>>(),
            "the body is not UTF-8",
        );
        check(
            "{}".chars().flat_map(|c| u32::from(c).to_be_bytes()).collect::<Vec<_>>(),
            "the body is not UTF-8",
        );
        check(
            [&[0xFF, 0xFE], &wide(u16::to_le_bytes)[..]].concat(),
            "the body starts with a byte order mark",
        );
    }

    #[test]
    fn a_bare_scalar_is_never_a_webhook_and_an_array_only_if_asked_for() {
        for body in ["1", "-1", "1.5", "\"x\"", "\"\"", "null", "true", " false "] {
            check(body, "the outermost value is not an object or an array");
        }
        let rules = Rules::default();
        let wrong = NotJson::WrongTopLevel { allowed: TopLevel::Object };
        assert_eq!(scan(b"[1]", &Pointers::default(), rules), Err(wrong));
        assert_eq!(scan(b"null", &Pointers::default(), rules), Err(wrong));
        assert_eq!(wrong.to_string(), "the outermost value is not an object");
        assert!(scan(b"{\"a\":[1]}", &Pointers::default(), rules).is_ok());
    }

    #[test]
    fn nesting_has_a_limit_of_its_own() {
        let nested = |depth: usize| [vec![b'['; depth], vec![b']'; depth]].concat();
        let depth = |depth_max, body: &[u8]| {
            scan(body, &Pointers::default(), Rules { depth_max, ..ANY }).map(|_| ())
        };
        let too_deep = |depth_max, body: &[u8]| match depth(depth_max, body) {
            Err(NotJson::TooDeep { depth_max, .. }) => depth_max,
            other => panic!("{other:?}"),
        };
        assert_eq!(depth(3, &nested(3)), Ok(()));
        assert_eq!(too_deep(3, &nested(4)), 3);
        assert_eq!(too_deep(2, b"{\"a\":{\"b\":{}}}"), 2);
        assert_eq!(too_deep(0, b"{}"), 0);
        assert_eq!(depth(usize::MAX, &nested(DEPTH_LIMIT)), Ok(()));
        assert_eq!(too_deep(usize::MAX, &nested(DEPTH_LIMIT + 1)), DEPTH_LIMIT);
        check("[".repeat(100_000), "objects and arrays nest deeper than 127 levels");
        check("{\"a\":".repeat(100_000), "objects and arrays nest deeper than 127 levels");
        check("[{\"a\":".repeat(100_000), "objects and arrays nest deeper than 127 levels");
    }

    #[test]
    fn reasons_say_where() {
        let at = |body: &[u8]| scan(body, &Pointers::default(), ANY).unwrap_err().to_string();
        assert_eq!(
            at(b"{\n  \"a\": 1,\n  \"a\": 2\n}"),
            "an object has the same key twice (line 3, column 5)"
        );
        assert_eq!(at(b"[\n\"a\xff\"]"), "the body is not UTF-8 (line 2, column 3)");
        assert_eq!(at(b"\xff"), "the body is not UTF-8 (line 1, column 1)");
        assert_eq!(at(b"{} x"), "something follows the outermost value (line 1, column 4)");
    }

    #[test]
    fn large_objects_are_held_to_the_same_rule() {
        for count in [2, COMPARED_KEYS_MAX - 1, COMPARED_KEYS_MAX, COMPARED_KEYS_MAX + 1, 40, 5_000]
        {
            let object = |keys: &mut dyn Iterator<Item = usize>| {
                let members: Vec<_> = keys.map(|key| format!("\"{key}\":{{\"x\":1}}")).collect();
                format!("{{{}}}", members.join(","))
            };
            check(object(&mut (0..count)), "accepted");
            for twice in [0, count / 2, count - 1] {
                let duplicate = "an object has the same key twice";
                check(object(&mut (0..count).chain([twice])), duplicate);
                check(object(&mut [twice].into_iter().chain(0..count)), duplicate);
            }
        }
    }

    #[test]
    fn pointers_lead_to_scalars_of_their_own_type() {
        let text = |text: &str| Some(Scalar::Text(text.to_owned()));
        let integer = |digits: &str| Some(Scalar::Integer(digits.to_owned()));
        assert_eq!(found(r#"{"data":{"id":"evt_1"}}"#, "/data/id"), text("evt_1"));
        assert_eq!(found(r#"{"data":{"id":1}}"#, "/data/id"), integer("1"));
        assert_eq!(found(r#"{"id":0}"#, "/id"), integer("0"));
        assert_eq!(found(r#"{"id":""}"#, "/id"), text(""));
        assert_eq!(found(r#"{"id":"a\u0000b"}"#, "/id"), text("a\0b"));
        assert_eq!(found(r#"{"\u0069d":"\u00e9"}"#, "/id"), text("é"));
        assert_eq!(found(r#"{"id":12345678901234567890}"#, "/id"), integer("12345678901234567890"));
        assert_eq!(found(r#"{"id":-9223372036854775808}"#, "/id"), integer("-9223372036854775808"));
        assert_eq!(
            found(r#"{"id":18446744073709551616}"#, "/id"),
            Some(Scalar::Number(18_446_744_073_709_551_616.0))
        );
        assert_eq!(found(r#"{"id":1.0}"#, "/id"), Some(Scalar::Number(1.0)));
        assert_eq!(found(r#"{"id":1e2}"#, "/id"), Some(Scalar::Number(100.0)));
        assert_eq!(found(r#"{"id":-0}"#, "/id"), Some(Scalar::Number(-0.0)));
        assert_eq!(found(r#"{"id":true}"#, "/id"), Some(Scalar::Bool(true)));
        assert_eq!(found(r#"{"id":null}"#, "/id"), Some(Scalar::Null));
        assert_eq!(found(r#"{"id":["a"]}"#, "/id"), Some(Scalar::Container));
        assert_eq!(found(r#"{"id":{}}"#, "/id"), Some(Scalar::Container));
        assert_eq!(found(r#"{"id":1}"#, ""), Some(Scalar::Container));
        assert_eq!(found(r#"{"id":1}"#, "/other"), None);
        assert_eq!(found(r#"{"id":1}"#, "/id/deeper"), None);
        assert_eq!(found(r#"{"entry":[{"id":1},{"id":2}]}"#, "/entry/1/id"), integer("2"));
        assert_eq!(found(r#"{"entry":{"1":{"id":3}}}"#, "/entry/1/id"), integer("3"));
        assert_eq!(found("[7,8]", "/01"), None);
        assert_eq!(found("[7,8]", "/+1"), None);
        assert_eq!(found("[7,8]", "/-"), None);
        assert_eq!(found(r#"{"a/b":{"m~n":1}}"#, "/a~1b/m~0n"), integer("1"));
        assert_eq!(found(r#"{"~1":1}"#, "/~01"), integer("1"));
        assert_eq!(found(r#"{"":{"":1}}"#, "//"), integer("1"));
    }

    #[test]
    fn one_scan_answers_all_pointers() {
        let pointers = pointers(&["/a/b", "/a", "/missing", "/a/b", "/c/0"]);
        let found = scan(br#"{"c":[true],"a":{"b":1}}"#, &pointers, Rules::default()).unwrap();
        assert_eq!(found.get(0), Some(&Scalar::Integer("1".to_owned())));
        assert_eq!(found.get(1), Some(&Scalar::Container));
        assert_eq!(found.get(2), None);
        assert_eq!(found.get(3), found.get(0));
        assert_eq!(found.get(4), Some(&Scalar::Bool(true)));
        assert_eq!(found.get(5), None);
    }

    #[test]
    fn a_pointer_is_what_rfc_6901_says() {
        for text in ["", "/", "/a", "/a~1b/~0~1/0", "//", "/ü"] {
            assert_eq!(Pointer::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Pointer::parse("data/id"), Err(NotAPointer::NoSlash));
        assert_eq!(Pointer::parse("$.data.id"), Err(NotAPointer::NoSlash));
        for text in ["/~", "/a~", "/~2", "/~~0", "/~é"] {
            assert_eq!(Pointer::parse(text), Err(NotAPointer::BadEscape), "{text}");
        }
        assert!(Pointer::parse(&"/a".repeat(DEPTH_LIMIT)).is_ok());
        assert_eq!(Pointer::parse(&"/a".repeat(DEPTH_LIMIT + 1)), Err(NotAPointer::TooLong));
    }

    /// All pointers into a value, with the value that is there.
    fn all_pointers(value: &Value, at: &str, into: &mut Vec<String>) {
        into.push(at.to_owned());
        match value {
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    all_pointers(item, &format!("{at}/{index}"), into);
                }
            }
            Value::Object(members) => {
                for (key, member) in members {
                    let key = key.replace('~', "~0").replace('/', "~1");
                    all_pointers(member, &format!("{at}/{key}"), into);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    fn scalar_of(value: &Value) -> Scalar {
        match value {
            Value::Null => Scalar::Null,
            Value::Bool(value) => Scalar::Bool(*value),
            Value::Number(number) if number.is_f64() => Scalar::Number(number.as_f64().unwrap()),
            Value::Number(number) => Scalar::Integer(number.to_string()),
            Value::String(text) => Scalar::Text(text.clone()),
            Value::Array(_) | Value::Object(_) => Scalar::Container,
        }
    }

    /// Accepted means that serde_json reads the same values; refused means that it refuses too, or
    /// that the reason is one of the rules that are ours alone.
    fn agrees_with_serde_json(body: &[u8]) {
        let tree = serde_json::from_slice::<Value>(body);
        match scan(body, &Pointers::default(), ANY) {
            Ok(_) => {
                let tree = tree.expect("accepted here, so accepted there");
                let mut texts = Vec::new();
                all_pointers(&tree, "", &mut texts);
                texts.retain(|text| Pointer::parse(text).is_ok());
                texts.push("/no such key/0".to_owned());
                let pointers = Pointers::new(texts.iter().map(|text| text.parse().unwrap()));
                let found = scan(body, &pointers, ANY).expect("accepted before");
                for (index, text) in texts.iter().enumerate() {
                    assert_eq!(
                        found.get(index),
                        tree.pointer(text).map(scalar_of).as_ref(),
                        "{text}"
                    );
                }
            }
            Err(NotJson::DuplicateKey { .. } | NotJson::WrongTopLevel { .. }) => {}
            Err(reason) => assert!(tree.is_err(), "{reason} in {}", String::from_utf8_lossy(body)),
        }
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        let key = prop_oneof!["[a-c~/0-2]{0,2}", any::<String>()];
        leaf.prop_recursive(5, 60, 20, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::hash_map(key.clone(), inner, 0..20)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_bytes_get_the_verdict_of_serde_json(body in prop::collection::vec(any::<u8>(), 0..64)) {
            agrees_with_serde_json(&body);
        }

        #[test]
        fn any_json_like_text_gets_the_verdict_of_serde_json(
            body in r#"[\[{]([\[\]{}",:\\0-9eEu.+ \n-]|"a"|"b":|\\ud8|true|null|1,|é){0,40}[}\]]"#,
        ) {
            agrees_with_serde_json(body.as_bytes());
        }

        #[test]
        fn any_document_is_read_as_serde_json_reads_it(
            value in any_value(),
            pretty: bool,
            flip in any::<prop::sample::Index>(),
            to: Option<u8>,
        ) {
            let mut body = if pretty { serde_json::to_vec_pretty(&value) } else { serde_json::to_vec(&value) }.unwrap();
            if let Some(to) = to {
                let at = flip.index(body.len());
                body[at] = to;
            } else if value.is_object() || value.is_array() {
                prop_assert!(scan(&body, &Pointers::default(), ANY).is_ok());
            }
            agrees_with_serde_json(&body);
        }

        #[test]
        fn any_text_that_is_a_pointer_is_written_as_it_was_read(text in "(/|~|0|1|a|é){0,12}") {
            if let Ok(pointer) = Pointer::parse(&text) {
                prop_assert_eq!(pointer.to_string(), text);
            }
        }
    }
}
