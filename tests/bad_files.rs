//! Files with mistakes: each is named with file, line, field and remedy; the sound objects beside it are loaded.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use vitals::api::Kind;
use vitals::compile::{Mode, Overrides, Previous, Settings, compile};
use vitals::local::files::{Loaded, load};
use vitals::model::ObjectKey;

const HEAD: &str = "apiVersion: vitals.dev/v1alpha1\nkind: HealthCheck\nmetadata:\n  name: ";

fn check(name: &str, spec: &str) -> String {
    format!("---\n{HEAD}{name}\nspec:\n{spec}\n")
}

struct Folder(TempDir);

impl Folder {
    fn with(files: &[(&str, &[u8])]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        for (name, bytes) in files {
            let path = folder.0.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        folder
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn load(&self) -> Loaded {
        load(&[self.path().to_owned()])
    }

    /// The problems, without the folder's own path.
    fn problems(&self) -> Vec<String> {
        let own = format!("{}/", self.path().display());
        self.load().problems.iter().map(|problem| problem.to_string().replace(&own, "")).collect()
    }
}

fn names(loaded: &Loaded) -> Vec<String> {
    loaded.objects.checks.keys().map(ToString::to_string).collect()
}

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/resources")
}

#[test]
fn a_folder_with_one_of_everything_loads_and_compiles_whole() {
    let loaded = load(&[fixtures()]);
    assert_eq!(loaded.problems, []);
    assert_eq!(loaded.files.len(), 6);
    assert_eq!(loaded.objects.len(), 18);
    let config = loaded.objects.config.as_ref().map(|config| &config.spec);
    let settings = Settings::effective(Mode::Run, &Overrides::default(), config);
    let out = compile(&loaded.objects, &settings, Previous::default(), 1_767_225_600);
    assert_eq!((out.refused, out.warnings), (vec![], vec![]));
    assert_eq!((out.fleet.checks.len(), out.fleet.rules.len()), (7, 10));
    assert_eq!((out.fleet.receivers.len(), out.fleet.silences.len(), out.dashboards.len()), (2, 2, 1));
    let db = &out.fleet.checks[&ObjectKey::new("shop", "db")];
    assert_eq!((db.interval.to_string(), db.timeout.to_string(), db.slots.len()), ("20s".into(), "5s".into(), 3));
}

#[test]
fn the_quickstart_loads_and_compiles_whole() {
    let loaded = load(&[PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples/quickstart")]);
    assert_eq!(loaded.problems, []);
    let config = loaded.objects.config.as_ref().map(|config| &config.spec);
    let settings = Settings::effective(Mode::Run, &Overrides::default(), config);
    let out = compile(&loaded.objects, &settings, Previous::default(), 1_767_225_600);
    assert_eq!((out.refused, out.warnings), (vec![], vec![]));
}

#[test]
fn a_mistake_is_told_with_file_line_column_object_field_and_remedy() {
    let text = check("web", "  interval: 10s\n  http:\n    url: shop/health\n    metod: GET");
    let folder = Folder::with(&[("web.yaml", text.as_bytes())]);
    let expected = [
        "web.yaml:9:5: HealthCheck default/web: spec.http.url: \"shop/health\" has not the right form; \
         write http:// or https:// and a host, without user or password (BadFormat)",
        "web.yaml:10:5: HealthCheck default/web: spec.http.metod: there is no such field; did you mean `method`? (UnknownField)",
    ];
    assert_eq!(folder.problems(), expected);
}

#[test]
fn a_missing_field_is_told_at_what_surrounds_it() {
    let folder = Folder::with(&[("a.yaml", check("a", "  tcp:\n    host: db").as_bytes())]);
    let expected = ["a.yaml:7:3: HealthCheck default/a: spec.tcp.port: is missing; add `port:` below `tcp` (Required)"];
    assert_eq!(folder.problems(), expected);
}

#[test]
fn one_bad_object_never_hurts_another() {
    let text = [
        check("good-1", "  memory: {}"),
        check("bad", "  memory: {}\n  interval: never"),
        "---\nkind: [broken\n".to_owned(),
        check("good-2", "  cpu: {}"),
        check("twice", "  cpu: {}\n  cpu: {}"),
        check("good-3", "  load: {}"),
    ];
    let folder = Folder::with(&[
        ("all.yaml", text.concat().as_bytes()),
        ("other.yml", check("good-4", "  disk: {}").as_bytes()),
    ]);
    let loaded = folder.load();
    assert_eq!(names(&loaded), ["default/good-1", "default/good-2", "default/good-3", "default/good-4"]);
    let reasons: Vec<_> = loaded.problems.iter().map(|problem| problem.reason).collect();
    assert_eq!(reasons, ["BadDuration", "BadSyntax", "DuplicateKey"], "{:?}", folder.problems());
}

#[test]
fn only_the_folder_local_is_descended_into_and_only_resource_files_are_read() {
    let good = |name: &str| check(name, "  memory: {}").into_bytes();
    let folder = Folder::with(&[
        ("b.yaml", &good("b")),
        ("a.json", br#"{"apiVersion":"vitals.dev/v1alpha1","kind":"HealthCheck","metadata":{"name":"a"},"spec":{"memory":{}}}"#),
        ("local/c.yml", &good("c")),
        ("local/deeper/d.yaml", &good("d")),
        ("other/e.yaml", &good("e")),
        ("notes.txt", b"not: [yaml"),
        (".hidden.yaml", b"not: [yaml"),
        ("empty.yaml", b""),
        ("comment.yaml", b"# nothing\n---\n---\n"),
    ]);
    let loaded = folder.load();
    assert_eq!(loaded.problems, []);
    assert_eq!(names(&loaded), ["default/a", "default/b", "default/c"]);
}

#[test]
fn two_of_one_name_are_refused_and_the_first_stays() {
    let folder = Folder::with(&[
        ("a.yaml", check("twin", "  memory: {}").as_bytes()),
        ("b.yaml", check("twin", "  cpu: {}").as_bytes()),
    ]);
    let problems = folder.problems();
    assert_eq!(problems.len(), 1);
    assert!(
        problems[0].starts_with(
            "b.yaml:5:3: HealthCheck default/twin: metadata.name: there is one of this name already, in a.yaml:5"
        ),
        "{problems:?}"
    );
    assert!(folder.load().objects.checks.values().all(|check| check.spec.memory.is_some()));
}

#[test]
fn files_that_are_no_resources_are_refused_with_the_remedy() {
    let unknown = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";
    let cases: [(&str, &[u8], &[&str]); 12] = [
        (
            "configmap.yaml",
            unknown,
            &["configmap.yaml:2:1", "ConfigMap of v1", "HealthCheck, AlertRule", "UnknownKind"],
        ),
        ("case.yaml", b"apiVersion: vitals.dev/v1alpha1\nkind: Healthcheck\n", &["Healthcheck", "write HealthCheck"]),
        (
            "version.yaml",
            b"apiVersion: vitals.dev/v9\nkind: HealthCheck\nmetadata: {name: a}\nspec: {load: {}}\n",
            &["v9", "vitals.dev/v1alpha1"],
        ),
        ("nokind.yaml", b"apiVersion: vitals.dev/v1alpha1\n", &["there is no kind", "write one of"]),
        ("list.yaml", b"- just\n- words\n", &["list.yaml:1:1", "NotAnObject"]),
        ("word.yaml", b"hello\n", &["word.yaml:1:1", "NotAnObject"]),
        ("utf8.yaml", b"a: 1\nb: \xff\xfe\n", &["UTF-8", "line 2"]),
        ("tab.yaml", b"a:\n\t- b: [\n", &["tab.yaml:2", "not YAML", "no tabs"]),
        ("binary.yaml", &[0, 1, 2, 3, 255, 254], &["binary.yaml"]),
        ("tag.yaml", b"a: !!binary aGk=\n", &["tag.yaml:1:13", "UnknownTag"]),
        (
            "report.yaml",
            b"apiVersion: vitals.dev/v1alpha1\nkind: AgentReport\nmetadata: {name: a}\nspec: {role: Node}\n",
            &["written by agents"],
        ),
        (
            "grafana.yaml",
            b"apiVersion: grafana.integreatly.org/v1beta1\nkind: Dashboard\nmetadata: {name: a}\n",
            &["Dashboard of grafana.integreatly.org/v1beta1 is not a resource of Vitals"],
        ),
    ];
    for (name, bytes, words) in cases {
        let problems = Folder::with(&[(name, bytes)]).problems();
        assert!(!problems.is_empty(), "{name} was taken");
        for word in words {
            assert!(problems.iter().any(|problem| problem.contains(word)), "{name}: {word:?} is not in {problems:?}");
        }
    }
}

#[test]
fn bombs_and_monsters_are_refused_quickly_and_their_neighbours_load() {
    let mut bomb = String::from("a0: &a0 [lol,lol,lol,lol,lol,lol,lol,lol,lol,lol]\n");
    for level in 1..10 {
        let below = format!("*a{},", level - 1).repeat(10);
        bomb.push_str(&format!("a{level}: &a{level} [{}]\n", below.trim_end_matches(',')));
    }
    let deep = format!("spec: {}{}\n", "[".repeat(100_000), "]".repeat(100_000));
    let indented: String = (0..1000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    let wide = check("wide", &(0..100_000).map(|n| format!("  f{n}: 1\n")).collect::<String>());
    let long_expr = format!(
        "apiVersion: vitals.dev/v1alpha1\nkind: AlertRule\nmetadata: {{name: a}}\nspec:\n  expr: 'up{{{}}}'\n",
        "a=\"b\",".repeat(170_000)
    );
    let folder = Folder::with(&[
        ("bomb.yaml", bomb.as_bytes()),
        ("deep.yaml", deep.as_bytes()),
        ("indented.yaml", indented.as_bytes()),
        ("wide.yaml", wide.as_bytes()),
        ("long.yaml", long_expr.as_bytes()),
        ("good.yaml", check("good", "  memory: {}").as_bytes()),
    ]);
    fs::File::create(folder.path().join("huge.yaml")).unwrap().set_len(2 << 30).unwrap();
    let loaded = folder.load();
    assert_eq!(names(&loaded), ["default/good"]);
    let of = |file: &str| {
        let found = loaded.problems.iter().filter(|problem| problem.file.ends_with(file)).collect::<Vec<_>>();
        assert!(!found.is_empty(), "{file} was taken");
        assert!(found.iter().all(|problem| problem.to_string().len() < 1500), "{file}: an essay");
        found.iter().map(|problem| problem.reason).collect::<Vec<_>>()
    };
    assert_eq!(of("bomb.yaml"), ["TooLarge"]);
    assert!(of("deep.yaml")[0] == "TooDeep" || of("deep.yaml")[0] == "BadSyntax");
    assert!(of("indented.yaml")[0] == "TooDeep" || of("indented.yaml")[0] == "BadSyntax");
    assert_eq!(of("wide.yaml").len(), 100);
    assert_eq!(of("long.yaml")[0], "TooLong");
    assert_eq!(of("huge.yaml"), ["TooLarge"]);
}

#[test]
fn what_cannot_be_read_is_told_and_nothing_hangs() {
    let folder = Folder::with(&[("good.yaml", check("good", "  memory: {}").as_bytes())]);
    std::os::unix::fs::symlink("/no/such/file", folder.path().join("dangling.yaml")).unwrap();
    std::os::unix::fs::symlink(folder.path(), folder.path().join("again.yaml")).unwrap();
    let pipe = folder.path().join("pipe.yaml");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let loaded = folder.load();
    assert_eq!(names(&loaded), ["default/good"]);
    let reasons: Vec<_> = loaded.problems.iter().map(|problem| problem.reason).collect();
    assert_eq!(reasons, ["Unreadable", "NotAFile"], "{:?}", folder.problems());
}

#[test]
fn paths_that_hold_nothing_are_told() {
    let reason = |path: PathBuf| load(&[path]).problems.first().map(|problem| problem.reason);
    assert_eq!(reason("/no/such/place".into()), Some("NotFound"));
    let empty = Folder::with(&[("notes.txt", b"x")]);
    assert_eq!(reason(empty.path().to_owned()), Some("NoFiles"));
    let comments = Folder::with(&[("a.yaml", b"# nothing\n")]);
    assert_eq!(reason(comments.path().to_owned()), Some("NoObjects"));
}

#[test]
fn a_list_of_kubectl_is_read_item_by_item() {
    let item = |name: &str, spec: &str| {
        format!(
            "  - apiVersion: vitals.dev/v1alpha1\n    kind: HealthCheck\n    metadata: {{name: {name}}}\n    spec: {spec}\n"
        )
    };
    let text = format!("apiVersion: v1\nkind: List\nitems:\n{}{}", item("a", "{memory: {}}"), item("b", "{memoy: {}}"));
    let folder = Folder::with(&[("list.yaml", text.as_bytes())]);
    assert_eq!(names(&folder.load()), ["default/a"]);
    assert!(
        folder.problems()[0].starts_with("list.yaml:11:12: HealthCheck default/b: spec.memoy"),
        "{:?}",
        folder.problems()
    );
}

#[test]
fn a_refusal_of_the_compiler_is_told_with_its_place() {
    let text = check("late", "  interval: 10s\n  dns:\n    name: example.org");
    let folder = Folder::with(&[("late.yaml", text.as_bytes())]);
    let loaded = folder.load();
    assert_eq!(loaded.problems, []);
    let out = compile(&loaded.objects, &Settings::default(), Previous::default(), 1);
    let problem = loaded.explain(&out.refused[0]);
    assert!(problem.to_string().contains("late.yaml:8:3: HealthCheck default/late: spec.dns: "), "{problem}");
    assert!(problem.to_string().ends_with("(NotYetSupported)"));
    assert!(problem.place().ends_with("late.yaml:8"));
    assert_eq!(loaded.locate(Kind::HealthCheck, &ObjectKey::new("default", "other"), ""), None);
}

#[test]
fn windows_line_ends_and_a_byte_order_mark_are_fine() {
    let text = format!("\u{feff}{}", check("dos", "  memory: {}").replace('\n', "\r\n"));
    let folder = Folder::with(&[("dos.yaml", text.as_bytes())]);
    assert_eq!(names(&folder.load()), ["default/dos"], "{:?}", folder.problems());
}

#[test]
fn a_thousand_mistakes_are_all_named() {
    let text: String = (0..1000).map(|n| check(&format!("bad-{n}"), "  interval: never\n  load: {}")).collect();
    let folder = Folder::with(&[("all.yaml", text.as_bytes())]);
    let loaded = folder.load();
    assert_eq!(loaded.problems.len(), 1000);
    assert_eq!(loaded.problems[999].at.unwrap().line, 999 * 8 + 7);
}
