//! The phases of an exchange and how long each took.

use std::time::Instant;

/// What an exchange is waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Name to addresses.
    Resolve,
    /// TCP.
    Connect,
    /// TLS.
    Tls,
    /// Request sent, until the head of the answer is there.
    FirstByte,
    /// The body of the answer.
    Transfer,
}

impl Phase {
    /// The word in verdicts and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::FirstByte => "first_byte",
            Self::Transfer => "transfer",
        }
    }

    /// The reason of a deadline that passed in this phase.
    #[must_use]
    pub fn timeout_reason(self) -> &'static str {
        match self {
            Self::Resolve => "ResolveTimeout",
            Self::Connect => "ConnectTimeout",
            Self::Tls => "TlsTimeout",
            Self::FirstByte => "ResponseTimeout",
            Self::Transfer => "TransferTimeout",
        }
    }

    pub(super) fn awaited(self) -> &'static str {
        match self {
            Self::Resolve => "answer from the DNS server",
            Self::Connect => "connection",
            Self::Tls => "TLS handshake",
            Self::FirstByte => "answer",
            Self::Transfer => "complete answer",
        }
    }

    pub(super) fn remedy(self) -> &'static str {
        match self {
            Self::Resolve => "check that the DNS servers of /etc/resolv.conf answer",
            Self::Connect => "check that the host is up and that no firewall drops packets",
            Self::Tls => "check that the port speaks TLS",
            Self::FirstByte => "check what keeps the service busy, or raise the timeout",
            Self::Transfer => "check the service's load and the network, or raise the timeout",
        }
    }
}

/// A stop watch over phases. Entering a phase twice (redirects) adds up.
#[derive(Debug)]
pub struct Phases {
    current: Phase,
    since: Instant,
    spent: Vec<(&'static str, f64)>,
}

impl Phases {
    /// Starts with `first`, now.
    #[must_use]
    pub fn start(first: Phase) -> Self {
        Self { current: first, since: Instant::now(), spent: Vec::with_capacity(5) }
    }

    /// The phase that runs.
    #[must_use]
    pub fn current(&self) -> Phase {
        self.current
    }

    /// Ends the running phase and begins `next`.
    pub fn enter(&mut self, next: Phase) {
        self.book();
        self.current = next;
    }

    /// Begins `next` without counting the running phase, which turned out to be empty.
    pub fn skip_to(&mut self, next: Phase) {
        self.current = next;
    }

    /// Ends the running phase; milliseconds per phase, in order of first entry.
    #[must_use]
    pub fn finish(mut self) -> Vec<(&'static str, f64)> {
        self.book();
        self.spent
    }

    fn book(&mut self) {
        let now = Instant::now();
        let millis = now.duration_since(self.since).as_secs_f64() * 1000.0;
        self.since = now;
        let name = self.current.as_str();
        match self.spent.iter_mut().find(|(known, _)| *known == name) {
            Some((_, sum)) => *sum += millis,
            None => self.spent.push((name, millis)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_entered_twice_is_listed_once() {
        let mut phases = Phases::start(Phase::Resolve);
        phases.enter(Phase::Connect);
        phases.enter(Phase::FirstByte);
        phases.enter(Phase::Connect);
        let names: Vec<_> = phases.finish().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["resolve", "connect", "first_byte"]);
    }

    #[test]
    fn a_skipped_phase_is_not_listed() {
        let mut phases = Phases::start(Phase::Resolve);
        phases.skip_to(Phase::Connect);
        assert_eq!(phases.finish().len(), 1);
    }
}
