//! YAML with places: documents as JSON values, and for every field the line and column where it stands.
//!
//! Bounded against everything that a file can do: depth, size, alias expansion, duplicate keys. A document that cannot
//! be read does not hurt the others of its file.

use std::collections::HashMap;

use serde_json::{Map, Number, Value};
use serde_saphyr::granit_parser::{Event, Options, Parser, ScalarStyle, Span, Tag};

/// Deepest nesting of a document.
const MAX_DEPTH: usize = 64;
/// Most values of a file, each use of an alias counted in full: what a YAML bomb runs into.
const MAX_NODES: usize = 300_000;
/// Most bytes of text of a file, counted the same way.
const MAX_BYTES: usize = 16 * 1024 * 1024;
/// Most documents of a file that are reported as broken.
const MAX_BROKEN: usize = 100;

/// A line and a column, both from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// The line.
    pub line: u32,
    /// The column, in characters.
    pub column: u32,
}

/// Where a value stands, and what is in it.
#[derive(Clone, Debug, Default)]
pub struct Spot {
    /// Where its key stands, or the value itself if it has no key.
    pub at: Position,
    inside: Inside,
}

#[derive(Clone, Debug, Default)]
enum Inside {
    #[default]
    Nothing,
    Fields(Vec<(Box<str>, Spot)>),
    Entries(Vec<Spot>),
}

impl Spot {
    /// The place of a field path such as `spec.targets[1].address`, or of the nearest thing around it.
    #[must_use]
    pub fn find(&self, path: &str) -> Position {
        let rest = path.trim_start_matches('.');
        if rest.is_empty() {
            return self.at;
        }
        match &self.inside {
            // Names may contain dots: the longest one that fits is meant.
            Inside::Fields(fields) => {
                let fits =
                    |name: &str| rest.strip_prefix(name).filter(|tail| tail.is_empty() || tail.starts_with(['.', '[']));
                let best = fields.iter().filter_map(|(name, spot)| Some((name.len(), spot, fits(name)?)));
                best.max_by_key(|(length, ..)| *length).map_or(self.at, |(_, spot, tail)| spot.find(tail))
            }
            Inside::Entries(entries) => {
                let parts = rest.strip_prefix('[').and_then(|rest| rest.split_once(']'));
                let entry = parts.and_then(|(index, tail)| Some((entries.get(index.parse::<usize>().ok()?)?, tail)));
                entry.map_or(self.at, |(spot, tail)| spot.find(tail))
            }
            Inside::Nothing => self.at,
        }
    }

    /// The place of one entry of a list in one of its fields (`items[3]` of a `kind: List`).
    #[must_use]
    pub fn entry(&self, field: &str, index: usize) -> Option<&Self> {
        let Inside::Fields(fields) = &self.inside else { return None };
        let (_, list) = fields.iter().find(|(name, _)| &**name == field)?;
        let Inside::Entries(entries) = &list.inside else { return None };
        entries.get(index)
    }
}

/// One document that was read.
#[derive(Clone, Debug)]
pub struct Document {
    /// What it says.
    pub value: Value,
    /// Where it says it.
    pub spot: Spot,
}

/// One document that could not be read, or not wholly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Where.
    pub at: Position,
    /// A finite word.
    pub reason: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to write instead; may be empty.
    pub remedy: String,
}

/// Reads all documents of a file; empty ones are left out.
#[must_use]
pub fn read(text: &str) -> (Vec<Document>, Vec<Broken>) {
    let mut options = Options::default();
    options.emit_comments = false;
    let mut reader = Reader {
        parser: Parser::new_from_str_with_options(text, options),
        nodes: 0,
        bytes: 0,
        anchors: HashMap::new(),
    };
    let (mut documents, mut broken) = (Vec::new(), Vec::new());
    while broken.len() < MAX_BROKEN {
        match reader.document() {
            Ok(Some(document)) if document.value.is_null() => {}
            Ok(Some(document)) => documents.push(document),
            Ok(None) => break,
            Err(why) => {
                let end = why.reason == "TooLarge";
                broken.push(why);
                if end || !matches!(reader.parser.proceed_next_document(), Ok(true)) {
                    break;
                }
            }
        }
    }
    (documents, broken)
}

