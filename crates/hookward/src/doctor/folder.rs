//! Whether an embedded store has a folder, and room in it.

use std::path::Path;

use hookward_core::{config::Embedded, limits};

use super::Finding;

/// Looks at the folder, or at the one that it would be made in. Writes nothing: a gateway may own it.
pub(super) fn look(store: &Embedded) -> Vec<Finding> {
    let about = store.path.display();
    let mut existing = store.path.as_path();
    while !existing.exists() {
        match existing.parent() {
            Some(parent) if parent != Path::new("") => existing = parent,
            _ => existing = Path::new("."),
        }
    }
    if !existing.is_dir() {
        let said = format!("{} is no folder", existing.display());
        return vec![Finding::error(
            "store-folder",
            about,
            said,
            "name a folder as `path` in [store]",
        )];
    }
    if let Err(error) = writable(existing) {
        let said = format!("{} cannot be written to: {error}", existing.display());
        let todo = "give the gateway's user the right to write there";
        return vec![Finding::error("store-folder", about, said, todo)];
    }
    let said = if existing == store.path { "is there" } else { "is made at the first start" };
    let mut findings = vec![Finding::good("store-folder", about, said)];
    findings.extend(space(store, existing));
    findings
}

/// Whether there is room: an append needs a segment, and the next one is prepared beside it.
fn space(store: &Embedded, folder: &Path) -> Option<Finding> {
    let needed = store.segment_bytes.saturating_mul(2);
    Some(judged(&store.path, free_bytes(folder)?, needed))
}

fn judged(path: &Path, free: u64, needed: u64) -> Finding {
    let (about, said) = (path.display(), format!("{} MiB are free", free >> 20));
    if free < needed {
        let todo = format!("make room: below {} MiB senders are told to come back", needed >> 20);
        Finding::error("store-space", about, said, todo)
    } else if free < needed.saturating_add(limits::FREE_BYTES_LOW) {
        Finding::warning("store-space", about, said)
            .with("make room, or let `keep` of the sources be shorter")
    } else {
        Finding::good("store-space", about, said)
    }
}

#[cfg(unix)]
fn writable(folder: &Path) -> std::io::Result<()> {
    use rustix::fs::{Access, access};
    Ok(access(folder, Access::WRITE_OK | Access::EXEC_OK)?)
}

#[cfg(unix)]
fn free_bytes(folder: &Path) -> Option<u64> {
    let found = rustix::fs::statvfs(folder).ok()?;
    Some(found.f_bavail.saturating_mul(found.f_frsize))
}

#[cfg(not(unix))]
fn writable(_: &Path) -> std::io::Result<()> {
    Ok(())
}

#[cfg(not(unix))]
fn free_bytes(_: &Path) -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::{super::finding::Severity, *};

    #[test]
    fn a_store_needs_two_segments_and_more_is_better() {
        let check = |free, expected| {
            let found = judged(Path::new("events"), free, 128 << 20);
            assert_eq!(found.severity, expected, "{free}");
        };
        check(0, Severity::Error);
        check((128 << 20) - 1, Severity::Error);
        check(128 << 20, Severity::Warning);
        check((128 << 20) + limits::FREE_BYTES_LOW - 1, Severity::Warning);
        check((128 << 20) + limits::FREE_BYTES_LOW, Severity::Good);
    }
}
