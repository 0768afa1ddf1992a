//! HTTP/1.1 as plainly as can be, for crowds of clients: one connection each, answers read off and told by their status.

use std::io::{Error, ErrorKind, Result};
use tokio::net::TcpStream;

/// Past it an answer's head is none.
const HEAD: usize = 64 << 10;

pub struct Wire {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Wire {
    pub async fn open(address: &str) -> Result<Wire> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Wire { stream, read: Vec::new() })
    }

    /// Sends a request whole, and reads its answer off.
    pub async fn ask(&mut self, request: &[u8]) -> Result<u16> {
        self.send(request).await?;
        self.answer().await
    }

    pub async fn send(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            self.stream.writable().await?;
            match self.stream.try_write(bytes) {
                Ok(written) => bytes = &bytes[written..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The status of the next answer, once its body has come as far as its length says.
    pub async fn answer(&mut self) -> Result<u16> {
        let (status, head, length) = loop {
            if let Some(end) = self.read.windows(4).position(|four| four == b"\r\n\r\n") {
                let head = String::from_utf8_lossy(&self.read[..end]).to_ascii_lowercase();
                let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
                let length: usize = length.and_then(|length| length.trim().parse().ok()).unwrap_or(0);
                let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
                break (status.ok_or(ErrorKind::InvalidData)?, end + 4, length);
            }
            if self.read.len() > HEAD {
                return Err(ErrorKind::InvalidData.into());
            }
            self.more().await?;
        };
        while self.read.len() < head + length {
            self.more().await?;
        }
        self.read.drain(..head + length);
        Ok(status)
    }

    /// What comes next; an error at the end.
    async fn more(&mut self) -> Result<()> {
        let mut piece = [0; 8 << 10];
        loop {
            self.stream.readable().await?;
            match self.stream.try_read(&mut piece) {
                Ok(0) => return Err(Error::from(ErrorKind::UnexpectedEof)),
                Ok(read) => {
                    self.read.extend_from_slice(&piece[..read]);
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// What comes of a stream that does not end, thrown away; its bytes.
    pub async fn pour(&mut self) -> Result<usize> {
        self.more().await?;
        let bytes = self.read.len();
        self.read.clear();
        Ok(bytes)
    }
}
