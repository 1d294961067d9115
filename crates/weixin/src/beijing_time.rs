//! The times of WeChat: always UTC+8, in two spellings.
//!
//! Source: <https://pay.weixin.qq.com/doc/v2/merchant/4011941162> (parameter rules, times).

use jiff::{Timestamp, civil::DateTime, tz::Offset};

use crate::FieldError;

/// UTC+8, without summer time.
pub const BEIJING: Offset = Offset::constant(8);

/// `yyyyMMddHHmmss`, as in `time_start`, `time_expire` and `time_end`. Fractions of a second are cut off.
pub fn compact(time: Timestamp) -> String {
    BEIJING.to_datetime(time).strftime("%Y%m%d%H%M%S").to_string()
}

/// Reads `yyyyMMddHHmmss`.
pub fn from_compact(field: &'static str, text: &str) -> Result<Timestamp, FieldError> {
    let error = FieldError::new(field, "must be a time of 14 digits, yyyyMMddHHmmss in UTC+8");
    if text.len() != 14 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(error);
    }
    let time = DateTime::strptime("%Y%m%d%H%M%S", text).map_err(|_| error.clone())?;
    BEIJING.to_timestamp(time).map_err(|_| error)
}

/// `yyyy-MM-dd HH:mm:ss`, as in refund times and bills. Fractions of a second are cut off.
pub fn spaced(time: Timestamp) -> String {
    BEIJING.to_datetime(time).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// Reads `yyyy-MM-dd HH:mm:ss`.
pub fn from_spaced(field: &'static str, text: &str) -> Result<Timestamp, FieldError> {
    let error = FieldError::new(field, "must be a time, yyyy-MM-dd HH:mm:ss in UTC+8");
    if text.len() != 19 {
        return Err(error);
    }
    let time = DateTime::strptime("%Y-%m-%d %H:%M:%S", text).map_err(|_| error.clone())?;
    BEIJING.to_timestamp(time).map_err(|_| error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_in_utc_plus_8_whatever_the_machine_thinks() {
        let time: Timestamp = "2026-01-22T06:30:01Z".parse().unwrap();
        assert_eq!(compact(time), "20260122143001");
        assert_eq!(spaced(time), "2026-01-22 14:30:01");
        assert_eq!(from_compact("time_end", "20260122143001"), Ok(time));
        assert_eq!(from_spaced("success_time", "2026-01-22 14:30:01"), Ok(time));
    }

    #[test]
    fn a_time_that_does_not_exist_is_refused() {
        for bad in
            ["", "2026-01-22T14:30:01+08:00", "20260230000000", "20260122250000", "2026012214300", " 0260122143001"]
        {
            assert!(from_compact("time_expire", bad).is_err(), "{bad:?}");
            assert!(from_spaced("success_time", bad).is_err(), "{bad:?}");
        }
        for bad in ["2026-02-30 00:00:00", "2026-1-22 14:30:01", "2026-01-22T14:30:01", "2026-01-22 14:30:01 "] {
            assert!(from_spaced("success_time", bad).is_err(), "{bad:?}");
        }
    }
}
