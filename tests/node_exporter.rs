//! Our host metrics beside node_exporter's own answer on a recorded machine, sample by sample.
//!
//! The recording is not part of this repository: point `VITALS_TEST_DATA` at a folder that has
//! `node_exporter/root.tar.gz` and `node_exporter/expected.txt`. Without it the comparison is skipped and says so.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use vitals::host::{Collection, Options, Roots, Selection, collectors_with};
use vitals::model::series::Frame;

/// The families of each collector on the recorded machine, by the beginning of their names.
const FAMILIES: &[(&str, &[&str])] = &[
    (
        "cpu",
        &[
            "node_cpu_seconds_total",
            "node_cpu_guest_seconds_total",
            "node_cpu_isolated",
            "node_cpu_core_throttles",
            "node_cpu_package_throttles",
            "node_cpu_online",
        ],
    ),
    ("diskstats", &["node_disk_"]),
    ("loadavg", &["node_load"]),
    ("meminfo", &["node_memory_"]),
    ("netdev", &["node_network_receive_", "node_network_transmit_"]),
    ("pressure", &["node_pressure_"]),
    (
        "stat",
        &[
            "node_boot_time",
            "node_context_switches",
            "node_forks",
            "node_intr_total",
            "node_procs_",
            "node_softirqs_total",
        ],
    ),
    ("time", &["node_time_clocksource_"]),
    ("vmstat", &["node_vmstat_"]),
];
/// Families with such names that belong to collectors of their own.
const FOREIGN: &[&str] = &["node_memory_numa_", "node_network_transmit_queue_length"];
/// Left out of the recording: they differ on every run.
const UNRECORDED: &[&str] = &[
    "node_network_receive_bytes_total",
    "node_network_receive_packets_total",
    "node_network_transmit_bytes_total",
    "node_network_transmit_packets_total",
];
/// Run on the recording machine itself, or not at all: compared by the unit tests only.
const NOT_RECORDED: &[&str] = &["filesystem", "uname"];

/// One exposition: help and type by family, value by series.
#[derive(Default)]
struct Exposition {
    families: BTreeMap<String, (String, String)>,
    samples: BTreeMap<String, f64>,
}

#[test]
fn our_samples_are_node_exporters_on_the_recorded_machine() {
    let Some(data) = test_data() else { return };
    let machine = unpacked(&data.join("root.tar.gz"));
    lend_a_loopback(machine.path());
    let ours = exposition(&scraped(machine.path()));
    let expected = exposition(&std::fs::read_to_string(data.join("expected.txt")).unwrap());

    let mut differences = Vec::new();
    let mut compared = 0;
    for (collector, prefixes) in FAMILIES {
        let of_collector = |name: &str| {
            let has = |list: &[&str]| list.iter().any(|prefix| name.starts_with(prefix));
            has(prefixes) && !has(FOREIGN) && !UNRECORDED.contains(&name)
        };
        for (name, help_and_type) in expected.families.iter().filter(|(name, _)| of_collector(name)) {
            match ours.families.get(name) {
                Some(found) if found == help_and_type => {}
                found => differences.push(format!("{collector}: {name} is {help_and_type:?}, ours {found:?}")),
            }
        }
        for name in ours.families.keys().filter(|name| of_collector(name) && !expected.families.contains_key(*name)) {
            differences.push(format!("{collector}: {name} is ours alone"));
        }
        let series = |found: &Exposition| -> BTreeSet<String> {
            found.samples.keys().filter(|key| of_collector(family(key))).cloned().collect()
        };
        for key in series(&expected).union(&series(&ours)) {
            let (theirs, ours) = (expected.samples.get(key), ours.samples.get(key));
            compared += 1;
            if theirs.map(|value| value.to_bits()) != ours.map(|value| value.to_bits()) {
                differences.push(format!("{collector}: {key} is {theirs:?}, ours {ours:?}"));
            }
        }
    }
    assert!(differences.is_empty(), "{} of {compared} differ:\n{}", differences.len(), differences.join("\n"));
    assert!(compared > 390, "only {compared} samples were compared");
    // Every collector that node_exporter has is either compared or named as not recorded.
    let known: BTreeSet<&str> = FAMILIES.iter().map(|(name, _)| *name).chain(NOT_RECORDED.iter().copied()).collect();
    let missing: Vec<_> = vitals::host::collector_names()
        .into_iter()
        .filter(|name| !known.contains(name) && *name != "documents")
        .collect();
    assert!(missing.is_empty(), "compare these collectors too: {missing:?}");
}

