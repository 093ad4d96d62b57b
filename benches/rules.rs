//! What a second of rules costs: append this second's host series, then evaluate ten usual node rules a hundred times.
//!
//! Prints `rules: N ms CPU per second of evaluation`. With `--rules` it prints the same rules as a Prometheus rule file
//! instead, for a run of a peer. The series are made up, as many and of the kinds that node_exporter has on a small
//! machine; `--series` prints one second of them in the text format.

// A bench may fail by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use vitals::model::Span;
use vitals::model::labels::Labels;
use vitals::model::series::{Family, Frame, MetricKind, SeriesInfo, write_value};
use vitals::promql::{Limits, Query, Value};
use vitals::store::{Store, StoreConfig};

/// Name and expression, as node-mixin has them (windows as written there, but for the long predictions).
const RULES: [(&str, &str); 10] = [
    (
        "NodeFilesystemAlmostOutOfSpace",
        r#"(node_filesystem_avail_bytes{job="node",fstype!="",mountpoint!=""} / node_filesystem_size_bytes{job="node",fstype!="",mountpoint!=""} * 100 < 5 and node_filesystem_readonly{job="node",fstype!="",mountpoint!=""} == 0)"#,
    ),
    (
        "NodeFilesystemFilesFillingUp",
        r#"(node_filesystem_files_free{job="node",fstype!="",mountpoint!=""} / node_filesystem_files{job="node",fstype!="",mountpoint!=""} * 100 < 40 and predict_linear(node_filesystem_files_free{job="node",fstype!="",mountpoint!=""}[5m], 24*60*60) < 0 and node_filesystem_readonly{job="node",fstype!="",mountpoint!=""} == 0)"#,
    ),
    (
        "NodeNetworkReceiveErrs",
        r#"rate(node_network_receive_errs_total{job="node"}[2m]) / rate(node_network_receive_packets_total{job="node"}[2m]) > 0.01"#,
    ),
    (
        "NodeNetworkTransmitErrs",
        r#"rate(node_network_transmit_errs_total{job="node"}[2m]) / rate(node_network_transmit_packets_total{job="node"}[2m]) > 0.01"#,
    ),
    (
        "NodeClockSkewDetected",
        r#"(node_timex_offset_seconds{job="node"} > 0.05 and deriv(node_timex_offset_seconds{job="node"}[5m]) >= 0) or (node_timex_offset_seconds{job="node"} < -0.05 and deriv(node_timex_offset_seconds{job="node"}[5m]) <= 0)"#,
    ),
    ("NodeFileDescriptorLimit", r#"(node_filefd_allocated{job="node"} * 100 / node_filefd_maximum{job="node"} > 70)"#),
    (
        "NodeCPUHighUsage",
        r#"sum without(mode) (avg without (cpu) (rate(node_cpu_seconds_total{job="node",mode!~"idle|iowait"}[2m]))) * 100 > 90"#,
    ),
    (
        "NodeSystemSaturation",
        r#"node_load1{job="node"} / count without (cpu, mode) (node_cpu_seconds_total{job="node",mode="idle"}) > 2"#,
    ),
    (
        "NodeMemoryHighUtilization",
        r#"100 - (node_memory_MemAvailable_bytes{job="node"} / node_memory_MemTotal_bytes{job="node"} * 100) > 90"#,
    ),
    (
        "NodeDiskIOSaturation",
        r#"rate(node_disk_io_time_weighted_seconds_total{job="node",device=~"(sd.+|vd.+|nvme.+)"}[5m]) > 10"#,
    ),
];
const COPIES: usize = 100;
/// Seconds of history before the measured ones.
const WARM_SECONDS: i64 = 400;
const SECONDS: i64 = 30;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.iter().any(|argument| argument == "--rules") {
        return print(&rule_file());
    }
    let mut host = Host::new();
    if arguments.iter().any(|argument| argument == "--series") {
        return print(&text(&host.second()));
    }
    let store = Store::new(StoreConfig {
        identity: Labels::from_pairs([("job", "node"), ("instance", "bench"), ("node", "bench")]),
        retention: Span::seconds(600),
        ..StoreConfig::default()
    });
    let queries: Vec<Query> = (0..COPIES)
        .flat_map(|_| RULES)
        .map(|(name, expr)| Query::parse(expr).unwrap_or_else(|e| panic!("{name}: {e}")))
        .collect();
    store.select(queries.iter().take(RULES.len()).flat_map(Query::selectors).collect());
    let limits = Limits::default();
    let mut fired = 0;
    let mut spent = 0;
    let mut appending = 0;
    for second in 0..WARM_SECONDS + SECONDS {
        let frame = host.second();
        let before = cpu_nanos();
        let began = Instant::now();
        store.append(&frame, "host");
        let appended = began.elapsed();
        if second % 60 == 0 {
            store.prune(frame.at);
        }
        if second < WARM_SECONDS {
            continue;
        }
        for query in &queries {
            match query.instant(&store, frame.at, &limits) {
                Ok(Value::Vector(elements)) => fired += elements.len(),
                other => panic!("{query}: {other:?}"),
            }
        }
        spent += cpu_nanos() - before;
        appending += appended.as_nanos() as u64;
    }
    let milliseconds = |nanos: u64| nanos as f64 / 1e6 / SECONDS as f64;
    let stats = store.stats();
    print(&format!(
        "{} series, {} bytes, {} rules, {fired} elements\nappend: {:.3} ms per second\n",
        stats.series,
        stats.bytes,
        queries.len(),
        milliseconds(appending)
    ));
    if arguments.iter().any(|argument| argument == "--each") {
        for (name, expr) in RULES {
            let query = Query::parse(expr).unwrap_or_else(|error| panic!("{name}: {error}"));
            let mut best = Duration::MAX;
            for _ in 0..1000 {
                let began = Instant::now();
                query.instant(&store, host.frame.at, &limits).unwrap_or_else(|error| panic!("{name}: {error}"));
                best = best.min(began.elapsed());
            }
            print(&format!("  {:8.2} µs at best: {name}\n", best.as_nanos() as f64 / 1e3));
        }
    }
    print(&format!("rules: {:.2} ms CPU per second of evaluation\n", milliseconds(spent)));
}

