//! Resources from files: what there is, what is wrong with it, and where it stands.
//!
//! A path is a file, or a directory of which `*.yaml`, `*.yml` and `*.json` are read, and those of its one subfolder
//! `local/`, which `kubectl apply -f` leaves alone. A bad document never hurts another one.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use super::yaml::{self, Document, Position, Spot};
use crate::api::{self, API_VERSION, GROUP, Kind};
use crate::compile::{Objects, Refused, key_of};
use crate::model::ObjectKey;

/// The one subfolder of a directory that is read, too.
pub const LOCAL_FOLDER: &str = "local";
/// Largest file that is read.
const MAX_FILE: u64 = 4 * 1024 * 1024;
/// Most files of one directory.
const MAX_FILES: usize = 10_000;
/// Most objects in all.
const MAX_OBJECTS: usize = 50_000;

/// What was loaded.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The sound objects.
    pub objects: Objects,
    /// Everything that was not, in the order of files and lines.
    pub problems: Vec<FileProblem>,
    /// The files that were read, and tried.
    pub files: Vec<PathBuf>,
    sources: BTreeMap<(Kind, ObjectKey), Source>,
}

/// Where an object stands.
#[derive(Clone, Debug)]
struct Source {
    file: Arc<Path>,
    spot: Spot,
}

/// One mistake in one place, for people: `web.yaml:12:5: HealthCheck default/web: spec.http.url: …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileProblem {
    /// The file or directory.
    pub file: PathBuf,
    /// Line and column, if it is in a line.
    pub at: Option<Position>,
    /// The object, if there is one: `HealthCheck default/web`.
    pub object: Option<(Kind, ObjectKey)>,
    /// The field, such as `spec.http.url`; empty when it is not about one.
    pub path: String,
    /// A finite word.
    pub reason: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to do; empty when the message says it.
    pub remedy: String,
}

impl FileProblem {
    /// `file:line`, or the file alone.
    #[must_use]
    pub fn place(&self) -> String {
        match self.at {
            Some(at) => format!("{}:{}", self.file.display(), at.line),
            None => self.file.display().to_string(),
        }
    }

    fn of_file(file: &Path, reason: &'static str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            at: None,
            object: None,
            path: String::new(),
            reason,
            message: message.into(),
            remedy: remedy.into(),
        }
    }
}

impl fmt::Display for FileProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(at) = self.at {
            write!(f, ":{}:{}", at.line, at.column)?;
        }
        if let Some((kind, key)) = &self.object {
            let shown = if kind.namespaced() { key.to_string() } else { key.name.to_string() };
            write!(f, ": {kind} {shown}")?;
        }
        if !self.path.is_empty() {
            write!(f, ": {}", self.path)?;
        }
        write!(f, ": {}", self.message)?;
        if !self.remedy.is_empty() {
            write!(f, "; {}", self.remedy)?;
        }
        write!(f, " ({})", self.reason)
    }
}

impl Loaded {
    /// Where a field of an object stands, or the nearest thing around it: file, line, column.
    #[must_use]
    pub fn locate(&self, kind: Kind, key: &ObjectKey, path: &str) -> Option<(&Path, Position)> {
        let source = self.sources.get(&(kind, key.clone()))?;
        Some((&source.file, source.spot.find(path)))
    }

    /// A refusal of the compiler with its place in the files; objects that come with the program stand in no file.
    #[must_use]
    pub fn explain(&self, refused: &Refused) -> FileProblem {
        let found = self.locate(refused.kind, &refused.key, &refused.path);
        FileProblem {
            file: found.map_or_else(|| PathBuf::from("built in"), |(file, _)| file.to_owned()),
            at: found.map(|(_, at)| at),
            object: Some((refused.kind, refused.key.clone())),
            path: refused.path.clone(),
            reason: refused.reason,
            message: refused.message.clone(),
            remedy: refused.remedy.clone(),
        }
    }
}

/// Loads files and directories.
#[must_use]
pub fn load(paths: &[PathBuf]) -> Loaded {
    let mut loaded = Loaded::default();
    for path in paths {
        load_path(path, &mut loaded);
    }
    if loaded.objects.is_empty() && loaded.problems.is_empty() {
        let place = paths.first().map_or(Path::new("."), PathBuf::as_path);
        let remedy = "write a HealthCheck into it; `examples/quickstart` shows one of everything";
        loaded.problems.push(FileProblem::of_file(place, "NoObjects", "there is no resource here", remedy));
    }
    loaded
}

