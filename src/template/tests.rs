//! What templates must do: Prometheus's documented examples, the document's `{x}`, and hostile texts.

use std::collections::HashMap;

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn render_with(text: &str, labels: &[(&str, &str)], value: f64) -> Result<String, TemplateError> {
    let labels = Labels::from_pairs(labels.iter().copied());
    let external = Labels::from_pairs([("cluster", "eu1")]);
    let series: HashMap<&str, Vec<(Labels, f64)>> = HashMap::from([
        (
            "metric",
            vec![
                (Labels::from_pairs([("__name__", "metric"), ("instance", "b")]), 21.0),
                (Labels::from_pairs([("__name__", "metric"), ("instance", "a"), ("__value__", "v")]), 11.0),
            ],
        ),
        ("memory_usage", vec![(Labels::from_pairs([("__name__", "memory_usage")]), 91.5)]),
        ("nothing", Vec::new()),
    ]);
    let query = move |expr: &str| series.get(expr).cloned().ok_or_else(|| format!("unknown expression {expr}"));
    let context = AlertContext {
        labels: &labels,
        value,
        external_labels: &external,
        external_url: "http://vitals.example:8080/base/",
        query: Some(&query),
    };
    Template::parse(text)?.render(&context)
}

fn render(text: &str) -> String {
    render_with(text, &[("instance", "web1:9100"), ("job", "node")], 1.5).unwrap()
}

fn refused(text: &str) -> String {
    render_with(text, &[("instance", "a")], 1.0).unwrap_err().to_string()
}

#[test]
fn labels_and_value_are_read_as_in_prometheus() {
    assert_eq!(render("{{ $labels.instance }} is at {{ $value }}"), "web1:9100 is at 1.5");
    assert_eq!(render("{{ .Labels.job }} {{ .Value }} {{ $externalLabels.cluster }}"), "node 1.5 eu1");
    assert_eq!(render("{{ $externalURL }}{{ pathPrefix }}"), "http://vitals.example:8080/base//base");
    assert_eq!(render("[{{ $labels.missing }}]{{ if eq .Labels.missing \"\" }}empty{{ end }}"), "[]empty");
    assert_eq!(render_with("{{ $value }}", &[], 1_234_567.0).unwrap(), "1.234567e+06");
}

#[test]
fn humanize_writes_what_prometheus_writes() {
    assert_eq!(
        render("{{ humanize 0.0 }}:{{ humanize 1.0 }}:{{ humanize 1234567.0 }}:{{ humanize .12 }}:"),
        "0:1:1.235M:120m:"
    );
    assert_eq!(
        render("{{ humanize1024 0.0 }}:{{ humanize1024 1.0 }}:{{ humanize1024 1048576.0 }}:{{ humanize1024 .12 }}:"),
        "0:1:1Mi:0.12:"
    );
    let all = |name: &str, values: &[&str]| -> String {
        values.iter().map(|value| render(&format!("{{{{ {value} | {name} }}}}:"))).collect()
    };
    assert_eq!(
        all("humanizeDuration", &["0", "1", "60", "3600", "86400", "90000", "-183845", "899.99"]),
        "0s:1s:1m 0s:1h 0m 0s:1d 0h 0m 0s:1d 1h 0m 0s:-2d 3h 4m 5s:14m 59s:"
    );
    assert_eq!(
        all("humanizeDuration", &[".1", ".0001", ".12345", "60.1", "60.5", "1.2345", "12.345"]),
        "100ms:100us:123.5ms:1m 0s:1m 0s:1.234s:12.35s:"
    );
    assert_eq!(all("humanizePercentage", &["-0.22222", "0.0", "0.1234567", "1.23456"]), "-22.22%:0%:12.35%:123.5%:");
    assert_eq!(
        all("humanizeTimestamp", &["0", "1435065584.128"]),
        "1970-01-01 00:00:00 +0000 UTC:2015-06-23 13:19:44.128 +0000 UTC:"
    );
    assert_eq!(all("humanize", &["\"+Inf\"", "\"-Inf\"", "\"NaN\"", "\"42\""]), "+Inf:-Inf:NaN:42:");
}

