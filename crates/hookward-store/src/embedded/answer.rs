//! Answers to those who wait for the writer.
//!
//! Waking a task on another thread costs a lock and often a system call each time. So the writer answers one caller of each
//! thread, who passes on the answers of the others there: on the same thread that is cheap.

use std::{
    fmt,
    thread::{self, ThreadId},
};

use tokio::sync::oneshot;

use super::record::Encoded;
use crate::{Receipt, StoreError};

/// Somebody who waits for an answer.
pub(crate) struct Caller<T> {
    sender: oneshot::Sender<Passed<T>>,
    /// Where it began to wait: most likely it waits there still.
    thread: ThreadId,
}

/// The wait for an answer.
#[derive(Debug)]
pub(crate) struct Waiting<T>(oneshot::Receiver<Passed<T>>);

/// An answer with those that are to be passed on.
#[derive(Debug)]
struct Passed<T> {
    result: Result<T, StoreError>,
    others: Answers,
    /// The caller's own, to be freed where it was allocated: elsewhere that takes the allocator's lock.
    _record: Option<Encoded>,
}

/// A caller and what to wait with.
pub(crate) fn caller<T>() -> (Caller<T>, Waiting<T>) {
    let (sender, waiting) = oneshot::channel();
    (Caller { sender, thread: thread::current().id() }, Waiting(waiting))
}

impl<T> Caller<T> {
    /// A caller that has gone away does not want it; the others are answered all the same.
    fn answer(self, result: Result<T, StoreError>, others: Answers, record: Option<Encoded>) {
        drop(self.sender.send(Passed { result, others, _record: record }));
    }
}

impl<T> fmt::Debug for Caller<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Caller")
    }
}

impl<T> Waiting<T> {
    /// The answer; `None` when the writer went away without one.
    pub(crate) async fn answer(self) -> Option<Result<T, StoreError>> {
        let Passed { result, others, .. } = self.0.await.ok()?;
        drop(others);
        Some(result)
    }
}

/// Answers on their way: each is sent, at the latest when this is dropped.
#[derive(Debug, Default)]
pub(crate) struct Answers(Vec<Answer>);

#[derive(Debug)]
struct Answer {
    to: To,
    record: Option<Encoded>,
}

#[derive(Debug)]
enum To {
    Plain(Caller<()>, Result<(), StoreError>),
    Receipt(Caller<Receipt>, Result<Receipt, StoreError>),
}

impl Answers {
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self(Vec::with_capacity(capacity))
    }

    pub(crate) fn plain(&mut self, caller: Caller<()>, result: Result<(), StoreError>) {
        self.0.push(Answer { to: To::Plain(caller, result), record: None });
    }

    /// `record` is what the caller had handed in.
    pub(crate) fn receipt(
        &mut self,
        caller: Caller<Receipt>,
        result: Result<Receipt, StoreError>,
        record: Option<Encoded>,
    ) {
        self.0.push(Answer { to: To::Receipt(caller, result), record });
    }

    /// Answers one caller on each thread, who passes on the answers of the others there.
    pub(crate) fn send(mut self) {
        while let Some(first) = self.0.pop() {
            let here = self.0.extract_if(.., |other| other.thread() == first.thread());
            let others = Self(here.collect());
            first.send(others);
        }
    }
}

impl Drop for Answers {
    fn drop(&mut self) {
        for answer in self.0.drain(..) {
            answer.send(Self::default());
        }
    }
}

impl Answer {
    fn thread(&self) -> ThreadId {
        match &self.to {
            To::Plain(caller, _) => caller.thread,
            To::Receipt(caller, _) => caller.thread,
        }
    }

    fn send(self, others: Answers) {
        match self.to {
            To::Plain(caller, result) => caller.answer(result, others, self.record),
            To::Receipt(caller, result) => caller.answer(result, others, self.record),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_caller_is_answered_whoever_has_gone_away() {
        for gone in 0..4 {
            let mut answers = Answers::with_capacity(4);
            let mut waiting = Vec::new();
            for number in 0..4 {
                let (caller, wait) = caller();
                answers.plain(caller, Ok(()));
                if number != gone {
                    waiting.push(wait);
                }
            }
            answers.send();
            // In either order: who is answered first is not for the callers to know.
            if gone % 2 == 0 {
                waiting.reverse();
            }
            // One that goes away with its answer unread passes the others on as well.
            drop(waiting.pop());
            for wait in waiting {
                assert!(matches!(wait.answer().await, Some(Ok(()))));
            }
        }
    }

    #[tokio::test]
    async fn a_writer_that_goes_away_is_noticed() {
        let (caller, waiting) = caller::<()>();
        drop(caller);
        assert!(waiting.answer().await.is_none());
    }
}
