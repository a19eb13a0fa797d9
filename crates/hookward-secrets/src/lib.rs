//! Following references to secrets, for the program and for the library: the one place that reads the environment.
//!
//! The way to AWS is here too ([`aws`]), which tables and buckets need as well as secrets.
//!
//! [`Backends`] look at what references lead to, a [`Vault`] keeps it and decides what counts when they are looked at again,
//! [`sources`] makes sources of it.

use std::{
    fmt, fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use hookward_core::{
    scheme::SchemeError,
    secret::{Secret, SecretRef},
};

mod amazon;
pub mod aws;
mod backends;
mod learning;
pub mod pace;
pub mod sources;
mod vault;

pub use backends::{Backends, Look, Looked};
pub use learning::{NotLearnt, learn};
pub use vault::{Renewed, Vault};

/// What a reference leads to.
#[derive(Clone, Debug)]
pub struct Versions {
    /// The one that counts; or why there is none: its backend says so, and not that it cannot tell.
    pub current: Result<Secret, SecretError>,
    /// The one before it, which counts too while senders move over.
    pub previous: Option<Secret>,
}

impl Versions {
    fn only(secret: Secret) -> Self {
        Self { current: Ok(secret), previous: None }
    }

    fn none(why: SecretError) -> Self {
        Self { current: Err(why), previous: None }
    }

    /// Whether nothing counts any more.
    pub fn is_empty(&self) -> bool {
        self.current.is_err() && self.previous.is_none()
    }

    /// Whether the same counts.
    fn is_as(&self, other: &Self) -> bool {
        let same = match (&self.current, &other.current) {
            (Ok(one), Ok(other)) => one == other,
            (Err(_), Err(_)) => true,
            (Ok(_), Err(_)) | (Err(_), Ok(_)) => false,
        };
        same && self.previous == other.previous
    }
}

/// Why a reference leads nowhere. Names the reference, never what is behind it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SecretError {
    #[error("{0}: the environment variable is not set (or is not text)")]
    NoVariable(SecretRef),
    #[error("{reference}: cannot read {path}")]
    NoFile {
        reference: SecretRef,
        path: PathBuf,
        #[source]
        cause: Arc<io::Error>,
    },
    #[error("{reference}: {path} is readable by others: `chmod 600 {path}`")]
    OpenToAll { reference: SecretRef, path: PathBuf },
    #[error(
        "{0}: CREDENTIALS_DIRECTORY is not set: systemd sets it for units with LoadCredential="
    )]
    NoCredentials(SecretRef),
    #[error("{0}: a credential's name is a file name")]
    BadCredential(SecretRef),
    #[error("{reference} is refused: {reason}")]
    Refused { reference: SecretRef, reason: SchemeError },
    /// AWS says so.
    #[error("{reference}: {why}")]
    Amazon { reference: SecretRef, verdict: Verdict, why: String },
}

/// What AWS says of a secret that it does not give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is not there, or not any more.
    Gone,
    /// It is there, and no secret can be made of it.
    Unusable,
    /// These credentials may not read it.
    Denied,
    /// It cannot be asked for so: no region, not a name.
    Impossible,
    /// Nothing: nobody was asked, or it answered with a failure.
    Unknown,
}

impl SecretError {
    /// What to do about it.
    pub fn todo(&self) -> Option<String> {
        let Self::Amazon { reference, verdict, .. } = self else { return None };
        Some(match verdict {
            Verdict::Impossible => return None,
            Verdict::Gone => {
                "create or restore it, or correct its name, region and account".to_owned()
            }
            Verdict::Unusable => "put the secret there as its issuer shows it".to_owned(),
            Verdict::Denied => {
                let action = match reference {
                    SecretRef::AwsSsm(_) => "ssm:GetParameter",
                    _ => "secretsmanager:GetSecretValue",
                };
                format!(
                    "let these credentials {action} on it, and kms:Decrypt on its key where that is one of your own: `hookward dynamodb iam` and docs/secrets.md have the policy"
                )
            }
            Verdict::Unknown => {
                "see that this machine has AWS credentials, a region, and a way to AWS".to_owned()
            }
        })
    }

    /// Whether there need not be a secret: it has yet to be learnt, or may be absent.
    pub fn is_to_come(&self) -> bool {
        matches!(self, Self::NoVariable(SecretRef::EnvIfSet(_)))
            || matches!(self, Self::NoFile { reference: SecretRef::Learned(_), cause, .. }
            if cause.kind() == io::ErrorKind::NotFound)
    }

