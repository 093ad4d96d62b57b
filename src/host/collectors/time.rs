//! `time`: the system's clock, its zone and its clock sources.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::host::Ground;
use crate::host::parse::{label, words};
use crate::host::reader::{Attribute, AttributeText, Gate};
use crate::host::rows::gauge;
use crate::model::collector::{CollectError, Collector};
use crate::model::series::{Family, Frame, SeriesInfo};

pub(super) const NAME: &str = "time";

pub(super) fn new(ground: &Ground) -> Box<dyn Collector> {
    Box::new(Time {
        now: SeriesInfo::new(&gauge("node_time_seconds", "System time in seconds since epoch (1970)."), &[]),
        zone: Zone {
            rules: TimeZone::try_system().unwrap_or(TimeZone::UTC),
            family: gauge("node_time_zone_offset_seconds", "System time zone offset in seconds."),
            known: None,
        },
        sources: Source::discover(ground),
        gate: Gate::new(ground.patience),
        available: gauge(
            "node_time_clocksource_available_info",
            "Available clocksources read from '/sys/devices/system/clocksource'.",
        ),
        current: gauge(
            "node_time_clocksource_current_info",
            "Current clocksource read from '/sys/devices/system/clocksource'.",
        ),
    })
}

struct Time {
    now: Arc<SeriesInfo>,
    zone: Zone,
    sources: Vec<Source>,
    gate: Gate,
    available: Arc<Family>,
    current: Arc<Family>,
}

impl Collector for Time {
    fn name(&self) -> &'static str {
        NAME
    }

    fn collect(&mut self, out: &mut Frame) -> Result<(), CollectError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        out.put(&self.now, now.as_nanos() as f64 / 1e9);
        self.zone.record(now.as_secs(), out);
        if self.gate.passes() {
            for (device, source) in self.sources.iter_mut().enumerate() {
                source.available.refresh(device, &self.available);
                source.current.refresh(device, &self.current);
            }
        }
        for series in self.sources.iter().flat_map(|source| &source.available.series) {
            out.put(series, 1.0);
        }
        for series in self.sources.iter().flat_map(|source| &source.current.series) {
            out.put(series, 1.0);
        }
        Ok(())
    }
}

struct Zone {
    rules: TimeZone,
    family: Arc<Family>,
    known: Option<(String, Arc<SeriesInfo>)>,
}

impl Zone {
    fn record(&mut self, seconds: u64, out: &mut Frame) {
        let Ok(now) = Timestamp::from_second(seconds as i64) else { return };
        let info = self.rules.to_offset_info(now);
        let offset = f64::from(info.offset().seconds());
        // The name changes twice a year at most.
        let series = match &self.known {
            Some((name, series)) if name == info.abbreviation() => series,
            _ => {
                let name = info.abbreviation().to_owned();
                let series = SeriesInfo::new(&self.family, &[("time_zone", &name)]);
                &self.known.insert((name, series)).1
            }
        };
        out.put(series, offset);
    }
}

/// One clock source device: what it offers, and what is in use.
struct Source {
    available: Names,
    current: Names,
}

impl Source {
    fn discover(ground: &Ground) -> Vec<Self> {
        let folder = ground.roots.sys.join("devices/system/clocksource");
        let mut names: Vec<_> = std::fs::read_dir(&folder)
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| {
                name.strip_prefix("clocksource").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
            })
            .collect();
        names.sort_unstable();
        names
            .iter()
            .map(|name| Self {
                available: Names::new(Attribute::new(folder.join(name).join("available_clocksource"))),
                current: Names::new(Attribute::new(folder.join(name).join("current_clocksource"))),
            })
            .collect()
    }
}

/// The names that a file of `/sys` lists, with their series.
struct Names {
    attribute: Attribute,
    text: Vec<u8>,
    series: Vec<Arc<SeriesInfo>>,
}

impl Names {
    fn new(attribute: Attribute) -> Self {
        Self { attribute, text: Vec::new(), series: Vec::new() }
    }

    fn refresh(&mut self, device: usize, family: &Arc<Family>) {
        let mut room: AttributeText = [0; 1024];
        let text = self.attribute.read(&mut room).unwrap_or_default();
        if text != self.text {
            let device = device.to_string();
            let mut seen: Vec<&[u8]> = Vec::new();
            for word in words(text) {
                if !seen.contains(&word) {
                    seen.push(word);
                }
            }
            self.series = seen
                .iter()
                .map(|name| SeriesInfo::new(family, &[("device", &device), ("clocksource", &label(name))]))
                .collect();
            self.text = text.to_vec();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{TestHost, assert_well_formed, lines};
    use super::*;

    #[test]
    fn the_clock_and_its_sources_are_told() {
        let folder = "sys/devices/system/clocksource/clocksource0";
        let host = TestHost::new(&[
            (&format!("{folder}/available_clocksource"), "tsc hpet acpi_pm \n"),
            (&format!("{folder}/current_clocksource"), "tsc\n"),
        ]);
        let mut time = new(&host.ground());
        let mut frame = Frame::default();
        time.collect(&mut frame).unwrap();
        assert_well_formed(&frame);
        assert!(frame.readings[0].value > 1.7e9);
        assert_eq!(
            lines(&frame)[2..],
            [
                "node_time_clocksource_available_info{clocksource=\"tsc\",device=\"0\"} 1",
                "node_time_clocksource_available_info{clocksource=\"hpet\",device=\"0\"} 1",
                "node_time_clocksource_available_info{clocksource=\"acpi_pm\",device=\"0\"} 1",
                "node_time_clocksource_current_info{clocksource=\"tsc\",device=\"0\"} 1",
            ]
        );

        host.write(&format!("{folder}/current_clocksource"), "hpet\n");
        frame.reset(1);
        time.collect(&mut frame).unwrap();
        assert_eq!(
            lines(&frame).last().unwrap(),
            "node_time_clocksource_current_info{clocksource=\"hpet\",device=\"0\"} 1"
        );
    }
}
