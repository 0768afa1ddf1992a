//! Whom TLS trusts: the system's authorities, Mozilla's where the system has none, and those of `delivery.ca_file`.

use lettre::transport::smtp::client::{Certificate, CertificateStore, TlsParameters};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::path::Path;
use std::sync::Arc;

#[derive(Clone)]
pub struct Roots {
    /// Empty: Mozilla's stand in.
    system: Vec<CertificateDer<'static>>,
    further: Vec<CertificateDer<'static>>,
}

impl Roots {
    /// Reads the system's store and the PEM file of further authorities.
    pub fn load(ca_file: Option<&Path>) -> Result<Roots, String> {
        let further = match ca_file {
            None => Vec::new(),
            Some(file) => {
                let wrong = |problem: String| {
                    format!("delivery.ca_file: {}: {problem}; name a readable file of certificates in PEM", file.display())
                };
                let read = CertificateDer::pem_file_iter(file).map_err(|error| wrong(error.to_string()))?;
                let read = read.collect::<Result<Vec<_>, _>>().map_err(|error| wrong(error.to_string()))?;
                if read.is_empty() {
                    return Err(wrong("holds no certificate".to_owned()));
                }
                if let Some(error) = read.iter().find_map(|one| RootCertStore::empty().add(one.clone()).err()) {
                    return Err(wrong(error.to_string()));
                }
                read
            }
        };
        // What of the store cannot be read is left out: the rest may do, and a connection that it does not do for says so.
        Ok(Roots { system: rustls_native_certs::load_native_certs().certs, further })
    }

    pub fn for_http(&self) -> Result<ClientConfig, rustls::Error> {
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(self.system.iter().cloned());
        if store.is_empty() {
            store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        store.add_parsable_certificates(self.further.iter().cloned());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        Ok(config.with_root_certificates(store).with_no_client_auth())
    }

    /// For the SMTP server of that name.
    pub fn for_smtp(&self, host: &str) -> Result<TlsParameters, lettre::transport::smtp::Error> {
        let store = if self.system.is_empty() { CertificateStore::WebpkiRoots } else { CertificateStore::None };
        let mut parameters = TlsParameters::builder(host.to_owned()).certificate_store(store);
        for certificate in self.system.iter().chain(&self.further) {
            // One that rustls cannot read is left out here as it is for HTTP.
            let mut scratch = RootCertStore::empty();
            if scratch.add(certificate.clone()).is_ok() {
                parameters = parameters.add_root_certificate(Certificate::from_der(certificate.to_vec())?);
            }
        }
        parameters.build_rustls()
    }
}
