//! Values to and from PostgreSQL's binary form. Booleans are read as 0 and 1, as SQLite gives them.

use std::error::Error;

use postgres::types::{IsNull, ToSql, Type, private::BytesMut, to_sql_checked};

use super::super::{DatabaseError, Value};

/// The value's kind does not fit the type that the statement has at this place.
#[derive(Debug, thiserror::Error)]
#[error("{found} where the statement needs {expected}")]
pub(super) struct WrongKind {
    found: &'static str,
    expected: String,
}

impl ToSql for Value {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        let wrong = || WrongKind { found: self.kind(), expected: ty.name().to_owned() };
        match (self, ty) {
            (Self::Null, _) => Ok(IsNull::Yes),
            (Self::Int(int), &Type::INT8) => int.to_sql(ty, out),
            (Self::Int(int), &Type::INT4) => i32::try_from(*int).map_err(|_| wrong())?.to_sql(ty, out),
            (Self::Int(int), &Type::INT2) => i16::try_from(*int).map_err(|_| wrong())?.to_sql(ty, out),
            (Self::Text(text), ty) if <&str as ToSql>::accepts(ty) => text.as_str().to_sql(ty, out),
            (Self::Bytes(bytes), &Type::BYTEA) => bytes.as_slice().to_sql(ty, out),
            _ => Err(wrong().into()),
        }
    }

    /// The check is in `to_sql`, which knows the value.
    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

pub(super) fn decode(row: &postgres::Row, index: usize) -> Result<Value, DatabaseError> {
    let column = &row.columns()[index];
    let wrong =
        |found| DatabaseError::Row { column: column.name().to_owned(), expected: "a text, an integer or bytes", found };
    let unreadable = |_| wrong("something unreadable");
    let value = match *column.type_() {
        Type::INT8 => row.try_get::<_, Option<i64>>(index).map_err(unreadable)?.map(Value::Int),
        Type::INT4 => row.try_get::<_, Option<i32>>(index).map_err(unreadable)?.map(Value::from),
        Type::INT2 => row.try_get::<_, Option<i16>>(index).map_err(unreadable)?.map(|int| Value::Int(int.into())),
        Type::BOOL => row.try_get::<_, Option<bool>>(index).map_err(unreadable)?.map(|yes| Value::Int(yes.into())),
        Type::BYTEA => row.try_get::<_, Option<Vec<u8>>>(index).map_err(unreadable)?.map(Value::Bytes),
        Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::UNKNOWN => {
            row.try_get::<_, Option<String>>(index).map_err(unreadable)?.map(Value::Text)
        }
        Type::NUMERIC => return Err(wrong("a NUMERIC (sums are written CAST(SUM(..) AS BIGINT))")),
        _ => return Err(wrong("another type")),
    };
    Ok(value.unwrap_or(Value::Null))
}
