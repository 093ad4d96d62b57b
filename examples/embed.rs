//! Vitals inside another program: one check, one metric and one rule from code.
//!
//! `cargo run --example embed` shows it working and ends by itself.

use std::io::Write as _;
use std::time::Duration;

use vitals::Builder;
use vitals::model::{Health, Span, Verdict};

const RULE: &str = "
apiVersion: vitals.dev/v1alpha1
kind: AlertRule
metadata: {name: queue-long}
spec:
  expr: shop_queue_length > 10
  interval: 1s
  severity: high
  annotations: {summary: 'The queue holds {{ $value }} orders'}
";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let state = tempfile::tempdir()?;
    let queue = prometheus::Gauge::new("shop_queue_length", "Orders that wait.")?;
    queue.set(12.0);
    let vitals = Builder::new()
        .metric(Box::new(queue))?
        .check("cache", Span::seconds(5), || async { Verdict::healthy("the cache is warm") })
        .yaml(RULE)
        .start(state.path())
        .await?;
    let mut out = std::io::stdout();
    writeln!(out, "listening on {}", vitals.url())?;
    let shown = async {
        loop {
            let healthy = vitals.checks().iter().any(|check| check.health == Health::Healthy);
            let alerts = vitals.alerts();
            if let (true, Some(alert)) = (healthy, alerts.iter().find(|alert| alert.state == "Firing")) {
                return alert.message.clone();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let message = tokio::time::timeout(Duration::from_secs(30), shown).await?;
    writeln!(out, "cache is Healthy; alert: {message}")?;
    vitals.stop().await;
    Ok(())
}
