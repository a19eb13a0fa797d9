//! What references have led to, and what becomes of it when they are followed again.

use std::time::Duration;

use hookward_core::{
    limits,
    scheme::SchemeError,
    secret::{Secret, SecretRef},
};

use super::{Look, SecretError, Versions, backends::Looked, follow_here, is_elsewhere};

/// The secrets that references have led to: in memory only, wiped when they go.
#[derive(Clone, Debug, Default)]
pub struct Vault {
    entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    reference: SecretRef,
    /// The last that its backend said. An error only as long as it has never said anything.
    known: Looked,
    /// When it was last logged that its backend says nothing, if it says nothing now.
    trouble: Option<Duration>,
}

/// What a look at a reference has changed.
#[derive(Debug)]
pub enum Renewed {
    /// Nothing; after trouble, if any.
    Same { recovered: bool },
    /// Other secrets count from now on, or none.
    Changed,
    /// Nothing is known: the last good secret stays. With the reason when it is time to log it.
    Kept { why: SecretError, log: bool },
}

impl Vault {
    /// What all of these lead to.
    pub async fn of(references: &[SecretRef], region: Option<&str>, backends: &dyn Look) -> Self {
        let looked = backends.look(references, region).await;
        let entries = references.iter().zip(looked).map(|(reference, known)| Entry {
            reference: reference.clone(),
            known,
            trouble: None,
        });
        Self { entries: entries.collect() }
    }

    /// What those lead to that stay on this machine. The others are not looked at.
    pub fn here(references: &[SecretRef]) -> Self {
        let entries = references.iter().filter_map(|reference| {
            let known = follow_here(reference)?.map(Versions::only);
            Some(Entry { reference: reference.clone(), known, trouble: None })
        });
        Self { entries: entries.collect() }
    }

    /// What this one leads to, if it was looked at.
    pub fn get(&self, reference: &SecretRef) -> Option<&Looked> {
        self.entries.iter().find(|it| it.reference == *reference).map(|it| &it.known)
    }

    /// Whether this one leads to no secret any more.
    pub fn is_revoked(&self, reference: &SecretRef) -> bool {
        matches!(self.get(reference), Some(Ok(versions)) if versions.is_empty())
    }

    /// Whether some of it may be there at another try.
    pub fn may_pass(&self) -> bool {
        self.entries.iter().any(|it| it.known.as_ref().is_err_and(SecretError::may_pass))
    }

    /// Takes over what `former` knows and this one does not; which it is, and why.
    pub fn keep_from(&mut self, former: &Self, now: Duration) -> Vec<(SecretRef, SecretError)> {
        let mut kept = Vec::new();
        for entry in &mut self.entries {
            if let (Err(why), Some(Ok(known))) = (&entry.known, former.get(&entry.reference)) {
                kept.push((entry.reference.clone(), why.clone()));
                entry.known = Ok(known.clone());
                entry.trouble = Some(now);
            }
        }
        kept
    }

