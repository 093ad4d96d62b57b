//! The HTTP side: JSON and Prometheus APIs, the exposition, and the page for people.
//!
//! Everything is read through [`Views`], done through [`Commands`] and exposed through [`Exposition`]: this room holds
//! no state of its own but counters. Shapes are fixed by contract tests in `tests/web.rs`.
//!
//! | file | routes |
//! |---|---|
//! | `health` | `/health…` |
//! | `alerts` | `/alerts…` |
//! | `dashboards` | `/dashboards`, `/dashboard/{id}` |
//! | `metrics` | `/metrics…` |
//! | `status` | `/status`, `/info` |
//! | `prometheus` | `/api/v1/{query,query_range,series,labels,label,rules,alerts,status}` |
//! | `resources`, `why` | `/api/v1/resources…`, `/api/v1/why…` |
//! | `events` | `/api/v1/events` |
//! | `ui` | `/`, `/dashboards/{id}` and their files |

mod alerts;
mod dashboards;
mod error;
mod eval;
mod events;
mod exposition;
mod guard;
mod health;
mod metrics;
mod panels;
mod params;
mod prometheus;
mod resources;
mod serve;
mod status;
mod time;
mod ui;
mod why;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::middleware;
use axum::routing::{get, post};
use tokio_util::sync::CancellationToken;

use crate::model::ports::{Commands, Exposition, Views};

pub use error::WebError;
pub use serve::serve;

/// Largest body of a request, in bytes.
const MAX_BODY: usize = 64 * 1024;

/// Who may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everybody who reaches the address: only sensible on loopback, where `Host` and `Origin` are checked.
    Everybody,
    /// Nobody but for `/health/live`, `/health/ready` and the one word of `/health`.
    OpenOnly,
}

/// What the web server needs to know besides what it shows.
#[derive(Clone)]
pub struct WebOptions {
    /// The address that it listens on: decides which `Host` names are ours.
    pub bind: SocketAddr,
    /// Who may ask.
    pub access: Access,
    /// Further names under which people reach it.
    pub hosts: Vec<String>,
    /// The program's version.
    pub version: String,
    /// The answer of `/info`, made when asked. Must not hold secrets.
    pub info: Arc<dyn Fn() -> serde_json::Value + Send + Sync>,
    /// Where the server's own metrics are registered.
    pub registry: ::prometheus::Registry,
    /// Ends streams, and the server itself.
    pub shutdown: CancellationToken,
    /// How long one request may take.
    pub timeout: Duration,
}

impl WebOptions {
    /// Options for one address: everybody on loopback, else only what is open.
    #[must_use]
    pub fn new(bind: SocketAddr) -> Self {
        Self {
            bind,
            access: if bind.ip().is_loopback() { Access::Everybody } else { Access::OpenOnly },
            hosts: Vec::new(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            info: Arc::new(|| serde_json::json!({})),
            registry: ::prometheus::Registry::new(),
            shutdown: CancellationToken::new(),
            timeout: Duration::from_secs(60),
        }
    }
}

/// What the server shows, does and exposes.
#[derive(Clone)]
pub struct WebState {
    /// What is shown.
    pub views: Arc<dyn Views>,
    /// What may be done.
    pub commands: Arc<dyn Commands>,
    /// `/metrics`.
    pub exposition: Arc<dyn Exposition>,
    /// The rest.
    pub options: WebOptions,
}

/// What handlers share.
pub(crate) struct Shared {
    views: Arc<dyn Views>,
    commands: Arc<dyn Commands>,
    exposition: Arc<dyn Exposition>,
    options: WebOptions,
    own: guard::OwnMetrics,
    streams: Arc<tokio::sync::Semaphore>,
    queries: Arc<tokio::sync::Semaphore>,
}

/// The argument of every handler.
type Web = State<Arc<Shared>>;

impl Shared {
    fn new(state: WebState) -> Arc<Self> {
        Arc::new(Self {
            own: guard::OwnMetrics::register(&state.options.registry),
            views: state.views,
            commands: state.commands,
            exposition: state.exposition,
            options: state.options,
            streams: Arc::new(tokio::sync::Semaphore::new(events::MAX_STREAMS)),
            queries: Arc::new(tokio::sync::Semaphore::new(prometheus::MAX_AT_ONCE)),
        })
    }

    /// Runs work that may take milliseconds of processor time away from the threads that answer requests.
    async fn compute<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Result<T, WebError> {
        let busy = || WebError::Unavailable("too many questions at once; ask again in a moment".into());
        let permit = Arc::clone(&self.queries).acquire_owned().await.map_err(|_| busy())?;
        let shared = Arc::clone(self);
        let done = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            work(&shared)
        });
        done.await.map_err(|_| WebError::Failed("the answer could not be made; see the log".into()))
    }
}

/// All routes.
pub fn router(state: WebState) -> Router {
    routes(Shared::new(state))
}

fn routes(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/health", get(health::overall))
        .route("/health/detailed", get(health::detailed))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/health/checks", get(health::list))
        .route("/health/checks/{*key}", get(health::one).post(health::run))
        .route("/health/history", get(health::history))
        .route("/metrics", get(metrics::negotiated))
        .route("/metrics/prometheus", get(metrics::text))
        .route("/alerts", get(alerts::list))
        .route("/alerts/history", get(alerts::history))
        .route("/alerts/{id}/acknowledge", post(alerts::acknowledge))
        .route("/dashboards", get(dashboards::list))
        .route("/dashboard/{*id}", get(dashboards::one))
        .route("/status", get(status::status))
        .route("/info", get(status::info))
        .route("/api/v1/query", get(prometheus::query).post(prometheus::query))
        .route("/api/v1/query_range", get(prometheus::query_range).post(prometheus::query_range))
        .route("/api/v1/series", get(prometheus::series).post(prometheus::series))
        .route("/api/v1/labels", get(prometheus::labels).post(prometheus::labels))
        .route("/api/v1/label/{name}/values", get(prometheus::label_values))
        .route("/api/v1/rules", get(prometheus::rules))
        .route("/api/v1/alerts", get(prometheus::alerts))
        .route("/api/v1/status/buildinfo", get(prometheus::buildinfo))
        .route("/api/v1/resources/{kind}", get(resources::list))
        .route("/api/v1/resources/{kind}/{namespace}/{name}", get(resources::one))
        .route("/api/v1/why/{*key}", get(why::why))
        .route("/api/v1/events", get(events::events))
        .route("/", get(ui::overview))
        .route("/dashboards/{*id}", get(ui::dashboard))
        .route("/ui/{file}", get(ui::file))
        .fallback(error::no_such_path)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::from_fn_with_state(Arc::clone(&shared), guard::guard))
        .with_state(shared)
}
