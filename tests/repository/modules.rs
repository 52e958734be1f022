//! The modules of a crate, and the modules that each one uses.
//!
//! A path in the code leads to the module that defines the item: re-exports are followed. Test
//! modules are left out.

use std::collections::{BTreeMap, BTreeSet};

use crate::rust::{self, is_word, item_end};

/// The names of a path, such as `["crate", "store", "Table"]`.
pub type Names = Vec<String>;

/// A crate of the workspace.
#[derive(Debug)]
pub struct Crate {
    /// Its name in paths, such as `muster_domain`.
    pub name: &'static str,
    /// Its modules by their path from the root, which is empty.
    pub modules: BTreeMap<Names, Module>,
}

/// A file, and the paths in it.
#[derive(Debug, Default)]
pub struct Module {
    /// The imports and re-exports: the path of each name.
    imports: BTreeMap<String, Names>,
    /// The modules of which everything is imported.
    globs: Vec<Names>,
    /// The names of the items that it defines.
    items: BTreeSet<String>,
    /// All paths, imports included.
    paths: BTreeSet<Names>,
}

/// Reads the modules of the crate in a folder.
pub fn read(name: &'static str, folder: &str) -> Crate {
    let sources = format!("{folder}/src/");
    let files = rust::FILES.iter().filter_map(|file| {
        let path = file.path.strip_prefix(&sources)?;
        Some((path, &*file.source.code))
    });
    from_sources(name, files)
}

/// Reads modules from files, each with its path in `src` and its scanned code.
fn from_sources<'s>(name: &'static str, files: impl Iterator<Item = (&'s str, &'s str)>) -> Crate {
    let mut modules = BTreeMap::new();
    let mut tests: Vec<Names> = Vec::new();
    for (path, code) in files.filter(|(path, _)| *path != "main.rs") {
        let module = module_of(path);
        let (code, test_modules) = without_tests(code);
        tests.extend(
            test_modules
                .into_iter()
                .map(|test| joined(&module, &[test])),
        );
        modules.insert(module, parsed(&code));
    }
    modules.retain(|module, _| !tests.iter().any(|test| module.starts_with(test)));
    Crate { name, modules }
}

/// Returns the path of the module in a file, such as `store/keys.rs`.
fn module_of(path: &str) -> Names {
    let mut names: Names = path
        .trim_end_matches(".rs")
        .split('/')
        .map(str::to_owned)
        .collect();
    if matches!(names.last().map(String::as_str), Some("mod" | "lib")) {
        names.pop();
    }
    names
}

fn joined(module: &[String], names: &[String]) -> Names {
    [module, names].concat()
}

/// Removes the items with `cfg(test)`. Returns the names of the modules among them too.
fn without_tests(code: &str) -> (String, Vec<String>) {
    let mut kept = String::new();
    let mut modules = Vec::new();
    let mut rest = code;
    while let Some(at) = rest.find("#[cfg(") {
        let attribute = &rest[at..];
        let length = attribute.find(']').map_or(attribute.len(), |end| end + 1);
        let is_test = attribute[..length]
            .split(|c| !is_word(c))
            .any(|it| it == "test");
        if is_test {
            kept.push_str(&rest[..at]);
            let item = &attribute[length..];
            let end = item_end(item).map_or(item.len(), |end| end + 1);
            let words: Vec<_> = item[..end]
                .split(|c| !is_word(c))
                .filter(|it| !it.is_empty())
                .collect();
            let name = words.iter().skip_while(|word| **word != "mod").nth(1);
            modules.extend(name.map(|name| (*name).to_owned()));
            rest = &item[end..];
        } else {
            kept.push_str(&rest[..at + length]);
            rest = &attribute[length..];
        }
    }
    kept.push_str(rest);
    (kept, modules)
}