struct Reader<'a> {
    parser: Parser<'a, serde_saphyr::granit_parser::StrInput<'a>>,
    nodes: usize,
    bytes: usize,
    anchors: HashMap<usize, Anchored>,
}

struct Anchored {
    value: Value,
    spot: Spot,
    nodes: usize,
    bytes: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<Option<(Event<'a>, Position)>, Broken> {
        match self.parser.next_event() {
            None => Ok(None),
            Some(Ok((event, span))) => Ok(Some((event, position(&span)))),
            Some(Err(error)) => {
                let at = Position { line: error.marker().line() as u32, column: error.marker().col() as u32 + 1 };
                let message = format!("this is not YAML: {}", first_line(&error.info()));
                let remedy = "mind indentation (spaces, no tabs), quotes and brackets around here";
                Err(Broken { at, reason: "BadSyntax", message, remedy: remedy.into() })
            }
        }
    }

    /// The next document; None at the end of the file.
    fn document(&mut self) -> Result<Option<Document>, Broken> {
        self.anchors.clear();
        let mut document = None;
        while let Some((event, at)) = self.next()? {
            match event {
                Event::StreamEnd => return Ok(document),
                Event::DocumentEnd => {
                    return Ok(document.or(Some(Document { value: Value::Null, spot: Spot::default() })));
                }
                Event::StreamStart | Event::DocumentStart(..) | Event::Comment(..) | Event::Anchor(..) => {}
                event => {
                    let (value, spot) = self.value(event, at, 0)?;
                    document = Some(Document { value, spot });
                }
            }
        }
        Ok(document)
    }

