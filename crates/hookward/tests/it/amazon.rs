//! What answers like DynamoDB, as a test says: for permissions, encryption and all else that no emulator has.

use std::{
    collections::HashMap,
    fmt,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use serde_json::{Value, json};

/// A table of one account, and who may do what.
pub(crate) struct Amazon {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl fmt::Debug for Amazon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Amazon").field("address", &self.address).finish_non_exhaustive()
    }
}

/// What there is.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// As `DescribeTable` tells it; nothing: there is no table.
    pub table: Option<Value>,
    pub time_to_live: Option<String>,
    pub recovery: bool,
    /// So many looks at a new table find it not ready.
    pub slow: usize,
    /// Actions with the key that they are let on; nothing: everything is let.
    pub lets: Option<Vec<(String, String)>>,
    /// Operations that are not known.
    pub unknown: Vec<&'static str>,
    pub tags: Vec<(String, String)>,
    /// What was asked, in order.
    pub asked: Vec<(String, Value)>,
}

impl Amazon {
    pub(crate) fn start(state: State) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                thread::spawn(move || serve(&shared, &stream).unwrap_or_default());
            }
        });
        Self { address, state }
    }

    /// Looks at, or changes, what there is.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.state.lock().unwrap())
    }

    /// The operations that would change the table that were asked for so far.
    pub(crate) fn changes(&self) -> Vec<String> {
        let names = |state: &mut State| state.asked.iter().map(|(name, _)| name.clone()).collect();
        let names: Vec<String> = self.with(names);
        names
            .into_iter()
            .filter(|name| {
                let changing = name.starts_with("Update") && name != "UpdateItem";
                changing || ["CreateTable", "TagResource"].contains(&&**name)
            })
            .collect()
    }
}

/// A table as `hookward dynamodb create` leaves it behind, in DynamoDB Local.
pub(crate) fn table() -> Value {
    json!({
        "TableName": "webhooks",
        "TableStatus": "ACTIVE",
        "TableArn": "arn:aws:dynamodb:ddblocal:000000000000:table/webhooks",
        "AttributeDefinitions": [
            { "AttributeName": "pk", "AttributeType": "S" },
            { "AttributeName": "sk", "AttributeType": "S" },
        ],
        "KeySchema": [
            { "AttributeName": "pk", "KeyType": "HASH" },
            { "AttributeName": "sk", "KeyType": "RANGE" },
        ],
        "BillingModeSummary": { "BillingMode": "PAY_PER_REQUEST" },
        "OnDemandThroughput": { "MaxWriteRequestUnits": 750 },
        "DeletionProtectionEnabled": true,
    })
}

/// All that a table needs and has.
pub(crate) fn everything() -> State {
    State {
        table: Some(table()),
        time_to_live: Some("x".to_owned()),
        recovery: true,
        ..State::default()
    }
}

fn serve(state: &Mutex<State>, mut stream: &TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut headers = HashMap::new();
    let mut line = String::new();
    reader.read_line(&mut line)?;
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length = headers.get("content-length").and_then(|it| it.parse().ok()).unwrap_or_default();
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let (status, answer) = match headers.get("x-amz-target").and_then(|it| it.split_once('.')) {
        // A look whether anybody is there.
        None => (200, json!("healthy")),
        Some((_, operation)) => {
            let asked = serde_json::from_slice(&body).unwrap();
            let mut state = state.lock().unwrap();
            let answer = state.answer(operation, &asked);
            state.asked.push((operation.to_owned(), asked));
            answer
        }
    };
    let answer = answer.to_string();
    write!(
        stream,
        "HTTP/1.1 {status} X\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{answer}",
        answer.len()
    )
}

fn refused(code: &str, message: &str) -> (u16, Value) {
    (
        400,
        json!({ "__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": message }),
    )
}

