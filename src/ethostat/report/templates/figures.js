"use strict";
// Charts follow the colour scheme; paper is always light.
(() => {
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const plots = (scheme) => {
    for (const [key, figure] of Object.entries(figures[scheme])) {
      const place = document.getElementById(`chart-${key}`);
      if (place) Plotly.react(place, structuredClone(figure.data), structuredClone(figure.layout), figures.config);
    }
  };
  const current = () => plots(dark.matches ? "dark" : "light");
  current();
  dark.addEventListener("change", current);
  addEventListener("beforeprint", () => plots("light"));
  addEventListener("afterprint", current);
})();
