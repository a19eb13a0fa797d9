//! `hookward dev`: a gateway, a sample application and a first round of good and abusive webhooks.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use clap::{Args, ValueEnum};
use hookward_core::{
    config::{Config, Diagnostic, Dialect, LogConfig, LogFormat},
    secret::{Secret, Validity},
};
use hookward_secrets::Vault;
use hookward_server::{Gateway, Server, SystemClock};
use hookward_store::Store;

use crate::{
    failure::Failure,
    logging,
    output::say,
    sample,
    serve::runtime,
    settings::{self, Followed},
    signals::Signals,
};

mod application;
mod home;
mod round;

use application::Application;
use home::Home;

/// Try it: starts a gateway on a store of its own, with generated secrets, and a sample application behind it; sends
/// a round of good and abusive webhooks; then stays up.
#[derive(Debug, Args)]
pub(crate) struct Dev {
    /// Where to take webhooks; a free port when this one is taken
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Where to keep events
    #[arg(long, value_enum, default_value_t = Kind::Embedded)]
    store: Kind,
    /// Show the round and end; fails when an answer is not as it should be
    #[arg(long)]
    once: bool,
    /// Log in detail
    #[arg(short, long)]
    verbose: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// In a temporary folder
    Embedded,
    /// In a new table of a DynamoDB on this machine, such as DynamoDB Local, at `AWS_ENDPOINT_URL_DYNAMODB`. It is deleted at
    /// the end, and what the round cost is shown
    #[value(name = "dynamodb")]
    DynamoDb,
}

/// The secrets of this run.
pub(crate) struct Secrets {
    pub plain: String,
    pub orders: String,
    delivery: String,
    admin: String,
}

impl Secrets {
    fn generate() -> Self {
        use hookward_core::provider::Provider;
        let webhooks =
            || Provider::named("standard-webhooks").map(sample::secret).unwrap_or_default();
        Self {
            plain: sample::random_hex(64),
            orders: webhooks(),
            delivery: webhooks(),
            admin: sample::random_hex(32),
        }
    }
}

/// What one source may send at a stroke here, so that a burst shows.
pub(crate) const BURST: usize = 10;

