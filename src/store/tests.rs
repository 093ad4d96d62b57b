//! What a store promises, tested against a naive one.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::model::MatchOp;
use crate::model::labels::METRIC_NAME;
use crate::model::series::{Family, MetricKind, SeriesInfo, is_stale, stale_nan};

fn config() -> StoreConfig {
    StoreConfig { identity: Labels::from_pairs([("job", "node"), ("instance", "here")]), ..StoreConfig::default() }
}

fn series(name: &'static str, labels: &[(&str, &str)]) -> Arc<SeriesInfo> {
    SeriesInfo::new(&Family::new(name, "A test.", MetricKind::Gauge), labels)
}

fn frame(at: Millis, values: &[(&Arc<SeriesInfo>, f64)]) -> Frame {
    let mut frame = Frame { at, readings: Vec::new() };
    for (series, value) in values {
        frame.put(series, *value);
    }
    frame
}

fn all(store: &Store, name: &str) -> Vec<(Labels, Vec<Point>)> {
    let mut ids = Vec::new();
    store.find(&[Matcher::equal(METRIC_NAME, name)], &mut ids);
    ids.into_iter()
        .map(|id| {
            let mut points = Vec::new();
            store.points(id, Millis::MIN, Millis::MAX, &mut points);
            (store.labels(id), points)
        })
        .collect()
}

