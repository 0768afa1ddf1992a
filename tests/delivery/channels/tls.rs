//! Certificates: who is trusted, and that the wrong ones end a delivery at once with a remedy.

use super::receiver::{Receiver, ok};
use super::{delivered, message, refused, settings};
use incidentd::delivery::channel::{Channels, Lookup};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// A certificate authority that nobody knows, in a folder of its own.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

impl Authority {
    pub fn new() -> Authority {
        let mut parameters = CertificateParams::new(Vec::new()).unwrap();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), issuer.pem()).unwrap();
        Authority { issuer, folder }
    }

    /// For `delivery.ca_file`.
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// The files of a certificate and its key.
    pub fn files(&self, name: &str) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &self.issuer).unwrap();
        let (file, key_file) = (self.folder.path().join(format!("{name}.pem")), self.folder.path().join(format!("{name}.key")));
        std::fs::write(&file, certificate.pem()).unwrap();
        std::fs::write(&key_file, key.serialize_pem()).unwrap();
        (file, key_file)
    }

    pub fn acceptor(&self, name: &str, expired: bool) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let mut parameters = CertificateParams::new(vec![name.to_owned()]).unwrap();
        if expired {
            parameters.not_before = date_time_ymd(2020, 1, 1);
            parameters.not_after = date_time_ymd(2021, 1, 1);
        }
        let certificate = parameters.signed_by(&key, &self.issuer).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

/// Sends to a TLS receiver whose name is `hooks.example.com`.
async fn send(authority: &Authority, acceptor: TlsAcceptor, trusted: bool) -> (incidentd::delivery::channel::Sent, usize) {
    let receiver = Receiver::tls(vec![ok("")], acceptor).await;
    let text = if trusted { format!("ca_file = {:?}", authority.file()) } else { String::new() };
    let lookup: Lookup = Arc::new(|_| Box::pin(async { Ok(vec!["127.0.0.1".parse().unwrap()]) }));
    let channels = Channels::with_lookup(&settings(&text), None, lookup).unwrap();
    let url = format!("https://hooks.example.com:{}/", receiver.address.port());
    let sent = channels.send(&message("webhook", json!({"url": url})), None).await;
    (sent, receiver.requests().len())
}

#[tokio::test]
async fn a_further_authority_is_trusted_and_no_wrong_certificate() {
    let authority = Authority::new();
    let right = || authority.acceptor("hooks.example.com", false);
    let (sent, seen) = send(&authority, right(), true).await;
    delivered(&sent);
    assert_eq!(seen, 1);
    for (acceptor, trusted, why) in [
        (right(), false, "unknown to us"),
        (authority.acceptor("other.example.com", false), true, "another name"),
        (authority.acceptor("hooks.example.com", true), true, "expired"),
    ] {
        let (sent, seen) = send(&authority, acceptor, trusted).await;
        refused(&sent, "its certificate is not trusted");
        refused(&sent, "delivery.ca_file");
        assert_eq!(seen, 0, "{why}");
    }
}

#[tokio::test]
async fn plain_http_on_a_tls_port_and_the_reverse_are_no_certificate_errors() {
    let receiver = Receiver::start(vec![ok("")]).await;
    let url = format!("https://{}/", receiver.address);
    let sent = super::channels("").send(&message("webhook", json!({"url": url})), None).await;
    super::again(&sent, "");
}

#[test]
fn a_ca_file_that_is_none_is_told_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    for content in [None, Some(""), Some("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")] {
        if let Some(content) = content {
            std::fs::write(&file, content).unwrap();
        }
        let error = Channels::new(&settings(&format!("ca_file = {file:?}")), None).err().unwrap().to_string();
        assert!(error.starts_with("delivery.ca_file: ") && error.contains("PEM"), "{content:?}: {error}");
    }
}
