//! Senders that publish their keys: fetched beside requests, kept when the sender cannot be reached, and never from where a
//! request says. What is sent here are the vectors of `hookward-core`.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use hookward_core::{Timestamp, config::Config};
use hookward_server::ManualClock;
use serde_json::Value;

use crate::{
    application::{Application, Reply},
    wire::{Answer, Letter},
    world::{DELIVERY_SECRET, Setup, World, soon},
};

/// A vector as a request, and the document that its sender publishes.
struct Vectors {
    file: Value,
    path: &'static str,
}

impl Vectors {
    fn of(file: &str, path: &'static str) -> Self {
        Self { file: serde_json::from_str(file).unwrap(), path }
    }

    fn fusionauth() -> Self {
        const FILE: &str = include_str!("../../../hookward-core/tests/vectors/fusionauth.json");
        Self::of(FILE, "/hooks/keyed")
    }

    fn sns() -> Self {
        const FILE: &str = include_str!("../../../hookward-core/tests/vectors/aws-sns.json");
        Self::of(FILE, "/hooks/topic")
    }

    fn letter(&self, name: &str) -> Letter {
        let cases = self.file["cases"].as_array().unwrap();
        let case = cases.iter().find(|case| case["name"] == name).unwrap();
        let letter = Letter::to(self.path, case["body"].as_str().unwrap());
        case["headers"].as_array().unwrap().iter().fold(letter, |letter, line| {
            letter.and(line[0].as_str().unwrap(), line[1].as_str().unwrap())
        })
    }

    fn documents(&self) -> BTreeMap<String, String> {
        serde_json::from_value(self.file["published"]["documents"].clone()).unwrap()
    }

    /// The set of keys, of those with these ids.
    fn set(&self, ids: &[&str]) -> String {
        let mut set: Value =
            serde_json::from_str(self.documents().values().next().unwrap()).unwrap();
        let keys = set["keys"].as_array_mut().unwrap();
        keys.retain(|key| ids.contains(&key["kid"].as_str().unwrap()));
        set.to_string()
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_secs(self.file["now"].as_u64().unwrap())
    }
}

fn here(document: String) -> Reply {
    Reply::Document("max-age=600", document)
}

async fn publisher(clock: &Arc<ManualClock>) -> Application {
    let clock = Arc::clone(clock);
    Application::start(DELIVERY_SECRET, clock).await
}

/// A gateway whose source `keyed` has its keys from there.
async fn begins(setup: Setup, keys: &Application) -> World {
    let source = format!(
        "[sources.keyed]\nprovider = \"fusionauth\"\noptions = {{ jwks = \"http://{}/keys\" }}\ndestination = \"app\"\n",
        keys.address()
    );
    setup.with(&source).begins().await
}

/// Sends until the answer is another than to wait.
async fn sends_until_known(world: &World, letter: &Letter) -> Answer {
    let known = async {
        loop {
            let answer = Box::pin(world.sends(letter)).await;
            if answer.status != 429 {
                return answer;
            }
            assert!(answer.header("retry-after").is_some());
            tokio::task::yield_now().await;
        }
    };
    soon("the keys are known", known).await
}

async fn looks(world: &World, keys: &Application, count: usize, outcome: &str) {
    keys.got(count).await;
    let name = format!("hookward_key_fetches_total{{source=\"keyed\",outcome=\"{outcome}\"}}");
    let counted = async {
        while Box::pin(world.metric(&name)).await.unwrap_or_default() < 1.0 {
            tokio::task::yield_now().await;
        }
    };
    soon("the look is counted", counted).await;
    assert_eq!(keys.deliveries().len(), count);
}

#[tokio::test]
async fn keys_are_fetched_at_the_start_and_a_forgery_costs_the_store_nothing() {
    let (setup, clock) = Setup::default().at_standstill();
    let (vectors, keys) = (Vectors::fusionauth(), publisher(&clock).await);
    keys.always(here(vectors.set(&["first", "second"])));
    let world = begins(setup.delivering_nowhere(), &keys).await;
    looks(&world, &keys, 1, "fetched").await;
    let forged = world.sends(&vectors.letter("RS256 by another key")).await;
    assert_eq!(forged.status, 403);
    let before = world.calls();
    let unknown = world.sends(&vectors.letter("a kid that is not in the set")).await;
    assert_eq!((unknown.status, world.calls()), (403, before));
    assert_eq!(world.sends(&vectors.letter("RS256")).await.status, 200);
    assert_eq!(world.states().await, ["archived"]);
    assert_eq!(world.metric("hookward_keys{source=\"keyed\"}").await, Some(1.0));
    assert_eq!(keys.deliveries()[0].path, "/keys");
}

