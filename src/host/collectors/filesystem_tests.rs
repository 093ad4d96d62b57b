//! Tests of the `filesystem` collector.

use std::sync::Mutex;
use std::sync::mpsc;

use proptest::prelude::*;

use super::super::statfs::Usage;
use super::super::testing::{TestHost, assert_well_formed, lines};
use super::*;

const MOUNTS: &str = "22 27 0:21 / /proc rw,relatime - proc proc rw\n\
    27 1 254:0 / / rw,relatime shared:1 master:2 - ext4 /dev/vda rw,discard\n\
    28 27 0:25 / /mnt/a\\040b ro,nosuid - tmpfs none rw\n\
    29 27 0:26 / /mnt/hung rw - nfs4 server:/export rw\n";

const USAGE: Usage = Usage { size: 100.0, free: 40.0, available: 30.0, files: 10.0, files_free: 5.0 };

fn collected(files: &mut FileSystems) -> Vec<String> {
    let mut frame = Frame::default();
    files.collect(&mut frame).unwrap();
    assert_well_formed(&frame);
    lines(&frame)
}

fn assert_has(lines: &[String], wanted: &[&str]) {
    for line in wanted {
        assert!(lines.iter().any(|found| found == line), "{line} is not in {lines:#?}");
    }
}

#[test]
fn mounts_are_told_with_their_usage_and_kernel_mounts_are_not() {
    let host = TestHost::new(&[("proc/1/mountinfo", MOUNTS)]);
    let roots = host.ground().roots;
    let asker = Asker::new(Box::new(|_| Ok(USAGE)));
    let lines = collected(&mut FileSystems::new(&roots, asker, REFRESH_AFTER, STUCK_AFTER));
    assert_has(
        &lines,
        &[
            "node_filesystem_size_bytes{device=\"/dev/vda\",fstype=\"ext4\",mountpoint=\"/\"} 100",
            "node_filesystem_avail_bytes{device=\"/dev/vda\",fstype=\"ext4\",mountpoint=\"/\"} 30",
            "node_filesystem_files_free{device=\"/dev/vda\",fstype=\"ext4\",mountpoint=\"/\"} 5",
            "node_filesystem_device_error{device=\"/dev/vda\",fstype=\"ext4\",mountpoint=\"/\"} 0",
            "node_filesystem_readonly{device=\"none\",fstype=\"tmpfs\",mountpoint=\"/mnt/a b\"} 1",
            "node_filesystem_mount_info{device=\"/dev/vda\",major=\"254\",minor=\"0\",mountpoint=\"/\"} 1",
        ],
    );
    assert!(!lines.iter().any(|line| line.contains("/proc")));
}

#[test]
fn file_systems_are_asked_below_the_hosts_root() {
    let host = TestHost::new(&[("proc/1/mountinfo", MOUNTS)]);
    let roots = host.ground().roots;
    let (asked, paths) = mpsc::channel();
    let asked = Mutex::new(asked);
    let asker = Asker::new(Box::new(move |path| {
        asked.lock().unwrap().send(path.to_path_buf()).unwrap();
        Ok(USAGE)
    }));
    collected(&mut FileSystems::new(&roots, asker, REFRESH_AFTER, STUCK_AFTER));
    let mut paths: Vec<_> = paths.try_iter().collect();
    paths.sort();
    assert_eq!(paths, [host.path().join("root"), host.path().join("root/mnt/a b"), host.path().join("root/mnt/hung")]);
}

