//! Reads Rust sources just well enough for the house rules: comments and literals blanked, test code cut out.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The project's root.
pub fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// One file of `src/`.
pub struct Source {
    /// Its path below the project, for messages.
    pub shown: String,
    /// The room that it belongs to; none for `main.rs` and `lib.rs`.
    pub room: Option<String>,
    /// How deep its module is: 1 for `room/mod.rs`, 2 for `room/part.rs`.
    pub depth: usize,
    /// Whether the whole file is test code (`#[cfg(test)] mod tests;`).
    pub is_test: bool,
    /// The code without comments, contents of literals and test items; line numbers unchanged.
    pub code: String,
}

impl Source {
    /// All files below `src`.
    pub fn all(src: &Path) -> Vec<Self> {
        let mut tests = BTreeSet::new();
        let mut sources = Vec::new();
        for path in files_below(src, &["rs"]) {
            let text = std::fs::read_to_string(&path).unwrap();
            let mut code = blank_comments_and_literals(&text);
            for name in cut_tests(&mut code) {
                let home = path.parent().unwrap();
                let stem = path.file_stem().unwrap().to_str().unwrap();
                let inner = if ["mod", "lib", "main"].contains(&stem) { home.to_owned() } else { home.join(stem) };
                tests.insert(inner.join(format!("{name}.rs")));
                tests.insert(inner.join(name));
            }
            let lines: Vec<&str> = text.lines().map(str::trim).collect();
            for pair in lines.windows(2).filter(|pair| pair[0] == "#[cfg(test)]") {
                if let Some(named) = pair[1].strip_prefix("#[path = \"") {
                    let file = path.parent().unwrap().join(named.trim_end_matches("\"]"));
                    // Without the `..` that such a path may hold.
                    tests.insert(std::fs::canonicalize(&file).unwrap_or(file));
                }
            }
            let below = path.strip_prefix(src).unwrap().to_owned();
            let parts: Vec<_> = below.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
            let room = (parts.len() > 1).then(|| parts[0].clone());
            let depth = parts.len() - usize::from(parts.last().is_some_and(|last| last == "mod.rs"));
            sources.push((path.clone(), Self { shown: shown(&path), room, depth, is_test: false, code }));
        }
        for (path, source) in &mut sources {
            let real = std::fs::canonicalize(&*path).unwrap();
            source.is_test = [&*path, &real].iter().any(|path| path.ancestors().any(|part| tests.contains(part)));
        }
        sources.into_iter().map(|(_, source)| source).collect()
    }

    /// The room that each `crate::…` path enters, with its line; groups `crate::{a, b::c}` give one each.
    pub fn crate_paths(&self) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        for (at, _) in self.code.match_indices("crate::") {
            if self.code[..at].ends_with(is_word) {
                continue;
            }
            let line = self.line_of(at);
            for target in first_segments(&self.code[at + "crate::".len()..]) {
                found.push((line, target));
            }
        }
        found
    }

    /// Lines on which a chain of `super::` reaches the crate's root.
    pub fn escapes_by_super(&self) -> Vec<usize> {
        let chain = "super::".repeat(self.depth);
        self.code.match_indices(&chain).map(|(at, _)| self.line_of(at)).collect()
    }

    /// Every `a::b::c` of the code with `use` groups spelt out, with its line.
    pub fn paths(&self) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        let bytes = self.code.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            let starts = is_word(char::from(bytes[at])) && (at == 0 || !is_word(char::from(bytes[at - 1])));
            if !starts {
                at += 1;
                continue;
            }
            let (paths, length) = read_tree(&self.code[at..], "");
            let line = self.line_of(at);
            found.extend(paths.into_iter().map(|path| (line, path)));
            at += length.max(1);
        }
        found
    }

    fn line_of(&self, at: usize) -> usize {
        self.code[..at].matches('\n').count() + 1
    }
}

/// Whether a path is or lies below what is banned (`std::fs` bans `std::fs::read`, `tokio` not `tokio_like`),
/// or ends in it (`Instant::now` bans `std::time::Instant::now`).
pub fn mentions(path: &str, ban: &str) -> bool {
    format!("::{path}::").contains(&format!("::{ban}::"))
}

