//! Secrets by name: a file of `delivery.secrets_dir`, else a variable of the environment. Read anew each time, so a changed one
//! counts from the next message on; never in a text that anybody reads.

use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// Bytes of a secret's file that are read at most.
const MOST: u64 = 64 << 10;
/// A shorter text would blot out parts of words.
const SHORTEST_TO_HIDE: usize = 4;

pub struct Secrets {
    folder: Option<PathBuf>,
    /// Those of the settings, which may come up in any answer.
    settings: Hidden,
}

/// A channel's options with every `{"$secret": …}` replaced.
pub struct Opened {
    pub config: Map<String, Value>,
    pub hidden: Hidden,
}

/// What must not be shown; takes it out of texts.
#[derive(Clone, Default)]
pub struct Hidden(Vec<String>);

impl Secrets {
    pub fn new(folder: Option<&Path>, settings: Hidden) -> Secrets {
        Secrets { folder: folder.map(Path::to_owned), settings }
    }

    /// The first secret that is missing or unreadable is the error: its name, where it was looked for, the remedy.
    pub async fn open(&self, config: &Map<String, Value>) -> Result<Opened, String> {
        let mut config = Value::Object(config.clone());
        let mut hidden = self.settings.clone();
        let mut open = vec![&mut config];
        while let Some(value) = open.pop() {
            match value {
                Value::Object(map) if map.len() == 1 && map.contains_key("$secret") => {
                    let name = map.get("$secret").and_then(Value::as_str).unwrap_or_default();
                    let secret = self.read(name).await?;
                    hidden.add(&secret);
                    *value = Value::String(secret);
                }
                Value::Object(map) => open.extend(map.iter_mut().map(|(_, value)| value)),
                Value::Array(items) => open.extend(items),
                _ => {}
            }
        }
        let config = match config {
            Value::Object(config) => config,
            _ => Map::new(),
        };
        Ok(Opened { config, hidden })
    }

    async fn read(&self, name: &str) -> Result<String, String> {
        // As `secret("…")` in rules has it: no path leads out of the folder.
        let fits = !name.is_empty()
            && name.len() <= 128
            && !name.starts_with('.')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c));
        if !fits {
            return Err(format!("{name:?} names no secret: letters, digits, `_`, `-` and `.`, 128 at most"));
        }
        if let Some(folder) = &self.folder {
            let file = folder.join(name);
            match read_file(&file).await {
                Ok(text) => return filled(name, text),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(format!("the secret {name} cannot be read from {}: {error}", file.display())),
            }
        }
        match std::env::var(name) {
            Ok(text) => filled(name, text),
            Err(std::env::VarError::NotUnicode(_)) => Err(format!("the secret {name} in the environment is not UTF-8")),
            Err(std::env::VarError::NotPresent) => Err(match &self.folder {
                Some(folder) => format!(
                    "the secret {name} is missing: write the file {}, or set the variable {name}",
                    folder.join(name).display()
                ),
                None => format!(
                    "the secret {name} is missing: set the variable {name}, or delivery.secrets_dir to a folder with a file {name}"
                ),
            }),
        }
    }
}

async fn read_file(file: &Path) -> std::io::Result<String> {
    let metadata = tokio::fs::metadata(file).await?;
    if !metadata.is_file() || metadata.len() > MOST {
        return Err(std::io::Error::other(format!("it is not a file of at most {MOST} bytes")));
    }
    tokio::fs::read_to_string(file).await
}

/// Without the line break that editors add.
fn filled(name: &str, text: String) -> Result<String, String> {
    let trimmed = text.trim_end_matches(['\n', '\r']);
    if trimmed.trim().is_empty() { Err(format!("the secret {name} is empty")) } else { Ok(trimmed.to_owned()) }
}

impl Hidden {
    pub fn add(&mut self, secret: &str) {
        self.0.push(secret.to_owned());
    }

    /// `text` with every secret replaced, also where only one line or word of it stands there.
    pub fn hide(&self, text: &str) -> String {
        let mut parts: Vec<&str> = self.0.iter().flat_map(|secret| secret.split_whitespace().chain([secret.as_str()])).collect();
        parts.sort_unstable_by_key(|part| std::cmp::Reverse(part.len()));
        let parts = parts.into_iter().filter(|part| part.len() >= SHORTEST_TO_HIDE);
        parts.fold(text.to_owned(), |text, part| text.replace(part, "(hidden)"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    async fn open(folder: &Path, config: Value) -> Result<Value, String> {
        let Value::Object(config) = config else { panic!("a map") };
        Secrets::new(Some(folder), Hidden::default()).open(&config).await.map(|opened| Value::Object(opened.config))
    }

    #[tokio::test]
    async fn a_file_goes_before_a_variable_and_is_read_anew() {
        let folder = tempfile::tempdir().unwrap();
        let config = json!({"headers": {"authorization": {"$secret": "PATH"}}, "plain": ["x", {"$secret": "PATH"}]});
        let variable = std::env::var("PATH").unwrap();
        assert_eq!(open(folder.path(), config.clone()).await.unwrap()["headers"]["authorization"], json!(variable));
        std::fs::write(folder.path().join("PATH"), "first\n").unwrap();
        let opened = open(folder.path(), config.clone()).await.unwrap();
        assert_eq!(opened, json!({"headers": {"authorization": "first"}, "plain": ["x", "first"]}));
        std::fs::write(folder.path().join("PATH"), "second\r\n").unwrap();
        assert_eq!(open(folder.path(), config).await.unwrap()["plain"][1], json!("second"));
    }

    #[tokio::test]
    async fn what_is_missing_is_named() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("EMPTY"), "\n").unwrap();
        std::fs::create_dir(folder.path().join("FOLDER")).unwrap();
        for (name, said) in [
            ("NO_SUCH_SECRET_HERE", "the secret NO_SUCH_SECRET_HERE is missing: write the file"),
            ("EMPTY", "the secret EMPTY is empty"),
            ("FOLDER", "the secret FOLDER cannot be read"),
            ("../passwd", "names no secret"),
            (".hidden", "names no secret"),
            ("", "names no secret"),
        ] {
            let error = open(folder.path(), json!({"secret": {"$secret": name}})).await.unwrap_err();
            assert!(error.contains(said), "{name}: {error}");
        }
    }

    #[test]
    fn what_is_hidden_shows_in_no_text() {
        let mut hidden = Hidden::default();
        hidden.add("whsec_new1 whsec_old1");
        hidden.add("abc");
        assert_eq!(hidden.hide("bad whsec_old1, whsec_new1 whsec_old1 abc"), "bad (hidden), (hidden) abc");
    }
}
