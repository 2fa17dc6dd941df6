// The filter of the differences, whose state is in the URL's fragment so that
// it can be linked, and tables that sort. The page is whole without it.
"use strict";
(() => {
  const rows = [...document.querySelectorAll(".difference")];
  const tools = document.getElementById("tools");
  const box = document.getElementById("filter");
  const shown = document.getElementById("shown");
  const kinds = [...document.querySelectorAll("#tools button[data-kind]")];
  let kind = "";

  function apply() {
    const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    let groups = 0, answers = 0;
    for (const row of rows) {
      const text = row.dataset.text;
      const fits = (kind === "" || row.dataset.kinds.split(" ").includes(kind)) &&
        words.every((word) => text.includes(word));
      row.hidden = !fits;
      if (fits) {
        groups++;
        answers += Number(row.dataset.answers);
      }
    }
    for (const button of kinds) {
      button.setAttribute("aria-pressed", String(button.dataset.kind === kind));
    }
    shown.textContent = groups === rows.length ? "" :
      `${groups} of ${rows.length} shown, ${answers.toLocaleString("en")} answers`;
    document.getElementById("none").hidden = groups > 0;
  }

  // remember puts the filter's state into the fragment.
  function remember() {
    const state = new URLSearchParams();
    if (box.value !== "") state.set("q", box.value);
    if (kind !== "") state.set("kind", kind);
    const fragment = state.size > 0 ? "#" + state : location.pathname;
    try {
      history.replaceState(null, "", fragment);
    } catch {
      location.replace("#" + state);
    }
  }

  // recall takes the state from the fragment, or opens the row that it names.
  function recall() {
    const fragment = location.hash.slice(1);
    if (!fragment.includes("=")) {
      const row = fragment && document.getElementById(fragment);
      if (row && row.matches(".difference")) row.open = true;
      return;
    }
    const state = new URLSearchParams(fragment);
    box.value = state.get("q") ?? "";
    kind = state.get("kind") ?? "";
    if (!kinds.some((button) => button.dataset.kind === kind)) kind = "";
    apply();
    document.getElementById("differences").scrollIntoView();
  }

  if (tools) {
    tools.hidden = false;
    box.addEventListener("input", () => { apply(); remember(); });
    for (const button of kinds) {
      button.addEventListener("click", () => { kind = button.dataset.kind; apply(); remember(); });
    }
    window.addEventListener("hashchange", recall);
    recall();
  }

  // A click on a column's head sorts by it, another one the other way round.
  // Numbers begin with the greatest.
  for (const table of document.querySelectorAll("table.sortable")) {
    const body = table.tBodies[0];
    const value = (row, i) => row.cells[i].dataset.value ?? row.cells[i].textContent;
    [...table.tHead.rows[0].cells].forEach((head, i) => {
      const button = head.querySelector("button");
      button.addEventListener("click", () => {
        const numeric = head.classList.contains("number");
        const before = head.getAttribute("aria-sort");
        const up = before === null ? !numeric : before === "descending";
        for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        const sorted = [...body.rows].sort((a, b) => {
          const x = value(a, i), y = value(b, i);
          const order = numeric ? Number(x) - Number(y) : x.localeCompare(y);
          return up ? order : -order;
        });
        body.append(...sorted);
      });
    });
  }
})();
