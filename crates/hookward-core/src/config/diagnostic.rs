//! What is said about a configuration file.

use std::fmt;

use crate::secret::SECRET_BYTES_MIN;

/// Something that is wrong, or worth a second look, in a configuration file.
///
/// Shown as `12:5: sources.stripe: unknown key "secrt", did you mean "secret"?`: put the file's name and a colon
/// before it, and editors and terminals lead to the place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
    /// The key it is about, such as `sources.stripe.secrets[1]`; empty when it is about the file.
    pub path: String,
    /// Whether anything works in spite of it.
    pub severity: Severity,
    /// What is the matter. Never a secret.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

/// Whether anything works in spite of a diagnostic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The configuration is not used.
    Error,
    /// The configuration is used as it is.
    Warning,
}

/// Where something is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
    /// The key, such as `sources.stripe.secrets[1]`.
    pub path: String,
}

impl Diagnostic {
    /// An error about what is written there: also for what only a later step can find, such as a secret that is not
    /// where the file says.
    pub fn error(place: &Place, message: impl Into<String>, help: Option<String>) -> Self {
        let Place { line, column, path } = place.clone();
        Self { line, column, path, severity: Severity::Error, message: message.into(), help }
    }

    /// A warning about what is written there.
    pub fn warning(place: &Place, message: impl Into<String>, help: Option<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(place, message, help) }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, column, path, severity, message, help } = self;
        write!(f, "{line}:{column}: ")?;
        if *severity == Severity::Warning {
            f.write_str("warning: ")?;
        }
        if !path.is_empty() {
            write!(f, "{path}: ")?;
        }
        f.write_str(message)?;
        match help {
            Some(question) if question.ends_with('?') => write!(f, ", {question}"),
            Some(advice) => write!(f, "; {advice}"),
            None => Ok(()),
        }
    }
}

/// The line and column of a byte of `text`, both from 1.
pub(super) fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..text.floor_char_boundary(offset)).unwrap_or_default();
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    (line, before.get(start..).unwrap_or_default().chars().count() + 1)
}

/// What is written in a file, in a message: in quotes, without control characters, of bounded length. What might be a
/// secret that strayed into another key is not shown.
pub(super) fn quoted(text: &str) -> String {
    const CHARS_MAX: usize = 64;
    if might_be_a_secret(text) {
        return "what is written here".to_owned();
    }
    match text.char_indices().nth(CHARS_MAX) {
        Some((at, _)) => format!("{:?}…", text.get(..at).unwrap_or_default()),
        None => format!("{text:?}"),
    }
}

/// Whether a text contains what has the form of secrets that senders issue, or that `openssl rand` makes.
pub(super) fn might_be_a_secret(text: &str) -> bool {
    const ISSUED: [&str; 7] = ["whsec_", "whsk_", "sk_", "rk_", "shpss_", "xoxb-", "ghp_"];
    let is_issued = |word: &str| ISSUED.iter().any(|prefix| word.starts_with(prefix));
    let is_made = |run: &str| {
        run.len() >= SECRET_BYTES_MIN
            && !run.starts_with('/')
            && run.bytes().any(|byte| byte.is_ascii_alphabetic())
            && run.bytes().any(|byte| byte.is_ascii_digit())
    };
    text.split(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '_' | '-')).any(is_issued)
        || text
            .split(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '+' | '/' | '='))
            .any(is_made)
}

/// The candidate that `written` is a slip of, if any.
pub(super) fn similar<'c>(
    written: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    let slips_max = (written.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| {
            (strsim::damerau_levenshtein(&written.to_lowercase(), candidate), candidate)
        })
        .filter(|(slips, _)| *slips <= slips_max)
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, candidate)| candidate)
}

/// The question that follows a mistake which is a slip of `candidate`.
pub(super) fn did_you_mean(candidate: &str) -> String {
    format!("did you mean {candidate:?}?")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters() {
        let text = "a\nλ = é\r\nx";
        let check = |needle: &str, expected| {
            assert_eq!(line_and_column(text, text.find(needle).unwrap()), expected);
        };
        check("a", (1, 1));
        check("=", (2, 3));
        check("x", (3, 1));
        assert_eq!(line_and_column(text, usize::MAX), (3, 2));
        assert_eq!(line_and_column("", 0), (1, 1));
    }

    #[test]
    fn a_slip_is_near_and_anything_else_is_not() {
        let check = |written, expected| {
            assert_eq!(similar(written, ["secret", "secrets", "path"]), expected, "{written}");
        };
        check("secrt", Some("secret"));
        check("SECRET", Some("secret"));
        check("apth", Some("path"));
        check("tolerance", None);
        check("x", None);
        check("", None);
    }

    #[test]
    fn a_diagnostic_is_one_line() {
        let place = Place { line: 12, column: 5, path: "sources.stripe".to_owned() };
        let check =
            |diagnostic: Diagnostic, expected: &str| assert_eq!(diagnostic.to_string(), expected);
        check(
            Diagnostic::error(&place, "unknown key \"secrt\"", Some(did_you_mean("secret"))),
            "12:5: sources.stripe: unknown key \"secrt\", did you mean \"secret\"?",
        );
        check(
            Diagnostic::warning(&place, "it is odd", Some("mend it".to_owned())),
            "12:5: warning: sources.stripe: it is odd; mend it",
        );
        check(
            Diagnostic::error(&Place { path: String::new(), ..place }, "it is wrong", None),
            "12:5: it is wrong",
        );
    }

    #[test]
    fn quoted_text_is_short_and_harmless() {
        assert_eq!(quoted("a\u{1b}[31m\n"), r#""a\u{1b}[31m\n""#);
        assert_eq!(quoted(&"é".repeat(65)), format!("\"{}\"…", "é".repeat(64)));
    }

    #[test]
    fn a_secret_that_strayed_is_not_quoted() {
        for text in [
            "whsec_x",
            "env: whsec_x",
            "a:9f86d081884c7d659a2feaa0c55ad015@b",
            "9f86d081884c7d659a2feaa0c55ad015",
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        ] {
            assert_eq!(quoted(text), "what is written here");
        }
        for text in
            ["stripe", "/hooks/a/path/that/is/1/rather/long", "stripe-connect-accounts-of-2026"]
        {
            assert_eq!(quoted(text), format!("{text:?}"));
        }
    }
}
