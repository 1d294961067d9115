//! Who calls: a customer with a session, or one of the merchant's systems with an API key.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    extract::{ConnectInfo, FromRequestParts},
    http::{HeaderMap, header, request::Parts},
};

use super::{
    address::client_address,
    problem::{Code, Problem},
};
use crate::{
    api_key::{self, ApiKey, Scope},
    app::App,
    session::{self, Customer},
};

/// The caller of an API call.
#[derive(Clone, Debug)]
pub enum Caller {
    /// A user of one of our apps.
    Customer(Customer),
    /// One of the merchant's systems.
    Key(ApiKey),
}

impl Caller {
    /// The id of the customer or of the key.
    pub fn id(&self) -> &str {
        match self {
            Self::Customer(customer) => &customer.id,
            Self::Key(key) => &key.id,
        }
    }

    /// The caller may be a customer, or a key that has this scope.
    ///
    /// # Errors
    /// A key without the scope.
    pub fn allow(&self, scope: Scope) -> Result<(), Problem> {
        match self {
            Self::Key(key) if !key.has(scope) => Err(Problem::new(
                Code::Forbidden,
                format!("The API key lacks the scope {}; make one that has it.", scope.as_str()),
            )),
            _ => Ok(()),
        }
    }

    /// The caller must be a customer.
    ///
    /// # Errors
    /// A key.
    pub fn customer(self) -> Result<Customer, Problem> {
        match self {
            Self::Customer(customer) => Ok(customer),
            Self::Key(_) => {
                Err(Problem::new(Code::Forbidden, "Only the customer can do this: call it with the session token."))
            }
        }
    }

    /// The caller must be one of the merchant's systems.
    ///
    /// # Errors
    /// A customer.
    pub fn key(self) -> Result<ApiKey, Problem> {
        match self {
            Self::Key(key) => Ok(key),
            Self::Customer(_) => {
                Err(Problem::new(Code::Forbidden, "Only the merchant's systems can do this: call it with an API key."))
            }
        }
    }

    /// The caller must be one of the merchant's systems, with a key that has this scope.
    ///
    /// # Errors
    /// A customer, or a key without the scope.
    pub fn key_with(self, scope: Scope) -> Result<ApiKey, Problem> {
        self.allow(scope)?;
        self.key()
    }
}

/// The token or key, however the header is spelled.
pub(super) fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("Bearer").then(|| token.trim())
}

impl FromRequestParts<Arc<App>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let token = bearer_token(&parts.headers)
            .ok_or_else(|| Problem::new(Code::Unauthorized, "Send the header Authorization: Bearer <token or key>."))?;
        if api_key::looks_like_one(token) {
            let key = api_key::find(app, token).await?.ok_or_else(|| {
                Problem::new(Code::Unauthorized, "The API key is unknown, expired, revoked or of another realm.")
            })?;
            // Every connection has a peer; see `serve.rs`.
            let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| *peer);
            let allowed = peer.is_some_and(|peer| key.may_come_from(client_address(app, peer, &parts.headers)));
            if !allowed {
                return Err(Problem::new(Code::Forbidden, "The API key may not be used from this address."));
            }
            return Ok(Caller::Key(key));
        }
        let customer = session::find(app, token).await?;
        customer
            .map(Caller::Customer)
            .ok_or_else(|| Problem::new(Code::Unauthorized, "The session is unknown or has ended: log in again."))
    }
}
