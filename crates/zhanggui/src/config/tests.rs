//! What a wrong configuration says. Each message names the line and the fix.

use std::{collections::HashMap, path::Path};

use super::{Config, ConfigError, TEMPLATE, empty_environment};

const GOOD: &str = r#"
[server]
public_url = "https://shop.example.com"
[secrets]
master_key = "0101010101010101010101010101010101010101010101010101010101010101"
[[merchant]]
mchid = "1600000001"
api = "v2"
api_v2_key = "0123456789abcdefghijklmnopqrstuv"
[[app]]
appid = "wx0123456789abcdef"
secret = "0123456789abcdef0123456789abcdef"
merchant = "1600000001"
"#;

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, Path::new("/nowhere/zhanggui.toml"), &empty_environment)
}

/// An environment of these variables.
fn environment_of<const N: usize>(variables: [(&str, &str); N]) -> impl Fn(&str) -> Option<String> {
    let variables = HashMap::from(variables.map(|(name, value)| (name.to_owned(), value.to_owned())));
    move |name| variables.get(name).cloned()
}

/// The text with one line changed gives exactly this message.
#[track_caller]
fn check(from: &str, to: &str, message: &str) {
    assert!(GOOD.contains(from), "{from}");
    let Err(error) = parse(&GOOD.replace(from, to)) else { panic!("{to} was accepted") };
    let text = error.to_string();
    assert!(text.contains(message), "expected {message:?} in:\n{text}");
}

#[test]
fn a_small_configuration_is_enough() {
    let config = parse(GOOD).unwrap();
    assert_eq!(config.merchants[0].notify_url.as_str(), "https://shop.example.com/wechat/pay/1600000001");
    assert!(config.merchants[0].v2.as_ref().unwrap().confirm);
    assert!(config.wechat.pay.is_official() && config.wechat.mini_program.is_official());
    assert_eq!(config.database.sqlite_path(), Some(Path::new("/nowhere/zhanggui.db")));
}

#[test]
fn an_unknown_key_names_its_line_and_the_nearest_known_one() {
    check("public_url =", "publik_url =", "line 3: unknown key server.publik_url; did you mean public_url?");
    check("[secrets]", "[secretz]", "line 4: unknown section or key secretz; did you mean secrets?");
    check("secret = ", "colour = \"red\"\nsecret = ", "line 12: unknown key app.colour; known are appid, secret");
}

#[test]
fn a_secret_is_given_exactly_once() {
    check("secret = \"0123456789abcdef0123456789abcdef\"", "", "app.secret must be given once");
    check(
        "secret = ",
        "secret_env = \"A\"\nsecret = ",
        "must be given once: as secret, as secret_file or as secret_env",
    );
}

#[test]
fn a_missing_file_or_variable_is_named() {
    check("api_v2_key = ", "api_v2_key_file = ", "line 9: merchant.api_v2_key_file names /nowhere/0123456789");
    let key = "api_v2_key = \"0123456789abcdefghijklmnopqrstuv\"";
    check(
        key,
        "api_v2_key_env = \"SHOP_KEY\"",
        "line 9: merchant.api_v2_key_env names the variable SHOP_KEY, which is not set",
    );
}

#[test]
fn a_wrong_key_length_is_told_without_the_key() {
    check(
        "0123456789abcdefghijklmnopqrstuv",
        "needle56789",
        "line 9: merchant.api_v2_key must be 32 letters or digits",
    );
    check("\"01010101", "\"needle", "line 5: secrets.master_key must be 64 hexadecimal digits");
    let error = parse(&GOOD.replace("0123456789abcdefghijklmnopqrstuv", "needle56789")).err().unwrap();
    assert!(!format!("{error} {error:?}").contains("needle"));
}

#[test]
fn all_problems_are_told_at_once() {
    let error = parse("[server]\nlisten = 8080\n[database]\nurl = \"mysql://a\"\n").err().unwrap();
    let text = error.to_string();
    for message in [
        "line 2: server.listen must be a text",
        "server.public_url is missing",
        "line 4: database.url",
        "secrets.master_key must be given once",
        "at least one [[app]] is needed",
    ] {
        assert!(text.contains(message), "expected {message:?} in:\n{text}");
    }
}

