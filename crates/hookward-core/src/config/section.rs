//! Sections: tables with a fixed set of keys. A section is declared once, with [`section!`]; reading, schema and
//! reference all come from that declaration, and a key that nothing makes use of is a compiler warning.

use std::fmt;

use serde_json::{Value as Json, json};
use toml::de::{DeTable, DeValue};

use super::{
    Diagnostic, Dialect, Place,
    diagnostic::{did_you_mean, line_and_column, might_be_a_secret, quoted, similar},
    file,
    kind::Kind,
};

/// A table with a fixed set of keys, as it was written.
pub(super) trait Section: Sized {
    /// What it is, line by line.
    const DOC: &'static [&'static str];

    /// The names of its keys.
    const NAMES: &'static [&'static str];

    /// Reads a table. What is wrong is reported and read as if it were not there.
    fn read(table: &DeTable<'_>, spot: Spot, context: &mut Context<'_>) -> Self;

    /// Its keys, in the order in which people should see them.
    fn keys() -> Vec<KeyDoc>;

    /// What of its keys is a section in turn, with its path below `path`.
    fn subsections(path: &str, into: &mut Vec<SectionDoc>);
}

/// Declares a [`Section`]: its keys in the order in which people should see them, each with its kind, its type once read, and
/// what its absence means.
///
/// * `required`: its absence is a mistake.
/// * `optional`: its absence means what the text says.
/// * `default`: its absence means the given value.
/// * `section`: a table in turn, read as an empty one when absent.
macro_rules! section {
    (
        $(#[doc = $doc:literal])+
        $vis:vis struct $name:ident {
            $( $(#[doc = $key_doc:literal])+ $presence:ident $key:ident: $kind:expr => $out:ty $(= $absent:expr)?; )+
        }
    ) => {
        $(#[doc = $doc])+
        #[derive(Debug)]
        $vis struct $name {
            $( $(#[doc = $key_doc])+ $vis $key: $crate::config::section::field!($presence $out), )+
        }

        impl $crate::config::section::Section for $name {
            const DOC: &'static [&'static str] = &[$($doc),+];
            const NAMES: &'static [&'static str] =
                &[$($crate::config::section::bare(stringify!($key))),+];

            fn read(
                table: &toml::de::DeTable<'_>,
                spot: $crate::config::section::Spot,
                context: &mut $crate::config::section::Context<'_>,
            ) -> Self {
                let mut reader = $crate::config::section::Reader::new(Self::NAMES, table, spot, context);
                let read = Self {
                    $( $key: reader.$presence(stringify!($key), &$kind $(, $absent)?), )+
                };
                reader.finish();
                read
            }

            fn keys() -> Vec<$crate::config::section::KeyDoc> {
                vec![$(
                    $crate::config::section::KeyDoc::$presence(
                        stringify!($key), &[$($key_doc),+], &$kind $(, $absent)?
                    ),
                )+]
            }

            fn subsections(path: &str, into: &mut Vec<$crate::config::section::SectionDoc>) {
                $( $crate::config::kind::Kind::subsections(
                    &$kind,
                    &$crate::config::section::below(path, $crate::config::section::bare(stringify!($key))),
                    into,
                ); )+
            }
        }
    };
}
pub(super) use section;

macro_rules! field {
    (required $out:ty) => { $crate::config::section::Slot<$out> };
    (optional $out:ty) => { $crate::config::section::Slot<$out> };
    (default $out:ty) => { $crate::config::section::At<$out> };
    (section $out:ty) => { $crate::config::section::At<$out> };
}
pub(super) use field;

/// A place in the file: of the byte where something begins, and of the key that it belongs to.
#[derive(Clone, Debug)]
pub(super) struct Spot {
    pub offset: usize,
    pub path: String,
}

impl Spot {
    /// The place of a key in the table that is here.
    pub(super) fn key(&self, name: &str, offset: usize) -> Self {
        Self { offset, path: below(&self.path, name) }
    }

    /// The place of an item in the list that is here.
    pub(super) fn item(&self, index: usize, offset: usize) -> Self {
        Self { offset, path: format!("{}[{index}]", self.path) }
    }
}

/// The path of a key below another; a name that is no bare key is quoted, as in TOML.
pub(super) fn below(path: &str, name: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '<' | '>');
    let name = if might_be_a_secret(name) {
        "…".to_owned()
    } else if !name.is_empty() && name.chars().all(is_bare) {
        name.to_owned()
    } else {
        quoted(name)
    };
    if path.is_empty() { name } else { format!("{path}.{name}") }
}

/// A value and where it is written; where a default was filled in, the place of its section.
#[derive(Clone, Debug)]
pub(super) struct At<T> {
    pub value: T,
    pub spot: Spot,
}

/// What there is under a key that may be absent.
#[derive(Clone, Debug)]
pub(super) enum Slot<T> {
    /// Nothing.
    Absent,
    /// Something wrong, which is reported already.
    Wrong,
    /// This.
    Is(At<T>),
}

impl<T> Slot<T> {
    pub(super) fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    pub(super) fn get(&self) -> Option<&At<T>> {
        match self {
            Self::Is(value) => Some(value),
            Self::Absent | Self::Wrong => None,
        }
    }

    pub(super) fn ok(self) -> Option<At<T>> {
        match self {
            Self::Is(value) => Some(value),
            Self::Absent | Self::Wrong => None,
        }
    }

    /// The value alone.
    pub(super) fn value(self) -> Option<T> {
        self.ok().map(|at| at.value)
    }
}

/// What reading a file collects.
#[derive(Debug)]
pub(super) struct Context<'t> {
    text: &'t str,
    pub dialect: Dialect,
    found: Vec<Diagnostic>,
}

impl<'t> Context<'t> {
    pub(super) fn new(text: &'t str, dialect: Dialect) -> Self {
        Self { text, dialect, found: Vec::new() }
    }

    /// An error about what is written there.
    pub(super) fn error(&mut self, spot: &Spot, message: impl fmt::Display) {
        self.found.push(Diagnostic::error(&self.place(spot), message.to_string(), None));
    }

    /// An error, and what to do about it.
    pub(super) fn error_with_help(
        &mut self,
        spot: &Spot,
        message: impl fmt::Display,
        help: impl Into<String>,
    ) {
        self.found.push(Diagnostic::error(
            &self.place(spot),
            message.to_string(),
            Some(help.into()),
        ));
    }

    /// A warning, and what to do about it. What is made up for a trial is not worth any.
    pub(super) fn warning(
        &mut self,
        spot: &Spot,
        message: impl fmt::Display,
        help: impl Into<String>,
    ) {
        if self.dialect != Dialect::Dev {
            let help = Some(help.into()).filter(|help: &String| !help.is_empty());
            self.found.push(Diagnostic::warning(&self.place(spot), message.to_string(), help));
        }
    }

    /// The same about what only a gateway does.
    pub(super) fn gateway_warning(
        &mut self,
        spot: &Spot,
        message: impl fmt::Display,
        help: impl Into<String>,
    ) {
        if !self.dialect.is_library() {
            self.warning(spot, message, help);
        }
    }

    /// An error about what only a gateway does.
    pub(super) fn refuse_gateway_key<T>(&mut self, slot: &Slot<T>, why: &str) {
        if let (true, Some(written)) = (self.dialect.is_library(), slot.get()) {
            self.error_with_help(&written.spot, why, "leave it out: it is for the gateway");
        }
    }

    /// A warning about a place of a gateway's file that is known already.
    pub(super) fn warning_at(&mut self, place: &Place, message: &str, help: &str) {
        if self.dialect == Dialect::File {
            let warning = Diagnostic::warning(place, message.to_owned(), Some(help.to_owned()));
            self.found.push(warning);
        }
    }

    pub(super) fn place(&self, spot: &Spot) -> Place {
        let (line, column) = line_and_column(self.text, spot.offset);
        Place { line, column, path: spot.path.clone() }
    }

    /// Everything that was found, in the order of the file.
    pub(super) fn into_diagnostics(mut self) -> Vec<Diagnostic> {
        self.found.sort_by_key(|it| (it.line, it.column));
        self.found.dedup();
        self.found
    }
}

/// Reads the keys of one table.
pub(super) struct Reader<'a, 'i, 'c, 't> {
    known: &'static [&'static str],
    table: &'a DeTable<'i>,
    spot: Spot,
    context: &'c mut Context<'t>,
}

impl<'a, 'i, 'c, 't> Reader<'a, 'i, 'c, 't> {
    pub(super) fn new(
        known: &'static [&'static str],
        table: &'a DeTable<'i>,
        spot: Spot,
        context: &'c mut Context<'t>,
    ) -> Self {
        Self { known, table, spot, context }
    }

    pub(super) fn optional<K: Kind>(
        &mut self,
        name: &'static str,
        kind: &K,
        _absent: &str,
    ) -> Slot<K::Out> {
        let name = bare(name);
        let Some(value) = self.table.get(name) else {
            // A misspelt key is reported as such: it is not missing too.
            let is_misspelt = self.unknown().any(|(_, written)| self.meant(written) == Some(name));
            return if is_misspelt { Slot::Wrong } else { Slot::Absent };
        };
        let spot = self.spot.key(name, value.span().start);
        match kind.read(value.get_ref(), &spot, self.context) {
            Some(value) => Slot::Is(At { value, spot }),
            None => Slot::Wrong,
        }
    }

    pub(super) fn required<K: Kind>(&mut self, name: &'static str, kind: &K) -> Slot<K::Out> {
        let slot = self.optional(name, kind, "");
        if slot.is_absent() {
            let message = format!("{:?} is missing", bare(name));
            self.context.error_with_help(&self.spot, message, format!("it is {}", kind.words()));
        }
        slot
    }

    pub(super) fn default<K: Kind>(
        &mut self,
        name: &'static str,
        kind: &K,
        absent: K::Out,
    ) -> At<K::Out> {
        let spot = self.spot.key(bare(name), self.spot.offset);
        self.optional(name, kind, "").ok().unwrap_or(At { value: absent, spot })
    }

    pub(super) fn section<K: Kind>(&mut self, name: &'static str, kind: &K) -> At<K::Out> {
        if let Slot::Is(read) = self.optional(name, kind, "") {
            return read;
        }
        let spot = self.spot.key(bare(name), self.spot.offset);
        let empty = DeValue::Table(DeTable::new());
        let value =
            kind.read(&empty, &spot, self.context).expect("a section is read from any table");
        At { value, spot }
    }

    /// Reports the keys that are none.
    pub(super) fn finish(self) {
        let mut unknown: Vec<_> = self.unknown().collect();
        unknown.sort_by_key(|(offset, _)| *offset);
        for (offset, name) in unknown {
            let help = if let Some(note) = file::renamed(&self.spot.path, name) {
                note
            } else if let Some(meant) = self.meant(name) {
                did_you_mean(meant)
            } else if let Some(section) = file::elsewhere(name) {
                format!("it is a key of {section}")
            } else {
                format!("known here: {}", self.known.join(", "))
            };
            let spot = Spot { offset, path: self.spot.path.clone() };
            self.context.error_with_help(&spot, format!("unknown key {}", quoted(name)), help);
        }
    }

    fn unknown(&self) -> impl Iterator<Item = (usize, &'a str)> + use<'a, 'i, 'c, 't> {
        let known = self.known;
        let keys = self.table.keys().map(|key| (key.span().start, &**key.get_ref()));
        keys.filter(move |(_, name)| !known.contains(name))
    }

    /// The key that another one is a slip of.
    fn meant(&self, name: &str) -> Option<&'static str> {
        match file::renamed(&self.spot.path, name) {
            Some(_) => None,
            None => similar(name, self.known.iter().copied()),
        }
    }
}

