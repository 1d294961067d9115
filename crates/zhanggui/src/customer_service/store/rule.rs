//! The tables `rule` (rules that were set through the API) and `rule_use` (when a rule last answered by itself).

use jiff::Timestamp;

use crate::{
    clock::{from_ms, ms},
    customer_service::rule::{Draft, RULES_MAX},
    database::{DatabaseError, Tx, params},
};

const OF_APP: &str = "
    SELECT rule_json
    FROM rule
    WHERE appid = $1
    ORDER BY place
    LIMIT $2";

/// The rules of an app in their order.
pub(in crate::customer_service) fn of_app(tx: &mut Tx, appid: &str) -> Result<Vec<Draft>, DatabaseError> {
    let rows = tx.query(OF_APP, params![appid, RULES_MAX as i64])?;
    let read = |row: &crate::database::Row| {
        serde_json::from_str(row.text("rule_json")?).map_err(|_| row.impossible("rule_json", "a rule"))
    };
    rows.iter().map(read).collect()
}

const CLEAR: &str = "DELETE FROM rule WHERE appid = $1";

const INSERT: &str = "INSERT INTO rule (appid, place, rule_json, updated_ms) VALUES ($1, $2, $3, $4)";

/// Replaces the rules of an app.
pub(in crate::customer_service) fn replace(
    tx: &mut Tx,
    appid: &str,
    rules: &[Draft],
    now: Timestamp,
) -> Result<(), DatabaseError> {
    tx.execute(CLEAR, params![appid])?;
    for (place, rule) in rules.iter().enumerate() {
        // A struct of texts and numbers can always be written.
        let json = serde_json::to_string(rule).unwrap_or_default();
        tx.execute(INSERT, params![appid, place as i64, json, ms(now)])?;
    }
    Ok(())
}

const LAST_USES: &str = "SELECT rule, used_ms FROM rule_use WHERE conversation_id = $1";

/// When which rule last gave its reply in a conversation.
pub(in crate::customer_service) fn last_uses(
    tx: &mut Tx,
    conversation_id: &str,
) -> Result<Vec<(String, Timestamp)>, DatabaseError> {
    let rows = tx.query(LAST_USES, params![conversation_id])?;
    rows.iter().map(|row| Ok((row.text("rule")?.to_owned(), from_ms(row.int("used_ms")?)))).collect()
}

const USED: &str = "
    INSERT INTO rule_use (conversation_id, rule, used_ms)
    VALUES ($1, $2, $3)
    ON CONFLICT (conversation_id, rule) DO UPDATE SET used_ms = excluded.used_ms";

/// Remembers that a rule gave its reply.
pub(in crate::customer_service) fn used(
    tx: &mut Tx,
    conversation_id: &str,
    rule: &str,
    now: Timestamp,
) -> Result<(), DatabaseError> {
    tx.execute(USED, params![conversation_id, rule, ms(now)]).map(drop)
}
