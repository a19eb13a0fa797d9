//! What these credentials may do, found out by trying what does no harm.
//!
//! Each attempt reads, writes under a condition that is never true, or deletes what cannot be there; so no item is made, changed
//! or taken away, whoever asks. It is compared with what the role's policy lets: more is a warning, less is an error.

use aws_sdk_dynamodb::types::{
    AttributeValue, DeleteRequest, KeysAndAttributes, Select, TimeToLiveSpecification, WriteRequest,
};
use hookward_store::dynamodb::policy::{Action, Policy, Role};

use super::Finding;
use crate::dynamodb::{
    connection::{Connection, Refusal},
    wanted::{EXPIRY, PARTITION_KEY, SORT_KEY, Wanted},
};

/// No event has this key: those of events have 22 characters.
const EVENT: &str = "e#hookward-doctor";
const TICKET: &str = "r#hookward-doctor";
const JOURNAL: &str = "j#hookward-doctor";
const DEAD_LETTERS: &str = "x#hookward-doctor";
/// What waits of the library's is under numbers.
const WAITING: &str = "w#hookward-doctor";
/// Nodes have this one, with numbers behind it as sort keys.
const NODES: &str = "n";
/// Nor has a dictionary this one: its source would be called so, and its number is none.
const DICTIONARY: &str = "d#hookward-doctor";
/// Hookward has no such items.
const FOREIGN: &str = "hookward-doctor";

/// The sort key that goes with each of them: no item of Hookward's has it.
const SORT: &str = "hookward-doctor";

/// An attribute cannot be there and not be there: no write under this condition takes place. It is looked at only for whoever
/// may write.
const NEVER: &str = "attribute_exists(pk) AND attribute_not_exists(pk)";

/// What became of an attempt.
struct Tried {
    what: String,
    expected: bool,
    result: Result<(), Refusal>,
}

impl Tried {
    fn is_let(&self) -> Option<bool> {
        match &self.result {
            // A condition that was looked at was looked at by somebody who may.
            Ok(()) | Err(Refusal::Condition | Refusal::NotFound) => Some(true),
            Err(Refusal::Denied(_)) => Some(false),
            Err(
                Refusal::Credentials(_)
                | Refusal::Unsupported(_)
                | Refusal::Busy(_)
                | Refusal::Invalid(_)
                | Refusal::Failed(_),
            ) => None,
        }
    }
}

/// Tries, and compares with the policy of the role.
pub(super) async fn look(connection: &Connection, wanted: &Wanted, role: Role) -> Vec<Finding> {
    let policy = Policy::of(role, wanted.features);
    let tried = attempt(connection, &policy).await;
    judged(role, &tried, connection.is_amazon())
}

fn judged(role: Role, tried: &[Tried], is_amazon: bool) -> Vec<Finding> {
    let about = format!("as {role}");
    let names = |wanted: fn(&Tried) -> bool| {
        let these = tried.iter().filter(|it| wanted(it)).map(|it| it.what.as_str());
        these.collect::<Vec<_>>().join(", ")
    };
    let denied_any = tried.iter().any(|it| it.is_let() == Some(false));
    if !is_amazon && !denied_any {
        let answered = tried.iter().filter(|it| it.is_let() == Some(true)).count();
        let said = format!(
            "everything is let, in {answered} attempts: this endpoint looks at no permissions"
        );
        return vec![Finding::skipped("permissions", about, said)];
    }
    let more = names(|it| !it.expected && it.is_let() == Some(true));
    let less = names(|it| it.expected && it.is_let() == Some(false));
    let mut findings = Vec::new();
    if !less.is_empty() {
        let todo = format!("give them the policy of `hookward dynamodb iam --role {role}`");
        findings.push(Finding::error(
            "permissions",
            &about,
            format!("these credentials may not: {less}"),
            todo,
        ));
    }
    if !more.is_empty() {
        let said = format!("these credentials may more than they need: {more}");
        let todo =
            format!("give them nothing but the policy of `hookward dynamodb iam --role {role}`");
        findings.push(Finding::warning("permissions", &about, said).with(todo));
    }
    if findings.is_empty() {
        let said = format!("no more and no less than they need, in {} attempts", tried.len());
        findings.push(Finding::good("permissions", about, said));
    }
    findings
}

