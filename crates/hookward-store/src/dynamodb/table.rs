//! The calls to DynamoDB that this store makes, each with its cost and its errors.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use aws_sdk_dynamodb::{
    Client,
    operation::{
        delete_item::DeleteItemError, put_item::PutItemError, update_item::UpdateItemError,
    },
    types::{
        AttributeValue, ConsumedCapacity, KeysAndAttributes, ReturnConsumedCapacity,
        ReturnValuesOnConditionCheckFailure, Select,
    },
};
use hookward_core::{SourceName, Timestamp};

use super::{
    item::{EXPIRES, Item, Key, PK, SK, billed_bytes, number, text},
    options::Clock,
    spending::WriteBudgets,
    trouble::{Trouble, TroubleKind},
    usage::{Meter, Purpose},
};

/// DynamoDB takes no more in one read of many.
const BATCH_MAX: usize = 100;

/// How often what DynamoDB left out of a read of many is asked for again.
const BATCH_ROUNDS: usize = 20;

/// After so many calls that failed, one after the other, the next one is expected to fail too.
const FAILURES: u32 = 6;

/// The table.
#[derive(Debug)]
pub(crate) struct Table {
    client: Client,
    name: String,
    pub(crate) meter: Meter,
    /// Calls that failed since the last one that did not; throttles aside, which say that DynamoDB is there.
    failed: AtomicU32,
    budgets: Arc<WriteBudgets>,
    clock: Arc<dyn Clock>,
}

/// Whom a call is for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct For<'a> {
    pub(crate) source: Option<&'a SourceName>,
    pub(crate) purpose: Purpose,
}

impl For<'_> {
    pub(crate) const fn all(purpose: Purpose) -> Self {
        Self { source: None, purpose }
    }
}

/// What must be true for a write to happen, and what it is written with.
#[derive(Clone, Debug, Default)]
pub(crate) struct Guard {
    condition: Option<&'static str>,
    names: HashMap<String, String>,
    values: HashMap<String, AttributeValue>,
}

impl Guard {
    pub(crate) fn when(condition: &'static str) -> Self {
        Self { condition: Some(condition), ..Self::default() }
    }

    pub(crate) fn always() -> Self {
        Self::default()
    }

    /// A key is new where nothing is, and where the former holder's time is over, whether it was deleted or not.
    pub(crate) fn is_new(now: Timestamp) -> Self {
        Self::when("attribute_not_exists(pk) OR #x <= :now")
            .name("#x", EXPIRES)
            .value(":now", number(now.as_secs()))
    }

    #[must_use]
    pub(crate) fn name(mut self, placeholder: &str, name: &str) -> Self {
        self.names.insert(placeholder.to_owned(), name.to_owned());
        self
    }

    #[must_use]
    pub(crate) fn value(mut self, placeholder: &str, value: AttributeValue) -> Self {
        self.values.insert(placeholder.to_owned(), value);
        self
    }

    fn names(&self) -> Option<HashMap<String, String>> {
        (!self.names.is_empty()).then(|| self.names.clone())
    }

    fn values(&self) -> Option<HashMap<String, AttributeValue>> {
        (!self.values.is_empty()).then(|| self.values.clone())
    }
}

/// What became of a guarded write.
#[derive(Debug)]
pub(crate) enum Written {
    Done,
    /// The condition was not true; this is the item that is there, if any.
    Refused(Option<Item>),
}

impl Written {
    pub(crate) const fn is_done(&self) -> bool {
        matches!(self, Self::Done)
    }
}

/// Some items of a partition.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) items: Vec<Item>,
    /// Whether there may be more behind them.
    pub(crate) more: bool,
}

/// Which items of a partition, in which order.
#[derive(Clone, Debug)]
pub(crate) struct Range {
    pub(crate) pk: String,
    /// From this range key on, itself included.
    pub(crate) from: Option<String>,
    /// Up to this range key, itself included.
    pub(crate) to: Option<String>,
    pub(crate) newest_first: bool,
    pub(crate) limit: Option<i32>,
}

impl Range {
    pub(crate) fn all(pk: impl Into<String>) -> Self {
        Self { pk: pk.into(), from: None, to: None, newest_first: false, limit: None }
    }
}

impl Table {
    pub(crate) fn new(
        client: Client,
        name: &str,
        budgets: &Arc<WriteBudgets>,
        clock: &Arc<dyn Clock>,
    ) -> Self {
        Self {
            client,
            name: name.to_owned(),
            meter: Meter::default(),
            failed: AtomicU32::new(0),
            budgets: Arc::clone(budgets),
            clock: Arc::clone(clock),
        }
    }

    /// Whether calls can be expected to be answered.
    pub(crate) fn answers(&self) -> bool {
        self.failed.load(Ordering::Relaxed) < FAILURES
    }

    /// Counts what a read cost.
    fn looked(&self, why: For<'_>, units: f64) {
        self.failed.store(0, Ordering::Relaxed);
        self.meter.read(why.source, why.purpose, units);
    }

