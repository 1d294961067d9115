//! The error codes of `api.weixin.qq.com` (`errcode`) and what a caller does about them.
//!
//! Source: <https://developers.weixin.qq.com/doc/oplatform/developers/errCode/errCode.html> and the pages of the
//! endpoints.

use std::fmt;

/// A code of WeChat; 0 is success.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ErrCode(pub i64);

/// What a caller does about a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// WeChat is busy: the same call may work a moment later, where it may be repeated at all.
    Busy,
    /// The access token is not good any more: fetch one and repeat the call once.
    TokenStale,
    /// AppSecret or appid is wrong: somebody has to repair the configuration.
    Configuration,
    /// The address of the server is not on the app's list.
    Address,
    /// Called too often: wait for the next second, minute or day.
    Rate,
    /// The app may not do this.
    Permission,
    /// What the customer did or did not do forbids it for now: no message lately, no consent, no visit.
    Customer,
    /// The arguments are wrong, for example a spent `js_code`: repeating is useless.
    Argument,
}

/// Declares each code once: its name, number, class, and WeChat's own words.
macro_rules! err_codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $class:ident, $meaning:literal;)*) => {
        impl ErrCode {
            $($(#[$doc])* pub const $name: ErrCode = ErrCode($number);)*

            /// Sorts the code. Codes that we do not know count as wrong arguments: they are reported, not repeated.
            pub fn class(self) -> Class {
                match self.0 {
                    $($number => Class::$class,)*
                    _ => Class::Argument,
                }
            }

            /// WeChat's own words for the code, in English.
            pub fn meaning(self) -> &'static str {
                match self.0 {
                    $($number => $meaning,)*
                    _ => "see WeChat's table of error codes",
                }
            }
        }
    };
}

