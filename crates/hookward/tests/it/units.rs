//! What events cost on DynamoDB, in small. docs/write-units.md has it in full.

use std::path::Path;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_use_nothing_and_small_events_under_load_little_more_than_a_unit() {
    let hookward = Path::new(env!("CARGO_BIN_EXE_hookward"));
    let checked = Box::pin(hookward_bench::write_units::check(hookward)).await;
    checked.unwrap_or_else(|wrong| panic!("{wrong}"));
}