#[test]
fn a_stuck_mount_loses_only_its_own_numbers_and_gets_them_back() {
    let host = TestHost::new(&[("proc/1/mountinfo", MOUNTS)]);
    let roots = host.ground().roots;
    let (release, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let asker = Asker::new(Box::new(move |path| {
        if path.ends_with("hung") {
            let _ = gate.lock().unwrap().recv();
        }
        Ok(USAGE)
    }));
    let mut files = FileSystems::new(&roots, asker, Duration::ZERO, Duration::ZERO);
    let stuck = "node_filesystem_device_error{device=\"server:/export\",device_error=\"mountpoint timeout\",\
                 fstype=\"nfs4\",mountpoint=\"/mnt/hung\"} 1";
    let first = collected(&mut files);
    assert_has(
        &first,
        &[stuck, "node_filesystem_size_bytes{device=\"/dev/vda\",fstype=\"ext4\",mountpoint=\"/\"} 100"],
    );
    assert!(!first.iter().any(|line| line.contains("size_bytes") && line.contains("hung")));
    assert_has(&collected(&mut files), &[stuck]);

    drop(release);
    let back = "node_filesystem_size_bytes{device=\"server:/export\",fstype=\"nfs4\",mountpoint=\"/mnt/hung\"} 100";
    while !collected(&mut files).iter().any(|line| line == back) {}
}

#[test]
fn an_error_is_told_in_words() {
    let host = TestHost::new(&[("proc/1/mountinfo", "27 1 254:0 / / ro - ext4 /dev/vda rw\n")]);
    let asker = Asker::new(Box::new(|_| Err(std::io::Error::from_raw_os_error(13))));
    let lines = collected(&mut FileSystems::new(&host.ground().roots, asker, REFRESH_AFTER, STUCK_AFTER));
    let labels = "{device=\"/dev/vda\",device_error=\"permission denied\",fstype=\"ext4\",mountpoint=\"/\"}";
    assert_eq!(
        lines,
        [format!("node_filesystem_device_error{labels} 1"), format!("node_filesystem_readonly{labels} 1")]
    );
}

#[test]
fn an_unmounted_file_system_is_told_no_more() {
    let host = TestHost::new(&[("proc/self/mountinfo", MOUNTS)]);
    let asker = Asker::new(Box::new(|_| Ok(USAGE)));
    let mut files = FileSystems::new(&host.ground().roots, asker, Duration::ZERO, STUCK_AFTER);
    assert!(collected(&mut files).iter().any(|line| line.contains("/mnt/hung")));
    host.write("proc/self/mountinfo", "27 1 254:0 / / rw - ext4 /dev/vda rw\n");
    assert!(!collected(&mut files).iter().any(|line| line.contains("/mnt/hung")));
}

#[test]
fn the_folder_of_the_hosts_root_is_no_part_of_a_mount_point() {
    assert_eq!(strip_root(b"/host/var", b"/host"), b"/var");
    assert_eq!(strip_root(b"/host", b"/host"), b"/");
    assert_eq!(strip_root(b"/hostel", b"/host"), b"/hostel");
    assert_eq!(strip_root(b"/var", b"/"), b"/var");
    assert_eq!(strip_root(b"/", b"/"), b"/");
}

#[test]
fn the_exclusions_are_node_exporters() {
    let recorder = Recorder::new(Roots::default());
    let (points, types) = (recorder.excluded_points.unwrap(), recorder.excluded_types.unwrap());
    for point in ["/proc", "/sys/fs/cgroup", "/dev", "/run/credentials/x", "/var/lib/docker/overlay2/x"] {
        assert!(points.is_match(point.as_bytes()), "{point}");
    }
    for point in ["/", "/device", "/var/lib/docker", "/run", "/home"] {
        assert!(!points.is_match(point.as_bytes()), "{point}");
    }
    assert!(types.is_match(b"overlay") && types.is_match(b"cgroup2") && !types.is_match(b"tmpfs"));
}

proptest! {
    #[test]
    fn no_mounts_make_it_panic_or_repeat_a_series(
        points in proptest::collection::vec(proptest::collection::vec(1_u8..=255, 1..6), 0..8),
        junk in proptest::collection::vec(any::<u8>(), 0..120),
    ) {
        let mut text = Vec::new();
        for point in points {
            text.extend_from_slice(b"1 2 3:4 / /");
            text.extend(point.iter().filter(|byte| !matches!(byte, b' ' | b'\n')));
            text.extend_from_slice(b" rw shared:1 - ext4 /dev/sda rw\n");
        }
        let mut recorder = Recorder::new(Roots::default());
        recorder.mounts(&text).unwrap();
        let mut frame = Frame::default();
        recorder.record(|_| Answer::Usage(USAGE), &mut frame);
        assert_well_formed(&frame);
        for line in lines(&frame) {
            prop_assert!(!line.contains('\n'), "{line:?}");
        }
        let _ = recorder.mounts(&junk);
        let _ = unescaped(&junk);
    }
}
