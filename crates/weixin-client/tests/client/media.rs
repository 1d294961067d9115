//! Pictures: uploads and downloads, within limits.

use weixin::{
    NonceStr,
    mini_program::{
        ErrCode, MediaId, media_get, media_upload,
        picture::{ImageKind, Picture},
    },
};
use weixin_client::{ApiError, Unreadable};

use crate::{
    app_calls::{BROKEN, Caller, STABLE_TOKEN, calls, wechat, wechat_with_a_stale_token},
    fixture::{app, assert_silent, impatient_transport, nonce},
    peer::{Peer, Received, Reply},
};

const GIF: &[u8] = b"GIF89a\x10\0\x20\0\0\0\0\r\n--;";
const UPLOADED: &str = r#"{"type":"image","media_id":"MEDIA_ID","created_at":1672500000}"#;

impl Caller {
    async fn upload(&self) -> Result<media_upload::Response, ApiError> {
        let request = media_upload::Request::image(GIF.to_vec()).unwrap();
        self.client.media_upload(&self.tokens, &app(), &request, &nonce()).await
    }

    async fn download(&self) -> Result<Vec<u8>, ApiError> {
        let media_id = MediaId::parse("needlemedia").unwrap();
        self.client.media_get(&self.tokens, &app(), &media_id).await.map(Vec::from)
    }
}

fn file(bytes: &[u8]) -> Reply {
    Reply::Body(bytes.to_vec())
}

/// In pieces without a length in front, as nobody can know what will come.
fn endless_file(length: usize) -> Reply {
    let piece = [b"10000\r\n".as_slice(), &vec![0xff; 0x10000], b"\r\n"].concat();
    let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    Reply::Raw([head, piece.repeat(length.div_ceil(0x10000)), b"0\r\n\r\n".to_vec()].concat())
}

#[tokio::test]
async fn a_picture_is_uploaded_as_one_file_of_known_length() {
    let peer = wechat(|_| Reply::text(UPLOADED));
    let answer = Caller::of(&peer).upload().await.unwrap();
    assert_eq!((answer.media_id.as_str(), answer.created_at_s), ("MEDIA_ID", 1672500000));
    let request = calls(&peer).remove(0);
    let line = "POST /cgi-bin/media/upload?access_token=needletoken-1&type=image HTTP/1.1\r\n";
    assert!(request.head.starts_with(line), "{}", request.head);
    assert_eq!(request.header("content-length"), Some(request.body.len().to_string().as_str()));
    assert_eq!(request.header("transfer-encoding"), None);
    let read = media_upload::Request::read(Some("image"), request.header("content-type"), &request.body).unwrap();
    assert_eq!(read.picture(), Picture { kind: ImageKind::Gif, width_px: 16, height_px: 32 });
    assert_eq!(read.into_bytes(), GIF);
}

#[tokio::test]
async fn a_picture_may_go_to_the_backup_host_and_again_with_another_token() {
    for broken in &BROKEN[..4] {
        let (main, backup) = (wechat(*broken), wechat(|_| Reply::text(UPLOADED)));
        let caller = Caller::new(impatient_transport(), main.hosts(), main.hosts_with_backup(&backup));
        caller.upload().await.unwrap();
        assert_eq!(calls(&main)[0].body, calls(&backup)[0].body);
    }
    let stale = wechat_with_a_stale_token(|_| Reply::text(UPLOADED));
    Caller::of(&stale).upload().await.unwrap();
    assert_eq!((calls(&stale).len(), stale.count(STABLE_TOKEN)), (2, 2));
}