    /// Counts what a write cost, and takes it out of the source's budget.
    fn spent(&self, why: For<'_>, units: f64) {
        self.failed.store(0, Ordering::Relaxed);
        self.meter.wrote(why.source, why.purpose, units);
        if let Some(source) = why.source {
            self.budgets.spend(source, units, self.clock.elapsed());
        }
    }

    /// The newest state of an item.
    pub(crate) async fn get(&self, key: Key, why: For<'_>) -> Result<Option<Item>, Trouble> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.name)
            .set_key(Some(key.item()))
            .consistent_read(true)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(|error| self.note(Trouble::of("GetItem", error)))?;
        self.looked(why, units(answer.consumed_capacity()));
        Ok(answer.item)
    }

    /// The newest states of items. Those that are not there are left out.
    pub(crate) async fn get_all(
        &self,
        keys: &[Key],
        why: For<'_>,
    ) -> Result<HashMap<Key, Item>, Trouble> {
        let mut found = HashMap::with_capacity(keys.len());
        for some in keys.chunks(BATCH_MAX) {
            let keys = some.iter().cloned().map(Key::item).collect();
            let mut asked = Some(self.consistent(keys)?);
            let mut rounds = 0;
            while let Some(keys) = asked.take() {
                rounds += 1;
                if rounds > BATCH_ROUNDS {
                    return Err(self.note(Trouble {
                        call: "BatchGetItem",
                        kind: TroubleKind::Throttled(vec!["UnprocessedKeys".to_owned()]),
                    }));
                }
                let answer = self
                    .client
                    .batch_get_item()
                    .request_items(&self.name, keys)
                    .return_consumed_capacity(ReturnConsumedCapacity::Total)
                    .send()
                    .await
                    .map_err(|error| self.note(Trouble::of("BatchGetItem", error)))?;
                let used = answer.consumed_capacity().iter().map(|used| units(Some(used))).sum();
                self.looked(why, used);
                let items = answer.responses.unwrap_or_default().into_values().flatten();
                found.extend(items.filter_map(|item| Some((Key::of(&item)?, item))));
                let left = answer.unprocessed_keys.unwrap_or_default().into_values();
                let left: Vec<Item> = left.flat_map(|left| left.keys).collect();
                if !left.is_empty() {
                    asked = Some(self.consistent(left)?);
                }
            }
        }
        Ok(found)
    }