/// Reads one path with its groups; returns the paths and how many bytes were read.
fn read_tree(text: &str, prefix: &str) -> (Vec<String>, usize) {
    let word = text.find(|c| !is_word(c)).unwrap_or(text.len());
    let path = if prefix.is_empty() { text[..word].to_owned() } else { format!("{prefix}::{}", &text[..word]) };
    let Some(rest) = text[word..].strip_prefix("::") else {
        return (vec![path], word);
    };
    let mut read = word + 2;
    if !rest.starts_with('{') {
        let (paths, length) = read_tree(rest, &path);
        return (paths, read + length);
    }
    let mut paths = Vec::new();
    read += 1;
    loop {
        let left = &text[read..];
        let Some(next) = left.find(|c: char| is_word(c) || c == '}') else { return (paths, text.len()) };
        read += next;
        if text[read..].starts_with('}') {
            return (paths, read + 1);
        }
        let (inner, length) = read_tree(&text[read..], &path);
        paths.extend(inner);
        read += length.max(1);
        // `a as b`: the new name is not a path.
        if text[read..].trim_start().starts_with("as ") {
            read += text[read..].find([',', '}']).unwrap_or(0);
        }
    }
}

/// The first names after `crate::`: one, or those of a group.
fn first_segments(rest: &str) -> Vec<String> {
    let Some(group) = rest.strip_prefix('{') else {
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        return vec![rest[..end].to_owned()];
    };
    let mut names = Vec::new();
    let mut depth = 0;
    let mut expected = true;
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => expected = true,
            c if expected && is_word(c) => {
                let end = group[at..].find(|c| !is_word(c)).unwrap_or(group.len() - at);
                names.push(group[at..at + end].to_owned());
                expected = false;
            }
            _ => {}
        }
    }
    names
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Blanks every item below `#[cfg(test)]` and returns the names of modules that live in other files.
fn cut_tests(code: &mut String) -> Vec<String> {
    let mut files = Vec::new();
    for mark in ["#[cfg(test)]", "#[cfg(all(test", "#[test]"] {
        while let Some(start) = code.find(mark) {
            let after = start + code[start..].find(']').map_or(mark.len(), |at| at + 1);
            let stop = code[after..].find([';', '{']).map_or(code.len(), |at| after + at);
            let end = if code[stop..].starts_with('{') {
                closing_brace(code, stop)
            } else {
                let words: Vec<&str> = code[after..stop].split_whitespace().collect();
                if let [.., "mod", name] = words[..] {
                    files.push(name.to_owned());
                }
                (stop + 1).min(code.len())
            };
            let blank: String = code[start..end].chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect();
            code.replace_range(start..end, &blank);
        }
    }
    files
}

fn closing_brace(code: &str, open: usize) -> usize {
    let mut depth = 0;
    for (at, c) in code[open..].char_indices() {
        match c {
            '{' => depth += 1,
            '}' => {
                depth -= 1;
                if depth == 0 {
                    return open + at + 1;
                }
            }
            _ => {}
        }
    }
    code.len()
}

/// Replaces comments and the insides of literals by blanks; quotes and line breaks stay. The result is ASCII.
fn blank_comments_and_literals(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(chars.len());
    let mut at = 0;
    let blank = |out: &mut String, c: char| out.push(if c == '\n' { '\n' } else { ' ' });
    while at < chars.len() {
        let rest = &chars[at..];
        let after_word = out.ends_with(is_word);
        let length = match rest {
            ['/', '/', ..] => rest.iter().position(|c| *c == '\n').unwrap_or(rest.len()),
            ['/', '*', ..] => block_comment(rest),
            ['r', '"' | '#', ..] | ['b', 'r', '"' | '#', ..] if !after_word => raw_string(rest).unwrap_or(0),
            ['"', ..] => {
                let end = string(rest);
                out.push('"');
                rest[1..end].iter().for_each(|c| blank(&mut out, *c));
                out.pop();
                out.push('"');
                at += end;
                continue;
            }
            ['\'', '\\', ..] => 2 + 1 + rest[3.min(rest.len())..].iter().position(|c| *c == '\'').unwrap_or(0) + 1,
            ['\'', _, '\'', ..] => 3,
            _ => 0,
        };
        if length == 0 {
            out.push(if rest[0].is_ascii() { rest[0] } else { '_' });
            at += 1;
        } else {
            rest[..length.min(rest.len())].iter().for_each(|c| blank(&mut out, *c));
            at += length;
        }
    }
    out
}