#[test]
fn what_is_not_toml_names_its_line() {
    check("[secrets]", "[secrets", "line 4: not TOML");
}

#[test]
fn numbers_stay_within_their_bounds() {
    check(
        "[secrets]",
        "request_timeout_s = 0\n[secrets]",
        "line 4: server.request_timeout_s must be a whole number from 1 to 300",
    );
    check(
        "[secrets]",
        "[order]\nexpires_in_min = 1.5\n[secrets]",
        "line 5: order.expires_in_min must be a whole number",
    );
}

#[test]
fn an_app_names_a_merchant_of_the_file_and_stands_once() {
    check("merchant = \"1600000001\"", "merchant = \"1600000009\"", "app.merchant names no [[merchant]] of this file");
    let twice = format!(
        "{GOOD}[[merchant]]\nmchid = \"1600000001\"\napi = \"v2\"\napi_v2_key = \"0123456789abcdefghijklmnopqrstuv\"\n"
    );
    assert!(parse(&twice).err().unwrap().to_string().contains("merchant.mchid stands twice"));
}

#[test]
fn the_live_realm_calls_the_real_wechat_only_and_over_tls() {
    check(
        "[secrets]",
        "[wechat]\npay_url = \"http://127.0.0.1:1\"\n[secrets]",
        "line 5: wechat.pay_url can be set only with realm",
    );
    check("https://shop", "http://shop", "line 3: server.public_url must begin with https://");
    check("0123456789abcdefghijklmnopqrstuv", "fakeApiV2Key00000000000000000000", "is a key of the simulator");
}

#[test]
fn the_simulated_realm_never_calls_the_real_wechat() {
    let simulated = "[wechat]\nrealm = \"simulated\"\n[secrets]";
    check("[secrets]", simulated, "wechat.pay_url is missing: the address of the simulator");
    let official = "[wechat]\nrealm = \"simulated\"\npay_url = \"https://api.mch.weixin.qq.com\"\napi_url = \"http://127.0.0.1:1\"\n[secrets]";
    check("[secrets]", official, "wechat.pay_url is the real WeChat");
}

#[test]
fn the_environment_overrides_the_file() {
    let variables = [
        ("ZHANGGUI_SERVER_LISTEN", "127.0.0.1:9999"),
        ("ZHANGGUI_MERCHANT_1_SIGN_TYPE", "MD5"),
        ("ZHANGGUI_MERCHANT_1_CONFIRM_V2", "false"),
        ("ZHANGGUI_ORDER_EXPIRES_IN_MIN", "30"),
    ];
    let environment = environment_of(variables);
    let config = Config::parse(GOOD, Path::new("zhanggui.toml"), &environment).unwrap();
    assert_eq!(config.server.listen.port(), 9999);
    let v2 = config.merchants[0].v2.as_ref().unwrap();
    assert_eq!(v2.sign_type, weixin::pay::v2::SignType::Md5);
    assert!(!v2.confirm);
    assert_eq!(config.order.expires_in, jiff::SignedDuration::from_mins(30));
}

#[test]
fn a_wrong_variable_is_named() {
    let environment = environment_of([("ZHANGGUI_SERVER_LISTEN", "everywhere")]);
    let error = Config::parse(GOOD, Path::new("zhanggui.toml"), &environment).err().unwrap();
    assert!(error.to_string().contains("ZHANGGUI_SERVER_LISTEN must be an address and a port"), "{error}");
}

#[test]
fn an_unknown_variable_is_refused_with_the_nearest_known_one() {
    let names = ["ZHANGGUI_SERVER_LISTN", "ZHANGGUI_SERVER_LISTEN", "ZHANGGUI_CONFIG", "ZHANGGUI_TEST_SEED", "PATH"];
    let asked = ["ZHANGGUI_SERVER_LISTEN".to_owned(), "ZHANGGUI_DATABASE_URL".to_owned()];
    let unknown = super::unknown_variables(names.into_iter().map(str::to_owned), &asked);
    let texts: Vec<_> = unknown.iter().map(|problem| problem.text.as_str()).collect();
    assert_eq!(texts, ["unknown variable ZHANGGUI_SERVER_LISTN; did you mean ZHANGGUI_SERVER_LISTEN?"]);
}

