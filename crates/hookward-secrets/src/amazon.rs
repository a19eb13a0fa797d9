//! Secrets in AWS: Secrets Manager, and `SecureString` parameters of Systems Manager.

use std::{collections::BTreeMap, error::Error};

use aws_config::Region;
use aws_sdk_secretsmanager::{
    self as secretsmanager,
    error::{DisplayErrorContext, ProvideErrorMetadata, SdkError},
};
use aws_sdk_ssm::{self as ssm, types::ParameterType};
use futures_util::{StreamExt as _, stream};
use hookward_core::{
    limits,
    secret::{Secret, SecretRef},
};
use serde_json::{Map, Value};
use tokio::time::{Instant, timeout_at};

use super::{SecretError, Verdict, Versions, backends::Looked};
use crate::aws::{self, SecretClients, Unfit};

/// Secrets asked for at once: Systems Manager takes 40 a second of an account.
const AT_ONCE: usize = 8;

/// The way to both services.
#[derive(Debug)]
pub(crate) struct Amazon(SecretClients);

impl Amazon {
    pub(crate) async fn connect(region: Option<&str>) -> Result<Self, Unfit> {
        Ok(Self(aws::secret_clients(region).await?))
    }

    /// Looks at each of the references, in their order; at a secret that several lead to, once.
    pub(crate) async fn look(&self, references: &[SecretRef], region: Option<&str>) -> Vec<Looked> {
        let mut kept = BTreeMap::new();
        for place in references.iter().filter_map(Place::of) {
            kept.entry(place).or_insert(None);
        }
        let deadline = Instant::now() + limits::SECRETS_TIMEOUT;
        let mut answers = stream::iter(kept.keys().cloned().collect::<Vec<_>>())
            .map(|place| async move {
                let asked = timeout_at(deadline, self.ask(&place, region)).await;
                let late = || {
                    let after = limits::SECRETS_TIMEOUT.as_secs();
                    Silence { verdict: Verdict::Unknown, why: format!("no answer in {after} s") }
                };
                (place, asked.unwrap_or_else(|_| Err(late())))
            })
            .buffer_unordered(AT_ONCE);
        while let Some((place, answer)) = answers.next().await {
            kept.insert(place, Some(answer));
        }
        let looked = references.iter().map(|reference| {
            let answer = Place::of(reference).and_then(|place| kept.get(&place)?.as_ref());
            match answer {
                Some(Ok(kept)) => Ok(kept.versions(reference)),
                Some(Err(silence)) => silence.clone().about(reference),
                None => Silence::unknown("it was not asked for").about(reference),
            }
        });
        looked.collect()
    }

    async fn ask(&self, place: &Place, region: Option<&str>) -> Result<Kept, Silence> {
        let region = place.region().or(region).map(|region| Region::new(region.to_owned()));
        if region.is_none() && !self.0.has_region {
            return Err(Silence {
                verdict: Verdict::Impossible,
                why: "no AWS region: write `region` into [secrets], or set AWS_REGION".to_owned(),
            });
        }
        match place {
            Place::Secret(name) => self.secret(name, region).await,
            Place::Parameter(name) => self.parameter(name, region).await,
        }
    }

    /// Both versions of a secret. When it is rotated between the two looks, the second one shows the version that was the
    /// current one at the first.
    async fn secret(&self, name: &str, region: Option<Region>) -> Result<Kept, Silence> {
        for _ in 0..3 {
            let current = self.version(name, CURRENT, region.clone()).await?;
            let previous = match self.version(name, PREVIOUS, region.clone()).await {
                Ok(previous) => Some(previous),
                Err(Silence { verdict: Verdict::Gone, .. }) => None,
                Err(silence) => return Err(silence),
            };
            let id = |version: &Version| version.id.clone();
            if previous.as_ref().and_then(id) != id(&current) || current.id.is_none() {
                return Ok(Kept { current: current.text, previous: previous.map(|it| it.text) });
            }
        }
        Err(Silence::unknown("it is changed faster than it can be read"))
    }

