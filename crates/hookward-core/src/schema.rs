//! JSON Schema: does a body have the shape that the operator wrote down?
//!
//! The schema comes from the operator, the body from a stranger. So everything that could run away on
//! a crafted body is taken from the schema's side: references are never fetched, patterns run on an
//! engine that takes linear time (no look-around, no back-references), and a refusal is explained only
//! where that is cheap.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use jsonschema::{
    Draft, PatternOptions, ReferencingError, ValidationError, Validator,
    error::{TypeKind, ValidationErrorKind},
    paths::LocationSegment,
};
use serde_json::{Map, Value};

/// A compiled JSON Schema.
///
/// The draft is what `$schema` says, draft 4 to 2020-12; without `$schema` it is 2020-12. `format` is
/// checked in every draft, for the formats that the drafts define: whoever writes `"format": "uuid"`
/// for a gateway means it. Unknown formats are ignored, as the drafts demand, and so is `regex`, which
/// would compile a stranger's pattern.
pub struct Schema {
    written: Validator,
    /// The same with every object closed, for [`Additional::Refuse`]. Checked in addition: within `oneOf`
    /// or `not`, closing a part could let something pass that the schema as written refuses.
    closed: Option<Validator>,
    /// All keys in the schema: the property names that an explanation may show.
    names: BTreeSet<Box<str>>,
    recursive: bool,
}

/// What becomes of a property that the schema does not name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Additional {
    /// It is let through, as JSON Schema has it: senders add properties all the time.
    #[default]
    Tolerate,
    /// It is refused, at every depth where the schema names properties.
    ///
    /// A place is left as it is where the schema says `additionalProperties` or `unevaluatedProperties`
    /// itself, and where it names no property at all: `{"type": "object"}` means any object. Composition
    /// keeps working: what `allOf`, `anyOf`, `oneOf`, `$ref` and the like name at a place is named there;
    /// where alternatives overlap, one that lets the body in is enough.
    /// What stands within `not`, `if`, `contains` or `propertyNames` is only a test and is left as it is.
    ///
    /// Drafts before 2019-09 cannot express this for composed schemas: there a place that is composed of
    /// parts that name properties is an error, and a plain `$ref` is followed. In all drafts, references
    /// must be JSON pointers into the same document (`#/$defs/…`).
    Refuse,
}

impl Schema {
    /// Compiles `schema`, or says what is wrong with it.
    pub fn compile(schema: &Value, additional: Additional) -> Result<Self, SchemaError> {
        let written = build(schema)?;
        let closed = match additional {
            Additional::Tolerate => None,
            Additional::Refuse => Some(build(&close(schema, written.draft())?)?),
        };
        let mut names = BTreeSet::new();
        collect_names(schema, &mut names);
        Ok(Self { written, closed, names, recursive: is_recursive(schema) })
    }

    /// Whether `body` has the shape that the schema demands. To be called with a body that
    /// [`json::scan`](crate::json::scan) accepted; anything else than JSON is a violation, too.
    pub fn check(&self, body: &[u8]) -> Result<(), Violation> {
        let Ok(value) = serde_json::from_slice(body) else { return Err(Violation::unexplained()) };
        for validator in [Some(&self.written), self.closed.as_ref()].into_iter().flatten() {
            if !validator.is_valid(&value) {
                return Err(self.explain(validator, &value, body.len()));
            }
        }
        Ok(())
    }

    /// Listing errors tries all alternatives at all depths without remembering any: with a recursive
    /// schema that is exponential in the depth of the body (20 levels: 27 s). `is_valid` remembers.
    fn explain(&self, validator: &Validator, value: &Value, body_len: usize) -> Violation {
        if self.recursive || body_len > EXPLAINED_BYTES_MAX {
            return Violation::unexplained();
        }
        let mut errors = validator.iter_errors(value);
        let breaches = errors.by_ref().take(BREACHES_MAX).map(|error| self.breach(&error));
        Violation { breaches: breaches.collect(), more: errors.next().is_some() }
    }

    fn breach(&self, error: &ValidationError<'_>) -> Breach {
        let mut at = String::new();
        for segment in error.instance_path().segments() {
            at.push('/');
            match segment {
                LocationSegment::Index(index) => at.push_str(&index.to_string()),
                LocationSegment::Property(name) if self.names.contains(&*name) => {
                    at.push_str(&escape(&name));
                }
                LocationSegment::Property(_) => at.push('*'),
            }
        }
        Breach { at, keyword: error.kind().keyword().to_owned(), sentence: sentence(error.kind()) }
    }
}

const BREACHES_MAX: usize = 3;

/// The largest body that a refusal is explained for: a breach in each element of a long array would
/// cost a hundred times the check itself.
const EXPLAINED_BYTES_MAX: usize = 64 * 1024;

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let additional =
            if self.closed.is_some() { Additional::Refuse } else { Additional::Tolerate };
        write!(f, "Schema({:?}, {additional:?})", self.written.draft())
    }
}

/// How a body breaks its schema. Holds nothing of the body: no value, and no name that the schema does
/// not have as well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Three at most. Empty where finding them would take too long: for recursive schemas and for bodies
    /// above 64 KiB.
    pub breaches: Vec<Breach>,
    /// Whether there are more.
    pub more: bool,
}

impl Violation {
    const fn unexplained() -> Self {
        Self { breaches: Vec::new(), more: false }
    }
}

