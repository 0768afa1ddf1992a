//! An incident's body at rest: what its service's incidents have in common is kept once.
//!
//! Alerts of one service resemble each other: the same labels, links and descriptions, a word or two apart. So a body is
//! compressed against a sample, the body of another incident of the service, which all that were compressed against it
//! share. One that resembles no sample becomes the sample of those that come after it. This happens once a commit, when the
//! changelog has heard of the body; until then, while much may still change, it lies as it is.

use lz4_flex::block::{compress_prepend_size_with_dict, decompress_size_prepended_with_dict};
use std::borrow::Cow;
use std::rc::Rc;

/// A sample as its service holds it. `None` before its first.
pub type Sample = Option<Rc<Box<[u8]>>>;

/// Bytes past which a body is no sample: few incidents grow so long, and none as this one did.
const LONGEST_SAMPLE: usize = 4 << 10;

/// An incident and its book in the changelog's form.
pub struct Body {
    sample: Sample,
    /// Against the sample; without one as they are. Empty beside a sample: the sample itself.
    bytes: Box<[u8]>,
}

impl Body {
    /// As it is.
    pub fn plain(bytes: &[u8]) -> Body {
        Body { sample: None, bytes: bytes.into() }
    }

    /// Bytes at rest, without the sample's.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Its plain bytes; `None` only where memory is damaged.
    pub fn read(&self) -> Option<Cow<'_, [u8]>> {
        match &self.sample {
            None => Some(Cow::Borrowed(&self.bytes)),
            Some(sample) if self.bytes.is_empty() => Some(Cow::Borrowed(sample)),
            Some(sample) => decompress_size_prepended_with_dict(&self.bytes, sample).ok().map(Cow::Owned),
        }
    }

    /// Makes it small, where it is plain. `newest`: its service's sample, replaced where this one is unlike it.
    pub fn settle(&mut self, newest: &mut Sample) {
        if self.sample.is_some() || self.bytes.is_empty() || self.bytes.len() > LONGEST_SAMPLE {
            return;
        }
        if let Some(sample) = newest {
            let small = compress_prepend_size_with_dict(&self.bytes, sample);
            if small.len() <= self.bytes.len() * 3 / 4 {
                // A copy of the very size: a million of them wait here.
                self.bytes = Box::from(small.as_slice());
                self.sample = Some(Rc::clone(sample));
                return;
            }
        }
        let sample = Rc::new(std::mem::take(&mut self.bytes));
        self.sample = Some(Rc::clone(&sample));
        *newest = Some(sample);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(tenant: u32) -> Vec<u8> {
        format!(
            "p99 latency above threshold, model_performance, tenant-{tenant}, region eu-west-1, \
             the 99th percentile of time to first token has been above its threshold for five minutes"
        )
        .into_bytes()
    }

    #[test]
    fn alike_ones_are_small_beside_the_first() {
        let mut sample = None;
        let bodies: Vec<Body> = (0..10)
            .map(|tenant| {
                let mut body = Body::plain(&text(tenant));
                body.settle(&mut sample);
                body
            })
            .collect();
        for (tenant, body) in bodies.iter().enumerate() {
            assert_eq!(body.read().as_deref(), Some(&*text(tenant as u32)));
            // The first is the sample itself.
            assert!(if tenant == 0 { body.len() == 0 } else { (2..30).contains(&body.len()) }, "{tenant}: {}", body.len());
        }
    }

    proptest! {
        /// Whatever a service's bodies are, each reads as what it was, also when the sample has long changed.
        #[test]
        fn every_body_reads_back(plain in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..20)) {
            let mut sample = None;
            let mut bodies: Vec<Body> = plain.iter().map(|bytes| Body::plain(bytes)).collect();
            bodies.iter_mut().for_each(|body| body.settle(&mut sample));
            for (body, bytes) in bodies.iter().zip(&plain) {
                let read = body.read();
                prop_assert_eq!(read.as_deref(), Some(bytes.as_slice()));
            }
        }
    }
}
