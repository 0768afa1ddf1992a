//! Signatures by Standard Webhooks 1.0: HMAC-SHA256 over id, time and body.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// The header's value: one signature for each secret, so that receivers may change theirs before we forget the old one.
///
/// `secrets` holds one or more, `whsec_` and base64, divided by spaces, commas or line breaks; `at` is in seconds.
pub fn signatures(secrets: &str, id: &str, at: u64, body: &[u8]) -> Result<String, String> {
    let secrets = secrets.split(|c: char| c.is_whitespace() || c == ',').filter(|secret| !secret.is_empty());
    let signed = secrets.map(|secret| {
        let encoded = secret.strip_prefix("whsec_").unwrap_or(secret);
        let key = STANDARD.decode(encoded).ok().filter(|key| !key.is_empty());
        let key = key.ok_or("its secret is no base64: Standard Webhooks wants `whsec_` and 24 to 64 bytes in base64")?;
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).map_err(|error| error.to_string())?;
        mac.update(format!("{id}.{at}.").as_bytes());
        mac.update(body);
        Ok(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
    });
    let signed = signed.collect::<Result<Vec<String>, String>>()?;
    if signed.is_empty() { Err("its secret is empty".to_owned()) } else { Ok(signed.join(" ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::{HeaderMap, HeaderValue};
    use standardwebhooks::Webhook;

    const OLD: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const NEW: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

    #[test]
    fn the_vector_of_the_specification() {
        let body = br#"{"test": 2432232314}"#;
        let signed = signatures(OLD, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body).unwrap();
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn each_secret_signs_and_the_official_library_takes_any() {
        let at = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let signed = signatures(&format!("{NEW}\n{OLD}"), "act_1", at, b"{}").unwrap();
        for secret in [OLD, NEW] {
            let mut headers = HeaderMap::new();
            for (name, value) in [("webhook-id", "act_1"), ("webhook-timestamp", &at.to_string()), ("webhook-signature", &signed)]
            {
                headers.insert(name, HeaderValue::from_str(value).unwrap());
            }
            Webhook::new(secret).unwrap().verify(b"{}", &headers).unwrap();
            Webhook::new(secret).unwrap().verify(b"{ }", &headers).unwrap_err();
        }
    }

    #[test]
    fn a_secret_that_is_none_is_refused_and_not_shown() {
        for secret in ["whsec_no base64!", "whsec_", " ", "hunter2!"] {
            let error = signatures(secret, "act_1", 1, b"{}").unwrap_err();
            assert!(error.starts_with("its secret is") && !error.contains("hunter2"), "{error}");
        }
    }
}
