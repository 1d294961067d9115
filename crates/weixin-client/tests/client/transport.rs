//! Bytes, limits, hosts and certificates.

use std::{process::Command, time::Duration};

use weixin::pay::v2::{Call as _, close_order::CloseOrder, close_order::CloseOrderAnswer, success};
use weixin_client::{
    CallError, Hosts, NoAnswerKind, PayV2Client, Transport, TransportError, TransportOptions, Unreadable,
};

use crate::{
    fixture::{appid, assert_silent, impatient_transport, mchid, merchant, nonce, out_trade_no, transport},
    peer::{AUTHORITY_PEM, Peer, Received, Reply},
};

/// What WeChat answers to a close, signed.
fn closed() -> String {
    let merchant = merchant();
    success(&CloseOrderAnswer, (&appid(), &mchid()), &nonce(), &merchant.key, merchant.sign_type).to_xml()
}

fn well(_: &Received) -> Reply {
    Reply::text(closed())
}

/// Closes an order: the smallest call there is.
async fn close(transport: Transport, hosts: Hosts) -> Result<(), CallError> {
    let call = CloseOrder { appid: appid(), mchid: mchid(), out_trade_no: out_trade_no() };
    PayV2Client::new(transport, hosts).call(&merchant(), &nonce(), &call).await.map(drop)
}

#[tokio::test]
async fn a_request_has_a_length_and_is_never_chunked() {
    let peer = Peer::start(well);
    close(transport(), peer.hosts()).await.unwrap();
    let request = peer.received().remove(0);
    assert!(request.head.starts_with("POST /pay/closeorder HTTP/1.1\r\n"), "{}", request.head);
    assert_eq!(request.header("content-length"), Some(request.body.len().to_string().as_str()));
    assert_eq!(request.header("transfer-encoding"), None);
    assert_eq!(request.header("content-type"), Some("text/xml"));
    assert_eq!(request.header("accept-encoding"), None);
    assert!(request.header("user-agent").unwrap().starts_with("zhanggui/"));
}

#[tokio::test]
async fn a_path_in_front_of_wechats_paths_is_kept() {
    let peer = Peer::start(well);
    let hosts = Hosts::new(&format!("{}/relay/", peer.url()), None).unwrap();
    close(transport(), hosts).await.unwrap();
    assert_eq!(peer.received()[0].path(), format!("/relay{}", CloseOrder::PATH));
}

