//! The causes: a stable code, what it is, and how to repair it. The table is the one place for their words.

use std::fmt;

/// Declares the causes once: variant, code, what it is, what to do.
macro_rules! causes {
    ($($variant:ident $word:literal $what:literal $repair:literal),* $(,)?) => {
        /// What can be wrong with a signature.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Code {
            $(#[doc = concat!("`", $word, "`: ", $what, ".")] $variant,)*
        }

        impl Code {
            /// All of them.
            pub const ALL: &[Code] = &[$(Code::$variant),*];

            /// The stable name.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }

            /// What is wrong.
            pub const fn what(self) -> &'static str {
                match self {
                    $(Self::$variant => $what,)*
                }
            }

            /// What to do.
            pub const fn repair(self) -> &'static str {
                match self {
                    $(Self::$variant => $repair,)*
                }
            }
        }
    };
}

causes! {
    // Both versions.
    SignatureMissing "signature_missing"
        "the message carries no signature"
        "sign it; a message of WeChat without one is not to be believed",
    OtherMerchantsKey "other_merchants_key"
        "it is signed with the key of another merchant than the message names"
        "use the keys of the merchant in the message, and one callback address for each merchant",
    MerchantNotConfigured "merchant_not_configured"
        "the message names a merchant whose keys are not known here"
        "add the merchant to the configuration, or give its key with --api-v2-key-file or --certificate-file",
    KeyMissing "key_missing"
        "there is no key here to check it with"
        "give --config, or the key itself with --api-v2-key-file, --certificate-file or --public-key-file",
    OtherKey "other_key"
        "it may be signed with another key: the merchant's key was changed, or the key here is of somebody else"
        "compare the key with the one on the merchant platform (Account centre, API security); a new one needs some minutes",
    MessageChanged "message_changed"
        "it may have been changed after it was signed"
        "sign the last form of the message and send exactly that; look at proxies and at code that rewrites it",

    // API v2.
    EmptyFieldSigned "empty_field_signed"
        "a field without a value was signed"
        "leave empty fields out of the text that is signed",
    HashNotOfSignType "hash_not_of_sign_type"
        "sign_type names another hash than the one that was used"
        "use the hash that sign_type names, MD5 or HMAC-SHA256",
    SignTypeNotSent "sign_type_not_sent"
        "it is signed with HMAC-SHA256, but sign_type is not sent, so WeChat takes MD5"
        "send sign_type=HMAC-SHA256 and sign it like every other field",
    HashNotAsConfigured "hash_not_as_configured"
        "it is signed with another hash than the merchant's sign_type"
        "set sign_type of the merchant to the hash that the orders are made with",
    HexInSmallLetters "hex_in_small_letters"
        "the signature is written in small letters"
        "write the hexadecimal digits in capitals",
    SortIgnoresCase "sort_ignores_case"
        "the fields were sorted without regard to capitals"
        "sort by the bytes of the names: digits, capitals, _, small letters",
    NotSorted "not_sorted"
        "the fields were signed in the order of the message"
        "sort them by the bytes of their names",
    ValuesUrlEncoded "values_url_encoded"
        "the values were URL-encoded before signing"
        "sign the plain values",
    ValuesXmlEscaped "values_xml_escaped"
        "the values were XML-escaped before signing"
        "sign the plain values, escape them only in the XML",
    ValuesTrimmed "values_trimmed"
        "the values were signed without their blanks at the ends"
        "sign the values exactly as they are sent",
    ZeroDropped "zero_dropped"
        "fields with the value 0 were left out of the text"
        "leave out empty texts only; 0 is a value",
    FieldNotSigned "field_not_signed"
        "a field of the message is not in the text that was signed"
        "sign every field that has a value, but sign itself; add nothing afterwards",
    FieldNotSent "field_not_sent"
        "a field was signed that is not sent"
        "send every field that is signed",
    SignFieldSigned "sign_field_signed"
        "the field sign itself was signed"
        "leave sign out of the text",
    KeyAppendedWrongly "key_appended_wrongly"
        "the key was not put at the end of the text as &key=KEY"
        "append &key= and the key to the sorted fields, with HMAC-SHA256, too",
    ApiV3KeyUsed "api_v3_key_used"
        "it is signed with the APIv3 key"
        "use the key of API v2; they are two keys",
    KeyWithStrayBlank "key_with_stray_blank"
        "the key was used with a blank, a line feed or a mark around it"
        "store the 32 characters and nothing else",
    KeyCaseChanged "key_case_changed"
        "the key was used in other letters, small instead of capital or the reverse"
        "use the key as it is on the merchant platform",

    // API v3: requests.
    AuthorizationMissing "authorization_missing"
        "the header Authorization is missing"
        "send it; proxies sometimes drop it",
    AuthorizationScheme "authorization_scheme"
        "the scheme of Authorization is not WECHATPAY2-SHA256-RSA2048"
        "begin the header with WECHATPAY2-SHA256-RSA2048 and one blank",
    AuthorizationMalformed "authorization_malformed"
        "Authorization is not five quoted fields with commas between them"
        "send mchid, nonce_str, timestamp, serial_no and signature in plain double quotes, in one line",
    Untimely "untimely"
        "the time of the message is five minutes or more away; this is looked at before the signature"
        "set the clock (NTP); sign each request when it is sent; do not replay callbacks",
    TimestampNotSeconds "timestamp_not_seconds"
        "the time is not in seconds since 1970"
        "use seconds, not milliseconds and no date",
    SerialIsPlatforms "serial_is_platforms"
        "serial_no is the one of a certificate of WeChat Pay"
        "name the merchant's own certificate (apiclient_cert.pem)",
    SerialIsPublicKeyId "serial_is_public_key_id"
        "serial_no is the id of WeChat Pay's public key"
        "name the merchant's own certificate in Authorization; PUB_KEY_ID_ belongs into Wechatpay-Serial",
    SerialIsDecimal "serial_is_decimal"
        "serial_no is the serial number in decimal digits"
        "write it in 40 hexadecimal digits: openssl x509 -in apiclient_cert.pem -noout -serial",
    SerialNotOfKey "serial_not_of_key"
        "the serial number names another certificate than the one whose key signed"
        "change certificate, serial number and private key together",
    SerialUnknown "serial_unknown"
        "no key is known for the serial number"
        "give the certificate or public key that belongs to it",
    LineOrder "line_order"
        "the lines were signed in another order"
        "request: method, path, time, nonce, body; answer and callback: time, nonce, body; paySign: appId, time, nonce, package",
    NonceAndTimeSwapped "nonce_and_time_swapped"
        "nonce and time are swapped"
        "the time comes first, then the nonce, both in the text and in the header that bears the name",
    LastLineFeedMissing "last_line_feed_missing"
        "the line feed after the last line was not signed"
        "end every line with a line feed, the last one, and an empty one, too",
    LineEndings "line_endings"
        "the lines do not end with a line feed (0x0A)"
        "use one byte 0x0A; not CR LF, and not a backslash with n, as '\\n' is in PHP",
    QueryLeftOut "query_left_out"
        "the path was signed without its query"
        "sign path and query as they are sent",
    PathReencoded "path_reencoded"
        "the path was signed in another spelling than it was sent"
        "sign the path as it goes over the wire, with its percent signs (a vertical bar is sent as %7C)",
    HostSigned "host_signed"
        "the whole address was signed, with scheme and host"
        "sign from the first / after the host",
    MethodCase "method_case"
        "the method was not signed in capitals"
        "sign GET and POST in capitals",
    BodyReserialised "body_reserialised"
        "another spelling of the same JSON was signed"
        "keep the bytes: sign those that are sent, verify those that came, before anything parses them",
    BodyEnd "body_end"
        "the body was signed with another end: a line feed or blank more or less"
        "keep the bytes: trim nothing, append nothing",
    BodyLineFeeds "body_line_feeds"
        "the body was signed with other line feeds (CR LF or LF)"
        "keep the bytes: nothing on the way may change line feeds",
    BodyLeftOut "body_left_out"
        "the body was not signed"
        "sign the body as the last line, whenever one is sent",
    BodyNotSent "body_not_sent"
        "a body was signed, but the message has none"
        "a request without body signs an empty last line",
    UploadNotMeta "upload_not_meta"
        "of an upload the whole body was signed"
        "sign the JSON text of the part meta only",
    SignatureEncoding "signature_encoding"
        "the signature is not written in plain base64"
        "use the standard alphabet with padding, without line breaks",
    MchidDiffers "mchid_differs"
        "the merchant in Authorization is not the one in the body or the query"
        "use one merchant for all three; WeChat answers PARAM_ERROR otherwise",

    // API v3: what WeChat says.
    HeaderMissing "header_missing"
        "a header of the signature is missing"
        "let proxies pass all Wechatpay- headers; refusals (4xx, 5xx) have none and prove nothing",
    SignatureType "signature_type"
        "Wechatpay-Signature-Type is not WECHATPAY2-SHA256-RSA2048"
        "refuse it; if the merchant has chosen other algorithms, choose RSA on the merchant platform",
    Probe "probe"
        "WeChat tests with a wrong signature whether it is verified (WECHATPAY/SIGNTEST/)"
        "nothing is wrong: refuse it as always; the true message comes again",
    MerchantsOwnSerial "merchants_own_serial"
        "Wechatpay-Serial is the merchant's own certificate, with which WeChat never signs"
        "refuse it: somebody else has made it",
    MerchantsCertificateUsed "merchants_certificate_used"
        "it was checked with the merchant's own certificate"
        "use WeChat Pay's public key (pub_key.pem) or the platform certificate",
    PublicKeyNotConfigured "public_key_not_configured"
        "it is signed with a public key of WeChat Pay that is not known here"
        "download it from the merchant platform and set public_key_id and public_key_file; it cannot be fetched",

    // wx.requestPayment.
    AppIdMissing "app_id_missing"
        "the appId was not signed"
        "sign it as the first part, although the mini program does not pass it",
    AppIdOther "app_id_other"
        "another appId was signed"
        "sign the appid of the mini program for which the order was made",
    AppIdName "app_id_name"
        "the field was signed as appid"
        "the name is appId, with a capital I",
    AppIdNeeded "app_id_needed"
        "the appId is not known: it is signed, but not a parameter"
        "give --appid, or --config",
    PrepayIdPrefix "prepay_id_prefix"
        "package lacks prepay_id= in front of the number"
        "sign and pass prepay_id=NUMBER",
    TimeStampNumeric "time_stamp_numeric"
        "timeStamp is a number"
        "pass it as a text; some phones fail on a number",
    SignTypeOther "sign_type_other"
        "signType does not name how paySign was made"
        "API v3: RSA; API v2: the sign_type of the order, MD5 or HMAC-SHA256; without it the phone takes MD5",
    SignTypeSigned "sign_type_signed"
        "signType was signed as a line of its own"
        "API v3 signs four lines: appId, timeStamp, nonceStr, package",
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How sure a cause is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certainty {
    /// Seen in the message, or the signature fits when it is assumed.
    Found,
    /// Nothing speaks against it.
    Possible,
}

/// One cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// Which.
    pub code: Code,
    /// How sure.
    pub certainty: Certainty,
    /// What exactly: a name, a number. Cleaned: it may come from a stranger.
    pub detail: Option<String>,
}

impl Cause {
    pub(super) fn found(code: Code) -> Self {
        Self { code, certainty: Certainty::Found, detail: None }
    }

    pub(super) fn possible(code: Code) -> Self {
        Self { code, certainty: Certainty::Possible, detail: None }
    }

    pub(super) fn with(self, detail: impl AsRef<str>) -> Self {
        Self { detail: Some(clean(detail.as_ref())), ..self }
    }
}

/// What is wrong and what to do, in one line.
impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code.what())?;
        if let Some(detail) = &self.detail {
            write!(f, " ({detail})")?;
        }
        write!(f, ": {}", self.code.repair())
    }
}

/// Anybody's text, cut and without anything that could disturb a line of a log.
pub(super) fn clean(text: &str) -> String {
    const DETAIL_CHARS_MAX: usize = 160;
    text.chars().filter(|character| *character == ' ' || character.is_ascii_graphic()).take(DETAIL_CHARS_MAX).collect()
}