fn print(text: &str) {
    // Nobody to tell when standard output is gone.
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// Time that this thread was on a CPU.
fn cpu_nanos() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split_whitespace().next().and_then(|field| field.parse().ok()).unwrap_or(0)
}

fn rule_file() -> String {
    let mut out = String::from("groups:\n");
    for copy in 0..COPIES {
        out.push_str(&format!("- name: node{copy}\n  interval: 1s\n  rules:\n"));
        for (name, expr) in RULES {
            out.push_str(&format!("  - alert: {name}{copy}\n    expr: '{expr}'\n    for: 5m\n"));
        }
    }
    out
}

fn text(frame: &Frame) -> String {
    let mut out = String::new();
    for reading in &frame.readings {
        out.push_str(&reading.series.text);
        write_value(reading.value, &mut out);
        out.push('\n');
    }
    out
}

/// Series of a made-up machine of four CPUs.
struct Host {
    frame: Frame,
    series: Vec<(Arc<SeriesInfo>, Motion, f64)>,
    noise: u64,
}

/// How a series moves.
#[derive(Clone, Copy)]
enum Motion {
    Still,
    /// Grows by so much a second, give or take a tenth.
    Grows(f64),
    /// Swings around its value by a share of it.
    Swings,
}

impl Host {
    fn new() -> Self {
        let mut host =
            Self { frame: Frame { at: 1_700_000_000_000, readings: Vec::new() }, series: Vec::new(), noise: 1 };
        for cpu in 0..4 {
            for (mode, speed) in [
                ("idle", 0.8),
                ("iowait", 0.01),
                ("irq", 0.0),
                ("nice", 0.0),
                ("softirq", 0.01),
                ("steal", 0.0),
                ("system", 0.05),
                ("user", 0.1),
            ] {
                let motion = if speed > 0.0 { Motion::Grows(speed) } else { Motion::Still };
                host.add("node_cpu_seconds_total", &[("cpu", &cpu.to_string()), ("mode", mode)], motion, 100.0);
            }
        }
        for disk in 0..4 {
            for index in 0..17 {
                let name = if index == 0 {
                    "node_disk_io_time_weighted_seconds_total".into()
                } else {
                    format!("node_disk_metric{index}_total")
                };
                let motion = if disk < 2 { Motion::Grows(0.3 * f64::from(index + 1)) } else { Motion::Still };
                host.add(&name, &[("device", &format!("sd{}", ['a', 'b', 'c', 'd'][disk]))], motion, 1000.0);
            }
        }
        for mount in 0..8 {
            let labels = [
                ("device", &*format!("/dev/sda{mount}")),
                ("fstype", "ext4"),
                ("mountpoint", &*format!("/mnt/{mount}")),
            ];
            for (name, motion, value) in [
                ("node_filesystem_avail_bytes", Motion::Swings, 5e10),
                ("node_filesystem_device_error", Motion::Still, 0.0),
                ("node_filesystem_files", Motion::Still, 6e6),
                ("node_filesystem_files_free", Motion::Swings, 5e6),
                ("node_filesystem_free_bytes", Motion::Swings, 6e10),
                ("node_filesystem_readonly", Motion::Still, 0.0),
                ("node_filesystem_size_bytes", Motion::Still, 1e11),
            ] {
                host.add(name, &labels, motion, value);
            }
        }
        for device in ["lo", "eth0", "eth1", "docker0", "veth1", "veth2"] {
            for name in [
                "receive_bytes",
                "receive_packets",
                "receive_errs",
                "receive_drop",
                "transmit_bytes",
                "transmit_packets",
                "transmit_errs",
                "transmit_drop",
            ] {
                let motion = if name.ends_with("bytes") {
                    Motion::Grows(50_000.0)
                } else if name.ends_with("packets") {
                    Motion::Grows(100.0)
                } else {
                    Motion::Still
                };
                host.add(&format!("node_network_{name}_total"), &[("device", device)], motion, 10_000.0);
            }
            for index in 0..20 {
                host.add(&format!("node_network_detail{index}"), &[("device", device)], Motion::Still, 1.0);
            }
        }
        for name in ["MemTotal", "MemAvailable", "MemFree", "Cached", "Buffers", "SwapTotal", "SwapFree"] {
            let motion = if name.ends_with("Total") { Motion::Still } else { Motion::Swings };
            host.add(&format!("node_memory_{name}_bytes"), &[], motion, 8.0 * 1024.0 * 1024.0 * 1024.0);
        }
        for index in 0..45 {
            host.add(&format!("node_memory_detail{index}_bytes"), &[], Motion::Swings, 4096.0 * 10_000.0);
        }
        for (name, motion, value) in [
            ("node_load1", Motion::Swings, 0.5),
            ("node_load5", Motion::Swings, 0.5),
            ("node_load15", Motion::Swings, 0.5),
            ("node_timex_offset_seconds", Motion::Swings, 0.0001),
            ("node_filefd_allocated", Motion::Swings, 2000.0),
            ("node_filefd_maximum", Motion::Still, 1e6),
        ] {
            host.add(name, &[], motion, value);
        }
        for index in 0..330 {
            let motion = match index % 5 {
                0 => Motion::Grows(12.0),
                1 => Motion::Swings,
                _ => Motion::Still,
            };
            host.add(&format!("node_other{index}"), &[], motion, 1234.0);
        }
        host
    }

