//! Somebody else answers in WeChat's place, with a signature that is good.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use weixin::{
    NonceStr, PrepayId,
    pay::v2::{self, SignType, unified_order::UnifiedOrderAnswer},
};

use crate::support::{DEMO, OTHER, World, on_both_databases};

on_both_databases!(an_answer_to_another_app_or_merchant_is_not_believed);

/// Answers every request with this body, and gives its address.
async fn answer_with(body: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"</xml>") && stream.read_buf(&mut request).await.unwrap() > 0 {}
            let length = body.len();
            let answer = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}");
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    format!("http://{address}")
}

async fn an_answer_to_another_app_or_merchant_is_not_believed(world: &mut World) {
    let phone = world.phone("li").await;
    let order = phone.order("tea").await;
    let nonce_str = NonceStr::parse("5K8264ILTKCH16CQ2502SI8ZNMTM67VS").unwrap();
    let prepay = UnifiedOrderAnswer { prepay_id: PrepayId::parse("wx22143005stolen").unwrap() };
    let (wechat, hmac) = (world.recipe.wechat.clone(), SignType::HmacSha256);
    for (appid, mchid) in [(DEMO.appid(), OTHER.mchid()), (OTHER.appid(), DEMO.mchid())] {
        let rejection = v2::Rejection { err_code: v2::ErrCode::Noauth, err_code_des: "no".to_owned() };
        for answer in [
            v2::success(&prepay, (&appid, &mchid), &nonce_str, &DEMO.key(), hmac),
            v2::rejection(&rejection, (&appid, &mchid), &nonce_str, &DEMO.key(), hmac),
        ] {
            world.recipe.wechat = answer_with(answer.to_xml()).await;
            world.restart().await;
            phone.press(&order).await.problem(503, "wechat_unavailable");
            assert_eq!(world.payments(&order).await[0].1, "submitting");
        }
    }
    world.recipe.wechat = wechat;
    world.restart().await;
    phone.pay(&order).await;
    world.settle().await;
    assert_eq!(phone.see(&order).await["state"], "paid");
}