impl std::error::Error for Violation {}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the body does not match the schema")?;
        for (index, breach) in self.breaches.iter().enumerate() {
            write!(f, "{} {breach}", if index == 0 { ":" } else { ";" })?;
        }
        if self.more { f.write_str("; and more") } else { Ok(()) }
    }
}

/// One place where a body breaks its schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// The place in the body, as a JSON pointer; empty for the whole. A property that the schema does not
    /// name is written `*`.
    pub at: String,
    /// The keyword of the schema that is not fulfilled, such as `required`.
    pub keyword: String,
    /// What is the matter, to follow the place: "is not of type integer".
    pub sentence: Cow<'static, str>,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = if self.at.is_empty() { "the whole" } else { &self.at };
        write!(f, "{at} {} ({})", self.sentence, self.keyword)
    }
}

/// In words, with what the schema says and without what the body says.
#[expect(clippy::wildcard_enum_match_arm, reason = "the crate adds keywords; they get plain words")]
fn sentence(kind: &ValidationErrorKind) -> Cow<'static, str> {
    use ValidationErrorKind as Kind;
    match kind {
        Kind::Type { kind: TypeKind::Single(name) } => format!("is not of type {name}").into(),
        Kind::Type { kind: TypeKind::Multiple(_) } => "is of none of the allowed types".into(),
        Kind::Required { property } => format!("lacks the property {property}").into(),
        Kind::AdditionalProperties { .. } | Kind::UnevaluatedProperties { .. } => {
            "has a property that the schema does not name".into()
        }
        Kind::FalseSchema => "must not be there".into(),
        Kind::Enum { .. } => "is none of the allowed values".into(),
        Kind::Constant { .. } => "is not the one allowed value".into(),
        Kind::Format { format } => format!("is not in the format {format}").into(),
        Kind::Pattern { .. } => "does not match the pattern".into(),
        Kind::MinLength { limit } => format!("is shorter than {limit} characters").into(),
        Kind::MaxLength { limit } => format!("is longer than {limit} characters").into(),
        Kind::Minimum { limit } => format!("is less than {limit}").into(),
        Kind::Maximum { limit } => format!("is more than {limit}").into(),
        Kind::ExclusiveMinimum { limit } => format!("is not more than {limit}").into(),
        Kind::ExclusiveMaximum { limit } => format!("is not less than {limit}").into(),
        Kind::MinItems { limit } => format!("has fewer than {limit} items").into(),
        Kind::MaxItems { limit } => format!("has more than {limit} items").into(),
        Kind::MinProperties { limit } => format!("has fewer than {limit} properties").into(),
        Kind::MaxProperties { limit } => format!("has more than {limit} properties").into(),
        Kind::UniqueItems => "has an item twice".into(),
        Kind::AnyOf { .. } | Kind::OneOfNotValid { .. } => "fits none of the alternatives".into(),
        Kind::OneOfMultipleValid { .. } => "fits more than one of the alternatives".into(),
        _ => "does not fulfil the keyword".into(),
    }
}

/// What is wrong with a schema. It is the operator's, so parts of it may be shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// `$schema` names no draft that is known.
    #[error(
        "unknown $schema {0:?}; known are the drafts 4, 6, 7, 2019-09 and 2020-12, \
         such as \"https://json-schema.org/draft/2020-12/schema\""
    )]
    UnknownDraft(String),
    /// A reference leads out of the document.
    #[error(
        "{0:?} is not part of the schema, and references are never fetched; \
         copy what it means into \"$defs\" and refer to it as \"#/$defs/…\""
    )]
    RemoteReference(String),
    /// A reference leads nowhere.
    #[error("a reference leads nowhere: {0}")]
    BrokenReference(String),
    /// A pattern cannot be matched in linear time, or not at all.
    #[error(
        "the pattern at {at} cannot be used: it is not a regular expression, or too large, \
         or has look-around or a back-reference, which would let a crafted body run for hours"
    )]
    Pattern {
        /// Where it is, as a JSON pointer into the schema.
        at: String,
    },
    /// It is not a JSON Schema.
    #[error("not a JSON Schema, at {at:?}: {why}")]
    NotASchema {
        /// Where, as a JSON pointer into the schema.
        at: String,
        /// What is wrong there.
        why: String,
    },
    /// It cannot be told which properties are additional.
    #[error(
        "additional properties cannot be refused at {at:?} of the schema: {why}; change that, or say \
         \"additionalProperties\" or \"unevaluatedProperties\" yourself and tolerate the rest"
    )]
    CannotRefuse {
        /// Where, as a JSON pointer into the schema.
        at: String,
        /// What is in the way.
        why: &'static str,
    },
}

fn build(schema: &Value) -> Result<Validator, SchemaError> {
    jsonschema::options()
        .offline()
        .with_pattern_options(PatternOptions::regex())
        .should_validate_formats(true)
        .with_format("regex", |_: &str| true)
        .build(schema)
        .map_err(|error| schema_error(&error))
}

