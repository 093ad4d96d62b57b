//! Names to addresses: /etc/hosts, then the DNS servers of /etc/resolv.conf.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;

use super::error::NetError;
use crate::model::check::BoxFuture;

/// How long an answer of the DNS may be reused, whatever its TTL: a check should see the truth soon.
const LONGEST_CACHED: Duration = Duration::from_secs(5);
/// The same for "there is no such name".
const LONGEST_CACHED_ABSENCE: Duration = Duration::from_secs(1);
/// How often the files are looked at for changes.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Largest hosts file that is read.
const MAX_HOSTS: u64 = 1024 * 1024;

/// Turns a host name into addresses. Literal addresses never get here.
pub trait Resolve: Send + Sync {
    /// All addresses of a name, best first; never an empty list.
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, Result<Vec<IpAddr>, NetError>>;
}

/// The machine's own way of looking names up, without the C library: `localhost`, /etc/hosts, then DNS with the
/// search list of /etc/resolv.conf. Both files are read again when they change; without resolv.conf, or without a
/// server in it, the server is 127.0.0.1, as resolv.conf(5) says.
pub struct SystemResolver {
    hosts_file: PathBuf,
    resolv_conf: PathBuf,
    loaded: Mutex<Option<Arc<Loaded>>>,
}

/// What was read from the files, and when.
struct Loaded {
    hosts: HashMap<String, Vec<IpAddr>>,
    dns: Result<TokioResolver, String>,
    stamps: [Option<SystemTime>; 2],
    looked: Mutex<Instant>,
}

impl Default for SystemResolver {
    fn default() -> Self {
        Self::with_files("/etc/hosts", "/etc/resolv.conf")
    }
}

impl SystemResolver {
    /// With other files than the machine's own.
    #[must_use]
    pub fn with_files(hosts_file: impl Into<PathBuf>, resolv_conf: impl Into<PathBuf>) -> Self {
        Self { hosts_file: hosts_file.into(), resolv_conf: resolv_conf.into(), loaded: Mutex::new(None) }
    }

    fn loaded(&self) -> Arc<Loaded> {
        let mut slot = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(loaded) = slot.as_ref() {
            let mut looked = loaded.looked.lock().unwrap_or_else(PoisonError::into_inner);
            if looked.elapsed() < LOOK_EVERY {
                return Arc::clone(loaded);
            }
            if loaded.stamps == self.stamps() {
                *looked = Instant::now();
                return Arc::clone(loaded);
            }
        }
        let loaded = Arc::new(Loaded {
            stamps: self.stamps(),
            hosts: read_hosts(&self.hosts_file),
            dns: dns(&self.resolv_conf),
            looked: Mutex::new(Instant::now()),
        });
        *slot = Some(Arc::clone(&loaded));
        loaded
    }

    fn stamps(&self) -> [Option<SystemTime>; 2] {
        [&self.hosts_file, &self.resolv_conf].map(|path| std::fs::metadata(path).and_then(|m| m.modified()).ok())
    }
}

impl Resolve for SystemResolver {
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, Result<Vec<IpAddr>, NetError>> {
        Box::pin(async move {
            let loaded = self.loaded();
            let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
            if let Some(addresses) = loaded.hosts.get(&name) {
                return Ok(addresses.clone());
            }
            // RFC 6761: these names never leave the machine.
            if name == "localhost" || name.ends_with(".localhost") {
                return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
            }
            let failed = |why: String| NetError::ResolveFailed { host: host.into(), why };
            let dns = loaded.dns.as_ref().map_err(|why| failed(why.clone()))?;
            match dns.lookup_ip(host).await {
                Ok(found) => {
                    let addresses: Vec<IpAddr> = found.iter().collect();
                    if addresses.is_empty() { Err(NetError::NoSuchName { host: host.into() }) } else { Ok(addresses) }
                }
                Err(error) if error.is_nx_domain() || error.is_no_records_found() => {
                    Err(NetError::NoSuchName { host: host.into() })
                }
                Err(error) => Err(failed(shorten(&error.to_string()))),
            }
        })
    }
}

