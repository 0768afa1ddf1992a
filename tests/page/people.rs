//! What people do on the pages: find an incident, see that it changes, and act on it, with scripts, without, and by keyboard.

use super::browser::{Browser, LIMIT};
use super::scene::Scene;
use crate::http::client::alert;
use crate::kafka::turn;
use crate::support::wait_until;
use fantoccini::key::Key;
use serde_json::{Value, json};

const ROWS: &str = "table.incidents th.what a";

/// Three services' incidents, the first one critical.
fn three(scene: &Scene) {
    for (service, severity) in [("llm-gateway", "critical"), ("rag-retriever", "high"), ("batch-summarizer", "low")] {
        let mut alert = alert(service, &format!("{service} is slow"));
        alert["severity"] = json!(severity);
        scene.client.post("/v1/incidents", &alert).expect(201);
    }
}

fn status(scene: &Scene, service: &str) -> Value {
    scene.client.get(&format!("/v1/incidents/{}", scene.id(service))).expect(200)["status"].clone()
}

#[test]
fn an_incident_is_found_looked_at_and_acknowledged_once_confirmed() {
    let _turn = turn();
    let scene = Scene::quiet("page-people", "");
    three(&scene);
    let mut browser = Browser::start(&scene.process.url());
    browser.open("/");
    let newest_first = ["batch-summarizer is slow", "rag-retriever is slow", "llm-gateway is slow"];
    browser.shows(ROWS, &newest_first);
    browser.click(".chip.critical");
    browser.is_at("/?severity=critical");
    browser.shows(ROWS, &["llm-gateway is slow"]);
    // The same chip leads back.
    browser.click(".chip.critical");
    browser.is_at("/");
    browser.shows(ROWS, &newest_first);
    browser.choose("Filter");
    browser.fill("#service_id", "rag-retriever, batch-summarizer");
    browser.click("#severity-high");
    browser.choose("Show");
    browser.shows(ROWS, &["rag-retriever is slow"]);
    browser.choose("All that are open");

    browser.choose("llm-gateway is slow");
    browser.wait_for("dl", "nobody");
    browser.choose("Acknowledge");
    browser.is_at(&format!("/incidents/{}/acknowledge", scene.id("llm-gateway")));
    browser.fill("#user", "alice");
    browser.fill("#note", "on it");
    assert_eq!(status(&scene, "llm-gateway"), "triggered", "a form that is not sent does nothing");
    browser.click("form.panel button.primary");
    browser.wait_for("p.done", "acknowledged");
    browser.wait_for(".timeline", "alice acknowledged it: on it");
    assert_eq!(status(&scene, "llm-gateway"), "acknowledged");
    assert!(!browser.has("nav.actions a[href$='/acknowledge']"), "what does not fit any more is not offered");

    // Every other command, through its form; the name is remembered.
    for (command, field, said) in [
        ("investigate", None, "being investigated"),
        ("assign", Some(("#assignee", "carol")), "assigned"),
        ("note", Some(("#note", "replica 3")), "noted"),
        ("snooze", Some(("#minutes", "15")), "snoozed"),
        ("identify", None, "cause is identified"),
        ("resolve", Some(("#resolution", "restarted")), "resolved"),
        ("reopen", None, "open again"),
        ("close", None, "closed"),
    ] {
        browser.click(&format!("nav.actions a[href$='/{command}']"));
        if let Some((field, text)) = field {
            browser.fill(field, text);
        }
        assert_eq!(browser.attribute("#user", "value").as_deref(), Some("alice"));
        browser.click("form.panel button.primary");
        browser.wait_for("p.done", said);
    }
    browser.wait_for("dl", "carol");
    browser.wait_for(".timeline", "alice resolved it: restarted");
    assert_eq!(status(&scene, "llm-gateway"), "closed");

    // Of another one: the next level, and what is like it is silenced, and speaks again.
    browser.open(&format!("/incidents/{}", scene.id("rag-retriever")));
    browser.choose("Escalate");
    browser.click("form.panel button.primary");
    browser.wait_for("p.done, p.problem", "level");
    browser.open(&format!("/incidents/{}", scene.id("rag-retriever")));
    browser.choose("Silence what is like it");
    browser.fill("#comment", "moving racks");
    browser.click("form.panel button.primary");
    browser.wait_for("table.silences", "moving racks");
    browser.choose("Expire");
    browser.click("form.panel button.primary");
    browser.wait_for("p.done", "over");
    browser.wait_for("p.empty", "none");
    assert_eq!(browser.complaints(), &[] as &[String]);
    scene.process.stop();
}

