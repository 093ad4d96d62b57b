//! Dashboards: panels with sound queries, under ids that are unique.

use std::collections::BTreeMap;

use super::{Compiled, Complaints, Object, Objects, Settings};
use crate::api::{DashboardSpec, Kind};
use crate::model::dashboard::{Panel, PanelQuery};
use crate::model::labels::METRIC_NAME;
use crate::model::view::DashboardView;
use crate::model::{Matcher, ObjectKey};
use crate::promql::Query;

/// Compiles all dashboards, by title. A dashboard that did not change keeps its times.
pub fn compile_all(
    objects: &Objects,
    settings: &Settings,
    previous: &[DashboardView],
    now_s: i64,
    out: &mut Compiled,
) -> Vec<DashboardView> {
    let ids = ids(objects);
    let before: BTreeMap<&ObjectKey, &DashboardView> = previous.iter().map(|view| (&view.key, view)).collect();
    let now = now_s.saturating_mul(1000);
    let mut views = Vec::new();
    for (key, dashboard) in &objects.dashboards {
        let mut complaints = Complaints::new(Kind::Dashboard, key);
        complaints.add_not_yet(&dashboard.spec);
        let selectors = check_queries(&dashboard.spec.panels, &mut complaints);
        if !complaints.list.is_empty() {
            out.refused.append(&mut complaints.list);
            continue;
        }
        out.selectors.extend(selectors);
        let mut view = view(dashboard, ids.get(key).cloned().unwrap_or_default(), settings);
        let old = before.get(key);
        view.created_at = dashboard.created_at.or(old.map(|old| old.created_at)).unwrap_or(now);
        view.updated_at = old.filter(|old| same(old, &view)).map_or(now, |old| old.updated_at);
        views.push(view);
    }
    views.sort_by(|a, b| (&a.title, &a.key).cmp(&(&b.title, &b.key)));
    views
}

fn view(dashboard: &Object<DashboardSpec>, id: String, settings: &Settings) -> DashboardView {
    let spec = &dashboard.spec;
    DashboardView {
        key: dashboard.key.clone(),
        id,
        title: spec.title.clone(),
        description: spec.description.clone(),
        refresh_ms: spec.refresh_interval.unwrap_or(settings.dashboard_interval).as_millis().max(1000),
        created_at: 0,
        updated_at: 0,
        panels: spec.panels.clone(),
    }
}

fn same(a: &DashboardView, b: &DashboardView) -> bool {
    (&a.id, &a.title, &a.description, a.refresh_ms, &a.panels)
        == (&b.id, &b.title, &b.description, b.refresh_ms, &b.panels)
}

/// Name with `-` as `_`; with the namespace before it where two would be equal.
fn ids(objects: &Objects) -> BTreeMap<ObjectKey, String> {
    let short = |key: &ObjectKey| key.name.replace('-', "_");
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for key in objects.dashboards.keys() {
        *counts.entry(short(key)).or_default() += 1;
    }
    let id = |key: &ObjectKey| match counts.get(&short(key)) {
        Some(2..) => format!("{}/{}", key.namespace, short(key)),
        _ => short(key),
    };
    objects.dashboards.keys().map(|key| (key.clone(), id(key))).collect()
}

fn check_queries(panels: &[Panel], complaints: &mut Complaints<'_>) -> Vec<Vec<Matcher>> {
    let mut selectors = Vec::new();
    for (index, panel) in panels.iter().enumerate() {
        for (at, query) in panel.queries.iter().enumerate() {
            let path = format!("spec.panels[{index}].queries[{at}]");
            match query {
                PanelQuery { metric: Some(metric), .. } => selectors.push(vec![Matcher::equal(METRIC_NAME, metric)]),
                PanelQuery { expr: Some(expr), .. } => match Query::parse(expr) {
                    Ok(query) if query.yields_vector() => selectors.extend(query.selectors()),
                    Ok(_) => {
                        let message = "the expression gives a range or a text, not one value per series";
                        complaints.add(
                            format!("{path}.expr"),
                            "NotAVector",
                            message,
                            "apply a function such as rate()",
                        );
                    }
                    Err(error) => complaints.add(format!("{path}.expr"), error.reason(), error.to_string(), ""),
                },
                PanelQuery { .. } => {}
            }
        }
    }
    selectors
}