#[expect(clippy::wildcard_enum_match_arm, reason = "whatever else is wrong is said in words")]
fn schema_error(error: &ValidationError<'_>) -> SchemaError {
    let at = error.instance_path().as_str().to_owned();
    match error.kind() {
        ValidationErrorKind::Referencing(error) => match error {
            ReferencingError::UnknownSpecification { specification } => {
                SchemaError::UnknownDraft(specification.clone())
            }
            ReferencingError::Unretrievable { uri, .. } => {
                SchemaError::RemoteReference(uri.clone())
            }
            other => SchemaError::BrokenReference(other.to_string()),
        },
        ValidationErrorKind::Format { format } if format == "regex" => SchemaError::Pattern { at },
        _ => SchemaError::NotASchema { at, why: error.to_string() },
    }
}

fn collect_names(value: &Value, names: &mut BTreeSet<Box<str>>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                names.insert(name.as_str().into());
                collect_names(member, names);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect_names(item, names)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Whether a reference leads to itself, or to where it cannot be followed.
fn is_recursive(document: &Value) -> bool {
    leads_back(document, document, &mut Vec::new(), &mut BTreeSet::new())
}

fn leads_back<'a>(
    document: &'a Value,
    value: &'a Value,
    open: &mut Vec<&'a str>,
    done: &mut BTreeSet<&'a str>,
) -> bool {
    match value {
        Value::Object(members) => {
            members.iter().any(|(name, member)| match (name.as_str(), member) {
                ("$dynamicRef" | "$recursiveRef", _) => true,
                ("$ref", Value::String(reference)) => {
                    if done.contains(reference.as_str()) {
                        return false;
                    }
                    let Some((_, target)) = resolve(document, reference) else { return true };
                    if open.contains(&reference.as_str()) {
                        return true;
                    }
                    open.push(reference);
                    let back = leads_back(document, target, open, done);
                    open.pop();
                    done.insert(reference);
                    back
                }
                _ => leads_back(document, member, open, done),
            })
        }
        Value::Array(items) => items.iter().any(|item| leads_back(document, item, open, done)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// The pointer and the target of a reference of the form `#/…`.
fn resolve<'a>(document: &'a Value, reference: &'a str) -> Option<(&'a str, &'a Value)> {
    let pointer = reference.strip_prefix('#')?;
    Some((pointer, document.pointer(pointer)?))
}

/// The schema with every place closed that names properties and does not say itself who else may come.
fn close(document: &Value, draft: Draft) -> Result<Value, SchemaError> {
    let modern = matches!(draft, Draft::Draft201909 | Draft::Draft202012);
    let mut plan = Plan {
        document,
        modern,
        visited: BTreeSet::new(),
        closed: BTreeSet::new(),
        parts: BTreeSet::new(),
    };
    plan.visit("", document, Role::Place)?;
    if let Some(both) = plan.closed.intersection(&plan.parts).next() {
        return Err(SchemaError::CannotRefuse {
            at: both.clone(),
            why: "it describes a value of its own and is a part of another schema as well",
        });
    }
    let keyword = if modern { "unevaluatedProperties" } else { "additionalProperties" };
    let mut closed = document.clone();
    for pointer in &plan.closed {
        if let Some(Value::Object(schema)) = closed.pointer_mut(pointer) {
            schema.insert(keyword.to_owned(), Value::Bool(false));
        }
    }
    Ok(closed)
}

/// What a subschema is about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Role {
    /// A value of its own in the body: may be closed.
    Place,
    /// The same value as another schema, which is closed in its stead.
    Part,
    /// Whatever refers to it.
    Definition,
}

/// The keywords with subschemas for the values below.
const PLACES: [&str; 8] = [
    "properties",
    "patternProperties",
    "additionalProperties",
    "unevaluatedProperties",
    "items",
    "prefixItems",
    "additionalItems",
    "unevaluatedItems",
];

/// The keywords with subschemas that all are about the same value.
const JOINT_PARTS: [&str; 3] = ["allOf", "dependentSchemas", "dependencies"];

/// The keywords with subschemas of which one or another is about the same value.
const ALTERNATIVES: [&[&str]; 3] = [&["anyOf"], &["oneOf"], &["then", "else"]];

const DEFINITIONS: [&str; 2] = ["$defs", "definitions"];

/// The subschemas at `keyword`, each with its place: one, a list, or a map of them.
fn subschemas<'a>(
    at: &str,
    schema: &'a Map<String, Value>,
    keyword: &str,
) -> Vec<(String, &'a Value)> {
    let maps = ["properties", "patternProperties", "dependentSchemas", "dependencies"];
    match schema.get(keyword) {
        Some(Value::Object(members))
            if maps.contains(&keyword) || DEFINITIONS.contains(&keyword) =>
        {
            let place = |name: &str| format!("{at}/{keyword}/{}", escape(name));
            members.iter().map(|(name, member)| (place(name), member)).collect()
        }
        Some(Value::Array(items)) => {
            let place = |index| format!("{at}/{keyword}/{index}");
            items.iter().enumerate().map(|(index, item)| (place(index), item)).collect()
        }
        Some(single) => vec![(format!("{at}/{keyword}"), single)],
        None => Vec::new(),
    }
}

fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// Says the schema itself what becomes of further properties?
fn says_itself(schema: &Map<String, Value>) -> bool {
    schema.contains_key("additionalProperties") || schema.contains_key("unevaluatedProperties")
}

/// The subschemas that are all about the same value as `schema`, or may be.
fn own_parts<'a>(at: &str, schema: &'a Map<String, Value>) -> Vec<(String, &'a Value)> {
    let keywords = JOINT_PARTS.iter().chain(ALTERNATIVES.iter().copied().flatten());
    keywords.flat_map(|keyword| subschemas(at, schema, keyword)).collect()
}

