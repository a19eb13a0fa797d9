//! Following references to secrets: the one place that reads the environment.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use hookward_core::secret::{Secret, SecretRef};

/// Why a reference leads nowhere. Names the reference, never what is behind it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SecretError {
    #[error("{0}: the environment variable is not set (or is not text)")]
    NoVariable(SecretRef),
    #[error("{reference}: cannot read {path}")]
    NoFile {
        reference: SecretRef,
        path: PathBuf,
        #[source]
        cause: io::Error,
    },
    #[error("{reference}: {path} is readable by others: `chmod 600 {path}`")]
    OpenToAll { reference: SecretRef, path: PathBuf },
    #[error(
        "{0}: CREDENTIALS_DIRECTORY is not set: systemd sets it for units with LoadCredential="
    )]
    NoCredentials(SecretRef),
    #[error("{0}: a credential's name is a file name")]
    BadCredential(SecretRef),
}

/// The secret that a reference leads to.
pub(crate) fn follow(reference: &SecretRef) -> Result<Secret, SecretError> {
    match reference {
        SecretRef::Env(name) => variable(name)
            .map(Secret::new)
            .ok_or_else(|| SecretError::NoVariable(reference.clone())),
        SecretRef::File(path) => {
            refuse_open_to_all(reference, path)?;
            read(reference, path)
        }
        SecretRef::Credential(name) => {
            if name.contains('/') || name.starts_with('.') {
                return Err(SecretError::BadCredential(reference.clone()));
            }
            let folder = variable("CREDENTIALS_DIRECTORY")
                .ok_or_else(|| SecretError::NoCredentials(reference.clone()))?;
            read(reference, &Path::new(&folder).join(name))
        }
        SecretRef::Literal(secret) => Ok(secret.clone()),
    }
}

/// A variable of the environment.
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The file's text without its last line break, which editors and `echo` add.
fn read(reference: &SecretRef, path: &Path) -> Result<Secret, SecretError> {
    let failed =
        |cause| SecretError::NoFile { reference: reference.clone(), path: path.to_owned(), cause };
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
