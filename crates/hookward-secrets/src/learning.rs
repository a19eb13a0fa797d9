//! A secret that a sender brings in its handshake: kept once, where the configuration says.

use std::{fmt, io};

use hookward_core::{
    config::SourceConfig,
    secret::{Secret, SecretRef},
};

use crate::keep;

/// Why a secret was not learnt.
#[derive(Debug, thiserror::Error)]
pub enum NotLearnt {
    /// There is one already: a second one would be a takeover.
    #[error("the source has a secret")]
    Known,
    /// It cannot be kept.
    #[error("it cannot be kept: {0}")]
    Failed(String),
}

/// Keeps the secret durably, in the file that the source's configuration names for it. Blocks.
pub fn learn(source: &SourceConfig, secret: &Secret) -> Result<(), NotLearnt> {
    let failed = |why: &dyn fmt::Display| NotLearnt::Failed(why.to_string());
    secret.clone().strong().map_err(|weak| failed(&weak))?;
    let learned = source.secrets.iter().find_map(|it| match &it.reference {
        SecretRef::Learned(path) => Some(path),
        _ => None,
    });
    let path = learned.ok_or_else(|| failed(&"no secret of this source is `learned:/path`"))?;
    keep(path, secret).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => NotLearnt::Known,
        _ => failed(&format_args!("{}: {error}", path.display())),
    })
}