    async fn version(
        &self,
        name: &str,
        stage: &str,
        region: Option<Region>,
    ) -> Result<Version, Silence> {
        let get = self.0.secrets.get_secret_value().secret_id(name).version_stage(stage);
        let mut here = secretsmanager::config::Builder::new();
        here.set_region(region);
        let got = get.customize().config_override(here).send().await;
        let got = got.map_err(|error| Silence::of("AWS Secrets Manager", &error))?;
        let text = got.secret_string.map(Secret::new);
        let text = text.ok_or("it is kept as bytes and not as text");
        Ok(Version { id: got.version_id, text })
    }

    async fn parameter(&self, name: &str, region: Option<Region>) -> Result<Kept, Silence> {
        let get = self.0.parameters.get_parameter().name(name).with_decryption(true);
        let mut here = ssm::config::Builder::new();
        here.set_region(region);
        let got = get.customize().config_override(here).send().await;
        let got = got.map_err(|error| Silence::of("AWS Systems Manager", &error))?;
        let parameter = got.parameter.unwrap_or_else(|| ssm::types::Parameter::builder().build());
        let current = match (parameter.r#type, parameter.value.map(Secret::new)) {
            (Some(ParameterType::SecureString), Some(text)) => Ok(text),
            _ => Err("it is no SecureString, so that it is kept unencrypted"),
        };
        Ok(Kept { current, previous: None })
    }
}

const CURRENT: &str = "AWSCURRENT";
const PREVIOUS: &str = "AWSPREVIOUS";

/// Where a secret is kept.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Secret(String),
    Parameter(String),
}

impl Place {
    fn of(reference: &SecretRef) -> Option<Self> {
        match reference {
            SecretRef::AwsSm { name, .. } => Some(Self::Secret(name.clone())),
            SecretRef::AwsSsm(name) => Some(Self::Parameter(name.clone())),
            SecretRef::Env(_)
            | SecretRef::EnvIfSet(_)
            | SecretRef::File(_)
            | SecretRef::Learned(_)
            | SecretRef::Credential(_)
            | SecretRef::Literal(_) => None,
        }
    }

    /// The region of an ARN.
    fn region(&self) -> Option<&str> {
        let (Self::Secret(name) | Self::Parameter(name)) = self;
        name.strip_prefix("arn:")?.split(':').nth(2)
    }
}

/// A version of a secret: its text, or why it is none.
struct Version {
    id: Option<String>,
    text: Text,
}

type Text = Result<Secret, &'static str>;

/// What is kept at a place.
struct Kept {
    current: Text,
    previous: Option<Text>,
}

impl Kept {
    /// What a reference makes of it.
    fn versions(&self, reference: &SecretRef) -> Versions {
        let pick = |text: &Text| {
            let text = text.clone()?;
            match reference {
                SecretRef::AwsSm { key: Some(key), .. } => picked(&text, key),
                _ => Ok(text),
            }
        };
        let current = pick(&self.current).map_err(|why| SecretError::Amazon {
            reference: reference.clone(),
            verdict: Verdict::Unusable,
            why: why.to_owned(),
        });
        let previous = self.previous.as_ref().and_then(|text| pick(text).ok());
        Versions { current, previous }
    }
}

/// The text under a key of a JSON object. What is read beside it is wiped too.
fn picked(object: &Secret, key: &str) -> Text {
    let fields: Map<String, Value> = serde_json::from_str(object.expose())
        .map_err(|_| "it is no JSON object, and a key of one is asked for")?;
    let mut found = Err("its JSON has no such key");
    for (name, value) in fields {
        let text = match value {
            Value::String(text) => Ok(Secret::new(text)),
            _ => Err("what its JSON has under this key is no text"),
        };
        if name == key {
            found = text;
        }
    }
    found
}

/// Why there is no answer, or one that says no.
#[derive(Clone, Debug)]
struct Silence {
    verdict: Verdict,
    why: String,
}