#[tokio::test]
async fn a_key_that_comes_later_is_picked_up_by_the_request_that_wants_it() {
    let (setup, clock) = Setup::default().at_standstill();
    let (vectors, keys) = (Vectors::fusionauth(), publisher(&clock).await);
    keys.answers([here(vectors.set(&["second"]).replace("\"enc\"", "\"sig\""))]);
    keys.always(here(vectors.set(&["first"])));
    let world = begins(setup.delivering_nowhere(), &keys).await;
    looks(&world, &keys, 1, "fetched").await;
    let letter = vectors.letter("RS256");
    // The set was just read.
    assert_eq!(world.sends(&letter).await.status, 403);
    clock.advance(Duration::from_secs(10));
    let pending = world.sends(&letter).await;
    assert_eq!(pending.status, 429);
    assert_eq!(sends_until_known(&world, &letter).await.status, 200);
    assert_eq!(keys.deliveries().len(), 2);
    // Unknown ids have the set read no more often than that.
    for _ in 0..20 {
        assert_eq!(world.sends(&vectors.letter("a kid that is not in the set")).await.status, 403);
    }
    assert_eq!(keys.deliveries().len(), 2);
}

#[tokio::test]
async fn a_sender_that_cannot_be_reached_keeps_its_keys() {
    let (setup, clock) = Setup::default().at_standstill();
    let (vectors, keys) = (Vectors::fusionauth(), publisher(&clock).await);
    keys.answers([here(vectors.set(&["first"]))]);
    keys.always(Reply::Status(503));
    let world = begins(setup.delivering_nowhere(), &keys).await;
    looks(&world, &keys, 1, "fetched").await;
    clock.advance(Duration::from_mins(10));
    // What wakes the errands is a request whose key is not there.
    assert_eq!(world.sends(&vectors.letter("a kid that is not in the set")).await.status, 429);
    looks(&world, &keys, 2, "failed").await;
    assert_eq!(world.sends(&vectors.letter("RS256")).await.status, 200);
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_what_is_no_set_is_no_set() {
    let (setup, clock) = Setup::default().at_standstill();
    let (vectors, keys) = (Vectors::fusionauth(), publisher(&clock).await);
    let elsewhere = publisher(&clock).await;
    elsewhere.always(here(vectors.set(&["first"])));
    let away = format!("http://{}/keys", elsewhere.address());
    keys.answers([Reply::With(302, "location", away)]);
    keys.always(Reply::Document("no-store", "<p>hello</p>".to_owned()));
    let world = begins(setup.delivering_nowhere(), &keys).await;
    looks(&world, &keys, 1, "failed").await;
    assert_eq!(world.sends(&vectors.letter("RS256")).await.status, 429);
    clock.advance(Duration::from_mins(1));
    assert_eq!(world.sends(&vectors.letter("RS256")).await.status, 429);
    looks(&world, &keys, 2, "unusable").await;
    let before = world.calls();
    assert_eq!(world.sends(&vectors.letter("RS256")).await.status, 429);
    assert_eq!(world.calls(), before, "what is not verified costs no call");
    assert_eq!(elsewhere.deliveries().len(), 0);
}

#[tokio::test]
async fn a_reload_keeps_the_keys() {
    let (setup, clock) = Setup::default().at_standstill();
    let (vectors, keys) = (Vectors::fusionauth(), publisher(&clock).await);
    keys.answers([here(vectors.set(&["first"]))]);
    keys.always(Reply::Status(503));
    let mut world = begins(setup.delivering_nowhere(), &keys).await;
    looks(&world, &keys, 1, "fetched").await;
    world.reloads(|_: &mut Config| {}).await;
    assert_eq!(world.sends(&vectors.letter("RS256")).await.status, 200);
    assert_eq!(keys.deliveries().len(), 1);
}

#[tokio::test]
async fn a_topic_is_confirmed_where_its_certificate_comes_from() {
    let (setup, clock) = Setup::default().at_standstill();
    let (vectors, aws) = (Vectors::sns(), publisher(&clock).await);
    clock.advance(vectors.now().since(Timestamp::from_secs(1_790_000_000)));
    let documents = vectors.documents();
    let (_, certificate) =
        documents.iter().find(|(url, _)| url.contains("0123456789abcdef")).unwrap();
    aws.answers([Reply::Document("max-age=600", certificate.clone())]);
    let source = format!(
        "[sources.topic]\nprovider = \"aws-sns\"\noptions = {{ topics = \"arn:aws:sns:eu-central-1:123456789012:orders\", endpoint = \"http://{}\" }}\n",
        aws.address()
    );
    let world = setup.with(&source).delivering_nowhere().begins().await;
    let confirm = vectors.letter("a confirmation is a question");
    assert_eq!(world.sends(&vectors.letter("a confirmation to elsewhere")).await.status, 403);
    assert_eq!(sends_until_known(&world, &confirm).await.status, 200);
    let asked = aws.got(2).await;
    assert!(asked[0].path.starts_with("/SimpleNotificationService-"), "{}", asked[0].path);
    assert!(asked[1].path.starts_with("/?Action=ConfirmSubscription"), "{}", asked[1].path);
    assert_eq!(world.calls(), 0, "a question is not stored");
    let changed = vectors.letter("a confirmation whose token was changed");
    assert_eq!(world.sends(&changed).await.status, 403);
    assert_eq!(world.sends(&vectors.letter("as sent")).await.status, 200);
    let leaving = vectors.letter("an unsubscription is an event");
    assert_eq!(world.sends(&leaving).await.status, 200);
    assert_eq!(aws.deliveries().len(), 2);
    assert!(!crate::world::log().contains("token1"), "the token is shown");
}
