"use strict";
// Addresses: #n=127 a node, #cmp=12,34 nodes side by side, else the table with q, sort, f.COLUMN, cols, map, by.

let shownNode = null, asked = 0;

function params() { return new URLSearchParams(location.hash.slice(1)); }

/** Writes an address without a step for the back button. */
function replaceHash(text) { history.replaceState(null, "", `#${text}`); }
function changeHash(change) {
  const p = params();
  change(p);
  replaceHash(p);
}

function writeTableHash() {
  if (shownNode !== null) return;
  const { q, sort, down, filters, cols } = table.state, p = new URLSearchParams();
  if (q) p.set("q", q);
  if (sort !== "rank" || down) p.set("sort", (down ? "-" : "") + sort);
  for (const [name, text] of Object.entries(filters)) p.set(`f.${name}`, text);
  if (cols) p.set("cols", cols.join(","));
  if (map.kind !== "umap") p.set("map", map.kind);
  if (map.by !== "explained_by") p.set("by", map.by);
  replaceHash(p);
  table.hash = `#${p}`;
}

async function showTable(p) {
  const sort = p.get("sort") ?? "rank", filters = {};
  for (const [key, text] of p) if (key.startsWith("f.") && table.column(key.slice(2))) filters[key.slice(2)] = text;
  shownNode = null;
  table.hash = location.hash || "#";
  document.title = `${A.run} · ${A.layer} · atlas`;
  page("all");
  map.set({ kind: p.get("map") ?? "umap", by: p.get("by") ?? "explained_by" });
  const state = { q: p.get("q") ?? "", sort: sort.replace(/^-/, ""), down: sort[0] === "-", filters, cols: p.get("cols")?.split(",") };
  if (JSON.stringify(state) === table.last) table.draw(); // back from a node: rows and place as they were
  else await table.set(state);
  table.last = JSON.stringify(state);
  if (table.scrolled) table.scroller.scrollTop = table.scrolled;
  table.draw();
}

/** Shows one of the two sections, filled with `content` where that is given. */
function page(id, content) {
  const [all, one] = ["all", "one"].map((x) => document.getElementById(x));
  if (!all.hidden && id === "one") table.scrolled = table.scroller.scrollTop;
  document.getElementById("wait").hidden = true;
  all.hidden = id !== "all";
  one.hidden = id !== "one";
  one.replaceChildren(...(content ?? []).flat(2).filter(Boolean));
  if (content) {
    scrollTo(0, 0);
    one.querySelector("h1")?.focus({ preventScroll: true });
  }
}

async function showNodes(numbers, p) {
  const mine = ++asked, rows = numbers.map((node) => A.rowOf.get(node));
  shownNode = numbers.join();
  const lacking = numbers.filter((_, i) => rows[i] === undefined);
  const [first] = rows;
  try {
    if (lacking.length) throw Error(`No kept node ${lacking.join(", ")} in this run.`);
    const nodes = await Promise.all(rows.map(readNode));
    if (mine !== asked) return; // the reader went on meanwhile
    document.title = `${rows.map(nodeName).join(" | ")} · ${A.run}`;
    page("one", p.has("cmp") ? comparePage(nodes, p) : nodePage(nodes[0], p));
  } catch (error) {
    if (mine !== asked) return;
    warn(error.message);
    page("one", [el("nav", null, el("a", { href: table.hash ?? "#" }, "All nodes")), el("h1", { tabindex: -1 }, "This node cannot be shown"), el("p.alert", null, error.message),
      first !== undefined && !p.has("cmp") ? el("dl.figures", null, A.columns.map((c) => el("div", null, el("dt", null, words(c.name)), el("dd", null, num(c.get(first)))))) : null]);
  }
}

async function route() {
  const p = params(), numbers = (p.get("n") ?? p.get("cmp") ?? "").split(",").filter(Boolean).map(Number);
  if (numbers.length) await showNodes(p.has("n") ? numbers.slice(0, 1) : [...new Set(numbers)].slice(0, 6), p);
  else await showTable(p);
  document.body.dataset.shown = location.hash; // tests and scripts wait for it
}

function keys(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || /INPUT|SELECT|TEXTAREA/.test(event.target.tagName)) return;
  if (event.key === "/") {
    event.preventDefault();
    document.getElementById("q").focus();
  } else if (shownNode === null) {
    if (event.target === document.body) table.key(event);
  } else if (event.key === "Escape") location.hash = table.hash ?? "#";
  else if (event.key === "ArrowRight" || event.key === "ArrowLeft") {
    if (event.target.closest?.(".wide")) return; // there the arrows scroll
    const at = table.view.indexOf(A.rowOf.get(Number(params().get("n")))), row = table.view[at + (event.key === "ArrowRight" ? 1 : -1)];
    if (at >= 0 && row !== undefined) location.hash = `n=${value("node", row)}`;
  }
}

function find() {
  const box = document.getElementById("q"), form = document.getElementById("find");
  box.addEventListener("input", () => {
    const { shown } = { shown: shownNode };
    if (shown !== null) location.hash = `q=${encodeURIComponent(box.value)}`;
    else table.change({ q: box.value });
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const node = box.value.trim().match(/^n?(\d+)$/);
    if (node && A.rowOf.has(Number(node[1]))) location.hash = `n=${Number(node[1])}`;
    else if (shownNode !== null) location.hash = `q=${encodeURIComponent(box.value)}`;
    else if (table.view.length === 1) location.hash = `n=${value("node", table.view[0])}`;
    else if (table.view.length) table.go(0);
  });
}

async function start() {
  await readIndex();
  readLabels();
  document.getElementById("home").textContent = A.run;
  document.getElementById("what").textContent = [A.layer, A.assembly, `${A.n_nodes} nodes`].filter(Boolean).join(" · ");
  table.build();
  document.getElementById("side").append(map.build(), score(), training(), about());
  find();
  addEventListener("hashchange", route);
  addEventListener("keydown", keys);
  await table.set({ q: "", sort: "rank", down: false, filters: {} }); // so that a node opened first has its neighbours in rank
  await route();
}

addEventListener("error", (event) => { if (event.error) warn(`The page failed: ${event.message}`); });
addEventListener("unhandledrejection", (event) => warn(event.reason?.message ?? String(event.reason)));
start().catch((error) => {
  document.getElementById("wait").textContent = "The atlas cannot be shown.";
  warn(error.message);
});
