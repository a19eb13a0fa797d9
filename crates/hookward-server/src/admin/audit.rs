//! What operators decide, in the log: the same lines whether a gateway or a command did it.

use hookward_core::EventKey;

/// An event was made due again.
pub fn replayed(key: EventKey) {
    tracing::info!(%key, audit = true, "operator replayed an event");
}

/// A dead letter was taken off the list.
pub fn dropped(key: EventKey) {
    tracing::info!(%key, audit = true, "operator dropped a dead letter");
}
