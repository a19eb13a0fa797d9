//! Events as JSON for people. Bodies only where asked for.

use hookward_store::{DeadReason, Kept, Page};
use serde::{Deserialize, Serialize};

/// An event as the admin API shows it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EventView {
    /// Its key, 32 hex digits.
    pub key: String,
    /// The source that admitted it.
    pub source: String,
    /// Its type.
    pub event_type: Option<String>,
    /// The sender's id.
    pub sender_id: Option<String>,
    /// `pending`, `done`, `archived`, `dead` or `dropped`.
    pub state: String,
    /// Why it is dead.
    pub dead_reason: Option<String>,
    /// RFC 3339.
    pub received_at: String,
    /// When it is next due, while it is pending. RFC 3339.
    pub due_at: Option<String>,
    /// Attempts since it was received or last replayed.
    pub attempts: u32,
    /// How often it was replayed.
    pub replays: u32,
    /// The body's size.
    pub body_bytes: usize,
    /// Whether the body was forgotten.
    pub body_expired: bool,
    /// The latest attempts, oldest first; in lists at most the last one.
    pub history: Vec<AttemptView>,
    /// The headers kept beside the body. Not in lists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    /// The body, when asked for: as text where it is UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
}

/// An attempt as the admin API shows it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AttemptView {
    /// When it ended. RFC 3339.
    pub at: String,
    /// The destination's status, if it answered.
    pub status: Option<u16>,
    /// What happened.
    pub note: String,
}

/// A page of events.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PageView {
    /// Newest first.
    pub events: Vec<EventView>,
    /// What to pass as `cursor` for the next page; absent at the end.
    pub next: Option<u64>,
}

impl EventView {
    /// An event without its body.
    pub fn of(kept: &Kept) -> Self {
        let event = &kept.event;
        Self {
            key: event.key.to_string(),
            source: event.source.to_string(),
            event_type: event.event_type.as_deref().map(str::to_owned),
            sender_id: event.sender_id.as_deref().map(str::to_owned),
            state: kept.state.as_str().to_owned(),
            dead_reason: kept.dead.map(|why| {
                match why {
                    DeadReason::Quarantined(why) => why.as_str(),
                    DeadReason::Undeliverable => "undeliverable",
                }
                .to_owned()
            }),
            received_at: event.received_at.to_string(),
            due_at: kept.due_at.map(|at| at.to_string()),
            attempts: kept.attempts,
            replays: kept.replays,
            body_bytes: kept.body_bytes,
            body_expired: kept.body_expired,
            history: kept
                .history
                .iter()
                .map(|it| AttemptView {
                    at: it.at.to_string(),
                    status: it.status,
                    note: it.note.to_string(),
                })
                .collect(),
            headers: Vec::new(),
            body: None,
        }
    }

    /// The same with the kept headers and, if asked for, the body.
    #[must_use]
    pub fn with_content(mut self, kept: &Kept, body: bool) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        self.headers = kept
            .event
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), text(value)))
            .collect();
        self.body = (body && !kept.body_expired).then(|| text(&kept.event.body));
        self
    }
}

impl From<&Page> for PageView {
    fn from(page: &Page) -> Self {
        Self {
            events: page.events.iter().map(EventView::of).collect(),
            next: page.next.map(|cursor| cursor.0),
        }
    }
}
