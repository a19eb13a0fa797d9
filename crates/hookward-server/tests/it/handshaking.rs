//! Senders that ask whether anyone is there, and what they are told.

use std::sync::{Arc, Mutex};

use hookward_core::{SourceName, secret::Secret};
use hookward_server::gateway::{LearnSecret, NotLearnt};

use crate::{
    wire::{Answer, Letter},
    world::Setup,
};

const SECRET: &str = "f93b2c7d1806e4fa25f1b9c27e0d84a6";
const TOKEN: &str = "b7e1c4f09a2d4c3e8f5061728394a5b6";

/// A source of a provider, and what its section says beside its secret.
fn source(provider: &str, more: &str) -> Setup {
    let toml = format!(
        "[sources.it]\nprovider = \"{provider}\"\nsecret = \"{SECRET}\"\n{more}\ndestination = \"app\"\n"
    );
    Setup::default().with(&toml).delivering_nowhere()
}

fn asking(method: &str, query: &str) -> Letter {
    Letter::to(&format!("/hooks/it{query}"), "").by(method)
}

fn said(answer: &Answer) -> (u16, &str) {
    (answer.status, answer.text())
}

#[tokio::test]
async fn who_shows_the_verify_token_gets_its_challenge_back() {
    let world = source("meta", &format!("verify_token = \"{TOKEN}\"")).begins().await;
    let query = |token: &str| {
        format!("?hub.mode=subscribe&hub.verify_token={token}&hub.challenge=1158201444")
    };
    let answer = world.sends(&asking("GET", &query(TOKEN))).await;
    assert_eq!(said(&answer), (200, "1158201444"));
    assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    for wrong in [query("another"), query(""), "?hub.mode=subscribe&hub.challenge=1".to_owned()] {
        let answer = world.sends(&asking("GET", &wrong)).await;
        assert_eq!((answer.status, &*answer.code()), (403, "forbidden"), "{wrong}");
        assert!(!answer.text().contains("1158201444"));
    }
    // Two tokens, of which two readers could take different ones.
    let twice = format!("{}&hub.verify_token={TOKEN}", query("another"));
    assert_eq!(world.sends(&asking("GET", &twice)).await.status, 403);
    // Without a question it is a GET like any other.
    assert_eq!(world.sends(&asking("GET", "")).await.status, 405);
    assert_eq!(world.calls(), 0);
}

#[tokio::test]
async fn without_a_configured_token_nobody_has_the_right_one() {
    let world = source("meta", "").begins().await;
    let query = "?hub.mode=subscribe&hub.verify_token=&hub.challenge=1";
    assert_eq!(world.sends(&asking("GET", query)).await.status, 403);
}

#[tokio::test]
async fn what_is_echoed_is_short_visible_and_no_tag() {
    let world = source("dropbox", "").begins().await;
    let answer = world.sends(&asking("GET", "?challenge=a%20b%2Bc")).await;
    assert_eq!(said(&answer), (200, "a b+c"));
    // What is no text is no question either.
    assert_eq!(world.sends(&asking("GET", "?challenge=%ff")).await.status, 405);
    for value in ["%3Cscript%3E", "a%0d%0ab", "%c3%a9", &"a".repeat(1025)] {
        let answer = world.sends(&asking("GET", &format!("?challenge={value}"))).await;
        assert_eq!(answer.status, 403, "{value}");
        assert!(!answer.text().contains("script"));
    }
    assert_eq!(world.calls(), 0);
}

#[tokio::test]
async fn a_proof_is_made_with_the_sources_secret() {
    let world = source("x", "").begins().await;
    let answer = world.sends(&asking("GET", "?crc_token=challenge_string")).await;
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, SECRET.as_bytes());
    let mac = ring::hmac::sign(&key, b"challenge_string");
    let expected = format!(
        "sha256={}",
        base64::Engine::encode(&base64::engine::general_purpose::STANDARD, mac)
    );
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json(), serde_json::json!({ "response_token": expected }));
    assert_eq!(answer.header("content-type"), Some("application/json"));
}

