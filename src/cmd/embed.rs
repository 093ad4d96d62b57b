//! Vitals inside another program: checks, metrics and resources from code, everything else as in `vitals run`.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::assemble::{Plan, assemble};
use super::embedded::{FromCode, FromRegistry, Run, Running};
use super::settings::Flags;
use crate::check::build;
use crate::export::Gathered;
use crate::model::spec::CheckSpec;
use crate::model::{Span, Verdict};
use crate::runtime::{durable, tasks::Tasks};

/// Collects what a program wants watched.
#[derive(Default)]
pub struct Builder {
    port: u16,
    paths: Vec<PathBuf>,
    yaml: String,
    checks: BTreeMap<String, Run>,
    metrics: prometheus::Registry,
}

impl Builder {
    /// Nothing yet; any free port.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The loopback port of page and API; 0 takes a free one.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Reads resource files, too.
    #[must_use]
    pub fn path(mut self, path: impl Into<PathBuf>) -> Self {
        self.paths.push(path.into());
        self
    }

    /// Adds resources as YAML, such as an AlertRule.
    #[must_use]
    pub fn yaml(mut self, text: &str) -> Self {
        self.yaml.push_str("---\n");
        self.yaml.push_str(text);
        self.yaml.push('\n');
        self
    }

    /// Registers a check; it appears as the HealthCheck `default/NAME` of type `service`.
    #[must_use]
    pub fn check<F>(mut self, name: &str, every: Span, run: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Verdict> + Send + 'static,
    {
        self.checks.insert(name.to_owned(), Arc::new(move || Box::pin(run())));
        let spec = format!("{{interval: {every}, service: {{task: {name:?}}}}}");
        let head = "apiVersion: vitals.dev/v1alpha1\nkind: HealthCheck";
        self.yaml(&format!("{head}\nmetadata: {{name: {name:?}}}\nspec: {spec}"))
    }

    /// Registers a metric of the `prometheus` crate: exposed, kept in history, and seen by rules.
    ///
    /// # Errors
    /// There is one of that name already.
    pub fn metric(self, metric: Box<dyn prometheus::core::Collector>) -> Result<Self, prometheus::Error> {
        self.metrics.register(metric)?;
        Ok(self)
    }

    /// Starts everything, with its state in this directory, on the runtime that calls.
    ///
    /// # Errors
    /// A resource that is not sound, a port in use, an unusable directory.
    pub async fn start(mut self, state_dir: &Path) -> anyhow::Result<Running> {
        // The same provider may be there already: whoever came first wins.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let own = state_dir.join("embedded");
        std::fs::create_dir_all(&own).with_context(|| format!("{} cannot be made", own.display()))?;
        durable::replace(&own.join("resources.yaml"), self.yaml.as_bytes())?;
        self.paths.push(own);
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))).await?;
        let bind = listener.local_addr()?;
        let tasks = Tasks::new(CancellationToken::new());
        let flags = Flags::default();
        let env = flags.check_env();
        let names = self.checks.keys().cloned().collect();
        let mut sources = flags.sources(self.paths, &env)?;
        sources.also(move |settings| settings.services.clone_from(&names));
        let (checks, builtin) = (self.checks, env.clone());
        let plan = Plan {
            sources,
            state_dir: state_dir.to_owned(),
            base_url: format!("http://{bind}"),
            dialer: env.dialer.clone(),
            env,
            build: Some(Box::new(move |key, check| match &check.spec {
                CheckSpec::Service(service) if checks.contains_key(&service.task) => {
                    Ok(Box::new(FromCode(Arc::clone(&checks[&service.task]))))
                }
                _ => build(key, check, &builtin),
            })),
            collectors: vec![Box::new(FromRegistry(self.metrics, Gathered::new()))],
        };
        let assembled = assemble(plan, &tasks).await?;
        if let Some(problem) = assembled.problems.first() {
            tasks.stop().cancel();
            bail!("{problem}");
        }
        super::run::spawn_web(listener, bind, &assembled.installation, &tasks);
        let installation = Arc::clone(&assembled.installation);
        Ok(Running { url: format!("http://{bind}"), installation, tasks, _assembled: assembled })
    }
}