#[test]
fn an_open_page_follows_what_happens_without_being_loaded_again() {
    let _turn = turn();
    let scene = Scene::quiet("page-live", "");
    three(&scene);
    let mut browser = Browser::start(&scene.process.url());
    browser.open("/");
    browser.wait_for("#live-state", "live");
    browser.choose("Filter");
    browser.fill("#service_id", "half-typed");
    browser.run("window.unmoved = true; document.querySelector('table.incidents th.what a').focus()");
    let focused = "return document.activeElement.textContent";
    assert_eq!(browser.run(focused), "batch-summarizer is slow");

    scene.client.post("/v1/incidents", &alert("chat-api", "chat-api is slow")).expect(201);
    browser.wait_for(ROWS, "chat-api is slow");
    scene.say("rag-retriever", "acknowledge", json!({ "user": "dave" }));
    browser.wait_for("table.incidents", "dave");
    scene.say("llm-gateway", "resolve", json!({ "user": "dave" }));
    wait_until("what is resolved leaves the list", LIMIT, || {
        (!browser.texts(ROWS).contains(&"llm-gateway is slow".to_owned())).then_some(())
    });
    wait_until("the title counts", LIMIT, || browser.run("return document.title").as_str()?.starts_with("3 open").then_some(()));
    assert_eq!(browser.run("return window.unmoved"), true, "the page was loaded again");
    assert_eq!(browser.run(focused), "batch-summarizer is slow", "the focus stays where it was");
    assert_eq!(browser.run("return document.getElementById('service_id').value"), "half-typed");

    browser.open(&format!("/incidents/{}", scene.id("chat-api")));
    browser.wait_for("#live-state", "live");
    browser.run("window.unmoved = true");
    scene.say("chat-api", "note", json!({ "user": "erin", "note": "replica 3" }));
    browser.wait_for(".timeline", "erin noted: replica 3");
    assert_eq!(browser.run("return window.unmoved"), true);
    assert_eq!(browser.complaints(), &[] as &[String]);

    // The process goes: whoever looks is told that what they see may be old.
    scene.process.stop();
    browser.wait_for("#live-state", "not live");
}

#[test]
fn everything_works_without_scripts() {
    let _turn = turn();
    let scene = Scene::quiet("page-plain", "");
    three(&scene);
    let browser = Browser::start(&scene.process.url());
    browser.without_scripts();
    browser.open("/");
    assert_eq!(browser.text("#live-state"), "", "the script did not run");
    browser.choose("Filter");
    browser.click("#severity-critical");
    browser.choose("Show");
    browser.shows(ROWS, &["llm-gateway is slow"]);
    browser.choose("llm-gateway is slow");
    browser.choose("Resolve");
    browser.fill("#resolution", "restarted");
    browser.click("form.panel button.primary");
    browser.wait_for("p.done", "resolved");
    assert_eq!(status(&scene, "llm-gateway"), "resolved");
    browser.choose("Why the rules did or did not act");
    browser.wait_for(".decisions", "critical-production");
    scene.process.stop();
}

/// Tab until the focus is on what says so.
fn tab_to(browser: &Browser, words: &str) {
    for _ in 0..60 {
        browser.press(&Key::Tab.to_string());
        let focused = browser.run("return (document.activeElement.textContent || document.activeElement.id).trim()");
        if focused == words {
            let outline = browser.run("return getComputedStyle(document.activeElement).outlineStyle");
            assert_eq!(outline, "solid", "the focus on {words:?} cannot be seen");
            return;
        }
    }
    panic!("{words:?} cannot be reached by Tab");
}

#[test]
fn the_keyboard_alone_is_enough() {
    let _turn = turn();
    let scene = Scene::quiet("page-keys", "");
    three(&scene);
    let enter = Key::Enter.to_string();
    let mut browser = Browser::start(&scene.process.url());
    browser.open("/");
    tab_to(&browser, "Skip to the content");
    browser.press(&enter);
    assert_eq!(browser.run("return document.activeElement.id"), "main");
    tab_to(&browser, "llm-gateway is slow");
    browser.press(&enter);
    browser.wait_for("h1", "llm-gateway is slow");
    tab_to(&browser, "Acknowledge");
    browser.press(&enter);
    browser.wait_for("h1", "Acknowledge");
    tab_to(&browser, "user");
    browser.press("alice");
    tab_to(&browser, "Acknowledge");
    browser.press(&enter);
    browser.wait_for("p.done", "acknowledged");
    assert_eq!(status(&scene, "llm-gateway"), "acknowledged");

    // Whatever can be filled in has a name that is read out.
    for path in ["/", "/silences/new", &format!("/incidents/{}/snooze", scene.id("llm-gateway"))] {
        browser.open(path);
        let nameless = "return [...document.querySelectorAll('input:not([type=hidden]), textarea, select')].filter(it => !it.labels.length).map(it => it.outerHTML)";
        assert_eq!(browser.run(nameless), json!([]), "{path}");
    }
    assert_eq!(browser.complaints(), &[] as &[String]);
    scene.process.stop();
}