#[test]
fn text_functions_do_what_their_names_say() {
    assert_eq!(render(r#"{{ "aa bb CC" | title }} {{ "aB" | toUpper }} {{ "aB" | toLower }}"#), "Aa Bb CC AB ab");
    assert_eq!(render("{{ .Labels.instance | stripPort }}"), "web1");
    assert_eq!(
        render(r#"{{ stripPort "[::1]:80" }} {{ stripPort "::1" }} {{ stripDomain "a.b.c:90" }}"#),
        "::1 ::1 a:90"
    );
    assert_eq!(render(r#"{{ match "a+" "aa" }} {{ match "a+" "b" }}"#), "true false");
    assert_eq!(render(r#"{{ reReplaceAll "(a)b" "x$1" "ab" }}"#), "xa");
    assert_eq!(render(r#"{{ parseDuration "1h2m10ms" }} {{ parseDuration "1d" }}"#), "3720.01 86400");
    assert_eq!(render(r#"{{ printf "%.2f %5d|%-4s|%q" 1.005 42 "a" "b" }}"#), "1.00    42|a   |\"b\"");
    assert_eq!(render(r#"{{ graphLink "up{a='b'}" }}"#), "/graph?g0.expr=up%7Ba%3D%27b%27%7D&g0.tab=0");
    assert_eq!(render(r#"{{ "<b>" | safeHtml }} {{ "<b>" | html }}"#), "<b> &lt;b&gt;");
    assert_eq!(render(r#"{{ toTime 0 }}"#), "1970-01-01 00:00:00 +0000 UTC");
}

#[test]
fn queries_are_answered_through_the_callback() {
    assert_eq!(render(r#"{{ query "metric" | first | value }}"#), "21");
    assert_eq!(render(r#"{{ query "metric" | sortByLabel "instance" | first | label "instance" }}"#), "a");
    assert_eq!(
        render(r#"{{ range query "metric" | sortByLabel "instance" }}{{.Labels.instance}}:{{.Value}}: {{end}}"#),
        "a:11: b:21: "
    );
    assert_eq!(render(r#"{{ range query "metric" }}[{{ . | strvalue }}]{{ end }}"#), "[][v]");
    assert_eq!(render(r#"{{ with query "nothing" }}some{{ else }}none{{ end }}"#), "none");
    assert_eq!(refused(r#"{{ query "broken(" }}"#), "template: query \"broken(\": unknown expression broken(");
    assert!(refused(r#"{{ query "nothing" | first }}"#).contains("found nothing"));
}

#[test]
fn named_templates_take_arguments() {
    let text = r#"{{define "x"}}{{.arg0}} and {{.arg1}}{{end}}{{template "x" (args 1 "2")}}"#;
    assert_eq!(render(text), "1 and 2");
}

#[test]
fn braces_name_a_label_or_else_a_metric() {
    assert_eq!(render("High memory on {instance}: {memory_usage}%"), "High memory on web1:9100: 91.5%");
    assert_eq!(render("{value} {unknown} {} { a } {1x} {\"a\": 1} {a"), "1.5 {unknown} {} { a } {1x} {\"a\": 1} {a");
    // Of two series the one that is about the alert's own instance.
    assert_eq!(render_with("{metric}", &[("instance", "a")], 0.0).unwrap(), "11");
}

#[test]
fn braces_stay_where_no_query_is_possible() {
    let labels = Labels::from_pairs([("a", "1")]);
    let none = Labels::empty();
    let context = AlertContext { labels: &labels, value: 1.0, external_labels: &none, external_url: "", query: None };
    assert_eq!(Template::parse("{a} {memory_usage}").unwrap().render(&context).unwrap(), "1 {memory_usage}");
    let error = Template::parse("{{query `up`}}").unwrap().render(&context).unwrap_err();
    assert_eq!(error.reason(), "TemplateQueryFailed");
}

#[test]
fn a_hostile_label_is_never_read_as_a_template() {
    let out = render_with("{{ $labels.instance }} {instance}", &[("instance", "{{ .Value }}{job}")], 1.0);
    assert_eq!(out.unwrap(), "{{ .Value }}{job} {{ .Value }}{job}");
}

#[test]
fn mistakes_are_found_when_parsing_with_line_and_remedy() {
    for (text, expected) in [
        ("a\n{{ nope }}", "line 2, column 4: there is no function \"nope\""),
        ("{{ $nope }}", "$nope is not declared"),
        ("{{ .Label.instance }}", "there is no field .Label; there are .Labels, .Value"),
        ("{{ $.Lable }}", "there is no field .Lable"),
        ("a\nb {{ if .Value }}x", "line 2, column 3: {{if}} has no {{end}}"),
        ("{{ .Value", "close the action with }}"),
        ("{{/* {{if}} */}}{{`{{if}}`}}{{ end }}", "{{end}} without a block"),
        ("{{if .Value}}{{else}}{{end}}{{else}}", "{{else}} without a block"),
        ("{{ template \"x\" }}", "there is no template \"x\""),
        ("{{ break }}", "inside {{range}}"),
        ("{{ now }}", "there is no function \"now\""),
        ("{{define \"a\"}}{{ $value }}{{end}}", "pass it"),
        ("{{define \"a\"}}x{{end}}{{define \"a\"}}y{{end}}", "defined twice"),
    ] {
        let error = Template::parse(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
    assert_eq!(Template::parse(&"x".repeat(MAX_SOURCE + 1)).unwrap_err().reason(), "TemplateTooLong");
}

#[test]
fn a_loop_may_shadow_dot_and_variables() {
    assert_eq!(render("{{range $name, $v := .Labels}}{{$name}}={{$v}},{{end}}"), "instance=web1:9100,job=node,");
    assert_eq!(render("{{$x := 1}}{{if true}}{{$x = 2}}{{end}}{{$x}}"), "2");
    assert_eq!(render("{{with .Labels}}{{.job}}{{end}}"), "node");
}

fn notification() -> serde_json::Value {
    json!({
        "Receiver": "team", "Status": "firing", "ExternalURL": "http://v/",
        "Alerts": [
            {"Status": "firing", "Labels": {"alertname": "A", "node": "n1"}, "Annotations": {"summary": "s\"1"}},
            {"Status": "resolved", "Labels": {"alertname": "A", "node": "n2"}, "Annotations": {}},
        ],
        "GroupLabels": {"alertname": "A"},
        "CommonLabels": {"alertname": "A", "a": "first"},
        "CommonAnnotations": {},
    })
}

fn render_json(text: &str) -> String {
    Template::parse_notification(text).unwrap().render_json(&notification()).unwrap()
}

#[test]
fn methods_of_alertmanagers_data_work_as_fields() {
    assert_eq!(render_json("{{ .Alerts.Firing | len }}/{{ len .Alerts.Resolved }}/{{ len .Alerts }}"), "1/1/2");
    assert_eq!(render_json("{{range .Alerts.Firing}}{{.Labels.node}}{{end}}"), "n1");
    assert_eq!(render_json("{{with .Alerts}}{{range .Resolved}}{{.Labels.node}}{{end}}{{end}}"), "n2");
    assert_eq!(render_json("{{range .CommonLabels.SortedPairs}}{{.Name}}={{.Value}} {{end}}"), "alertname=A a=first ");
    assert_eq!(
        render_json("{{ .CommonLabels.Names | join \", \" }} {{ .GroupLabels.Values | join \" \" }}"),
        "a, alertname A"
    );
    assert_eq!(
        render_json("{{range .Alerts}}{{range .Annotations.SortedPairs}}{{.Value | toJson}}{{end}}{{end}}"),
        "\"s\\\"1\""
    );
    assert_eq!(
        render_json(r#"{"text": "{alertname} {{ .Status | toUpper }}", "n": {}}"#),
        r#"{"text": "A FIRING", "n": {}}"#
    );
    assert!(Template::parse_notification("{{ .Labels }}").unwrap_err().to_string().contains(".CommonLabels"));
}

#[test]
fn templates_that_explode_are_stopped() {
    let doubling = "{{$x := `aaaaaaaaaaaaaaaa`}}{{range $i, $e := .Labels}}{{end}}".to_owned()
        + &"{{$x = print $x $x}}".repeat(60)
        + "{{$x}}";
    assert!(refused(&doubling).contains("too much work"));
    let lists = "{{$x := args 1 2}}".to_owned() + &"{{$x = args $x $x}}".repeat(60) + "{{$x}}";
    assert!(refused(&lists).contains("too much work"));
    let laughs: String = (0..40)
        .map(|n| format!("{{{{define \"t{n}\"}}}}{{{{template \"t{0}\"}}}}{{{{template \"t{0}\"}}}}{{{{end}}}}", n + 1))
        .collect();
    assert!(refused(&(laughs + "{{define \"t40\"}}{{end}}{{template \"t0\"}}")).contains("too much work"));
    assert!(refused("{{define \"a\"}}{{template \"a\"}}{{end}}{{template \"a\"}}").contains("circle"));
    assert!(refused("{{range 100000000}}{{end}}").contains("turns"));
    assert!(refused(&format!("{{{{range 9000}}}}{}{{{{end}}}}", "x".repeat(100))).contains("writes more than"));
    assert!(refused(&format!("{{{{printf `{}` 1}}}}", "%65000d".repeat(1000))).contains("width"));
    let repeated = format!("{{{{$x := printf `%512s` `a`}}}}{{{{printf `{}` $x}}}}", "%[1]s".repeat(2000));
    assert!(refused(&repeated).contains("too much work"));
    assert!(refused(&format!("{{{{match `{}` `a`}}}}", "(a{1000}){1000}")).contains("not valid"));
    let deep = "{{if true}}".repeat(90) + &"{{end}}".repeat(90);
    assert!(refused(&deep).contains("nest deeper"));
    let parens = format!("{{{{{}1{}}}}}", "(".repeat(90), ")".repeat(90));
    assert!(refused(&parens).contains("nest deeper"));
    let chain = "{{if eq 1 2}}".to_owned() + &"{{else if eq 1 2}}".repeat(900) + "{{end}}";
    assert!(refused(&chain).contains("nest deeper"));
    assert!(refused("{{$a := `$0$0$0$0$0$0$0$0`}}{{$b := printf `%512s` `a`}}{{$b = reReplaceAll `.*` $a $b}}{{$b = reReplaceAll `.*` $a $b}}{{$b = reReplaceAll `.*` $a $b}}").contains("too much"));
}

#[test]
fn a_query_may_render_another_template() {
    let inner = Template::parse("{{ .Value }}").unwrap();
    let none = Labels::empty();
    let query = |_: &str| {
        let context = AlertContext { labels: &none, value: 7.0, external_labels: &none, external_url: "", query: None };
        let text = inner.render(&context).map_err(|error| error.to_string())?;
        Ok(vec![(Labels::empty(), text.parse().unwrap())])
    };
    let context =
        AlertContext { labels: &none, value: 1.0, external_labels: &none, external_url: "", query: Some(&query) };
    let outer = Template::parse("{{ query `a` | first | value }} {{ .Value }}").unwrap();
    assert_eq!(outer.render(&context).unwrap(), "7 1");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_text_makes_a_template_panic(text in "(\\{\\{|\\}\\}|[{}]|\\PC|\\$|\\.| |if|end|range|with|else|define|template|\"|`|x|Value|Labels|print|printf|%|9|\\||\\(|\\)|:=|-|\n){0,40}") {
        let _ = render_with(&text, &[("x", "y")], 2.5);
        if let Ok(template) = Template::parse_notification(&text) {
            let _ = template.render_json(&notification());
        }
    }

    #[test]
    fn text_without_braces_is_copied(text in "[^{]{0,200}") {
        prop_assert_eq!(render_with(&text, &[], 0.0).unwrap(), text);
    }

    #[test]
    fn numbers_in_general_form_read_back_within_their_digits(value in -1e12f64..1e12) {
        let text = super::human::general(value, 4);
        let back: f64 = text.parse().unwrap();
        prop_assert!((back - value).abs() <= value.abs() * 1e-3, "{} became {}", value, text);
    }
}
