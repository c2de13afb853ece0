"use strict";
// Reads the figures of a stream out, bucket by bucket: under the pointer, or with the arrow keys once they have the focus.
(() => {
  const place = document.getElementById("live");
  if (!place) return;
  let at = null;

  const rows = () => [...place.querySelectorAll("#buckets tbody tr")];

  const show = () => {
    const all = rows(), said = place.querySelector("#readout");
    if (!said) return;
    const row = all.find((each) => each.dataset.from === at);
    for (const line of place.querySelectorAll(".cursor")) {
      line.toggleAttribute("hidden", !row);
      if (row) for (const end of ["x1", "x2"]) line.setAttribute(end, `${row.dataset.middle}%`);
    }
    said.textContent = row ? row.dataset.said : said.dataset.idle;
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
    if (row) pick(row);
  });
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
    pick(all[to] ?? null);
  });
  place.addEventListener("redrawn", show);
})();