    fn value(&mut self, event: Event<'a>, at: Position, depth: usize) -> Result<(Value, Spot), Broken> {
        if depth > MAX_DEPTH {
            let message = format!("values are nested deeper than {MAX_DEPTH} levels");
            return Err(Broken { at, reason: "TooDeep", message, remedy: "no resource needs that: flatten it".into() });
        }
        let before = (self.nodes, self.bytes);
        self.spend(1, 0, at)?;
        let (value, inside, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.spend(0, text.len(), at)?;
                (scalar(&text, style, tag.as_deref(), at)?, Inside::Nothing, anchor)
            }
            Event::SequenceStart(_, anchor, _) => {
                let (mut list, mut spots) = (Vec::new(), Vec::new());
                loop {
                    match self.inner(at)? {
                        (Event::SequenceEnd, _) => break,
                        (event, at) => {
                            let (value, spot) = self.value(event, at, depth + 1)?;
                            list.push(value);
                            spots.push(spot);
                        }
                    }
                }
                (Value::Array(list), Inside::Entries(spots), anchor)
            }
            Event::MappingStart(_, anchor, _) => {
                let (map, spots) = self.mapping(at, depth)?;
                (Value::Object(map), Inside::Fields(spots), anchor)
            }
            Event::Alias(anchor) => return self.alias(anchor, at),
            _ => return Err(unexpected(at)),
        };
        let spot = Spot { at, inside };
        if anchor != 0 {
            let (nodes, bytes) = (self.nodes - before.0, self.bytes - before.1);
            // Remembering it is a copy, too.
            self.spend(nodes, bytes, at)?;
            self.anchors.insert(anchor, Anchored { value: value.clone(), spot: spot.clone(), nodes, bytes });
        }
        Ok((value, spot))
    }

    /// The next event inside a list or map, presentation left out.
    fn inner(&mut self, at: Position) -> Result<(Event<'a>, Position), Broken> {
        loop {
            match self.next()? {
                Some((Event::Comment(..) | Event::Anchor(..), _)) => {}
                Some(found) => return Ok(found),
                None => return Err(unexpected(at)),
            }
        }
    }

    fn mapping(&mut self, at: Position, depth: usize) -> Result<(Map<String, Value>, Vec<(Box<str>, Spot)>), Broken> {
        let (mut map, mut spots) = (Map::new(), Vec::new());
        let mut lines: HashMap<String, u32> = HashMap::new();
        let mut merged: Vec<(Value, Spot)> = Vec::new();
        let mut twin = None;
        loop {
            let (event, key_at) = self.inner(at)?;
            let (key, plain) = match event {
                Event::MappingEnd => break,
                Event::Scalar(text, style, ..) => (text.into_owned(), style == ScalarStyle::Plain),
                event => {
                    let (value, _) = self.value(event, key_at, depth + 1)?;
                    match value {
                        Value::String(text) => (text, false),
                        _ => {
                            let message = "a field's name must be a text".to_owned();
                            return Err(Broken { at: key_at, reason: "BadKey", message, remedy: String::new() });
                        }
                    }
                }
            };
            self.spend(1, key.len(), key_at)?;
            let (event, value_at) = self.inner(key_at)?;
            let (value, mut spot) = self.value(event, value_at, depth + 1)?;
            if plain && key == "<<" {
                merged.push((value, spot));
                continue;
            }
            spot.at = key_at;
            if let Some(first) = lines.insert(key.clone(), key_at.line) {
                twin.get_or_insert((key, first, key_at));
                continue;
            }
            map.insert(key.clone(), value);
            spots.push((key.into(), spot));
        }
        // Said after the whole map was consumed, so that reading goes on behind it.
        if let Some((key, first, at)) = twin {
            let shown: String = key.chars().take(60).collect();
            let message = format!("field {shown:?} is there twice, first in line {first}");
            return Err(Broken { at, reason: "DuplicateKey", message, remedy: "remove one of them".into() });
        }
        for (value, spot) in merged {
            merge(value, spot, &mut map, &mut spots, at)?;
        }
        Ok((map, spots))
    }

    fn alias(&mut self, anchor: usize, at: Position) -> Result<(Value, Spot), Broken> {
        let Some(known) = self.anchors.get(&anchor) else {
            let message = "an alias inside the value that it stands for".to_owned();
            return Err(Broken { at, reason: "BadAlias", message, remedy: "write the value out".into() });
        };
        let (nodes, bytes) = (known.nodes, known.bytes);
        self.spend(nodes, bytes, at)?;
        match self.anchors.get(&anchor) {
            Some(known) => Ok((known.value.clone(), Spot { at, ..known.spot.clone() })),
            None => Err(unexpected(at)),
        }
    }

    fn spend(&mut self, nodes: usize, bytes: usize, at: Position) -> Result<(), Broken> {
        self.nodes = self.nodes.saturating_add(nodes);
        self.bytes = self.bytes.saturating_add(bytes);
        if self.nodes <= MAX_NODES && self.bytes <= MAX_BYTES {
            return Ok(());
        }
        let message = format!(
            "the file unfolds to more than {MAX_NODES} values or {} MiB, aliases (*name) counted in full",
            MAX_BYTES >> 20
        );
        Err(Broken { at, reason: "TooLarge", message, remedy: "split it, and write out what aliases repeat".into() })
    }
}

/// `<<: *defaults`: fields of other maps, where the map itself has none.
fn merge(
    value: Value,
    spot: Spot,
    map: &mut Map<String, Value>,
    spots: &mut Vec<(Box<str>, Spot)>,
    at: Position,
) -> Result<(), Broken> {
    match (value, spot.inside) {
        (Value::Object(more), Inside::Fields(mut places)) => {
            for (name, value) in more {
                if !map.contains_key(&name) {
                    if let Some(index) = places.iter().position(|(known, _)| **known == *name) {
                        spots.push(places.swap_remove(index));
                    }
                    map.insert(name, value);
                }
            }
            Ok(())
        }
        (Value::Array(list), Inside::Entries(places)) => {
            list.into_iter().zip(places).try_for_each(|(value, spot)| match value {
                Value::Object(_) => merge(value, spot, map, spots, at),
                _ => Err(bad_merge(at)),
            })
        }
        _ => Err(bad_merge(at)),
    }
}