err_codes! {
    /// The system is busy.
    BUSY = -1, Busy, "system error";
    /// The access token is invalid or not the latest; at the token endpoint: the AppSecret is wrong.
    INVALID_CREDENTIAL = 40001, TokenStale, "invalid credential, access_token is invalid or not latest";
    /// `grant_type` is wrong.
    INVALID_GRANT_TYPE = 40002, Argument, "invalid grant_type";
    /// Not a customer of this app.
    INVALID_OPENID = 40003, Argument, "invalid openid";
    /// The type of an upload is none of WeChat's.
    INVALID_MEDIA_TYPE = 40004, Argument, "invalid media type";
    /// The bytes are not of a type that WeChat takes.
    INVALID_FILE_TYPE = 40005, Argument, "invalid file type";
    /// The file is too large, or empty.
    INVALID_FILE_SIZE = 40006, Argument, "invalid file size";
    /// No such media, or older than three days: upload it again.
    INVALID_MEDIA_ID = 40007, Argument, "invalid media_id";
    /// `msgtype` is none of WeChat's.
    INVALID_MESSAGE_TYPE = 40008, Argument, "invalid message type";
    /// The picture is too large.
    INVALID_IMAGE_SIZE = 40009, Argument, "invalid image size";
    /// No such app.
    INVALID_APPID = 40013, Configuration, "invalid appid";
    /// The access token has not the form of one.
    INVALID_ACCESS_TOKEN = 40014, TokenStale, "invalid access_token";
    /// The code of log-in or of a phone number is wrong, of another app or too old.
    INVALID_CODE = 40029, Argument, "invalid code";
    /// The text has characters that WeChat does not take, for example escaped ones.
    INVALID_CHARSET = 40033, Argument, "invalid charset. please check your request, if include \\uxxxx will create fail!";
    /// The template is not one of this app.
    INVALID_TEMPLATE_ID = 40037, Argument, "invalid template_id";
    /// The path of the interface is wrong.
    INVALID_URL = 40066, Argument, "invalid url";
    /// An argument has an impossible value.
    INVALID_ARGS = 40097, Argument, "invalid args";
    /// The AppSecret is wrong.
    INVALID_APPSECRET = 40125, Configuration, "invalid appsecret";
    /// `scene` is none of WeChat's.
    INVALID_SCENE = 40129, Argument, "invalid scene";
    /// The code was used before.
    CODE_USED = 40163, Argument, "code been used";
    /// The address of the server is not on the app's list.
    IP_NOT_LISTED = 40164, Address, "invalid ip, not in whitelist";
    /// This kind of account cannot do it.
    INVALID_ACCOUNT_TYPE = 40200, Permission, "invalid account type";
    /// The customer is blocked as high risk.
    CODE_BLOCKED = 40226, Argument, "code blocked";
    /// The administrator froze the AppSecret.
    APPSECRET_FROZEN = 40243, Configuration, "appsecret frozen";
    /// `access_token` is missing.
    ACCESS_TOKEN_MISSING = 41001, TokenStale, "access_token missing";
    /// `appid` is missing.
    APPID_MISSING = 41002, Configuration, "appid missing";
    /// `secret` is missing.
    APPSECRET_MISSING = 41004, Configuration, "appsecret missing";
    /// An upload has no part `media` that is a file.
    MEDIA_DATA_MISSING = 41005, Argument, "media data missing";
    /// `media_id` is missing.
    MEDIA_ID_MISSING = 41006, Argument, "media_id missing";
    /// The code is missing.
    CODE_MISSING = 41008, Argument, "missing code";
    /// The page is not in the published version, or begins with `/`.
    INVALID_PAGE = 41030, Argument, "invalid page";
    /// The access token ran out.
    ACCESS_TOKEN_EXPIRED = 42001, TokenStale, "access_token expired";
    /// The method must be GET.
    REQUIRE_GET = 43001, Argument, "require GET method";
    /// The method must be POST.
    REQUIRE_POST = 43002, Argument, "require POST method";
    /// The customer has no right left for this template, or refused.
    NOT_SUBSCRIBED = 43101, Customer, "user refuse to accept the msg";
    /// The customer is not one of this app.
    OPENID_OF_OTHER_APP = 43104, Permission, "the openid does not match the appid";
    /// Subscribe messages of the app or the template are banned.
    SUBSCRIBE_BANNED = 43107, Permission, "subscribe messages are banned";
    /// Another message to the same customer is under way.
    CONCURRENT_SEND = 43108, Rate, "concurrent messages to one user";
    /// The body is empty.
    EMPTY_POST_DATA = 44002, Argument, "empty post data";
    /// A text message without text.
    EMPTY_CONTENT = 44004, Argument, "empty content";
    /// The quota of the second is used up.
    SECOND_QUOTA = 44990, Rate, "reach max api second frequence limit";
    /// The quota of the minute is used up.
    MINUTE_FREQUENCE = 44991, Rate, "reach max api minute frequence limit";
    /// The quota of the day is used up.
    DAY_FREQUENCE = 44993, Rate, "reach max api day frequence limit";
    /// The file is larger than its type allows.
    MEDIA_SIZE = 45001, Argument, "media size out of limit";
    /// The text is too long: split it.
    CONTENT_SIZE = 45002, Argument, "content size out of limit";
    /// The quota of the day is used up.
    DAILY_QUOTA = 45009, Rate, "reach max api daily quota limit";
    /// The quota of the minute is used up.
    MINUTE_QUOTA = 45011, Rate, "api minute-quota reach limit, must slower, retry next minute";
    /// The time for answers to the customer is over.
    RESPONSE_TIME = 45015, Customer, "response out of time limit or subscription is canceled";
    /// All answers that the customer's last action allows are used up.
    RESPONSE_COUNT = 45047, Customer, "out of response count limit";
    /// `command` is none of WeChat's.
    INVALID_COMMAND = 45072, Argument, "invalid command";
    /// Typing is shown only within 30 seconds after a message.
    TYPING_WITHOUT_MESSAGE = 45080, Customer,
        "need sending message to user, or recving message from user in the last 30 seconds before typing";
    /// Typing is shown already.
    ALREADY_TYPING = 45081, Customer, "you are already typing";
    /// This kind of account cannot send this kind of message.
    INVALID_TYPE = 45162, Argument, "invalid type";
    /// A word that WeChat does not let through.
    SENSITIVE_WORD = 45168, Argument, "sensitive word";
    /// The JSON is broken or lacks a field.
    DATA_FORMAT = 47001, Argument, "data format error";
    /// A value breaks the rule of its type; the sentence names it.
    INVALID_ARGUMENT = 47003, Argument, "argument invalid";
    /// The capability is not open, or the account is of another kind.
    API_UNAUTHORIZED = 48001, Permission, "api unauthorized";
    /// The customer refuses messages.
    CUSTOMER_REFUSES = 48002, Customer, "user refuses messages";
    /// The capability was taken away for breaking rules.
    API_FORBIDDEN = 48004, Permission, "api forbidden for irregularities";
    /// The app has no permission for it.
    NO_PERMISSION = 50001, Permission, "no permission for this api";
    /// The customer, or the app, is restricted.
    USER_LIMITED = 50002, Permission, "user limited";
    /// The app may not fetch tokens.
    TOKEN_API_FORBIDDEN = 50004, Permission, "token api forbidden";
    /// The account is frozen.
    ACCOUNT_FROZEN = 50007, Permission, "account frozen";
    /// The address of the server is not on the platform's list.
    PLATFORM_IP_NOT_LISTED = 61004, Address, "access clientip is not registered";
    /// The third-party platform was not given this permission.
    PLATFORM_UNAUTHORIZED = 61007, Permission, "api is unauthorized to component";
    /// The customer has not opened the app within the last two hours.
    NO_RECENT_VISIT = 61010, Customer, "code is expired";
    /// Held back to protect minors.
    MINORS_PROTECTION = 70000, Customer, "blocked to protect minors";
    /// The customer has no session key, or it ran out.
    SESSION_KEY_EXPIRED = 87007, Argument, "session_key is not existd or expired";
    /// `sig_method` must be `hmac_sha256`.
    INVALID_SIG_METHOD = 87008, Argument, "invalid sig_method";
    /// Signed with another session key than the current one.
    INVALID_SIGNATURE = 87009, Argument, "invalid signature";
    /// The same picture or sound was checked too often.
    REPEATED_CHECK = 87020, Rate, "repeat request limit exceeded";
    /// The address waits for the administrator's consent.
    IP_UNCONFIRMED = 89503, Address, "the address waits for the administrator's consent";
    /// The administrator refused the address, for a day.
    IP_REFUSED_DAY = 89506, Address, "the administrator refused the address";
    /// The administrator refused the address, for an hour.
    IP_REFUSED_HOUR = 89507, Address, "the administrator refused the address";
}

impl fmt::Display for ErrCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
