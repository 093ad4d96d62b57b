//! Labels: the sorted name/value pairs that give a series or an alert its identity.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The label that carries a metric's name inside queries (never inside a stored label set's text).
pub const METRIC_NAME: &str = "__name__";

/// A set of labels, sorted by name, without duplicates and without empty values.
///
/// An empty value means "label absent", as in Prometheus. Cloning is one reference count.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Labels(Arc<[(Arc<str>, Arc<str>)]>);

impl Labels {
    /// The empty set.
    #[must_use]
    pub fn empty() -> Self {
        Self(Arc::from([]))
    }

    /// Builds a set from pairs in any order; of two pairs with one name the later wins.
    pub fn from_pairs<N, V>(pairs: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: Into<Arc<str>>,
        V: Into<Arc<str>>,
    {
        let mut list: Vec<(Arc<str>, Arc<str>)> = Vec::new();
        for (name, value) in pairs {
            let (name, value) = (name.into(), value.into());
            match list.binary_search_by(|(n, _)| n.as_ref().cmp(name.as_ref())) {
                Ok(at) => list[at].1 = value,
                Err(at) => list.insert(at, (name, value)),
            }
        }
        list.retain(|(_, value)| !value.is_empty());
        Self(list.into())
    }

    /// The value of one label, if present.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.binary_search_by(|(n, _)| n.as_ref().cmp(name)).ok().map(|at| self.0[at].1.as_ref())
    }

    /// The metric name, if the set carries one.
    #[must_use]
    pub fn metric(&self) -> Option<&str> {
        self.get(METRIC_NAME)
    }

    /// Names and values in order of name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(n, v)| (n.as_ref(), v.as_ref()))
    }

    /// How many labels there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no label.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The same set with one label set (an empty value removes it).
    #[must_use]
    pub fn with(&self, name: &str, value: &str) -> Self {
        Self::from_pairs(self.0.iter().cloned().chain(std::iter::once((Arc::from(name), Arc::from(value)))))
    }

    /// The same set without the named labels.
    #[must_use]
    pub fn without(&self, names: &[&str]) -> Self {
        Self(self.0.iter().filter(|(n, _)| !names.contains(&n.as_ref())).cloned().collect())
    }

    /// Only the named labels.
    #[must_use]
    pub fn only(&self, names: &[&str]) -> Self {
        Self(self.0.iter().filter(|(n, _)| names.contains(&n.as_ref())).cloned().collect())
    }

    /// The same set without the metric name.
    #[must_use]
    pub fn without_metric(&self) -> Self {
        if self.metric().is_some() { self.without(&[METRIC_NAME]) } else { self.clone() }
    }

    /// A 64-bit FNV-1a hash over names and values, equal on every machine and in every version.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let mut hash = Fnv::default();
        for (name, value) in self.iter() {
            hash.part(name);
            hash.part(value);
        }
        hash.finish()
    }
}

/// FNV-1a over text parts, each closed by a byte that UTF-8 never contains.
///
/// Used where a hash is part of the protocol (fingerprints, scheduling phases) and so must never
/// depend on the Rust version.
#[derive(Clone, Copy)]
pub struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    /// Adds one part.
    pub fn part(&mut self, text: &str) {
        for byte in text.bytes().chain(std::iter::once(0xff)) {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    /// The hash so far.
    #[must_use]
    pub fn finish(self) -> u64 {
        self.0
    }

    /// The hash of several parts.
    #[must_use]
    pub fn of(parts: &[&str]) -> u64 {
        let mut hash = Self::default();
        for part in parts {
            hash.part(part);
        }
        hash.finish()
    }
}

impl Default for Labels {
    fn default() -> Self {
        Self::empty()
    }
}

impl fmt::Display for Labels {
    /// `name{a="b"}` as Prometheus writes a series; `{}` when there is nothing to say.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = self.metric() {
            f.write_str(name)?;
            if self.len() == 1 {
                return Ok(());
            }
        }
        f.write_str("{")?;
        let rest = self.iter().filter(|(n, _)| *n != METRIC_NAME);
        for (index, (name, value)) in rest.enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{name}={value:?}")?;
        }
        f.write_str("}")
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Labels {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let map = std::collections::BTreeMap::<String, String>::deserialize(deserializer)?;
        Ok(Self::from_pairs(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_of_pairs_does_not_change_identity() {
        let a = Labels::from_pairs([("b", "2"), ("a", "1")]);
        let b = Labels::from_pairs([("a", "1"), ("b", "2")]);
        assert_eq!(a, b);
        assert_eq!(a.fingerprint(), b.fingerprint());
    }

    #[test]
    fn a_boundary_between_name_and_value_is_part_of_the_fingerprint() {
        let a = Labels::from_pairs([("ab", "c")]);
        let b = Labels::from_pairs([("a", "bc")]);
        assert_ne!(a.fingerprint(), b.fingerprint());
    }

    #[test]
    fn an_empty_value_is_an_absent_label() {
        let labels = Labels::from_pairs([("a", "1")]).with("a", "");
        assert!(labels.is_empty());
    }

    #[test]
    fn series_are_written_as_prometheus_writes_them() {
        let labels = Labels::from_pairs([(METRIC_NAME, "up"), ("job", "a\"b")]);
        assert_eq!(labels.to_string(), r#"up{job="a\"b"}"#);
    }
}
