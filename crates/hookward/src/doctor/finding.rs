//! What was found, and what to do about it.

use std::fmt;

use serde::Serialize;

/// Something that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// The stable name of what was looked for; `docs/dynamodb.md` explains each.
    pub check: &'static str,
    /// What was looked at.
    pub about: String,
    pub severity: Severity,
    /// What was found.
    pub found: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub todo: Option<String>,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Severity {
    /// As it should be.
    Good,
    /// Could not be looked at.
    Skipped,
    /// Less safe or dearer than it could be.
    Warning,
    /// Webhooks would be lost, refused or handled twice.
    Error,
}

impl Finding {
    pub(crate) fn good(
        check: &'static str,
        about: impl fmt::Display,
        found: impl fmt::Display,
    ) -> Self {
        Self::new(check, about, Severity::Good, found)
    }

    pub(crate) fn skipped(
        check: &'static str,
        about: impl fmt::Display,
        why: impl fmt::Display,
    ) -> Self {
        Self::new(check, about, Severity::Skipped, why)
    }

    pub(crate) fn warning(
        check: &'static str,
        about: impl fmt::Display,
        found: impl fmt::Display,
    ) -> Self {
        Self::new(check, about, Severity::Warning, found)
    }

    pub(crate) fn error(
        check: &'static str,
        about: impl fmt::Display,
        found: impl fmt::Display,
        todo: impl Into<String>,
    ) -> Self {
        Self::new(check, about, Severity::Error, found).with(todo)
    }

    fn new(
        check: &'static str,
        about: impl fmt::Display,
        severity: Severity,
        found: impl fmt::Display,
    ) -> Self {
        Self { check, about: about.to_string(), severity, found: found.to_string(), todo: None }
    }

    /// With what to do about it.
    #[must_use]
    pub(crate) fn with(mut self, todo: impl Into<String>) -> Self {
        self.todo = Some(todo.into());
        self
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { check, about, severity, found, todo } = self;
        let severity = match severity {
            Severity::Good => "good",
            Severity::Skipped => "skipped",
            Severity::Warning => "WARNING",
            Severity::Error => "ERROR",
        };
        write!(f, "{severity:<8}{check}: {about}: {found}")?;
        if let Some(todo) = todo {
            write!(f, "\n        {todo}")?;
        }
        Ok(())
    }
}
