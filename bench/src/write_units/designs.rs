//! Two other ways to keep webhooks in DynamoDB, as they are usually built.

use std::collections::HashMap;

use aws_sdk_dynamodb::{
    Client,
    operation::put_item::PutItemError,
    primitives::Blob,
    types::{AttributeValue, ReturnConsumedCapacity, ReturnValuesOnConditionCheckFailure},
};

use super::{
    Outcomes, Result,
    bodies::Body,
    counter::{Counted, Counter},
    engine::{Engine, INDEX, client, create_table},
};

/// One item for each event, with its payload and its status in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Design {
    pub(super) name: &'static str,
    /// What is to be done is found in an index that has only that in it, and only its keys.
    pub(super) indexed: bool,
    /// Bodies are compressed, as Hookward's are.
    pub(super) compressed: bool,
}

/// All that are measured.
pub(super) const ALL: [Design; 4] = [
    Design { name: "put, update", indexed: false, compressed: false },
    Design { name: "put, update; zstd", indexed: false, compressed: true },
    Design { name: "index", indexed: true, compressed: false },
    Design { name: "index; zstd", indexed: true, compressed: true },
];

/// zstd's level in Hookward.
const LEVEL: i32 = 3;

/// A table of a design.
struct Table<'a> {
    design: Design,
    client: Client,
    name: String,
    counter: &'a Counter,
}

impl Design {
    /// What becomes of these bodies, on a table of their own.
    pub(super) async fn measure(
        self,
        engine: &Engine,
        name: String,
        bodies: &[Body],
    ) -> Result<Outcomes> {
        let counter = Counter::before(engine.address).await?;
        let client = client(counter.address);
        create_table(&client, &name, self.indexed).await?;
        let table = Table { design: self, client, name, counter: &counter };
        let delivered = table.count(bodies, "delivered", Life::Delivered).await?;
        let retried = table.count(bodies, "retried", Life::Retried).await?;
        let dead = table.count(bodies, "dead", Life::Dead).await?;
        let duplicate = table.count(bodies, "delivered", Life::Duplicate).await?;
        let pending = table.count(bodies, "pending", Life::Pending).await?;
        let recovered = table.recover(bodies.len()).await?;
        // What is the same whether it comes alone or not, and whoever remembers it.
        Ok(Outcomes {
            alone: delivered,
            load: delivered,
            retried,
            dead,
            remembered: duplicate,
            forgotten: duplicate,
            malformed: pending,
            refused: [0.0, 0.0],
            again: counter.counted().again,
            recovered: Some(recovered),
        })
    }
}

/// What happens to an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Pending,
    Delivered,
    Retried,
    Dead,
    Duplicate,
}

impl Table<'_> {
    /// The mean of what so many events use.
    async fn count(&self, bodies: &[Body], prefix: &str, life: Life) -> Result<[f64; 2]> {
        let before = self.counter.counted();
        for (number, body) in bodies.iter().enumerate() {
            let id = format!("{prefix}-{number:018}");
            let is_new = self.put(&id, body).await?;
            if is_new == (life == Life::Duplicate) {
                return Err(format!("{id} was there, or was not").into());
            }
            match life {
                Life::Pending | Life::Duplicate => {}
                Life::Delivered => self.update(&id, "done").await?,
                Life::Dead => self.update(&id, "dead").await?,
                Life::Retried => {
                    self.update(&id, "pending").await?;
                    self.update(&id, "done").await?;
                }
            }
        }
        Ok(mean(self.counter.counted() - before, bodies.len()))
    }

    /// Keeps an event, if nothing has its id.
    async fn put(&self, id: &str, body: &Body) -> Result<bool> {
        let bytes = if self.design.compressed {
            zstd::bulk::compress(&body.bytes, LEVEL)?
        } else {
            body.bytes.clone()
        };
        let mut item = key(id);
        item.insert("st".to_owned(), text("pending"));
        item.insert("t".to_owned(), AttributeValue::N("1790000000000000".to_owned()));
        item.insert("x".to_owned(), AttributeValue::N("1792592000".to_owned()));
        item.insert("y".to_owned(), text(&body.event_type));
        item.insert("c".to_owned(), text("application/json"));
        item.insert("b".to_owned(), AttributeValue::B(Blob::new(bytes)));
        if self.design.indexed {
            item.insert("qp".to_owned(), text("q#07"));
            item.insert("qs".to_owned(), text("1790000000000"));
        }
        let put = self
            .client
            .put_item()
            .table_name(&self.name)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(pk)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await;
        match put {
            Ok(_) => Ok(true),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(PutItemError::is_conditional_check_failed_exception) =>
            {
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Writes what became of an event; what is still to be done is due later.
    async fn update(&self, id: &str, status: &str) -> Result<()> {
        let change = match (self.design.indexed, status) {
            (false, _) => "SET st = :st ADD n :one",
            (true, "pending") => "SET st = :st, qs = :due ADD n :one",
            (true, _) => "SET st = :st REMOVE qp, qs ADD n :one",
        };
        let mut update = self
            .client
            .update_item()
            .table_name(&self.name)
            .set_key(Some(key(id)))
            .update_expression(change)
            .expression_attribute_values(":st", text(status))
            .expression_attribute_values(":one", AttributeValue::N("1".to_owned()))
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        if change.contains(":due") {
            update = update.expression_attribute_values(":due", text("1790000060000"));
        }
        update.send().await?;
        Ok(())
    }

    /// Finds what is pending and reads it, as somebody does who comes after a crash; the mean for each of so many events.
    async fn recover(&self, count: usize) -> Result<[f64; 2]> {
        let before = self.counter.counted();
        let mut found = Vec::new();
        let mut from = None;
        loop {
            let (items, next) = if self.design.indexed {
                let query = self.client.query().table_name(&self.name).index_name(INDEX);
                let page = query
                    .key_condition_expression("qp = :q")
                    .expression_attribute_values(":q", text("q#07"))
                    .set_exclusive_start_key(from)
                    .return_consumed_capacity(ReturnConsumedCapacity::Total)
                    .send()
                    .await?;
                (page.items, page.last_evaluated_key)
            } else {
                let scan = self.client.scan().table_name(&self.name).consistent_read(true);
                let page = scan
                    .filter_expression("st = :st")
                    .expression_attribute_values(":st", text("pending"))
                    .set_exclusive_start_key(from)
                    .return_consumed_capacity(ReturnConsumedCapacity::Total)
                    .send()
                    .await?;
                (page.items, page.last_evaluated_key)
            };
            found.extend(items.unwrap_or_default());
            from = next;
            if from.is_none() {
                break;
            }
        }
        if found.len() != count {
            return Err(format!("{} events are pending, and not {count}", found.len()).into());
        }
        for item in found.iter().filter(|_| self.design.indexed) {
            let key = item.iter().filter(|(name, _)| ["pk", "sk"].contains(&&***name));
            self.client
                .get_item()
                .table_name(&self.name)
                .set_key(Some(key.map(|(name, value)| (name.clone(), value.clone())).collect()))
                .consistent_read(true)
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send()
                .await?;
        }
        Ok(mean(self.counter.counted() - before, count))
    }
}

fn mean(counted: Counted, count: usize) -> [f64; 2] {
    let count = f64::from(u32::try_from(count.max(1)).unwrap_or(u32::MAX));
    [counted.reads / count, counted.writes / count]
}

fn key(id: &str) -> HashMap<String, AttributeValue> {
    HashMap::from([("pk".to_owned(), text(&format!("e#shop#{id}"))), ("sk".to_owned(), text("e"))])
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}
