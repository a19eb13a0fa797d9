//! `hookward dynamodb iam`: the least that each role needs, as policies.

use clap::Args;
use hookward_store::dynamodb::policy::{Policy, Role};

use super::{
    document::document,
    tree::Tree,
    wanted::{Owner, Wanted},
};
use crate::{failure::Failure, output::say, settings::ConfigFile};

/// Prints the least-privilege policies for the features that a configuration uses.
///
/// Each role is a principal of its own. No action has a wildcard; what is done to items is bounded by the keys
/// that they begin with; what would take events or their protection away is forbidden, whatever other policies say.
#[derive(Debug, Args)]
pub(crate) struct Iam {
    #[command(flatten)]
    file: ConfigFile,
    #[command(flatten)]
    owner: Owner,
    /// Only this role's policy, as the document that `aws iam create-policy` takes
    #[arg(long, value_parser = parse_role)]
    role: Option<Role>,
    /// Answer in JSON: a document for each role
    #[arg(long)]
    json: bool,
}

impl Iam {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let wanted = Wanted::load(&self.file)?;
        let names = self.owner.names(&wanted)?;
        let of = |role| document(&Policy::of(role, wanted.features), &names);
        if let Some(role) = self.role {
            say!("{}", of(role).to_json())?;
        } else if self.json {
            let roles = Role::ALL.map(|role| (role.as_str(), of(role)));
            say!("{}", Tree::map(roles).to_json())?;
        } else {
            for role in Role::ALL {
                say!("{role}: {}\n\n{}\n", role.purpose(), of(role).to_json())?;
            }
        }
        Ok(())
    }
}

pub(crate) fn parse_role(text: &str) -> Result<Role, String> {
    let names = Role::ALL.map(Role::as_str).join(", ");
    Role::ALL
        .into_iter()
        .find(|role| role.as_str() == text)
        .ok_or_else(|| format!("use one of {names}"))
}
