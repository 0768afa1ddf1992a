//! Errors named by reaction: what the worker must do, not what went wrong (ARCHITECTURE 7).

use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode as Code;

/// What an error asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reaction {
    /// Nothing happened: do the same again after a moment.
    Retry,
    /// The transaction is void: abort it, drop its shards and restore them.
    Abort,
    /// Another member owns our partitions or our producer: give everything up and join the group anew.
    Fenced,
    /// No repetition helps: exit loudly.
    Fatal,
}

#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{what}")]
pub struct Error {
    pub reaction: Reaction,
    /// What was tried, what came of it, and the remedy where there is one.
    pub what: String,
    /// A record had more bytes than the topic or the client takes.
    pub is_too_large: bool,
}

impl Error {
    pub fn new(reaction: Reaction, what: impl Into<String>) -> Error {
        Error { reaction, what: what.into(), is_too_large: false }
    }

    pub fn fatal(what: impl Into<String>) -> Error {
        Error::new(Reaction::Fatal, what)
    }

    /// An error of the crate's, with what was being tried.
    pub fn from_kafka(doing: &str, error: &KafkaError) -> Error {
        let reaction = match error {
            KafkaError::ClientConfig(..) | KafkaError::ClientCreation(_) | KafkaError::Nul(_) => Reaction::Fatal,
            other => other.rdkafka_error_code().map_or(Reaction::Retry, reaction_of),
        };
        let is_too_large = error.rdkafka_error_code() == Some(Code::MessageSizeTooLarge);
        Error { is_too_large, ..Error::new(reaction, format!("{doing}: {error}")) }
    }

    /// An error code of librdkafka's, with what was being tried.
    pub fn from_code(doing: &str, code: Code) -> Error {
        Error::new(reaction_of(code), format!("{doing}: {code}"))
    }
}

/// What a code asks for where the call itself does not say.
pub fn reaction_of(code: Code) -> Reaction {
    match code {
        // Our generation, our instance id or our producer epoch is somebody else's now.
        Code::Fenced
        | Code::FencedInstanceId
        | Code::ProducerFenced
        | Code::InvalidProducerEpoch
        | Code::UnknownMemberId
        | Code::IllegalGeneration
        | Code::RebalanceInProgress
        | Code::InvalidProducerIdMapping
        | Code::PollExceeded => Reaction::Fenced,
        // Rights, versions and settings do not mend themselves.
        Code::TopicAuthorizationFailed
        | Code::GroupAuthorizationFailed
        | Code::ClusterAuthorizationFailed
        | Code::TransactionalIdAuthorizationFailed
        | Code::SaslAuthenticationFailed
        | Code::Authentication
        | Code::UnsupportedSASLMechanism
        | Code::UnsupportedFeature
        | Code::UnsupportedVersion
        | Code::UnsupportedForMessageFormat
        | Code::InvalidTransactionTimeout
        | Code::InconsistentGroupProtocol
        | Code::InvalidArgument
        | Code::InvalidTopic => Reaction::Fatal,
        // A record that the broker refuses comes again after a restore: `record_max` keeps ours below the topics' limit.
        Code::MessageSizeTooLarge | Code::InvalidRecord => Reaction::Fatal,
        _ => Reaction::Retry,
    }
}
