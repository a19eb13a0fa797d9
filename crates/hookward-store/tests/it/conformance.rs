//! Every store and wrapper passes the suite.

use hookward_store::{
    conformance::{Subject, run},
    dynamodb::Completion,
    embedded::Options,
};

use crate::subjects::{
    ClaimsSubject, DynamoDbSubject, EmbeddedSubject, FaultySubject, MemorySubject, SimSubject,
    small,
};

async fn conforms(subject: impl Subject) {
    let broken = run(&subject).await;
    let broken: Vec<String> = broken.iter().map(ToString::to_string).collect();
    assert!(broken.is_empty(), "broken promises:\n{}", broken.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_memory_store_conforms() {
    conforms(MemorySubject::default()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_embedded_store_conforms_on_a_real_disk_with_small_segments() {
    conforms(EmbeddedSubject::new(small())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_embedded_store_conforms_on_a_real_disk_with_one_segment() {
    conforms(EmbeddedSubject::new(Options { segment_bytes: 1024 * 1024, ..Options::default() }))
        .await;
}

#[tokio::test]
async fn the_embedded_store_conforms_on_a_disk_that_loses_power() {
    conforms(SimSubject::new()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_fault_wrapper_conforms_while_there_is_no_fault() {
    conforms(FaultySubject(MemorySubject::default())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_dynamodb_store_conforms() {
    conforms(DynamoDbSubject::new(Completion::Checkpoint, 1024 * 1024)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_dynamodb_store_conforms_with_a_status_on_each_event_and_no_memory_for_bodies() {
    conforms(DynamoDbSubject::new(Completion::Each, 0)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn claims_on_a_table_conform() {
    conforms(ClaimsSubject::new()).await;
}
