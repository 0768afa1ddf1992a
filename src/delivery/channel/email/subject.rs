//! The subject: the target's template, or ours. Always one line, whatever the fields hold.

use crate::delivery::channel::message::Message;
use crate::delivery::channel::text::{cut, one_line};
use crate::delivery::channel::view::View;

const MOST: usize = 250;

/// `{{field.path}}` stands for a field of the incident (`{{incident.field.path}}` too), `{{event}}` and `{{rule}}` for the
/// action's. A missing field is nothing; what is not closed stays as it stands.
pub fn of(message: &Message, template: Option<&str>) -> String {
    let view = View::of(message);
    // What a template says of one incident would be false of a digest and of a limit.
    let template = template.filter(|_| view.digest().is_none() && view.notice().is_none());
    let text = match template {
        Some(template) => filled(template, &view),
        None => format!("[{}] {}", view.word(), view.line()),
    };
    let test = if message.test { "[TEST] " } else { "" };
    cut(&format!("{test}{}", one_line(&text)), MOST)
}

fn filled(template: &str, view: &View<'_>) -> String {
    let mut text = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((path, behind)) = after.split_once("}}") else { break };
        text.push_str(before);
        let path = path.trim();
        let field = match path {
            "event" => Some(view.message.event.clone()),
            "rule" => view.message.record["rule"].as_str().map(str::to_owned),
            _ => view.field(path).or_else(|| view.field(path.strip_prefix("incident.")?)),
        };
        text.push_str(&field.unwrap_or_default());
        rest = behind;
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::channel::sample;
    use serde_json::json;

    #[test]
    fn templates() {
        let mut message = sample::message("email", json!({}));
        sample::incident(&mut message)["labels"]["region"] = json!("eu\r\nBcc: all@example.com");
        for (template, subject) in [
            ("[{{severity}}] {{title}}", "[critical] Latency <high> & rising"),
            ("{{ incident.service_id }}: {{metadata.current_value}}", "llm-gateway: 7.5"),
            ("{{labels.model_id}}{{labels.none}}!", "gpt-4!"),
            ("{{event}} by {{rule}}", "triggered by critical-production"),
            ("{{labels.region}}", "eu Bcc: all@example.com"),
            ("a {{title", "a {{title"),
            ("{{}}}}", "}}"),
            ("no field", "no field"),
        ] {
            assert_eq!(of(&message, Some(template)), subject, "{template}");
        }
        assert_eq!(of(&message, None), "[CRITICAL] Latency <high> & rising");
        message.test = true;
        assert_eq!(of(&message, Some("x")), "[TEST] x");
    }
}