fn bad_merge(at: Position) -> Broken {
    let message = "<< merges maps only".to_owned();
    Broken { at, reason: "BadMerge", message, remedy: "write `<<: *name` with the name of an anchored map".into() }
}

fn unexpected(at: Position) -> Broken {
    Broken { at, reason: "BadSyntax", message: "the document ends in the middle".into(), remedy: String::new() }
}

/// A scalar by the core schema of YAML 1.2, as JSON has it.
fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>, at: Position) -> Result<Value, Broken> {
    if let Some(tag) = tag {
        return match tag.core_suffix() {
            Some("str") => Ok(Value::from(text)),
            Some("int" | "float" | "bool" | "null") => Ok(plain(text)),
            _ => {
                let shown: String = tag.original().chars().take(60).collect();
                let message = format!("the tag {shown} is not known here");
                Err(Broken { at, reason: "UnknownTag", message, remedy: "remove it".into() })
            }
        };
    }
    Ok(if style == ScalarStyle::Plain { plain(text) } else { Value::from(text) })
}

fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    // Only what looks like a number is tried: most scalars are words.
    if !text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) {
        return Value::from(text);
    }
    let unsigned = text.strip_prefix('+').unwrap_or(text);
    let radix = |prefix: &str, radix: u32| i64::from_str_radix(text.strip_prefix(prefix)?, radix).ok();
    if let Ok(number) = unsigned.parse::<i64>() {
        Value::from(number)
    } else if let Some(number) = radix("0x", 16).or_else(|| radix("0o", 8)) {
        Value::from(number)
    } else if unsigned.bytes().all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte))
        && let Ok(number) = unsigned.parse::<f64>()
        && let Some(number) = Number::from_f64(number)
    {
        Value::Number(number)
    } else {
        Value::from(text)
    }
}

