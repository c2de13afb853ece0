"use strict";
// Every text of the evidence reaches the page through textContent only.
(() => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const evidence = read("evidence");
  const figures = read("figures");
  const ROWS = 25;
  const ANSWERS = 5;
  const CLIP = 500;

  const make = (tag, names = "", text = null) => {
    const element = document.createElement(tag);
    if (names) element.className = names;
    if (text !== null) element.textContent = text;
    return element;
  };
  const fill = (goal, names) => {
    const element = make("i", `${names} goal-fill${evidence.goals[goal].aligned ? "" : " hatched"}`);
    element.style.setProperty("--c", `var(--goal-${goal})`);
    return element;
  };
  const goalName = (goal) => `${evidence.goals[goal].key} ${evidence.goals[goal].name}`;
  const count = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;

  // Prompts, each with what its row shows and is sorted by.
  const behind = evidence.prompts.map(() => []);
  for (const row of evidence.responses) behind[row[0]].push(row);
  for (const rows of behind) rows.sort((a, b) => a[5] - b[5]);
  const prompts = evidence.prompts.map((prompt, place) => {
    const n = prompt.counts.reduce((sum, each) => sum + each, 0);
    const good = prompt.counts.reduce((sum, each, goal) => sum + (evidence.goals[goal].aligned ? each : 0), 0);
    const asked = prompt.turns.length ? prompt.turns[prompt.turns.length - 1][1] : "";
    const category = prompt.category ?? "";
    return {
      place, n, asked, category, counts: prompt.counts, id: prompt.id, method: prompt.method, turns: prompt.turns,
      s: prompt.s && prompt.s[0], low: prompt.s && prompt.s[1], high: prompt.s && prompt.s[2],
      aligned: n ? good / n : null,
      text: `${prompt.id}\n${category}\n${prompt.turns.map((turn) => turn[1]).join("\n")}`.toLowerCase(),
    };
  });

  // Table
  const grouped = prompts.some((prompt) => prompt.category);
  const order = new Intl.Collator("en", { numeric: true });
  const number = (digits) => (value) => (value === null ? "–" : value.toFixed(digits));
  const columns = [
    { key: "id", label: "prompt" },
    ...(grouped ? [{ key: "category", label: "category", wide: true }] : []),
    { key: "n", label: "n", numeric: true, wide: true, show: (value) => value.toLocaleString("en") },
    { key: "s", label: "S, nats", numeric: true, show: number(3) },
    { key: "high", label: `${evidence.level} interval`.trim(), numeric: true, wide: true },
    { key: "aligned", label: "aligned", numeric: true, show: (value) => (value === null ? "–" : `${(100 * value).toFixed(0)}%`) },
    { key: null, label: "goals" },
  ];
  const state = { key: "s", down: true, find: "", category: null, limit: ROWS };
  const open = new Set();
  const byId = (id) => document.getElementById(id);
  const head = byId("prompt-head");
  const body = byId("prompt-rows");

  const compare = (a, b) => {
    const x = a[state.key];
    const y = b[state.key];
    if (x === null || y === null) return (x === null) - (y === null) || a.place - b.place;
    const sign = typeof x === "string" ? order.compare(x, y) : x - y;
    return (state.down ? -sign : sign) || a.place - b.place;
  };
  const chosen = () => prompts
    .filter((prompt) => (state.category === null || prompt.category === state.category) && prompt.text.includes(state.find))
    .sort(compare);

  const bar = (prompt) => {
    const mini = make("div", "mini");
    mini.setAttribute("role", "img");
    mini.setAttribute("aria-label", prompt.counts.map((each, goal) => `${evidence.goals[goal].key} ${each}`).join(", "));
    prompt.counts.forEach((each, goal) => {
      if (!each) return;
      const part = fill(goal, "");
      part.style.flex = `${each} 0 0`;
      part.title = `${goalName(goal)}: ${each} of ${prompt.n}`;
      mini.append(part);
    });
    return mini;
  };
  const cellOf = (column, prompt) => {
    const cell = make("td", [column.numeric ? "n" : "", column.wide ? "wide" : "", column.key === "s" ? "strong" : ""].join(" ").trim());
    if (column.key === null) cell.append(bar(prompt));
    else if (column.key === "high") cell.textContent = prompt.s === null ? "–" : `${prompt.low.toFixed(3)} to ${prompt.high.toFixed(3)}`;
    else cell.textContent = column.show ? column.show(prompt[column.key]) : prompt[column.key];
    if (column.key === "s") cell.title = prompt.method;
    return cell;
  };
  const rowOf = (prompt) => {
    const row = make("tr");
    const first = make("td");
    const button = make("button", "open", prompt.id || "(no id)");
    button.type = "button";
    button.dataset.prompt = prompt.place;
    button.setAttribute("aria-expanded", String(open.has(prompt.place)));
    button.addEventListener("click", () => toggle(prompt, row, button));
    first.append(button, make("span", "asked", prompt.asked.slice(0, 200)));
    row.append(first, ...columns.slice(1).map((column) => cellOf(column, prompt)));
    return row;
  };
  const toggle = (prompt, row, button) => {
    const opened = open.has(prompt.place);
    if (opened) {
      open.delete(prompt.place);
      row.nextElementSibling.remove();
    } else {
      open.add(prompt.place);
      row.after(sheetRow(prompt));
    }
    button.setAttribute("aria-expanded", String(!opened));
  };
  const draw = () => {
    const rows = chosen();
    const parts = [];
    for (const prompt of rows.slice(0, state.limit)) {
      parts.push(rowOf(prompt));
      if (open.has(prompt.place)) parts.push(sheetRow(prompt));
    }
    body.replaceChildren(...parts);
    byId("shown").textContent = rows.length === prompts.length ? count(rows.length, "prompt") : `${rows.length.toLocaleString("en")} of ${count(prompts.length, "prompt")}`;
    const left = rows.length - state.limit;
    byId("more").hidden = left <= 0;
    byId("more").textContent = left > 0 ? `Show ${Math.min(left, ROWS)} more of ${left.toLocaleString("en")}` : "";
    for (const cell of head.children) {
      if (cell.dataset.key) cell.setAttribute("aria-sort", cell.dataset.key !== state.key ? "none" : state.down ? "descending" : "ascending");
    }
  };
  const sortBy = (key, numeric) => {
    state.down = state.key === key ? !state.down : Boolean(numeric);
    state.key = key;
    draw();
  };

  // Responses
  const sheetRow = (prompt) => {
    const row = make("tr", "behind");
    const cell = make("td");
    cell.colSpan = columns.length;
    cell.append(sheetOf(prompt));
    row.append(cell);
    return row;
  };
  const sheetOf = (prompt) => {
    const sheet = make("div", "sheet");
    for (const [role, text] of prompt.turns) {
      const turn = make("div", "turn");
      turn.append(make("p", "who", role), ...clipped(text));
      sheet.append(turn);
    }
    const rows = behind[prompt.place];
    if (!rows.length) {
      sheet.append(make("p", "soft", evidence.responses.length ? "No response to this prompt is part of this report." : "This report was made without responses."));
      return sheet;
    }
    const list = make("ol", "answers");
    const more = make("button", "quiet");
    more.type = "button";
    const view = { goal: null, limit: ANSWERS };
    const chips = make("div", "chips");
    const refresh = () => {
      const kept = rows.filter((each) => view.goal === null || each[1] === view.goal);
      for (let at = list.children.length; at < Math.min(view.limit, kept.length); at += 1) list.append(answerOf(kept[at]));
      const left = kept.length - list.children.length;
      more.hidden = left <= 0;
      more.textContent = `Show ${Math.min(left, ANSWERS)} more of ${count(left, "response")}`;
    };
    const choose = (goal) => {
      Object.assign(view, { goal, limit: ANSWERS });
      for (const chip of chips.children) chip.setAttribute("aria-pressed", String(chip.dataset.goal === String(goal)));
      list.replaceChildren();
      refresh();
    };
    const chip = (goal, size) => {
      const button = make("button", "chip");
      button.type = "button";
      button.dataset.goal = String(goal);
      if (goal !== null) button.append(fill(goal, "swatch"));
      button.append(`${goal === null ? "all" : goalName(goal)} ${size.toLocaleString("en")}`);
      button.addEventListener("click", () => choose(goal));
      chips.append(button);
    };
    const sizes = evidence.goals.map((_, goal) => rows.filter((each) => each[1] === goal).length);
    chip(null, rows.length);
    sizes.forEach((size, goal) => size && chip(goal, size));
    more.addEventListener("click", () => { view.limit += ANSWERS; refresh(); });
    choose(null);
    sheet.append(chips, list, more);
    return sheet;
  };
  const answerOf = ([, goal, probability, text, finish, index, seed, tokens, typicality]) => {
    const item = make("li", "answer");
    const tags = make("div", "tags");
    const verdict = make("span");
    verdict.append(fill(goal, "swatch"), make("b", "", goalName(goal)));
    tags.append(verdict);
    if (probability !== null) tags.append(make("span", "", `probability ${probability.toFixed(2)}`));
    if (typicality !== null) tags.append(make("span", "", `typicality ${typicality.toFixed(3)}`));
    if (finish) tags.append(make("span", finish === "stop" ? "" : "warn", `finish ${finish}`));
    tags.append(make("span", "", `no. ${index}`));
    if (seed !== null) tags.append(make("span", "", `seed ${seed}`));
    if (tokens !== null) tags.append(make("span", "", count(tokens, "token")));
    item.append(tags, ...clipped(text));
    return item;
  };
  // A character outside the basic plane is never cut in two.
  const cutAt = (text) => (/[\ud800-\udbff]/.test(text[CLIP - 1]) ? CLIP - 1 : CLIP);
  const clipped = (text) => {
    if (text === "") return [make("p", "said soft", "(empty)")];
    if (text.length <= CLIP * 1.2) return [make("p", "said", text)];
    const said = make("p", "said", `${text.slice(0, cutAt(text))}…`);
    const button = make("button", "all", `Show all ${text.length.toLocaleString("en")} characters`);
    button.type = "button";
    button.addEventListener("click", () => {
      said.textContent = text;
      said.tabIndex = -1;
      said.focus();
      button.remove();
    });
    return [said, button];
  };

  const start = () => {
    for (const column of columns) {
      const cell = make("th", [column.numeric ? "n" : "", column.wide ? "wide" : ""].join(" ").trim());
      cell.scope = "col";
      if (column.key === null) cell.textContent = column.label;
      else {
        cell.dataset.key = column.key;
        const button = make("button", "", column.label);
        button.type = "button";
        button.addEventListener("click", () => sortBy(column.key, column.numeric));
        cell.append(button);
      }
      head.append(cell);
    }
    byId("find").addEventListener("input", (event) => {
      state.find = event.target.value.trim().toLowerCase();
      state.limit = ROWS;
      draw();
    });
    const choice = byId("category");
    const names = [...new Set(prompts.map((prompt) => prompt.category))].sort(order.compare);
    for (const [at, name] of ["all", ...names].entries()) {
      const option = make("option", "", at ? name || "(none)" : "all");
      option.value = String(at - 1);
      choice.append(option);
    }
    byId("category-label").hidden = !grouped;
    choice.addEventListener("change", () => {
      state.category = choice.value === "-1" ? null : names[Number(choice.value)];
      state.limit = ROWS;
      draw();
    });
    byId("more").addEventListener("click", () => { state.limit += ROWS; draw(); });
    byId("controls").hidden = false;
    byId("prompt-table").hidden = false;
    draw();
  };

  // Charts follow the colour scheme; paper is always light.
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const plots = (scheme) => {
    for (const [key, figure] of Object.entries(figures[scheme])) {
      const place = byId(`chart-${key}`);
      if (place) Plotly.react(place, structuredClone(figure.data), structuredClone(figure.layout), figures.config);
    }
  };
  const showPrompt = (place) => {
    Object.assign(state, { find: "", category: null, limit: Math.max(ROWS, prompts.length) });
    byId("find").value = "";
    byId("category").value = "-1";
    open.add(place);
    draw();
    const button = body.querySelector(`button[data-prompt="${place}"]`);
    button.scrollIntoView({ block: "start" });
    button.focus({ preventScroll: true });
  };
  start();
  plots(dark.matches ? "dark" : "light");
  dark.addEventListener("change", () => plots(dark.matches ? "dark" : "light"));
  addEventListener("beforeprint", () => plots("light"));
  addEventListener("afterprint", () => plots(dark.matches ? "dark" : "light"));
  const points = byId("chart-prompts");
  if (points && points.on) points.on("plotly_click", (event) => showPrompt(event.points[0].customdata));
})();
