//! The dialer: resolve, judge every address, connect to exactly the address that was judged.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::net::TcpStream;
use tokio::time::{timeout, timeout_at};

use super::error::NetError;
use super::phases::{Phase, Phases};
use super::policy::{self, DialPolicy, Refusal};
use super::resolve::{Resolve, SystemResolver};

/// How many addresses of one name are tried.
const MAX_ADDRESSES: usize = 8;
/// The least time that one address is given, if the deadline leaves it.
const LEAST_ATTEMPT: Duration = Duration::from_millis(250);

/// Makes connections under a [`DialPolicy`]. Cheap to clone; clones share the policy.
#[derive(Clone)]
pub struct Dialer(Arc<Inner>);

struct Inner {
    policy: ArcSwap<DialPolicy>,
    resolver: Arc<dyn Resolve>,
}

/// A connection, and what it took to make it.
#[derive(Debug)]
pub struct Connection {
    /// The connection, without Nagle's delay.
    pub stream: TcpStream,
    /// The address that was judged and connected to.
    pub address: SocketAddr,
    /// Milliseconds spent on `resolve` (absent for a literal address) and `connect`.
    pub phases: Vec<(&'static str, f64)>,
}

impl Dialer {
    /// With the machine's own resolver.
    #[must_use]
    pub fn new(policy: DialPolicy) -> Self {
        Self::with_resolver(policy, Arc::new(SystemResolver::default()))
    }

    /// With a resolver of the caller's choice.
    #[must_use]
    pub fn with_resolver(policy: DialPolicy, resolver: Arc<dyn Resolve>) -> Self {
        Self(Arc::new(Inner { policy: ArcSwap::from_pointee(policy), resolver }))
    }

    /// Replaces the policy, for all clones, from the next connection on.
    pub fn set_policy(&self, policy: DialPolicy) {
        self.0.policy.store(Arc::new(policy));
    }

    /// Connects to a name or a literal address.
    ///
    /// # Errors
    /// The policy forbids it, there is no address, nobody listens, or the deadline passed (with the phase).
    pub async fn connect(&self, host: &str, port: u16, deadline: Instant) -> Result<Connection, NetError> {
        let mut phases = Phases::start(Phase::Resolve);
        let connected = timeout_at(deadline.into(), self.connect_within(host, port, deadline, &mut phases)).await;
        match connected {
            Ok(Ok((stream, address))) => Ok(Connection { stream, address, phases: phases.finish() }),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(NetError::timeout(host, port, phases.current())),
        }
    }

    /// The same, inside the caller's own deadline and stop watch. Ends in phase `connect`, still running.
    pub(super) async fn connect_within(
        &self,
        host: &str,
        port: u16,
        deadline: Instant,
        phases: &mut Phases,
    ) -> Result<(TcpStream, SocketAddr), NetError> {
        let addresses = match policy::literal(host).map_err(|refusal| NetError::denied(host, port, refusal))? {
            Some(address) => {
                phases.skip_to(Phase::Connect);
                return self.one(host, port, address).await;
            }
            None => self.0.resolver.resolve(host).await?,
        };
        phases.enter(Phase::Connect);
        // From here on only these addresses are used: a name that resolves differently a moment later changes nothing.
        let addresses = self.permitted(host, port, addresses)?;
        let mut last = None;
        for (index, address) in addresses.iter().enumerate() {
            let left = addresses.len() - index;
            let attempt = self.one(host, port, *address);
            let connected = if left == 1 {
                attempt.await
            } else {
                // An address that swallows packets must not eat the time of the others.
                let share = deadline.saturating_duration_since(Instant::now()) / left as u32;
                let patience = share.max(LEAST_ATTEMPT);
                timeout(patience, attempt).await.unwrap_or_else(|_| Err(NetError::timeout(host, port, Phase::Connect)))
            };
            match connected {
                Ok(done) => return Ok(done),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| NetError::NoSuchName { host: host.into() }))
    }

    /// The addresses that the policy permits, in the resolver's order; its first objection if it permits none.
    fn permitted(&self, host: &str, port: u16, addresses: Vec<IpAddr>) -> Result<Vec<IpAddr>, NetError> {
        let policy = self.0.policy.load();
        let mut permitted: Vec<IpAddr> = Vec::with_capacity(addresses.len().min(MAX_ADDRESSES));
        let mut objection = None;
        for address in addresses {
            match policy.judge(address, port) {
                Ok(()) if permitted.len() < MAX_ADDRESSES && !permitted.contains(&address) => permitted.push(address),
                Ok(()) => {}
                Err(refusal) => objection = objection.or(Some(refusal)),
            }
        }
        match objection {
            Some(refusal) if permitted.is_empty() => Err(NetError::denied(host, port, refusal)),
            _ => Ok(permitted),
        }
    }

    /// Judges and connects to one address: the only place in the house that opens an outbound TCP connection.
    async fn one(&self, host: &str, port: u16, address: IpAddr) -> Result<(TcpStream, SocketAddr), NetError> {
        let judged: Result<(), Refusal> = self.0.policy.load().judge(address, port);
        judged.map_err(|refusal| NetError::denied(host, port, refusal))?;
        let pinned = SocketAddr::new(address, port);
        let stream = TcpStream::connect(pinned).await.map_err(|e| NetError::connect(host, port, address, &e))?;
        // An error here only costs speed.
        let _ = stream.set_nodelay(true);
        Ok((stream, pinned))
    }
}

#[cfg(test)]
mod tests;