fn position(span: &Span) -> Position {
    Position { line: span.start.line() as u32, column: span.start.col() as u32 + 1 }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn values(text: &str) -> Vec<Value> {
        let (documents, broken) = read(text);
        assert_eq!(broken, [], "{text}");
        documents.into_iter().map(|document| document.value).collect()
    }

    fn reason(text: &str) -> &'static str {
        let (_, broken) = read(text);
        broken.first().map_or("none", |broken| broken.reason)
    }

    #[test]
    fn scalars_have_the_types_of_yaml_1_2() {
        let text = "[1, -2, 0x10, 1.5, 1e3, true, no, ~, \"1\", 1.2.3, 2026-01-01T00:00:00Z, 30s, +4, -x, 99999999999999999999]";
        let expected = json!([
            1,
            -2,
            16,
            1.5,
            1000.0,
            true,
            "no",
            null,
            "1",
            "1.2.3",
            "2026-01-01T00:00:00Z",
            "30s",
            4,
            "-",
            1e20
        ]);
        assert_eq!(values(text), [expected]);
    }

    #[test]
    fn empty_documents_and_comments_are_nothing() {
        assert_eq!(values(""), [Value::Null; 0]);
        assert_eq!(values("# only\n---\n---\n# this\n"), [Value::Null; 0]);
        assert_eq!(values("---\na: 1\n---\n---\nb: 2\n"), [json!({"a": 1}), json!({"b": 2})]);
    }

    #[test]
    fn every_field_has_its_place() {
        let text = "spec:\n  a.b:\n    c: 1\n  list:\n    - x: 1\n    - {y: 2,\n       z: 3}\n";
        let (documents, _) = read(text);
        let at = |path: &str| {
            let Position { line, column } = documents[0].spot.find(path);
            (line, column)
        };
        assert_eq!(at("spec"), (1, 1));
        assert_eq!(at("spec.a.b.c"), (3, 5));
        assert_eq!(at("spec.list[0].x"), (5, 7));
        assert_eq!(at("spec.list[1]"), (6, 7));
        assert_eq!(at("spec.list[1].z"), (7, 8));
        assert_eq!(at("spec.list[1].missing"), (6, 7), "the nearest thing around it");
        assert_eq!(at("spec.list[9]"), (4, 3));
    }

    #[test]
    fn anchors_and_merges_unfold() {
        let text = "base: &b {x: 1, y: 2}\nuse: {<<: *b, y: 3}\nsame: *b\n";
        assert_eq!(
            values(text),
            [json!({"base": {"x": 1, "y": 2}, "use": {"y": 3, "x": 1}, "same": {"x": 1, "y": 2}})]
        );
        assert_eq!(reason("a: {<<: 5}"), "BadMerge");
        assert_eq!(reason("a: &a [*a]"), "BadAlias");
        assert_eq!(reason("a: *nobody"), "BadSyntax");
    }

    #[test]
    fn a_bomb_is_refused_before_it_goes_off() {
        let mut text = String::from("a0: &a0 [lol,lol,lol,lol,lol,lol,lol,lol,lol,lol]\n");
        for level in 1..10 {
            let below = format!("*a{},", level - 1).repeat(10);
            text.push_str(&format!("a{level}: &a{level} [{}]\n", below.trim_end_matches(',')));
        }
        assert_eq!(reason(&text), "TooLarge");
        let big = format!("a: &a \"{}\"\nb: [{}]", "x".repeat(100_000), "*a,".repeat(1000));
        assert_eq!(reason(&big), "TooLarge");
    }

    #[test]
    fn depth_is_bounded() {
        assert_eq!(values(&format!("{}{}", "[".repeat(60), "]".repeat(60))).len(), 1);
        assert_eq!(reason(&format!("{}{}", "[".repeat(100), "]".repeat(100))), "TooDeep");
        assert_ne!(reason(&"[".repeat(100_000)), "none");
        assert_ne!(reason(&"- ".repeat(100_000)), "none");
    }

    #[test]
    fn a_broken_document_does_not_hurt_its_neighbours() {
        let text = "a: 1\n---\nb: [1\n---\nc: 3\n---\nd: 1\nd: 2\n---\ne: 5\n";
        let (documents, broken) = read(text);
        let values: Vec<_> = documents.into_iter().map(|document| document.value).collect();
        assert!(values.contains(&json!({"a": 1})) && values.contains(&json!({"e": 5})), "{values:?} {broken:?}");
        assert!(broken.iter().any(|broken| broken.reason == "DuplicateKey" && broken.at.line == 8), "{broken:?}");
        assert!(broken.iter().any(|broken| broken.reason == "BadSyntax"), "{broken:?}");
    }

    #[test]
    fn a_field_that_is_there_twice_is_named_with_both_lines() {
        let (_, broken) = read("a: 1\nb: 2\na: 3\n");
        assert_eq!(broken[0].message, "field \"a\" is there twice, first in line 1");
        assert_eq!(broken[0].at, Position { line: 3, column: 1 });
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic_or_hang(text in "[ \\n\\-:\\[\\]{}&*a-c0-9\"'#|>%!?,.<]{0,120}") {
            let _ = read(&text);
        }

        #[test]
        fn json_reads_as_itself(list in prop::collection::vec(("[a-z]{1,8}", any::<i64>(), "\\PC{0,20}", any::<bool>()), 0..10)) {
            let value = json!({ "list": list.iter().map(|(a, b, c, d)| json!({ "k": a, "n": b, "t": c, "b": d, "z": null })).collect::<Vec<_>>() });
            prop_assert_eq!(values(&serde_json::to_string_pretty(&value).unwrap()), vec![value]);
        }
    }
}
