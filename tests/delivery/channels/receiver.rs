//! A receiver on loopback that answers by a script, well or badly, and keeps what it was sent.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

#[derive(Clone, Debug)]
pub enum Answer {
    /// Status, headers (each ended by CRLF), body.
    Say(u16, &'static str, String),
    /// Reads the request, and then says nothing.
    Hang,
    /// Reads the request, and closes the connection.
    Close,
    /// Reads the request, and resets the connection (RST); all of the script, or none of it.
    Reset,
    /// A head that never ends, a byte now and then.
    DripHead,
    /// A whole head with this status, then a body that never ends.
    DripBody(u16),
    /// This status, and a body without end as fast as it is taken.
    Flood(u16),
}

pub fn ok(body: &str) -> Answer {
    Answer::Say(200, "", body.to_owned())
}

#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    /// As in the request line: a path, or a whole URL where it was sent to a proxy.
    pub target: String,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
    pub at: Instant,
}

impl Request {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

pub struct Receiver {
    pub address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Receiver {
    /// Answers the nth request as the script says, and those after its end as its last line does.
    pub async fn start(script: Vec<Answer>) -> Receiver {
        Receiver::listen("127.0.0.1:0", script, None).await
    }

    pub async fn tls(script: Vec<Answer>, acceptor: TlsAcceptor) -> Receiver {
        Receiver::listen("127.0.0.1:0", script, Some(acceptor)).await
    }

    pub async fn listen(address: &str, script: Vec<Answer>, acceptor: Option<TlsAcceptor>) -> Receiver {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let kept = requests.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (script, kept, acceptor) = (script.clone(), kept.clone(), acceptor.clone());
                if script.iter().all(|answer| matches!(answer, Answer::Reset)) {
                    stream.set_zero_linger().unwrap();
                }
                tokio::spawn(async move {
                    match acceptor {
                        None => serve(stream, &script, &kept).await,
                        Some(acceptor) => {
                            // A client that does not trust us ends the handshake.
                            if let Ok(stream) = acceptor.accept(stream).await {
                                serve(stream, &script, &kept).await;
                            }
                        }
                    }
                });
            }
        });
        Receiver { address, requests }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// The only one.
    pub fn request(&self) -> Request {
        let requests = self.requests();
        assert_eq!(requests.len(), 1, "{requests:?}");
        requests[0].clone()
    }
}

/// One request a connection, so that each has its own fate; the client hears of it by `Connection: close`.
async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, script: &[Answer], kept: &Mutex<Vec<Request>>) {
    let Some(request) = read(&mut stream).await else { return };
    let answer = {
        let mut kept = kept.lock().unwrap();
        kept.push(request);
        script[(kept.len() - 1).min(script.len() - 1)].clone()
    };
    // What fails here is the client's end of it: it has gone.
    let _ = match answer {
        Answer::Say(status, headers, body) => {
            let length = body.len();
            let head = format!("HTTP/1.1 {status} Said\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n");
            let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
            stream.shutdown().await
        }
        Answer::Hang => {
            std::future::pending::<()>().await;
            Ok(())
        }
        Answer::Close | Answer::Reset => Ok(()),
        Answer::DripHead => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nx-slow: ").await;
            drip(&mut stream).await
        }
        Answer::DripBody(status) => {
            let head = format!("HTTP/1.1 {status} Said\r\nconnection: close\r\ncontent-length: 100000\r\n\r\n");
            let _ = stream.write_all(head.as_bytes()).await;
            drip(&mut stream).await
        }
        Answer::Flood(status) => {
            let head = format!("HTTP/1.1 {status} Said\r\nconnection: close\r\ncontent-length: 999999999999\r\n\r\n");
            let _ = stream.write_all(head.as_bytes()).await;
            loop {
                if let Err(gone) = stream.write_all(&[b'x'; 1 << 16]).await {
                    break Err(gone);
                }
            }
        }
    };
}

async fn drip(stream: &mut (impl AsyncWrite + Unpin)) -> std::io::Result<()> {
    loop {
        stream.write_all(b"x").await?;
        stream.flush().await?;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Request> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let (method, target) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: BTreeMap<String, String> =
        lines.filter_map(|line| line.split_once(": ")).map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
    let mut body = bytes[end + 4..].to_vec();
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    while body.len() < length {
        if stream.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    Some(Request { method, target, headers, body, at: Instant::now() })
}

/// A port on which nobody listens.
pub async fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

/// Keeps the connection open and never reads nor writes: not even TLS begins.
pub async fn deaf() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut kept: Vec<TcpStream> = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            kept.push(stream);
        }
    });
    address
}
