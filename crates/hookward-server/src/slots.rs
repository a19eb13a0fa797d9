//! How many attempts at a destination are on their way.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// The attempts that are on their way to one destination. A lane and the one that a reload puts in its place share them,
/// so that both together stay within the destination's concurrency.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    busy: AtomicUsize,
}

impl Slots {
    /// Takes up to `wanted` of those that are free, of `all`.
    pub(crate) fn take(self: &Arc<Self>, wanted: usize, all: usize) -> Taken {
        let mut busy = self.busy.load(Ordering::Acquire);
        loop {
            let count = all.saturating_sub(busy).min(wanted);
            let taken = self.busy.compare_exchange_weak(
                busy,
                busy + count,
                Ordering::AcqRel,
                Ordering::Acquire,
            );
            match taken {
                Ok(_) => return Taken { slots: Arc::clone(self), count },
                Err(now) => busy = now,
            }
        }
    }

    fn give_back(&self, count: usize) {
        self.busy.fetch_sub(count, Ordering::AcqRel);
    }
}

/// Slots that were taken, to be handed out one by one. Those that are not are free again when it is dropped.
#[derive(Debug)]
pub(crate) struct Taken {
    slots: Arc<Slots>,
    count: usize,
}

impl Taken {
    pub(crate) fn held(&self) -> usize {
        self.count
    }
}

impl Iterator for Taken {
    type Item = Slot;

    fn next(&mut self) -> Option<Slot> {
        self.count = self.count.checked_sub(1)?;
        Some(Slot(Arc::clone(&self.slots)))
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.slots.give_back(self.count);
    }
}

/// The right to have one attempt on its way, however it ends.
#[derive(Debug)]
pub(crate) struct Slot(Arc<Slots>);

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.give_back(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn free(slots: &Arc<Slots>, all: usize) -> usize {
        slots.take(usize::MAX, all).held()
    }

    #[test]
    fn no_more_are_taken_than_there_are() {
        let slots = Arc::default();
        let mut first = Slots::take(&slots, 2, 3);
        assert_eq!((first.held(), free(&slots, 3)), (2, 1));
        let held = first.next().unwrap();
        assert_eq!((first.held(), free(&slots, 3)), (1, 1));
        drop(first);
        assert_eq!(free(&slots, 3), 2);
        // Fewer than are busy.
        let all = Slots::take(&slots, usize::MAX, 3);
        assert_eq!((all.held(), free(&slots, 1), free(&slots, 4)), (2, 0, 1));
        drop((held, all));
        assert_eq!(free(&slots, 3), 3);
    }
}