impl Dev {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let level = if self.verbose { "debug" } else { "error" };
        logging::start(&LogConfig { format: LogFormat::Human, level: level.to_owned() })?;
        let folder = tempfile::tempdir()
            .map_err(|error| Failure::of("cannot make a temporary folder", &error))?;
        let store = match self.store {
            Kind::Embedded => home::in_folder(folder.path()),
            Kind::DynamoDb => home::in_table()?,
        };
        runtime()?.block_on(self.try_it(&store))
    }

    async fn try_it(&self, store: &str) -> Result<(), Failure> {
        // From here on a Ctrl-C leaves nothing behind.
        let signals =
            Signals::listen().map_err(|error| Failure::of("cannot listen to signals", &error))?;
        let secrets = Secrets::generate();
        let delivery = Secret::new(secrets.delivery.clone());
        let application = Application::start(vec![(delivery, Validity::default())]).await?;
        let config = self.config(store, &secrets, &application)?;
        let home = Home::of(&config).await?;
        let shown = self.show(&home, &config, &secrets, &application, signals).await;
        let cleared = home.clear_away().await;
        shown.and(cleared)
    }

    async fn show(
        &self,
        home: &Home<'_>,
        config: &Config,
        secrets: &Secrets,
        application: &Application,
        mut signals: Signals,
    ) -> Result<(), Failure> {
        let store = home.open().await?;
        let server = match start(config, Arc::clone(&store)) {
            Err(_) if self.listen.port() != 0 => {
                let mut config = config.clone();
                config.server.listen.set_port(0);
                start(&config, store)?
            }
            started => started?,
        };
        say!("gateway      http://{}  ({home})", server.address())?;
        say!(
            "application  http://{}  (verifies the gateway's signature, counts what it gets)\n",
            application.address()
        )?;

        let as_expected = round::show(&server, application, secrets).await?;
        home.show_cost(&server.gateway().store.usage())?;
        if !self.once {
            Self::explain(&server, secrets)?;
            signals.stop(|| {}).await;
            say!("")?;
        }
        server
            .stop(Duration::from_secs(5))
            .await
            .map_err(|error| Failure::of("cannot close the store", &error))?;
        if as_expected {
            Ok(())
        } else {
            Err(Failure::new("an answer was not as it should be: see the rows marked !"))
        }
    }

    fn config(
        &self,
        store: &str,
        secrets: &Secrets,
        application: &Application,
    ) -> Result<Config, Failure> {
        let text = format!(
            r#"
[server]
listen = "{listen}"
[admin]
listen = "127.0.0.1:0"
token = "{admin}"
[store]
{store}
[sources.orders]
provider = "standard-webhooks"
secret = "{orders}"
destination = "app"
[sources.plain]
provider = "hmac"
secret = "{plain}"
destination = "app"
budget = "{BURST}/s"
burst = {BURST}
[destinations.app]
url = "http://{application}/webhooks"
secret = "{delivery}"
"#,
            listen = self.listen,
            admin = secrets.admin,
            orders = secrets.orders,
            plain = secrets.plain,
            application = application.address(),
            delivery = secrets.delivery,
        );
        let mut no_files = |path: &Path| Err(format!("{} is not there", path.display()));
        let parsed = Config::parse(&text, Dialect::Dev, &mut no_files);
        let (config, _) = parsed.map_err(|mistakes| listed(&mistakes))?;
        Ok(config)
    }

    fn explain(server: &Server, secrets: &Secrets) -> Result<(), Failure> {
        let address = server.address();
        say!(
            "\nIt stays up until Ctrl-C. Send one of your own, and one more time to see a duplicate:\n"
        )?;
        say!("  body='{{\"id\":\"evt_1\",\"type\":\"order.paid\"}}'")?;
        say!("  secret={}", secrets.plain)?;
        say!(
            "  signature=$(printf %s \"$body\" | openssl dgst -sha256 -hmac \"$secret\" -r | cut -d' ' -f1)"
        )?;
        say!(
            "  curl -i http://{address}/hooks/plain -H 'Content-Type: application/json' -H \"X-Signature: $signature\" -d \"$body\"\n"
        )?;
        if let Some(admin) = server.admin_address() {
            say!("Look at what it counted and kept:\n")?;
            say!("  curl -H 'Authorization: Bearer {}' http://{admin}/metrics", secrets.admin)?;
            say!(
                "  curl -H 'Authorization: Bearer {}' http://{admin}/v1/events?limit=5\n",
                secrets.admin
            )?;
        }
        say!("Then write a configuration of your own: `hookward check --example > hookward.toml`.")
    }
}

fn listed(mistakes: &[Diagnostic]) -> Failure {
    let mistakes: Vec<_> = mistakes.iter().map(ToString::to_string).collect();
    Failure::config(mistakes.join("\n"))
}

fn start(config: &Config, store: Arc<dyn Store>) -> Result<Server, Failure> {
    let Followed { routes, token } =
        settings::follow(config, &Vault::here(&settings::references(config)))
            .map_err(|mistakes| listed(&mistakes))?;
    let gateway = Gateway::new(
        store,
        SystemClock::start(),
        config.limits.clone(),
        config.server.trusted_proxies.clone(),
        routes,
    );
    let admin = config.admin.as_ref().zip(token).map(|(admin, token)| (admin.listen, token));
    Server::start(gateway, &config.server, admin)
        .map_err(|error| Failure::of("cannot start", &error))
}

/// A source of this run, to sign with.
pub(crate) fn signer(provider: &str, secret: &str) -> Result<hookward_core::Source, Failure> {
    use hookward_core::source::{SourceName, SourceRules};
    let provider = crate::providers::named(provider)?;
    let name = SourceName::parse("dev").map_err(|error| Failure::of("source", &error))?;
    let secrets = vec![(Secret::new(secret.to_owned()), Validity::default())];
    hookward_core::Source::new(SourceRules::of_provider(name, "/", provider), secrets)
        .map_err(|error| Failure::of("secret", &error))
}
