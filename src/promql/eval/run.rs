//! One pass over time: fetches what selectors and subqueries need, evaluates the tree at each step, collects series.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use super::keys::{Places, Reader, hash_labels};
use super::over_time::Window;
use super::{Sample, Val, aggregate, binary, call};
use crate::model::Labels;
use crate::model::ports::{Series, SeriesId};
use crate::model::series::{Millis, Point, is_stale};
use crate::promql::ast::{AggregateOp, At, Binary, Expr, Selector, Shift, Subquery};
use crate::promql::cache::{Cache, Found};
use crate::promql::error::{Place, QueryError};
use crate::promql::functions::Op;
use crate::promql::{DEFAULT_SUBQUERY_STEP, Limits, Note, RangeSeries};

/// What is the same for a whole query: the data, the limits, the bounds that `@ start()` and `@ end()` mean.
pub(in crate::promql) struct Env<'a> {
    pub series: &'a dyn Series,
    pub limits: &'a Limits,
    pub cache: &'a Cache,
    pub start: Millis,
    pub end: Millis,
    pub step: i64,
    pub reader: Reader,
    /// Points looked at so far.
    pub looked_at: Cell<usize>,
    /// Points held now.
    pub held: Cell<usize>,
    /// None when nobody reads them.
    pub notes: Option<RefCell<Vec<Note>>>,
}

impl Env<'_> {
    /// Counts points that are looked at.
    pub fn look(&self, points: usize) -> Result<(), QueryError> {
        let total = self.looked_at.get().saturating_add(points);
        self.looked_at.set(total);
        if total > self.limits.max_samples {
            return Err(QueryError::TooManySamples { limit: self.limits.max_samples });
        }
        Ok(())
    }

    fn hold(&self, points: usize) -> Result<(), QueryError> {
        let total = self.held.get().saturating_add(points);
        self.held.set(total);
        if total > self.limits.max_held {
            return Err(QueryError::TooManyHeld { limit: self.limits.max_held });
        }
        Ok(())
    }

    fn check_series(&self, count: usize) -> Result<(), QueryError> {
        if count > self.limits.max_series {
            return Err(QueryError::TooManySeries { limit: self.limits.max_series });
        }
        Ok(())
    }

    /// Notes something that the answer alone does not tell, if anybody wants to know.
    pub fn note(&self, warning: bool, message: impl FnOnce() -> String) {
        let Some(notes) = &self.notes else { return };
        let mut notes = notes.borrow_mut();
        let note = Note { warning, message: message() };
        if notes.len() < 32 && !notes.contains(&note) {
            notes.push(note);
        }
    }

    pub fn check_quantile(&self, phi: f64, place: Place) {
        if !(0.0..=1.0).contains(&phi) {
            self.note(true, || format!("quantile value should be between 0 and 1, got {} ({place})", Number(phi)));
        }
    }
}

/// A number in a note, in Prometheus's words.
struct Number(f64);

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_infinite() { f.write_str(if self.0 > 0.0 { "+Inf" } else { "-Inf" }) } else { self.0.fmt(f) }
    }
}

/// A walk from one time to another. A subquery is a walk of its own.
pub(in crate::promql) struct Run<'a> {
    pub env: &'a Env<'a>,
    from: Millis,
    to: Millis,
    step: i64,
    /// Per selector and subquery: its data for the whole walk, fetched once.
    loaded: RefCell<Vec<Option<Rc<Loaded>>>>,
    scratch: RefCell<Vec<Point>>,
}

/// Series with all their points of a walk.
#[derive(Default)]
struct Loaded {
    series: Vec<Collected>,
}

/// One series of a walk's result.
pub(in crate::promql) struct Collected {
    pub labels: Labels,
    pub hide: bool,
    pub points: Vec<Point>,
}

/// Called for each series' window: labels, whether the name is to be dropped, points, the time covered.
type Visit<'v> = dyn FnMut(&Labels, bool, &[Point], Window) + 'v;

impl<'a> Run<'a> {
    pub fn new(env: &'a Env<'a>, from: Millis, to: Millis, step: i64) -> Self {
        Self { env, from, to, step, loaded: RefCell::default(), scratch: RefCell::default() }
    }

    fn is_single(&self) -> bool {
        self.from == self.to
    }

