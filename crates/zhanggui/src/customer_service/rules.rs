//! `GET` and `PUT /v1/rules`: the rules of an app. Those of the configuration come first and are only shown; those of
//! the API are replaced as a whole.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};

use super::{
    rule::{self, Draft, Rule},
    store,
};
use crate::{
    api_key::Scope,
    app::App,
    config,
    database::{DatabaseError, Tx},
    http::{Caller, Code, JsonBody, Problem, QueryString},
};

/// All rules of an app, in the order in which they are asked.
pub(super) fn of_app(tx: &mut Tx, mini_program: &config::App) -> Result<Vec<Rule>, DatabaseError> {
    let mut rules = mini_program.rules.clone();
    for draft in store::rule::of_app(tx, mini_program.appid.as_str())? {
        // Checked when it was set. One that an older program took and this one does not is passed over, not guessed at.
        match Rule::try_from(draft) {
            Ok(rule) => rules.push(rule),
            Err(error) => {
                tracing::warn!(wechat.appid = mini_program.appid.as_str(), error.cause = error, "a rule is passed over")
            }
        }
    }
    Ok(rules)
}

/// Which app.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct OfApp {
    appid: Option<String>,
}

/// Rules as the API shows and takes them.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Rules {
    /// Names of the rules in the configuration; they are asked first.
    configured: Vec<String>,
    /// Rules of the API, in their order.
    rules: Vec<Draft>,
}

/// Shows the rules of an app.
///
/// # Errors
/// The key lacks the scope, or the app is unknown.
pub async fn read(
    State(app): State<Arc<App>>,
    caller: Caller,
    QueryString(of_app): QueryString<OfApp>,
) -> Result<Json<Rules>, Problem> {
    caller.key_with(Scope::Messages)?;
    let mini_program = app.asked_app(of_app.appid.as_deref())?;
    let appid = mini_program.appid.clone();
    let rules = app.database.read(move |tx| store::rule::of_app(tx, appid.as_str())).await?;
    Ok(Json(Rules { configured: names(mini_program), rules }))
}

/// What is set.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ReplaceRules)]
pub struct Replace {
    rules: Vec<Draft>,
}

/// Replaces the rules of an app.
///
/// # Errors
/// The key lacks the scope, the app is unknown, or a rule cannot work.
pub async fn replace(
    State(app): State<Arc<App>>,
    caller: Caller,
    QueryString(of_app): QueryString<OfApp>,
    JsonBody(Replace { rules }): JsonBody<Replace>,
) -> Result<Json<Rules>, Problem> {
    let key = caller.key_with(Scope::Messages)?;
    let mini_program = app.asked_app(of_app.appid.as_deref())?;
    let checked = rule::check(rules.clone()).map_err(|error| Problem::new(Code::RuleInvalid, format!("{error}.")))?;
    let configured = names(mini_program);
    if let Some(rule) = checked.iter().find(|rule| configured.contains(&rule.name)) {
        let detail = format!("{}: the configuration has a rule of this name.", rule.name);
        return Err(Problem::new(Code::RuleInvalid, detail));
    }
    let (appid, now, writing) = (mini_program.appid.clone(), app.now(), rules.clone());
    app.database.write(move |tx| store::rule::replace(tx, appid.as_str(), &writing, now)).await?;
    tracing::info!(api_key.id = key.id, rules = rules.len(), "rules replaced");
    Ok(Json(Rules { configured, rules }))
}

fn names(mini_program: &config::App) -> Vec<String> {
    mini_program.rules.iter().map(|rule| rule.name.clone()).collect()
}
