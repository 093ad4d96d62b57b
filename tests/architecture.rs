//! The house rules as tests: who may call whom, how long a file may be, what no file may hold.
//!
//! Everything here reads the sources as text, so it works on whatever exists and needs no build of the library.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test says what is wrong by failing; clippy knows only functions marked #[test] as tests"
)]

#[path = "architecture/source.rs"]
mod source;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use source::{Source, project, rust_files};

/// The engines: pure, time is an argument.
const ENGINES: [&str; 4] = ["promql", "store", "alert", "template"];
/// The hands: each does one kind of work on the outside world.
const HANDS: [&str; 7] = ["net", "host", "check", "notify", "export", "diagnose", "remedy"];
/// The words: data, resources and the arithmetic between them.
const WORDS: [&str; 3] = ["model", "api", "compile"];
/// The rim's rooms that see everything.
const ROOTS: [&str; 1] = ["cmd"];

/// Longest file that is accepted.
const LINES_HARD: usize = 700;
/// Longest file that is liked; longer ones are listed.
const LINES_LIKED: usize = 400;
/// Longest file in `cmd/`: wiring only.
const LINES_CMD: usize = 150;

/// Which rooms each room may import: the table of ARCHITECTURE.md. `None`: all.
fn may_use(room: &str) -> Option<Vec<&'static str>> {
    let mut allowed: Vec<&'static str> = match room {
        "model" => vec![],
        "api" | "promql" | "store" | "net" | "host" | "cluster" | "runtime" => vec!["model"],
        "compile" => vec!["model", "api", "promql", "template"],
        "alert" => vec!["model", "promql", "template"],
        "template" => vec!["model", "promql"],
        "check" => vec!["model", "net", "host"],
        "notify" | "export" => vec!["model", "net", "template"],
        "diagnose" | "remedy" => vec!["model", "net"],
        "agent" => [&["model"][..], &ENGINES, &HANDS].concat(),
        "fleet" => [&["model", "notify", "remedy"][..], &ENGINES].concat(),
        "local" => [&WORDS[..], &ENGINES, &["agent", "fleet"]].concat(),
        "controller" => vec!["model", "api", "compile", "cluster", "fleet"],
        "web" => [&["model", "export"][..], &ENGINES].concat(),
        "cli" => [&WORDS[..], &ENGINES, &["net"]].concat(),
        _ if ROOTS.contains(&room) => return None,
        _ => return Some(vec![]),
    };
    if !is_pure(room) && room != "runtime" {
        allowed.push("runtime");
    }
    Some(allowed)
}

/// Rooms that know every other room by name.
const KNOWN: [&str; 22] = [
    "model",
    "api",
    "compile",
    "promql",
    "store",
    "alert",
    "template",
    "net",
    "host",
    "check",
    "notify",
    "export",
    "diagnose",
    "remedy",
    "agent",
    "fleet",
    "local",
    "cluster",
    "controller",
    "web",
    "runtime",
    "cli",
];

fn is_pure(room: &str) -> bool {
    ENGINES.contains(&room) || WORDS.contains(&room)
}

/// Rooms that exist in `src/`.
fn rooms() -> Vec<String> {
    let mut rooms: Vec<String> = std::fs::read_dir(project().join("src"))
        .unwrap()
        .filter_map(|entry| {
            let entry = entry.unwrap();
            entry.file_type().unwrap().is_dir().then(|| entry.file_name().into_string().unwrap())
        })
        .collect();
    rooms.sort();
    rooms
}

fn sources() -> Vec<Source> {
    Source::all(&project().join("src"))
}

fn assert_none(complaints: &str, remedy: &str) {
    assert!(complaints.is_empty(), "\n{complaints}\n{remedy}\n");
}

#[test]
fn every_room_has_its_place_in_the_table() {
    for room in rooms() {
        assert!(
            KNOWN.contains(&room.as_str()) || ROOTS.contains(&room.as_str()),
            "src/{room}/ is not in the table of rooms; add it to tests/architecture.rs and ARCHITECTURE.md"
        );
    }
}

#[test]
fn rooms_import_only_what_the_table_allows() {
    let rooms = rooms();
    let mut complaints = String::new();
    for file in sources().iter().filter(|file| !file.is_test) {
        let Some(room) = &file.room else { continue };
        let Some(allowed) = may_use(room) else { continue };
        for (line, target) in file.crate_paths() {
            let inside = target == *room;
            let fine = allowed.contains(&target.as_str());
            if inside || fine {
                continue;
            }
            let what =
                if rooms.contains(&target) { "may not use the room" } else { "uses something outside all rooms:" };
            let _ = writeln!(complaints, "{}:{line}: `{room}` {what} `{target}`", file.shown);
        }
        for line in file.escapes_by_super() {
            let _ = writeln!(complaints, "{}:{line}: `super::` leaves the room; write `crate::room::`", file.shown);
        }
    }
    assert_none(&complaints, "The arrows between rooms are in ARCHITECTURE.md; ask through a port in model/ports.rs.");
}

