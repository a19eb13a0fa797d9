//! Secrets: where they are, and why some are refused.

use std::{collections::BTreeSet, fmt, path::PathBuf, str::FromStr};

use zeroize::Zeroizing;

use crate::Timestamp;

/// Where a secret is to be found. Configuration holds references, never secrets; only the binary follows them.
#[derive(Clone, PartialEq, Eq)]
pub enum SecretRef {
    /// `env:NAME`: an environment variable.
    Env(String),
    /// `env:NAME?`: an environment variable that need not be set, for a secret that comes or goes in a rotation.
    EnvIfSet(String),
    /// `file:/path`: the content of a file, without its last line break.
    File(PathBuf),
    /// `learned:/path`: a file like the former, which is written once by the handshake in which the sender brings its secret.
    Learned(PathBuf),
    /// `credential:NAME`: a file of that name in the directory that systemd names in `CREDENTIALS_DIRECTORY`.
    Credential(String),
    /// `aws-sm:NAME` or `aws-sm:NAME#KEY`: a secret of AWS Secrets Manager, its current version and the one before it.
    AwsSm {
        /// The secret's name or ARN.
        name: String,
        /// The key of its JSON object that holds the text; `None`: the secret is the text.
        key: Option<String>,
    },
    /// `aws-ssm:NAME`: a `SecureString` of AWS Systems Manager's Parameter Store, by its name or ARN.
    AwsSsm(String),
    /// The secret itself. Only `hookward dev` takes it.
    Literal(Secret),
}

impl FromStr for SecretRef {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text.split_once(':') {
            Some(("env", name)) if !name.is_empty() => match name.strip_suffix('?') {
                Some(name) => Self::EnvIfSet(name.to_owned()),
                None => Self::Env(name.to_owned()),
            },
            Some(("file", path)) if !path.is_empty() => Self::File(path.into()),
            Some(("learned", path)) if !path.is_empty() => Self::Learned(path.into()),
            Some(("credential", name)) if !name.is_empty() => Self::Credential(name.to_owned()),
            Some(("aws-sm", name)) if !name.is_empty() => match name.split_once('#') {
                Some((name, key)) => {
                    Self::AwsSm { name: name.to_owned(), key: Some(key.to_owned()) }
                }
                None => Self::AwsSm { name: name.to_owned(), key: None },
            },
            Some(("aws-ssm", name)) if !name.is_empty() => Self::AwsSsm(name.to_owned()),
            _ => Self::Literal(Secret::new(text.to_owned())),
        })
    }
}

/// The reference as configured; a literal is not shown.
impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
            Self::EnvIfSet(name) => write!(f, "env:{name}?"),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Learned(path) => write!(f, "learned:{}", path.display()),
            Self::Credential(name) => write!(f, "credential:{name}"),
            Self::AwsSm { name, key: None } => write!(f, "aws-sm:{name}"),
            Self::AwsSm { name, key: Some(key) } => write!(f, "aws-sm:{name}#{key}"),
            Self::AwsSsm(name) => write!(f, "aws-ssm:{name}"),
            Self::Literal(_) => f.write_str("(a literal secret)"),
        }
    }
}

impl fmt::Debug for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretRef({self})")
    }
}

/// The text of a secret as its issuer shows it. Says nothing when printed, is wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes a secret's text over.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text itself. Never for a log, an error, a metric or a record.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Refuses what an attacker would try: short, placeholder and low-variety secrets, and such as lost or gained
    /// white space on their way here.
    pub fn strong(self) -> Result<Self, WeakSecret> {
        self.strong_from(SECRET_BYTES_MIN)
    }

    /// The same for the secrets of a provider that issues shorter ones.
    pub(crate) fn strong_from(self, bytes_min: usize) -> Result<Self, WeakSecret> {
        let text = self.expose();
        if text.is_empty() {
            return Err(WeakSecret::Empty);
        }
        if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(WeakSecret::WhiteSpace);
        }
        let bare = bare(text);
        if PLACEHOLDERS.iter().any(|placeholder| bare.to_ascii_lowercase().contains(placeholder)) {
            return Err(WeakSecret::Placeholder);
        }
        if bare.len() < bytes_min {
            return Err(WeakSecret::Short { bytes: bare.len() });
        }
        let distinct = bare.bytes().collect::<BTreeSet<_>>().len();
        if distinct < DISTINCT_BYTES_MIN {
            return Err(WeakSecret::LowVariety { distinct });
        }
        Ok(self)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

/// A secret's text without the prefix by which its issuer marks it, so that a prefix adds no strength.
fn bare(text: &str) -> &str {
    ["whsec_", "whpk_", "whsk_", "shpss_"]
        .iter()
        .find_map(|prefix| text.strip_prefix(prefix))
        .unwrap_or(text)
}

/// The shortest secret taken, in bytes of its text: what Standard Webhooks demands; providers issue 32 and more.
pub const SECRET_BYTES_MIN: usize = 24;