fn dns(resolv_conf: &Path) -> Result<TokioResolver, String> {
    let read = std::fs::read(resolv_conf).ok();
    let conf = read.and_then(|text| hickory_resolver::system_conf::parse_resolv_conf(text).ok());
    let (config, options) = conf.unwrap_or_else(|| {
        let local = NameServerConfig::udp_and_tcp(Ipv4Addr::LOCALHOST.into());
        (ResolverConfig::from_name_servers(vec![local]), ResolverOpts::default())
    });
    asking(config, options)
}

fn asking(config: ResolverConfig, mut options: ResolverOpts) -> Result<TokioResolver, String> {
    options.use_hosts_file = ResolveHosts::Never;
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    options.cache_size = 1024;
    options.positive_max_ttl = Some(LONGEST_CACHED);
    options.negative_max_ttl = Some(LONGEST_CACHED_ABSENCE);
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    *builder.options_mut() = options;
    builder.build().map_err(|error| shorten(&error.to_string()))
}

/// Reads `address name name…` lines; what is not one is skipped.
fn read_hosts(path: &Path) -> HashMap<String, Vec<IpAddr>> {
    let small = std::fs::metadata(path).is_ok_and(|meta| meta.len() <= MAX_HOSTS);
    let bytes = if small { std::fs::read(path).unwrap_or_default() } else { Vec::new() };
    let mut hosts: HashMap<String, Vec<IpAddr>> = HashMap::new();
    for line in String::from_utf8_lossy(&bytes).lines() {
        let mut words = line.split('#').next().unwrap_or_default().split_ascii_whitespace();
        let Some(address) = words.next().and_then(|word| word.parse::<IpAddr>().ok()) else { continue };
        for name in words {
            let known = hosts.entry(name.to_ascii_lowercase()).or_default();
            if !known.contains(&address) && known.len() < 16 {
                known.push(address);
            }
        }
    }
    // The same order as for every other name: IPv4 first.
    hosts.values_mut().for_each(|addresses| addresses.sort_by_key(IpAddr::is_ipv6));
    hosts
}

