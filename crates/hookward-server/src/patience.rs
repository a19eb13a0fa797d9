//! How long something may keep us waiting, with one timer for many waits.
//!
//! A timer that is set for each wait and taken back when it ends costs as much as reading a request's head. So it is
//! left as it is, and when it goes off, the wait of that moment is judged.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

/// The patience with one party.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    /// When it is over with the present wait, if there is one.
    until: Option<Instant>,
    /// Goes off then or earlier.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    /// The wait is over.
    pub(crate) const fn renew(&mut self) {
        self.until = None;
    }

    /// Ready when the wait has taken `at_most`, from the first poll after the last one was over.
    pub(crate) fn poll(&mut self, at_most: Duration, context: &mut Context<'_>) -> Poll<()> {
        let until = *self.until.get_or_insert_with(|| Instant::now() + at_most);
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(until)));
        if timer.deadline() > until {
            timer.as_mut().reset(until);
        }
        while timer.as_mut().poll(context).is_ready() {
            if timer.deadline() >= until {
                return Poll::Ready(());
            }
            timer.as_mut().reset(until);
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::time::{advance, timeout};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// How many seconds a wait of at most `at_most` seconds takes to be too long, `None` when it still is not after 100.
    async fn runs_out(patience: &mut Patience, at_most: u32) -> Option<u64> {
        let started = Instant::now();
        let wait = poll_fn(|context| patience.poll(SECOND * at_most, context));
        timeout(SECOND * 100, wait).await.ok().map(|()| started.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_ends_when_it_took_too_long_whatever_was_waited_for_before() {
        let mut patience = Patience::default();
        assert_eq!(runs_out(&mut patience, 5).await, Some(5));
        patience.renew();
        assert_eq!(runs_out(&mut patience, 7).await, Some(7));
        patience.renew();
        assert_eq!(runs_out(&mut patience, 200).await, None);
        // A shorter wait after a longer one that ended early, and a longer one after it.
        patience.renew();
        assert_eq!(runs_out(&mut patience, 3).await, Some(3));
        patience.renew();
        assert_eq!(runs_out(&mut patience, 50).await, Some(50));
    }

    #[tokio::test(start_paused = true)]
    async fn only_what_renews_it_prolongs_a_wait() {
        let mut patience = Patience::default();
        let mut poll = async |renewed: bool| {
            if renewed {
                patience.renew();
            }
            let polled = poll_fn(|context| Poll::Ready(patience.poll(SECOND * 10, context))).await;
            advance(SECOND * 6).await;
            polled.is_ready()
        };
        assert_eq!([poll(true).await, poll(false).await, poll(false).await], [false, false, true]);
        for _ in 0..5 {
            assert!(!poll(true).await);
        }
    }
}
