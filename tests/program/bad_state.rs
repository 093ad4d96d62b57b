//! A state directory that was damaged: said aloud, nothing lost, nothing panics, and the checks go on.

use std::path::{Path, PathBuf};

use crate::support::program::{assert_no_panic, files_below};
use crate::support::resources::{health_rule, http_check, no_defaults, webhook};
use crate::support::{Home, Running, Sink, Target};

/// What a damaged file holds; found again in the directory afterwards. Whole lines: a file whose last line alone is
/// unreadable is what a crash while writing leaves, and no reason to worry anybody.
const GARBAGE: &[u8] = b"\x00\xffthis is not what was written here {\x80\nnor is this\n";

struct Stopped {
    _target: Target,
    _sink: Sink,
    home: Home,
}

/// A home whose state knows a firing alert that was told.
fn stopped() -> Stopped {
    let (target, sink, home) = (Target::start(), Sink::start(), Home::new());
    home.write("check.yaml", http_check("shop", &target.url()));
    home.write("rule.yaml", health_rule("shop-down", "shop", "0s"));
    home.write("hook.yaml", webhook("hook", &sink.url()));
    home.write("config.yaml", no_defaults());
    let vitals = home.start();
    target.break_it();
    vitals.await_alert("shop-down", "active");
    sink.await_messages("shop-down", "firing", 1);
    vitals.terminate();
    Stopped { _target: target, _sink: sink, home }
}

fn copy(from: &Path, to: &Path) {
    for file in files_below(from) {
        let target = to.join(file.strip_prefix(from).unwrap());
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        std::fs::copy(&file, target).unwrap();
    }
}

/// How a program over a damaged file has to behave.
#[derive(Clone, Copy, PartialEq)]
enum Expected {
    /// It goes on or ends with 2, and names the file.
    NamesTheFile,
    /// It may also take the damage for what a crash leaves.
    GoesOn,
}

/// Damages each state file in turn, in the same way, and starts the program.
fn each_file_damaged(damage: impl Fn(&Path), expected: Expected, kept: impl Fn(&Path, &Path)) {
    let world = stopped();
    let good = world.home.path("good-state");
    copy(&world.home.state(), &good);
    let names: Vec<PathBuf> = files_below(&good)
        .into_iter()
        .filter(|file| file.metadata().unwrap().len() > 0)
        .map(|file| file.strip_prefix(&good).unwrap().to_owned())
        .collect();
    assert!(!names.is_empty(), "the program keeps no state in {}", good.display());
    for name in names {
        std::fs::remove_dir_all(world.home.state()).unwrap();
        copy(&good, &world.home.state());
        let file = world.home.state().join(&name);
        damage(&file);
        let shown = name.file_name().unwrap().to_str().unwrap();
        match Running::try_start(world.home.command()) {
            Err((status, said)) => {
                assert_no_panic(&said);
                assert_eq!(status.code(), Some(2), "{shown}: {said}");
                assert!(said.contains(shown), "{shown} is not named in:\n{said}");
            }
            Ok(vitals) => {
                if expected == Expected::NamesTheFile {
                    vitals.await_output(shown);
                }
                vitals.await_health("shop", "unhealthy");
                vitals.await_alert("shop-down", "active");
                vitals.terminate();
            }
        }
        kept(&world.home.state(), &file);
    }
}

#[test]
fn a_state_file_full_of_garbage_is_named_and_kept_aside() {
    let holds_garbage = |path: PathBuf| {
        let bytes = std::fs::read(path).unwrap();
        bytes.windows(GARBAGE.len()).any(|window| window == GARBAGE)
    };
    each_file_damaged(
        |file| std::fs::write(file, GARBAGE).unwrap(),
        Expected::NamesTheFile,
        |state, file| {
            let kept = files_below(state).into_iter().any(holds_garbage);
            assert!(kept, "what was in {} is lost", file.display());
        },
    );
}

#[test]
fn a_state_file_cut_in_half_stops_nothing() {
    let cut = |file: &Path| {
        let bytes = std::fs::read(file).unwrap();
        std::fs::write(file, &bytes[..bytes.len() / 2 + 1]).unwrap();
    };
    each_file_damaged(cut, Expected::GoesOn, |_, _| {});
}

#[test]
fn one_flipped_bit_stops_nothing() {
    let flip = |file: &Path| {
        let mut bytes = std::fs::read(file).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x10;
        std::fs::write(file, bytes).unwrap();
    };
    each_file_damaged(flip, Expected::GoesOn, |_, _| {});
}

#[test]
fn leftovers_of_a_write_that_a_kill_interrupted_do_no_harm() {
    let world = stopped();
    for file in files_below(&world.home.state()) {
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        for ending in ["tmp", "new", "partial"] {
            std::fs::write(file.with_file_name(format!("{name}.{ending}")), GARBAGE).unwrap();
        }
    }
    let vitals = world.home.start();
    vitals.await_alert("shop-down", "active");
    vitals.terminate();
}