fn load_path(path: &Path, loaded: &mut Loaded) {
    let kind = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) => {
            let (reason, remedy) = match error.kind() {
                std::io::ErrorKind::NotFound => ("NotFound", "give the path of a file or directory with resources"),
                _ => ("Unreadable", "check its permissions"),
            };
            loaded.problems.push(FileProblem::of_file(path, reason, format!("cannot be read: {error}"), remedy));
            return;
        }
    };
    if !kind.is_dir() {
        load_file(path, loaded);
        return;
    }
    let mut files = resource_files(path, loaded);
    let local = path.join(LOCAL_FOLDER);
    if local.is_dir() {
        files.extend(resource_files(&local, loaded));
    }
    if files.is_empty() {
        let remedy = "put *.yaml, *.yml or *.json files into it; only the subfolder `local` is read, too";
        loaded.problems.push(FileProblem::of_file(path, "NoFiles", "the directory has no resource files", remedy));
    }
    for file in files {
        load_file(&file, loaded);
    }
}

/// The resource files of one directory, by name.
fn resource_files(directory: &Path, loaded: &mut Loaded) -> Vec<PathBuf> {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) => {
            let message = format!("cannot be read: {error}");
            loaded.problems.push(FileProblem::of_file(directory, "Unreadable", message, "check its permissions"));
            return Vec::new();
        }
    };
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
    files.retain(|file| {
        let visible = file.file_name().is_some_and(|name| !name.as_encoded_bytes().starts_with(b"."));
        visible && file.extension().is_some_and(|ending| ending == "yaml" || ending == "yml" || ending == "json")
    });
    // A directory may be called `x.yaml`; it is none of ours.
    files.retain(|file| !file.is_dir());
    files.sort();
    if files.len() > MAX_FILES {
        let message = format!("the directory has {} resource files, at most {MAX_FILES} are read", files.len());
        loaded.problems.push(FileProblem::of_file(directory, "TooMany", message, "split it"));
        files.truncate(MAX_FILES);
    }
    files
}

fn load_file(path: &Path, loaded: &mut Loaded) {
    loaded.files.push(path.to_owned());
    let text = match text_of(path) {
        Ok(text) => text,
        Err(problem) => {
            loaded.problems.push(*problem);
            return;
        }
    };
    let first = loaded.problems.len();
    let file: Arc<Path> = path.into();
    let (documents, broken) = yaml::read(&text);
    loaded.problems.extend(broken.into_iter().map(|broken| FileProblem {
        at: Some(broken.at),
        ..FileProblem::of_file(path, broken.reason, broken.message, broken.remedy)
    }));
    for document in documents {
        load_document(&file, document, loaded);
    }
    loaded.problems[first..].sort_by_key(|problem| problem.at.map(|at| (at.line, at.column)));
}

fn text_of(path: &Path) -> Result<String, Box<FileProblem>> {
    let bad = |reason, message: String, remedy: &str| Box::new(FileProblem::of_file(path, reason, message, remedy));
    let unreadable = |error: std::io::Error| bad("Unreadable", format!("cannot be read: {error}"), "check the path");
    let metadata = std::fs::metadata(path).map_err(unreadable)?;
    if !metadata.is_file() {
        // Reading a pipe or a device could wait for ever.
        return Err(bad("NotAFile", "is neither a file nor a directory".into(), "give a plain file"));
    }
    if metadata.len() > MAX_FILE {
        let message = format!("is {} bytes large, at most {MAX_FILE} are read", metadata.len());
        return Err(bad("TooLarge", message, "split it into several files"));
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.starts_with(b"\xef\xbb\xbf") {
        bytes.drain(..3);
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..good].iter().filter(|byte| **byte == b'\n').count() + 1;
        let message = format!("is not UTF-8 (line {line}, byte {})", good + 1);
        bad("NotUtf8", message, "save it as UTF-8")
    })
}

