//! The configuration file for people and for editors: the same keys, written out.

use std::fmt::Write as _;

use serde_json::{Value as Json, json};

use super::{
    Config,
    file::File,
    section::{Absent, KeyDoc, SectionDoc, schema_of},
};

/// The JSON Schema (2020-12) of the configuration file: editors complete and check with it while one writes.
///
/// It knows single values, not what is wrong between them: [`Config::parse`] has the last word.
pub fn json_schema() -> Json {
    let mut schema = schema_of::<File>();
    if let Json::Object(schema) = &mut schema {
        schema.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
        schema.insert("title".to_owned(), json!("hookward.toml"));
    }
    schema
}

/// The reference of the configuration file, in Markdown.
pub fn reference_markdown() -> String {
    let mut page = String::from(INTRODUCTION);
    page.push_str(Config::EXAMPLE);
    page.push_str(UNITS);
    for section in File::sections().into_iter().skip(1) {
        write_section(&mut page, &section).expect("a string takes everything");
    }
    page
}

fn write_section(page: &mut String, section: &SectionDoc) -> std::fmt::Result {
    write!(page, "\n## `[{}]`\n\n{}\n\n", section.path, section.doc)?;
    page.push_str("| key | takes | when absent | |\n|---|---|---|---|\n");
    section.keys.iter().try_for_each(|key| write_key(page, key))
}

fn write_key(page: &mut String, key: &KeyDoc) -> std::fmt::Result {
    let absent = match &key.absent {
        Absent::Required => "**required**".to_owned(),
        Absent::Means(meaning) => (*meaning).to_owned(),
        Absent::Default(value) => format!("`{value}`"),
        Absent::Section => "all its defaults".to_owned(),
    };
    let cell = |text: &str| text.replace('|', "\\|");
    writeln!(
        page,
        "| `{}` | {} | {} | {} |",
        key.name,
        cell(&key.words).replace('<', "\\<"),
        cell(&absent),
        cell(&key.doc)
    )
}

const INTRODUCTION: &str = "\
<!-- Written by `cargo run -p hookward-core --example write_config_docs`: change the code, not this file. -->

# Configuration

One TOML file. `hookward check` reads it and reports every mistake at once, each with its line and what to do. A key that
is not known is a mistake. [`config.schema.json`](config.schema.json) is its JSON Schema, for editors.

```toml
";

const UNITS: &str = "```

* A **duration** is a whole number and one of `ms`, `s`, `m`, `h`, `d`: `\"30s\"`, `\"30d\"`.
* A **size** is a whole number and one of `B`, `KiB`, `MiB`, `GiB`: `\"256KiB\"`.
* A **rate** is a whole number and one of `/s`, `/m`, `/h`, `/d`: `\"500/s\"`.
* A **secret** is never written here. `\"env:NAME\"` is an environment variable (`\"env:NAME?\"` one that need not be set), `\"file:/path\"` a file's content,
  `\"credential:NAME\"` a credential of systemd, `\"aws-sm:NAME\"` a secret of AWS Secrets Manager (`\"aws-sm:NAME#KEY\"` a key of
  its JSON), `\"aws-ssm:/NAME\"` a `SecureString` parameter: see [Secrets](secrets.md). No secret may serve two purposes.
* A relative **path** is relative to the folder of this file.
* A **JSON pointer** leads to a field of a body: `/data/id`; in a key, `~1` stands for a slash and `~0` for a tilde.
";
