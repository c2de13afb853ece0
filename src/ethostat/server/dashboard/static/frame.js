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

  return { ask, end };
})();
