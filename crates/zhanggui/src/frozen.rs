//! Requests to WeChat that are written down before they are sent: the same bytes for ever, with a hash that proves it.

use aws_lc_rs::digest;

use crate::database::{DatabaseError, Row};

/// The hash that stands beside a frozen request.
pub(crate) fn hash(request: &str) -> String {
    hex::encode(digest::digest(&digest::SHA256, request.as_bytes()))
}

/// The request of a row with the columns `frozen_request` and `frozen_sha256`. What was changed in the table is not sent.
pub(crate) fn read(row: &Row) -> Result<Option<String>, DatabaseError> {
    let frozen = row.opt_text("frozen_request")?;
    if frozen.map(hash).as_deref() != row.opt_text("frozen_sha256")? {
        return Err(row.impossible("frozen_request", "the request that belongs to frozen_sha256"));
    }
    Ok(frozen.map(str::to_owned))
}
