//! The `memory_*` names: virtual memory and swap.

use std::sync::Arc;

use super::super::meminfo::bytes;
use crate::host::parse::{first_word, lines, misread, number};
use crate::host::rows::{counter, gauge};
use crate::model::collector::CollectError;
use crate::model::series::{Family, Frame, SeriesInfo};

/// psutil counts swapped pages in bytes, with this size on every machine.
const PAGE_BYTES: u64 = 4096;

/// The fields that are read, in the order of [`Recorder::record`]'s pattern.
const FIELDS: [&[u8]; 5] = [b"MemTotal:", b"MemFree:", b"MemAvailable:", b"SwapTotal:", b"SwapFree:"];

pub(super) struct Recorder {
    series: [Arc<SeriesInfo>; 11],
}

impl Recorder {
    pub(super) fn new() -> Self {
        let families = [
            gauge("memory_virtual_total_bytes", "Total virtual memory in bytes."),
            gauge("memory_virtual_available_bytes", "Available virtual memory in bytes."),
            gauge("memory_virtual_used_bytes", "Used virtual memory in bytes: total minus available."),
            gauge("memory_virtual_free_bytes", "Free virtual memory in bytes."),
            gauge("memory_virtual_percent", "Virtual memory usage percentage."),
            gauge("memory_swap_total_bytes", "Total swap memory in bytes."),
            gauge("memory_swap_used_bytes", "Used swap memory in bytes."),
            gauge("memory_swap_free_bytes", "Free swap memory in bytes."),
            gauge("memory_swap_percent", "Swap memory usage percentage."),
            counter("memory_swap_sin_total", "Total bytes swapped in."),
            counter("memory_swap_sout_total", "Total bytes swapped out."),
        ];
        Self { series: families.each_ref().map(|family: &Arc<Family>| SeriesInfo::new(family, &[])) }
    }

    pub(super) fn record(&self, text: &[u8], swapped: [u64; 2], out: &mut Frame) -> Result<(), CollectError> {
        let mut found = [None; FIELDS.len()];
        for line in lines(text) {
            let (name, rest) = first_word(line);
            if let Some(field) = FIELDS.iter().position(|field| *field == name) {
                found[field] = bytes(rest);
            }
        }
        let [Some(total), Some(free), available, swap_total, swap_free] = found else {
            return Err(misread("meminfo", "MemTotal and MemFree", text));
        };
        // Kernels before 3.14 make no estimate of what is available.
        let available = available.unwrap_or(free).min(total);
        let (swap_total, swap_free) = (swap_total.unwrap_or(0), swap_free.unwrap_or(0));
        let (used, swap_used) = (total - available, swap_total.saturating_sub(swap_free));
        let percent = |part: u64, whole: u64| if whole == 0 { 0.0 } else { 100.0 * part as f64 / whole as f64 };
        let values = [
            total as f64,
            available as f64,
            used as f64,
            free as f64,
            percent(used, total),
            swap_total as f64,
            swap_used as f64,
            swap_free as f64,
            percent(swap_used, swap_total),
            swapped[0] as f64,
            swapped[1] as f64,
        ];
        for (series, value) in self.series.iter().zip(values) {
            out.put(series, value);
        }
        Ok(())
    }
}

/// Bytes swapped in and out, from `/proc/vmstat`; 0 where the kernel has no swap.
pub(super) fn swapped(vmstat: &[u8]) -> [u64; 2] {
    let mut pages = [0; 2];
    for line in lines(vmstat) {
        let (name, rest) = first_word(line);
        let place = match name {
            b"pswpin" => &mut pages[0],
            b"pswpout" => &mut pages[1],
            _ => continue,
        };
        *place = number(rest.trim_ascii()).unwrap_or(0);
    }
    pages.map(|pages: u64| pages.saturating_mul(PAGE_BYTES))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::super::testing::lines;
    use super::*;

    #[test]
    fn used_is_what_is_not_available() {
        let text = b"MemTotal: 1000 kB\nMemFree: 100 kB\nMemAvailable: 250 kB\nSwapTotal: 8 kB\nSwapFree: 6 kB\n";
        let mut frame = Frame::default();
        Recorder::new().record(text, swapped(b"pswpin 2\npswpout 3\n"), &mut frame).unwrap();
        assert_eq!(
            lines(&frame),
            [
                "memory_virtual_total_bytes 1024000",
                "memory_virtual_available_bytes 256000",
                "memory_virtual_used_bytes 768000",
                "memory_virtual_free_bytes 102400",
                "memory_virtual_percent 75",
                "memory_swap_total_bytes 8192",
                "memory_swap_used_bytes 2048",
                "memory_swap_free_bytes 6144",
                "memory_swap_percent 25",
                "memory_swap_sin_total 8192",
                "memory_swap_sout_total 12288",
            ]
        );
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "((MemTotal|MemFree|SwapTotal|pswpin):? +[0-9]{1,21}( kB)?\n|\\PC|\n)*") {
            let _ = Recorder::new().record(text.as_bytes(), swapped(text.as_bytes()), &mut Frame::default());
        }
    }
}
