//! placeholder
use axum::response::IntoResponse;
pub(super) async fn overview() -> impl IntoResponse {
    ""
}
pub(super) async fn dashboard() -> impl IntoResponse {
    ""
}
pub(super) async fn file() -> impl IntoResponse {
    ""
}
