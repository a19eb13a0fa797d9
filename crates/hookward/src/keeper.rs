//! Keeps a running gateway's secrets up to date: looks them up again now and then, and when a signature was wrong.

use std::{collections::BTreeSet, convert::Infallible, fmt};

use async_trait::async_trait;
use hookward_core::{
    SourceName,
    config::Config,
    secret::{Secret, SecretRef},
};
use hookward_secrets::{
    self as secrets, Look, Renewed, SecretError, Vault, Whole, can_change, pace::pause, sources,
};
use hookward_server::{
    Gateway, Server,
    admin::AdminToken,
    gateway::{LearnSecret, NotLearnt},
};
use tokio::{
    sync::{Mutex, Notify},
    time::{Instant, sleep_until},
};

use crate::{
    failure::Failure,
    settings::{self, ConfigFile, Followed},
};

/// Who keeps the secrets of a running gateway.
pub(crate) struct Keeper {
    file: ConfigFile,
    backends: Box<dyn Look>,
    kept: Mutex<Kept>,
    /// Another configuration may ask for another pace.
    reloaded: Notify,
}

/// The configuration that runs, and what its references have led to.
struct Kept {
    config: Config,
    vault: Vault,
}

impl Keeper {
    /// Looks all secrets up, before anything runs.
    pub(crate) async fn start(
        file: ConfigFile,
        config: Config,
        backends: Box<dyn Look>,
    ) -> Result<(Self, Followed), Failure> {
        let vault = settings::look(&config, &*backends).await;
        let followed = file.follow(&config, &vault)?;
        let kept = Mutex::new(Kept { config, vault });
        Ok((Self { file, backends, kept, reloaded: Notify::new() }, followed))
    }

    /// Makes the server take up another configuration: whole, or not at all. What cannot be looked up now and is known from
    /// before stays.
    pub(crate) async fn reload(&self, server: &Server, config: Config) -> Result<(), Failure> {
        let gateway = server.gateway();
        let mut kept = self.kept.lock().await;
        let mut vault = settings::look(&config, &*self.backends).await;
        let stayed = vault.keep_from(&kept.vault, gateway.clock.elapsed());
        let Followed { routes, token } = self.file.follow(&config, &vault)?;
        let reloaded = server.reload(routes).await;
        reloaded.map_err(|error| Failure::of("certificate not reloaded", &error))?;
        renew_token(server, token);
        *kept = Kept { config, vault };
        for (reference, why) in &stayed {
            stays(gateway, reference, why, true);
        }
        let stayed: Vec<_> = stayed.into_iter().map(|(reference, _)| reference).collect();
        show(gateway, &kept, &stayed);
        self.reloaded.notify_one();
        Ok(())
    }

    /// Keeps them up to date for as long as it is awaited.
    pub(crate) async fn keep(&self, server: &Server) -> Infallible {
        let gateway = server.gateway();
        show(gateway, &*self.kept.lock().await, &[]);
        let mut troubled = false;
        loop {
            let refresh = self.kept.lock().await.config.secrets.refresh;
            let due = Instant::now() + pause(refresh, troubled, fastrand::f64());
            // Doubts do not put off the next look at all secrets.
            while let Some(sources) = self.doubted(gateway, due).await {
                self.renew(server, |config| of_sources(config, &sources)).await;
            }
            if Instant::now() >= due {
                troubled = self.renew(server, settings::references).await;
            }
        }
    }

    /// Waits for doubts until `due`, or until the configuration is another one.
    async fn doubted(&self, gateway: &Gateway, due: Instant) -> Option<BTreeSet<SourceName>> {
        tokio::select! {
            biased;
            () = sleep_until(due) => None,
            () = self.reloaded.notified() => None,
            sources = gateway.doubts.next() => Some(sources),
        }
    }