    /// Whether it may pass by itself, so that another try makes sense.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Amazon { verdict: Verdict::Unknown, .. })
    }

    /// Whether the credentials may not.
    pub fn is_denied(&self) -> bool {
        matches!(self, Self::Amazon { verdict: Verdict::Denied, .. })
    }
}

/// An error and its cause, in one line.
pub struct Whole<'e>(pub &'e SecretError);

impl fmt::Display for Whole<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cause = std::error::Error::source(self.0);
        write!(f, "{}", self.0)?;
        cause.map_or(Ok(()), |cause| write!(f, ": {cause}"))
    }
}

/// Keeps a secret that was learnt, durably and for this user alone. Fails when there is one already.
pub(crate) fn keep(path: &Path, secret: &Secret) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or_else(|| Path::new("."));
    // For its owner alone, and under its name only once it is whole: half a secret would be one that nobody has.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(secret.expose().as_bytes())?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path).map_err(|failed| failed.error)?;
    // The name is to outlast a power cut as the content does.
    fs::File::open(folder)?.sync_all()
}

/// References, each one once, in their order.
pub fn distinct<'r>(references: impl IntoIterator<Item = &'r SecretRef>) -> Vec<SecretRef> {
    let mut distinct: Vec<SecretRef> = Vec::new();
    for reference in references {
        if !distinct.contains(reference) {
            distinct.push(reference.clone());
        }
    }
    distinct
}

/// Whether a reference leads out of this machine.
pub fn is_elsewhere(reference: &SecretRef) -> bool {
    matches!(reference, SecretRef::AwsSm { .. } | SecretRef::AwsSsm(_))
}

/// Whether a reference can lead to another secret while the process runs.
pub fn can_change(reference: &SecretRef) -> bool {
    !matches!(reference, SecretRef::Env(_) | SecretRef::EnvIfSet(_) | SecretRef::Literal(_))
}

/// The secret that a single reference leads to.
pub async fn follow(reference: &SecretRef, region: Option<&str>) -> Result<Secret, SecretError> {
    let backends = Backends::default();
    let looked = backends.look(std::slice::from_ref(reference), region).await.pop();
    looked.expect("one for each reference")?.current
}

/// The secret that a reference leads to on this machine; `None` when it leads elsewhere.
fn follow_here(reference: &SecretRef) -> Option<Result<Secret, SecretError>> {
    Some(match reference {
        SecretRef::Env(name) | SecretRef::EnvIfSet(name) => variable(name)
            .map(Secret::new)
            .ok_or_else(|| SecretError::NoVariable(reference.clone())),
        SecretRef::File(path) | SecretRef::Learned(path) => {
            refuse_open_to_all(reference, path).and_then(|()| read(reference, path))
        }
        SecretRef::Credential(name) => credential(reference, name),
        SecretRef::Literal(secret) => Ok(secret.clone()),
        SecretRef::AwsSm { .. } | SecretRef::AwsSsm(_) => return None,
    })
}

fn credential(reference: &SecretRef, name: &str) -> Result<Secret, SecretError> {
    if name.contains('/') || name.starts_with('.') {
        return Err(SecretError::BadCredential(reference.clone()));
    }
    let folder = variable("CREDENTIALS_DIRECTORY")
        .ok_or_else(|| SecretError::NoCredentials(reference.clone()))?;
    read(reference, &Path::new(&folder).join(name))
}

/// A variable of the environment.
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The file's text without its last line break, which editors and `echo` add.
fn read(reference: &SecretRef, path: &Path) -> Result<Secret, SecretError> {
    let failed = |cause| SecretError::NoFile {
        reference: reference.clone(),
        path: path.to_owned(),
        cause: Arc::new(cause),
    };
    let mut text = fs::read_to_string(path).map_err(failed)?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(Secret::new(text))
}

#[cfg(unix)]
fn refuse_open_to_all(reference: &SecretRef, path: &Path) -> Result<(), SecretError> {
    use std::os::unix::fs::PermissionsExt as _;
    // A file that is not there is reported by the reading of it.
    match fs::metadata(path) {
        Ok(metadata) if metadata.permissions().mode() & 0o004 != 0 => {
            Err(SecretError::OpenToAll { reference: reference.clone(), path: path.to_owned() })
        }
        _ => Ok(()),
    }
}

#[cfg(not(unix))]
fn refuse_open_to_all(_: &SecretRef, _: &Path) -> Result<(), SecretError> {
    Ok(())
}