/// The name of a key whose name is a keyword in Rust.
pub(super) const fn bare(name: &'static str) -> &'static str {
    match name.as_bytes() {
        [b'r', b'#', ..] => name.split_at(2).1,
        _ => name,
    }
}

/// A section, for people.
#[derive(Debug)]
pub(super) struct SectionDoc {
    pub path: String,
    pub doc: String,
    pub keys: Vec<KeyDoc>,
}

impl SectionDoc {
    pub(super) fn of<S: Section>(path: &str) -> Self {
        Self { path: path.to_owned(), doc: joined(S::DOC), keys: S::keys() }
    }
}

/// A key, for people and for editors.
#[derive(Debug)]
pub(super) struct KeyDoc {
    pub name: &'static str,
    pub doc: String,
    pub words: String,
    pub absent: Absent,
    pub schema: Json,
}

/// What the absence of a key means.
#[derive(Debug)]
pub(super) enum Absent {
    /// A mistake.
    Required,
    /// This.
    Means(&'static str),
    /// This value.
    Default(Json),
    /// All the defaults of the section.
    Section,
}

impl KeyDoc {
    pub(super) fn required(name: &'static str, doc: &[&str], kind: &impl Kind) -> Self {
        Self::new(name, doc, kind, Absent::Required)
    }

    pub(super) fn optional(
        name: &'static str,
        doc: &[&str],
        kind: &impl Kind,
        absent: &'static str,
    ) -> Self {
        Self::new(name, doc, kind, Absent::Means(absent))
    }

    #[expect(clippy::needless_pass_by_value, reason = "what the macro has at hand")]
    pub(super) fn default<K: Kind>(
        name: &'static str,
        doc: &[&str],
        kind: &K,
        absent: K::Out,
    ) -> Self {
        let mut key = Self::new(name, doc, kind, Absent::Default(kind.show(&absent)));
        if let (Absent::Default(value), Json::Object(schema)) = (&key.absent, &mut key.schema) {
            schema.insert("default".to_owned(), value.clone());
        }
        key
    }

    pub(super) fn section(name: &'static str, doc: &[&str], kind: &impl Kind) -> Self {
        Self::new(name, doc, kind, Absent::Section)
    }

    fn new(name: &'static str, doc: &[&str], kind: &impl Kind, absent: Absent) -> Self {
        let (doc, mut schema) = (joined(doc), kind.schema());
        if let Json::Object(schema) = &mut schema {
            schema.insert("description".to_owned(), doc.clone().into());
        }
        Self { name: bare(name), doc, words: kind.words(), absent, schema }
    }
}

/// The JSON Schema of a section.
pub(super) fn schema_of<S: Section>() -> Json {
    let keys = S::keys();
    let required: Vec<_> = keys
        .iter()
        .filter(|key| matches!(key.absent, Absent::Required))
        .map(|key| Json::from(key.name))
        .collect();
    let properties: serde_json::Map<_, _> =
        keys.into_iter().map(|key| (key.name.to_owned(), key.schema)).collect();
    let mut schema = json!({
        "type": "object",
        "description": joined(S::DOC),
        "properties": properties,
        "additionalProperties": false,
    });
    if let (false, Json::Object(schema)) = (required.is_empty(), &mut schema) {
        schema.insert("required".to_owned(), required.into());
    }
    schema
}

fn joined(doc: &[&str]) -> String {
    doc.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
}
