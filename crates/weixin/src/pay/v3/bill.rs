//! `GET /v3/bill/tradebill` and `GET /v3/bill/fundflowbill`: where the statement of a day can be fetched. The file itself
//! is not signed; its hash stands in this answer.
//!
//! Source: <https://pay.weixin.qq.com/doc/v3/merchant/4012791907> and
//! <https://pay.weixin.qq.com/doc/v3/merchant/4012791908>.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::{Call, Code, Method};

/// Asks for the payments and refunds of a day (UTC+8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TradeBill {
    /// Yesterday or up to three months ago.
    pub date: Date,
    /// Whether the file is compressed.
    pub form: Form,
}

/// Asks for the movements of an account on a day (UTC+8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FundFlowBill {
    /// Yesterday or up to three months ago.
    pub date: Date,
    /// Whether the file is compressed.
    pub form: Form,
}

/// The form of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Text.
    Plain,
    /// Compressed. The hash is over the text.
    Gzip,
}

impl Form {
    const fn query(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Gzip => "&tar_type=GZIP",
        }
    }
}

impl Call for TradeBill {
    const METHOD: Method = Method::Get;
    type Answer = BillPlace;

    fn path(&self) -> String {
        format!("/v3/bill/tradebill?bill_date={}&bill_type=ALL{}", self.date, self.form.query())
    }
}

impl Call for FundFlowBill {
    const METHOD: Method = Method::Get;
    type Answer = BillPlace;

    fn path(&self) -> String {
        format!("/v3/bill/fundflowbill?bill_date={}&account_type=BASIC{}", self.date, self.form.query())
    }
}

/// Where the file is, for five minutes, and its hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BillPlace {
    /// `SHA1`.
    pub hash_type: String,
    /// Hexadecimal, over the uncompressed file.
    pub hash_value: String,
    /// To be fetched with a signed GET, path and query verbatim.
    pub download_url: String,
}

/// Status and code of the refusals that the page documents for both bills.
pub const ERR_CODES: &[(u16, Code)] = &[
    (400, Code::NoStatementExist),
    (400, Code::StatementCreating),
    (400, Code::InvalidRequest),
    (400, Code::ParamError),
    (403, Code::NoAuth),
    (401, Code::SignError),
    (429, Code::FrequencyLimited),
    (500, Code::SystemError),
];