    /// Evaluates the tree at one time.
    pub fn eval(&self, expr: &Expr, at: Millis) -> Result<Val, QueryError> {
        Ok(match expr {
            Expr::Number(value) => Val::Scalar(*value),
            Expr::Text(text) => Val::Text(text.clone()),
            Expr::Paren(inner) => return self.eval(inner, at),
            Expr::Selector(selector) => Val::Vector(self.select(selector, at)?),
            Expr::Negate(inner) => match self.eval(inner, at)? {
                Val::Scalar(value) => Val::Scalar(-value),
                Val::Vector(mut samples) => {
                    for sample in &mut samples {
                        sample.value = -sample.value;
                        sample.hide = true;
                    }
                    self.check_unique(&samples, inner)?;
                    Val::Vector(samples)
                }
                other => other,
            },
            Expr::Binary(node) => return binary::evaluate(self, node, at),
            Expr::Aggregate(node) => Val::Vector(aggregate::evaluate(self, node, at)?),
            Expr::Call(node) => return call::evaluate(self, node, at),
            Expr::Range(..) | Expr::Subquery(_) => {
                return Err(QueryError::BadArgument(
                    "a range vector cannot be the result here; apply a function such as rate to it".into(),
                ));
            }
        })
    }

    /// Evaluates what is known to be a vector.
    pub fn vector(&self, expr: &Expr, at: Millis) -> Result<Vec<Sample>, QueryError> {
        match self.eval(expr, at)? {
            Val::Vector(samples) => Ok(samples),
            Val::Scalar(value) => Ok(vec![Sample { labels: Labels::empty(), hide: false, value }]),
            Val::Text(_) => Ok(Vec::new()),
        }
    }

    /// Evaluates what is known to be a scalar.
    pub fn scalar(&self, expr: &Expr, at: Millis) -> Result<f64, QueryError> {
        match self.eval(expr, at)? {
            Val::Scalar(value) => Ok(value),
            _ => Ok(f64::NAN),
        }
    }

    /// Two elements that differ only in a dropped name are an error, found at once unless names are dropped at the end.
    pub fn check_unique(&self, samples: &[Sample], from: &Expr) -> Result<(), QueryError> {
        if self.env.reader.delayed || samples.len() < 2 || !may_differ_in_name_only(from) {
            return Ok(());
        }
        self.unique(samples)
    }

    /// No two elements may have the same labels.
    pub fn unique(&self, samples: &[Sample]) -> Result<(), QueryError> {
        let reader = self.env.reader;
        let mut places = Places::with_capacity(samples.len());
        for (index, sample) in samples.iter().enumerate() {
            let same =
                |other: usize| samples.get(other).is_some_and(|other| reader.labels(other).eq(reader.labels(sample)));
            if places.find_or_put(reader.whole(sample), index, same).is_some() {
                return Err(QueryError::DuplicateLabels);
            }
        }
        Ok(())
    }

    /// The time that a selector looks at when the tree is evaluated at `at`.
    pub fn shifted(&self, shift: Shift, at: Millis) -> Millis {
        let base = match shift.at {
            At::Now => at,
            At::Start => self.env.start,
            At::End => self.env.end,
            At::Time(time) => time,
        };
        base - shift.offset
    }

    fn found(&self, selector: &Selector) -> Result<Arc<Found>, QueryError> {
        let found = self.env.cache.find(selector, self.env.series);
        self.env.check_series(found.members.len())?;
        self.env.look(found.members.len())?;
        Ok(found)
    }

    fn select(&self, selector: &Selector, at: Millis) -> Result<Vec<Sample>, QueryError> {
        let mut out = Vec::new();
        self.each_latest(selector, at, &mut |labels, point| {
            out.push(Sample { labels: labels.clone(), hide: false, value: point.value });
        })?;
        Ok(out)
    }

    /// Visits the newest point of each series that is not older than the lookback and not a staleness marker.
    pub fn each_latest(
        &self,
        selector: &Selector,
        at: Millis,
        visit: &mut dyn FnMut(&Labels, Point),
    ) -> Result<(), QueryError> {
        let to = self.shifted(selector.shift, at);
        // The window is open at its beginning, as in Prometheus 3.
        let from = to - self.env.limits.lookback_ms + 1;
        if self.is_single() {
            for (id, labels) in &self.found(selector)?.members {
                if let Some(point) = self.env.series.latest(*id, from, to)
                    && !is_stale(point.value)
                {
                    visit(labels, point);
                }
            }
            return Ok(());
        }
        let loaded = self.load(selector.node, || self.load_selector(selector, self.env.limits.lookback_ms, true))?;
        self.env.look(loaded.series.len())?;
        for series in &loaded.series {
            let end = series.points.partition_point(|point| point.at <= to);
            if let Some(point) = end.checked_sub(1).and_then(|last| series.points.get(last))
                && point.at >= from
                && !is_stale(point.value)
            {
                visit(&series.labels, *point);
            }
        }
        Ok(())
    }