struct Plan<'a> {
    document: &'a Value,
    /// Whether there is `unevaluatedProperties`, which sees what the parts name.
    modern: bool,
    visited: BTreeSet<(String, Role)>,
    /// The places to close, as pointers into the document.
    closed: BTreeSet<String>,
    /// What other schemas include by reference.
    parts: BTreeSet<String>,
}

/// The schemas that describe what stands at one key of a place, and whether closing one would refuse
/// what another names.
#[derive(Clone, Default)]
struct Members {
    schemas: BTreeSet<String>,
    closes: bool,
}

impl<'a> Plan<'a> {
    fn visit(&mut self, at: &str, schema: &'a Value, role: Role) -> Result<(), SchemaError> {
        let Value::Object(schema) = schema else { return Ok(()) };
        if !self.visited.insert((at.to_owned(), role)) {
            return Ok(());
        }
        let cannot = |why| Err(SchemaError::CannotRefuse { at: at.to_owned(), why });
        if !at.is_empty() && (schema.contains_key("$id") || schema.contains_key("$anchor")) {
            return cannot("references by $id or $anchor are not followed, only \"#/$defs/…\"");
        }
        if schema.contains_key("$dynamicRef") || schema.contains_key("$recursiveRef") {
            return cannot("dynamic references are not followed, only \"$ref\"");
        }
        if let Some((pointer, target)) = self.reference(at, schema)? {
            if !self.modern {
                // Next to `$ref` all else is ignored, so its target is closed instead.
                return match role {
                    Role::Place => self.visit(pointer, target, role),
                    Role::Part => {
                        self.parts.insert(pointer.to_owned());
                        self.visit(pointer, target, role)
                    }
                    Role::Definition => Ok(()),
                };
            }
            let alone = role != Role::Part
                && !schema.contains_key("properties")
                && !schema.contains_key("patternProperties")
                && own_parts(at, schema).is_empty();
            if !alone {
                self.parts.insert(pointer.to_owned());
            }
        }
        if role == Role::Place {
            let names = self.names_properties(at, schema, &mut Vec::new())?;
            if names && !says_itself(schema) {
                if !self.modern {
                    for (part_at, part) in own_parts(at, schema) {
                        if let Value::Object(part) = part
                            && self.names_properties(&part_at, part, &mut Vec::new())?
                        {
                            return cannot("drafts before 2019-09 cannot close what is composed");
                        }
                    }
                }
                self.closed.insert(at.to_owned());
            }
            let members = self.members(at, schema, &mut Vec::new())?;
            if members.values().any(|members| members.closes && members.schemas.len() > 1) {
                return cannot("two parts that hold at once describe the same property");
            }
        }
        for keyword in PLACES {
            for (at, schema) in subschemas(at, schema, keyword) {
                self.visit(&at, schema, Role::Place)?;
            }
        }
        for (at, schema) in own_parts(at, schema) {
            self.visit(&at, schema, Role::Part)?;
        }
        for keyword in DEFINITIONS {
            for (at, schema) in subschemas(at, schema, keyword) {
                self.visit(&at, schema, Role::Definition)?;
            }
        }
        Ok(())
    }

    fn reference(
        &self,
        at: &str,
        schema: &'a Map<String, Value>,
    ) -> Result<Option<(&'a str, &'a Value)>, SchemaError> {
        let Some(Value::String(reference)) = schema.get("$ref") else { return Ok(None) };
        resolve(self.document, reference).map(Some).ok_or_else(|| SchemaError::CannotRefuse {
            at: at.to_owned(),
            why: "references are followed only if they have the form \"#/$defs/…\"",
        })
    }