#[tokio::test]
async fn a_picture_that_wechat_refuses_is_refused_for_good_and_a_busy_moment_is_not() {
    for (code, for_good) in [(40005, true), (40009, true), (41005, true), (48001, true), (-1, false), (45009, false)] {
        let peer = wechat(move |_| Reply::text(format!(r#"{{"errcode":{code},"errmsg":"no"}}"#)));
        let error = Caller::of(&peer).upload().await.unwrap_err();
        assert_eq!((error.errcode(), error.is_refused_for_good()), (Some(ErrCode(code)), for_good));
    }
    let lost = wechat(|_| Reply::Close);
    assert!(!Caller::of(&lost).upload().await.unwrap_err().is_refused_for_good());
}

#[tokio::test]
async fn a_customers_picture_is_downloaded_whatever_the_content_type_says() {
    let peer = wechat(|_| {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n", GIF.len());
        Reply::Raw([head.as_bytes(), GIF].concat())
    });
    assert_eq!(Caller::of(&peer).download().await.unwrap(), GIF);
    let line = "GET /cgi-bin/media/get?access_token=needletoken-1&media_id=needlemedia HTTP/1.1\r\n";
    assert!(calls(&peer)[0].head.starts_with(line), "{}", calls(&peer)[0].head);
}

#[tokio::test]
async fn json_instead_of_a_picture_is_a_refusal_also_with_a_stale_token() {
    let gone = wechat(|_| Reply::text(r#"{"errcode":40007,"errmsg":"invalid media_id"}"#));
    let error = Caller::of(&gone).download().await.unwrap_err();
    assert_eq!(error.errcode(), Some(ErrCode::INVALID_MEDIA_ID));
    let stale = wechat_with_a_stale_token(|_| file(GIF));
    assert_eq!(Caller::of(&stale).download().await.unwrap(), GIF);
    for body in ["", "{}", r#"{"video_url":"http://127.0.0.1/"}"#] {
        let peer = wechat(move |_| Reply::text(body));
        let error = Caller::of(&peer).download().await.unwrap_err();
        assert!(matches!(error, ApiError::Unreadable(Unreadable::Json)), "{error:?}");
        assert_eq!(calls(&peer).len(), 1, "no address in an answer is ever called");
    }
}

#[tokio::test]
async fn a_picture_has_a_greatest_size_however_it_comes() {
    let largest = wechat(|_| endless_file(media_get::FILE_BYTES_MAX));
    assert_eq!(Caller::of(&largest).download().await.unwrap().len(), media_get::FILE_BYTES_MAX);
    let announced: fn(&Received) -> Reply = |_| {
        let length = media_get::FILE_BYTES_MAX + 1;
        Reply::Raw(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n").into_bytes())
    };
    let unannounced: fn(&Received) -> Reply = |_| endless_file(media_get::FILE_BYTES_MAX + 1);
    for too_large in [announced, unannounced] {
        let error = Caller::of(&wechat(too_large)).download().await.unwrap_err();
        assert!(error.is_too_large(), "{error:?}");
        assert_silent(&error);
    }
}

#[tokio::test]
async fn only_downloads_may_be_so_large() {
    let peer = wechat(|_| endless_file(2 * 1024 * 1024));
    assert!(Caller::of(&peer).download().await.is_ok());
    assert!(Caller::of(&peer).upload().await.unwrap_err().is_too_large());
}

#[tokio::test]
async fn a_download_may_be_asked_for_twice_and_no_error_shows_its_address() {
    for broken in &BROKEN[..4] {
        let (main, backup) = (wechat(*broken), wechat(|_| file(GIF)));
        let caller = Caller::new(impatient_transport(), main.hosts(), main.hosts_with_backup(&backup));
        assert_eq!(caller.download().await.unwrap(), GIF);
        let alone = Caller::new(impatient_transport(), main.hosts(), main.hosts());
        assert_silent(&alone.download().await.unwrap_err());
        assert_silent(&alone.upload().await.unwrap_err());
    }
    let gateway = wechat(|_| Reply::status("502 Bad Gateway"));
    let error = Caller::of(&gateway).download().await.unwrap_err();
    assert!(matches!(error, ApiError::Unreadable(Unreadable::Status(502))), "{error:?}");
}

#[tokio::test]
async fn the_nonce_is_the_end_of_the_file() {
    let peer: Peer = wechat(|_| Reply::text(UPLOADED));
    let caller = Caller::of(&peer);
    let request = media_upload::Request::image(GIF.to_vec()).unwrap();
    let nonce = NonceStr::from_random([9; 16]);
    caller.client.media_upload(&caller.tokens, &app(), &request, &nonce).await.unwrap();
    assert!(calls(&peer)[0].body.ends_with(format!("--zhanggui-{nonce}--\r\n").as_bytes()));
}
