//! The Rust half of the Python package, as `hookward._core`: signatures and error mapping. `python/hookward/_core.pyi` says
//! what it is to Python.
//!
//! What takes long gives the GIL up. Nothing here starts a thread, takes a lock or opens a connection when it is imported, and
//! what a process holds of such things it makes anew after a fork: see [`process`]. A panic becomes an exception: see
//! [`error::guarded`].

use pyo3::prelude::*;

mod answer;
mod clock;
mod config;
mod dynamodb;
mod error;
mod event;
mod headers;
mod keys;
mod process;
mod receiver;
mod retrying;
mod settings;
mod tending;
mod verify;

#[pymodule]
mod _core {
    use pyo3::{prelude::*, types::PyList};

    #[pymodule_export]
    use crate::{
        answer::{Answer, accepted, retry_later},
        config::{Config, Diagnostic, SourceFacts},
        dynamodb::{Claimed, DynamoDb, Kept, Leased},
        error::{
            BodyExpired, ConfigError, Fenced, HookwardError, NotFound, SecretError, StoreError,
            TooLarge, Unavailable,
        },
        event::{Event, parse_json, read_body},
        keys::KeyFetch,
        receiver::{Receiver, Screened, Signed},
        retrying::retry_wait,
        verify::{providers, verify},
    };

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        let py = module.py();
        crate::process::refuse_other_interpreters(py)?;
        crate::process::watch_forks(py)?;
        // What an error of them has; each that is raised has a list of its own.
        for error in [py.get_type::<ConfigError>(), py.get_type::<SecretError>()] {
            error.setattr("diagnostics", PyList::empty(py))?;
        }
        Ok(())
    }
}
