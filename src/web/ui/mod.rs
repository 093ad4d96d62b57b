//! The page for people: written on the server, readable without script, kept fresh by a small one.

mod board;
mod chart;
mod number;
mod overview;
mod rows;
mod shell;

use std::sync::LazyLock;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use maud::Markup;

use super::params::Params;
use super::{Web, WebError, dashboards, panels};
use crate::model::Health;
use crate::model::labels::Fnv;

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("live.js");

/// Changes with the files: lets browsers keep them until then.
static VERSION: LazyLock<String> = LazyLock::new(|| format!("{:016x}", Fnv::of(&[STYLE, SCRIPT])));

/// `GET /`
pub(super) async fn overview(State(web): Web, headers: HeaderMap) -> Result<Response, WebError> {
    let (state, body) = web.compute(|web| overview::render(&*web.views)).await?;
    Ok(page(&headers, &state, &body))
}

/// `GET /dashboards/{id}`
pub(super) async fn dashboard(
    State(web): Web,
    Path(id): Path<String>,
    headers: HeaderMap,
    params: Params,
) -> Result<Response, WebError> {
    let range = dashboards::range_of(&params)?;
    let made = web.compute(move |web| {
        let view = dashboards::find(&*web.views, &id)?;
        let now = web.views.system().now;
        let filled = panels::fill(&view, &*web.views.series(), now, range);
        Ok(board::render(&*web.views, &view, &filled, range))
    });
    match made.await? {
        Ok((state, body)) => Ok(page(&headers, &state, &body)),
        Err(error @ WebError::NotFound(_)) => {
            let (state, body) = shell::missing(&*web.views, &error.to_string());
            let mut response = page(&headers, &state, &body);
            *response.status_mut() = StatusCode::NOT_FOUND;
            Ok(response)
        }
        Err(other) => Err(other),
    }
}

/// What the frame around a page must know.
pub(super) struct PageState {
    /// For the browser's tab.
    pub title: String,
    /// For the colour of the icon.
    pub health: Health,
    /// Now, by the process's clock.
    pub now: i64,
    /// Node and mode.
    pub place: String,
}

/// The whole page, or only its changing part when the script asks.
fn page(headers: &HeaderMap, state: &PageState, body: &Markup) -> Response {
    let fragment = headers.contains_key("x-fragment");
    let markup = if fragment { shell::fragment(state, body) } else { shell::whole(state, body, &VERSION) };
    let mut response = Html(markup.into_string()).into_response();
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("x-fragment"));
    response
}

/// `GET /ui/{file}`: style, script and icons.
pub(super) async fn file(Path(name): Path<String>) -> Result<Response, WebError> {
    let (kind, content) = match name.as_str() {
        "style.css" => ("text/css; charset=utf-8", STYLE.to_owned()),
        "live.js" => ("text/javascript; charset=utf-8", SCRIPT.to_owned()),
        "icon-healthy.svg" => ("image/svg+xml", icon("#2da44e")),
        "icon-degraded.svg" => ("image/svg+xml", icon("#d4860b")),
        "icon-unhealthy.svg" => ("image/svg+xml", icon("#d1342f")),
        "icon-unknown.svg" => ("image/svg+xml", icon("#7d8590")),
        _ => return Err(WebError::NotFound("the page has no such file".into())),
    };
    Ok(([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "public, max-age=31536000, immutable")], content)
        .into_response())
}

fn icon(color: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 32 32\"><rect width=\"32\" height=\"32\" rx=\"7\" \
         fill=\"{color}\"/><path d=\"M4 17h6l3-8 5 15 3-7h7\" fill=\"none\" stroke=\"#fff\" stroke-width=\"2.6\" \
         stroke-linecap=\"round\" stroke-linejoin=\"round\"/></svg>"
    )
}