    fn consistent(&self, keys: Vec<Item>) -> Result<KeysAndAttributes, Trouble> {
        let built = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true).build();
        built.map_err(|_| self.note(Trouble::not_tried("a read of no keys")))
    }

    /// Some items of a partition in their newest state.
    pub(crate) async fn query(&self, range: &Range, why: For<'_>) -> Result<Found, Trouble> {
        let mut names = HashMap::from([("#p".to_owned(), PK.to_owned())]);
        let mut values = HashMap::from([(":p".to_owned(), text(&*range.pk))]);
        let mut bound = |placeholder: &str, value: &Option<String>| {
            if let Some(value) = value {
                names.insert("#s".to_owned(), SK.to_owned());
                values.insert(placeholder.to_owned(), text(&**value));
            }
        };
        bound(":f", &range.from);
        bound(":t", &range.to);
        let condition = match (&range.from, &range.to) {
            (None, None) => "#p = :p",
            (Some(_), None) => "#p = :p AND #s >= :f",
            (None, Some(_)) => "#p = :p AND #s <= :t",
            (Some(from), Some(to)) if from > to => return Ok(Found::default()),
            (Some(_), Some(_)) => "#p = :p AND #s BETWEEN :f AND :t",
        };
        let answer = self
            .client
            .query()
            .table_name(&self.name)
            .key_condition_expression(condition)
            .set_expression_attribute_names(Some(names))
            .set_expression_attribute_values(Some(values))
            .scan_index_forward(!range.newest_first)
            .set_limit(range.limit)
            .consistent_read(true)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(|error| self.note(Trouble::of("Query", error)))?;
        self.looked(why, units(answer.consumed_capacity()));
        let more = answer.last_evaluated_key.is_some();
        Ok(Found { items: answer.items.unwrap_or_default(), more })
    }

    /// How many items a partition has whose time is not over at `now`.
    pub(crate) async fn count(
        &self,
        pk: &str,
        now: Timestamp,
        why: For<'_>,
    ) -> Result<u64, Trouble> {
        let mut count = 0;
        let mut after = None;
        loop {
            let answer = self
                .client
                .query()
                .table_name(&self.name)
                .select(Select::Count)
                .key_condition_expression("#p = :p")
                .filter_expression("attribute_not_exists(#x) OR #x > :now")
                .expression_attribute_names("#p", PK)
                .expression_attribute_names("#x", EXPIRES)
                .expression_attribute_values(":p", text(pk))
                .expression_attribute_values(":now", number(now.as_secs()))
                .set_exclusive_start_key(after)
                .consistent_read(true)
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send()
                .await
                .map_err(|error| self.note(Trouble::of("Query", error)))?;
            self.looked(why, units(answer.consumed_capacity()));
            count += u64::try_from(answer.count()).unwrap_or_default();
            after = answer.last_evaluated_key;
            if after.is_none() {
                return Ok(count);
            }
        }
    }

    /// All items of a range, page by page.
    pub(crate) async fn query_all(
        &self,
        mut range: Range,
        why: For<'_>,
    ) -> Result<Vec<Item>, Trouble> {
        let mut items: Vec<Item> = Vec::new();
        loop {
            let found = self.query(&range, why).await?;
            let last = found.items.last().and_then(Key::of);
            // A page begins with the last item of the one before it.
            let repeated = items.last().and_then(Key::of);
            let fresh = found.items.into_iter().filter(|item| Key::of(item) != repeated);
            items.extend(fresh);
            let Some(last) = last.filter(|_| found.more) else { return Ok(items) };
            if range.newest_first {
                range.to = Some(last.sk);
            } else {
                range.from = Some(last.sk);
            }
        }
    }

    /// Writes an item whole.
    pub(crate) async fn put(
        &self,
        item: Item,
        guard: Guard,
        why: For<'_>,
    ) -> Result<Written, Trouble> {
        let answer = self
            .client
            .put_item()
            .table_name(&self.name)
            .set_item(Some(item))
            .set_condition_expression(guard.condition.map(Into::into))
            .set_expression_attribute_names(guard.names())
            .set_expression_attribute_values(guard.values())
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await;
        match answer {
            Ok(answer) => {
                self.spent(why, units(answer.consumed_capacity()));
                Ok(Written::Done)
            }
            Err(error) => {
                if let Some(PutItemError::ConditionalCheckFailedException(it)) =
                    error.as_service_error()
                {
                    return Ok(self.refused(it.item.clone(), why));
                }
                Err(self.note(Trouble::of("PutItem", error)))
            }
        }
    }

    /// Changes some attributes of an item.
    pub(crate) async fn update(
        &self,
        key: Key,
        change: &str,
        guard: Guard,
        why: For<'_>,
    ) -> Result<(Written, Option<Item>), Trouble> {
        let answer = self
            .client
            .update_item()
            .table_name(&self.name)
            .set_key(Some(key.item()))
            .update_expression(change)
            .set_condition_expression(guard.condition.map(Into::into))
            .set_expression_attribute_names(guard.names())
            .set_expression_attribute_values(guard.values())
            .return_values(aws_sdk_dynamodb::types::ReturnValue::UpdatedNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await;
        match answer {
            Ok(answer) => {
                self.spent(why, units(answer.consumed_capacity()));
                Ok((Written::Done, answer.attributes))
            }
            Err(error) => {
                if let Some(UpdateItemError::ConditionalCheckFailedException(it)) =
                    error.as_service_error()
                {
                    return Ok((self.refused(it.item.clone(), why), None));
                }
                Err(self.note(Trouble::of("UpdateItem", error)))
            }
        }
    }

    /// Deletes an item.
    pub(crate) async fn delete(
        &self,
        key: Key,
        guard: Guard,
        why: For<'_>,
    ) -> Result<Written, Trouble> {
        let answer = self
            .client
            .delete_item()
            .table_name(&self.name)
            .set_key(Some(key.item()))
            .set_condition_expression(guard.condition.map(Into::into))
            .set_expression_attribute_names(guard.names())
            .set_expression_attribute_values(guard.values())
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await;
        match answer {
            Ok(answer) => {
                self.spent(why, units(answer.consumed_capacity()));
                Ok(Written::Done)
            }
            Err(error) => {
                if let Some(DeleteItemError::ConditionalCheckFailedException(it)) =
                    error.as_service_error()
                {
                    return Ok(self.refused(it.item.clone(), why));
                }
                Err(self.note(Trouble::of("DeleteItem", error)))
            }
        }
    }

    /// A condition that was not true is billed by the item that is there, and DynamoDB does not say how much that was.
    fn refused(&self, there: Option<Item>, why: For<'_>) -> Written {
        let size = there.as_ref().map_or(1, billed_bytes).div_ceil(1024).max(1);
        #[expect(clippy::cast_precision_loss, reason = "an item has at most 400 KiB")]
        let units = size as f64;
        let purpose =
            if why.purpose == Purpose::Accepted { Purpose::Duplicate } else { why.purpose };
        self.spent(For { purpose, ..why }, units);
        Written::Refused(there)
    }

    /// Counts calls that fail, and why they are throttled.
    fn note(&self, trouble: Trouble) -> Trouble {
        match &trouble.kind {
            TroubleKind::Throttled(reasons) => {
                for reason in reasons {
                    self.meter.throttled(reason);
                }
            }
            TroubleKind::TimedOut
            | TroubleKind::Unreachable(_)
            | TroubleKind::Refused(_)
            | TroubleKind::Failed(_) => {
                self.failed.fetch_add(1, Ordering::Relaxed);
            }
            TroubleKind::NotTried(_) => {}
        }
        trouble
    }
}

fn units(consumed: Option<&ConsumedCapacity>) -> f64 {
    consumed.and_then(ConsumedCapacity::capacity_units).unwrap_or_default()
}
