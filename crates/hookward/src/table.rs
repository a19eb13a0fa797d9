//! Tables for people.

use comfy_table::{ContentArrangement, Table, presets};

/// A table with these headings, as wide as the terminal allows.
pub(crate) fn with_headings<const N: usize>(headings: [&str; N]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(headings);
    table
}
