//! No page reaches an internal address by any way round: written out, by name, by a name that changes, by a proxy.

use super::receiver::{Answer, Receiver, ok};
use super::{again, delivered, message, refused, settings};
use incidentd::delivery::channel::{Channels, Lookup};
use serde_json::json;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Answers each lookup by the next line of the script, the last one from then on; an empty one is a name that does not exist.
fn lookup(script: &[&[&str]]) -> (Lookup, Arc<AtomicUsize>) {
    let script: Vec<Vec<IpAddr>> =
        script.iter().map(|line| line.iter().map(|address| address.parse().unwrap()).collect()).collect();
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    let lookup: Lookup = Arc::new(move |_| {
        let nth = counted.fetch_add(1, Ordering::SeqCst);
        let found = script[nth.min(script.len() - 1)].clone();
        Box::pin(async move { if found.is_empty() { Err(std::io::Error::other("no such name")) } else { Ok(found) } })
    });
    (lookup, asked)
}

fn through(text: &str, lookup: Lookup) -> Channels {
    Channels::with_lookup(&settings(text), None, lookup).unwrap()
}

#[tokio::test]
async fn an_internal_address_is_refused_in_any_spelling() {
    let receiver = Receiver::start(vec![ok("")]).await;
    let port = receiver.address.port();
    let (lookup, _) = lookup(&[&["127.0.0.1"]]);
    let channels = through("allow_list = []", lookup);
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "0.0.0.0",
        "169.254.169.254",
        "10.0.0.1",
        "localhost",
        "hooks.example.com",
    ] {
        let sent = channels.send(&message("webhook", json!({"url": format!("http://{host}:{port}/")})), None).await;
        refused(&sent, "is an internal address; where that is meant, add its block to delivery.allow_list");
    }
    assert!(receiver.requests().is_empty());
}

#[tokio::test]
async fn settings_are_no_way_round_either() {
    let receiver = Receiver::start(vec![ok(r#"{"ok":true,"ts":"1"}"#)]).await;
    let text = format!("allow_list = []\n[delivery.slack]\ntoken = \"x\"\nbase_url = \"{}\"", receiver.url(""));
    let sent = through(&text, lookup(&[&[]]).0).send(&message("slack", json!({"channel": "#ops"})), None).await;
    refused(&sent, "internal address");
    assert!(receiver.requests().is_empty());
}

#[tokio::test]
async fn a_name_that_changes_to_loopback_gains_nothing() {
    // Both on one port: the URL is the same, only the name's address differs.
    let good = Receiver::listen("127.0.0.2:0", vec![ok("")], None).await;
    let port = good.address.port();
    let inside = Receiver::listen(&format!("127.0.0.1:{port}"), vec![ok("")], None).await;
    let (lookup, asked) = lookup(&[&["127.0.0.2"], &["127.0.0.1"], &["127.0.0.1", "127.0.0.2"], &[]]);
    let channels = through("allow_list = [\"127.0.0.2/32\"]", lookup);
    let message = message("webhook", json!({"url": format!("http://rebind.example.com:{port}/")}));

    delivered(&channels.send(&message, None).await);
    assert_eq!(asked.load(Ordering::SeqCst), 1, "what was checked is what was connected to: one lookup");
    refused(&channels.send(&message, None).await, "rebind.example.com is an internal address");
    // Of several addresses those that may be reached are.
    delivered(&channels.send(&message, None).await);
    again(&channels.send(&message, None).await, "no such name");
    assert_eq!((good.requests().len(), inside.requests().len()), (2, 0));
}

#[tokio::test]
async fn behind_a_proxy_the_guard_still_holds_for_the_target() {
    let proxy = Receiver::start(vec![ok("")]).await;
    let (lookup, _) = lookup(&[&["10.0.0.1"], &["93.184.216.34", "192.168.0.1"], &["93.184.216.34"], &[]]);
    let channels = through(&format!("allow_list = []\nproxy = \"{}\"", proxy.url("")), lookup);
    let send = async |url: &str| channels.send(&message("webhook", json!({"url": url})), None).await;
    refused(&send("http://intranet.example.com/").await, "internal address");
    refused(&send("http://both.example.com/").await, "internal address");
    refused(&send("http://169.254.169.254/latest/meta-data").await, "internal address");
    assert!(proxy.requests().is_empty());
    delivered(&send("http://hooks.example.com/a").await);
    // A name that only the proxy knows.
    delivered(&send("http://far.example.com/b").await);
    let targets: Vec<String> = proxy.requests().into_iter().map(|request| request.target).collect();
    assert_eq!(targets, ["http://hooks.example.com/a", "http://far.example.com/b"]);
}

#[tokio::test]
async fn a_proxy_may_be_an_internal_one_by_name() {
    let proxy = Receiver::start(vec![Answer::Say(204, "", String::new())]).await;
    let settings = format!("allow_list = []\nproxy = \"http://proxy.example.com:{}\"", proxy.address.port());
    let lookup: Lookup = Arc::new(|host| {
        let found: IpAddr = if host == "proxy.example.com" { "127.0.0.1" } else { "93.184.216.34" }.parse().unwrap();
        Box::pin(async move { Ok(vec![found]) })
    });
    let channels = through(&settings, lookup);
    delivered(&channels.send(&message("webhook", json!({"url": "http://hooks.example.com/"})), None).await);
    // But it is no target.
    let own = format!("http://proxy.example.com:{}/", proxy.address.port());
    refused(&channels.send(&message("webhook", json!({"url": own})), None).await, "internal address");
    assert_eq!(proxy.requests().len(), 1);
}

/// A SOCKS5 proxy that connects nowhere: keeps the addresses that it is asked for, and answers 204 itself.
async fn socks() -> (u16, Arc<Mutex<Vec<IpAddr>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let kept = asked.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            // Version 5, one method: none. Then: connect, an IPv4 address, a port.
            let (mut greeting, mut request) = ([0; 3], [0; 10]);
            stream.read_exact(&mut greeting).await.unwrap();
            stream.write_all(&[5, 0]).await.unwrap();
            stream.read_exact(&mut request).await.unwrap();
            assert_eq!(request[..4], [5, 1, 0, 1], "a name would be resolved by the proxy");
            kept.lock().unwrap().push(IpAddr::from([request[4], request[5], request[6], request[7]]));
            stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await.unwrap();
            stream.read_buf(&mut Vec::new()).await.unwrap();
            stream.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").await.unwrap();
        }
    });
    (port, asked)
}

#[tokio::test]
async fn a_socks_proxy_is_asked_for_the_address_that_was_checked() {
    let (port, asked) = socks().await;
    // One look before, one for the connection.
    let (lookup, _) = lookup(&[&["93.184.216.34"], &["93.184.216.34"], &["93.184.216.34"], &["127.0.0.1"], &["10.0.0.1"]]);
    let channels = through(&format!("allow_list = []\nproxy = \"socks5://127.0.0.1:{port}\""), lookup);
    let message = message("webhook", json!({"url": "http://hooks.example.com/"}));
    delivered(&channels.send(&message, None).await);
    refused(&channels.send(&message, None).await, "internal address");
    refused(&channels.send(&message, None).await, "internal address");
    assert_eq!(*asked.lock().unwrap(), ["93.184.216.34".parse::<IpAddr>().unwrap()]);
}
