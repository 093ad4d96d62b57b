//! `/api/v1/events`: tells pages that something changed, as server-sent events; the page then asks for what it shows.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::stream::{self, Stream};

use super::{Shared, Web, WebError};

/// Streams at once; each holds one connection.
pub(super) const MAX_STREAMS: usize = 64;
/// How often a stream looks for changes: also the most often that a page is asked to refresh.
const LOOK: Duration = Duration::from_millis(500);

/// `GET /api/v1/events`: `event: change`, `data: {"version": n}`, at once and after every change.
pub(super) async fn events(
    State(web): Web,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>> + Send>, WebError> {
    let place = Arc::clone(&web.streams).try_acquire_owned().map_err(|_| {
        WebError::Unavailable(format!("{MAX_STREAMS} pages follow along already; close one, or ask again later"))
    })?;
    let stream = stream::unfold((web, place, None), |(web, place, seen)| async move {
        let version = changed(&web, seen).await?;
        let event = Event::default().event("change").data(format!("{{\"version\":{version}}}"));
        Some((Ok(event), (web, place, Some(version))))
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(Duration::from_secs(15))))
}

/// Waits for a version other than the one seen; none when the process stops.
async fn changed(web: &Shared, seen: Option<u64>) -> Option<u64> {
    loop {
        let version = web.views.version();
        if seen != Some(version) {
            return Some(version);
        }
        tokio::select! {
            () = web.options.shutdown.cancelled() => return None,
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}
