//! Where the events of this run are kept: a temporary folder, or a new table of a DynamoDB on this machine.

use std::{collections::BTreeMap, fmt, path::Path, sync::Arc};

use aws_sdk_dynamodb::config::Credentials;
use hookward_core::config::{Config, DynamoDb, StoreConfig};
use hookward_secrets as secrets;
use hookward_store::{Store, Usage};
use http::Uri;

use crate::{
    aws::{self, Access},
    dynamodb::{
        connection::{Connection, Refusal},
        create,
    },
    failure::Failure,
    output::say,
    sample, serve, table,
};

/// An emulator asks that there is a region and somebody, and not which and who.
const ANY_REGION: &str = "us-east-1";
const ANYBODY: &str = "hookward";

/// So many requests are on their way to the table at once, at most: the round is short.
const CONNECTIONS: usize = 64;

/// What the configuration says of a store in a folder.
pub(super) fn in_folder(folder: &Path) -> String {
    format!("kind = \"embedded\"\npath = \"{}\"", folder.join("store").display())
}

/// And of one in a table that nobody else has. Only on this machine: trying it out must not cost anybody anything.
pub(super) fn in_table() -> Result<String, Failure> {
    let endpoint = endpoint_here()?;
    let name = format!("hookward-dev-{}", sample::random_hex(12));
    let region = if is_set(&["AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"]) {
        String::new()
    } else {
        format!("region = \"{ANY_REGION}\"")
    };
    Ok(format!("kind = \"dynamodb\"\ntable = \"{name}\"\nendpoint = \"{endpoint}\"\n{region}"))
}

/// Where events are kept until the end.
pub(super) enum Home<'c> {
    Folder(&'c Config),
    Table(&'c DynamoDb, Box<Access>),
}

impl fmt::Display for Home<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(_) => f.write_str("embedded store in a temporary folder"),
            Self::Table(config, access) => {
                write!(f, "DynamoDB table {} at {}", config.table, access.endpoint)
            }
        }
    }
}

impl<'c> Home<'c> {
    pub(super) async fn of(config: &'c Config) -> Result<Self, Failure> {
        let StoreConfig::DynamoDb(store) = &config.store else {
            return Ok(Self::Folder(config));
        };
        let mut access = Access::of(store, CONNECTIONS).await?;
        if !is_set(&["AWS_ACCESS_KEY_ID", "AWS_PROFILE"]) {
            let anybody = Credentials::new(ANYBODY, ANYBODY, None, None, "hookward dev");
            access.connection = access.connection.credentials_provider(anybody);
        }
        Ok(Self::Table(store, Box::new(access)))
    }

    /// Makes what is not there yet, and opens the store in it.
    pub(super) async fn open(&self) -> Result<Arc<dyn Store>, Failure> {
        match self {
            Self::Folder(config) => serve::open_store(config, true, Arc::default()).await,
            Self::Table(config, access) => {
                let connection = Connection::over(Access::clone(access), config);
                create::table(connection, config).await?;
                Ok(Arc::new(aws::open_over(Access::clone(access), config).await?))
            }
        }
    }

    /// Shows what the requests to the store cost, where they cost anything.
    pub(super) fn show_cost(&self, usage: &Usage) -> Result<(), Failure> {
        if let Self::Folder(_) = self {
            return Ok(());
        }
        let mut outcomes = BTreeMap::<_, (f64, f64)>::new();
        for used in &usage.units {
            let (writes, reads) = outcomes.entry(used.outcome).or_default();
            (*writes, *reads) = (*writes + used.writes, *reads + used.reads);
        }
        let mut table = table::with_headings(["what it was for", "write units", "read units"]);
        let mut row = |what: &str, writes: f64, reads: f64| {
            table.add_row([what.to_owned(), format!("{writes:.1}"), format!("{reads:.1}")]);
        };
        let (mut all_writes, mut all_reads) = (0.0, 0.0);
        for (outcome, (writes, reads)) in outcomes {
            row(outcome, writes, reads);
            (all_writes, all_reads) = (all_writes + writes, all_reads + reads);
        }
        row("in all", all_writes, all_reads);
        say!("\nWhat the round cost, in units as the table's DynamoDB counts them:\n{table}")
    }

    /// Leaves nothing behind.
    pub(super) async fn clear_away(&self) -> Result<(), Failure> {
        let Self::Table(config, access) = self else { return Ok(()) };
        let client = Connection::over(Access::clone(access), config).client;
        let unlock = client.update_table().table_name(&config.table);
        // Where there is no such protection, nothing is in the way.
        let _unknown = unlock.deletion_protection_enabled(false).send().await;
        let deleted = client.delete_table().table_name(&config.table).send().await;
        match deleted.map_err(|error| Refusal::of(&error)) {
            Ok(_) | Err(Refusal::NotFound) => Ok(()),
            Err(refusal) => {
                Err(Failure::new(format!("cannot delete table {}: {refusal}", config.table)))
            }
        }
    }
}

/// Where the environment says that DynamoDB is, if that is this machine.
fn endpoint_here() -> Result<Uri, Failure> {
    let set = |variable| secrets::variable(variable).map(|value| (variable, value));
    let Some((variable, written)) = secrets::aws::ENDPOINT_VARIABLES.into_iter().find_map(set)
    else {
        return Err(Failure::config(
            "no DynamoDB to try: start one on this machine, such as DynamoDB Local (docs/dynamodb.md says how), and set \
             AWS_ENDPOINT_URL_DYNAMODB=http://127.0.0.1:8000; `dev` makes no table in an AWS account",
        ));
    };
    let is_fit = |url: &Uri| url.scheme().is_some() && secrets::aws::is_here(url);
    written.parse::<Uri>().ok().filter(is_fit).ok_or_else(|| {
        Failure::config(format!(
            "{variable} is {written}: `dev` makes a table only at a loopback address, such \
             as http://127.0.0.1:8000, and none in an AWS account; for any other place there are `hookward dynamodb \
             create` and `hookward serve`"
        ))
    })
}

fn is_set(variables: &[&str]) -> bool {
    variables.iter().any(|variable| secrets::variable(variable).is_some())
}