async fn attempt(connection: &Connection, policy: &Policy) -> Vec<Tried> {
    let Connection { client, table, .. } = connection;
    let key = |pk: &str| {
        [(PARTITION_KEY, pk), (SORT_KEY, SORT)]
            .map(|(name, value)| (name.to_owned(), AttributeValue::S(value.to_owned())))
    };
    let mut tried = Vec::new();
    let mut note = |action: Action, keys: &[&str], result: Result<(), Refusal>| {
        let on =
            if keys.is_empty() { String::new() } else { format!(" on {}", keys.join(" and ")) };
        let expected = policy.allows(action, keys);
        tried.push(Tried { what: format!("{action}{on}"), expected, result });
    };

    for pk in [EVENT, DICTIONARY, FOREIGN] {
        let read = client.get_item().table_name(table).set_key(Some(key(pk).into())).send().await;
        note(Action::GetItem, &[pk], read.map(drop).map_err(|error| Refusal::of(&error)));
    }
    for these in [&[EVENT][..], &[EVENT, TICKET]] {
        let keys = these.iter().map(|pk| key(pk).into()).collect();
        if let Ok(keys) = KeysAndAttributes::builder().set_keys(Some(keys)).build() {
            let read = client.batch_get_item().request_items(table, keys).send().await;
            let read = read.map(drop).map_err(|error| Refusal::of(&error));
            note(Action::BatchGetItem, these, read);
        }
    }
    for pk in [NODES, JOURNAL, DEAD_LETTERS, WAITING, EVENT] {
        let query = client.query().table_name(table).limit(1).select(Select::Count);
        let query = query
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", AttributeValue::S(pk.to_owned()));
        let read = query.send().await.map(drop).map_err(|error| Refusal::of(&error));
        note(Action::Query, &[pk], read);
    }
    let read = client.scan().table_name(table).limit(1).select(Select::Count).send().await;
    note(Action::Scan, &[], read.map(drop).map_err(|error| Refusal::of(&error)));
    let statement = format!("SELECT pk FROM \"{table}\" WHERE pk = '{EVENT}'");
    let read = client.execute_statement().statement(statement).send().await;
    note(Action::PartiQLSelect, &[EVENT], read.map(drop).map_err(|error| Refusal::of(&error)));

    for pk in [EVENT, TICKET, JOURNAL, WAITING, DICTIONARY, FOREIGN] {
        let put = client.put_item().table_name(table).set_item(Some(key(pk).into()));
        let put = put.condition_expression(NEVER).send().await;
        note(Action::PutItem, &[pk], put.map(drop).map_err(|error| Refusal::of(&error)));
    }
    for pk in [EVENT, TICKET, JOURNAL, WAITING, NODES, DICTIONARY, FOREIGN] {
        // It would set nothing, even if it took place.
        let update = client.update_item().table_name(table).set_key(Some(key(pk).into()));
        let update = update.condition_expression(NEVER).send().await;
        note(Action::UpdateItem, &[pk], update.map(drop).map_err(|error| Refusal::of(&error)));
    }
    for pk in [EVENT, TICKET, JOURNAL, WAITING, NODES, DEAD_LETTERS, FOREIGN] {
        let delete = client.delete_item().table_name(table).set_key(Some(key(pk).into()));
        let delete = delete.condition_expression(NEVER).send().await;
        note(Action::DeleteItem, &[pk], delete.map(drop).map_err(|error| Refusal::of(&error)));
    }
    // A batch takes no condition: it deletes what is not there, which changes nothing. No event can have the one key; under the
    // other one nothing of Hookward's is, and only where nothing of anybody's is seen either is it tried.
    for pk in [EVENT, FOREIGN] {
        if pk == FOREIGN && !is_free(connection, key(pk)).await {
            continue;
        }
        let Ok(delete) = DeleteRequest::builder().set_key(Some(key(pk).into())).build() else {
            continue;
        };
        let delete = WriteRequest::builder().delete_request(delete).build();
        let batch = client.batch_write_item().request_items(table, vec![delete]).send().await;
        let batch = batch.map(drop).map_err(|error| Refusal::of(&error));
        note(Action::BatchWriteItem, &[pk], batch);
    }

    // Asking for what is so already is refused as invalid to whoever may ask.
    let same = TimeToLiveSpecification::builder().enabled(true).attribute_name(EXPIRY).build();
    if let Ok(same) = same
        && is_expiring(connection).await
    {
        let update = client.update_time_to_live().table_name(table);
        let update = update.time_to_live_specification(same).send().await;
        let update = match update.map(drop).map_err(|error| Refusal::of(&error)) {
            Err(Refusal::Invalid(_)) => Ok(()),
            other => other,
        };
        note(Action::UpdateTimeToLive, &[], update);
    }
    tried
}

/// Whether it is known that no item has this key.
async fn is_free(connection: &Connection, key: [(String, AttributeValue); 2]) -> bool {
    let read = connection.client.get_item().table_name(&connection.table).consistent_read(true);
    let read = read.set_key(Some(key.into())).send().await;
    read.is_ok_and(|found| found.item.is_none())
}

/// Whether it is known that items expire as they should: otherwise the attempt would change something.
async fn is_expiring(connection: &Connection) -> bool {
    let Connection { client, table, .. } = connection;
    let answer = client.describe_time_to_live().table_name(table).send().await;
    answer.ok().and_then(|it| it.time_to_live_description).is_some_and(|it| {
        it.attribute_name() == Some(EXPIRY)
            && it.time_to_live_status() == Some(&aws_sdk_dynamodb::types::TimeToLiveStatus::Enabled)
    })
}

#[cfg(test)]
mod tests {
    use super::{super::finding::Severity, *};

    fn tried(expected: bool, result: Result<(), Refusal>) -> Tried {
        Tried { what: "dynamodb:GetItem on n".to_owned(), expected, result }
    }

    #[test]
    fn more_and_less_than_the_policy_are_told_apart() {
        let denied = || Err(Refusal::Denied(String::new()));
        let check = |tried: &[Tried], is_amazon, expected: &[Severity]| {
            let findings = judged(Role::Gateway, tried, is_amazon);
            let found: Vec<_> = findings.iter().map(|it| it.severity).collect();
            assert_eq!(found, expected, "{findings:#?}");
        };
        check(&[tried(true, Ok(())), tried(false, denied())], true, &[Severity::Good]);
        check(&[tried(true, denied()), tried(false, denied())], true, &[Severity::Error]);
        let never_true = || Err(Refusal::Condition);
        check(&[tried(true, Ok(())), tried(false, never_true())], true, &[Severity::Warning]);
        let both = [tried(true, denied()), tried(false, never_true())];
        check(&both, true, &[Severity::Error, Severity::Warning]);
        check(&both, false, &[Severity::Error, Severity::Warning]);
        // What nobody is refused tells nothing where nobody looks.
        check(&[tried(false, Ok(()))], false, &[Severity::Skipped]);
        check(&[tried(false, Ok(()))], true, &[Severity::Warning]);
        // A call that is not known says nothing about permissions.
        let unknown = Err(Refusal::Unsupported(String::new()));
        check(&[tried(false, unknown), tried(true, Ok(()))], true, &[Severity::Good]);
    }
}
