//! Message push: who reads what customers write, and whether strangers could speak in their place.
//!
//! Source: <https://developers.weixin.qq.com/miniprogram/dev/framework/server-ability/message-push.html>.

use weixin::push::Mode;

use super::Check;
use crate::{config::App, customer_service::Handler};

const NAME: &str = "message push";

/// What is configured, and what follows from it for customers.
pub(super) fn examine(app: &App, public_url: &str) -> Check {
    let appid = app.appid.as_str();
    let Some(push) = &app.push else {
        let text =
            "is not configured: keep it switched off in WeChat's console, too, or customers' messages reach nobody";
        return Check::ok(NAME, appid, text);
    };
    if push.receiver.mode == Mode::Plain {
        let text = "comes in clear text: whoever has seen one address can write in any customer's name for ten minutes";
        let fix = "choose 安全模式 in WeChat's console and set app.push.mode = \"secure\"";
        return Check::warning(NAME, appid, text).fix(fix);
    }
    if push.receiver.tokens.len() > 1 || push.receiver.aes_keys.len() > 1 {
        let text = "takes the token or key from before a rotation, too";
        let fix = "remove token_old and encoding_aes_key_old when WeChat's console has the new ones";
        return Check::warning(NAME, appid, text).fix(fix);
    }
    let who = match push.handler {
        Handler::Wechat => "messages go on to WeChat's own agents",
        Handler::Desk => "messages stay here for the desk; WeChat's own tools show nothing",
        Handler::Bot => "messages stay here for the merchant's system; WeChat's own tools show nothing",
    };
    Check::ok(NAME, appid, format!("{public_url}/wechat/push/{appid}; {who}"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{super::Outcome, *};
    use crate::config::{Config, empty_environment};

    fn check(push: &str) -> Check {
        let text = format!(
            "[server]\npublic_url = \"https://shop.example.com\"\n[secrets]\nmaster_key = \"{}\"\n[[merchant]]\n\
             mchid = \"1600000001\"\napi = \"v2\"\napi_v2_key = \"0123456789abcdefghijklmnopqrstuv\"\n[[app]]\n\
             appid = \"wx0123456789abcdef\"\nsecret = \"0123456789abcdef0123456789abcdef\"\nmerchant = \"1600000001\"\n{push}",
            "01".repeat(32)
        );
        let config = Config::parse(&text, Path::new("zhanggui.toml"), &empty_environment).unwrap();
        examine(&config.apps[0], &config.server.public_url)
    }

    const KEYS: &str =
        "[app.push]\ntoken = \"MyToken\"\nencoding_aes_key = \"abcdefghijklmnopqrstuvwxyz0123456789ABCDEFI\"\n";

    #[test]
    fn it_is_told_who_reads_what_customers_write() {
        assert!(check("").text.contains("reach nobody"));
        assert!(check(KEYS).text.contains("go on to WeChat's own agents"));
        assert!(check(&format!("{KEYS}handler = \"desk\"\n")).text.contains("WeChat's own tools show nothing"));
    }

    #[test]
    fn clear_text_and_an_unfinished_rotation_are_warnings() {
        for more in ["mode = \"plain\"\n", "token_old = \"OldToken\"\n"] {
            let check = check(&format!("{KEYS}{more}"));
            assert_eq!(check.outcome, Outcome::Warning, "{more}");
            assert!(check.fix.is_some());
        }
    }
}
