//! Lists by pages. Each call that lists takes `limit` and a cursor, and says whether there is more.

use serde::Deserialize;

use super::problem::{Code, Problem};
use crate::id;

/// How many things a page has unless the caller says so.
const LIMIT: i64 = 50;

/// The largest page.
const LIMIT_MAX: i64 = 200;

/// How many things a page has.
#[derive(Clone, Copy, Debug)]
pub struct PageSize(i64);

impl PageSize {
    /// Reads what the caller asks for.
    ///
    /// # Errors
    /// Too few or too many.
    pub fn asked(limit: Option<i64>) -> Result<Self, Problem> {
        let limit = limit.unwrap_or(LIMIT);
        if (1..=LIMIT_MAX).contains(&limit) {
            return Ok(Self(limit));
        }
        Err(Problem::new(Code::QueryInvalid, format!("limit must be 1 to {LIMIT_MAX}.")))
    }

    /// So many rows are read: one that is not shown tells whether there is more.
    pub fn rows(self) -> i64 {
        self.0 + 1
    }

    /// Leaves what is shown; says whether there is more.
    pub fn cut<T>(self, rows: &mut Vec<T>) -> bool {
        let has_more = rows.len() as i64 > self.0;
        rows.truncate(usize::try_from(self.0).unwrap_or(usize::MAX));
        has_more
    }
}

/// What is asked of a list that begins with the newest.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageAsked {
    /// The id of the last one of the page before.
    pub after: Option<String>,
    /// How many at most, 1 to 200; 50 if absent.
    pub limit: Option<i64>,
}

/// The cursor of a list that is sorted by ids.
///
/// # Errors
/// It is no id of this kind.
pub fn checked_cursor(kind: id::Kind, after: Option<String>) -> Result<Option<String>, Problem> {
    match after {
        Some(after) if !id::is(kind, &after) => Err(cursor_unknown()),
        after => Ok(after),
    }
}

/// A cursor that no page of this list has given.
pub fn cursor_unknown() -> Problem {
    Problem::new(Code::CursorUnknown, "Send the cursor as the last page gave it, or leave it out.")
}
