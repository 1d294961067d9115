//! A merchant of API v3 and a WeChat whose certificates the test gives.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use jiff::SignedDuration;
use weixin::{
    OutTradeNo,
    pay::v3::{KeyId, VerifyError, certificates as page, close::CloseOrder},
};
use weixin_client::{CallErrorV3, MerchantV3, PayV3Client, Refreshed};

use crate::{
    fixture::{TestClock, mchid},
    fixture_v3::{
        NOW_S, Signer, certificates, client, merchant_with_certificates, merchant_with_public_key, nonce, reply,
    },
    peer::{Peer, Reply},
};

pub(crate) const CLOSE: &str = "/v3/pay/transactions/out-trade-no/T20260301000001/close";
pub(crate) const BOTH: [&str; 2] = ["PLATFORM_1", "PLATFORM_2"];
pub(crate) const NOT_FOUND: &str =
    r#"{"code":"RESOURCE_NOT_EXISTS","message":"无可用的平台证书，请在商户平台-API安全申请使用微信支付公钥"}"#;
/// A body that nobody but the verification looks at.
pub(crate) const CALLBACK: &[u8] = "{\"id\":\"掌柜\"}".as_bytes();
pub(crate) const HOUR: SignedDuration = SignedDuration::from_hours(1);
pub(crate) const NOW: SignedDuration = SignedDuration::ZERO;

/// A merchant, a clock and a WeChat whose certificates the test gives.
pub(crate) struct Shop {
    pub(crate) clock: TestClock,
    pub(crate) merchant: MerchantV3,
    pub(crate) peer: Peer,
    pub(crate) client: PayV3Client,
    /// Who signs answers to calls and to the download.
    pub(crate) signer: Arc<Mutex<Signer>>,
    /// What the download gives; `None` closes the connection.
    pub(crate) download: Arc<Mutex<Option<Download>>>,
}

pub(crate) type Download = Box<dyn Fn(&Signer) -> Reply + Send>;

impl Shop {
    pub(crate) fn open(merchant: MerchantV3, signer: fn(&TestClock) -> Signer) -> Self {
        let clock = TestClock::at(NOW_S);
        let signer = Arc::new(Mutex::new(signer(&clock)));
        let download: Arc<Mutex<Option<Download>>> = Arc::default();
        let (signs, gives) = (Arc::clone(&signer), Arc::clone(&download));
        let peer = Peer::start(move |request| match (request.path(), &*gives.lock().unwrap()) {
            (page::PATH, Some(download)) => download(&signs.lock().unwrap()),
            (page::PATH, None) => Reply::Close,
            (CLOSE, _) => reply("204 No Content", Some(&signs.lock().unwrap().headers(b"")), ""),
            _ => Reply::status("404 Not Found"),
        });
        let client = client(peer.hosts(), &clock);
        Self { clock, merchant, peer, client, signer, download }
    }

    /// A merchant in certificate mode at a WeChat that uses its first certificate.
    pub(crate) fn with_certificates() -> Self {
        Self::open(merchant_with_certificates(), Signer::platform_1)
    }

    /// A merchant with the public key and perhaps certificates.
    pub(crate) fn with_public_key() -> Self {
        Self::open(merchant_with_public_key(), Signer::public_key)
    }

    pub(crate) fn gives(&self, download: impl Fn(&Signer) -> Reply + Send + 'static) {
        *self.download.lock().unwrap() = Some(Box::new(download));
    }

    pub(crate) fn gives_certificates(&self, names: &'static [&'static str]) {
        self.gives(|signer| signer.reply(certificates(names)));
    }

    pub(crate) fn is_away(&self) {
        *self.download.lock().unwrap() = None;
    }

    pub(crate) fn signs(&self, signer: Signer) {
        *self.signer.lock().unwrap() = signer;
    }

    pub(crate) async fn close(&self) -> Result<(), CallErrorV3> {
        let call = CloseOrder { mchid: mchid(), out_trade_no: OutTradeNo::parse("T20260301000001").unwrap() };
        self.client.call(&self.merchant, nonce(), &call).await.map(drop)
    }

    pub(crate) async fn refresh(&self, max_age: SignedDuration) -> Result<Refreshed, CallErrorV3> {
        self.client.refresh(&self.merchant, max_age).await
    }

    /// A callback by this signer.
    pub(crate) async fn callback(&self, signer: &Signer) -> Result<(), VerifyError> {
        self.client.verify_callback(&self.merchant, &signer.headers(CALLBACK), CALLBACK).await.map(drop)
    }

    pub(crate) fn platform_1(&self) -> Signer {
        Signer::platform_1(&self.clock)
    }

    pub(crate) fn platform_2(&self) -> Signer {
        Signer::platform_2(&self.clock)
    }

    /// Somebody who invents serial numbers.
    pub(crate) fn forger(&self, number: usize) -> Signer {
        Signer::stranger(&format!("{number:040X}"), &self.clock)
    }

    pub(crate) fn trusted(&self) -> BTreeSet<String> {
        self.merchant.trust.current().ids().map(KeyId::to_string).collect()
    }

    pub(crate) fn downloads(&self) -> usize {
        self.peer.count(page::PATH)
    }

    pub(crate) fn calls(&self) -> usize {
        self.peer.count(CLOSE)
    }
}

pub(crate) fn unknown(signer: &Signer) -> Result<(), VerifyError> {
    Err(VerifyError::UnknownKey { serial: signer.id.to_string() })
}
