//! The threads that serve connections.
//!
//! Each has a runtime of its own, and a connection stays on the one it was given to: it wakes no other thread, and its state
//! stays where it is cached. A connection that computes for long delays those of its own thread alone.

use std::{
    io,
    num::NonZeroUsize,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use tokio::{
    runtime::{Builder, Handle},
    sync::watch,
};
use tracing::dispatcher::{self, Dispatch};

/// The threads, which end when this is dropped. What they still serve then is cut off.
#[derive(Debug)]
pub(crate) struct Workers {
    handles: Vec<Handle>,
    next: AtomicUsize,
    _alive: watch::Sender<()>,
}

impl Workers {
    /// Starts so many threads.
    pub(crate) fn start(count: NonZeroUsize) -> io::Result<Self> {
        let (alive, watched) = watch::channel(());
        let mut handles = Vec::with_capacity(count.get());
        for number in 0..count.get() {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            handles.push(runtime.handle().clone());
            let mut watched = watched.clone();
            // It logs to where the thread that starts it does.
            let log = dispatcher::get_default(Dispatch::clone);
            thread::Builder::new().name(format!("hookward-{number}")).spawn(move || {
                // Nothing is ever sent: this waits for the sender to go.
                let ends = async { while watched.changed().await.is_ok() {} };
                dispatcher::with_default(&log, || runtime.block_on(ends));
            })?;
        }
        Ok(Self { handles, next: AtomicUsize::new(0), _alive: alive })
    }

    /// The thread for the next connection: in turns, which spreads few long connections as well as many short ones.
    pub(crate) fn next(&self) -> &Handle {
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.handles.len();
        self.handles.get(turn).expect("below their number")
    }
}
