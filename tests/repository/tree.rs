//! The files of the repository.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
};

/// Folders with files that are built or downloaded.
const GENERATED: [&str; 4] = [".aws-sam", ".git", "node_modules", "target"];

static FILES: LazyLock<Vec<String>> = LazyLock::new(|| {
    let mut files = tracked().unwrap_or_else(|| {
        let mut files = Vec::new();
        walk(&root(), "", &mut files);
        files
    });
    // A file that is deleted, but not committed, is tracked still.
    files.retain(|path| root().join(path).is_file());
    files.sort();
    files.dedup();
    files
});

/// Returns the folder of the workspace.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Returns the path of every file, relative to the root: the files that Git tracks, or, in a copy
/// without Git, all but the generated ones.
pub fn files() -> impl Iterator<Item = &'static str> {
    FILES.iter().map(String::as_str)
}

/// Returns the files whose names end with an extension, such as `rs`.
pub fn files_of(extension: &str) -> impl Iterator<Item = &'static str> {
    files().filter(move |path| {
        Path::new(path)
            .extension()
            .is_some_and(|it| it == extension)
    })
}

/// Reads a file by its path relative to the root.
pub fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The folders of the packages, such as `shared/domain`. The root of the workspace is none.
static PACKAGES: LazyLock<Vec<&str>> = LazyLock::new(|| {
    files()
        .filter_map(|path| path.strip_suffix("/Cargo.toml"))
        .collect()
});

/// Returns the folder of the package that a file belongs to: the innermost one.
pub fn package_of(path: &str) -> Option<&'static str> {
    PACKAGES
        .iter()
        .copied()
        .filter(|package| {
            path.strip_prefix(package)
                .is_some_and(|it| it.starts_with('/'))
        })
        .max_by_key(|package| package.len())
}

fn tracked() -> Option<Vec<String>> {
    let output = Command::new("git")
        .args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .current_dir(root())
        .output()
        .ok()?;
    let paths = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| {
        paths
            .split_terminator('\0')
            .map(str::to_owned)
            .collect::<Vec<_>>()
    })
}

fn walk(root: &Path, folder: &str, files: &mut Vec<String>) {
    let entries = fs::read_dir(root.join(folder)).expect("a folder can be read");
    for entry in entries {
        let entry = entry.expect("an entry can be read");
        let name = entry.file_name().into_string().expect("a name in UTF-8");
        let path = if folder.is_empty() {
            name.clone()
        } else {
            format!("{folder}/{name}")
        };
        let kind = entry.file_type().expect("an entry has a type");
        if kind.is_file() {
            files.push(path);
        } else if kind.is_dir() && !GENERATED.contains(&&*name) {
            walk(root, &path, files);
        }
    }
}

#[test]
fn package_of_a_nested_file_is_the_innermost() {
    assert_eq!(
        package_of("tests/repository/main.rs"),
        Some("tests/repository")
    );
    assert_eq!(package_of("tests/it/main.rs"), Some("tests"));
    assert_eq!(package_of("README.md"), None);
}