    /// Visits the window of each series of a range vector; series without a point in it are left out.
    pub fn windows(&self, expr: &Expr, at: Millis, visit: &mut Visit<'_>) -> Result<(), QueryError> {
        match expr {
            Expr::Paren(inner) => self.windows(inner, at, visit),
            Expr::Range(selector, range) => self.selector_windows(selector, *range, at, visit),
            Expr::Subquery(subquery) => {
                let to = self.shifted(subquery.shift, at);
                let window = Window { from: to - subquery.range, to };
                let loaded = self.load(subquery.node, || self.load_subquery(subquery))?;
                self.visit_loaded(&loaded, window, visit)
            }
            _ => Err(QueryError::BadArgument("this function needs a range vector such as metric[5m]".into())),
        }
    }

    fn selector_windows(
        &self,
        selector: &Selector,
        range: i64,
        at: Millis,
        visit: &mut Visit<'_>,
    ) -> Result<(), QueryError> {
        let to = self.shifted(selector.shift, at);
        let window = Window { from: to - range, to };
        if !self.is_single() {
            let loaded = self.load(selector.node, || self.load_selector(selector, range, false))?;
            return self.visit_loaded(&loaded, window, visit);
        }
        let found = self.found(selector)?;
        let mut points = self.scratch.take();
        for (id, labels) in &found.members {
            self.fetch(*id, window.from + 1, to, &mut points)?;
            if !points.is_empty() {
                visit(labels, false, &points, window);
            }
        }
        self.scratch.replace(points);
        Ok(())
    }

    fn visit_loaded(&self, loaded: &Loaded, window: Window, visit: &mut Visit<'_>) -> Result<(), QueryError> {
        for series in &loaded.series {
            let begin = series.points.partition_point(|point| point.at <= window.from);
            let end = series.points.partition_point(|point| point.at <= window.to);
            let points = series.points.get(begin..end).unwrap_or_default();
            self.env.look(points.len())?;
            if !points.is_empty() {
                visit(&series.labels, series.hide, points, window);
            }
        }
        Ok(())
    }

    /// One series' points without staleness markers, into a buffer that is emptied first.
    fn fetch(&self, id: SeriesId, from: Millis, to: Millis, points: &mut Vec<Point>) -> Result<(), QueryError> {
        points.clear();
        self.env.series.points(id, from, to, points);
        self.env.look(points.len())?;
        // Markers are rare: looking is cheaper than moving.
        if points.iter().any(|point| is_stale(point.value)) {
            points.retain(|point| !is_stale(point.value));
        }
        Ok(())
    }

    fn load(&self, node: usize, build: impl FnOnce() -> Result<Loaded, QueryError>) -> Result<Rc<Loaded>, QueryError> {
        if let Some(Some(loaded)) = self.loaded.borrow().get(node) {
            return Ok(Rc::clone(loaded));
        }
        let loaded = Rc::new(build()?);
        let mut table = self.loaded.borrow_mut();
        if table.len() <= node {
            table.resize(node + 1, None);
        }
        if let Some(place) = table.get_mut(node) {
            *place = Some(Rc::clone(&loaded));
        }
        Ok(loaded)
    }

    /// All points that a selector will be asked for during this walk. Staleness markers end an instant vector's series
    /// and are not part of a range.
    fn load_selector(&self, selector: &Selector, before: i64, markers: bool) -> Result<Loaded, QueryError> {
        let (low, high) = (self.shifted(selector.shift, self.from), self.shifted(selector.shift, self.to));
        let found = self.found(selector)?;
        let mut loaded = Loaded::default();
        for (id, labels) in &found.members {
            let mut points = Vec::new();
            self.env.series.points(*id, low.min(high) - before + 1, low.max(high), &mut points);
            self.env.look(points.len())?;
            if !markers {
                points.retain(|point| !is_stale(point.value));
            }
            if points.is_empty() {
                continue;
            }
            points.shrink_to_fit();
            self.env.hold(points.len())?;
            loaded.series.push(Collected { labels: labels.clone(), hide: false, points });
        }
        Ok(loaded)
    }

    fn load_subquery(&self, subquery: &Subquery) -> Result<Loaded, QueryError> {
        let step = subquery.step.unwrap_or(DEFAULT_SUBQUERY_STEP);
        let (low, high) = (self.shifted(subquery.shift, self.from), self.shifted(subquery.shift, self.to));
        // Steps lie on multiples of the step, the first one after the window's open beginning.
        let from = ((low - subquery.range).div_euclid(step) + 1) * step;
        if from > high {
            return Ok(Loaded::default());
        }
        let to = from + (high - from) / step * step;
        let run = Run::new(self.env, from, to, step);
        let series = run.collect(&subquery.inner, self.env.reader.delayed)?;
        // What the inner walk held is gone now; what stays is counted.
        Ok(Loaded { series })
    }

