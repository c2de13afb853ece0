"use strict";
// What every page can do: ask the API with the token of the session, say that the session has ended, log out.
const ethostat = (() => {
  const csrf = document.querySelector('meta[name="csrf"]')?.content ?? "";

  // The session is over: what the page shows stays, and the way back leads here again.
  const end = () => {
    const said = document.getElementById("ended");
    if (!said) return;
    said.querySelector("a").href = `/login?said=ended&next=${encodeURIComponent(location.pathname + location.search)}`;
    said.hidden = false;
  };

  // Gives the answer, or null where nobody answered or the session is over; `refused` is told why in a sentence.
  const ask = async (method, url, body, refused = () => {}) => {
    let answer;
    try {
      answer = await fetch(url, {
        method,
        headers: { "content-type": "application/json", "x-csrf-token": csrf },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
    } catch {
      refused("the service does not answer; nothing was changed");
      return null;
    }
    if (answer.ok) return answer;
    const told = await answer.json().catch(() => ({}));
    if (answer.status === 401) end();
    refused(told.error?.message ?? `refused (${answer.status})`);
    return null;
  };

  document.getElementById("log-out")?.addEventListener("click", async () => {
    await ask("DELETE", "/v1/session");
    location.assign("/login?said=out");
  });

  const help = document.getElementById("help");
  const show = () => { if (help && !help.open) help.showModal(); };
  document.getElementById("ask-help")?.addEventListener("click", show);

  // Keys that every page has. While a list of keys is open, or one goes somewhere, other keys wait.
  const PAGES = { s: "/", a: "/alerts", r: "/runs", q: "/review" };
  let isGoing = false;
  const isBusy = () => isGoing || Boolean(help?.open);
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || help?.open) return;
    if (event.target.closest?.("input, textarea, select")) return;
    const goes = isGoing;
    isGoing = event.key === "g" && !event.repeat;
    if (event.key === "?") show();
    else if (event.key === "/") {
      const field = document.querySelector("main input:not([type=hidden]), main select");
      if (field) { event.preventDefault(); field.focus(); }
    } else if (goes && PAGES[event.key] && document.querySelector(`nav a[href="${PAGES[event.key]}"]`)) {
      isGoing = true;
      location.assign(PAGES[event.key]);
    }
  });

  return { ask, end, isBusy };
})();
