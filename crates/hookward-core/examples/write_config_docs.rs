//! Writes the reference and the JSON Schema of the configuration file, and the page of providers, into `docs/`. A test fails while they differ
//! from what this would write.

use std::{fs, io, path::Path};

use hookward_core::{config, provider};

fn main() -> io::Result<()> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    fs::write(docs.join("configuration.md"), config::reference_markdown())?;
    fs::write(docs.join("providers.md"), provider::reference_markdown())?;
    fs::write(docs.join("config.schema.json"), format!("{:#}\n", config::json_schema()))
}
