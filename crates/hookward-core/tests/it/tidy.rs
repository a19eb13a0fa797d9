//! What the repository promises about itself: which crate may know which, and that nothing lies about unused.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use hookward_core::provider::PROVIDERS;
use toml::Table;

use crate::{support::root, vectors};

/// The crates, and which of the others each may depend on: core ← store ← server ← hookward, and core ← store ← python; what
/// follows references to secrets is shared by the last two. Only the program's tests depend on the benchmark.
const ARROWS: &[(&str, &[&str])] = &[
    ("hookward-core", &[]),
    ("hookward-store", &["hookward-core"]),
    ("hookward-secrets", &["hookward-core", "hookward-store"]),
    ("hookward-server", &["hookward-core", "hookward-store"]),
    ("hookward-probe", &["hookward-core"]),
    ("hookward-python", &["hookward-core", "hookward-store", "hookward-secrets"]),
    (
        "hookward",
        &[
            "hookward-core",
            "hookward-store",
            "hookward-secrets",
            "hookward-server",
            "hookward-probe",
            "hookward-bench",
        ],
    ),
    ("hookward-bench", &["hookward-core", "hookward-store", "hookward-server"]),
];

/// What hookward-core must not reach, whatever is in between: I/O, runtimes, clocks, chance.
const NOT_IN_CORE: &[&str] = &[
    "async-std",
    "axum",
    "chrono",
    "fastrand",
    "futures-executor",
    "h2",
    "hyper",
    "hyper-util",
    "mio",
    "native-tls",
    "openssl",
    "polling",
    "rand",
    "redb",
    "reqwest",
    "rustls",
    "smol",
    "socket2",
    "tempfile",
    "time",
    "tokio",
    "tokio-util",
    "tower",
    "tracing",
    "ureq",
];

/// What no crate may reach: there is one TLS stack.
const NOWHERE: &[&str] =
    &["aws-lc-rs", "aws-lc-sys", "boring", "native-tls", "openssl", "openssl-sys"];

fn manifest(path: &Path) -> Table {
    let text =
        fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.parse().unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The crates of the workspace: directory and manifest.
fn crates() -> Vec<(PathBuf, Table)> {
    let workspace = manifest(&root().join("Cargo.toml"));
    let members = workspace["workspace"]["members"].as_array().unwrap();
    let directories = members.iter().map(|member| root().join(member.as_str().unwrap()));
    directories
        .map(|directory| (directory.clone(), manifest(&directory.join("Cargo.toml"))))
        .collect()
}

fn name(manifest: &Table) -> &str {
    manifest["package"]["name"].as_str().unwrap()
}

/// The names in all dependency tables of this kind, also of those for one target.
fn dependencies<'t>(manifest: &'t Table, kind: &str) -> Vec<&'t str> {
    let targets =
        manifest.get("target").and_then(toml::Value::as_table).into_iter().flat_map(Table::values);
    let tables = targets.filter_map(toml::Value::as_table).chain([manifest]);
    let tables = tables.filter_map(|table| table.get(kind)?.as_table());
    tables.flat_map(|table| table.keys().map(String::as_str)).collect()
}

#[test]
fn crates_know_each_other_in_one_direction_only() {
    let arrows = ARROWS.iter().copied().collect::<BTreeMap<_, _>>();
    for (_, manifest) in crates() {
        let name = name(&manifest);
        let allowed = arrows.get(name).unwrap_or_else(|| panic!("{name} has no row in ARROWS"));
        for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
            for dependency in dependencies(&manifest, kind) {
                let measures = dependency == "hookward-bench" && kind != "dev-dependencies";
                assert!(!measures, "{name} must not know the benchmark ({kind})");
                // A crate may switch on its own features for its tests.
                let itself = kind == "dev-dependencies" && dependency == name;
                let ours = dependency == "hookward" || dependency.starts_with("hookward-");
                assert!(
                    !ours || itself || allowed.contains(&dependency),
                    "{name} must not know {dependency} ({kind})"
                );
            }
        }
    }
}

/// What each package of the lock file depends on, by name; all features and targets.
fn locked() -> BTreeMap<String, BTreeSet<String>> {
    let lock = manifest(&root().join("Cargo.lock"));
    let mut packages: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in lock["package"].as_array().unwrap() {
        let needs =
            package.get("dependencies").and_then(toml::Value::as_array).into_iter().flatten();
        // "name", or "name version" where there are two versions.
        let needs = needs.filter_map(|it| it.as_str()?.split(' ').next()).map(str::to_owned);
        packages.entry(package["name"].as_str().unwrap().to_owned()).or_default().extend(needs);
    }
    packages
}

/// The way from one package to another, if there is one.
fn way(packages: &BTreeMap<String, BTreeSet<String>>, from: &[&str], to: &str) -> Option<String> {
    let mut ways: Vec<Vec<&str>> = from.iter().map(|name| vec![*name]).collect();
    let mut seen = BTreeSet::new();
    while let Some(way) = ways.pop() {
        let last = *way.last().unwrap();
        if last == to {
            return Some(way.join(" → "));
        }
        if seen.insert(last) {
            let next = packages.get(last).into_iter().flatten();
            ways.extend(next.map(|next| [&way[..], &[next]].concat()));
        }
    }
    None
}

#[test]
fn hookward_core_reaches_no_io_no_clock_and_no_chance() {
    let packages = locked();
    let (_, core) =
        crates().into_iter().find(|(_, manifest)| name(manifest) == "hookward-core").unwrap();
    let direct = dependencies(&core, "dependencies");
    assert!(direct.contains(&"serde_json"), "the manifest was misread");
    for forbidden in NOT_IN_CORE {
        let way = way(&packages, &direct, forbidden);
        assert_eq!(way, None, "hookward-core must not reach {forbidden}");
    }
}

