//! How a command can fail, by exit code (SPEC 6).

use crate::config::ConfigError;
use crate::kafka;

/// Each carries what to tell the person.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Failure {
    /// What was to be checked or done is wrong or cannot be done.
    #[error("{0}")]
    Wrong(String),
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    Configuration(String),
}

impl Failure {
    pub fn exit_code(&self) -> u8 {
        match self {
            Failure::Wrong(_) => 1,
            Failure::Usage(_) => 2,
            Failure::Configuration(_) => 78,
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Failure {
        Failure::Configuration(error.to_string())
    }
}

impl From<kafka::Error> for Failure {
    fn from(error: kafka::Error) -> Failure {
        Failure::Wrong(error.what)
    }
}

impl From<kafka::Invalid> for Failure {
    fn from(error: kafka::Invalid) -> Failure {
        Failure::Configuration(error.to_string())
    }
}
