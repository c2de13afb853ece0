"use strict";
// Sends what a form asks for to the API, as JSON, with the token of the session; says what went wrong.
(() => {
  const csrf = document.querySelector('meta[name="csrf"]')?.content ?? "";

  const valueOf = (field) => (field.type === "number" ? field.valueAsNumber : field.value);

  document.addEventListener("submit", async (event) => {
    const form = event.target.closest("form[data-url]");
    if (!form) return;
    event.preventDefault();
    const fields = [...form.elements].filter((each) => each.name && each.value !== "");
    const body = Object.fromEntries(fields.map((each) => [each.name, valueOf(each)]));
    const said = document.getElementById(form.dataset.says);
    const buttons = [...document.querySelectorAll("form[data-url] button")];
    for (const each of buttons) each.disabled = true;
    try {
      const answer = await fetch(form.dataset.url, {
        method: "POST",
        headers: { "content-type": "application/json", "x-csrf-token": csrf },
        body: JSON.stringify(body),
      });
      const told = await answer.json().catch(() => ({}));
      if (answer.ok) {
        if (told.go) location.assign(told.go);
        else location.reload();
        return;
      }
      if (said) said.textContent = told.error?.message ?? `refused (${answer.status})`;
    } catch {
      if (said) said.textContent = "the service does not answer";
    }
    for (const each of buttons) each.disabled = false;
  });
})();