fn load_document(file: &Arc<Path>, document: Document, loaded: &mut Loaded) {
    let is_list = document.value["kind"] == "List" && document.value["apiVersion"] == "v1";
    if !is_list {
        load_object(file, &document.value, document.spot, loaded);
        return;
    }
    let Value::Object(mut map) = document.value else { return };
    let Some(Value::Array(items)) = map.remove("items") else {
        let problem = FileProblem::of_file(file, "WrongType", "a List has `items`", "write the resources as its items");
        loaded.problems.push(FileProblem { at: Some(document.spot.at), ..problem });
        return;
    };
    for (index, item) in items.iter().enumerate() {
        let spot = document.spot.entry("items", index).cloned().unwrap_or_default();
        load_object(file, item, spot, loaded);
    }
}

fn load_object(file: &Arc<Path>, object: &Value, spot: Spot, loaded: &mut Loaded) {
    let kind = match kind_of(object) {
        Ok(kind) => kind,
        Err((path, reason, message, remedy)) => {
            let problem = FileProblem::of_file(file, reason, message, remedy);
            loaded.problems.push(FileProblem { at: Some(spot.find(path)), path: path.into(), ..problem });
            return;
        }
    };
    let key = key_of(kind, object);
    let identity = Some((kind, key.clone()));
    let mut problems: Vec<FileProblem> = api::validate(kind, object)
        .into_iter()
        .map(|problem| FileProblem {
            file: file.to_path_buf(),
            at: Some(spot.find(&problem.path)),
            object: identity.clone(),
            path: problem.path,
            reason: problem.reason,
            message: problem.message,
            remedy: problem.remedy,
        })
        .collect();
    let mut complain = |reason, path: &str, message: String, remedy: &str| {
        let problem = FileProblem::of_file(file, reason, message, remedy);
        let at = Some(spot.find(path));
        problems.push(FileProblem { at, path: path.into(), object: identity.clone(), ..problem });
    };
    if kind == Kind::AgentReport {
        let message = "an AgentReport is written by agents, never by people".to_owned();
        complain("NotAnInput", "kind", message, "remove it");
    }
    if let Some((place, at)) = loaded.locate(kind, &key, "metadata.name") {
        let message = format!("there is one of this name already, in {}:{}", place.display(), at.line);
        complain("DuplicateName", "metadata.name", message, "give it another name or namespace, or remove it");
    } else if loaded.sources.len() >= MAX_OBJECTS {
        let message = format!("there are more than {MAX_OBJECTS} resources");
        complain("TooMany", "", message, "split them over several installations");
    }
    if problems.is_empty() {
        match loaded.objects.insert(kind, object) {
            Ok(key) => drop(loaded.sources.insert((kind, key), Source { file: Arc::clone(file), spot })),
            Err(why) => {
                let problem = FileProblem::of_file(file, "BadShape", why, "compare it with `vitals crds`");
                problems.push(FileProblem { at: Some(spot.at), object: identity, path: "spec".into(), ..problem });
            }
        }
    }
    loaded.problems.append(&mut problems);
}

type Complaint = (&'static str, &'static str, String, String);

/// Which of the seven kinds a document is.
fn kind_of(object: &Value) -> Result<Kind, Complaint> {
    let kinds = || Kind::ALL.map(Kind::as_str).join(", ");
    if !object.is_object() {
        let remedy = "write apiVersion, kind, metadata and spec, each on its own line".to_owned();
        return Err(("", "NotAnObject", "a document is a resource, not a list or a single value".into(), remedy));
    }
    let version: String = object["apiVersion"].as_str().unwrap_or_default().chars().take(60).collect();
    let Some(word) = object["kind"].as_str() else {
        return Err(("kind", "Required", "there is no kind".into(), format!("write one of {}", kinds())));
    };
    let ours = version.is_empty() || version.split('/').next() == Some(GROUP);
    if let Some(kind) = Kind::of(word).filter(|_| ours || !version.contains('/')) {
        // A wrong version of ours is told by validation, with everything else.
        return Ok(kind);
    }
    let shown: String = word.chars().take(60).collect();
    let meant = api::nearest(word, Kind::ALL.into_iter().map(Kind::as_str));
    let remedy = match meant {
        Some(kind) if ours => format!("write {kind}"),
        _ => format!("known are {} of {API_VERSION}; move anything else into another folder", kinds()),
    };
    let message = if ours {
        format!("{shown:?} is not a kind of {GROUP}")
    } else {
        format!("{shown} of {version} is not a resource of Vitals")
    };
    Err(("kind", "UnknownKind", message, remedy))
}