#[test]
fn collected_series_carry_who_we_are_and_keep_a_label_that_is_in_the_way() {
    let store = Store::new(config());
    store.append(&frame(1, &[(&series("a", &[("instance", "there"), ("x", "y")]), 1.0)]), "host");
    let (labels, _) = &all(&store, "a")[0];
    assert_eq!(labels.to_string(), r#"a{exported_instance="there", instance="here", job="node", x="y"}"#);
}

#[test]
fn computed_values_keep_exactly_their_labels() {
    let store = Store::new(config());
    let labels = Labels::from_pairs([(METRIC_NAME, "rule"), ("instance", "there")]);
    store.append_values("rules", 1, &[(labels.clone(), 2.0)]);
    assert_eq!(all(&store, "rule"), [(labels, vec![Point { at: 1, value: 2.0 }])]);
}

#[test]
fn a_series_missing_from_its_sources_frame_ends_and_others_do_not() {
    let store = Store::new(config());
    let (a, b, c) = (series("a", &[]), series("b", &[]), series("c", &[]));
    store.append(&frame(1, &[(&a, 1.0), (&b, 1.0)]), "host");
    store.append(&frame(1, &[(&c, 1.0)]), "checks");
    store.append(&frame(2, &[(&b, 2.0)]), "host");
    store.append(&frame(3, &[(&b, 3.0)]), "host");
    let points = &all(&store, "a")[0].1;
    assert_eq!(points.len(), 2);
    assert!(is_stale(points[1].value) && points[1].at == 2);
    assert!(all(&store, "b")[0].1.iter().all(|point| !is_stale(point.value)));
    assert_eq!(all(&store, "c")[0].1.len(), 1);
    // An empty frame ends the rest.
    store.append(&frame(4, &[]), "host");
    assert!(is_stale(all(&store, "b")[0].1[3].value));
}

#[test]
fn a_series_that_comes_back_goes_on() {
    let store = Store::new(config());
    let a = series("a", &[]);
    store.append(&frame(1, &[(&a, 1.0)]), "host");
    store.append(&frame(2, &[]), "host");
    store.append(&frame(3, &[(&a, 3.0)]), "host");
    let values: Vec<bool> = all(&store, "a")[0].1.iter().map(|point| is_stale(point.value)).collect();
    assert_eq!(values, [false, true, false]);
}

#[test]
fn a_remade_series_info_finds_its_old_series() {
    let store = Store::new(config());
    store.append(&frame(1, &[(&series("a", &[("x", "1")]), 1.0)]), "host");
    let generation = store.generation();
    store.append(&frame(2, &[(&series("a", &[("x", "1")]), 2.0)]), "host");
    assert_eq!(all(&store, "a").len(), 1);
    assert_eq!(all(&store, "a")[0].1.len(), 2);
    assert_eq!(store.generation(), generation);
}

#[test]
fn older_and_equal_times_are_refused_and_counted() {
    let store = Store::new(config());
    let a = series("a", &[]);
    for at in [5, 5, 4, 6] {
        store.append(&frame(at, &[(&a, at as f64)]), "host");
    }
    assert_eq!(all(&store, "a")[0].1.iter().map(|point| point.at).collect::<Vec<_>>(), [5, 6]);
    assert_eq!(store.stats().refused_points, 2);
    // Twice in one frame: the first counts.
    store.append(&frame(7, &[(&a, 1.0), (&a, 2.0)]), "host");
    assert_eq!(all(&store, "a")[0].1.last().unwrap().value, 1.0);
    assert_eq!(store.stats().refused_points, 3);
}

#[test]
fn a_source_that_is_idle_is_forgotten_and_may_come_back() {
    let store = Store::new(config());
    let a = series("a", &[]);
    for round in 0..3 {
        let at = round * 3_600_000;
        store.append_values("rules:1", at, &[]);
        store.append(&frame(at, &[(&a, 1.0)]), "host");
        store.append(&frame(at + 1, &[]), "host");
        assert!(is_stale(all(&store, "a")[0].1.last().unwrap().value));
        store.prune(at + 1_800_000);
        assert_eq!(store.stats().series, 0);
        // The places of the two are free; others take them.
        store.append_values(&format!("rules:{round}"), at + 1_800_000, &[]);
    }
}

#[test]
fn the_bits_of_odd_numbers_survive() {
    let store = Store::new(config());
    let a = series("a", &[]);
    let odd = [f64::NAN, stale_nan(), -0.0, f64::from_bits(0x7ff8_dead_beef_0001)];
    for index in 0..400 {
        store.append(&frame(index, &[(&a, odd[index as usize % 4])]), "host");
    }
    let points = &all(&store, "a")[0].1;
    assert_eq!(points.len(), 400);
    assert!(points.iter().enumerate().all(|(index, point)| point.value.to_bits() == odd[index % 4].to_bits()));
}

#[test]
fn selected_series_are_kept_longer_and_empty_ones_disappear() {
    let store = Store::new(config());
    store.select(vec![vec![Matcher::equal(METRIC_NAME, "kept")]]);
    let (kept, other) = (series("kept", &[]), series("other", &[]));
    for minute in 0..120 {
        store.append(&frame(minute * 60_000, &[(&kept, 1.0), (&other, 1.0)]), "host");
    }
    let generation = store.generation();
    store.prune(119 * 60_000);
    assert_eq!(all(&store, "kept")[0].1.len(), 120);
    let short = &all(&store, "other")[0].1;
    // All of the last ten minutes, and no more than a chunk beyond.
    assert!(short.len() >= 11 && short.len() <= 11 + 32, "{}", short.len());
    assert_eq!(store.generation(), generation);
    store.append(&frame(120 * 60_000, &[(&kept, 1.0)]), "host");
    store.prune(140 * 60_000);
    assert!(all(&store, "other").is_empty());
    assert_ne!(store.generation(), generation);
    assert_eq!(store.stats().series, 1);
    store.prune(3000 * 60_000);
    assert_eq!(store.stats().series, 0);
    assert!(store.stats().bytes < 4096, "{:?}", store.stats());
}

#[test]
fn memory_stays_within_its_bound_and_what_goes_is_the_oldest_and_counted() {
    let store = Store::new(StoreConfig { max_bytes: 300_000, ..config() });
    store.select(vec![vec![Matcher::new(METRIC_NAME, MatchOp::Regex, ".+").unwrap()]]);
    let many: Vec<Arc<SeriesInfo>> = (0..100).map(|i| series("a", &[("i", &i.to_string())])).collect();
    let mut noise = 1_u64;
    let mut at = 0;
    for _ in 0..3000 {
        at += 1000;
        let mut frame = Frame { at, readings: Vec::new() };
        for series in &many {
            noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            frame.put(series, f64::from_bits(noise >> 2));
        }
        store.append(&frame, "host");
        assert!(store.stats().bytes <= 300_000);
    }
    let stats = store.stats();
    assert_eq!(stats.series, 100);
    assert_eq!(stats.dropped_points as usize + stats.points, 300_000);
    let counts: Vec<usize> = all(&store, "a").iter().map(|(_, points)| points.len()).collect();
    assert!(counts.iter().all(|count| *count > 50), "every series keeps its share: {counts:?}");
}

#[test]
fn a_flood_of_new_series_is_refused_and_counted_and_leaves_nothing_behind() {
    let store = Store::new(StoreConfig { max_bytes: 200_000, ..config() });
    let good = series("good", &[]);
    store.append(&frame(0, &[(&good, 1.0)]), "host");
    for round in 1..50 {
        let flood: Vec<Arc<SeriesInfo>> =
            (0..500).map(|i| series("bad", &[("i", &format!("{round}-{i}-{}", "x".repeat(200)))])).collect();
        let mut frame = Frame { at: round * 1000, readings: Vec::new() };
        frame.put(&good, 1.0);
        flood.iter().for_each(|series| frame.put(series, 1.0));
        store.append(&frame, "host");
        assert!(store.stats().bytes <= 200_000 + 16 * 1024, "{:?}", store.stats());
    }
    assert!(store.stats().dropped_series > 10_000);
    assert_eq!(all(&store, "good")[0].1.len(), 50);
}

#[test]
fn a_day_of_a_thousand_series_fits_in_twelve_megabytes() {
    // A mix as node_exporter's: idle gauges, even counters, noisy counters of seconds and of bytes, memory in pages.
    let store = Store::new(StoreConfig { max_bytes: 64 << 20, ..config() });
    store.select(vec![vec![Matcher::new(METRIC_NAME, MatchOp::Regex, ".+").unwrap()]]);
    let many: Vec<Arc<SeriesInfo>> =
        (0..1000).map(|i| series("node_metric", &[("device", &format!("sd{i}")), ("mode", "idle")])).collect();
    let mut noise = 7_u64;
    let mut state = vec![0_i64; 1000];
    // An eighth of a day, so that the test is quick; heads, labels and index are counted whole.
    let (steps, of) = (720, 8);
    let mut empty = 0;
    for step in 0..steps {
        // The collection begins up to two milliseconds late.
        let mut frame = Frame { at: 1_700_000_000_000 + step * 15_000 + (noise % 3) as i64, readings: Vec::new() };
        for (index, series) in many.iter().enumerate() {
            noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let random = (noise >> 33) as i64;
            let value = &mut state[index];
            match index % 10 {
                0..4 => {}
                4 | 5 => *value += 1500,
                6 | 7 => *value += 1400 + random % 100,
                8 => *value += random % 200_000,
                _ => *value = 4096 * (1_000_000 + random % 5000),
            }
            frame.put(series, if index % 10 == 6 { *value as f64 / 100.0 } else { *value as f64 });
        }
        store.append(&frame, "host");
        if step == 0 {
            empty = store.stats().bytes;
        }
    }
    let stats = store.stats();
    assert_eq!(stats.points, 720_000);
    let day = empty + (stats.bytes - empty) * of;
    assert!(day <= 12 << 20, "{day} bytes a day, of which {empty} before the first compression");
}

#[test]
fn a_snapshot_brings_everything_back_and_goes_on() {
    let store = Store::new(config());
    store.select(vec![vec![Matcher::equal(METRIC_NAME, "a")]]);
    let (a, b) = (series("a", &[("x", "1")]), series("b", &[]));
    for at in 0..500 {
        store.append(&frame(at * 1000, &[(&a, at as f64), (&b, 0.5)]), "host");
    }
    let bytes = store.snapshot();
    let again = Store::new(config());
    assert_eq!(again.restore(&bytes), Ok(2));
    assert_eq!(all(&again, "a"), all(&store, "a"));
    assert_eq!(all(&again, "b"), all(&store, "b"));
    // Another process has other infos; what it does not bring any more ends.
    let a = series("a", &[("x", "1")]);
    again.append(&frame(500_000, &[(&a, 1.0)]), "host");
    assert_eq!(all(&again, "a")[0].1.len(), 501);
    assert!(is_stale(all(&again, "b")[0].1.last().unwrap().value));
}

#[test]
fn a_snapshot_does_not_replace_what_is_newer() {
    let store = Store::new(config());
    let a = series("a", &[]);
    store.append(&frame(1, &[(&a, 1.0)]), "host");
    let bytes = store.snapshot();
    store.append(&frame(2, &[(&a, 2.0)]), "host");
    store.restore(&bytes).unwrap();
    assert_eq!(all(&store, "a")[0].1, [Point { at: 1, value: 1.0 }, Point { at: 2, value: 2.0 }]);
}

#[test]
fn a_damaged_snapshot_is_an_error_and_changes_nothing() {
    let store = Store::new(config());
    let a = series("a", &[("x", "1")]);
    for at in 0..100 {
        store.append(&frame(at, &[(&a, at as f64)]), "host");
    }
    let good = store.snapshot();
    let fresh = Store::new(config());
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x40;
        assert!(fresh.restore(&bad).is_err(), "byte {at}");
        assert!(fresh.restore(&good[..at]).is_err(), "cut at {at}");
    }
    assert_eq!(fresh.stats().series, 0);
    let mut other = good.clone();
    other[4] = 9;
    assert_eq!(fresh.restore(&other).unwrap_err().reason(), "OtherVersion");
    assert_eq!(fresh.restore(b"nonsense").unwrap_err().reason(), "NotASnapshot");
}