#[test]
fn the_variables_of_crash_tests_are_refused_by_every_other_build() {
    let names = ["ZHANGGUI_CRASH_AT", "ZHANGGUI_CRASH_CLOCK"];
    let unknown = super::unknown_variables(names.into_iter().map(str::to_owned), &[]);
    assert_eq!(unknown.len(), if cfg!(feature = "crash-points") { 0 } else { 2 });
}

#[test]
fn the_template_lacks_nothing_but_the_merchants_own_files() {
    let error = parse(TEMPLATE).err().unwrap();
    let missing: Vec<_> = error.problems.iter().map(|problem| problem.text.as_str()).collect();
    assert_eq!(missing.len(), 6, "{missing:#?}");
    assert!(missing.iter().all(|text| text.contains("_file names /nowhere/")), "{missing:#?}");
}

/// A folder with the fake keys of the protocol's vectors, and a configuration of API v3 in it.
struct V3 {
    folder: tempfile::TempDir,
    text: String,
}

impl V3 {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let vectors: serde_json::Value =
            serde_json::from_str(include_str!("../../../weixin/tests/vectors/pay-v3.json")).unwrap();
        let write = |file: &str, owner: &str, field: &str| {
            let text = vectors["keys"][owner][field].as_str().unwrap();
            std::fs::write(folder.path().join(file), text).unwrap();
        };
        write("apiclient_key.pem", "MERCHANT", "private_key_pem");
        write("apiclient_cert.pem", "MERCHANT", "certificate_pem");
        write("pub_key.pem", "PUBLIC_KEY", "public_key_pem");
        write("stranger.pem", "STRANGER", "private_key_pem");
        let v2 = "api = \"v2\"\napi_v2_key = \"0123456789abcdefghijklmnopqrstuv\"\n";
        let v3 = "private_key_file = \"apiclient_key.pem\"\ncertificate_file = \"apiclient_cert.pem\"\n\
                  api_v3_key = \"0123456789abcdefGHIJKLMNOPqrstuv\"\n\
                  public_key_id = \"PUB_KEY_ID_0119000001092026010100000000000001\"\npublic_key_file = \"pub_key.pem\"\n";
        assert!(GOOD.contains(v2));
        Self { folder, text: GOOD.replace(v2, v3) }
    }

    fn parse(&self, text: &str) -> Result<Config, ConfigError> {
        Config::parse(text, &self.folder.path().join("zhanggui.toml"), &empty_environment)
    }

    #[track_caller]
    fn check(&self, from: &str, to: &str, message: &str) {
        assert!(self.text.contains(from), "{from}");
        let Err(error) = self.parse(&self.text.replace(from, to)) else { panic!("{to} was accepted") };
        let text = error.to_string();
        assert!(text.contains(message), "expected {message:?} in:\n{text}");
    }
}

#[test]
fn api_v3_is_the_default_and_takes_the_files_of_the_merchant_platform() {
    let v3 = V3::new();
    let config = v3.parse(&v3.text).unwrap();
    let merchant = &config.merchants[0];
    assert_eq!(merchant.api, super::Api::V3);
    assert!(merchant.v2.is_none());
    let keys = merchant.v3.as_ref().unwrap();
    assert_eq!(keys.credential.serial_no.as_str(), "5C2A90D1E4B7368F00112233445566778899AABB");
    assert!(keys.public_key.is_some() && keys.certificate.is_some());
}

#[test]
fn the_serial_number_serves_in_place_of_the_certificate_and_the_public_key_may_be_absent() {
    let v3 = V3::new();
    let text = v3.text.replace(
        "certificate_file = \"apiclient_cert.pem\"",
        "serial_no = \"5c2a90d1e4b7368f00112233445566778899aabb\"",
    );
    let text = text.replace(
        "public_key_id = \"PUB_KEY_ID_0119000001092026010100000000000001\"\npublic_key_file = \"pub_key.pem\"\n",
        "",
    );
    let config = v3.parse(&text).unwrap();
    let keys = config.merchants[0].v3.as_ref().unwrap();
    assert_eq!(keys.credential.serial_no.as_str(), "5C2A90D1E4B7368F00112233445566778899AABB");
    assert!(keys.public_key.is_none());
}