/// The proof is made with the secret that signs events: what a stranger may have signed is no event.
#[tokio::test]
async fn no_stranger_has_an_event_signed_by_asking() {
    let world = source("x", "").begins().await;
    for event in ["%7B%22for_user_id%22%3A%221%22%7D", "a%26b", "a%20b", "%5B1%5D"] {
        let answer = world.sends(&asking("GET", &format!("?crc_token={event}"))).await;
        assert_eq!(answer.status, 403, "{event}");
    }
    // What may be asked for is not taken as an event, however it is typed.
    let answer = world.sends(&asking("GET", "?crc_token=1234")).await;
    let proof = answer.json()["response_token"].as_str().unwrap().to_owned();
    let forged = Letter::to("/hooks/it", "1234")
        .and("content-type", "application/json")
        .and("x-twitter-webhooks-signature", proof);
    assert_eq!(world.sends(&forged).await.status, 403);
    assert_eq!(world.calls(), 0);
}

#[tokio::test]
async fn a_sender_is_refused_in_the_words_that_it_knows() {
    let world = source("xero", "").begins().await;
    let letter = world.letter("it", "", r#"{"events":[]}"#);
    assert_eq!(world.sends(&letter).await.status, 200);
    let forged = letter.with("x-xero-signature", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    assert_eq!(world.sends(&forged).await.status, 401);

    let world = source("trello", "url = \"https://hooks.test/hooks/it\"").begins().await;
    let answer = world.sends(&asking("HEAD", "")).await;
    assert_eq!(said(&answer), (200, ""));
    let signed = world.letter("it", "", r#"{"action":{"id":"1","type":"a"},"model":{}}"#);
    assert_eq!(world.sends(&signed).await.status, 200);
}

#[derive(Debug, Default)]
struct Kept(Mutex<Vec<String>>);

#[async_trait::async_trait]
impl LearnSecret for Kept {
    async fn learn(&self, source: &SourceName, secret: &Secret) -> Result<(), NotLearnt> {
        let mut kept = self.0.lock().unwrap();
        if !kept.is_empty() {
            return Err(NotLearnt::Known);
        }
        kept.push(format!("{source} {}", secret.expose()));
        Ok(())
    }
}

#[tokio::test]
async fn a_secret_that_a_sender_brings_is_kept_once_and_never_taken_over() {
    let world = source("asana", "").begins().await;
    let asking = |secret: &str| asking("POST", "").and("x-hook-secret", secret);
    // Nobody keeps it: a sender must not believe that somebody does.
    assert_eq!(world.sends(&asking("0f7c3b1e6a5d4928a1b2c3d4e5f60718")).await.status, 403);
    let kept = Arc::new(Kept::default());
    world.gateway().set_learner(Arc::clone(&kept) as Arc<dyn LearnSecret>);
    let answer = world.sends(&asking("0f7c3b1e6a5d4928a1b2c3d4e5f60718")).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("x-hook-secret"), Some("0f7c3b1e6a5d4928a1b2c3d4e5f60718"));
    let second = world.sends(&asking("00000000000000000000000000000000")).await;
    assert_eq!((second.status, second.header("x-hook-secret")), (403, None));
    assert_eq!(*kept.0.lock().unwrap(), ["it 0f7c3b1e6a5d4928a1b2c3d4e5f60718"]);
    assert_eq!(world.calls(), 0);
}

#[tokio::test]
async fn a_question_in_a_body_is_found_where_no_signature_is() {
    let world = source("notion", "").begins().await;
    let kept = Arc::new(Kept::default());
    world.gateway().set_learner(Arc::clone(&kept) as Arc<dyn LearnSecret>);
    let body = r#"{"verification_token":"secret_tMrlL1qK5vuQAh1b6cZGhFChZTSYJlce98V0pYn7yBl"}"#;
    let question = Letter::to("/hooks/it", body).and("content-type", "application/json");
    assert_eq!(world.sends(&question).await.status, 200);
    assert_eq!(kept.0.lock().unwrap().len(), 1);
    let other = Letter::to("/hooks/it", r#"{"id":"1"}"#).and("content-type", "application/json");
    assert_eq!(world.sends(&other).await.status, 403);
}
