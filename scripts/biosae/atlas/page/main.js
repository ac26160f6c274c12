"use strict";
// Addresses: #n=127 a node, #cmp=12,34 side by side, else the table: q, sort, f.COLUMN, cols, map, by.

let shownNodes = null; // none: the table

const params = () => new URLSearchParams(location.hash.slice(1));
const replaceHash = text => history.replaceState(null, "", `#${text}`); // no step for the back button

function writeTableHash() {
  const { q, sort, down, filters, cols } = table.state,
    { kind, by } = map,
    p = new URLSearchParams(),
    set = (key, x, usual) => x && x !== usual && p.set(key, x);
  set("q", q);
  set("sort", (down ? "-" : "") + sort, "rank");
  for (const name in filters) set(`f.${name}`, filters[name]);
  set("cols", cols?.join());
  set("map", kind, "umap");
  set("by", by, "explained_by");
  replaceHash(p);
  table.hash = `#${p}`;
}

async function showTable(p) {
  const sort = p.get("sort") ?? "rank",
    filters = Object.fromEntries(
      [...p]
        .filter(([key]) => key.startsWith("f.") && key !== "f.logo" && A.column[key.slice(2)])
        .map(([key, text]) => [key.slice(2), text])
    );
  shownNodes = null;
  document.title = `${A.run} · ${A.layer} · atlas`;
  page("all");
  map.set({ kind: p.get("map") ?? "umap", by: p.get("by") ?? "explained_by" });
  if (location.hash !== table.hash || !table.mask)
    await table.set({
      q: p.get("q") ?? "",
      sort: sort.replace(/^-/, ""),
      down: sort[0] === "-",
      filters,
      cols: p.get("cols")?.split(",")
    });
  else table.scroller.scrollTop = table.scrolled; // back from a node: as it was left
  table.hash = location.hash;
  table.draw();
}

/** Shows one of the two sections, the node's filled with `content`. */
function page(id, ...content) {
  if (!$("all").hidden) table.scrolled = table.scroller.scrollTop;
  for (const name of ["wait", "all", "one"]) $(name).hidden = name !== id;
  $("one").replaceChildren(h("div", content));
  if (id === "one") scrollTo(0, 0);
  $("one").querySelector("h1")?.focus({ preventScroll: true });
}

async function showNodes(numbers, p) {
  const rows = numbers.map(node => A.rowOf.get(node)),
    lacking = numbers.filter(node => !A.rowOf.has(node));
  shownNodes = numbers;
  try {
    if (lacking.length) throw Error(`No kept node ${lacking.join(", ")} in this run.`);
    const nodes = await Promise.all(rows.map(readNode));
    if (shownNodes !== numbers) return; // the reader went on meanwhile
    document.title = `${rows.map(nodeName).join(" | ")} · ${A.run}`;
    const content = p.has("cmp") ? comparePage(nodes, p) : nodePage(nodes[0], p),
      rest = content.pop();
    page("one", content);
    await new Promise(done => setTimeout(done, 32)); // two frames: the first of it is on the screen
    if (shownNodes === numbers) $("one").append(rest());
  } catch (error) {
    if (shownNodes !== numbers) return;
    page(
      "one",
      h("nav", { aria: "Nodes" }, upLink()),
      h("h1", { tabindex: -1 }, "This node cannot be shown"),
      h("p", error.message),
      rows.filter(row => row >= 0).map(figuresView)
    );
    warn(error.message);
  }
}

async function route() {
  const { hash } = location,
    p = params(),
    numbers = (p.get("n") ?? p.get("cmp") ?? "").split(",").filter(Boolean).map(Number);
  if (numbers.length) await showNodes(p.has("n") ? numbers.slice(0, 1) : [...new Set(numbers)].slice(0, 6), p);
  else await showTable(p);
  document.body.dataset.shown = hash;
}

const plain = event => !(event.ctrlKey || event.metaKey || event.altKey || /INPUT|SELECT/.test(event.target.tagName));

function key(event) {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!plain(event)) return;
  if (event.key === "/") {
    event.preventDefault();
    $("q").focus();
  } else if (!shownNodes) {
    if (event.target === document.body) table.key(event);
  } else if (event.key === "Escape") location.hash = table.hash ?? "";
  else if (step && !event.target.closest?.(".wide")) {
    // there the arrows scroll
    const at = table.view.indexOf(A.rowOf.get(shownNodes[0])),
      row = table.view[at + step];
    if (at >= 0 && row != null) openNode(row);
  }
}

function search() {
  const box = $("q"),
    leave = () => {
      location.hash = `q=${encodeURIComponent(box.value)}`;
    };
  box.addEventListener("input", () => (shownNodes ? leave() : table.change({ q: box.value })));
  $("find").addEventListener("submit", async event => {
    event.preventDefault();
    await table.settled;
    const node = Number(box.value.trim().match(/^n?(\d+)$/)?.[1]),
      { view } = table;
    if (A.rowOf.has(node)) openNode(A.rowOf.get(node));
    else if (shownNodes) leave();
    else if (view.length === 1) openNode(view[0]);
    else if (view.length) table.go(0);
  });
}

async function start() {
  await readIndex();
  readLabels();
  $("home").textContent = A.run;
  $("what").textContent = [A.layer, A.assembly, `${A.n_nodes} nodes`].filter(Boolean).join(" · ");
  table.build();
  $("side").append(map.build(), score(), training(), about());
  search();
  addEventListener("hashchange", route);
  addEventListener("keydown", key);
  if (/^#(n|cmp)=/.test(location.hash)) await table.set({ q: "", sort: "rank", filters: {} }); // for the nodes before and after
  await route();
}

addEventListener("error", event => event.error && warn(`The page failed: ${event.message}`));
addEventListener("unhandledrejection", event => warn(String(event.reason?.message ?? event.reason)));
start().catch(error => {
  $("wait").textContent = "The atlas cannot be shown.";
  warn(error.message);
});
