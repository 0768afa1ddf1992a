//! Who follows the link of a message, and who would have a browser act for them: looking changes nothing, and no other site acts.

use super::browser::{Browser, LIMIT};
use super::scene::Scene;
use crate::http::client::{Client, alert};
use crate::kafka::turn;
use crate::support::receiver::{Answer, Receiver};
use crate::support::wait_until;
use serde_json::json;

/// Of `alice`, who may look and act.
const TOKEN: &str = "correct horse battery staple";
/// `printf %s "$TOKEN" | sha256sum`
const HASH: &str = "c4bbcb1fbec99d65bf59d85c8cb62ee2db963f0fe106f483d9afa73bd4e39a8a";

/// A page of somebody else's.
fn elsewhere(body: String) -> Receiver {
    Receiver::start(move |_, _| Answer { body: format!("<!DOCTYPE html><title>elsewhere</title>{body}"), ..Answer::of(200) })
}

#[test]
fn a_link_only_leads_to_the_button() {
    let _turn = turn();
    let tokens = format!("tokens = [{{ name = \"alice\", sha256 = \"{HASH}\", scopes = [\"read\", \"operate\", \"alert\"] }}]");
    let mut scene = Scene::quiet("page-link", &tokens);
    scene.client = scene.client.with_token(TOKEN);
    scene.client.post("/v1/incidents", &alert("llm-gateway", "slow")).expect(201);
    let path = format!("/incidents/{}/acknowledge", scene.id("llm-gateway"));
    let version =
        |client: &Client| client.get(&format!("/v1/incidents/{}", scene.id("llm-gateway"))).expect(200)["version"].clone();
    let before = version(&scene.client);

    // A link preview: it has no token, and were it given one it would still only look.
    let preview = Client::new(&scene.process.url());
    assert_eq!(preview.get(&path).status, 401);
    assert_eq!(preview.get("/favicon.ico").status, 200, "browsers ask for it by themselves");
    let cookie = format!("incidentd_token={}", const_hex::encode(TOKEN));
    for method in ["GET", "HEAD"] {
        assert_eq!(preview.send(method, &path, None, &[("cookie", &cookie)]).status, 200);
    }
    assert_eq!(version(&scene.client), before);

    let mut browser = Browser::start(&scene.process.url());
    browser.open(&path);
    browser.fill("#token", "nonsense");
    browser.choose("Sign in");
    browser.wait_for("p.problem", "not known");
    browser.open(&path);
    browser.fill("#token", TOKEN);
    browser.choose("Sign in");
    browser.wait_for("h1", "Acknowledge");
    assert_eq!(browser.path(), path, "signing in leads on to what was asked for");

    // From a message in another site, where the browser sends no cookie along at first.
    let chat = elsewhere(format!("<main><a href=\"{}{path}\">Acknowledge</a></main>", scene.process.url()));
    browser.open(&chat.url().replace("127.0.0.1", "localhost"));
    browser.choose("Acknowledge");
    browser.wait_for("h1", "Acknowledge");
    assert_eq!(version(&scene.client), before, "whoever only follows the link has not acknowledged");
    browser.click("form.panel button.primary");
    browser.wait_for("p.done", "acknowledged");
    let incident = scene.client.get(&format!("/v1/incidents/{}", scene.id("llm-gateway"))).expect(200);
    assert_eq!((&incident["status"], &incident["acknowledged_by"]), (&json!("acknowledged"), &json!("alice")));
    browser.click("header .who button");
    browser.wait_for("h1", "Sign in");
    browser.open(&path);
    browser.wait_for("h1", "Sign in");
    // The answers without a token are what the console tells of, and nothing else.
    let others: Vec<&String> = browser.complaints().iter().filter(|line| !line.contains("status of 401")).collect();
    assert_eq!(others, Vec::<&String>::new());
    scene.process.stop();
}

#[test]
fn no_other_site_makes_a_browser_act() {
    let _turn = turn();
    let scene = Scene::quiet("page-foreign", "");
    scene.client.post("/v1/incidents", &alert("llm-gateway", "slow")).expect(201);
    let url = scene.process.url();
    let path = format!("/incidents/{}/acknowledge", scene.id("llm-gateway"));
    let mut browser = Browser::start(&url);
    let form = format!(
        "<main><form method=post action=\"{url}{path}\"><input name=user value=mallory><button>Win</button></form>\
         <iframe src=\"{url}/\"></iframe></main>"
    );
    let evil = elsewhere(form);
    // Another site, and another port of the same one.
    for site in [evil.url().replace("127.0.0.1", "localhost"), evil.url().to_owned()] {
        browser.open(&site);
        browser.choose("Win");
        browser.wait_for("p.problem", "not sent by a page of incidentd");
        assert_eq!(browser.path(), path);
    }
    // Nor is a page shown inside of theirs.
    browser.open(evil.url());
    wait_until("the browser refuses the frame", LIMIT, || {
        browser.complaints().iter().any(|line| line.contains("frame-ancestors")).then_some(())
    });
    let scripted = format!(
        "const done = arguments[arguments.length - 1]; fetch('{url}{path}', {{ method: 'POST', mode: 'no-cors', \
         headers: {{ 'content-type': 'application/x-www-form-urlencoded' }}, body: 'user=mallory' }}).then(it => done(it.type), it => done(String(it)))"
    );
    assert_eq!(browser.run_later(&scripted), "opaque");
    let incident = scene.client.get(&format!("/v1/incidents/{}", scene.id("llm-gateway"))).expect(200);
    assert_eq!((&incident["status"], incident.get("acknowledged_by")), (&json!("triggered"), None));
    // The same form from our own page is taken.
    browser.open(&path);
    browser.click("form.panel button.primary");
    browser.wait_for("p.done", "acknowledged");
    scene.process.stop();
}
