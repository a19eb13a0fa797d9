//! Whether the table is there, set up as it should be, and for nobody to do more with than they need.

use bytes::Bytes;
use hookward_core::config::Config;
use hookward_server::{Clock as _, SystemClock};
use hookward_store::dynamodb::policy::Role;
use http::{HeaderMap, Method};

use super::{Finding, bucket, clock, finding::Severity, permissions};
use crate::{
    client::{self, Http},
    dynamodb::{
        advice::{NO_CREDENTIALS, NO_TABLE},
        connection::{Connection, Refusal},
        inspect::Inspected,
        judge::{is_foreign, judge},
        wanted::Wanted,
    },
    failure::Failure,
};

/// Looks at the table of a configuration, and tries what these credentials may do with it.
pub(super) async fn look(config: &Config, role: Role) -> Vec<Finding> {
    let Some(wanted) = Wanted::of(config) else { return Vec::new() };
    let connection = match Connection::open(&wanted.store).await {
        Ok(connection) => connection,
        Err(failure) => {
            let todo =
                "say where DynamoDB is: `region` and `endpoint` in [store], or in the environment";
            return vec![Finding::error("endpoint", "AWS", failure, todo)];
        }
    };
    let mut findings = endpoint(&connection).await;
    if findings.iter().any(|it| it.severity == Severity::Error && it.check == "endpoint") {
        return findings;
    }
    match Inspected::look(&connection).await {
        Ok(found) => {
            findings.push(taken());
            findings.extend(judge(&found, &wanted.store, connection.is_amazon()));
            // Nothing is tried on a table of somebody else's.
            if is_foreign(&findings) {
                return findings;
            }
        }
        Err(refusal) => {
            let is_lost =
                matches!(refusal, Refusal::Credentials(_) | Refusal::NotFound | Refusal::Failed(_));
            findings.extend(unseen(&wanted, role, &refusal));
            if is_lost {
                return findings;
            }
        }
    }
    findings.extend(permissions::look(&connection, &wanted, role).await);
    findings.extend(bucket::look(&wanted, role).await);
    findings
}

fn taken() -> Finding {
    Finding::good("credentials", "AWS", "found and taken")
}

/// Why the table itself could not be looked at.
fn unseen(wanted: &Wanted, role: Role, refusal: &Refusal) -> Vec<Finding> {
    let table = &wanted.store.table;
    match refusal {
        Refusal::NotFound => {
            vec![taken(), Finding::error("table", table, refusal, NO_TABLE)]
        }
        Refusal::Credentials(_) => {
            vec![Finding::error("credentials", "AWS", refusal, NO_CREDENTIALS)]
        }
        Refusal::Denied(_) if role == Role::Doctor => {
            let todo = "give them the policy of `hookward dynamodb iam --role doctor`, or say whose they are with --role";
            vec![taken(), Finding::error("table", table, refusal, todo)]
        }
        Refusal::Denied(_) => {
            let said = format!(
                "how it is set up is not for the {role} to see; the doctor's credentials would"
            );
            vec![taken(), Finding::skipped("table", table, said)]
        }
        Refusal::Unsupported(_)
        | Refusal::Busy(_)
        | Refusal::Invalid(_)
        | Refusal::Condition
        | Refusal::Failed(_) => {
            vec![Finding::error(
                "table",
                table,
                refusal,
                "see what is behind `endpoint` in [store]",
            )]
        }
    }
}

/// Whether something answers at the endpoint, and what time it is there.
async fn endpoint(connection: &Connection) -> Vec<Finding> {
    let endpoint = &connection.endpoint;
    let uri = match client::url(endpoint) {
        Ok(uri) => uri,
        Err(failure) => {
            let todo = "correct `endpoint` in [store], or AWS_ENDPOINT_URL_DYNAMODB";
            return vec![Finding::error("endpoint", endpoint, failure, todo)];
        }
    };
    match Http::new().send(Method::GET, &uri, HeaderMap::new(), Bytes::new()).await {
        Ok(answered) => {
            let answers = Finding::good("endpoint", endpoint, "answers");
            let skew = clock::look(endpoint, &answered.headers, SystemClock::start().now());
            std::iter::once(answers).chain(skew).collect()
        }
        Err(error) => {
            let said = Failure::of("it does not answer", &error);
            let todo = "see that the region exists and that the network lets through to it (a VPC needs a gateway endpoint)";
            vec![Finding::error("endpoint", endpoint, said, todo)]
        }
    }
}