/// The fewest different bytes in a secret: 24 random hex digits hold fewer than 8 about once in 6,000,000 draws.
pub const DISTINCT_BYTES_MIN: usize = 8;

/// What people leave in a file when they mean to fill it in later. In lower case.
const PLACEHOLDERS: &[&str] = &[
    "changeme",
    "change_me",
    "change-me",
    "placeholder",
    "example",
    "your_secret",
    "your-secret",
    "yoursecret",
    "your_webhook",
    "insert_",
    "replace_me",
    "replaceme",
    "replace-me",
    "xxxxxxxx",
    "secret_key_here",
    "password",
    "supersecret",
    "mysecret",
    "my_secret",
    "my-secret",
    "testsecret",
    "test_secret",
    "test-secret",
    "deadbeefdeadbeef",
    "0123456789abcdef0123456789abcdef",
    "123456789012345678901234",
    "abcdefghijklmnop",
];

/// Why a secret is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WeakSecret {
    /// Nothing there.
    #[error("it is empty: anyone can sign with an empty secret")]
    Empty,
    /// White space or control characters.
    #[error(
        "it contains white space or control characters: copy it again, without line breaks or quotes"
    )]
    WhiteSpace,
    /// Too short.
    #[error(
        "it has {bytes} characters (without its prefix), at least {SECRET_BYTES_MIN} are needed: \
         make one with `openssl rand -hex 32`"
    )]
    Short {
        /// How many there are.
        bytes: usize,
    },
    /// A well-known placeholder.
    #[error("it contains a well-known placeholder: use the secret that the sender issued")]
    Placeholder,
    /// Too few different characters.
    #[error(
        "it has only {distinct} different characters, at least {DISTINCT_BYTES_MIN} are needed: make one with `openssl rand -hex 32`"
    )]
    LowVariety {
        /// How many there are.
        distinct: usize,
    },
    /// Not in the encoding that the scheme's keys have.
    #[error("it is not {expected}")]
    Encoding {
        /// What the scheme's keys look like.
        expected: &'static str,
    },
}

/// When a secret is valid, for rotation: both ends optional.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Validity {
    /// Signatures are not taken before this time.
    pub not_before: Option<Timestamp>,
    /// Signatures are not taken from this time on.
    pub not_after: Option<Timestamp>,
}

impl Validity {
    /// Whether `now` is within.
    pub fn contains(&self, now: Timestamp) -> bool {
        self.not_before.is_none_or(|start| start <= now)
            && self.not_after.is_none_or(|end| now < end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(secret: &str, expected: Result<(), WeakSecret>) {
        assert_eq!(Secret::new(secret.to_owned()).strong().map(drop), expected, "{secret:?}");
    }

    #[test]
    fn weak_secrets_are_refused_with_the_reason() {
        check("9f86d081884c7d659a2feaa0c55ad015", Ok(()));
        check("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", Ok(()));
        check("", Err(WeakSecret::Empty));
        check("9f86d081884c7d659a2feaa0c55ad015\n", Err(WeakSecret::WhiteSpace));
        check("hunter2", Err(WeakSecret::Short { bytes: 7 }));
        check("whsec_9f86d081884c7d659a2fe", Err(WeakSecret::Short { bytes: 21 }));
        check("whsec_test_secret", Err(WeakSecret::Placeholder));
        check("CHANGEME-9f86d081884c7d659a2feaa0c55ad015", Err(WeakSecret::Placeholder));
        check("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", Err(WeakSecret::LowVariety { distinct: 1 }));
    }

    #[test]
    fn a_secret_does_not_show_itself() {
        let secret = "9f86d081884c7d659a2feaa0c55ad015";
        let reference: SecretRef = secret.parse().unwrap();
        assert!(
            !format!("{reference:?} {reference} {:?}", Secret::new(secret.to_owned()))
                .contains("9f86")
        );
    }

    #[test]
    fn references_read_as_they_are_written() {
        for text in [
            "env:STRIPE_WH",
            "env:STRIPE_WH_OLD?",
            "file:/run/secrets/stripe",
            "learned:/var/lib/hookward/asana.secret",
            "credential:stripe",
            "aws-sm:prod/stripe",
            "aws-sm:prod/webhooks#stripe",
            "aws-sm:arn:aws:secretsmanager:eu-central-1:123456789012:secret:prod/stripe-AbCdEf",
            "aws-ssm:/prod/stripe",
        ] {
            assert_eq!(text.parse::<SecretRef>().unwrap().to_string(), text);
        }
        for text in ["env:", "aws-sm:", "aws-ssm:"] {
            assert!(matches!(text.parse().unwrap(), SecretRef::Literal(_)), "{text}");
        }
    }

    #[test]
    fn a_validity_includes_its_start_and_excludes_its_end() {
        let (start, end) = (Timestamp::from_secs(10), Timestamp::from_secs(20));
        let validity = Validity { not_before: Some(start), not_after: Some(end) };
        assert!(validity.contains(start) && !validity.contains(end));
        assert!(!validity.contains(Timestamp::from_secs(9)) && Validity::default().contains(end));
    }
}
