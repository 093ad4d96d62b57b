//! The text exposition format 0.0.4, as Prometheus scrapes it.

use std::sync::Arc;

use super::families::groups;
use crate::model::number;
use crate::model::series::{Family, Frame, Reading, SeriesInfo};

/// The format's media type.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Appends the readings of all frames. A family that several frames share is written once, with all its series; of two
/// readings of one series the first is written.
pub fn write(frames: &[&Frame], out: &mut Vec<u8>) {
    out.reserve(frames.iter().map(|frame| frame.readings.len() * 128).sum());
    for group in groups(frames) {
        header(group.family, out);
        for reading in group.readings() {
            out.extend_from_slice(reading.series.text.as_bytes());
            out.extend_from_slice(number::text(reading.value).as_bytes());
            out.push(b'\n');
        }
    }
}

/// Writes the same series again and again, as a scraped process does: what stands between the numbers is kept.
///
/// As long as the frames bring the same series in the same order, a scrape copies one text from front to back and reads
/// nothing of the series themselves.
#[derive(Default)]
pub struct Writer {
    series: Vec<Arc<SeriesInfo>>,
    /// Where the text before each series' number ends.
    ends: Vec<usize>,
    text: Vec<u8>,
}

impl Writer {
    /// A writer that knows no series yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends the readings of all frames, exactly as [`write()`] does.
    pub fn write(&mut self, frames: &[&Frame], out: &mut Vec<u8>) {
        if !self.knows(frames) {
            self.learn(frames);
        }
        if self.series.is_empty() {
            return write(frames, out);
        }
        // A number has 17 digits at most, nearly always far fewer.
        out.reserve(self.text.len() + 12 * self.ends.len());
        let mut start = 0;
        for (reading, &end) in frames.iter().flat_map(|frame| &frame.readings).zip(&self.ends) {
            out.extend_from_slice(&self.text[start..end]);
            out.extend_from_slice(number::text(reading.value).as_bytes());
            out.push(b'\n');
            start = end;
        }
    }

    fn knows(&self, frames: &[&Frame]) -> bool {
        let count: usize = frames.iter().map(|frame| frame.readings.len()).sum();
        let mut readings = frames.iter().flat_map(|frame| &frame.readings).zip(&self.series);
        count == self.series.len() && readings.all(|(reading, series)| Arc::ptr_eq(&reading.series, series))
    }

    /// Keeps the text between the numbers, if the readings are already in the order in which they are written.
    fn learn(&mut self, frames: &[&Frame]) {
        *self = Self::default();
        let mut readings = frames.iter().flat_map(|frame| &frame.readings);
        for group in groups(frames) {
            header(group.family, &mut self.text);
            for reading in group.readings() {
                if !readings.next().is_some_and(|next: &Reading| std::ptr::eq(next, reading)) {
                    return *self = Self::default();
                }
                self.text.extend_from_slice(reading.series.text.as_bytes());
                self.ends.push(self.text.len());
                self.series.push(Arc::clone(&reading.series));
            }
        }
        if readings.next().is_some() {
            *self = Self::default();
        }
    }
}

fn header(family: &Family, out: &mut Vec<u8>) {
    out.extend_from_slice(b"# HELP ");
    out.extend_from_slice(family.name.as_bytes());
    out.push(b' ');
    escape_help(&family.help, out);
    out.extend_from_slice(b"\n# TYPE ");
    out.extend_from_slice(family.name.as_bytes());
    out.push(b' ');
    out.extend_from_slice(family.kind.as_str().as_bytes());
    out.push(b'\n');
}

