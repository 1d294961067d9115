//! The keys of a merchant, as far as they can be looked at without WeChat. That private key, certificate and serial
//! number belong together was checked when the configuration was read.

use jiff::{SignedDuration, Timestamp};
use weixin::pay::v3::{Certificate, VerifyingKey};

use super::{Check, Report};
use crate::config::{Api, Merchant, V3};

/// How long before its end a certificate is worth a warning, in days. A new one takes a few minutes to get and some
/// days to remember.
const EXPIRES_SOON_DAYS: i64 = 30;

/// Looks at the keys of both versions.
pub(super) fn examine(report: &mut Report, merchant: &Merchant, now: Timestamp) {
    let mchid = merchant.mchid.as_str();
    if let Some(v3) = &merchant.v3 {
        let credential = &v3.credential;
        let text = format!("private key of 2048 bits or more, serial number {}, APIv3 key", credential.serial_no);
        report.add(Check::ok("v3 keys", mchid, text));
        report.add(match &v3.certificate {
            Some(certificate) => dates(mchid, certificate, now),
            None => {
                let text = "certificate_file is not set: whether serial_no belongs to the private key and when the \
                            certificate ends is not known here";
                Check::warning("v3 certificate", mchid, text).fix("set certificate_file to apiclient_cert.pem")
            }
        });
        report.add(public_key(merchant, v3));
    }
    if let Some(v2) = &merchant.v2 {
        let text = format!("key of 32 letters and digits, {}", v2.sign_type.as_str());
        report.add(Check::ok("v2 key", mchid, text));
    } else if merchant.api == Api::V3 {
        let text = "not configured: refunds that somebody makes on the merchant platform may be reported as v2 XML, \
                    which is refused then";
        report.add(Check::ok("v2 key", mchid, text));
    }
}

fn dates(mchid: &str, certificate: &Certificate, now: Timestamp) -> Check {
    const NAME: &str = "v3 certificate";
    let day = |time: Timestamp| time.strftime("%Y-%m-%d").to_string();
    let renew = "apply for a new certificate on the merchant platform (Account centre, API security), then change \
                 private_key_file and certificate_file together";
    if now < certificate.not_before {
        let text = format!("it is not valid before {}", day(certificate.not_before));
        return Check::problem(NAME, mchid, text)
            .fix("look at the clock of this machine, or use the certificate before");
    }
    if now >= certificate.not_after {
        let text = format!("it has expired on {}", day(certificate.not_after));
        return Check::problem(NAME, mchid, text).fix(renew);
    }
    let left = certificate.not_after.duration_since(now);
    if left < SignedDuration::from_hours(24 * EXPIRES_SOON_DAYS) {
        let text = format!("it expires in {} days, on {}", left.as_hours() / 24, day(certificate.not_after));
        return Check::warning(NAME, mchid, text).fix(renew);
    }
    Check::ok(NAME, mchid, format!("belongs to the private key, valid until {}", day(certificate.not_after)))
}

fn public_key(merchant: &Merchant, v3: &V3) -> Check {
    const NAME: &str = "v3 public key";
    let mchid = merchant.mchid.as_str();
    let Some(key) = &v3.public_key else {
        return Check::ok(NAME, mchid, "none configured: platform certificates are downloaded");
    };
    if v3.credential.key.matches(key) {
        let text = "public_key_file holds the merchant's own public key, not WeChat Pay's";
        return Check::problem(NAME, mchid, text).fix("download pub_key.pem from the merchant platform (API security)");
    }
    // The id holds the merchant's number, as far as has been seen: 01, the number, a date, digits.
    if names_other_merchant(key, mchid) {
        let text = format!("{} does not look like the id of this merchant, whose number is usually in it", key.id());
        return Check::warning(NAME, mchid, text)
            .fix("compare public_key_id with the merchant platform (API security)");
    }
    Check::ok(NAME, mchid, key.id().to_string())
}

fn names_other_merchant(key: &VerifyingKey, mchid: &str) -> bool {
    !key.id().as_str().contains(mchid)
}