/// A name or a sign of the code.
fn tokens(code: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = code.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = if is_word(first) {
            rest.find(|c| !is_word(c)).unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else {
            first.len_utf8()
        };
        tokens.push(&rest[..length]);
        rest = rest[length..].trim_start();
    }
    tokens
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

fn parsed(code: &str) -> Module {
    let tokens = tokens(code);
    let mut module = Module::default();
    let mut at = 0;
    while at < tokens.len() {
        match tokens[at] {
            "use" => at = module.parse_use(&tokens, at + 1, &[]),
            "struct" | "enum" | "union" | "trait" | "type" | "fn" | "const" | "static" | "mod" => {
                module
                    .items
                    .extend(tokens.get(at + 1).map(|name| (*name).to_owned()));
                at += 1;
            }
            name if is_name(name) && (at == 0 || tokens[at - 1] != "::") => {
                let mut path = vec![name.to_owned()];
                at += 1;
                while tokens.get(at) == Some(&"::")
                    && tokens.get(at + 1).is_some_and(|it| is_name(it))
                {
                    path.push(tokens[at + 1].to_owned());
                    at += 2;
                }
                if path.len() > 1 {
                    module.paths.insert(path);
                }
            }
            _ => at += 1,
        }
    }
    module
}

impl Module {
    /// Parses the tree of an import below a prefix. Returns the position after it.
    fn parse_use(&mut self, tokens: &[&str], mut at: usize, prefix: &[String]) -> usize {
        let mut path = prefix.to_vec();
        loop {
            match tokens.get(at).copied() {
                Some("::") => at += 1,
                Some("{") => {
                    at += 1;
                    while tokens.get(at).is_some_and(|token| *token != "}") {
                        at = self.parse_use(tokens, at, &path);
                        at += usize::from(tokens.get(at) == Some(&","));
                    }
                    return at + 1;
                }
                Some("*") => {
                    self.paths.insert(path.clone());
                    self.globs.push(path);
                    return at + 1;
                }
                Some("self") if !prefix.is_empty() && path.len() == prefix.len() => at += 1,
                Some("as") => {
                    let name = tokens[at + 1].to_owned();
                    self.paths.insert(path.clone());
                    self.imports.insert(name, path);
                    return at + 2;
                }
                Some(name) if is_name(name) => {
                    path.push(name.to_owned());
                    at += 1;
                }
                _ => {
                    if let Some(name) = path.last().cloned() {
                        self.paths.insert(path.clone());
                        self.imports.insert(name, path);
                    }
                    return at;
                }
            }
        }
    }
}

impl Crate {
    /// Returns the modules of this crate that a module uses, each with a path that leads there.
    pub fn uses(&self, module: &[String]) -> BTreeMap<Names, String> {
        let mut uses = BTreeMap::new();
        for path in &self.modules[module].paths {
            if let Some(used) = self.resolved(module, path, 0).filter(|used| used != module) {
                uses.entry(used).or_insert_with(|| path.join("::"));
            }
        }
        uses
    }

    /// Returns the module that defines the item at a path, if it is in this crate.
    fn resolved(&self, from: &[String], path: &[String], depth: usize) -> Option<Names> {
        // Two modules may import everything of each other.
        if depth > 16 {
            return None;
        }
        let (first, rest) = path.split_first()?;
        let mut module = match first.as_str() {
            "crate" => Names::new(),
            "self" => from.to_vec(),
            "super" => from.split_last()?.1.to_vec(),
            _ => return self.resolved_name(from, first, rest, depth),
        };
        let mut rest = rest;
        while let Some((_, after)) = rest.split_first().filter(|(name, _)| *name == "super") {
            module.pop();
            rest = after;
        }
        self.descended(&module, rest, depth)
    }

    /// Resolves a path that begins with a name in a module.
    fn resolved_name(
        &self,
        from: &[String],
        name: &str,
        rest: &[String],
        depth: usize,
    ) -> Option<Names> {
        let child = joined(from, &[name.to_owned()]);
        if self.modules.contains_key(&child) {
            return self.descended(&child, rest, depth);
        }
        // `use std::fmt` imports the name `fmt`, and begins with another one.
        let import = self.modules[from]
            .imports
            .get(name)
            .filter(|path| path[0] != name)?;
        self.resolved(from, &joined(import, rest), depth + 1)
    }

    /// Follows names from a module to the module that defines the item.
    fn descended(&self, module: &[String], names: &[String], depth: usize) -> Option<Names> {
        let Some((name, rest)) = names.split_first() else {
            return Some(module.to_vec());
        };
        let found = self.modules.get(module)?;
        let child = joined(module, std::slice::from_ref(name));
        if self.modules.contains_key(&child) {
            return self.descended(&child, rest, depth);
        }
        if found.items.contains(name) {
            return Some(module.to_vec());
        }
        if let Some(import) = found.imports.get(name) {
            return self.resolved(module, &joined(import, rest), depth + 1);
        }
        let globs = found
            .globs
            .iter()
            .filter_map(|glob| self.resolved(module, glob, depth + 1));
        let defining = globs
            .filter(|glob| self.modules[glob].defines(name))
            .find_map(|glob| self.descended(&glob, names, depth + 1));
        Some(defining.unwrap_or_else(|| module.to_vec()))
    }
}

impl Module {
    fn defines(&self, name: &str) -> bool {
        self.items.contains(name) || self.imports.contains_key(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(path: &str) -> Names {
        path.split("::")
            .filter(|it| !it.is_empty())
            .map(str::to_owned)
            .collect()
    }

    fn sample(files: &[(&str, &str)]) -> Crate {
        let scanned: Vec<_> = files
            .iter()
            .map(|(path, code)| (*path, rust::scan(code).code))
            .collect();
        from_sources(
            "sample",
            scanned.iter().map(|(path, code)| (*path, &**code)),
        )
    }

    #[test]
    fn uses_follow_reexports_and_skip_tests() {
        let sample = sample(&[
            (
                "lib.rs",
                "mod a; mod b; pub use b::{c::C, Other as Renamed}; pub use b::*;",
            ),
            (
                "a.rs",
                "use crate::{self as root, C}; use std::fmt;\n#[cfg(test)] mod tests { use crate::b::T; }\nfn f(x: super::Renamed) { fmt::x(); root::Glob::new(); \"crate::b::d\"; }",
            ),
            (
                "b/mod.rs",
                "pub mod c; mod d; pub struct Other; pub struct Glob; #[cfg(any(test, feature = \"x\"))] pub(crate) mod fixtures;",
            ),
            ("b/c.rs", "use super::d::D; pub struct C;"),
            ("b/d.rs", "pub struct D;"),
            ("b/fixtures.rs", "use crate::a;"),
        ]);
        let uses = |module: &str| -> Vec<String> {
            sample
                .uses(&names(module))
                .keys()
                .map(|it| it.join("::"))
                .collect()
        };
        assert_eq!(uses("a"), ["", "b", "b::c"]);
        assert_eq!(uses("b::c"), ["b::d"]);
        assert!(!sample.modules.contains_key(&names("b::fixtures")));
    }
}