#[test]
fn each_wrong_key_of_api_v3_has_its_own_message() {
    let v3 = V3::new();
    let key = "private_key_file = \"apiclient_key.pem\"";
    v3.check(
        key,
        "private_key_file = \"apiclient_cert.pem\"",
        "line 8: merchant.private_key_file is a PEM of the kind CERTIFICATE, but PRIVATE KEY is needed",
    );
    v3.check(key, "private_key_file = \"zhanggui.pem\"", "line 8: merchant.private_key_file names ");
    v3.check(key, "private_key = \"needle\"", "line 8: merchant.private_key is not PEM");
    v3.check(
        key,
        "private_key_file = \"stranger.pem\"",
        "line 9: merchant.certificate_file does not belong to the private key",
    );
    v3.check(key, "", "merchant.private_key must be given once");
    v3.check(
        "api_v3_key = \"0123456789abcdefGHIJKLMNOPqrstuv\"",
        "api_v3_key = \"short\"",
        "line 10: merchant.api_v3_key must be 32 letters or digits",
    );
    v3.check("api_v3_key = \"0123456789abcdefGHIJKLMNOPqrstuv\"", "", "merchant.api_v3_key is missing");
    v3.check("certificate_file = \"apiclient_cert.pem\"\n", "", "merchant.serial_no or certificate_file is missing");
    v3.check(
        "certificate_file =",
        "serial_no = \"1234567890\"\ncertificate_file =",
        "line 9: merchant.serial_no is not the serial number of certificate_file, which has 5C2A90D1",
    );
    v3.check(
        "certificate_file = \"apiclient_cert.pem\"",
        "serial_no = \"PUB_KEY_ID_01\"",
        "line 9: merchant.serial_no must be the serial number of a certificate",
    );
    v3.check("public_key_file = \"pub_key.pem\"", "", "merchant.public_key_file and public_key_id go together");
    v3.check(
        "PUB_KEY_ID_0119000001092026010100000000000001",
        "0119000001",
        "line 11: merchant.public_key_id must be PUB_KEY_ID_ followed by digits",
    );
    v3.check(
        "public_key_file = \"pub_key.pem\"",
        "public_key_file = \"apiclient_cert.pem\"",
        "line 12: merchant.public_key_file is a PEM of the kind CERTIFICATE, but PUBLIC KEY is needed",
    );
}

/// The certificate that API v2 wants to see before money goes back, and everything that can be wrong with it.
#[test]
fn lesson_28_each_wrong_certificate_for_refunds_has_its_own_message() {
    let v3 = V3::new();
    let file = |name: &str, bytes: &[u8]| std::fs::write(v3.folder.path().join(name), bytes).unwrap();
    file("cert.p12", include_bytes!("../../../weixin-simulator/fixtures/apiclient_cert.p12"));
    file("broken.p12", b"PKCS12");
    let (head, tail) = GOOD.split_once("[[app]]").unwrap();
    let with = |lines: &str| format!("{head}{lines}[[app]]{tail}");

    let good = v3.parse(&with("certificate_p12_file = \"cert.p12\"\n")).unwrap();
    assert!(good.merchants[0].certificate.is_some() && good.merchants[0].v3.is_none());
    let pem = "private_key_file = \"apiclient_key.pem\"\ncertificate_file = \"apiclient_cert.pem\"\n";
    let good = v3.parse(&with(pem)).unwrap();
    assert!(good.merchants[0].certificate.is_some() && good.merchants[0].v3.is_none());
    assert!(v3.parse(GOOD).unwrap().merchants[0].certificate.is_none(), "without it, refunds are made elsewhere");

    for (lines, message) in [
        ("certificate_p12_file = \"nothing.p12\"\n", "merchant.certificate_p12_file names "),
        (
            "certificate_p12_file = \"broken.p12\"\n",
            "merchant.certificate_p12_file the p12 (apiclient_cert.p12) cannot be read",
        ),
        ("certificate_p12_file = \"apiclient_cert.pem\"\n", "the file is PEM and not a p12"),
        (
            "certificate_p12_file = \"cert.p12\"\ncertificate_p12_password = \"needle\"\n",
            "the password of the p12 is wrong; WeChat's password is the merchant's number (mchid)",
        ),
        (
            "private_key_file = \"apiclient_key.pem\"\ncertificate_file = \"cert.p12\"\n",
            "merchant.certificate_file names ",
        ),
        (
            "private_key_file = \"stranger.pem\"\ncertificate_file = \"apiclient_cert.pem\"\n",
            "merchant.certificate_file does not belong to the private key",
        ),
        ("private_key = \"needle\"\ncertificate_file = \"apiclient_cert.pem\"\n", "merchant.private_key is not PEM"),
    ] {
        let Err(error) = v3.parse(&with(lines)) else { panic!("{lines} was accepted") };
        let text = error.to_string();
        assert!(text.contains(message), "expected {message:?} in:\n{text}");
        assert!(!text.contains("needle"), "{text}");
    }
}

