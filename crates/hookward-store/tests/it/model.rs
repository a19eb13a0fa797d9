//! The embedded store answers as the model does, over random histories with restarts.

use std::sync::Arc;

use hookward_store::{Store, embedded::Embedded};
use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, RngSeed},
};

use crate::{
    sim::SimDisk,
    story::{Step, World, step},
    subjects::small,
};

proptest! {
    #![proptest_config(Config { cases: 1_500, max_shrink_iters: 4_000, failure_persistence: None, rng_seed: RngSeed::Fixed(2_026), ..Config::default() })]

    #[test]
    fn the_embedded_store_answers_as_the_model_does(steps in vec(step(), 1..80)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        if let Err(difference) = runtime.block_on(tell(&steps)) {
            prop_assert!(false, "{difference}");
        }
    }
}

async fn tell(steps: &[Step]) -> Result<(), String> {
    let disk = Arc::new(SimDisk::default());
    let mut open =
        || -> Arc<dyn Store> { Arc::new(Embedded::open_on(disk.clone(), small()).unwrap()) };
    let mut world = World::new(open());
    for (number, step) in steps.iter().enumerate() {
        world
            .step(step, &mut open)
            .await
            .map_err(|difference| format!("step {number}, {step:?}: {difference}"))?;
    }
    world.compare_all().await?;
    for close in [false, true] {
        world.step(&Step::Restart { close }, &mut open).await?;
        world.compare_all().await?;
    }
    Ok(())
}