    /// Whether properties are named for this value, by the schema or a part of it.
    fn names_properties(
        &self,
        at: &str,
        schema: &'a Map<String, Value>,
        open: &mut Vec<&'a str>,
    ) -> Result<bool, SchemaError> {
        if schema.contains_key("properties") || schema.contains_key("patternProperties") {
            return Ok(true);
        }
        if let Some((pointer, Value::Object(target))) = self.reference(at, schema)?
            && !open.contains(&pointer)
        {
            open.push(pointer);
            let names = self.names_properties(pointer, target, open)?;
            open.pop();
            if names {
                return Ok(true);
            }
        }
        for (at, part) in own_parts(at, schema) {
            if let Value::Object(part) = part
                && self.names_properties(&at, part, open)?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What the schema and its parts describe below this value, by key.
    fn members(
        &self,
        at: &str,
        schema: &'a Map<String, Value>,
        open: &mut Vec<&'a str>,
    ) -> Result<BTreeMap<String, Members>, SchemaError> {
        let mut all: BTreeMap<String, Members> = BTreeMap::new();
        for keyword in ["properties", "items"] {
            for (below, member) in subschemas(at, schema, keyword) {
                let Value::Object(member) = member else { continue };
                let names = self.names_properties(&below, member, &mut Vec::new())?;
                if names || says_itself(member) {
                    let key = below.strip_prefix(at).unwrap_or(&below).to_owned();
                    let members = all.entry(key).or_default();
                    // The same definition twice is no contradiction.
                    let same = member.get("$ref").filter(|_| member.len() == 1);
                    members.schemas.insert(same.map_or(below, ToString::to_string));
                    members.closes |= !says_itself(member);
                }
            }
        }
        let mut join = |members: BTreeMap<String, Members>| {
            for (key, more) in members {
                let members = all.entry(key).or_default();
                members.schemas.extend(more.schemas);
                members.closes |= more.closes;
            }
        };
        if let Some((pointer, Value::Object(target))) = self.reference(at, schema)?
            && !open.contains(&pointer)
        {
            open.push(pointer);
            join(self.members(pointer, target, open)?);
            open.pop();
        }
        for keyword in JOINT_PARTS {
            for (at, part) in subschemas(at, schema, keyword) {
                if let Value::Object(part) = part {
                    join(self.members(&at, part, open)?);
                }
            }
        }
        for keywords in ALTERNATIVES {
            let mut most: BTreeMap<String, Members> = BTreeMap::new();
            for keyword in keywords {
                for (at, part) in subschemas(at, schema, keyword) {
                    let Value::Object(part) = part else { continue };
                    for (key, members) in self.members(&at, part, open)? {
                        let largest = most.entry(key).or_default();
                        let closes = largest.closes || members.closes;
                        if members.schemas.len() > largest.schemas.len() {
                            *largest = members;
                        }
                        largest.closes = closes;
                    }
                }
            }
            join(most);
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// Whether `body` passes under both rules: "kept", "tolerated" (by the first only) or "refused".
    fn check(schema: &Value, body: &Value, expected: &str) {
        let passes = |additional| {
            let schema = Schema::compile(schema, additional).unwrap();
            schema.check(body.to_string().as_bytes()).is_ok()
        };
        let said = match (passes(Additional::Tolerate), passes(Additional::Refuse)) {
            (true, true) => "kept",
            (true, false) => "tolerated",
            (false, false) => "refused",
            (false, true) => "let in by mistake",
        };
        assert_eq!(said, expected, "{body} under {schema}");
    }

    fn says(schema: &Value, additional: Additional, body: &Value) -> String {
        let schema = Schema::compile(schema, additional).unwrap();
        schema.check(body.to_string().as_bytes()).unwrap_err().to_string()
    }

    fn error(schema: &Value, additional: Additional) -> SchemaError {
        Schema::compile(schema, additional).unwrap_err()
    }

    fn draft_7(mut schema: Value) -> Value {
        schema["$schema"] = json!("http://json-schema.org/draft-07/schema#");
        schema
    }

    #[test]
    fn additional_properties_are_refused_at_every_depth() {
        let schema = json!({
            "type": "object",
            "required": ["id"],
            "properties": {
                "id": { "type": "string" },
                "data": { "properties": { "n": { "type": "integer" } } },
                "list": { "type": "array", "items": { "properties": { "sku": {} } } },
                "pair": { "prefixItems": [{ "properties": { "a": {} } }] },
                "any": { "type": "object" },
                "all": {},
            },
            "patternProperties": { "^x-": { "properties": { "v": {} } } },
        });
        for schema in [&schema, &draft_7(schema.clone())] {
            check(schema, &json!({ "id": "1" }), "kept");
            check(schema, &json!({ "id": 1 }), "refused");
            check(schema, &json!({ "id": "1", "is_admin": true }), "tolerated");
            check(schema, &json!({ "id": "1", "data": { "n": 1 } }), "kept");
            check(schema, &json!({ "id": "1", "data": { "n": 1, "ttl": 1 } }), "tolerated");
            check(schema, &json!({ "id": "1", "list": [{ "sku": 1 }, {}] }), "kept");
            check(schema, &json!({ "id": "1", "list": [{ "sku": 1 }, { "x": 1 }] }), "tolerated");
            check(schema, &json!({ "id": "1", "any": { "x": 1 }, "all": { "y": 1 } }), "kept");
            check(schema, &json!({ "id": "1", "x-a": { "v": 1 } }), "kept");
            check(schema, &json!({ "id": "1", "x-a": { "w": 1 } }), "tolerated");
        }
        check(&schema, &json!({ "id": "1", "pair": [{ "b": 1 }] }), "tolerated");
    }

    #[test]
    fn what_the_schema_says_itself_stands() {
        let schema = json!({
            "properties": {
                "open": { "properties": { "a": {} }, "additionalProperties": true },
                "numbers": { "properties": { "a": {} }, "additionalProperties": { "type": "number" } },
                "shut": { "properties": { "a": {} }, "additionalProperties": false },
            },
        });
        for schema in [&schema, &draft_7(schema.clone())] {
            check(schema, &json!({ "open": { "b": "x" } }), "kept");
            check(schema, &json!({ "numbers": { "b": 1 } }), "kept");
            check(schema, &json!({ "numbers": { "b": "x" } }), "refused");
            check(schema, &json!({ "shut": { "b": 1 } }), "refused");
        }
        let root =
            json!({ "properties": { "a": {} }, "unevaluatedProperties": { "type": "number" } });
        check(&root, &json!({ "b": 1 }), "kept");
    }

    #[test]
    fn composition_keeps_working() {
        let schema = json!({
            "$ref": "#/$defs/envelope",
            "allOf": [{ "properties": { "trace": {} } }],
            "oneOf": [
                { "properties": { "type": { "const": "a" }, "data": { "properties": { "x": {} } } } },
                { "properties": { "type": { "const": "b" }, "data": { "$ref": "#/$defs/b" } } },
            ],
            "if": { "required": ["test"] },
            "then": { "properties": { "test": {}, "key": {} } },
            "$defs": {
                "envelope": { "properties": { "id": {}, "type": {} } },
                "b": { "allOf": [{ "properties": { "y": {} } }, { "properties": { "z": {} } }] },
            },
        });
        check(&schema, &json!({ "id": 1, "type": "a", "trace": 1, "data": { "x": 1 } }), "kept");
        check(&schema, &json!({ "id": 1, "type": "b", "data": { "y": 1, "z": 1 } }), "kept");
        check(&schema, &json!({ "id": 1, "type": "a", "data": { "y": 1 } }), "tolerated");
        check(&schema, &json!({ "id": 1, "type": "b", "data": { "y": 1, "x": 1 } }), "tolerated");
        check(&schema, &json!({ "id": 1, "type": "a", "extra": 1 }), "tolerated");
        check(&schema, &json!({ "id": 1, "type": "a", "test": 1, "key": 1 }), "kept");
        check(&schema, &json!({ "id": 1, "type": "a", "key": 1 }), "tolerated");
        check(&schema, &json!({ "id": 1, "type": "c" }), "refused");
    }

    #[test]
    fn a_condition_is_left_as_it_is() {
        let schema = json!({
            "properties": { "kind": { "properties": { "name": {}, "version": {} } }, "list": {} },
            "if": { "properties": { "kind": { "properties": { "name": { "const": "a" } } } } },
            "then": { "required": ["list"] },
            "not": { "properties": { "list": { "properties": { "no": { "const": 1 } } } }, "required": ["list"] },
        });
        check(&schema, &json!({ "kind": { "name": "a", "version": 1 } }), "refused");
        check(&schema, &json!({ "kind": { "name": "b", "version": 1 } }), "kept");
        check(&schema, &json!({ "list": { "no": 1, "other": 1 } }), "refused");
        let closing_would_let_it_in = json!({
            "properties": { "a": {} },
            "oneOf": [
                { "properties": { "a": { "properties": { "x": {} } } } },
                { "properties": { "a": { "required": ["y"] } } },
            ],
        });
        check(&closing_would_let_it_in, &json!({ "a": { "x": 1, "y": 1 } }), "refused");
    }

    #[test]
    fn a_definition_may_be_used_as_a_part_and_as_a_value() {
        let schema = json!({
            "allOf": [{ "$ref": "#/$defs/base" }],
            "properties": { "child": { "$ref": "#/$defs/base" }, "name": {} },
            "$defs": { "base": { "properties": { "id": {}, "next": { "$ref": "#/$defs/base" } } } },
        });
        check(
            &schema,
            &json!({ "id": 1, "name": 1, "child": { "id": 1, "next": { "id": 1 } } }),
            "kept",
        );
        check(&schema, &json!({ "child": { "id": 1, "name": 1 } }), "tolerated");
        check(&schema, &json!({ "child": { "next": { "x": 1 } } }), "tolerated");
        let tree = json!({ "properties": { "v": {}, "sub": { "items": { "$ref": "#" } } } });
        check(&tree, &json!({ "v": 1, "sub": [{ "sub": [{ "v": 1 }] }] }), "kept");
        check(&tree, &json!({ "v": 1, "sub": [{ "sub": [{ "w": 1 }] }] }), "tolerated");
    }

    #[test]
    fn draft_7_is_closed_through_its_references() {
        let schema = draft_7(json!({
            "properties": { "item": { "$ref": "#/definitions/Alias" } },
            "definitions": {
                "Alias": { "$ref": "#/definitions/Item" },
                "Item": { "properties": { "a": {}, "sub": { "$ref": "#/definitions/Item" } } },
            },
            "anyOf": [{ "required": ["item"] }, { "maxProperties": 0 }],
        }));
        check(&schema, &json!({ "item": { "a": 1, "sub": { "a": 1 } } }), "kept");
        check(&schema, &json!({ "item": { "a": 1, "sub": { "b": 1 } } }), "tolerated");
        check(&schema, &json!({ "item": {}, "x": 1 }), "tolerated");
    }

    #[test]
    fn what_cannot_be_closed_is_an_error() {
        let cannot = |schema: &Value| match error(schema, Additional::Refuse) {
            SchemaError::CannotRefuse { at, .. } => {
                assert!(Schema::compile(schema, Additional::Tolerate).is_ok());
                at
            }
            other @ (SchemaError::UnknownDraft(_)
            | SchemaError::RemoteReference(_)
            | SchemaError::BrokenReference(_)
            | SchemaError::Pattern { .. }
            | SchemaError::NotASchema { .. }) => panic!("{other}"),
        };
        let part = |name: &str| json!({ "properties": { "data": { "properties": { name: {} } } } });
        assert_eq!(cannot(&json!({ "allOf": [part("x"), part("y")] })), "");
        assert_eq!(
            cannot(
                &json!({ "allOf": [{ "anyOf": [part("x")] }], "properties": { "data": { "properties": {} } } })
            ),
            ""
        );
        assert_eq!(cannot(&draft_7(json!({ "allOf": [part("x")] }))), "");
        assert_eq!(
            cannot(&draft_7(json!({
                "properties": {
                    "a": { "$ref": "#/definitions/x" },
                    "b": { "allOf": [{ "$ref": "#/definitions/x" }], "additionalProperties": true },
                },
                "definitions": { "x": { "properties": { "y": {} } } },
            }))),
            "/definitions/x"
        );
        assert_eq!(
            cannot(&json!({ "properties": { "a": { "$ref": "#x" }, "b": { "$anchor": "x" } } })),
            "/properties/a"
        );
        check(&json!({ "allOf": [part("x")] }), &json!({ "data": { "x": 1 } }), "kept");
        let open = json!({ "properties": { "data": { "type": "object" } } });
        check(&json!({ "allOf": [open, part("x")] }), &json!({ "data": { "x": 1 } }), "kept");
        let same = json!({ "properties": { "data": { "$ref": "#/$defs/d" } } });
        let twice =
            json!({ "allOf": [same, same], "$defs": { "d": { "properties": { "x": {} } } } });
        check(&twice, &json!({ "data": { "x": 1 } }), "kept");
        check(&twice, &json!({ "data": { "y": 1 } }), "tolerated");
    }

    #[test]
    fn references_are_never_fetched() {
        for reference in [
            "http://169.254.169.254/x",
            "https://example.com/s.json",
            "other.json",
            "file:///etc/passwd",
        ] {
            for schema in
                [json!({ "$ref": reference }), draft_7(json!({ "items": { "$ref": reference } }))]
            {
                let error = error(&schema, Additional::Tolerate);
                assert!(matches!(error, SchemaError::RemoteReference(_)), "{error:?}");
                assert!(error.to_string().contains("$defs"));
            }
        }
        let error = |schema: Value| error(&schema, Additional::Tolerate);
        assert!(matches!(error(json!({ "$ref": "#/$defs/no" })), SchemaError::BrokenReference(_)));
        let unknown = "https://example.com/my-own-draft";
        assert_eq!(
            error(json!({ "$schema": unknown })),
            SchemaError::UnknownDraft(unknown.to_owned())
        );
    }

    #[test]
    fn the_draft_is_what_the_schema_says() {
        let tuple = |draft: &str| json!({ "$schema": draft, "properties": { "p": { "items": [{ "type": "string" }] } } });
        for draft in ["4", "6", "7"] {
            let draft = format!("http://json-schema.org/draft-0{draft}/schema#");
            check(&tuple(&draft), &json!({ "p": [1] }), "refused");
        }
        check(
            &tuple("https://json-schema.org/draft/2019-09/schema"),
            &json!({ "p": [1] }),
            "refused",
        );
        let latest = json!({ "properties": { "p": { "prefixItems": [{ "type": "string" }] } } });
        check(&latest, &json!({ "p": [1] }), "refused");
        check(&draft_7(latest), &json!({ "p": [1] }), "kept");
    }

    #[test]
    fn patterns_take_linear_time_or_are_refused() {
        for pattern in ["(a+)\\1", "(?=a)b", "(?<!a)b", "a{1000}{1000}{1000}", "("] {
            for schema in
                [json!({ "pattern": pattern }), json!({ "patternProperties": { pattern: {} } })]
            {
                assert!(
                    matches!(error(&schema, Additional::Tolerate), SchemaError::Pattern { .. }),
                    "{pattern}"
                );
            }
        }
        let schema = json!({ "properties": { "a": { "pattern": "^(a+)+$" } } });
        check(&schema, &json!({ "a": format!("{}!", "a".repeat(200_000)) }), "refused");
    }

    #[test]
    fn formats_are_checked_but_never_compiled() {
        let schema = json!({ "properties": {
            "u": { "format": "uuid" }, "t": { "format": "date-time" }, "x": { "format": "unix-time" },
            "r": { "format": "regex" },
        } });
        check(
            &schema,
            &json!({ "u": "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "x": "?", "r": "(" }),
            "kept",
        );
        check(&schema, &json!({ "u": "6ba7b810" }), "refused");
        check(&schema, &json!({ "t": "yesterday" }), "refused");
    }

    #[test]
    fn a_violation_says_where_and_why_and_nothing_of_the_body() {
        let schema = json!({
            "required": ["id"],
            "properties": { "a/b": { "items": { "type": "integer" } }, "e": { "enum": ["x"] } },
            "additionalProperties": { "properties": { "name": { "maxLength": 3 } } },
        });
        let tolerate = Additional::Tolerate;
        assert_eq!(
            says(&schema, tolerate, &json!({ "a/b": [1, "secret"] })),
            "the body does not match the schema: the whole lacks the property \"id\" (required); \
             /a~1b/1 is not of type integer (type)"
        );
        assert_eq!(
            says(
                &schema,
                tolerate,
                &json!({ "id": 1, "secret": { "name": "secret" }, "e": "secret" })
            ),
            "the body does not match the schema: /e is none of the allowed values (enum); \
             /*/name is longer than 3 characters (maxLength)"
        );
        assert_eq!(
            says(
                &json!({ "properties": { "a": {} } }),
                Additional::Refuse,
                &json!({ "secret": 1 })
            ),
            "the body does not match the schema: the whole has a property that the schema does not name \
             (unevaluatedProperties)"
        );
        let many = says(&schema, tolerate, &json!({ "id": 1, "a/b": vec!["secret"; 10] }));
        assert!(many.ends_with("; /a~1b/2 is not of type integer (type); and more"), "{many}");
        let compiled = Schema::compile(&schema, Additional::Refuse).unwrap();
        assert_eq!(format!("{compiled:?}"), "Schema(Draft202012, Refuse)");
        assert_eq!(compiled.check(b"{"), Err(Violation::unexplained()));
    }

    #[test]
    fn a_crafted_body_cannot_make_the_explanation_run_away() {
        let schema = json!({ "anyOf": [
            { "properties": { "c": { "$ref": "#" } }, "required": ["x"] },
            { "properties": { "c": { "$ref": "#" } }, "required": ["y"] },
        ] });
        let mut body = json!({});
        for _ in 0..60 {
            body = json!({ "c": body });
        }
        for additional in [Additional::Tolerate, Additional::Refuse] {
            assert_eq!(says(&schema, additional, &body), "the body does not match the schema");
        }
        let list = json!({ "properties": { "a": { "items": { "type": "integer" } } } });
        let long = says(&list, Additional::Tolerate, &json!({ "a": vec!["x"; 100_000] }));
        assert_eq!(long, "the body does not match the schema");
    }

    #[test]
    fn recursion_is_recognised() {
        let recursive = |schema: Value| is_recursive(&schema);
        assert!(recursive(json!({ "items": { "$ref": "#" } })));
        assert!(recursive(json!({ "$ref": "#/$defs/a", "$defs": {
            "a": { "items": { "$ref": "#/$defs/b" } }, "b": { "items": { "$ref": "#/$defs/a" } } } })));
        assert!(recursive(json!({ "$dynamicRef": "#x" })));
        assert!(recursive(json!({ "$ref": "#x", "$defs": { "x": { "$anchor": "x" } } })));
        assert!(!recursive(
            json!({ "$ref": "#/$defs/a", "not": { "$ref": "#/$defs/a" }, "$defs": {
            "a": { "items": { "$ref": "#/$defs/b" } }, "b": { "properties": { "$ref": {} } } } })
        ));
    }

    fn any_schema(composed: &'static [&str]) -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(json!({})),
            Just(json!({ "type": "object" })),
            Just(json!({ "type": "integer" })),
            Just(json!({ "required": ["a"] })),
            Just(json!({ "$ref": "#/$defs/d" })),
        ];
        leaf.prop_recursive(4, 24, 3, move |inner| {
            let properties = prop::collection::hash_map("[ab]", inner.clone(), 0..3);
            prop_oneof![
                4 => properties.prop_map(|properties| json!({ "properties": properties })),
                1 => inner.clone().prop_map(|schema| json!({ "items": schema })),
                1 => inner.clone().prop_map(|schema| json!({ "not": schema })),
                1 => inner.clone().prop_map(|schema| json!({ "properties": { "a": schema }, "additionalProperties": {} })),
                3 => (prop::sample::select(composed), prop::collection::vec(inner, 1..3))
                    .prop_map(|(keyword, parts)| json!({ keyword: parts })),
            ]
        })
    }

    fn any_body() -> impl Strategy<Value = Value> {
        Just(json!(1)).prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                3 => prop::collection::hash_map("[abc]", inner.clone(), 0..3).prop_map(|members| json!(members)),
                1 => prop::collection::vec(inner, 0..2).prop_map(Value::from),
            ]
        })
    }

    proptest! {
        #[test]
        fn refusing_additional_properties_only_ever_refuses_more(
            mut schema in any_schema(&["allOf", "anyOf", "oneOf"]),
            definition in any_schema(&["allOf", "anyOf", "oneOf"]),
            old: bool,
            body in any_body(),
        ) {
            schema["$defs"] = json!({ "d": definition });
            if old {
                schema = draft_7(schema);
            }
            let (Ok(tolerant), Ok(strict)) =
                (Schema::compile(&schema, Additional::Tolerate), Schema::compile(&schema, Additional::Refuse))
            else {
                return Ok(());
            };
            let body = body.to_string();
            if strict.check(body.as_bytes()).is_ok() {
                prop_assert!(tolerant.check(body.as_bytes()).is_ok());
            }
        }

        #[test]
        fn exactly_what_has_a_property_that_nothing_names_is_refused(
            mut schema in any_schema(&["allOf"]),
            definition in any_schema(&["allOf"]),
            old: bool,
            body in any_body(),
        ) {
            schema["$defs"] = json!({ "d": definition });
            if old {
                schema = draft_7(schema);
            }
            // Next to `additionalProperties`, the validator does not tell what `properties` named.
            let text = schema.to_string();
            let Ok(strict) = Schema::compile(&schema, Additional::Refuse) else { return Ok(()) };
            if text.contains("additionalProperties") || text.contains("not") || !strict.written.is_valid(&body) {
                return Ok(());
            }
            // The exact answer, slow and exponential: what the validator evaluated, place by place.
            let evaluation = strict.written.evaluate(&body);
            let mut named: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
            for entry in evaluation.iter_annotations() {
                if let (true, Value::Array(names)) =
                    (entry.schema_location.ends_with("/properties"), entry.annotations.value())
                {
                    let at = named.entry(entry.instance_location.as_str()).or_default();
                    at.extend(names.iter().filter_map(Value::as_str));
                }
            }
            let all_named = named.iter().all(|(at, names)| {
                let members = body.pointer(at).and_then(Value::as_object).unwrap();
                members.keys().all(|name| names.contains(name.as_str()))
            });
            let passes = strict.check(body.to_string().as_bytes()).is_ok();
            prop_assert_eq!(all_named, passes, "{} under {}", body, text);
        }
    }
}