/// In help texts only backslashes and line ends are escaped.
fn escape_help(help: &str, out: &mut Vec<u8>) {
    let mut rest = help.as_bytes();
    while let Some(at) = rest.iter().position(|byte| matches!(byte, b'\\' | b'\n')) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(if rest[at] == b'\n' { b"\\n" } else { b"\\\\" });
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::model::series::{MetricKind, SeriesInfo};

    fn written(frames: &[&Frame]) -> String {
        let mut out = Vec::new();
        write(frames, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn frame(readings: &[(&Arc<SeriesInfo>, f64)]) -> Frame {
        let mut frame = Frame::default();
        for (series, value) in readings {
            frame.put(series, *value);
        }
        frame
    }

    #[test]
    fn a_family_that_frames_share_is_written_once_with_all_its_series() {
        let first = Family::new("a_total", "All \\ of\nit.", MetricKind::Counter);
        let again = Family::new("a_total", "Another help.", MetricKind::Gauge);
        let other = Family::new("b", "B.", MetricKind::Gauge);
        let (x, y) = (SeriesInfo::new(&first, &[("l", "x")]), SeriesInfo::new(&again, &[("l", "y")]));
        let (x_again, b) = (SeriesInfo::new(&again, &[("l", "x")]), SeriesInfo::new(&other, &[]));
        let one = frame(&[(&x, 1.0), (&b, 2.5)]);
        let two = frame(&[(&y, 3.0), (&x_again, 4.0)]);
        assert_eq!(
            written(&[&one, &two]),
            "# HELP a_total All \\\\ of\\nit.\n# TYPE a_total counter\na_total{l=\"x\"} 1\na_total{l=\"y\"} 3\n\
             # HELP b B.\n# TYPE b gauge\nb 2.5\n"
        );
    }

    #[test]
    fn the_series_of_a_histogram_stand_below_its_name() {
        let family = Family::new("d_seconds", "D.", MetricKind::Histogram);
        let bucket = SeriesInfo::suffixed(&family, "_bucket", &[("le", "+Inf")]);
        let count = SeriesInfo::suffixed(&family, "_count", &[]);
        assert_eq!(
            written(&[&frame(&[(&bucket, 2.0), (&count, 2.0)])]),
            "# HELP d_seconds D.\n# TYPE d_seconds histogram\nd_seconds_bucket{le=\"+Inf\"} 2\nd_seconds_count 2\n"
        );
    }

    #[test]
    fn a_writer_notices_every_change_of_the_series() {
        let family = Family::new("f", "F.", MetricKind::Gauge);
        let [a, b] = ["a", "b"].map(|name| SeriesInfo::new(&family, &[("l", name)]));
        let mut writer = Writer::new();
        for readings in
            [&[(&a, 1.0), (&b, 2.0)][..], &[(&a, 3.0), (&b, 4.0)], &[(&b, 5.0), (&a, 6.0)], &[(&a, 7.0)], &[]]
        {
            let frame = frame(readings);
            let mut out = Vec::new();
            writer.write(&[&frame], &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), written(&[&frame]));
        }
    }

    proptest! {
        #[test]
        fn whatever_the_frames_hold_each_family_has_one_header_and_each_series_one_line(
            frames in proptest::collection::vec(
                proptest::collection::vec((0_u8..4, "\\PC{0,4}|\n|\"|\\\\"), 0..12), 0..4),
            help in "\\PC*|\n",
        ) {
            let frames: Vec<Frame> = frames.iter().map(|readings| {
                let mut frame = Frame::default();
                let mut seen = HashSet::new();
                for (family, label) in readings {
                    let family = Family::new(format!("f{family}"), help.clone(), MetricKind::Gauge);
                    let series = SeriesInfo::new(&family, &[("l", label)]);
                    if seen.insert(series.text.clone()) {
                        frame.put(&series, 1.0);
                    }
                }
                frame
            }).collect();
            let frames: Vec<&Frame> = frames.iter().collect();
            let text = written(&frames);
            let mut writer = Writer::new();
            for _ in 0..2 {
                let mut again = Vec::new();
                writer.write(&frames, &mut again);
                prop_assert_eq!(String::from_utf8(again).unwrap(), text.clone());
            }
            let mut lines = HashSet::new();
            let mut family = String::new();
            for line in text.strip_suffix('\n').unwrap_or("").split('\n').filter(|line| !line.is_empty()) {
                if let Some(rest) = line.strip_prefix("# TYPE ") {
                    family = rest.split(' ').next().unwrap().to_owned();
                }
                if !line.starts_with("# ") {
                    prop_assert!(line.starts_with(&family), "{line:?} below {family}");
                    prop_assert!(line.ends_with(" 1"), "{line:?}");
                }
                prop_assert!(lines.insert(line.to_owned()), "twice: {line:?}");
            }
        }
    }
}
