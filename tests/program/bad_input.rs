//! Mistakes in resource files: each is named with file, place and remedy, and the other objects go on.

use std::time::{Duration, Instant};

use crate::support::program::Done;
use crate::support::resources::{check, head, http_check, rule};
use crate::support::{Home, Target, eventually, vitals};

/// One mistake: the file's bytes, and what must be said about it.
struct Mistake {
    file: &'static str,
    bytes: Vec<u8>,
    said: &'static [&'static str],
}

fn mistake(file: &'static str, text: impl Into<Vec<u8>>, said: &'static [&'static str]) -> Mistake {
    Mistake { file, bytes: text.into(), said }
}

/// A check with its own `spec`, written at known lines.
fn spec(name: &str, lines: &str) -> String {
    let body: String = lines.lines().map(|line| format!("  {line}\n")).collect();
    format!("{}spec:\n{body}", head("HealthCheck", name))
}

fn mistakes() -> Vec<Mistake> {
    let long_expr = format!("up{{{}}}", "a=\"b\",".repeat(1_000_000 / 6));
    vec![
        // `head` is five lines long and `spec:` the sixth: the first line of `spec` is line 7.
        mistake(
            "unknown-field.yaml",
            spec("unknown-field", "interval: 1s\nhttp: {url: \"http://127.0.0.1/\", metod: GET}"),
            &["spec.http.metod", "unknown-field.yaml:8", "method"],
        ),
        mistake(
            "unknown-top-field.yaml",
            spec("unknown-top-field", "load: {}").replace("spec:", "sepc:"),
            &["sepc", "spec"],
        ),
        mistake("two-kinds.yaml", spec("two-kinds", "load: {}\ncpu: {}"), &["exactly one", "spec", "load", "cpu"]),
        mistake("no-kind-of-check.yaml", spec("no-kind-of-check", "interval: 1s"), &["exactly one", "spec"]),
        mistake("bad-duration.yaml", spec("bad-duration", "interval: 30x\nload: {}"), &["spec.interval", "30s"]),
        mistake("bare-duration.yaml", spec("bare-duration", "interval: 30\nload: {}"), &["spec.interval", "30s"]),
        mistake("zero-interval.yaml", spec("zero-interval", "interval: 0s\nload: {}"), &["spec.interval"]),
        mistake(
            "slow-timeout.yaml",
            spec("slow-timeout", "interval: 5s\ntimeout: 10s\nload: {}"),
            &["spec", "timeout", "interval"],
        ),
        mistake("number-as-text.yaml", spec("number-as-text", "retries: many\nload: {}"), &["spec.retries", "many"]),
        mistake("out-of-range.yaml", spec("out-of-range", "tcp: {host: a, port: 70000}"), &["spec.tcp.port", "65535"]),
        mistake("bad-url.yaml", spec("bad-url", "http: {url: \"ftp://a/\"}"), &["spec.http.url", "http"]),
        mistake("not-parsed.yaml", rule("not-parsed", "expr: sum(rate(a[5m])"), &["spec.expr", "not-parsed"]),
        mistake("no-such-function.yaml", rule("no-such-function", "expr: lauer(a)"), &["spec.expr", "lauer"]),
        mistake("long-expr.yaml", rule("long-expr", &format!("expr: '{long_expr}'")), &["spec.expr", "long"]),
        mistake(
            "deep-expr.yaml",
            rule("deep-expr", &format!("expr: '{}1{}'", "(".repeat(1500), ")".repeat(1500))),
            &["spec.expr"],
        ),
        mistake(
            "exploding-regex.yaml",
            rule("exploding-regex", "expr: 'up{a=~\"((a{1000}){1000}){1000}\"}'"),
            &["spec.expr", "regular expression"],
        ),
        mistake(
            "exploding-body.yaml",
            spec(
                "exploding-body",
                "http: {url: \"http://127.0.0.1/\", expect: {bodyMatches: \"((a{1000}){1000}){1000}\"}}",
            ),
            &["spec.http.expect.bodyMatches"],
        ),
        mistake(
            "bad-template.yaml",
            rule("bad-template", "expr: up\nannotations: {summary: \"{{ $value\"}"),
            &["spec.annotations", "summary"],
        ),
        mistake(
            "two-sources.yaml",
            rule("two-sources", "expr: up\nhealth: {name: a, statusIn: [Unhealthy]}"),
            &["exactly one"],
        ),
        mistake("later-kind.yaml", spec("later-kind", "dns: {name: example.org}"), &["NotYetSupported", "dns"]),
        mistake(
            "wrong-kind.yaml",
            "apiVersion: vitals.dev/v1alpha1\nkind: Healthcheck\nmetadata: {name: a}\n",
            &["Healthcheck", "HealthCheck"],
        ),
        mistake(
            "wrong-version.yaml",
            "apiVersion: vitals.dev/v9\nkind: HealthCheck\nmetadata: {name: a}\nspec: {load: {}}\n",
            &["v9", "vitals.dev/v1alpha1"],
        ),
        mistake(
            "no-name.yaml",
            "apiVersion: vitals.dev/v1alpha1\nkind: HealthCheck\nspec: {load: {}}\n",
            &["metadata.name"],
        ),
        mistake("bad-name.yaml", spec("Not_A_Name", "load: {}"), &["metadata.name"]),
        mistake("not-utf-8.yaml", b"apiVersion: vitals.dev/v1alpha1\nkind: \xff\xfe\n", &["UTF-8"]),
        mistake("not-yaml.yaml", "kind: [HealthCheck\n  : {", &["not-yaml.yaml:"]),
        mistake("bomb.yaml", bomb(), &["bomb.yaml"]),
        mistake("deep.yaml", format!("spec: {}{}\n", "[".repeat(100_000), "]".repeat(100_000)), &["deep.yaml"]),
        mistake("duplicate-key.yaml", spec("duplicate-key", "load: {}\nload: {}"), &["load"]),
        mistake("twin-a.yaml", check("twin", "load: {}"), &["twin-a.yaml", "twin-b.yaml", "twin"]),
        mistake("twin-b.yaml", check("twin", "cpu: {}"), &["twin"]),
        mistake("a-list.yaml", "- just\n- words\n", &["a-list.yaml"]),
    ]
}

/// Ten levels of ten references each: 10,000,000,000 words when unfolded.
fn bomb() -> String {
    let mut text = String::from("a0: &a0 [lol,lol,lol,lol,lol,lol,lol,lol,lol,lol]\n");
    for level in 1..10 {
        let below = format!("*a{},", level - 1).repeat(10);
        text.push_str(&format!("a{level}: &a{level} [{}]\n", below.trim_end_matches(',')));
    }
    text
}

/// An error for people is short, whatever the input was.
#[track_caller]
fn stays_readable(done: &Done, file: &str) {
    assert!(done.said().len() < 8_000, "{file}: {} bytes of complaint", done.said().len());
}

#[test]
fn validate_names_file_place_and_remedy_of_every_mistake() {
    let home = Home::new();
    for mistake in mistakes() {
        home.write(mistake.file, &mistake.bytes);
    }
    let mut complaints = String::new();
    for mistake in mistakes() {
        // The twins are a mistake only together.
        let paths: Vec<_> = match mistake.file {
            "twin-a.yaml" | "twin-b.yaml" => ["twin-a.yaml", "twin-b.yaml"].map(|f| home.resources().join(f)).into(),
            file => vec![home.resources().join(file)],
        };
        let done = vitals(["validate".into()].into_iter().chain(paths));
        let said = done.said();
        let wanted = mistake.said.iter().copied().chain([mistake.file]);
        let missing: Vec<&str> = wanted.filter(|word| !said.contains(word)).collect();
        if done.code != Some(2) || !missing.is_empty() || said.contains("panicked at") {
            complaints
                .push_str(&format!("{}: code {:?}, missing {missing:?} in {said:.600}\n", mistake.file, done.code));
        }
        stays_readable(&done, mistake.file);
    }
    assert!(complaints.is_empty(), "\n{complaints}");
}

#[test]
fn with_every_mistake_at_once_the_good_check_runs_and_every_bad_file_is_shown() {
    let target = Target::start();
    let home = Home::with(&http_check("good", &target.url()));
    for mistake in mistakes() {
        home.write(mistake.file, &mistake.bytes);
    }
    let vitals = home.start();
    vitals.await_health("good", "healthy");
    for mistake in mistakes() {
        vitals.await_output(mistake.file);
    }
    target.break_it();
    vitals.await_health("good", "unhealthy");
    vitals.terminate();
}

#[test]
fn a_good_object_in_the_same_file_as_a_bad_one_runs() {
    let target = Target::start();
    let bad = spec("bad", "interval: never\nload: {}");
    let home = Home::with(&format!("{bad}{}", http_check("good", &target.url())));
    let vitals = home.start();
    vitals.await_health("good", "healthy");
    vitals.await_output("spec.interval");
    vitals.terminate();
}

#[test]
fn several_mistakes_of_one_file_are_all_named() {
    let home = Home::with(&spec("many", "interval: never\nretries: -1\nhttp: {url: \"nonsense\", metod: GET}"));
    let path = home.resources().display().to_string();
    vitals(["validate", &path]).expect_code(2).expect_words(&[
        "spec.interval",
        "spec.retries",
        "spec.http.url",
        "spec.http.metod",
    ]);
}

#[test]
fn nothing_but_mistakes_is_bad_input() {
    let home = Home::with(&spec("bad", "interval: never\nload: {}"));
    let path = home.resources().display().to_string();
    vitals(["check", &path]).expect_code(2).expect_words(&["spec.interval"]);
}

#[test]
fn good_files_pass_validation() {
    let target = Target::start();
    let home = Home::with(&http_check("good", &target.url()));
    home.write("rule.yaml", rule("r", "expr: up == 0\nfor: 5m"));
    let path = home.resources().display().to_string();
    vitals(["validate", &path]).expect_code(0);
}

#[test]
fn small_anchors_and_empty_documents_are_fine() {
    let anchored = format!(
        "{}spec:\n  interval: &often 1s\n  timeout: *often\n  load: {{perCore: \"10000\"}}\n",
        head("HealthCheck", "a")
    );
    let home = Home::with(&format!("---\n# nothing\n{anchored}---\n---\n{}", check("b", "load: {perCore: \"10000\"}")));
    home.write("empty.yaml", "");
    home.write("comment.yaml", "# only a comment\n");
    let vitals = home.start();
    vitals.await_health("a", "healthy");
    vitals.await_health("b", "healthy");
    vitals.terminate();
}

#[test]
fn windows_line_ends_and_a_byte_order_mark_are_fine() {
    let text = check("dos", "load: {perCore: \"10000\"}").replace('\n', "\r\n");
    let home = Home::new();
    home.write("dos.yaml", format!("\u{feff}{text}"));
    let vitals = home.start();
    vitals.await_health("dos", "healthy");
    vitals.terminate();
}

#[test]
fn a_pipe_or_a_loop_of_links_among_the_files_hangs_nothing() {
    let target = Target::start();
    let home = Home::with(&http_check("good", &target.url()));
    let pipe = home.resources().join("pipe.yaml");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    std::os::unix::fs::symlink(home.resources(), home.resources().join("again")).unwrap();
    std::os::unix::fs::symlink("/no/such/file", home.resources().join("dangling.yaml")).unwrap();
    let vitals = home.start();
    vitals.await_health("good", "healthy");
    vitals.terminate();
}

#[test]
fn a_huge_file_is_refused_by_its_size() {
    let target = Target::start();
    let home = Home::with(&http_check("good", &target.url()));
    let file = std::fs::File::create(home.resources().join("huge.yaml")).unwrap();
    file.set_len(2 << 30).unwrap();
    let vitals = home.start();
    vitals.await_health("good", "healthy");
    vitals.await_output("huge.yaml");
    vitals.terminate();
}

#[test]
fn a_thousand_mistakes_do_not_take_a_thousand_times_as_long() {
    // Not a stopwatch: quadratic behaviour would need minutes, and the harness kills a command that hangs.
    let home = Home::new();
    let text: String = (0..1000).map(|n| spec(&format!("bad-{n}"), "interval: never\nload: {}")).collect();
    home.write("all.yaml", text);
    let path = home.resources().display().to_string();
    vitals(["validate", &path]).expect_code(2).expect_words(&["bad-0", "bad-999"]);
}

#[test]
fn bad_queries_are_refused_with_their_place_and_the_server_stays() {
    let home = Home::with(&check("load", "load: {}"));
    let vitals_run = home.start();
    let url = vitals_run.url.clone();
    vitals(["query", "sum(rate(a[5m])", "--server", &url]).expect_code(2);
    vitals(["query", "up{a=~\"((a{1000}){1000}){1000}\"}", "--server", &url]).expect_code(2);
    vitals(["query", "", "--server", &url]).expect_code(2);
    // A subquery with an absurd number of steps is refused or bounded, never computed.
    let begun = Instant::now();
    let done = vitals(["query", "sum_over_time(sum_over_time(node_load1[1h:1ms])[1h:1ms])", "--server", &url]);
    assert!(done.code.is_some() && begun.elapsed() < Duration::from_secs(55), "{done:?}");
    eventually("it still answers", || match vitals_run.get("/health/live") {
        answer if answer.status == 200 => Ok(()),
        answer => Err(answer),
    });
    vitals_run.terminate();
}