    fn add(&mut self, name: &str, labels: &[(&str, &str)], motion: Motion, value: f64) {
        let family = Family::new(name.to_owned(), "A made-up metric.", MetricKind::Untyped);
        self.series.push((SeriesInfo::new(&family, labels), motion, value));
    }

    /// One second later.
    fn second(&mut self) -> Frame {
        self.frame.at += 1000;
        let mut frame = Frame { at: self.frame.at, readings: Vec::with_capacity(self.series.len()) };
        for (series, motion, value) in &mut self.series {
            self.noise = self.noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let random = (self.noise >> 40) as f64 / (1_u64 << 24) as f64;
            let now = match motion {
                Motion::Still => *value,
                Motion::Grows(speed) => {
                    // As the kernel counts: whole things, or hundredths of a second.
                    let step = *speed * (0.9 + 0.2 * random);
                    *value =
                        if *speed < 10.0 { ((*value + step) * 100.0).round() / 100.0 } else { (*value + step).round() };
                    *value
                }
                Motion::Swings => match *value {
                    small if small < 100.0 => (small * (1.0 + 0.2 * random) * 1e4).round() / 1e4,
                    large => (large * (0.9 + 0.1 * random) / 4096.0).round() * 4096.0,
                },
            };
            frame.put(series, now);
        }
        frame
    }
}
