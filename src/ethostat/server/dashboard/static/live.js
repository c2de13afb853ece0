"use strict";
// Loads the living part of a page again when the service says that something moved: at most every two seconds, and not
// while the page is hidden. Where events do not come, it looks every ten seconds.
(() => {
  const place = document.getElementById("live");
  if (!place) return;
  const light = document.getElementById("pulse");
  const SOONEST = 2000, WITHOUT = 10000;
  let source = null, waiting = 0, last = 0, busy = false, again = false, fallback = 0, missed = false, ended = false;

  const say = (state, words) => {
    if (!light) return;
    light.dataset.state = state;
    light.textContent = words;
  };

  const show = (text) => {
    const fresh = new DOMParser().parseFromString(text, "text/html").body;
    const open = [...place.querySelectorAll("details[open][id]")].map((each) => each.id);
    const focused = place.contains(document.activeElement) ? document.activeElement.id : "";
    const scrolled = [...place.querySelectorAll(".scroll[id]")].map((each) => [each.id, each.scrollLeft, each.scrollTop]);
    place.replaceChildren(...fresh.childNodes);
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
    for (const [id, left, top] of scrolled) document.getElementById(id)?.scrollTo(left, top);
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
    place.dispatchEvent(new Event("redrawn"));
  };

  const look = async () => {
    if (busy) { again = true; return; }
    busy = true;
    last = Date.now();
    try {
      const answer = await fetch(place.dataset.part, { headers: { accept: "text/html" }, redirect: "manual" });
      if (answer.type === "opaqueredirect") {
        ethostat.end();
        shut();
        say("off", "session ended");
      } else if (answer.ok) show(await answer.text());
      else say("off", answer.status === 404 ? "gone" : "not answering");
    } catch {
      say("off", "not answering");
    }
    busy = false;
    if (again) { again = false; soon(); }
  };

  const soon = () => {
    if (waiting) return;
    waiting = setTimeout(() => { waiting = 0; look(); }, Math.max(0, last + SOONEST - Date.now()));
  };

  const shut = () => {
    ended = true;
    source?.close();
    clearInterval(fallback);
  };

  const open = () => {
    if (source || document.hidden || ended) return;
    source = new EventSource(place.dataset.live);
    source.addEventListener("hello", () => {
      say("on", "live");
      clearInterval(fallback);
      fallback = 0;
      if (missed) soon();  // what moved while nobody said so
      missed = false;
    });
    source.addEventListener("moved", soon);
    source.addEventListener("error", () => {
      missed = true;
      say("off", "reconnecting");
      if (source?.readyState !== EventSource.CLOSED || fallback) return;
      soon();  // says why, where the service does
      fallback = setInterval(() => { source?.close(); source = null; open(); look(); }, WITHOUT);
    });
  };

  // Browsers hold few connections to a host: hidden pages give theirs back.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      source?.close();
      source = null;
      clearInterval(fallback);
      fallback = 0;
    } else {
      open();
      soon();
    }
  });
  addEventListener("pagehide", () => source?.close());
  open();
})();
