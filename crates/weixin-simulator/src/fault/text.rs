//! A fault as one line of text, for the header by which a request orders its own.

use super::{FaultKind, Target};

/// The header. Its value is a kind of fault: `no_answer_after`, `status:502`, `hang:2000`, `err_code:SYSTEMERROR`,
/// `fail:系统繁忙` (percent signs are not decoded), `v3_error:429:FREQUENCY_LIMITED`, `errcode:-1`, or JSON as the control
/// API takes it.
pub const HEADER: &str = "x-sim-fault";

impl FaultKind {
    /// Reads a kind of fault that can strike a request to this path.
    ///
    /// # Errors
    /// A sentence for whoever wrote the header.
    pub(super) fn of_header(value: &str, path: &str) -> Result<Self, String> {
        let kind = Self::of_text(value.trim())?;
        if kind.fits(Target::Request(path)) {
            return Ok(kind);
        }
        Err(format!("{HEADER}: {value:?} does not happen at {path}"))
    }

    fn of_text(text: &str) -> Result<Self, String> {
        let malformed = |reason: &dyn std::fmt::Display| format!("{HEADER}: {text:?} is not a kind of fault: {reason}");
        if text.starts_with('{') || text.starts_with('"') {
            return serde_json::from_str(text).map_err(|error| malformed(&error));
        }
        let mut parts = text.splitn(3, ':');
        let value = match (parts.next().unwrap_or_default(), parts.next(), parts.next()) {
            (name, None, None) => name.into(),
            (name @ ("v3_error" | "v3_error_after"), Some(status), Some(code)) => {
                let status: u16 = status.parse().map_err(|error| malformed(&error))?;
                serde_json::json!({ name: { "status": status, "code": code } })
            }
            (name @ ("status" | "hang" | "errcode"), Some(number), None) => {
                let number: i64 = number.parse().map_err(|error| malformed(&error))?;
                serde_json::json!({ name: number })
            }
            (name, Some(first), None) => serde_json::json!({ name: first }),
            (name, Some(first), Some(rest)) => serde_json::json!({ name: format!("{first}:{rest}") }),
            (name, None, Some(_)) => name.into(),
        };
        serde_json::from_value(value).map_err(|error| malformed(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_one_line_of_text() {
        let v3 = |status, code: &str| FaultKind::V3Error { status, code: code.to_owned() };
        for (text, path, kind) in [
            ("no_answer_after", "/pay/orderquery", FaultKind::NoAnswerAfter),
            ("status:502", "/v3/certificates", FaultKind::Status(502)),
            (" hang:20 ", "/v3/certificates", FaultKind::Hang(20)),
            ("err_code:SYSTEMERROR", "/secapi/pay/refund", FaultKind::ErrCode("SYSTEMERROR".to_owned())),
            ("fail:a:b:c", "/pay/orderquery", FaultKind::Fail("a:b:c".to_owned())),
            ("v3_error:429:FREQUENCY_LIMITED", "/v3/certificates", v3(429, "FREQUENCY_LIMITED")),
            ("errcode:-1", "/sns/jscode2session", FaultKind::Errcode(-1)),
            (r#"{"v3_error": {"status": 500, "code": "SYSTEM_ERROR"}}"#, "/v3/certificates", v3(500, "SYSTEM_ERROR")),
        ] {
            assert_eq!(FaultKind::of_header(text, path), Ok(kind), "{text}");
        }
    }

    #[test]
    fn a_fault_that_is_none_is_told() {
        for (text, path) in [
            ("", "/pay/orderquery"),
            ("nonsense", "/pay/orderquery"),
            ("status:x", "/pay/orderquery"),
            ("status", "/pay/orderquery"),
            ("v3_error:429", "/v3/certificates"),
            ("{", "/pay/orderquery"),
            // Happens elsewhere.
            ("err_code:SYSTEMERROR", "/v3/certificates"),
            ("lost", "/pay/orderquery"),
        ] {
            let told = FaultKind::of_header(text, path).unwrap_err();
            assert!(told.starts_with("x-sim-fault: "), "{told}");
        }
    }
}
