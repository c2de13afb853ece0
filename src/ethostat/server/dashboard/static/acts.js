"use strict";
// Sends what a form asks for to the API, as JSON, with the token of the session; says what went wrong.
(() => {
  const valueOf = (field) => (field.type === "number" ? field.valueAsNumber : field.value);

  const bodyOf = (form) => {
    const body = {};
    for (const each of form.elements) {
      if (!each.name || each.value === "" || (each.type === "checkbox" && !each.checked)) continue;
      if (each.dataset.list === undefined) body[each.name] = valueOf(each);
      else body[each.name] = [...(body[each.name] ?? []), valueOf(each)];
    }
    return body;
  };

  const say = (form, words, isGood) => {
    const said = document.getElementById(form.dataset.says);
    if (!said) return;
    said.textContent = words;
    said.classList.toggle("kept", isGood);
  };

  // A form with `data-told` says what came of it in that field of the answer; others show the page as it is now.
  const done = (form, told) => {
    if (told.go) location.assign(told.go);
    else if (form.dataset.told === undefined) location.reload();
    else if (told.error) say(form, told.error, false);
    else say(form, form.dataset.told, true);
  };

  document.addEventListener("submit", async (event) => {
    const form = event.target.closest("form[data-url]");
    if (!form) return;
    event.preventDefault();
    const buttons = [...document.querySelectorAll("form[data-url] button:enabled")];
    for (const each of buttons) each.disabled = true;
    say(form, "", false);
    const refused = (words) => say(form, words, false);
    const answer = await ethostat.ask(form.dataset.method ?? "POST", form.dataset.url, bodyOf(form), refused);
    if (answer) done(form, answer.status === 204 ? {} : await answer.json().catch(() => ({})));
    for (const each of buttons) each.disabled = false;
  });
})();
