"use strict";
// One key a goal. What a key does is on disk before the next response is shown; a key that is held down, or comes sooner
// than a tenth of a second after the one before, does nothing.
(() => {
  const desk = document.getElementById("desk"), said = document.getElementById("said");
  if (!desk) return;
  const TOO_FAST = 100, settles = desk.dataset.settles !== undefined;
  let busy = false, last = 0;

  const send = async (asked) => {
    if (busy) return;
    busy = true;
    desk.setAttribute("aria-busy", "true");
    said.textContent = "";
    const at = JSON.parse(desk.querySelector("[data-at]").dataset.at);
    const refused = (words) => { said.textContent = words; };
    const answer = await ethostat.ask("POST", desk.dataset.url, { rater: desk.dataset.rater, at, settles, ...asked }, refused);
    if (answer) {
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").body;
      desk.replaceChildren(...fresh.childNodes);
      desk.focus({ preventScroll: true });
      if (asked.kind !== "note") scrollTo(0, 0);
    }
    desk.removeAttribute("aria-busy");
    busy = false;
  };

  const act = (button) => {
    const { kind, goal } = button.dataset;
    const asked = { kind };
    if (kind === "label") asked.goal = goal;
    if (kind === "note") asked.note = document.getElementById("note").value;
    send(asked);
  };

  desk.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-kind]");
    if (button) act(button);
  });

  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || ethostat.isBusy()) return;
    if (event.target.id === "note") {
      if (event.key === "Escape") { event.target.value = event.target.defaultValue; desk.focus(); }
      if (event.key === "Enter") { event.preventDefault(); act(document.getElementById("keep")); }
      return;
    }
    if (event.target.closest("input, textarea, select")) return;
    const button = [...desk.querySelectorAll("button[data-key]")].find((each) => each.dataset.key === event.key);
    const isFast = event.repeat || event.timeStamp - last < TOO_FAST;
    if (event.key === "n") {
      event.preventDefault();
      document.getElementById("note")?.focus();
    } else if (event.key === "j" || event.key === "k") {
      scrollBy(0, event.key === "j" ? 60 : -60);
    } else if (button) {
      event.preventDefault();
      if (!isFast) act(button);
    }
    last = event.timeStamp;
  });
  desk.focus({ preventScroll: true });
})();
