//! Who is paged when nobody answers: levels, targets, and the people that they come to (SPEC 4.6).

use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetKind {
    User,
    Schedule,
    SlackChannel,
    Team,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Target {
    #[serde(rename = "type")]
    pub kind: TargetKind,
    pub id: String,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Level {
    /// From the policy's start.
    pub delay_minutes: u64,
    pub targets: Vec<Target>,
}

/// Somebody to be told: a user, or a Slack channel.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Person {
    /// `user` or `slack_channel`.
    #[serde(rename = "type")]
    pub kind: TargetKind,
    pub id: String,
    pub email: Option<String>,
    pub phone: Option<String>,
    pub slack: Option<String>,
}