    /// Looks some secrets up again; whether some of them could not be.
    async fn renew(
        &self,
        server: &Server,
        which: impl FnOnce(&Config) -> Vec<SecretRef> + Send,
    ) -> bool {
        let gateway = server.gateway();
        let mut kept = self.kept.lock().await;
        let mut references = which(&kept.config);
        references.retain(can_change);
        let region = sources::region(&kept.config);
        let looked = self.backends.look(&references, region).await;
        let Kept { config, vault } = &mut *kept;
        let now = gateway.clock.elapsed();
        let (mut changed, mut troubled) = (false, false);
        for (reference, looked) in references.iter().zip(looked) {
            let label = reference.to_string();
            let suits = |secret: &_| settings::suits(config, reference, secret);
            match vault.renew(reference, looked, suits, now) {
                Renewed::Same { recovered } => {
                    if recovered {
                        tracing::info!(secret = label, "the secret can be looked up again");
                    }
                }
                Renewed::Changed => {
                    changed = true;
                    tracing::info!(secret = label, "the secret was changed");
                }
                Renewed::Kept { why, log } => {
                    troubled = true;
                    stays(gateway, reference, &why, log);
                    continue;
                }
            }
            gateway.metrics.secret_seen(&label, vault.is_revoked(reference), now);
        }
        if changed {
            let (Followed { routes, token }, wrong) = settings::go_on(config, vault);
            for wrong in wrong {
                tracing::error!("{}", self.file.listed(&[wrong]));
            }
            server.renew(routes).await;
            renew_token(server, token);
        }
        troubled
    }
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keeper").field("file", &self.file).finish_non_exhaustive()
    }
}

/// A secret that a sender brings goes to the file that the configuration names for it.
#[async_trait]
impl LearnSecret for Keeper {
    async fn learn(&self, source: &SourceName, secret: &Secret) -> Result<(), NotLearnt> {
        let kept = self.kept.lock().await;
        let source = kept.config.source(source.as_str()).ok_or(NotLearnt::Known)?;
        secrets::learn(source, secret).map_err(|why| match why {
            secrets::NotLearnt::Known => NotLearnt::Known,
            secrets::NotLearnt::Failed(why) => NotLearnt::Failed(why),
        })
    }
}

/// `None`: there is no admin API.
fn renew_token(server: &Server, token: Option<AdminToken>) {
    if let Some(token) = token {
        server.renew_token(token);
    }
}

/// Tells that a secret cannot be looked up.
fn stays(gateway: &Gateway, reference: &SecretRef, why: &SecretError, log: bool) {
    let label = reference.to_string();
    gateway.metrics.secret_failed(&label);
    if log {
        let why = Whole(why);
        tracing::error!(
            secret = label,
            "the secret cannot be looked up, the last good one stays: {why}"
        );
    }
}

/// Shows in the metrics which secrets there are; but for those that stayed, they were looked up just now.
fn show(gateway: &Gateway, kept: &Kept, stayed: &[SecretRef]) {
    let mut references = settings::references(&kept.config);
    references.retain(can_change);
    let labels: Vec<_> = references.iter().map(ToString::to_string).collect();
    gateway.metrics.only_secrets(&labels);
    let looked_up = references.iter().zip(&labels).filter(|(it, _)| !stayed.contains(it));
    for (reference, label) in looked_up {
        let revoked = kept.vault.is_revoked(reference);
        gateway.metrics.secret_seen(label, revoked, gateway.clock.elapsed());
    }
}

/// The references of these sources.
fn of_sources(config: &Config, names: &BTreeSet<SourceName>) -> Vec<SecretRef> {
    let sources = config.sources.iter().filter(|source| names.contains(source.name()));
    sources.flat_map(sources::references).cloned().collect()
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        net::TcpStream,
        sync::{Arc, Mutex as StdMutex},
        time::Duration,
    };

    use async_trait::async_trait;
    use bytes::Bytes;
    use hookward_core::{
        Head, Request,
        config::Dialect,
        scheme::Sample,
        secret::{Secret, Validity},
        source::Source,
    };
    use hookward_server::{Clock as _, SystemClock};
    use hookward_store::memory::Memory;
    use http::{HeaderMap, Method};

    use super::*;
    use hookward_secrets::{Verdict, Versions};

    const CONFIG: &str = r#"
