//! `/livez`: the process answers. `/readyz`: it can do its work, because the database answers.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde_json::{Value, json};

use super::problem::Problem;
use crate::app::App;

/// The process answers.
pub(super) async fn livez() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// The database takes writes. During shutdown the server is not ready although it still works.
pub(super) async fn readyz(State(app): State<Arc<App>>) -> Result<Json<Value>, Problem> {
    if app.is_draining() {
        return Err(Problem::new(super::Code::Overloaded, "The server is shutting down; ask another node."));
    }
    app.database.ping().await?;
    Ok(Json(json!({ "status": "ok" })))
}
