//! The example that a newcomer runs first, exactly as it is committed, on ports of this test's own.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};

use crate::support::ask::request;
use crate::support::program::{files_below, program};
use crate::support::table::get;
use crate::support::{Home, Running, Table, eventually, vitals};

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/quickstart")
}

/// Three ports that are free now; the example's own would meet a server that somebody runs.
fn free_ports() -> [u16; 3] {
    let held = [(); 3].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    held.map(|listener| listener.local_addr().unwrap().port())
}

/// The example with its three ports replaced.
fn copied() -> (Home, [u16; 3]) {
    let (home, ports) = (Home::new(), free_ports());
    for file in files_below(&example()) {
        let mut text = std::fs::read_to_string(&file).unwrap();
        for (written, port) in ["8080", "8081", "8082"].iter().zip(ports) {
            text = text.replace(written, &port.to_string());
        }
        let name = file.strip_prefix(example()).unwrap();
        std::fs::create_dir_all(home.resources().join(name).parent().unwrap()).unwrap();
        home.write(name.to_str().unwrap(), text);
    }
    (home, ports)
}

#[test]
fn the_quickstart_shows_a_break_and_its_mending() {
    let (home, [own, http, _tcp]) = copied();
    let mut command = program();
    command.arg("run").arg(home.resources()).arg("--state-dir").arg(home.state());
    command.args(["--port", &own.to_string()]);
    let running = Running::start(command);
    assert_eq!(running.url, format!("http://127.0.0.1:{own}"));
    let target = format!("http://127.0.0.1:{http}");
    for check in ["web", "queue", "vitals-itself", "root-disk", "memory", "cpu", "load"] {
        eventually(&format!("{check} has a result"), || {
            let health = running.health(check);
            if health.is_empty() || health == "unknown" { Err(health) } else { Ok(()) }
        });
    }
    running.await_health("web", "healthy");
    running.await_health("queue", "healthy");

    assert_eq!(request("POST", &target, "/break", &[], "").unwrap().status, 200);
    running.await_health("web", "unhealthy");
    running.await_health("queue", "unhealthy");
    running.await_alert("web-down", "active");
    running.await_alert("queue-down", "active");
    running.await_output("The web endpoint does not answer as it should");
    let why = vitals(["why", "web-down", "--server", &running.url]).expect_code(0).stdout;
    assert!(why.contains("Firing") && why.contains("503"), "{why}");
    assert_eq!(running.json("/health")["status"], "unhealthy", "a critical check decides alone");

    assert_eq!(request("POST", &target, "/mend", &[], "").unwrap().status, 200);
    running.await_health("web", "healthy");
    for rule in ["web-down", "queue-down"] {
        eventually(&format!("{rule} has ended"), || match running.alert(rule) {
            None => Ok(()),
            Some(alert) => Err(alert),
        });
    }
    let rules = Table::get("alertrules", &running.url);
    assert_eq!(rules.cell("web-down", "STATE").as_deref(), Some("Inactive"));
    get(&["alerts"], &running.url).expect_code(0);
    let dashboards = running.json("/dashboards").to_string();
    assert!(dashboards.contains("this_machine"), "{dashboards}");
    running.terminate();
}

#[test]
fn the_examples_are_valid() {
    let folder = example();
    vitals(["validate", folder.to_str().unwrap()]).expect_code(0);
}