    /// Evaluates the tree at every step and strings the elements together to series.
    ///
    /// With `keep_names` names that are to be dropped stay, marked; else they are dropped here.
    pub fn collect(&self, expr: &Expr, keep_names: bool) -> Result<Vec<Collected>, QueryError> {
        let steps = ((self.to - self.from) / self.step) as u64 + 1;
        if steps > self.env.limits.max_steps as u64 {
            return Err(QueryError::TooManySteps { steps, limit: self.env.limits.max_steps });
        }
        let mut out: Vec<Collected> = Vec::new();
        let mut places = Places::default();
        // Where the elements of the last step went: the next step usually has the same ones in the same order.
        let mut last: Vec<(Labels, bool, usize)> = Vec::new();
        let mut at = self.from;
        while at <= self.to {
            self.env.look(1)?;
            let samples = self.vector(expr, at)?;
            self.env.look(samples.len())?;
            self.env.hold(samples.len())?;
            for (index, sample) in samples.into_iter().enumerate() {
                let known =
                    last.get(index).filter(|(labels, hide, _)| *hide == sample.hide && *labels == sample.labels);
                let place = match known {
                    Some((_, _, place)) => *place,
                    None => {
                        let place = place_of(&mut out, &mut places, &sample, keep_names);
                        let entry = (sample.labels, sample.hide, place);
                        match last.get_mut(index) {
                            Some(old) => *old = entry,
                            None => last.push(entry),
                        }
                        place
                    }
                };
                if let Some(series) = out.get_mut(place) {
                    if series.points.last().is_some_and(|point| point.at == at) {
                        return Err(QueryError::DuplicateLabels);
                    }
                    series.points.push(Point { at, value: sample.value });
                }
            }
            self.env.check_series(out.len())?;
            at += self.step;
        }
        Ok(out)
    }

    /// A range vector as it is.
    pub fn matrix(&self, expr: &Expr, at: Millis) -> Result<Vec<RangeSeries>, QueryError> {
        let mut out = Vec::new();
        self.windows(expr, at, &mut |labels, hide, points, _| {
            let labels = if hide { labels.without_metric() } else { labels.clone() };
            out.push(RangeSeries { labels, points: points.to_vec() });
        })?;
        Ok(out)
    }
}

fn place_of(out: &mut Vec<Collected>, places: &mut Places, sample: &Sample, keep_names: bool) -> usize {
    let drop = sample.hide && !keep_names;
    let labels = if drop { sample.labels.without_metric() } else { sample.labels.clone() };
    let hide = sample.hide && !drop;
    let next = out.len();
    let same = |place: usize| out.get(place).is_some_and(|series| series.hide == hide && series.labels == labels);
    match places.find_or_put(hash_labels(&labels), next, same) {
        Some(place) => place,
        None => {
            out.push(Collected { labels, hide, points: Vec::new() });
            next
        }
    }
}

/// Whether two elements of a result may have the same labels but for the metric's name.
fn may_differ_in_name_only(expr: &Expr) -> bool {
    match expr {
        Expr::Selector(selector) | Expr::Range(selector, _) => !selector.is_named(),
        Expr::Subquery(subquery) => may_differ_in_name_only(&subquery.inner),
        Expr::Paren(inner) => may_differ_in_name_only(inner),
        Expr::Number(_) | Expr::Text(_) | Expr::Negate(_) => false,
        Expr::Aggregate(aggregate) => match aggregate.op {
            AggregateOp::Topk | AggregateOp::Bottomk => may_differ_in_name_only(&aggregate.inner),
            _ => {
                !aggregate.grouping.except
                    && aggregate.grouping.labels.iter().any(|label| label == crate::model::labels::METRIC_NAME)
            }
        },
        Expr::Call(call) => match call.function.op {
            Op::LabelReplace | Op::LabelJoin => true,
            Op::Sort { .. }
            | Op::SortByLabel { .. }
            | Op::Range(super::over_time::RangeOp::First | super::over_time::RangeOp::Last) => {
                call.args.first().is_some_and(may_differ_in_name_only)
            }
            _ => false,
        },
        Expr::Binary(node) => keeps_many_names(node),
    }
}

fn keeps_many_names(node: &Binary) -> bool {
    let side = may_differ_in_name_only(&node.left) || may_differ_in_name_only(&node.right);
    match node.op {
        crate::promql::ast::BinaryOp::Or => true,
        op if op.is_set() => side,
        op => op.is_comparison() && !node.as_bool && side,
    }
}
