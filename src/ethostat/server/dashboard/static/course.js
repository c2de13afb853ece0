"use strict";
// Reads the figures of a stream out, bucket by bucket: under the pointer, or with the arrow keys once they have the focus.
// Dragging, or Shift with the arrow keys, chooses a window of responses, which the form of the baseline takes.
(() => {
  const place = document.getElementById("live");
  if (!place) return;
  let at = null, anchor = null, isDragging = false;

  const rows = () => [...place.querySelectorAll("#buckets tbody tr")];

  const show = () => {
    const all = rows(), said = place.querySelector("#readout");
    if (!said) return;
    const row = all.find((each) => each.dataset.from === at);
    for (const line of place.querySelectorAll(".cursor")) {
      line.toggleAttribute("hidden", !row);
      if (row) for (const end of ["x1", "x2"]) line.setAttribute(end, `${row.dataset.middle}%`);
    }
    const some = chosen(all);
    for (const mark of place.querySelectorAll(".picked")) {
      mark.toggleAttribute("hidden", !some);
      if (!some) continue;
      mark.setAttribute("x", `${some[0].dataset.left}%`);
      mark.setAttribute("width", `${some[1].dataset.right - some[0].dataset.left}%`);
    }
    said.textContent = (some ? `Chosen: responses ${Number(some[0].dataset.from) + 1} to ${some[1].dataset.to}. ` : "") +
      (row ? row.dataset.said : some ? "" : said.dataset.idle);
    if (some) fill(Number(some[0].dataset.from) + 1, some[1].dataset.to);
  };

  // The first and the last bucket of the window that is being chosen, or was.
  let picked = null;
  const chosen = (all) => {
    if (!picked) return null;
    const two = picked.map((from) => all.find((each) => each.dataset.from === from));
    if (!two[0] || !two[1]) return null;
    return two.sort((a, b) => a.dataset.left - b.dataset.left);
  };

  const fill = (from, to) => {
    const [first, last] = ["from", "to"].map((id) => document.getElementById(id));
    if (first && last) [first.value, last.value] = [from, to];
  };

  const pick = (row) => {
    at = row ? row.dataset.from : null;
    show();
  };

  const nearest = (event) => {
    const plot = event.target.closest(".plot-area");
    if (!plot) return null;
    const box = plot.getBoundingClientRect();
    const share = (100 * (event.clientX - box.left)) / box.width;
    let best = null;
    for (const row of rows()) {
      if (!best || Math.abs(row.dataset.middle - share) < Math.abs(best.dataset.middle - share)) best = row;
    }
    return best;
  };

  place.addEventListener("pointermove", (event) => {
    const row = nearest(event);
    if (!row) return;
    if (isDragging && row.dataset.from !== anchor) picked = [anchor, row.dataset.from];
    pick(row);
  });
  place.addEventListener("pointerdown", (event) => {
    const row = event.button === 0 ? nearest(event) : null;
    if (!row) return;
    [anchor, isDragging, picked] = [row.dataset.from, true, null];
    pick(row);
  });
  addEventListener("pointerup", () => { isDragging = false; });
  addEventListener("pointercancel", () => { isDragging = false; });
  place.addEventListener("keydown", (event) => {
    if (!event.target.closest?.("#figures")) return;
    const all = rows(), here = all.findIndex((row) => row.dataset.from === at), most = all.length - 1;
    const to = {
      ArrowLeft: here < 0 ? most : Math.max(here - 1, 0),
      ArrowRight: here < 0 ? 0 : Math.min(here + 1, most),
      Home: 0,
      End: most,
      Escape: -1,
    }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    if (event.key === "Escape") picked = null;
    else if (event.shiftKey) picked = [picked ? picked[0] : (all[here] ?? all[to]).dataset.from, all[to].dataset.from];
    pick(all[to] ?? null);
  });
  place.addEventListener("redrawn", show);
})();