[server]
listen = "127.0.0.1:0"
[secrets]
refresh = "5m"
[sources.orders]
provider = "hmac"
secrets = ["aws-sm:orders", "aws-ssm:/orders"]
destination = "app"
[destinations.app]
url = "http://127.0.0.1:9/"
secret = "aws-sm:app"
"#;
    const ONE: &str = "5f1b9c27e0d84a6f93b2c7d1806e4fa2";
    const TWO: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";
    const SIGNING: &str = "whsec_7GfXk0n2QvQm1cZbW9yJtR4uLhEaPsDo3iVxBwKg5fM=";

    /// Says of each secret what a test says, and when it was asked.
    #[derive(Clone, Default)]
    struct Scripted(Arc<StdMutex<Script>>);

    #[derive(Default)]
    struct Script {
        says: Vec<(&'static str, Result<Option<&'static str>, ()>)>,
        asked: Vec<(Instant, usize)>,
    }

    impl Scripted {
        fn new() -> Self {
            let scripted = Self::default();
            scripted.says("aws-sm:orders", Ok(Some(ONE)));
            scripted.says("aws-ssm:/orders", Ok(Some(TWO)));
            scripted.says("aws-sm:app", Ok(Some(SIGNING)));
            scripted
        }

        fn says(&self, reference: &'static str, what: Result<Option<&'static str>, ()>) {
            let mut script = self.0.lock().unwrap();
            script.says.retain(|(known, _)| *known != reference);
            script.says.push((reference, what));
        }

        /// How many seconds lay between two looks, and how many secrets were looked at.
        fn looks(&self) -> Vec<(u64, usize)> {
            let asked = &self.0.lock().unwrap().asked;
            asked.windows(2).map(|two| ((two[1].0 - two[0].0).as_secs(), two[1].1)).collect()
        }
    }

    #[async_trait]
    impl Look for Scripted {
        async fn look(
            &self,
            references: &[SecretRef],
            _: Option<&str>,
        ) -> Vec<Result<Versions, SecretError>> {
            let mut script = self.0.lock().unwrap();
            script.asked.push((Instant::now(), references.len()));
            let looked = references.iter().map(|reference| {
                let says = |verdict| SecretError::Amazon {
                    reference: reference.clone(),
                    verdict,
                    why: "the test says so".to_owned(),
                };
                let (_, said) =
                    script.says.iter().find(|(it, _)| *it == reference.to_string()).unwrap();
                let text = said.map_err(|()| says(Verdict::Unknown))?;
                let secret = text.map(|text| Secret::new(text.to_owned()));
                Ok(Versions { current: secret.ok_or_else(|| says(Verdict::Gone)), previous: None })
            });
            looked.collect()
        }
    }

    struct World {
        keeper: Keeper,
        server: Server,
        backends: Scripted,
    }

    impl World {
        async fn start() -> Self {
            let backends = Scripted::new();
            let (config, _) =
                Config::parse(CONFIG, Dialect::File, &mut |_| Err(String::new())).unwrap();
            let file = ConfigFile { config: "hookward.toml".into() };
            let started = Keeper::start(file, config.clone(), Box::new(backends.clone()));
            let (keeper, Followed { routes, .. }) = started.await.unwrap();
            let gateway = Gateway::new(
                Arc::new(Memory::default()),
                SystemClock::start(),
                config.limits.clone(),
                config.server.trusted_proxies.clone(),
                routes,
            );
            let server = Server::start(gateway, &config.server, None).unwrap();
            Self { keeper, server, backends }
        }

        /// Keeps secrets for so long.
        async fn passes(&self, time: Duration) {
            tokio::time::timeout(time, self.keeper.keep(&self.server)).await.unwrap_err();
        }

        /// What a holder of this secret would send.
        fn signed(&self, secret: &str) -> (HeaderMap, Bytes) {
            let body = Bytes::from_static(b"{\"id\":\"1\"}");
            let secrets = vec![(Secret::new(secret.to_owned()), Validity::default())];
            let routes = self.server.gateway().routes();
            let sender = Source::new(routes.sources()[0].rules().clone(), secrets).unwrap();
            let mut headers = HeaderMap::new();
            headers.insert("content-type", "application/json".parse().unwrap());
            let signed = sender
                .scheme()
                .sign(Sample { id: "1", at: SystemClock::start().now(), body: &body })
                .unwrap();
            for (name, value) in signed.headers {
                headers.insert(name, value.parse().unwrap());
            }
            (headers, body)
        }

        /// Sends what a holder of this secret would; the answer.
        async fn sends(&self, secret: &str) -> String {
            let (headers, body) = self.signed(secret);
            let address = self.server.address();
            let lines = headers
                .iter()
                .map(|(name, value)| format!("{name}: {}\r\n", value.to_str().unwrap()));
            let lines: String = lines.collect();
            let length = body.len();
            let head = format!(
                "POST /hooks/orders HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n{lines}\r\n"
            );
            // The clock does not jump while something is waited for that it knows of.
            let asking = tokio::task::spawn_blocking(move || {
                let mut stream = TcpStream::connect(address).unwrap();
                stream.write_all(&[head.as_bytes(), &body].concat()).unwrap();
                let mut answer = String::new();
                stream.read_to_string(&mut answer).unwrap();
                answer
            });
            asking.await.unwrap()
        }

        /// Whether the running source takes what this secret signs.
        fn takes(&self, secret: &str) -> bool {
            let routes = self.server.gateway().routes();
            let source = routes.sources()[0];
            let now = SystemClock::start().now();
            let (headers, body) = self.signed(secret);
            let head = Head { method: &Method::POST, target: "/hooks/orders", headers: &headers };
            source.verify(Request { head, body }, now).is_ok()
        }
    }

    const HOUR: Duration = Duration::from_hours(1);

    #[tokio::test(start_paused = true)]
    async fn all_secrets_are_looked_up_within_their_time_and_sooner_after_trouble() {
        let world = World::start().await;
        world.passes(HOUR).await;
        let looks = world.backends.looks();
        assert!(looks.len() >= 12, "{looks:?}");
        assert!(looks.iter().all(|it| (240..=300).contains(&it.0) && it.1 == 3), "{looks:?}");
        let before = looks.len();
        world.backends.says("aws-sm:orders", Err(()));
        world.passes(HOUR).await;
        // The first one finds the trouble.
        let looks = world.backends.looks().split_off(before + 1);
        assert!(looks.len() >= 60, "{looks:?}");
        assert!(looks.iter().all(|it| (24..=30).contains(&it.0)), "{looks:?}");
        assert!(world.takes(ONE) && world.takes(TWO));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_gone_is_dead_within_that_time_and_comes_back() {
        let world = World::start().await;
        let refresh = Duration::from_mins(5) + Duration::from_secs(1);
        world.backends.says("aws-sm:orders", Ok(None));
        world.passes(refresh).await;
        assert!(!world.takes(ONE) && world.takes(TWO));
        // A source without any secret takes nothing; what cannot be told does not bring one back.
        world.backends.says("aws-ssm:/orders", Ok(None));
        world.passes(refresh).await;
        assert!(!world.takes(ONE) && !world.takes(TWO));
        world.backends.says("aws-sm:orders", Err(()));
        world.passes(refresh).await;
        assert!(!world.takes(ONE));
        world.backends.says("aws-sm:orders", Ok(Some(ONE)));
        world.passes(refresh).await;
        assert!(world.takes(ONE) && !world.takes(TWO));
    }

    #[tokio::test(start_paused = true)]
    async fn wrong_signatures_make_a_sources_secrets_be_looked_up_and_put_nothing_off() {
        let world = World::start().await;
        let forging = async {
            for _ in 0..10 {
                tokio::time::sleep(Duration::from_secs(20)).await;
                let answer = world.sends("7c6d5e4f3a2b1c0d9e8f7a6b5c4d3e2f").await;
                assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
            }
        };
        let ((), ()) = tokio::join!(world.passes(Duration::from_secs(301)), forging);
        // By the clock of the gateway, which does not stand still, that was at a stroke.
        let looks = world.backends.looks();
        assert_eq!(looks.iter().map(|it| it.1).collect::<Vec<_>>(), [2, 3], "{looks:?}");
        assert_eq!(looks[0].0, 20);
        assert!((220..=280).contains(&looks[1].0), "{looks:?}");
    }
}
