//! The phone number that a customer gives: the code on the phone, and `POST /wxa/business/getuserphonenumber`.
//!
//! Source: <https://developers.weixin.qq.com/miniprogram/dev/server/API/user-info/phone-number/api_getphonenumber.html>.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use weixin::mini_program::{
    ErrCode, Watermark,
    phone_number::{PHONE_CODE_VALID_S, PhoneCode, PhoneInfo, Request, Response},
};

use super::{Call, Refusal};
use crate::{Phone, answer::Answer, world::World};

/// How many codes are remembered. An older one is answered like one that never was.
const CODES_KEPT: usize = 100_000;

/// What the button gave to a phone.
#[derive(Serialize, Deserialize)]
pub(crate) struct GivenCode {
    /// The key of the customer.
    customer: String,
    made_at: Timestamp,
    used: bool,
}

/// The number of a phone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhoneNumber {
    /// The prefix of the country, for example `86`.
    pub country_code: String,
    /// The number without it.
    pub number: String,
}

impl Phone {
    /// Presses the button `getPhoneNumber` and agrees: a fresh code, which is not one of `wx.login`.
    pub fn get_phone_number(&self) -> String {
        self.chat_action(|world, now, _| world.phone_code(now, &self.key))
    }

    /// Gives the phone this number. Otherwise it has one that the seed decides, which begins with 100 as no real one.
    pub fn set_phone_number(&self, phone_number: PhoneNumber) {
        if let Some(customer) = self.shared.world().customers.get_mut(&self.key) {
            customer.phone_number = Some(phone_number);
        }
        self.shared.changed();
    }
}

impl World {
    /// A code for the number of a customer.
    pub(crate) fn phone_code(&mut self, now: Timestamp, customer: &str) -> String {
        if self.phone_codes.len() >= CODES_KEPT {
            self.phone_codes.retain(|_, code| now.as_second() - code.made_at.as_second() <= PHONE_CODE_VALID_S);
        }
        let seed = self.seed();
        let made = self.conversation(customer).next();
        let code = seed.hexadecimal("phone code", customer, made, 64);
        self.phone_codes.insert(code.clone(), GivenCode { customer: customer.to_owned(), made_at: now, used: false });
        code
    }

    fn phone_number(&self, customer: &str) -> PhoneNumber {
        let known = self.customers.get(customer).and_then(|customer| customer.phone_number.clone());
        known.unwrap_or_else(|| PhoneNumber {
            country_code: "86".to_owned(),
            number: format!("100{}", self.seed().digits("phone number", customer, 0, 8)),
        })
    }
}

/// A code that is spent, of another app or too old gives nothing; a refusal does not spend it.
pub(super) fn phone_number(call: Call<'_>) -> Result<Answer, Refusal> {
    let Request { code, openid } = Request::from_json(&call.request.body)?;
    let Call { world, now, appid, .. } = call;
    let customer = spend(world, now, &appid, &code, openid.as_ref())?;
    let PhoneNumber { country_code, number } = world.phone_number(&customer);
    let phone_number = if country_code == "86" { number.clone() } else { format!("+{country_code}{number}") };
    let watermark = Watermark { appid: appid.to_string(), timestamp_s: now.as_second() };
    let phone_info = PhoneInfo { phone_number, pure_phone_number: number, country_code, watermark };
    Ok(Answer::json(Response { phone_info }.to_json()))
}

/// The key of the customer who gave the code.
fn spend(
    world: &mut World,
    now: Timestamp,
    appid: &weixin::AppId,
    code: &PhoneCode,
    openid: Option<&weixin::OpenId>,
) -> Result<String, ErrCode> {
    let given = world.phone_codes.get_mut(code.as_str()).ok_or(ErrCode::INVALID_CODE)?;
    // Customers are never taken away.
    let customer = world.customers.get(&given.customer).ok_or(ErrCode::INVALID_CODE)?;
    if customer.appid != *appid {
        return Err(ErrCode::INVALID_APPID);
    }
    if given.used {
        return Err(ErrCode::CODE_USED);
    }
    if now.as_second() - given.made_at.as_second() > PHONE_CODE_VALID_S {
        return Err(ErrCode::INVALID_CODE);
    }
    if openid.is_some_and(|openid| *openid != customer.openid) {
        return Err(ErrCode::INVALID_OPENID);
    }
    given.used = true;
    Ok(given.customer.clone())
}
