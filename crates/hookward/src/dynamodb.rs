//! `hookward dynamodb`: the table of the DynamoDB store: what it costs, who may use it, how it is made.

use clap::{Args, Subcommand};

use crate::failure::Failure;

mod cloudformation;
mod cost;
mod document;
mod iam;
mod terraform;
mod tree;
mod wanted;

/// Sets up the table of the DynamoDB store.
#[derive(Debug, Args)]
pub(crate) struct DynamoDb {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Estimate what a month costs, with its arithmetic
    Cost(cost::Cost),
    /// Print the least that each role needs, as IAM policies
    Iam(iam::Iam),
    /// Print the table as a CloudFormation template
    #[command(name = "cloudformation")]
    CloudFormation(cloudformation::CloudFormation),
    /// Print the table as Terraform
    Terraform(terraform::Terraform),
}

impl DynamoDb {
    pub(crate) fn run(self) -> Result<(), Failure> {
        match self.command {
            Command::Cost(cost) => {
                cost.run();
                Ok(())
            }
            Command::Iam(iam) => iam.run(),
            Command::CloudFormation(template) => template.run(),
            Command::Terraform(template) => template.run(),
        }
    }
}
