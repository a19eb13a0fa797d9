//! `hookward dynamodb`: the table of the DynamoDB store: what it costs, who may use it, how it is made.

use clap::{Args, Subcommand};

use crate::failure::Failure;

mod cloudformation;
pub(crate) mod connection;
mod cost;
pub(crate) mod create;
mod document;
pub(crate) mod iam;
pub(crate) mod inspect;
pub(crate) mod judge;
mod secrets;
mod terraform;
mod train;
mod tree;
pub(crate) mod wanted;

/// Sets up the table of the DynamoDB store.
#[derive(Debug, Args)]
pub(crate) struct DynamoDb {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Create the table, and turn on what is off
    Create(create::Create),
    /// Estimate what a month costs, with its arithmetic
    Cost(cost::Cost),
    /// Print the least that each role needs, as IAM policies
    Iam(iam::Iam),
    /// Print the table as a CloudFormation template
    #[command(name = "cloudformation")]
    CloudFormation(cloudformation::CloudFormation),
    /// Print the table as Terraform
    Terraform(terraform::Terraform),
    /// Make a source's bodies smaller with a dictionary trained on its events
    Train(train::Train),
}

impl DynamoDb {
    pub(crate) fn run(self) -> Result<(), Failure> {
        match self.command {
            Command::Cost(cost) => {
                cost.run();
                Ok(())
            }
            Command::Create(create) => create.run(),
            Command::Iam(iam) => iam.run(),
            Command::CloudFormation(template) => template.run(),
            Command::Terraform(template) => template.run(),
            Command::Train(train) => train.run(),
        }
    }
}