/// The folder of the recording. Missing data are no failure on a developer's machine, and one in CI that promises them.
fn test_data() -> Option<PathBuf> {
    let Some(root) = std::env::var_os("VITALS_TEST_DATA") else {
        let message =
            "skipped 1: our_samples_are_node_exporters_on_the_recorded_machine (VITALS_TEST_DATA is not set)\n";
        std::io::Write::write_all(&mut std::io::stderr(), message.as_bytes()).unwrap();
        return None;
    };
    let data = PathBuf::from(root).join("node_exporter");
    assert!(data.join("expected.txt").is_file(), "VITALS_TEST_DATA has no {}/expected.txt", data.display());
    Some(data)
}

fn unpacked(archive: &Path) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let status = Command::new("tar").arg("-xzf").arg(archive).arg("-C").arg(folder.path()).status().unwrap();
    assert!(status.success(), "tar could not unpack {}", archive.display());
    folder
}

/// node_exporter asked the recording machine's kernel for its only interface, `lo`, by netlink. The recording has no
/// file for it, so it gets the one that a quiet loopback has.
fn lend_a_loopback(machine: &Path) {
    let write = |path: &str, text: &str| {
        let path = machine.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("proc/net/dev", "Inter-|\n face |\n    lo: 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n");
    write("sys/class/net/lo/statistics/rx_nohandler", "0\n");
}

fn scraped(machine: &Path) -> String {
    let roots =
        Roots { udev: machine.join("udev/data"), ..Roots::new(machine.join("proc"), machine.join("sys"), machine) };
    let selection = Selection { disable: vec!["filesystem".into(), "uname".into()], ..Selection::default() };
    let options = Options { softirqs: true, ..Options::default() };
    let mut collection = Collection::new(collectors_with(&roots, &selection, &options).unwrap());
    let mut frame = Frame::default();
    collection.collect(0, &mut frame);
    let mut text = Vec::new();
    vitals::export::text::write(&[&frame], &mut text);
    String::from_utf8(text).unwrap()
}

fn exposition(text: &str) -> Exposition {
    let mut found = Exposition::default();
    for line in text.lines() {
        let entry = |rest: &str| rest.split_once(' ').map(|(name, rest)| (name.to_owned(), rest.to_owned())).unwrap();
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = entry(rest);
            found.families.entry(name).or_default().0 = help;
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = entry(rest);
            found.families.entry(name).or_default().1 = kind;
        } else {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let replaced = found.samples.insert(without_empty_labels(series), value.parse().unwrap());
            assert!(replaced.is_none(), "twice: {series}");
        }
    }
    found
}

/// An empty label is an absent one, to Prometheus and to us; node_exporter writes them out.
fn without_empty_labels(series: &str) -> String {
    let Some((name, labels)) = series.split_once('{') else { return series.to_owned() };
    let labels = labels.strip_suffix('}').unwrap();
    let kept: Vec<&str> = split_labels(labels).into_iter().filter(|label| !label.ends_with("=\"\"")).collect();
    format!("{name}{{{}}}", kept.join(","))
}

/// The labels of a series; commas inside quotes do not separate.
fn split_labels(labels: &str) -> Vec<&str> {
    let (mut parts, mut start, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    for (at, byte) in labels.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            b',' if !quoted => {
                parts.push(&labels[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&labels[start..]);
    parts
}

fn family(series: &str) -> &str {
    series.split('{').next().unwrap_or(series)
}
