//! Pictures of the pages for the documentation (`scripts/pictures`), and what must hold of each page, wide and narrow, dark and
//! light: nothing sticks out, every text stands out from its ground, the browser complains about nothing.

use super::browser::Browser;
use super::scene::Scene;
use crate::kafka::turn;
use serde_json::{Value, json};
use std::path::Path;

/// Bytes of one picture: a repository keeps them for ever.
const MOST: usize = 200 << 10;
/// Those that the documentation shows.
const SHOWN: [&str; 9] = [
    "list",
    "list-dark",
    "list-phone",
    "incident",
    "incident-dark",
    "incident-phone-dark",
    "decisions",
    "silences",
    "acknowledge-phone",
];
/// What is wider than the window.
const STICKS_OUT: &str = "
    const width = document.documentElement.clientWidth;
    return [...document.querySelectorAll('body *')]
        .filter(it => !it.closest('.unseen, .skip, svg') && it.checkVisibility() && it.getBoundingClientRect().right > width + 1)
        .filter(it => getComputedStyle(it.closest('thead') ?? it).position !== 'absolute')
        .map(it => it.outerHTML.slice(0, 200));";
/// Texts that stand out from their ground by less than WCAG 2.2 wants (1.4.3, AA).
const FAINT: &str = "
    const parts = color => color.match(/[\\d.]+/g).map(Number);
    const light = color => {
        const [r, g, b] = parts(color).map(it => it / 255).map(it => it <= 0.04045 ? it / 12.92 : ((it + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const ground = it => {
        for (; it; it = it.parentElement) {
            const color = getComputedStyle(it).backgroundColor;
            if ((parts(color)[3] ?? 1) > 0) return color;
        }
        return matchMedia('(prefers-color-scheme: dark)').matches ? 'rgb(18,18,18)' : 'rgb(255,255,255)';
    };
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const found = [];
    while (walker.nextNode()) {
        const text = walker.currentNode, it = text.parentElement;
        if (!text.textContent.trim() || it.closest('.unseen, .skip, svg, option') || !it.checkVisibility()) continue;
        const [a, b] = [light(getComputedStyle(it).color), light(ground(it))];
        const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (ratio < 4.5) found.push(`${ratio.toFixed(2)}: ${text.textContent.trim()}`);
    }
    return found;";

fn keep(file: &str, picture: &[u8]) {
    let Some(folder) = std::env::var("INCIDENTD_PICTURES").ok().filter(|folder| !folder.is_empty()) else { return };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join(format!("{file}.png")), picture).expect("a file");
}

#[test]
fn every_page_is_whole_and_readable_dark_and_light_wide_and_narrow() {
    let _turn = turn();
    let scene = Scene::busy("page-pictures");
    let mut browser = Browser::start(&scene.process.url());
    let incident = |service: &str| format!("/incidents/{}", scene.id(service));
    let pages = [
        ("list", "/".to_owned()),
        ("filtered", "/?severity=critical&severity=high&environment=production".to_owned()),
        ("nothing", "/?service_id=nobody".to_owned()),
        ("incident", incident("llm-inference-prod")),
        ("suppressed", incident("chat-api")),
        ("silenced", incident("embedding-service")),
        ("decisions", format!("{}/decisions", incident("llm-inference-prod"))),
        ("acknowledge", format!("{}/acknowledge", incident("llm-gateway"))),
        ("snooze", format!("{}/snooze", incident("vector-store"))),
        ("silences", "/silences".to_owned()),
        ("silence", "/silences/new".to_owned()),
    ];
    for (name, path) in &pages {
        for (narrow, dark) in [(false, false), (false, true), (true, false), (true, true)] {
            browser.screen(narrow, dark);
            browser.open(path);
            let file = format!("{name}{}{}", if narrow { "-phone" } else { "" }, if dark { "-dark" } else { "" });
            let picture = browser.picture(if narrow { 1_100 } else { 1_000 });
            if SHOWN.contains(&file.as_str()) {
                assert!(picture.len() <= MOST, "{file} has {} bytes", picture.len());
                keep(&file, &picture);
            }
            assert_eq!(browser.run(STICKS_OUT), json!([]), "{file}: wider than the window");
            assert_eq!(browser.run(FAINT), json!([]), "{file}: hard to read");
        }
    }
    assert_eq!(browser.complaints(), &[] as &[String]);
    browser.open("/incidents/inc_00000000000000000000");
    assert_eq!(browser.run(FAINT), Value::Array(Vec::new()), "what went wrong is readable, too");
    scene.process.stop();
}
