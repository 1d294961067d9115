//! The differences between SQLite and PostgreSQL, all in this one file.
//!
//! SQL texts elsewhere keep to what both understand: `$1` placeholders, ids as TEXT, money and times as BIGINT,
//! `ON CONFLICT`, `RETURNING`, `CAST(SUM(..) AS BIGINT)`, aliases in lower case for everything that is not a plain column.
//! Not portable and therefore avoided: `LIKE` on text with capitals (SQLite ignores case), deferred constraints (they would
//! fail a whole group commit), and changing a caught error into success (see [`super::Tx`]).
//!
//! Migrations are written with four column types, `TEXT`, `BIGINT`, `BYTES` and `IDENTITY`, which become:
//!
//! | written | SQLite | PostgreSQL | why |
//! |---|---|---|---|
//! | `BYTES` | `BLOB` | `BYTEA` | no common name |
//! | `BIGINT` | `INTEGER` | `BIGINT` | the only integer type of a STRICT table |
//! | `IDENTITY` | `INTEGER PRIMARY KEY AUTOINCREMENT` | `BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY` | growing numbers, never used twice |
//! | `TEXT` in `CREATE TABLE` and `ALTER TABLE` | `TEXT` | `TEXT COLLATE "C"` | the same order on both, by code point |
//! | end of `CREATE TABLE` | ` STRICT` | | SQLite then refuses a text in an integer column, as PostgreSQL does |

/// Which engine a transaction runs on. Storage functions ask it for the few pieces of SQL that differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// SQLite: one writer at a time.
    Sqlite,
    /// PostgreSQL: concurrent writers, serializable transactions.
    Postgres,
}

impl Dialect {
    /// `SQLite` or `PostgreSQL`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        }
    }

    /// The end of a subselect that claims rows which nobody else is claiming at the moment. SQLite has one writer and needs none.
    #[must_use]
    pub fn for_update_skip_locked(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => " FOR UPDATE SKIP LOCKED",
        }
    }

    /// Makes the transactions that append events commit one after the other, so that their positions appear in order; held
    /// until the end of the transaction. SQLite has one writer and needs nothing. The number is ours and means nothing else.
    #[must_use]
    pub fn lock_event_order(self) -> Option<&'static str> {
        match self {
            Self::Sqlite => None,
            Self::Postgres => Some("SELECT 1 AS one FROM (SELECT pg_advisory_xact_lock(7203)) AS held"),
        }
    }

    pub(super) fn begin_write(self) -> &'static str {
        match self {
            Self::Sqlite => "BEGIN IMMEDIATE",
            Self::Postgres => "BEGIN ISOLATION LEVEL SERIALIZABLE",
        }
    }

    /// A snapshot: PostgreSQL's REPEATABLE READ gives one that never fails.
    pub(super) fn begin_read(self) -> &'static str {
        match self {
            Self::Sqlite => "BEGIN DEFERRED",
            Self::Postgres => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        }
    }

    /// Counts the tables with the name `$1` as `n`.
    pub(super) fn count_tables(self) -> &'static str {
        match self {
            Self::Sqlite => "SELECT COUNT(*) AS n FROM sqlite_schema WHERE type = 'table' AND name = $1",
            Self::Postgres => "SELECT COUNT(*) AS n FROM pg_catalog.pg_class WHERE oid = to_regclass(CAST($1 AS TEXT))",
        }
    }

    /// One statement of a migration in the words of the engine; quoted texts stay as they are.
    pub(super) fn migration_statement(self, statement: &str) -> String {
        let makes_table = statement.starts_with("CREATE TABLE");
        let makes_columns = makes_table || statement.starts_with("ALTER TABLE");
        let mut sql = map_words(statement, |word| match (self, word) {
            (Self::Sqlite, "BYTES") => "BLOB",
            (Self::Sqlite, "BIGINT") => "INTEGER",
            (Self::Sqlite, "IDENTITY") => "INTEGER PRIMARY KEY AUTOINCREMENT",
            (Self::Postgres, "IDENTITY") => "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
            (Self::Postgres, "BYTES") => "BYTEA",
            (Self::Postgres, "TEXT") if makes_columns => "TEXT COLLATE \"C\"",
            _ => word,
        });
        if self == Self::Sqlite && makes_table && sql.ends_with(')') {
            sql.push_str(" STRICT");
        }
        sql
    }
}

/// Replaces whole words outside of quotes.
fn map_words(text: &str, map: impl Fn(&str) -> &str) -> String {
    let mut mapped = String::with_capacity(text.len() + 64);
    for (index, piece) in text.split('\'').enumerate() {
        if index > 0 {
            mapped.push('\'');
        }
        if index % 2 == 1 {
            mapped.push_str(piece);
            continue;
        }
        let mut rest = piece;
        while !rest.is_empty() {
            let word_end = rest.find(|c: char| !is_word(c)).unwrap_or(rest.len());
            let (word, after) = rest.split_at(word_end);
            mapped.push_str(map(word));
            let gap_end = after.find(is_word).unwrap_or(after.len());
            let (gap, next) = after.split_at(gap_end);
            mapped.push_str(gap);
            rest = next;
        }
    }
    mapped
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn column_types_become_those_of_the_engine() {
        let sql = "CREATE TABLE t (id TEXT PRIMARY KEY, n BIGINT NOT NULL, b BYTES, BYTES_MAX BIGINT DEFAULT 'BYTES it''s TEXT')";
        assert_eq!(
            Dialect::Sqlite.migration_statement(sql),
            "CREATE TABLE t (id TEXT PRIMARY KEY, n INTEGER NOT NULL, b BLOB, BYTES_MAX INTEGER DEFAULT 'BYTES it''s TEXT') STRICT"
        );
        assert_eq!(
            Dialect::Postgres.migration_statement(sql),
            "CREATE TABLE t (id TEXT COLLATE \"C\" PRIMARY KEY, n BIGINT NOT NULL, b BYTEA, BYTES_MAX BIGINT DEFAULT 'BYTES it''s TEXT')"
        );
    }

    #[test]
    fn a_growing_number_is_the_primary_key() {
        let sql = "CREATE TABLE t (n IDENTITY)";
        assert_eq!(
            Dialect::Sqlite.migration_statement(sql),
            "CREATE TABLE t (n INTEGER PRIMARY KEY AUTOINCREMENT) STRICT"
        );
        assert_eq!(
            Dialect::Postgres.migration_statement(sql),
            "CREATE TABLE t (n BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY)"
        );
    }

    #[test]
    fn other_statements_stay_as_they_are() {
        let sql = "CREATE INDEX i ON t (CAST(n AS TEXT)) WHERE n > 0";
        assert_eq!(Dialect::Sqlite.migration_statement(sql), sql);
        assert_eq!(Dialect::Postgres.migration_statement(sql), sql);
    }
}
