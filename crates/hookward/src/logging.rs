//! The log: lines for people, or JSON that stands alone. On standard error, so that standard output stays for answers.

use std::io::{IsTerminal as _, stderr};

use hookward_core::config::{LogConfig, LogFormat};
use tracing_subscriber::{
    EnvFilter, Layer as _, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

use crate::failure::Failure;

/// Starts logging as configured.
pub(crate) fn start(config: &LogConfig) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(&config.level)
        .map_err(|error| Failure::config(format!("log level {:?}: {error}", config.level)))?;
    let json = match config.format {
        LogFormat::Json => true,
        LogFormat::Human => false,
        LogFormat::Auto => !stderr().is_terminal(),
    };
    // What cannot be logged is not logged: complaining of it on standard error, where it could not be written, would panic.
    let layer = tracing_subscriber::fmt::layer().with_writer(stderr).log_internal_errors(false);
    let layer = if json {
        layer.json().flatten_event(true).with_current_span(false).boxed()
    } else {
        layer.with_ansi(stderr().is_terminal()).with_target(false).boxed()
    };
    tracing_subscriber::registry()
        .with(layer.with_filter(filter))
        .try_init()
        .map_err(|error| Failure::of("cannot start logging", &error))
}
