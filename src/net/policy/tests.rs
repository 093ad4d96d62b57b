//! What the dial policy prevents, one sentence each.

use super::*;
use proptest::prelude::*;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn refusal(policy: &DialPolicy, address: &str) -> Option<Refusal> {
    policy.judge(ip(address), 80).err()
}

#[test]
fn a_public_or_cluster_address_is_dialled() {
    let policy = DialPolicy::default();
    for address in ["1.1.1.1", "10.96.0.1", "192.168.1.4", "172.16.0.9", "2606:4700::1111", "fd12::1"] {
        assert_eq!(refusal(&policy, address), None, "{address}");
    }
}

#[test]
fn a_check_cannot_reach_the_loopback_of_the_node_it_runs_on() {
    let policy = DialPolicy::default();
    for address in ["127.0.0.1", "127.255.255.254", "::1"] {
        assert!(matches!(refusal(&policy, address), Some(Refusal::Loopback(_))), "{address}");
    }
    for address in ["127.0.0.1", "::1"] {
        assert_eq!(refusal(&DialPolicy::local(), address), None, "{address} in run");
    }
}

#[test]
fn an_unspecified_address_is_not_a_back_door_to_loopback() {
    for policy in [DialPolicy::default(), DialPolicy::local()] {
        for address in ["0.0.0.0", "0.1.2.3", "::", "::ffff:0.0.0.0"] {
            assert!(matches!(refusal(&policy, address), Some(Refusal::Unspecified(_))), "{address}");
        }
    }
}

#[test]
fn a_metadata_service_is_out_of_reach_even_in_run() {
    for policy in [DialPolicy::default(), DialPolicy::local()] {
        for address in
            ["169.254.169.254", "169.254.170.2", "168.63.129.16", "100.100.100.200", "fd00:ec2::254", "fd20:ce::254"]
        {
            assert!(matches!(refusal(&policy, address), Some(Refusal::Metadata(_))), "{address}");
        }
    }
}

#[test]
fn a_wide_allow_entry_does_not_open_the_metadata_service_by_accident() {
    let wide =
        DialPolicy { allow: vec!["0.0.0.0/0".parse().unwrap(), "::/0".parse().unwrap()], ..DialPolicy::default() };
    assert!(matches!(refusal(&wide, "169.254.169.254"), Some(Refusal::Metadata(_))));
    assert!(matches!(refusal(&wide, "::ffff:169.254.169.254"), Some(Refusal::Metadata(_))));
    assert_eq!(refusal(&wide, "127.0.0.1"), None);
    let named = DialPolicy { allow: vec!["169.254.169.254/32".parse().unwrap()], ..DialPolicy::default() };
    assert_eq!(refusal(&named, "169.254.169.254"), None);
}

#[test]
fn link_local_neighbours_are_out_of_reach() {
    for address in ["169.254.1.1", "fe80::1", "febf::1"] {
        assert!(matches!(refusal(&DialPolicy::local(), address), Some(Refusal::LinkLocal(_))), "{address}");
    }
}

#[test]
fn one_check_cannot_address_many_hosts_at_once() {
    for address in ["224.0.0.1", "239.255.255.250", "255.255.255.255", "240.0.0.1", "ff02::1"] {
        assert!(matches!(refusal(&DialPolicy::local(), address), Some(Refusal::Multicast(_))), "{address}");
    }
}

#[test]
fn an_ipv4_address_dressed_up_as_ipv6_is_judged_by_what_it_is() {
    let policy = DialPolicy::default();
    for address in [
        "::ffff:127.0.0.1",         // mapped
        "::127.0.0.1",              // compatible
        "::ffff:0:127.0.0.1",       // translated
        "64:ff9b::127.0.0.1",       // NAT64
        "64:ff9b:1::127.0.0.1",     // NAT64, local use
        "2002:7f00:1::",            // 6to4
        "2001:0:1:2:3:4:80ff:fffe", // Teredo of 127.0.0.1
        "2001:db8::5efe:127.0.0.1", // ISATAP
        "2001:db8::200:5efe:127.0.0.1",
    ] {
        assert!(matches!(refusal(&policy, address), Some(Refusal::Loopback(_))), "{address}");
    }
    for address in ["::ffff:169.254.169.254", "2002:a9fe:a9fe::1", "64:ff9b::a9fe:a9fe"] {
        assert!(matches!(refusal(&DialPolicy::local(), address), Some(Refusal::Metadata(_))), "{address}");
    }
}

