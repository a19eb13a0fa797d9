//! One item for all events that are on their way together: what another node needs to finish this one's work.

use std::{sync::Arc, time::Duration};

use hookward_core::Timestamp;
use tokio::sync::oneshot;

use super::{
    Shared,
    book::{Book, Queued},
    item::journal::{Entry, JournalItem, SPAN},
    options::Flaw,
    size::JOURNAL_EXTRA,
    table::{For, Guard},
    tenure::Tenure,
    trouble::Trouble,
    usage::Purpose,
};
use crate::StoreError;

/// An item of so many events is full: it costs one write unit. See the test of the item.
const FULL: usize = 40;

/// An item with more is not written, however many wait.
const ENTRIES_MAX: usize = 1_000;

/// Told when the journal holds an event, or that it does not.
pub(super) type Told = oneshot::Receiver<Result<(), Arc<Trouble>>>;

/// The other end of [`Told`].
pub(super) type Tells = oneshot::Sender<Result<(), Arc<Trouble>>>;

impl Shared {
    /// Puts an event into the next journal item. In the order of the numbers, under the lock that gave them.
    pub(super) fn enqueue(
        &self,
        book: &mut Book,
        number: u64,
        entry: Entry,
        expires_at: Timestamp,
    ) -> Told {
        let (told, hears) = oneshot::channel();
        book.journal.push_back(Queued { number, entry, expires_at, told });
        if book.journal.len() == 1 || book.journal.len() == FULL {
            self.journal_wanted.notify_one();
        }
        hears
    }

    /// Journals an event that is this node's already, or is to be: the number under which the journal holds it.
    pub(super) async fn journaled(
        &self,
        tenure: &Arc<Tenure>,
        entry: Entry,
        expires_at: Timestamp,
    ) -> Result<u64, StoreError> {
        let (number, told) = {
            let mut book = self.open_book()?;
            if !Arc::ptr_eq(&book.tenure, tenure) {
                return Err(Trouble::not_tried("this node was taken for dead meanwhile").into());
            }
            let number = book.next_number();
            let told = self.enqueue(&mut book, number, entry, expires_at);
            (number, told)
        };
        let journaled = self.wait_for_journal(Some(told)).await;
        journaled.inspect_err(|_| self.finish_numbers(tenure, &[number]))?;
        Ok(number)
    }

    /// Waits until the journal holds an event; `None` when it does already.
    pub(super) async fn wait_for_journal(&self, told: Option<Told>) -> Result<(), Arc<Trouble>> {
        if self.has(Flaw::AcknowledgesBeforeTheJournal) {
            return Ok(());
        }
        match told {
            None => Ok(()),
            Some(told) => told
                .await
                .unwrap_or_else(|_| Err(Arc::new(Trouble::not_tried("the journal was left")))),
        }
    }

    /// Writes journal items, one after the other, as long as the store is open.
    pub(super) async fn keep_journal(self: Arc<Self>) {
        let mut last = None;
        loop {
            self.journal_wanted.notified().await;
            loop {
                self.wait_for_company(last).await;
                let Some((item, tellers)) = self.next_journal_item() else { break };
                last = Some(self.options.clock.elapsed());
                let written = self
                    .table
                    .put(item.encode(), Guard::always(), For::all(Purpose::Journal))
                    .await
                    .map(drop)
                    .map_err(Arc::new);
                for teller in tellers {
                    // Whoever asked may have gone.
                    let _gone = teller.send(written.clone());
                }
            }
        }
    }

    /// Where events come close together, an item waits a little for the next ones. `last`: when the one before was written.
    async fn wait_for_company(&self, last: Option<Duration>) {
        let delay = self.options.journal_delay;
        let (waiting, on_their_way) = {
            let book = self.book();
            (book.journal.len(), book.in_flight.len())
        };
        let since = last.map(|last| self.options.clock.elapsed().saturating_sub(last));
        let is_close = on_their_way > 1 || since.is_some_and(|since| since < delay);
        if (1..FULL).contains(&waiting) && is_close {
            // It was also told of the first event that came while the last item was written.
            let full = async {
                while self.book().journal.len() < FULL {
                    self.journal_wanted.notified().await;
                }
            };
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                () = full => {}
            }
        }
    }

    fn next_journal_item(&self) -> Option<(JournalItem, Vec<Tells>)> {
        let mut book = self.book();
        let count = book.journal.len().min(ENTRIES_MAX);
        let queued: Vec<Queued> = book.journal.drain(..count).collect();
        let (first, last) = (queued.first()?.number, queued.last()?.number);
        let youngest = queued.iter().map(|it| it.entry.at).max()?;
        let expires_at = queued.iter().map(|it| it.expires_at).max()?.saturating_add(JOURNAL_EXTRA);
        let at = book.next_group(youngest, last);
        let oldest = at.saturating_sub(SPAN);
        let mut tellers = Vec::with_capacity(queued.len());
        let mut entries = Vec::with_capacity(queued.len());
        for Queued { mut entry, told, .. } in queued {
            entry.at = entry.at.clamp(oldest, at);
            entries.push(entry);
            tellers.push(told);
        }
        let (node, progress) = (book.tenure.node, book.progress.clone());
        Some((JournalItem { node, at, first, entries, progress, expires_at }, tellers))
    }
}
