//! A row of an answer, read by column name.

use std::{str::FromStr, sync::Arc};

use super::{DatabaseError, Value};

/// One row. Columns are found by their name or alias, which SQL texts write in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    columns: Arc<[String]>,
    values: Vec<Value>,
}

impl Row {
    pub(super) fn new(columns: Arc<[String]>, values: Vec<Value>) -> Self {
        Self { columns, values }
    }

    /// The text in a column that is never NULL.
    ///
    /// # Errors
    /// [`DatabaseError::Row`] if the column is missing, NULL or of another kind; the same holds for all readers below.
    pub fn text(&self, column: &str) -> Result<&str, DatabaseError> {
        self.opt_text(column)?.ok_or_else(|| wrong(column, TEXT, "NULL"))
    }

    /// The integer (money in fen, times in ms, counts) in a column that is never NULL. Errors as in [`Row::text`].
    pub fn int(&self, column: &str) -> Result<i64, DatabaseError> {
        self.opt_int(column)?.ok_or_else(|| wrong(column, INT, "NULL"))
    }

    /// The bytes in a column that is never NULL. Errors as in [`Row::text`].
    pub fn bytes(&self, column: &str) -> Result<&[u8], DatabaseError> {
        self.opt_bytes(column)?.ok_or_else(|| wrong(column, BYTES, "NULL"))
    }

    /// The text in a column, `None` for NULL. Errors as in [`Row::text`].
    pub fn opt_text(&self, column: &str) -> Result<Option<&str>, DatabaseError> {
        match self.value(column, TEXT)? {
            Value::Null => Ok(None),
            Value::Text(text) => Ok(Some(text)),
            other => Err(wrong(column, TEXT, other.kind())),
        }
    }

    /// The integer in a column, `None` for NULL. Errors as in [`Row::text`].
    pub fn opt_int(&self, column: &str) -> Result<Option<i64>, DatabaseError> {
        match self.value(column, INT)? {
            Value::Null => Ok(None),
            Value::Int(int) => Ok(Some(*int)),
            other => Err(wrong(column, INT, other.kind())),
        }
    }

    /// The bytes in a column, `None` for NULL. Errors as in [`Row::text`].
    pub fn opt_bytes(&self, column: &str) -> Result<Option<&[u8]>, DatabaseError> {
        match self.value(column, BYTES)? {
            Value::Null => Ok(None),
            Value::Bytes(bytes) => Ok(Some(bytes)),
            other => Err(wrong(column, BYTES, other.kind())),
        }
    }

    /// The text in a column through the type that checks it. Errors as in [`Row::text`].
    pub fn parsed<T: FromStr>(&self, column: &str) -> Result<T, DatabaseError> {
        self.text(column)?.parse().map_err(|_| self.impossible(column, std::any::type_name::<T>()))
    }

    /// As [`Row::parsed`], `None` for NULL.
    pub fn opt_parsed<T: FromStr>(&self, column: &str) -> Result<Option<T>, DatabaseError> {
        let impossible = |_| self.impossible(column, std::any::type_name::<T>());
        self.opt_text(column)?.map(str::parse).transpose().map_err(impossible)
    }

    /// The error for a column whose value no program of ours can have written.
    pub fn impossible(&self, column: &str, expected: &'static str) -> DatabaseError {
        wrong(column, expected, "a value that cannot be")
    }

    fn value(&self, column: &str, expected: &'static str) -> Result<&Value, DatabaseError> {
        self.columns
            .iter()
            .position(|name| name == column)
            .and_then(|index| self.values.get(index))
            .ok_or_else(|| wrong(column, expected, "no such column"))
    }
}

const TEXT: &str = "a text";
const INT: &str = "an integer";
const BYTES: &str = "bytes";

fn wrong(column: &str, expected: &'static str, found: &'static str) -> DatabaseError {
    DatabaseError::Row { column: column.to_owned(), expected, found }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Row {
        let columns = ["id", "amount_fen", "seal", "note"].map(String::from);
        let values = vec![Value::from("a1"), Value::from(5_i64), Value::from(b"\x00\x01"), Value::Null];
        Row::new(columns.into(), values)
    }

    #[test]
    fn columns_are_read_by_name_and_kind() {
        let row = row();
        assert_eq!(row.text("id").unwrap(), "a1");
        assert_eq!(row.int("amount_fen").unwrap(), 5);
        assert_eq!(row.bytes("seal").unwrap(), b"\x00\x01");
        assert_eq!(row.opt_text("note").unwrap(), None);
        assert_eq!(row.opt_int("note").unwrap(), None);
        assert_eq!(row.opt_bytes("note").unwrap(), None);
    }

    #[test]
    fn a_wrong_column_is_named_without_its_value() {
        let row = row();
        let text = |error: DatabaseError| error.to_string();
        assert_eq!(text(row.int("id").unwrap_err()), "column id: expected an integer, found a text");
        assert_eq!(text(row.text("note").unwrap_err()), "column note: expected a text, found NULL");
        assert_eq!(text(row.bytes("gone").unwrap_err()), "column gone: expected bytes, found no such column");
        assert!(!format!("{row:?}").contains("a1"));
    }
}
