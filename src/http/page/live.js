// Replaces what is shown when the server says that it has changed. Without this file every page works the same, when reloaded.
"use strict";
(() => {
  const main = document.querySelector("main[data-live]");
  const state = document.getElementById("live-state");
  if (!main || !window.EventSource || !window.DOMParser) return;
  const pause = 2000; // milliseconds between two looks, at least
  const tick = 30000; // and at most: ages go on where nothing else does
  let last = Date.now(), timer = 0, stale = false, lost = false;

  // Where the focus was, to be found in the new text again.
  const place = (at) => {
    if (at.id) return "#" + CSS.escape(at.id);
    const href = at.getAttribute("href");
    return href ? `a[href="${CSS.escape(href)}"]` : null;
  };

  function replace(old, fresh) {
    if (old.isEqualNode(fresh)) return;
    const focused = old.contains(document.activeElement) ? place(document.activeElement) : null;
    const open = [...old.querySelectorAll("details[id][open]")].map((it) => it.id);
    old.replaceChildren(...fresh.childNodes);
    for (const id of open) old.querySelector("#" + CSS.escape(id))?.setAttribute("open", "");
    if (focused) old.querySelector(focused)?.focus({ preventScroll: true });
  }

  async function look() {
    clearTimeout(timer);
    timer = 0;
    stale = document.hidden;
    if (stale) return;
    last = Date.now();
    try {
      const answer = await fetch(location.href, { credentials: "same-origin", headers: { Accept: "text/html" } });
      if (!answer.ok) return;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.querySelectorAll("[data-fresh]");
      main.querySelectorAll("[data-fresh]").forEach((old, at) => { if (fresh[at]) replace(old, fresh[at]); });
      document.title = page.title;
    } catch { /* the next event, or the next tick, looks again */ }
  }

  function soon() {
    if (!timer) timer = setTimeout(look, Math.max(0, last + pause - Date.now()));
  }

  function say(text, isLost) {
    if (state && state.textContent !== text) state.textContent = text;
    state?.classList.toggle("lost", isLost);
  }

  function listen() {
    const source = new EventSource(main.dataset.live);
    source.addEventListener("changed", soon);
    source.onopen = () => { say("live", false); if (lost) soon(); lost = false; };
    source.onerror = () => {
      lost = true;
      say("not live: what is shown may be old", true);
      // The browser comes back by itself after a broken line, but not after an answer that refuses it.
      if (source.readyState === EventSource.CLOSED) setTimeout(listen, 5000);
    };
  }

  listen();
  setInterval(() => { if (Date.now() - last >= tick - pause) look(); }, tick);
  document.addEventListener("visibilitychange", () => { if (!document.hidden && stale) soon(); });
})();
