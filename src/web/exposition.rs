//! The text exposition read back, for callers who want JSON: one writer of metrics, two shapes.

use serde_json::{Map, Number, Value, json};

/// `{name: {"type", "help", "samples": [{"labels", "value"}]}}`, families in their order.
///
/// Reads what our own exposition writes; a line it does not understand is left out.
pub(super) fn to_json(text: &str) -> Map<String, Value> {
    let mut families: Map<String, Value> = Map::new();
    let mut family = String::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap_or((rest, ""));
            entry(&mut families, name)["help"] = unescape(help).into();
            family = name.to_owned();
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap_or((rest, "untyped"));
            entry(&mut families, name)["type"] = kind.trim().into();
            family = name.to_owned();
        } else if let Some((name, labels, value)) = sample(line) {
            let suffix = name.strip_prefix(family.as_str()).unwrap_or(name);
            let of_family = matches!(suffix, "" | "_bucket" | "_sum" | "_count" | "_total");
            let mut labels = labels;
            if of_family && !suffix.is_empty() {
                // Parts of a histogram stay together and say which part they are.
                labels.insert("__name__".to_owned(), name.into());
            }
            let owner = if of_family { family.as_str() } else { name };
            if let Some(samples) = entry(&mut families, owner)["samples"].as_array_mut() {
                samples.push(json!({ "labels": labels, "value": number(value) }));
            }
        }
    }
    families
}

fn entry<'a>(families: &'a mut Map<String, Value>, name: &str) -> &'a mut Value {
    families.entry(name.to_owned()).or_insert_with(|| json!({ "type": "untyped", "help": "", "samples": [] }))
}

/// JSON has no NaN and no infinity: they go as the words of the text format.
fn number(text: &str) -> Value {
    match text.parse::<f64>().ok().and_then(Number::from_f64) {
        Some(number) => Value::Number(number),
        None => Value::String(text.to_owned()),
    }
}

fn sample(line: &str) -> Option<(&str, Map<String, Value>, &str)> {
    if line.starts_with('#') || line.is_empty() {
        return None;
    }
    let end = line.find(['{', ' '])?;
    let name = &line[..end];
    let (labels, rest) = match line[end..].strip_prefix('{') {
        Some(inside) => labels(inside)?,
        None => (Map::new(), &line[end..]),
    };
    let value = rest.split_ascii_whitespace().next()?;
    Some((name, labels, value))
}

/// The labels up to the closing brace, and what follows it.
fn labels(mut rest: &str) -> Option<(Map<String, Value>, &str)> {
    let mut found = Map::new();
    loop {
        rest = rest.trim_start_matches([',', ' ']);
        if let Some(after) = rest.strip_prefix('}') {
            return Some((found, after));
        }
        let (name, quoted) = rest.split_once("=\"")?;
        let mut end = None;
        let mut escaped = false;
        for (at, c) in quoted.char_indices() {
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => {
                    end = Some(at);
                    break;
                }
                _ => {}
            }
        }
        let end = end?;
        found.insert(name.to_owned(), unescape(&quoted[..end]).into());
        rest = &quoted[end + 1..];
    }
}

fn unescape(text: &str) -> String {
    if !text.contains('\\') {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, if c == '\\' { chars.next() } else { None }) {
            ('\\', Some('n')) => out.push('\n'),
            ('\\', Some(other)) => out.push(other),
            (c, _) => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_keeps_its_type_help_and_samples() {
        let text = "# HELP up Says \\\\ hello.\\nTwice.\n# TYPE up gauge\nup{a=\"b \\\"c\\\" } \\n,\",d=\"e\"} 1 1700000000000\nup NaN\n\
                    # TYPE h histogram\nh_bucket{le=\"+Inf\"} 3\nh_sum 0.5\nh_count 3\nlonely 7\nbroken{\n";
        let json = to_json(text);
        assert_eq!(json["up"]["type"], "gauge");
        assert_eq!(json["up"]["help"], "Says \\ hello.\nTwice.");
        assert_eq!(json["up"]["samples"][0]["labels"]["a"], "b \"c\" } \n,");
        assert_eq!(json["up"]["samples"][0]["value"], 1.0);
        assert_eq!(json["up"]["samples"][1]["value"], "NaN");
        assert_eq!(json["h"]["samples"].as_array().unwrap().len(), 3);
        assert_eq!(json["h"]["samples"][1]["labels"]["__name__"], "h_sum");
        assert_eq!(json["lonely"]["samples"][0]["value"], 7.0);
        assert_eq!(json.len(), 3);
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "(\\PC|#|HELP|TYPE| |\\{|\\}|=|\"|\\\\|\n|,|1){0,80}") {
            let _ = to_json(&text);
        }
    }
}