#[test]
fn engines_have_no_clock_and_no_hands() {
    // Of `std::net` the addresses are welcome, of `std::time` durations are.
    let words_bans = [
        "tokio",
        "std::fs",
        "std::thread",
        "std::process",
        "std::env",
        "TcpStream",
        "TcpListener",
        "UdpSocket",
        "ToSocketAddrs",
        "SystemTime",
    ];
    let engine_bans = [&words_bans[..], &["Instant"]].concat();
    let clocks = ["Instant::now", "Timestamp::now", "Zoned::now", "Utc::now"];
    let mut complaints = String::new();
    for file in sources().iter().filter(|file| !file.is_test) {
        let Some(room) = &file.room else { continue };
        let bans: &[&str] = match room.as_str() {
            room if ENGINES.contains(&room) => &engine_bans,
            room if WORDS.contains(&room) => &words_bans,
            _ => continue,
        };
        for (line, path) in file.paths() {
            for ban in bans.iter().chain(&clocks) {
                if source::mentions(&path, ban) {
                    let _ = writeln!(complaints, "{}:{line}: `{room}` is pure and uses `{ban}`", file.shown);
                }
            }
        }
    }
    assert_none(&complaints, "Time is an argument of the engines; files and sockets belong to the hands.");
}

#[test]
fn files_stay_short_enough_to_be_read() {
    let mut complaints = String::new();
    let mut long = BTreeMap::new();
    for (path, shown) in rust_files(&["src", "tests", "benches", "examples"]) {
        let lines = read(&path).lines().count();
        if lines > LINES_HARD {
            let _ = writeln!(complaints, "{shown}: {lines} lines, at most {LINES_HARD}");
        } else if lines > LINES_LIKED {
            long.insert(shown.clone(), lines);
        }
        if shown.starts_with("src/cmd/") && lines > LINES_CMD {
            let _ = writeln!(complaints, "{shown}: {lines} lines; a command is wiring only, at most {LINES_CMD}");
        }
    }
    for (shown, lines) in long {
        println!("longer than {LINES_LIKED} lines: {shown} ({lines})");
    }
    assert_none(&complaints, "Split by subject; move tests to a `tests.rs` beside the file.");
}

#[test]
fn every_file_opens_with_a_sentence_about_itself() {
    let mut complaints = String::new();
    for (path, shown) in rust_files(&["src", "tests", "benches", "examples"]) {
        let text = read(&path);
        let first = text.lines().next().unwrap_or_default();
        if first.strip_prefix("//! ").is_none_or(|sentence| sentence.trim().len() < 10) {
            let _ = writeln!(complaints, "{shown}:1: the first line is {first:?}");
        }
    }
    assert_none(&complaints, "The first line of a file is `//! ` and a sentence that tells a newcomer what it is.");
}

#[test]
fn nothing_outside_tests_can_panic_on_purpose() {
    let mut complaints = String::new();
    for file in sources().iter().filter(|file| !file.is_test) {
        for (index, line) in file.code.lines().enumerate() {
            let bad = [".unwrap()", ".expect(\"", ".expect(&", "panic!(", "todo!(", "unimplemented!("];
            for word in bad {
                if line.contains(word) {
                    let _ = writeln!(complaints, "{}:{}: `{word}`", file.shown, index + 1);
                }
            }
            let silenced = line.contains("allow(clippy::")
                && ["unwrap_used", "expect_used", "panic"].iter().any(|lint| line.contains(lint));
            if silenced {
                let _ = writeln!(complaints, "{}:{}: the lint is silenced: {}", file.shown, index + 1, line.trim());
            }
        }
    }
    assert_none(&complaints, "Return an error of the room; it says what is wrong, where, and what to do.");
}

#[test]
fn nothing_is_left_for_later() {
    // Written in halves, so that this file does not find itself.
    let words = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X:"), concat!("HA", "CK:")];
    let mut complaints = String::new();
    for (path, shown) in source::text_files() {
        for (index, line) in read(&path).lines().enumerate() {
            if words.iter().any(|word| line.contains(word)) {
                let _ = writeln!(complaints, "{shown}:{}: {}", index + 1, line.trim());
            }
        }
    }
    assert_none(&complaints, "Do it, or write down why not as a plain sentence.");
}

#[test]
fn the_map_names_every_room() {
    let map = read(&project().join("ARCHITECTURE.md"));
    for room in rooms() {
        assert!(map.contains(&format!("`{room}/`")), "ARCHITECTURE.md does not name `{room}/`");
    }
}

#[test]
fn the_map_draws_the_arrows_that_are_enforced() {
    let map = read(&project().join("ARCHITECTURE.md"));
    for room in rooms() {
        let Some(allowed) = may_use(&room) else { continue };
        let row = map
            .lines()
            .find(|line| line.starts_with('|') && line.contains(&format!("| `{room}/` |")))
            .unwrap_or_else(|| panic!("ARCHITECTURE.md has no row `| `{room}/` |` in its table of rooms"));
        let last = row.trim_end_matches(['|', ' ']).rsplit('|').next().unwrap_or_default();
        let mut drawn: Vec<&str> = last.split([',', ' ']).filter(|word| KNOWN.contains(word)).collect();
        let mut enforced: Vec<&str> =
            allowed.into_iter().filter(|target| *target != "runtime" && rooms().iter().any(|r| r == target)).collect();
        drawn.sort_unstable();
        enforced.sort_unstable();
        assert_eq!(drawn, enforced, "the row of `{room}/` in ARCHITECTURE.md and tests/architecture.rs differ");
    }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
