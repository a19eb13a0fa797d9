//! Sources, made of their configuration and of what their references lead to.

use hookward_core::{
    Source,
    config::{Config, Diagnostic, Place, SecretConfig, SourceConfig, StoreConfig},
    scheme::{Scheme, SchemeError},
    secret::{Secret, SecretRef, Validity},
};

use crate::{SecretError, Vault, Whole};

/// A source with its secrets.
pub fn source(config: &SourceConfig, vault: &Vault) -> Result<Source, Vec<Diagnostic>> {
    let (secrets, wrong) = source_secrets(config, vault);
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let token = config.verify_token.as_ref().map(|it| verify_token(it, vault)).transpose();
    let token = token.map_err(|wrong| vec![wrong])?.flatten();
    Source::new(config.rules.clone(), secrets)
        .map(|source| source.with_verify_token(token))
        .map_err(|wrong| vec![Diagnostic::error(&config.place, wrong.to_string(), None)])
}

/// The secrets of a source that can be used, and what is wrong with the others.
pub fn source_secrets(
    config: &SourceConfig,
    vault: &Vault,
) -> (Vec<(Secret, Validity)>, Vec<Diagnostic>) {
    let (mut secrets, mut wrong) = (Vec::new(), Vec::new());
    for it in &config.secrets {
        let (used, mistake) = used(vault, &it.reference, &it.place, None, verifies(config, it));
        secrets.extend(used.into_iter().map(|(secret, ())| (secret, it.validity)));
        wrong.extend(mistake);
    }
    (secrets, wrong)
}

/// The token of a source's questions.
fn verify_token(it: &SecretConfig, vault: &Vault) -> Result<Option<Secret>, Diagnostic> {
    let strong = |secret: Secret| {
        let judged = secret.strong().map(drop);
        judged.map_err(|reason| SchemeError::WeakSecret { index: 0, reason })
    };
    let (tokens, wrong) = used(vault, &it.reference, &it.place, None, strong);
    wrong.map_or_else(|| Ok(tokens.into_iter().next().map(|(token, ())| token)), Err)
}

/// What is wrong with the secrets of a source that were looked up.
pub fn mistakes(config: &SourceConfig, vault: &Vault) -> Vec<Diagnostic> {
    let (_, mut wrong) = source_secrets(config, vault);
    wrong.extend(config.verify_token.iter().filter_map(|it| verify_token(it, vault).err()));
    wrong
}

/// What becomes of a running source when secrets have changed: it goes on with what it has left. With what is wrong when that
/// is nothing.
pub fn go_on(config: &SourceConfig, vault: &Vault) -> (Source, Option<Diagnostic>) {
    let (secrets, _) = source_secrets(config, vault);
    let (source, wrong) = if let Ok(source) = Source::new(config.rules.clone(), secrets) {
        (source, None)
    } else {
        let what = "no secret of it counts any more: it takes nothing";
        let wrong = Diagnostic::error(&config.place, what, None);
        (Source::revoked(config.rules.clone()), Some(wrong))
    };
    let token = config.verify_token.as_ref().map(|it| verify_token(it, vault));
    (source.with_verify_token(token.transpose().ok().flatten().flatten()), wrong)
}

/// Whether every source that a reference is for can verify with this secret.
pub fn suits(
    sources: &[SourceConfig],
    reference: &SecretRef,
    secret: &Secret,
) -> Result<(), SchemeError> {
    for source in sources {
        for it in source.secrets.iter().filter(|it| it.reference == *reference) {
            verifies(source, it)(secret.clone())?;
        }
    }
    Ok(())
}

/// The references of a source.
pub fn references(config: &SourceConfig) -> impl Iterator<Item = &SecretRef> {
    config.secrets.iter().chain(&config.verify_token).map(|it| &it.reference)
}

/// The AWS region of secrets that name none, where the file says it.
pub fn region(config: &Config) -> Option<&str> {
    let of_store = match &config.store {
        StoreConfig::DynamoDb(store) => store.region.as_deref(),
        StoreConfig::Embedded(_) => None,
    };
    config.secrets.region.as_deref().or(of_store)
}

/// Whether a source can verify with a secret.
fn verifies<'c>(
    source: &'c SourceConfig,
    it: &'c SecretConfig,
) -> impl Fn(Secret) -> Result<(), SchemeError> + 'c {
    |secret| Scheme::new(source.rules.scheme.clone(), vec![(secret, it.validity)]).map(drop)
}

/// The secrets that a reference leads to, the current one first, and what is made of each. What is wrong with the current one is
/// about the place of the reference; a former one that is of no use, such as the placeholder before the first secret, is left out.
pub fn used<T>(
    vault: &Vault,
    reference: &SecretRef,
    place: &Place,
    help: Option<&str>,
    use_it: impl Fn(Secret) -> Result<T, SchemeError>,
) -> (Vec<(Secret, T)>, Option<Diagnostic>) {
    let refused = |why: String, help: Option<&str>| {
        let message = format!("{reference} is refused: {why}");
        Diagnostic::error(place, message, help.map(str::to_owned))
    };
    let lost = |why: &SecretError| Diagnostic::error(place, Whole(why).to_string(), why.todo());
    let versions = match vault.get(reference) {
        // Not looked up: what is elsewhere is not missed here.
        None => return (Vec::new(), None),
        Some(Err(why)) if why.is_to_come() => return (Vec::new(), None),
        Some(Err(why)) => return (Vec::new(), Some(lost(why))),
        Some(Ok(versions)) => versions,
    };
    let mut made = Vec::with_capacity(2);
    let mut wrong = None;
    match &versions.current {
        Ok(secret) => match use_it(secret.clone()) {
            Ok(it) => made.push((secret.clone(), it)),
            Err(SchemeError::WeakSecret { reason, .. }) => {
                wrong = Some(refused(reason.to_string(), help));
            }
            Err(other) => wrong = Some(refused(other.to_string(), help)),
        },
        Err(why) => wrong = Some(lost(why)),
    }
    if let Some(secret) = &versions.previous
        && let Ok(it) = use_it(secret.clone())
    {
        made.push((secret.clone(), it));
    }
    (made, wrong)
}
