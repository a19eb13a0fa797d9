//! Whoever is asked for secrets: this machine, and AWS once a reference leads there.

use async_trait::async_trait;
use hookward_core::secret::SecretRef;
use tokio::sync::OnceCell;

use super::{SecretError, Verdict, Versions, amazon::Amazon, follow_here, is_elsewhere};

/// What a look at a reference finds: the versions that there are, perhaps none; or why nothing is known of it.
pub type Looked = Result<Versions, SecretError>;

/// Who is asked for secrets.
#[async_trait]
pub trait Look: Send + Sync {
    /// Looks at each of the references, in their order. `region` is for those that name none.
    async fn look(&self, references: &[SecretRef], region: Option<&str>) -> Vec<Looked>;
}

/// This machine and AWS.
#[derive(Debug, Default)]
pub struct Backends {
    amazon: OnceCell<Amazon>,
}

#[async_trait]
impl Look for Backends {
    async fn look(&self, references: &[SecretRef], region: Option<&str>) -> Vec<Looked> {
        let elsewhere: Vec<_> = references.iter().filter(|it| is_elsewhere(it)).cloned().collect();
        let mut elsewhere = self.ask_amazon(&elsewhere, region).await.into_iter();
        let looked = references.iter().filter_map(|reference| match follow_here(reference) {
            Some(followed) => Some(followed.map(Versions::only)),
            None => elsewhere.next(),
        });
        looked.collect()
    }
}

impl Backends {
    async fn ask_amazon(&self, references: &[SecretRef], region: Option<&str>) -> Vec<Looked> {
        if references.is_empty() {
            return Vec::new();
        }
        match self.amazon.get_or_try_init(|| Amazon::connect(region)).await {
            Ok(amazon) => amazon.look(references, region).await,
            Err(failure) => {
                let why = failure.to_string();
                let impossible = |reference: &SecretRef| {
                    let (reference, why) = (reference.clone(), why.clone());
                    Err(SecretError::Amazon { reference, verdict: Verdict::Impossible, why })
                };
                references.iter().map(impossible).collect()
            }
        }
    }
}