mod customer_service {
    use weixin::push::Mode;

    use super::{GOOD, parse};
    use crate::customer_service::Handler;

    const PUSH: &str = "
[app.push]
token = \"MyPushToken\"
encoding_aes_key = \"abcdefghijklmnopqrstuvwxyz0123456789ABCDEFI\"
";

    #[track_caller]
    fn refuses(more: &str, message: &str) {
        let error = parse(&format!("{GOOD}{more}")).err().expect("a problem").to_string();
        assert!(error.contains(message), "{error}");
    }

    #[test]
    fn a_message_goes_to_wechats_agents_unless_the_file_says_otherwise() {
        let config = parse(&format!("{GOOD}{PUSH}")).unwrap();
        let push = config.apps[0].push.as_ref().unwrap();
        assert_eq!((push.handler, push.receiver.mode), (Handler::Wechat, Mode::Secure));
        assert!(parse(GOOD).unwrap().apps[0].push.is_none());
    }

    #[test]
    fn two_pairs_of_keys_stand_side_by_side_during_a_rotation() {
        let old = "token_old = \"oldToken\"\nencoding_aes_key_old = \"0bcdefghijklmnopqrstuvwxyz0123456789ABCDEFI\"\n";
        let config = parse(&format!("{GOOD}{PUSH}{old}")).unwrap();
        let receiver = &config.apps[0].push.as_ref().unwrap().receiver;
        assert_eq!((receiver.tokens.len(), receiver.aes_keys.len()), (2, 2));
        assert_eq!(receiver.tokens[0].expose(), "MyPushToken", "the newest is the first");
    }

    #[test]
    fn a_push_section_that_cannot_work_says_why() {
        refuses("[app.push]\ntoken = \"MyPushToken\"\n", "push.encoding_aes_key is missing");
        refuses("[app.push]\nencoding_aes_key = \"short\"\ntoken = \"abc\"\n", "must be the EncodingAESKey");
        refuses("[app.push]\nmode = \"open\"\n", "push.mode must be");
        refuses("[app.push]\nhandler = \"boss\"\n", "push.handler must be");
        refuses("[app.push]\ntokens = \"abc\"\n", "did you mean token");
        refuses("[app.push]\ntoken = \"fakePushToken\"\n", "is a key of the simulator");
    }

    #[test]
    fn a_rule_or_message_that_cannot_work_names_itself() {
        refuses("[[app.rule]]\nname = \"a\"\non = \"message\"\n", "does nothing");
        refuses(
            "[[app.rule]]\nname = \"a\"\non = \"enter\"\nreply = \"hi\"\nkeyword = [\"x\"]\n",
            "did you mean keywords",
        );
        refuses("[[app.rule]]\nname = \"a\"\non = \"message\"\nkeywords = \"x\"\n", "must be a list of texts");
        refuses("[[app.subscribe_message]]\nname = \"paid\"\n", "template_id is missing");
        refuses(
            "[[app.subscribe_message]]\nname = \"paid\"\ntemplate_id = \"t\"\non = \"order.eaten\"\n",
            "order.paid",
        );
        let rule = "[[app.rule]]\nname = \"a\"\non = \"enter\"\nreply = \"hi\"\n";
        refuses(&format!("{rule}{rule}"), "stands twice");
    }
}
