
"use strict";
// Sorting and filtering of the node table. Without this script the page shows everything, in order of rank.
(() => {
  const table = document.getElementById("table");
  if (!table) return; // a run without nodes
  const body = table.tBodies[0];
  const rows = Array.from(body.rows, (row) => ({ row, text: row.textContent.toLowerCase() }));
  const filter = document.getElementById("filter");
  const status = document.getElementById("status");
  const count = document.getElementById("count");

  function show() {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const { row, text } of rows) {
      const fits = (!status.value || row.classList.contains(status.value)) && words.every((w) => text.includes(w));
      row.hidden = !fits;
      shown += fits;
    }
    count.textContent = `${shown} of ${rows.length} nodes`;
  }

  function valueOf(row, column) {
    const cell = row.cells[column];
    if (cell.dataset.v !== undefined) return Number(cell.dataset.v);
    const text = cell.textContent;
    return text === "–" ? null : text.toLowerCase();
  }

  function sort(head) {
    const ascending = head.getAttribute("aria-sort") !== "ascending";
    const sign = ascending ? 1 : -1;
    const keyed = rows.map((entry) => ({ entry, value: valueOf(entry.row, head.cellIndex) }));
    keyed.sort((a, b) => {
      if (a.value === null || b.value === null) return (a.value === null) - (b.value === null); // missing values last
      return sign * (a.value < b.value ? -1 : a.value > b.value ? 1 : 0);
    });
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
    rows.splice(0, rows.length, ...keyed.map(({ entry }) => entry));
    body.append(...rows.map(({ row }) => row));
  }

  function goToTarget() {
    const row = document.getElementById(location.hash.slice(1));
    for (const old of body.querySelectorAll(".target")) old.classList.remove("target");
    if (!row || row.parentElement !== body) return;
    if (row.hidden) { // a filter must not swallow a link
      filter.value = status.value = "";
      show();
    }
    row.classList.add("target");
    row.scrollIntoView({ block: "center" });
  }

  for (const head of table.tHead.rows[0].cells) {
    const button = head.querySelector("button");
    if (button) button.addEventListener("click", () => sort(head));
  }
  filter.addEventListener("input", show);
  status.addEventListener("change", show);
  window.addEventListener("hashchange", goToTarget);
  table.tHead.rows[0].cells[0].setAttribute("aria-sort", "ascending");
  document.getElementById("controls").hidden = false;
  show();
  goToTarget();
})();