#[test]
fn there_is_one_tls_stack() {
    let packages = locked();
    assert!(packages.contains_key("rustls"), "the lock file was misread");
    for forbidden in NOWHERE {
        assert!(!packages.contains_key(*forbidden), "{forbidden} in Cargo.lock");
    }
}

/// All `.rs` files below a directory.
fn rust_files(directory: &Path, found: &mut BTreeSet<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.insert(path);
        }
    }
}

/// The files of the modules that a file declares, and of theirs. Modules in braces are not followed: they have no
/// files here. Nor are those at a path of their own: they are shared with the crate that they lie in.
fn follow(file: &Path, reached: &mut BTreeSet<PathBuf>) {
    reached.insert(file.to_owned());
    let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap();
    let beside = file.parent().unwrap();
    let below =
        if matches!(stem, "lib" | "main" | "mod") { beside.to_owned() } else { beside.join(stem) };
    let text = fs::read_to_string(file).unwrap();
    let mut elsewhere = None;
    for line in text.lines() {
        let line = line.trim();
        let path = line.strip_prefix("#[path = \"").and_then(|rest| rest.strip_suffix("\"]"));
        elsewhere = path.or(elsewhere);
        let Some(declared) = line.strip_suffix(';') else { continue };
        let mut words = declared.split(' ').skip_while(|word| word.starts_with("pub"));
        let (Some("mod"), Some(module), None) = (words.next(), words.next(), words.next()) else {
            continue;
        };
        if let Some(path) = elsewhere.take() {
            let shared = beside.join(path);
            assert!(shared.exists(), "{}: {} is not there", file.display(), shared.display());
            continue;
        }
        let module = [below.join(format!("{module}.rs")), below.join(module).join("mod.rs")];
        let module = module.iter().find(|path| path.exists());
        follow(module.unwrap_or_else(|| panic!("{}: {line} has no file", file.display())), reached);
    }
}

#[test]
fn every_rust_file_is_part_of_its_crate() {
    for (directory, manifest) in crates() {
        let (mut present, mut reached) = (BTreeSet::new(), BTreeSet::new());
        rust_files(&directory.join("src"), &mut present);
        for start in ["src/lib.rs", "src/main.rs"].map(|start| directory.join(start)) {
            if start.exists() {
                follow(&start, &mut reached);
            }
        }
        let integration = directory.join("tests/it");
        if integration.exists() {
            rust_files(&integration, &mut present);
            follow(&integration.join("main.rs"), &mut reached);
        }
        let stray: Vec<_> = present.difference(&reached).collect();
        assert!(stray.is_empty(), "{}: no module declares {stray:#?}", name(&manifest));
    }
}

#[test]
fn every_crate_takes_the_lints_and_the_version_of_the_workspace() {
    let workspace = manifest(&root().join("Cargo.toml"));
    for (_, manifest) in crates() {
        let inherited = |table: &str, key: &str| {
            manifest[table][key].get("workspace").and_then(toml::Value::as_bool)
        };
        for key in ["version", "edition", "rust-version", "license", "publish"] {
            assert_eq!(inherited("package", key), Some(true), "{}: {key}", name(&manifest));
        }
        let lints = &manifest["lints"];
        if name(&manifest) == SPEAKS_C {
            let mut expected = workspace["workspace"]["lints"].clone();
            expected["rust"]["unsafe_code"] = "deny".into();
            assert_eq!(*lints, expected, "{SPEAKS_C}: lints");
        } else {
            assert_eq!(lints["workspace"].as_bool(), Some(true), "{}: lints", name(&manifest));
        }
    }
}

/// The one crate in which macros of a library write code that is unsafe, and which repeats the workspace's lints otherwise.
const SPEAKS_C: &str = "hookward-python";

#[test]
fn every_provider_has_vectors_and_every_vector_a_provider() {
    let known: BTreeSet<_> = PROVIDERS.iter().map(|provider| provider.name.to_owned()).collect();
    let files: BTreeSet<_> = vectors::files().into_iter().map(|file| file.provider).collect();
    assert_eq!(files, known);
}

#[test]
fn every_provider_says_where_it_is_documented_and_what_its_signature_leaves_open() {
    for provider in PROVIDERS.iter() {
        let name = provider.name;
        let documented = provider.docs.strip_prefix("https://").map_or_else(
            || root().join(provider.docs).is_file(),
            |rest| rest.split('/').next().is_some_and(|host| host.contains('.')),
        );
        assert!(documented, "{name}: docs = {:?}", provider.docs);
        for (what, text) in [
            ("title", provider.title),
            ("secret", provider.secret),
            ("retries", provider.retries),
            ("note", provider.note),
        ] {
            assert!(!text.trim().is_empty(), "{name}: no {what}");
        }
        assert_eq!(provider.origin.is_empty(), provider.origin_source.is_empty(), "{name}: origin");
        // What is not covered is said in the note, where people read it.
        let (covers, note) = (provider.scheme.covers(), provider.note.to_lowercase());
        if provider.scheme.is_token() {
            assert!(note.contains("nothing is signed"), "{name}: says nothing of what a token is");
            continue;
        }
        assert!(covers.time || note.contains("time"), "{name}: says nothing of the time");
        let of_body = ["only", "nothing of the body", "of the body a crc-32"];
        assert!(
            covers.body || of_body.iter().any(|words| note.contains(words)),
            "{name}: says nothing of the body"
        );
        if let (Some(header), false) = (&provider.sender_id, covers.id) {
            assert!(note.contains("sign"), "{name}: says nothing of {header}, which is not signed");
        }
    }
}
