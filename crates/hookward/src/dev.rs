//! `hookward dev`: a gateway, a sample application and a first round of good and abusive webhooks.

use std::{net::SocketAddr, path::Path, time::Duration};

use clap::Args;
use hookward_core::{
    config::{Config, Diagnostic, Dialect, LogConfig, LogFormat},
    secret::{Secret, Validity},
};
use hookward_server::{Gateway, Server, SystemClock};

use crate::{
    failure::Failure,
    logging, sample,
    serve::{self, runtime},
    settings::{self, Followed},
    signals::Signals,
};

mod application;
mod round;

use application::Application;

/// Try it: starts a gateway on the embedded store in a temporary folder, with generated secrets, and a sample
/// application behind it; sends a round of good and abusive webhooks; then stays up.
#[derive(Debug, Args)]
pub(crate) struct Dev {
    /// Where to take webhooks; a free port when this one is taken
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Show the round and end; fails when an answer is not as it should be
    #[arg(long)]
    once: bool,
    /// Log in detail
    #[arg(short, long)]
    verbose: bool,
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
        runtime()?.block_on(self.show(folder.path()))
    }

    #[expect(clippy::print_stdout, reason = "the binary talks to the terminal")]
    async fn show(&self, folder: &Path) -> Result<(), Failure> {
        let mut signals =
            Signals::listen().map_err(|error| Failure::of("cannot listen to signals", &error))?;
        let secrets = Secrets::generate();
        let delivery = Secret::new(secrets.delivery.clone());
        let application = Application::start(vec![(delivery, Validity::default())]).await?;
        let server = match self.start(folder, &secrets, &application).await {
            Err(_) if self.listen.port() != 0 => {
                let any = Self { listen: (self.listen.ip(), 0).into(), ..*self };
                any.start(folder, &secrets, &application).await?
            }
            started => started?,
        };
        println!(
            "gateway      http://{}  (embedded store in a temporary folder)",
            server.address()
        );
        println!(
            "application  http://{}  (verifies the gateway's signature, counts what it gets)\n",
            application.address()
        );

        let as_expected = round::show(&server, &application, &secrets).await?;
        if !self.once {
            Self::explain(&server, &secrets);
            signals.stop(|| {}).await;
            println!();
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

    async fn start(
        &self,
        folder: &Path,
        secrets: &Secrets,
        application: &Application,
    ) -> Result<Server, Failure> {
        let text = format!(
            r#"
[server]
listen = "{listen}"
[admin]
listen = "127.0.0.1:0"
token = "{admin}"
[store]
kind = "embedded"
path = "{store}"
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
            store = folder.join("store").display(),
            orders = secrets.orders,
            plain = secrets.plain,
            application = application.address(),
            delivery = secrets.delivery,
        );
        let mut no_files = |path: &Path| Err(format!("{} is not there", path.display()));
        let parsed = Config::parse(&text, Dialect::Dev, &mut no_files);
        let listed = |mistakes: Vec<Diagnostic>| {
            let mistakes: Vec<_> = mistakes.iter().map(ToString::to_string).collect();
            Failure::config(mistakes.join("\n"))
        };
        let (config, _) = parsed.map_err(listed)?;
        let Followed { routes, token } = settings::follow(&config).map_err(listed)?;
        let gateway = Gateway::new(
            serve::open_store(&config, true, std::sync::Arc::default()).await?,
            SystemClock::start(),
            config.limits.clone(),
            config.server.trusted_proxies.clone(),
            routes,
        );
        let admin = config.admin.as_ref().zip(token).map(|(admin, token)| (admin.listen, token));
        Server::start(gateway, &config.server, admin)
            .map_err(|error| Failure::of("cannot start", &error))
    }

    #[expect(clippy::print_stdout, reason = "the binary talks to the terminal")]
    fn explain(server: &Server, secrets: &Secrets) {
        let address = server.address();
        println!(
            "\nIt stays up until Ctrl-C. Send one of your own, and one more time to see a duplicate:\n"
        );
        println!("  body='{{\"id\":\"evt_1\",\"type\":\"order.paid\"}}'");
        println!("  secret={}", secrets.plain);
        println!(
            "  signature=$(printf %s \"$body\" | openssl dgst -sha256 -hmac \"$secret\" -r | cut -d' ' -f1)"
        );
        println!(
            "  curl -i http://{address}/hooks/plain -H 'Content-Type: application/json' -H \"X-Signature: $signature\" -d \"$body\"\n"
        );
        if let Some(admin) = server.admin_address() {
            println!("Look at what it counted and kept:\n");
            println!("  curl -H 'Authorization: Bearer {}' http://{admin}/metrics", secrets.admin);
            println!(
                "  curl -H 'Authorization: Bearer {}' http://{admin}/v1/events?limit=5\n",
                secrets.admin
            );
        }
        println!(
            "Then write a configuration of your own: `hookward check --example > hookward.toml`."
        );
    }
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