fn shorten(text: &str) -> String {
    text.chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(hosts: &str, resolv: Option<&str>) -> (tempfile::TempDir, SystemResolver) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("hosts"), hosts).unwrap();
        if let Some(resolv) = resolv {
            std::fs::write(dir.path().join("resolv.conf"), resolv).unwrap();
        }
        let resolver = SystemResolver::with_files(dir.path().join("hosts"), dir.path().join("resolv.conf"));
        (dir, resolver)
    }

    #[tokio::test]
    async fn a_name_of_the_hosts_file_needs_no_dns_server() {
        let (_dir, resolver) =
            files("192.0.2.7 Shop shop.example # 192.0.2.8 no\nnonsense\n::9 shop\n\u{0}\u{ff}", None);
        let found = resolver.resolve("SHOP.example.").await.unwrap();
        assert_eq!(found, ["192.0.2.7".parse::<IpAddr>().unwrap()]);
        assert_eq!(resolver.resolve("shop").await.unwrap().len(), 2);
    }

    #[tokio::test]
    async fn localhost_is_the_machine_even_without_any_file() {
        let resolver = SystemResolver::with_files("/nonexistent/hosts", "/nonexistent/resolv.conf");
        for name in ["localhost", "LOCALHOST.", "shop.localhost"] {
            assert_eq!(resolver.resolve(name).await.unwrap()[0], IpAddr::from(Ipv4Addr::LOCALHOST), "{name}");
        }
    }

    #[tokio::test]
    async fn a_changed_hosts_file_is_read_again() {
        let (dir, resolver) = files("192.0.2.1 shop\n", None);
        resolver.resolve("shop").await.unwrap();
        let path = dir.path().join("hosts");
        std::fs::write(&path, "192.0.2.2 shop\n").unwrap();
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(SystemTime::now() + Duration::from_secs(10)).unwrap();
        // As if the last look had been long ago.
        let past = Instant::now().checked_sub(LOOK_EVERY * 2).unwrap();
        *resolver.loaded().looked.lock().unwrap() = past;
        assert_eq!(resolver.resolve("shop").await.unwrap(), ["192.0.2.2".parse::<IpAddr>().unwrap()]);
    }

    /// A DNS server on loopback that knows `shop.example`, does not know `absent.example`, and fails for all else.
    async fn dns_server() -> (SystemResolver, Arc<std::sync::atomic::AtomicUsize>) {
        use hickory_resolver::config::ConnectionConfig;
        use hickory_resolver::proto::op::{Message, ResponseCode};
        use hickory_resolver::proto::rr::rdata::{A, AAAA};
        use hickory_resolver::proto::rr::{RData, Record, RecordType};

        let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let port = socket.local_addr().unwrap().port();
        let asked = Arc::<std::sync::atomic::AtomicUsize>::default();
        let count = Arc::clone(&asked);
        tokio::spawn(async move {
            let mut buffer = [0; 1500];
            while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                let question = Message::from_vec(&buffer[..length]).unwrap();
                let query = question.queries[0].clone();
                let mut answer = Message::response(question.metadata.id, question.metadata.op_code);
                answer.add_query(query.clone());
                match query.name().to_ascii().to_ascii_lowercase().as_str() {
                    "shop.example." => {
                        let data = match query.query_type() {
                            RecordType::A => RData::A(A::new(192, 0, 2, 7)),
                            _ => RData::AAAA(AAAA::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 7)),
                        };
                        answer.add_answer(Record::from_rdata(query.name().clone(), 3600, data));
                    }
                    "absent.example." => answer.metadata.response_code = ResponseCode::NXDomain,
                    _ => answer.metadata.response_code = ResponseCode::ServFail,
                }
                socket.send_to(&answer.to_vec().unwrap(), from).await.unwrap();
            }
        });
        let mut server = NameServerConfig::udp(Ipv4Addr::LOCALHOST.into());
        let mut connection = ConnectionConfig::udp();
        connection.port = port;
        server.connections = vec![connection];
        let mut options = ResolverOpts::default();
        options.attempts = 0;
        let resolver = SystemResolver::with_files("/nonexistent", "/nonexistent");
        let loaded = Loaded {
            hosts: HashMap::new(),
            dns: asking(ResolverConfig::from_name_servers(vec![server]), options),
            stamps: [None, None],
            looked: Mutex::new(Instant::now()),
        };
        *resolver.loaded.lock().unwrap() = Some(Arc::new(loaded));
        (resolver, asked)
    }

    #[tokio::test]
    async fn a_dns_server_is_asked_for_both_families_and_its_answer_is_reused_for_a_moment() {
        let (resolver, asked) = dns_server().await;
        let both: [IpAddr; 2] = ["192.0.2.7".parse().unwrap(), "2001:db8::7".parse().unwrap()];
        let mut found = resolver.resolve("shop.example").await.unwrap();
        found.sort();
        assert_eq!(found, both);
        let before = asked.load(std::sync::atomic::Ordering::SeqCst);
        resolver.resolve("shop.example").await.unwrap();
        assert_eq!(asked.load(std::sync::atomic::Ordering::SeqCst), before);
    }

    #[tokio::test]
    async fn a_name_that_does_not_exist_is_told_apart_from_a_dns_server_that_fails() {
        let (resolver, _) = dns_server().await;
        assert_eq!(resolver.resolve("absent.example").await.unwrap_err().reason(), "NoSuchName");
        assert_eq!(resolver.resolve("broken.example").await.unwrap_err().reason(), "ResolveFailed");
    }

    #[tokio::test]
    async fn a_missing_or_broken_resolv_conf_is_no_reason_to_stop() {
        for text in [None, Some(""), Some("nameserver nonsense\n\u{1}\u{2}")] {
            let (_dir, resolver) = files("", text);
            assert!(resolver.loaded().dns.is_ok());
        }
    }
}