    /// Takes what a reference leads to now. What is gone is gone at once; what is not known to be gone stays.
    ///
    /// `suits` says whether a secret can be used. A file that does not suit is being written, or was written wrongly: the
    /// last good secret stays. A backend changes a secret in one step, so that what does not suit was put there.
    pub fn renew(
        &mut self,
        reference: &SecretRef,
        looked: Looked,
        suits: impl Fn(&Secret) -> Result<(), SchemeError>,
        now: Duration,
    ) -> Renewed {
        let Some(entry) = self.entries.iter_mut().find(|it| it.reference == *reference) else {
            return Renewed::Same { recovered: false };
        };
        let looked = looked.and_then(|versions| match &versions.current {
            Ok(secret) if !is_elsewhere(reference) => match suits(secret) {
                Ok(()) => Ok(versions),
                Err(reason) => Err(SecretError::Refused { reference: reference.clone(), reason }),
            },
            _ => Ok(versions),
        });
        match looked {
            Err(why) => {
                let due = |logged| now.saturating_sub(logged) >= limits::SECRETS_TROUBLE_LOGGED;
                let log = entry.trouble.is_none_or(due);
                if log {
                    entry.trouble = Some(now);
                }
                Renewed::Kept { why, log }
            }
            Ok(versions) => {
                let recovered = entry.trouble.take().is_some();
                if entry.known.as_ref().is_ok_and(|known| known.is_as(&versions)) {
                    return Renewed::Same { recovered };
                }
                entry.known = Ok(versions);
                Renewed::Changed
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Verdict, *};

    const ONE: &str = "5f1b9c27e0d84a6f93b2c7d1806e4fa2";
    const TWO: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";

    fn reference(text: &str) -> SecretRef {
        text.parse().unwrap()
    }

    fn versions(current: &str, previous: Option<&str>) -> Versions {
        let secret = |text: &str| Secret::new(text.to_owned());
        Versions { current: Ok(secret(current)), previous: previous.map(secret) }
    }

    fn says(reference: &SecretRef, verdict: Verdict) -> SecretError {
        SecretError::Amazon { reference: reference.clone(), verdict, why: "why".to_owned() }
    }

    fn holding(reference: &SecretRef, known: Versions) -> Vault {
        let entry = Entry { reference: reference.clone(), known: Ok(known), trouble: None };
        Vault { entries: vec![entry] }
    }

    fn counting(vault: &Vault, reference: &SecretRef) -> Vec<String> {
        let Some(Ok(Versions { current, previous })) = vault.get(reference) else {
            panic!("nothing known")
        };
        let all = current.as_ref().ok().into_iter().chain(previous);
        all.map(|secret| secret.expose().to_owned()).collect()
    }

    #[expect(clippy::unnecessary_wraps, reason = "it stands for what can refuse")]
    fn anything(_: &Secret) -> Result<(), SchemeError> {
        Ok(())
    }

    const NOW: Duration = Duration::from_secs(5);

    #[test]
    fn what_is_gone_is_gone_and_what_cannot_be_asked_for_stays() {
        let it = reference("aws-sm:orders");
        let mut vault = holding(&it, versions(ONE, None));
        for verdict in [Verdict::Unknown, Verdict::Denied] {
            let kept = vault.renew(&it, Err(says(&it, verdict)), anything, NOW);
            assert!(matches!(kept, Renewed::Kept { .. }), "{kept:?}");
            assert_eq!(counting(&vault, &it), [ONE]);
        }
        // Rotated, and the former one revoked.
        for (found, expected) in
            [(versions(TWO, Some(ONE)), &[TWO, ONE][..]), (versions(TWO, None), &[TWO])]
        {
            let renewed = vault.renew(&it, Ok(found), anything, NOW);
            assert!(matches!(renewed, Renewed::Changed), "{renewed:?}");
            assert_eq!(counting(&vault, &it), expected);
        }
        let gone = Versions::none(says(&it, Verdict::Gone));
        let renewed = vault.renew(&it, Ok(gone.clone()), anything, NOW);
        assert!(matches!(renewed, Renewed::Changed), "{renewed:?}");
        assert_eq!(counting(&vault, &it), [""; 0]);
        let renewed = vault.renew(&it, Ok(gone), anything, NOW);
        assert!(matches!(renewed, Renewed::Same { .. }), "{renewed:?}");
        // It does not come back because nobody can be asked.
        vault.renew(&it, Err(says(&it, Verdict::Unknown)), anything, NOW);
        assert_eq!(counting(&vault, &it), [""; 0]);
        vault.renew(&it, Ok(versions(ONE, None)), anything, NOW);
        assert_eq!(counting(&vault, &it), [ONE]);
    }

    #[test]
    fn trouble_is_logged_once_and_then_now_and_again() {
        let it = reference("aws-sm:orders");
        let mut vault = holding(&it, versions(ONE, None));
        let mut logged = Vec::new();
        for second in (0..=9_000).step_by(30) {
            let unknown = Err(says(&it, Verdict::Unknown));
            let now = Duration::from_secs(second);
            if let Renewed::Kept { log: true, .. } = vault.renew(&it, unknown, anything, now) {
                logged.push(second);
            }
        }
        assert_eq!(logged, [0, 3_600, 7_200]);
        let mut same = || vault.renew(&it, Ok(versions(ONE, None)), anything, NOW);
        assert!(matches!(same(), Renewed::Same { recovered: true }));
        assert!(matches!(same(), Renewed::Same { recovered: false }));
    }

    #[test]
    fn a_file_that_is_half_written_changes_nothing_and_a_backend_means_what_it_says() {
        let unsuited = |secret: &Secret| match secret.expose() {
            ONE => Ok(()),
            _ => Err(SchemeError::CannotSign),
        };
        for (text, expected) in [("file:/run/orders", ONE), ("aws-ssm:/orders", "half")] {
            let it = reference(text);
            let mut vault = holding(&it, versions(ONE, None));
            vault.renew(&it, Ok(versions("half", None)), unsuited, NOW);
            assert_eq!(counting(&vault, &it), [expected], "{text}");
        }
    }
}