fn block_comment(rest: &[char]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        match rest[at..] {
            ['/', '*', ..] => (depth, at) = (depth + 1, at + 2),
            ['*', '/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// The length of `r"…"`, `r#"…"#`, `br"…"`; none for a raw identifier.
fn raw_string(rest: &[char]) -> Option<usize> {
    let start = if rest[0] == 'b' { 2 } else { 1 };
    let hashes = rest[start..].iter().take_while(|c| **c == '#').count();
    if rest.get(start + hashes) != Some(&'"') {
        return None;
    }
    let body = start + hashes + 1;
    let end = (body..rest.len()).find(|at| {
        rest[*at] == '"' && rest[at + 1..].len() >= hashes && rest[at + 1..at + 1 + hashes].iter().all(|c| *c == '#')
    });
    Some(end.map_or(rest.len(), |end| end + 1 + hashes))
}

fn string(rest: &[char]) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// Rust files below the named folders, with how they are shown.
pub fn rust_files(folders: &[&str]) -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    for folder in folders {
        files
            .extend(files_below(&project().join(folder), &["rs"]).into_iter().map(|path| (path.clone(), shown(&path))));
    }
    files
}

/// Everything that people read: code, scripts, documents, examples.
pub fn text_files() -> Vec<(PathBuf, String)> {
    let mut files = rust_files(&["src", "tests", "benches", "examples"]);
    for folder in ["docs", "scripts", "examples", "benches", ".ci", ".github", "crds"] {
        let found = files_below(&project().join(folder), &["md", "sh", "yaml", "yml", "run"]);
        files.extend(found.into_iter().map(|path| (path.clone(), shown(&path))));
    }
    for name in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "Makefile", "Cargo.toml", "deny.toml"] {
        let path = project().join(name);
        if path.exists() {
            files.push((path, name.to_owned()));
        }
    }
    files
}

fn shown(path: &Path) -> String {
    path.strip_prefix(project()).unwrap_or(path).display().to_string()
}

fn files_below(folder: &Path, endings: &[&str]) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let Ok(entries) = std::fs::read_dir(folder) else { return files };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path, endings));
        } else if path.extension().is_some_and(|ending| endings.iter().any(|e| ending == *e)) {
            files.push(path);
        }
    }
    files.sort();
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        let mut code = blank_comments_and_literals(text);
        cut_tests(&mut code);
        Source { shown: "src/a/b.rs".into(), room: Some("a".into()), depth: 2, is_test: false, code }
    }

    #[test]
    fn groups_nested_groups_and_inline_paths_are_all_seen() {
        let file = source("use crate::{model::{a, b}, store, net::x as y};\nfn f() { crate::host::probe(); }");
        let rooms: Vec<String> = file.crate_paths().into_iter().map(|(_, room)| room).collect();
        assert_eq!(rooms, ["model", "store", "net", "host"]);
        assert_eq!(file.crate_paths()[3].0, 2);
    }

    #[test]
    fn comments_texts_and_test_code_are_not_seen() {
        let file = source(
            "// crate::a\n/* crate::b /* x */ crate::c */\nlet s = \"crate::d\"; let r = r#\"crate::\"e\"#; let c = '\"';\n\
             #[cfg(test)]\nmod tests { use crate::f; fn g() { { } } }\nuse crate::model;",
        );
        assert_eq!(file.crate_paths(), [(6, "model".to_owned())]);
    }

    #[test]
    fn lifetimes_are_not_taken_for_the_start_of_a_text() {
        let file = source("fn f<'a>(x: &'a str) -> &'a str { crate::net::y('x', '\\'', '\\n') }");
        assert_eq!(file.crate_paths(), [(1, "net".to_owned())]);
    }

    #[test]
    fn grouped_imports_of_a_clock_are_found() {
        let file = source("use std::{fmt, time::{Duration, Instant}};\nlet x = Timestamp::now();");
        let paths = file.paths();
        assert!(paths.iter().any(|(_, path)| mentions(path, "std::time::Instant")), "{paths:?}");
        assert!(paths.iter().any(|(line, path)| *line == 2 && mentions(path, "Timestamp::now")), "{paths:?}");
        assert!(!paths.iter().any(|(_, path)| mentions(path, "std::fs")));
    }

    #[test]
    fn a_chain_of_supers_that_leaves_the_room_is_found() {
        assert_eq!(source("use super::super::store::X;").escapes_by_super(), [1]);
        assert!(source("use super::store::X;").escapes_by_super().is_empty());
    }

    #[test]
    fn a_test_module_in_its_own_file_is_named() {
        let mut code = "#[cfg(test)]\nmod tests;\nfn f() {}".to_owned();
        assert_eq!(cut_tests(&mut code), ["tests"]);
        assert!(code.contains("fn f()"));
    }
}