#[tokio::test]
async fn cookies_are_not_given_back() {
    let peer = Peer::start(|_| {
        let body = closed();
        let head = format!(
            "HTTP/1.1 200 OK\r\nSet-Cookie: a=b; Path=/\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        Reply::Raw(format!("{head}{body}").into_bytes())
    });
    let transport = transport();
    close(transport.clone(), peer.hosts()).await.unwrap();
    close(transport, peer.hosts()).await.unwrap();
    assert_eq!(peer.received()[1].header("cookie"), None);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let target = Peer::forbidden();
    let location = target.url();
    let peer = Peer::start(move |_| {
        let head =
            format!("HTTP/1.1 307 Elsewhere\r\nLocation: {location}/pay/closeorder\r\nContent-Length: 0\r\n\r\n");
        Reply::Raw(head.into_bytes())
    });
    let error = close(transport(), peer.hosts()).await.unwrap_err();
    assert!(matches!(error, CallError::Unreadable(Unreadable::Status(307))), "{error:?}");
    assert!(target.received().is_empty());
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_not_read() {
    let announced = |_: &Received| Reply::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n<xml>".to_vec());
    let endless = |_: &Received| {
        let mut bytes = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        for _ in 0..3 {
            bytes.extend_from_slice(b"80000\r\n");
            bytes.extend(std::iter::repeat_n(b' ', 0x80000));
            bytes.extend_from_slice(b"\r\n");
        }
        Reply::Raw(bytes)
    };
    for peer in [Peer::start(announced), Peer::start(endless)] {
        let backup = Peer::forbidden();
        let error = close(transport(), peer.hosts_with_backup(&backup)).await.unwrap_err();
        assert!(matches!(error, CallError::Unreadable(Unreadable::TooLarge)), "{error:?}");
        assert!(backup.received().is_empty());
    }
}

#[tokio::test]
async fn without_an_answer_the_backup_host_gets_the_same_bytes() {
    let mains: [fn(&Received) -> Reply; 3] = [
        |_| Reply::Close,
        |_| Reply::half(&closed()),
        |_| Reply::Raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n<xml>\r\nzz\r\n".to_vec()),
    ];
    for main in mains {
        let (main, backup) = (Peer::start(main), Peer::start(well));
        close(transport(), main.hosts_with_backup(&backup)).await.unwrap();
        assert_eq!((main.received().len(), backup.received().len()), (1, 1));
        assert_eq!(main.received()[0].body, backup.received()[0].body);
        assert_eq!(main.received()[0].path(), backup.received()[0].path());
    }
}

#[tokio::test]
async fn the_backup_host_is_asked_when_the_main_host_is_away_or_slow() {
    let backup = Peer::start(well);
    let hosts = Hosts::new(&Peer::absent(), Some(&backup.url())).unwrap();
    close(transport(), hosts).await.unwrap();
    let silent = Peer::start(|_| Reply::Silence);
    close(impatient_transport(), silent.hosts_with_backup(&backup)).await.unwrap();
    let dripping = Peer::start(|_| Reply::Raw(b"not http at all".to_vec()));
    close(transport(), dripping.hosts_with_backup(&backup)).await.unwrap();
    assert_eq!(backup.received().len(), 3);
}

#[tokio::test]
async fn the_backup_host_is_asked_when_the_main_host_cannot_be_trusted() {
    let (main, backup) = (Peer::start_tls(well), Peer::start(well));
    close(transport(), main.hosts_with_backup(&backup)).await.unwrap();
    assert!(main.received().is_empty());
    assert_eq!(backup.received().len(), 1);
}

#[tokio::test]
async fn any_http_answer_is_final_and_its_outcome_unknown() {
    for status in ["202 Accepted", "302 Found", "404 Not Found", "412 No Length", "500 Oops", "502 Bad Gateway"] {
        let (main, backup) = (Peer::start(move |_| Reply::status(status)), Peer::forbidden());
        let error = close(transport(), main.hosts_with_backup(&backup)).await.unwrap_err();
        let expected: u16 = status[..3].parse().unwrap();
        assert!(matches!(error, CallError::Unreadable(Unreadable::Status(got)) if got == expected), "{error:?}");
        assert!(error.outcome_is_unknown());
        assert_eq!((main.received().len(), backup.received().len()), (1, 0), "{status}");
    }
}

#[tokio::test]
async fn when_nobody_answers_the_error_tells_whether_something_was_sent() {
    let nobody = Hosts::new(&Peer::absent(), Some(&Peer::absent())).unwrap();
    let error = close(transport(), nobody).await.unwrap_err();
    let CallError::NoAnswer(no_answer) = &error else { panic!("{error:?}") };
    assert_eq!((no_answer.kind(), no_answer.may_have_been_sent()), (NoAnswerKind::NotConnected, false));
    assert!(error.outcome_is_unknown(), "an earlier message with the same bytes may have arrived");
    assert_silent(&error);

    let silent = Peer::start(|_| Reply::Silence);
    let hosts = Hosts::new(&silent.url(), Some(&Peer::absent())).unwrap();
    let error = close(impatient_transport(), hosts).await.unwrap_err();
    let CallError::NoAnswer(no_answer) = &error else { panic!("{error:?}") };
    assert_eq!((no_answer.kind(), no_answer.may_have_been_sent()), (NoAnswerKind::NotConnected, true));

    let error = close(impatient_transport(), silent.hosts()).await.unwrap_err();
    let CallError::NoAnswer(no_answer) = &error else { panic!("{error:?}") };
    assert_eq!((no_answer.kind(), no_answer.may_have_been_sent()), (NoAnswerKind::TimedOut, true));
    assert_eq!(no_answer.to_string(), format!("{} did not answer in time", silent.address));
    assert_silent(&error);
}

#[tokio::test]
async fn a_peer_that_accepts_but_does_not_greet_is_given_up_within_the_connect_timeout() {
    // The kernel accepts for the listener; nobody answers the TLS greeting.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let hosts = Hosts::new(&format!("https://{}", listener.local_addr().unwrap()), None).unwrap();
    let options = TransportOptions { connect_timeout: Duration::from_millis(100), ..TransportOptions::default() };
    let error = close(Transport::new(&options).unwrap(), hosts).await.unwrap_err();
    let CallError::NoAnswer(no_answer) = &error else { panic!("{error:?}") };
    assert_eq!((no_answer.kind(), no_answer.may_have_been_sent()), (NoAnswerKind::NotConnected, false));
}

fn trusting(extra_ca_pem: &[u8]) -> Result<Transport, TransportError> {
    Transport::new(&TransportOptions { extra_ca_pem: Some(extra_ca_pem.to_vec()), ..TransportOptions::default() })
}

#[tokio::test]
async fn an_extra_authority_is_trusted_for_the_names_that_it_signed() {
    let peer = Peer::start_tls(well);
    let transport = trusting(AUTHORITY_PEM).unwrap();
    close(transport.clone(), peer.hosts()).await.unwrap();
    assert_eq!(peer.received().len(), 1);

    let other_name = Hosts::new(&format!("https://localhost:{}", peer.address.port()), None).unwrap();
    let error = close(transport, other_name).await.unwrap_err();
    assert!(matches!(&error, CallError::NoAnswer(error) if error.kind() == NoAnswerKind::NotConnected), "{error:?}");
    assert_eq!(peer.received().len(), 1);
}

#[tokio::test]
async fn a_certificate_of_an_unknown_authority_is_refused_and_nothing_is_sent() {
    let peer = Peer::start_tls(well);
    let error = close(transport(), peer.hosts()).await.unwrap_err();
    assert!(matches!(&error, CallError::NoAnswer(error) if !error.may_have_been_sent()), "{error:?}");
    assert!(peer.received().is_empty());
}

#[test]
fn an_authority_that_is_none_is_refused() {
    for bad in [&b""[..], b"garbage", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        assert!(trusting(bad).is_err(), "{bad:?}");
    }
    let options = TransportOptions { user_agent: "two\r\nlines".to_owned(), ..TransportOptions::default() };
    assert!(matches!(Transport::new(&options), Err(TransportError::Options(_))));
}

/// Also run by the next test, under conditions that cannot be made in this process.
#[tokio::test]
async fn hosts_on_this_machine_are_reached_directly_and_without_any_authority() {
    let peer = Peer::start(well);
    let transport = transport();
    close(transport.clone(), peer.hosts()).await.unwrap();
    println!("system roots: {}", transport.has_system_roots());
    let trusted = Peer::start_tls(well);
    let transport = trusting(AUTHORITY_PEM).unwrap();
    close(transport.clone(), trusted.hosts()).await.unwrap();
    println!("system roots besides an extra one: {}", transport.has_system_roots());
}

#[test]
fn a_bare_machine_behind_a_proxy_can_still_use_the_simulator() {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture"])
        .arg("transport::hosts_on_this_machine_are_reached_directly_and_without_any_authority")
        .env("SSL_CERT_FILE", "/nonexistent/authorities.pem")
        .env("SSL_CERT_DIR", "/nonexistent/authorities")
        .envs(
            ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY"].map(|name| (name, Peer::absent())),
        )
        .env_remove("NO_PROXY")
        .env_remove("no_proxy")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
    assert!(text.contains("system roots: false") && text.contains("an extra one: false"), "{text}");
}

#[tokio::test]
async fn a_host_tells_its_time_whatever_it_answers() {
    let dated = |date: &str| format!("HTTP/1.1 404 Not Found\r\n{date}Connection: close\r\nContent-Length: 0\r\n\r\n");
    for (date, expected) in [
        ("Date: Sun, 01 Mar 2026 02:00:00 GMT\r\n", Some("2026-03-01T02:00:00Z".parse().unwrap())),
        ("Date: yesterday\r\n", None),
        ("", None),
    ] {
        let head = dated(date);
        let peer = Peer::start(move |_| Reply::Raw(head.clone().into_bytes()));
        assert_eq!(transport().time_of(&peer.hosts()).await.unwrap(), expected, "{date}");
        assert_eq!(peer.received()[0].header("authorization"), None, "nothing secret is sent for it");
    }
    let absent = Hosts::new(&Peer::absent(), None).unwrap();
    assert_eq!(transport().time_of(&absent).await.unwrap_err().kind(), NoAnswerKind::NotConnected);
}
