//! What belongs to one process: the runtime that I/O is done on. A fork copies the memory and none of the threads, so that a child
//! makes one of its own, at its first call that needs it.

use std::{
    future::Future,
    mem, process,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use arc_swap::ArcSwapOption;
use pyo3::{
    exceptions::{PyImportError, PyOSError},
    prelude::*,
    types::{PyCFunction, PyDict},
};
use tokio::runtime::{Builder, Runtime};

use crate::error::HookwardError;

struct Owned {
    process: u32,
    runtime: Runtime,
}

static RUNTIME: ArcSwapOption<Owned> = ArcSwapOption::const_empty();

/// Enough for I/O: what is waited for is elsewhere.
const WORKERS: usize = 2;

/// Waits for I/O, without the GIL.
pub(crate) fn wait_for<F>(py: Python<'_>, future: F) -> PyResult<F::Output>
where
    F: Future + Send,
    F::Output: Send,
{
    let owned = runtime().map_err(|error| {
        HookwardError::new_err(format!("cannot start the threads that do I/O: {error}"))
    })?;
    Ok(py.detach(|| owned.runtime.block_on(future)))
}

fn runtime() -> std::io::Result<Arc<Owned>> {
    let process = process::id();
    if let Some(owned) = RUNTIME.load_full()
        && owned.process == process
    {
        return Ok(owned);
    }
    let runtime = Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .thread_name("hookward")
        .enable_all()
        .build()?;
    let mine = Arc::new(Owned { process, runtime });
    loop {
        let current = RUNTIME.load_full();
        if let Some(theirs) = &current
            && theirs.process == process
        {
            // Another thread was faster; this one's runtime ends here, and has nothing to do.
            return Ok(Arc::clone(theirs));
        }
        let before = RUNTIME.compare_and_swap(&current, Some(Arc::clone(&mine)));
        let is_swapped = match (&*before, &current) {
            (Some(before), Some(current)) => Arc::ptr_eq(before, current),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        if is_swapped {
            abandon(current);
            return Ok(mine);
        }
    }
}

/// Refuses to be loaded by a second interpreter of a process, as mod_wsgi has them: the types of this module belong to the one that
/// loaded it first.
pub(crate) fn refuse_other_interpreters(py: Python<'_>) -> PyResult<()> {
    static FIRST: AtomicUsize = AtomicUsize::new(0);
    // Each interpreter has builtins of its own, for as long as it lives.
    let this = py.import("builtins")?.as_ptr() as usize;
    match FIRST.compare_exchange(0, this, Ordering::Relaxed, Ordering::Relaxed) {
        Err(first) if first != this => Err(PyImportError::new_err(
            "hookward._core was loaded by another interpreter of this process: it does not support subinterpreters",
        )),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Has Python tell when this process is the child of a fork.
pub(crate) fn watch_forks(py: Python<'_>) -> PyResult<()> {
    let in_child = PyCFunction::new_closure(py, None, None, |_, _| throw_new_dice())?;
    let when = PyDict::new(py);
    when.set_item("after_in_child", in_child)?;
    // Windows has no forks.
    let os = py.import("os")?;
    if os.hasattr("register_at_fork")? {
        os.call_method("register_at_fork", (), Some(&when))?;
    }
    Ok(())
}

/// The dice are copied with the memory: two children would throw the same, and believe each other's receipts to be their own.
fn throw_new_dice() -> PyResult<()> {
    let mut seed = [0; 8];
    getrandom::fill(&mut seed).map_err(|error| PyOSError::new_err(error.to_string()))?;
    fastrand::seed(u64::from_le_bytes(seed));
    Ok(())
}

/// Leaves alone what belongs to the process that this one was forked from: to drop it would wait for threads that are not here.
#[expect(clippy::mem_forget, reason = "its threads are in another process")]
pub(crate) fn abandon<T>(of_another_process: T) {
    mem::forget(of_another_process);
}