#[test]
fn the_api_server_and_the_kubelet_are_out_of_reach() {
    let policy = DialPolicy { deny_endpoints: vec!["10.96.0.1:443".parse().unwrap()], ..DialPolicy::default() };
    for (address, port) in [("10.0.0.4", 6443), ("10.0.0.4", 10250), ("10.0.0.4", 10255), ("10.96.0.1", 443)] {
        assert!(matches!(policy.judge(ip(address), port), Err(Refusal::ClusterPort(..))), "{address}:{port}");
    }
    assert_eq!(policy.judge(ip("10.96.0.2"), 443), Ok(()));
    assert!(policy.judge(ip("::ffff:10.96.0.1"), 443).is_err(), "not through a mapped address either");
}

#[test]
fn deny_beats_allow_and_allow_beats_the_defaults() {
    let policy = DialPolicy {
        allow: vec!["127.0.0.0/8".parse().unwrap(), "10.0.0.0/8".parse().unwrap()],
        deny: vec!["10.1.0.0/16".parse().unwrap()],
        ..DialPolicy::default()
    };
    assert_eq!(refusal(&policy, "127.0.0.1"), None);
    assert_eq!(policy.judge(ip("10.2.0.1"), 10250), Ok(()));
    assert!(matches!(refusal(&policy, "10.1.2.3"), Some(Refusal::Configured(_))));
    assert!(matches!(refusal(&policy, "::ffff:10.1.2.3"), Some(Refusal::Configured(_))));
}

#[test]
fn decimal_octal_and_hexadecimal_addresses_never_reach_a_resolver() {
    for host in [
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "127.1",
        "127.0.0.1.",
        "1.2.3.4.5",
        "0X7F.0.0.0x1",
        "fe80::1%eth0",
    ] {
        assert_eq!(literal(host), Err(Refusal::Spelling), "{host}");
    }
    assert_eq!(literal("127.0.0.1"), Ok(Some(ip("127.0.0.1"))));
    assert_eq!(literal("::1"), Ok(Some(ip("::1"))));
    for host in ["example.com", "a1", "1a", "0x7f.example", "1.2.3.example.", "localhost"] {
        assert_eq!(literal(host), Ok(None), "{host}");
    }
}

#[test]
fn every_refusal_says_what_to_do() {
    let policy = DialPolicy::default();
    for address in ["127.0.0.1", "169.254.169.254", "fe80::1", "224.0.0.1", "0.0.0.0"] {
        let words = refusal(&policy, address).unwrap().to_string();
        assert!(words.contains(address) && (words.contains("networkPolicy") || words.contains("name ")), "{words}");
    }
}

#[test]
fn a_network_that_is_not_one_is_refused_with_an_example() {
    for text in ["", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/+8", "::/129", "example.com/8", "10.0.0/8", "10.0.0.0/8/8"]
    {
        let error = text.parse::<Cidr>().unwrap_err();
        assert!(error.to_string().contains("10.0.0.0/8"), "{text}");
    }
    assert!("10.1.2.3/8".parse::<Cidr>().unwrap().contains(ip("10.9.9.9")));
    assert_eq!("::1".parse::<Cidr>().unwrap().to_string(), "::1/128");
}

proptest! {
    #[test]
    fn no_ipv6_spelling_of_a_forbidden_ipv4_address_is_dialled(bits: u32, form in 0usize..6) {
        let v4 = Ipv4Addr::from_bits(bits);
        let [high, low] = [(bits >> 16) as u16, bits as u16];
        let v6 = match form {
            0 => v4.to_ipv6_mapped(),
            1 => Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
            2 => Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1),
            3 => Ipv6Addr::new(0x2001, 0, 1, 2, 3, 4, !high, !low),
            4 => Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, high, low),
            _ => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0x5efe, high, low),
        };
        let policy = DialPolicy::default();
        if policy.judge(IpAddr::V4(v4), 80).is_err() {
            prop_assert!(policy.judge(IpAddr::V6(v6), 80).is_err(), "{v6} leads to {v4}");
        }
    }

    #[test]
    fn no_host_text_panics(host in ".{0,64}") {
        let _ = literal(&host);
        let _ = host.parse::<Cidr>();
    }
}