impl State {
    fn answer(&mut self, operation: &str, asked: &Value) -> (u16, Value) {
        if self.unknown.contains(&operation) {
            return refused("UnknownOperationException", "Unsupported operation");
        }
        if let Some(lets) = &self.lets {
            let keys = keys_of(operation, asked);
            let lets = |key: &String| {
                lets.iter()
                    .any(|(action, pattern)| action == action_of(operation) && is_of(pattern, key))
            };
            if !keys.iter().all(lets) {
                return refused("AccessDeniedException", "User is not authorized to perform this");
            }
        }
        let Some(table) = &mut self.table else {
            if operation == "CreateTable" {
                let mut made = table();
                made["TableStatus"] = json!("CREATING");
                let told = [
                    "AttributeDefinitions",
                    "KeySchema",
                    "OnDemandThroughput",
                    "DeletionProtectionEnabled",
                ];
                for name in told {
                    made[name] = asked[name].clone();
                }
                if let Some(key) = asked["SSESpecification"]["KMSMasterKeyId"].as_str() {
                    made["SSEDescription"] =
                        json!({ "Status": "ENABLED", "SSEType": "KMS", "KMSMasterKeyArn": key });
                }
                self.tag(asked);
                self.table = Some(made.clone());
                return (200, json!({ "TableDescription": made }));
            }
            return refused("ResourceNotFoundException", "Requested resource not found");
        };
        match operation {
            "DescribeTable" => {
                if self.slow == 0 {
                    table["TableStatus"] = json!("ACTIVE");
                }
                self.slow = self.slow.saturating_sub(1);
                (200, json!({ "Table": table }))
            }
            "UpdateTable" if table["TableStatus"] != "ACTIVE" => {
                refused("ResourceInUseException", "Table is being updated")
            }
            "UpdateTable" => {
                self.slow = 1;
                for (name, value) in asked.as_object().unwrap() {
                    table[name] = value.clone();
                }
                table["TableStatus"] = json!("UPDATING");
                (200, json!({ "TableDescription": table }))
            }
            "DescribeTimeToLive" => {
                let described = self.time_to_live.as_ref().map_or_else(
                    || json!({ "TimeToLiveStatus": "DISABLED" }),
                    |name| json!({ "TimeToLiveStatus": "ENABLED", "AttributeName": name }),
                );
                (200, json!({ "TimeToLiveDescription": described }))
            }
            "UpdateTimeToLive" if self.time_to_live.is_some() => {
                refused("ValidationException", "TimeToLive is already enabled")
            }
            "UpdateTimeToLive" => {
                let specification = &asked["TimeToLiveSpecification"];
                self.time_to_live = specification["AttributeName"].as_str().map(str::to_owned);
                (200, json!({ "TimeToLiveSpecification": specification }))
            }
            "DescribeContinuousBackups" => {
                let status = if self.recovery { "ENABLED" } else { "DISABLED" };
                let described = json!({
                    "ContinuousBackupsStatus": "ENABLED",
                    "PointInTimeRecoveryDescription": { "PointInTimeRecoveryStatus": status, "RecoveryPeriodInDays": 35 },
                });
                (200, json!({ "ContinuousBackupsDescription": described }))
            }
            "UpdateContinuousBackups" => {
                self.recovery = true;
                (200, json!({}))
            }
            "ListTagsOfResource" => {
                let tags =
                    self.tags.iter().map(|(key, value)| json!({ "Key": key, "Value": value }));
                (200, json!({ "Tags": tags.collect::<Vec<_>>() }))
            }
            "TagResource" => {
                assert_eq!(asked["ResourceArn"], table["TableArn"]);
                self.tag(asked);
                (200, json!({}))
            }
            "BatchWriteItem" => {
                let writes = asked["RequestItems"]["webhooks"].as_array().unwrap();
                let nothing = |key: &Value| key["sk"]["S"] == "hookward-doctor";
                assert!(
                    writes.iter().all(|write| nothing(&write["DeleteRequest"]["Key"])),
                    "an attempt that could write: {asked}"
                );
                (200, json!({ "UnprocessedItems": {} }))
            }
            "PutItem" | "UpdateItem" | "DeleteItem" => {
                assert!(
                    asked["ConditionExpression"].is_string(),
                    "an attempt that could write: {asked}"
                );
                refused("ConditionalCheckFailedException", "The conditional request failed")
            }
            "BatchGetItem" => (200, json!({ "Responses": {}, "UnprocessedKeys": {} })),
            "Query" | "Scan" => (200, json!({ "Count": 0, "ScannedCount": 0 })),
            _ => (200, json!({})),
        }
    }

    /// Sets the tags of a request.
    fn tag(&mut self, asked: &Value) {
        for tag in asked["Tags"].as_array().into_iter().flatten() {
            let text = |name: &str| tag[name].as_str().unwrap().to_owned();
            self.tags.retain(|(key, _)| *key != text("Key"));
            self.tags.push((text("Key"), text("Value")));
        }
    }
}

/// The partition keys that a request is for; of a request for the table, its absence.
fn keys_of(operation: &str, asked: &Value) -> Vec<String> {
    let key = |of: &Value| of["pk"]["S"].as_str().unwrap_or_default().to_owned();
    match operation {
        "GetItem" | "UpdateItem" | "DeleteItem" => vec![key(&asked["Key"])],
        "PutItem" => vec![key(&asked["Item"])],
        "Query" => {
            vec![asked["ExpressionAttributeValues"][":pk"]["S"].as_str().unwrap().to_owned()]
        }
        "BatchGetItem" => {
            asked["RequestItems"]["webhooks"]["Keys"].as_array().unwrap().iter().map(key).collect()
        }
        "BatchWriteItem" => {
            let writes = asked["RequestItems"]["webhooks"].as_array().unwrap();
            writes.iter().map(|write| key(&write["DeleteRequest"]["Key"])).collect()
        }
        _ => vec![String::new()],
    }
}

/// The action that a request needs.
fn action_of(operation: &str) -> &str {
    if operation == "ExecuteStatement" { "PartiQLSelect" } else { operation }
}

fn is_of(pattern: &str, key: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == key, |prefix| key.starts_with(prefix))
}
