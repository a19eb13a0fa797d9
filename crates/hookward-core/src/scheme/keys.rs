//! The keys of a scheme that is code: one for each secret, for one algorithm.

use super::{Algorithm, Encoding, Key, KeyEncoding, SchemeError, Version, template::Part};
use crate::{
    Timestamp,
    secret::{Secret, Validity, WeakSecret},
};

/// Keys of one algorithm, each with the time within which it counts.
#[derive(Debug)]
pub(super) struct Keys {
    algorithm: Algorithm,
    keys: Vec<(Key, Validity)>,
}

impl Keys {
    /// Makes keys of secrets that are written like this. Refuses weak ones.
    pub(super) fn new(
        algorithm: Algorithm,
        encoding: KeyEncoding,
        secrets: &[(Secret, Validity)],
    ) -> Result<Self, SchemeError> {
        let versions = [Version { label: "".into(), algorithm, encoding: Encoding::Plain }];
        Self::made(algorithm, secrets, |secret| Key::new(secret, encoding, "", &versions))
    }

    /// The same, where a key is made of a secret in another way.
    pub(super) fn made(
        algorithm: Algorithm,
        secrets: &[(Secret, Validity)],
        make: impl Fn(&Secret) -> Result<Key, WeakSecret>,
    ) -> Result<Self, SchemeError> {
        let keys = secrets.iter().enumerate().map(|(index, (secret, validity))| {
            let key = make(secret).map_err(|reason| SchemeError::WeakSecret { index, reason })?;
            Ok::<_, SchemeError>((key, *validity))
        });
        Ok(Self { algorithm, keys: keys.collect::<Result<_, _>>()? })
    }

    /// The algorithm.
    pub(super) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Whether this is the signature of the content under a key that is valid now.
    pub(super) fn verify(&self, content: &[u8], signature: &[u8], now: Timestamp) -> bool {
        let content = [Part::Bytes(content.into())];
        let mut valid = self.keys.iter().filter(|(_, validity)| validity.contains(now));
        valid.any(|(key, _)| key.verify(self.algorithm, &content, signature))
    }

    /// Whether every key can sign, and not only verify.
    pub(super) fn can_sign(&self) -> bool {
        self.keys.iter().all(|(key, _)| key.can_sign())
    }

    /// Signs with the first key.
    pub(super) fn sign(&self, content: &[u8]) -> Option<Vec<u8>> {
        let (key, _) = self.keys.first()?;
        key.sign(self.algorithm, &[Part::Bytes(content.into())])
    }

    /// Signs with the first key that is valid now.
    pub(super) fn sign_now(&self, content: &[u8], now: Timestamp) -> Option<Vec<u8>> {
        let (key, _) = self.keys.iter().find(|(_, validity)| validity.contains(now))?;
        key.sign(self.algorithm, &[Part::Bytes(content.into())])
    }
}