#[derive(Clone, Debug)]
enum Step {
    Bring { source: usize, series: Vec<(usize, f64)>, later: i64 },
    Prune,
}

fn step() -> impl Strategy<Value = Step> {
    let bring = (0_usize..2, prop::collection::vec((0_usize..6, -5.0_f64..5.0), 0..6), 0_i64..30_000)
        .prop_map(|(source, series, later)| Step::Bring { source, series, later });
    prop_oneof![20 => bring, 1 => Just(Step::Prune)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_store_answers_as_a_naive_one_does(steps in prop::collection::vec(step(), 1..300)) {
        let config = StoreConfig { retention: Span::seconds(600), ..StoreConfig::default() };
        let retention = config.retention.as_millis_i64();
        let store = Store::new(config);
        // Each source has series of its own.
        let infos: Vec<Vec<Arc<SeriesInfo>>> = (0..2)
            .map(|source| (0..6).map(|i| series("m", &[("s", &source.to_string()), ("i", &i.to_string())])).collect())
            .collect();
        let mut naive: BTreeMap<(usize, usize), Vec<Point>> = BTreeMap::new();
        let mut last: [Vec<usize>; 2] = [Vec::new(), Vec::new()];
        let mut now = 0;
        for step in &steps {
            match step {
                Step::Bring { source, series, later } => {
                    now += later;
                    let mut frame = Frame { at: now, readings: Vec::new() };
                    let mut brought = Vec::new();
                    for (index, value) in series {
                        frame.put(&infos[*source][*index], *value);
                        brought.push(*index);
                        let points = naive.entry((*source, *index)).or_default();
                        if points.last().is_none_or(|point| point.at < now) {
                            points.push(Point { at: now, value: *value });
                        }
                    }
                    for index in &last[*source] {
                        let points = naive.entry((*source, *index)).or_default();
                        let ended = points.last().is_some_and(|point| is_stale(point.value));
                        if !brought.contains(index) && !ended && points.last().is_none_or(|point| point.at < now) {
                            points.push(Point { at: now, value: stale_nan() });
                        }
                    }
                    last[*source] = brought;
                    store.append(&frame, &source.to_string());
                }
                Step::Prune => store.prune(now),
            }
        }
        for ((source, index), points) in naive {
            let matchers = [Matcher::equal("s", source.to_string()), Matcher::equal("i", index.to_string())];
            let mut ids = Vec::new();
            store.find(&matchers, &mut ids);
            let mut got = Vec::new();
            if let Some(id) = ids.first() {
                store.points(*id, now - retention, now, &mut got);
                let newest = points.last().unwrap();
                prop_assert_eq!(store.latest(*id, newest.at, now).map(|p| p.at), Some(newest.at));
                let middle = now - retention / 2;
                let expected = points.iter().rfind(|p| p.at <= middle && p.at >= now - retention).map(|p| p.at);
                prop_assert_eq!(store.latest(*id, now - retention, middle).map(|p| p.at), expected);
            }
            // Nothing within the retention is missing.
            let expected: Vec<(i64, u64)> = points
                .iter()
                .filter(|p| p.at >= now - retention)
                .map(|p| (p.at, p.value.to_bits()))
                .collect();
            let got: Vec<(i64, u64)> = got.iter().map(|p| (p.at, p.value.to_bits())).collect();
            prop_assert_eq!(got, expected);
        }
    }

    #[test]
    fn find_selects_what_the_matchers_select(
        patterns in prop::collection::vec((0_usize..4, 0_usize..5), 1..4),
        sets in prop::collection::vec((0_u8..3, 0_u8..3), 1..20),
    ) {
        let store = Store::new(StoreConfig::default());
        for (a, b) in &sets {
            let labels = Labels::from_pairs([
                (METRIC_NAME.to_owned(), "m".to_owned()), ("a".into(), a.to_string()), ("b".into(), ["", "x", "y"][usize::from(*b)].into()),
            ]);
            store.append_values(&format!("{a}{b}"), 1, &[(labels, 1.0)]);
        }
        let ops = [MatchOp::Equal, MatchOp::NotEqual, MatchOp::Regex, MatchOp::NotRegex];
        let values = ["", "0", "x", "1|y", ".*"];
        let matchers: Vec<Matcher> = patterns
            .iter()
            .enumerate()
            .map(|(i, (op, value))| Matcher::new(["a", "b"][i % 2], ops[*op], values[*value]).unwrap())
            .collect();
        let mut ids = Vec::new();
        store.find(&matchers, &mut ids);
        let mut everything = Vec::new();
        store.find(&[Matcher::equal(METRIC_NAME, "m")], &mut everything);
        everything.retain(|id| matchers.iter().all(|matcher| matcher.matches(&store.labels(*id))));
        prop_assert_eq!(ids, everything);
    }
}
