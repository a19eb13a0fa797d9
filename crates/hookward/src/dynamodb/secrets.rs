//! The secrets that a configuration names, as policies name them.

use hookward_core::{config::Config, secret::SecretRef};

use super::tree::Tree;
use crate::settings;

/// The secrets that the gateway reads: those, and no other.
#[derive(Clone, Debug, Default)]
pub(crate) struct Secrets {
    /// Those of Secrets Manager.
    pub secrets: Vec<Named>,
    /// Parameters of Systems Manager.
    pub parameters: Vec<Named>,
}

/// A secret by its ARN, or by what its ARN is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    Arn(String),
    Here { service: &'static str, region: Option<String>, resource: String },
}

impl Secrets {
    /// What a configuration names.
    pub(crate) fn of(config: &Config) -> Self {
        let region = config.secrets.region.clone();
        let mut found = Self::default();
        let mut add = |to: fn(&mut Self) -> &mut Vec<Named>, named: Named| {
            if !to(&mut found).contains(&named) {
                to(&mut found).push(named);
            }
        };
        for reference in settings::references(config) {
            match reference {
                SecretRef::AwsSm { name, .. } => {
                    let named = if name.starts_with("arn:") {
                        Named::Arn(whole(name))
                    } else {
                        let resource = format!("secret:{name}{ANY_SUFFIX}");
                        Named::Here { service: "secretsmanager", region: region.clone(), resource }
                    };
                    add(|it| &mut it.secrets, named);
                }
                SecretRef::AwsSsm(name) => {
                    let named = if name.starts_with("arn:") {
                        Named::Arn(name)
                    } else {
                        let resource = format!("parameter/{}", name.trim_start_matches('/'));
                        Named::Here { service: "ssm", region: region.clone(), resource }
                    };
                    add(|it| &mut it.parameters, named);
                }
                SecretRef::Env(_)
                | SecretRef::EnvIfSet(_)
                | SecretRef::File(_)
                | SecretRef::Learned(_)
                | SecretRef::Credential(_)
                | SecretRef::Literal(_) => {}
            }
        }
        found
    }
}

impl Named {
    /// Its ARN, with what it does not say filled in.
    pub(crate) fn arn(&self, partition: &str, region: &str, account: &str) -> String {
        match self {
            Self::Arn(arn) => arn.clone(),
            Self::Here { service, region: own, resource } => {
                let region = own.as_deref().unwrap_or(region);
                format!("arn:{partition}:{service}:{region}:{account}:{resource}")
            }
        }
    }
}

/// What a statement is about: one text, or a list.
pub(crate) fn resource(arns: &[Tree]) -> Option<Tree> {
    match arns {
        [] => None,
        [one] => Some(one.clone()),
        several => Some(Tree::List(several.to_vec())),
    }
}

/// Secrets Manager puts a hyphen and six characters of its own behind a secret's name.
const ANY_SUFFIX: &str = "-??????";

/// The ARN with those characters, which may be left out where a secret is read and not where a policy names it.
fn whole(arn: String) -> String {
    let has_suffix = arn.rsplit_once('-').is_some_and(|(_, suffix)| {
        suffix.len() == 6 && suffix.bytes().all(|b| b.is_ascii_alphanumeric())
    });
    if has_suffix { arn } else { format!("{arn}{ANY_SUFFIX}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_named_with_the_characters_behind_its_name() {
        let arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/stripe";
        assert_eq!(whole(format!("{arn}-AbC12f")), format!("{arn}-AbC12f"));
        assert_eq!(whole(arn.to_owned()), format!("{arn}-??????"));
    }
}