impl Silence {
    fn unknown(why: &str) -> Self {
        Self { verdict: Verdict::Unknown, why: why.to_owned() }
    }

    fn of<E>(service: &str, error: &SdkError<E>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let said = error.message().unwrap_or_default();
        let verdict = verdict(error.code(), said);
        let why = match (verdict, error.code()) {
            (Verdict::Gone, Some("InvalidRequestException")) => {
                format!("{service} is about to delete it")
            }
            (Verdict::Gone, _) => format!("{service} does not have it"),
            (_, Some(code)) => format!("{service} says {code}: {said}"),
            (_, None) => format!("{service} did not answer: {}", DisplayErrorContext(error)),
        };
        Self { verdict, why }
    }

    /// What a look at a reference finds then. An answer that there is nothing is an answer.
    fn about(self, reference: &SecretRef) -> Looked {
        let Self { verdict, why } = self;
        let error = SecretError::Amazon { reference: reference.clone(), verdict, why };
        match verdict {
            Verdict::Gone | Verdict::Unusable => Ok(Versions::none(error)),
            Verdict::Denied | Verdict::Impossible | Verdict::Unknown => Err(error),
        }
    }
}

/// What an error code means. One that is not known to say that the secret is gone does not say so.
fn verdict(code: Option<&str>, said: &str) -> Verdict {
    match code {
        Some("ResourceNotFoundException" | "ParameterNotFound") => Verdict::Gone,
        // The only code that is told apart by its text: the same one says that a secret is being created.
        Some("InvalidRequestException") if said.contains("delet") => Verdict::Gone,
        Some("AccessDenied" | "AccessDeniedException" | "DecryptionFailure" | "InvalidKeyId") => {
            Verdict::Denied
        }
        Some("ValidationException" | "InvalidParameterException") => Verdict::Impossible,
        _ => Verdict::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_says_so_means_that_a_secret_is_gone() {
        let check = |code: &str, said: &str, expected| {
            assert_eq!(verdict(Some(code), said), expected, "{code}: {said}");
        };
        check("ResourceNotFoundException", "Secrets Manager can't find it", Verdict::Gone);
        check("ParameterNotFound", "", Verdict::Gone);
        let deleted =
            "You can't perform this operation on the secret because it was marked for deletion.";
        check("InvalidRequestException", deleted, Verdict::Gone);
        let created = "You can't perform this operation while the secret is being created.";
        check("InvalidRequestException", created, Verdict::Unknown);
        check("AccessDeniedException", "", Verdict::Denied);
        check("DecryptionFailure", "", Verdict::Denied);
        check("ValidationException", "", Verdict::Impossible);
        for code in ["ThrottlingException", "InternalServiceError", "ExpiredTokenException"] {
            check(code, "", Verdict::Unknown);
        }
        assert_eq!(verdict(None, ""), Verdict::Unknown);
    }

    #[test]
    fn a_key_of_a_json_object_is_picked() {
        let check = |object: &str, expected: Result<&str, &str>| {
            let found = picked(&Secret::new(object.to_owned()), "stripe");
            assert_eq!(found.as_ref().map(Secret::expose).map_err(|it| *it), expected, "{object}");
        };
        check(r#"{"github":"a","stripe":"b"}"#, Ok("b"));
        check(r#"{"github":"a"}"#, Err("its JSON has no such key"));
        check(r#"{"stripe":7}"#, Err("what its JSON has under this key is no text"));
        for other in ["whsec_plain", "[]", "\"stripe\""] {
            check(other, Err("it is no JSON object, and a key of one is asked for"));
        }
    }

    #[test]
    fn an_arn_has_its_region() {
        let region = |name: &str| Place::Secret(name.to_owned()).region().map(str::to_owned);
        let arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/stripe-AbCdEf";
        assert_eq!(region(arn).as_deref(), Some("eu-west-1"));
        assert_eq!(region("prod/stripe"), None);
    }
}
