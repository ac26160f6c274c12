"use strict";
// The table of all nodes: only the rows in sight are in the document.

const ROW = 30, SPARE = 6; // px a row; rows drawn beyond the edges of sight
const PRINTED_ROWS = 1000;
const USUAL = ["rank", "node", "label", "logo", "target_name", "match_q_value", "explained_by", "n_seqlets", "mean_act", "density",
  "seqlets_with_motif", "hits_fired", "repeat_share", "cluster", "stability", "consensus"];
const SHORT = { target_name: "match", match_q_value: "q", seqlets_with_motif: "recall", hits_fired: "precision", mean_act: "mean act.",
  n_seqlets: "seqlets", repeat_share: "repeats" };
const MADE = {
  label: { type: "string", text: "your own text, kept in this browser" },
  logo: { type: "logo", text: "best motif, letter heights in bits" },
};

const table = {
  state: { q: "", sort: "rank", down: false, filters: {}, cols: null },
  view: new Uint32Array(0), live: new Map(), current: -1, asked: 0, place: null, printing: 0,

  names() { return ["rank", "node", "label", "logo", ...A.columns.map((c) => c.name).filter((n) => n !== "rank" && n !== "node")]; },
  shown() { return this.state.cols ?? USUAL.filter((name) => MADE[name] || (A.column[name] && this.hasValues(name))); },
  hasValues(name) { return !["stability"].includes(name) || A.column[name].values.some((x) => x === x); },
  column(name) { return MADE[name] ?? A.column[name]; },

  /** Takes a new state from the address and shows it. */
  async set(state) {
    const cols = state.cols?.filter((name) => this.column(name));
    this.state = { ...state, cols: cols?.length ? cols : null };
    if (!this.column(this.state.sort)) this.state.sort = "rank";
    document.getElementById("q").value = state.q;
    this.drawHead();
    await this.apply();
  },

  /** Changes part of the state: address, rows, everything that follows. */
  async change(part) {
    this.state = { ...this.state, ...part };
    writeTableHash();
    if ("sort" in part || "cols" in part) this.drawHead();
    await this.apply();
  },

  async apply() {
    const asked = ++this.asked, { q, filters } = this.state;
    const place = await this.findPlace(q);
    if (asked !== this.asked) return; // a later key was pressed meanwhile
    this.place = place;
    const mask = place?.mask?.slice() ?? new Uint8Array(A.n_nodes).fill(1), unread = new Set();
    for (const [name, text] of Object.entries(filters)) if (!applyFilter(mask, name, text)) unread.add(name);
    if (!place?.mask) applyText(mask, q);
    let n = 0;
    const rows = new Uint32Array(A.n_nodes);
    for (let row = 0; row < mask.length; row++) if (mask[row]) rows[n++] = row;
    this.view = sortRows(rows.subarray(0, n), this.state.sort, this.state.down);
    this.mask = mask;
    this.current = -1;
    this.scroller.scrollTop = 0;
    for (const input of this.head.querySelectorAll("input, select")) input.setAttribute("aria-invalid", unread.has(input.dataset.name));
    this.redraw();
    this.drawBar(unread);
    map.paint();
  },

  /** What a query for a place or a gene finds; null where it is no such query. */
  async findPlace(q) {
    const locus = parseLocus(q), named = /^gene:/i.test(q);
    if (!locus && !(A.has_genes && /^\S{2,}$/.test(q))) return locus || named ? { note: "This atlas holds no genes." } : null;
    try {
      const place = locus ?? await findGene(q);
      if (!place) return named ? { note: `No gene of that name.`, mask: new Uint8Array(A.n_nodes) } : null;
      if (!locus && !named) return { note: "", gene: place };
      if (!A.loci) return { note: "This run has no coordinates: places cannot be searched.", mask: new Uint8Array(A.n_nodes) };
      return { note: `with a top window in ${place.text}`, mask: await rowsAt(place) };
    } catch (error) {
      warn(error.message);
      return { note: error.message, mask: new Uint8Array(A.n_nodes) };
    }
  },

  build() {
    this.scroller = document.getElementById("scroller");
    this.bar = document.getElementById("bar");
    this.head = el("thead");
    this.columns = el("colgroup");
    this.above = el("tr", { "aria-hidden": true }, el("td"));
    this.below = el("tr", { "aria-hidden": true }, el("td"));
    this.body = el("tbody", null, this.above, this.below);
    this.element = el("table.nodes", null, el("caption.unseen", null, "All nodes"), this.columns, this.head, this.body);
    this.scroller.append(this.element);
    this.scroller.addEventListener("scroll", () => this.draw(), { passive: true });
    this.scroller.addEventListener("keydown", (event) => this.key(event));
    addEventListener("resize", () => this.draw());
    addEventListener("beforeprint", () => { this.printing = PRINTED_ROWS; this.draw(); });
    addEventListener("afterprint", () => { this.printing = 0; this.draw(); });
  },

  width(name) {
    const { type, words: texts } = this.column(name);
    const fixed = { rank: 58, node: 78, label: 130, logo: 130, consensus: 150, target_name: 150, explained_by: 150, best_motif_id: 120 }[name];
    if (fixed || type !== "string") return fixed ?? Math.max(78, 10 + 7.4 * Math.max(...words(SHORT[name] ?? name).split(" ").map((w) => w.length)));
    return Math.min(220, 84 + 4 * Math.max(0, ...texts.slice(0, 500).map((word) => word.length - 8)));
  },

  drawHead() {
    const names = this.shown(), { sort, down, filters } = this.state;
    const widths = names.map((name) => this.width(name));
    this.columns.replaceChildren(...widths.map((w) => el("col", { width: w })));
    this.element.style.width = `${widths.reduce((a, b) => a + b, 0)}px`;
    const heads = names.map((name) => {
      const { type, text, unit } = this.column(name);
      const title = `${name}: ${text ?? ""}${unit ? ` [${unit}]` : ""}`;
      const mark = name === sort ? (down ? " ↓" : " ↑") : "";
      const sorted = name === sort ? (down ? "descending" : "ascending") : null;
      return el(`th.${type}`, { scope: "col", "aria-sort": sorted, title }, type === "logo" ? "logo"
        : button(words(SHORT[name] ?? name) + mark, () => this.sortBy(name), { "data-sort": name }));
    });
    const inputs = names.map((name) => el("td", null, this.filterInput(name, filters[name] ?? "")));
    this.head.replaceChildren(el("tr", null, heads), el("tr.filters", null, inputs));
  },

  filterInput(name, text) {
    const { type } = this.column(name), more = { "data-name": name, "aria-label": `Filter ${words(name)}` };
    const take = (event) => this.filter(name, event.target.value);
    if (type === "logo") return null;
    if (type === "boolean") {
      return el("select", { ...more, onchange: take }, ["", "yes", "no", "missing"].map((x) => el("option", { value: x, selected: x === text }, x)));
    }
    const hint = HOW[type === "string" ? "string" : "number"];
    return el("input", { ...more, value: text, oninput: take, title: hint, placeholder: type === "string" ? "" : "> <", autocomplete: "off" });
  },

  sortBy(name) {
    const again = this.state.sort === name;
    this.change({ sort: name, down: again ? !this.state.down : false }).then(() =>
      this.head.querySelector(`[data-sort="${CSS.escape(name)}"]`)?.focus());
  },

  filter(name, text) {
    const { [name]: _, ...filters } = this.state.filters;
    this.change({ filters: text.trim() ? { ...filters, [name]: text } : filters });
  },

  drawBar(unread) {
    const { filters } = this.state, n = this.view.length, place = this.place;
    const count = el("output", { id: "count" }, `${n} of ${A.n_nodes} nodes`, place?.note ? ` ${place.note}` : "");
    const chips = Object.entries(filters).map(([name, text]) => el(unread.has(name) ? "span.chip.bad" : "span.chip", null,
      unread.has(name) ? `${words(name)}: cannot read “${text}”` : `${words(name)} ${text}`,
      button("×", () => { this.filter(name, ""); this.drawHead(); }, { "aria-label": `Drop the filter on ${words(name)}` })));
    const gene = place?.gene && button(`${place.gene.text}: nodes with a window there`, () => {
      document.getElementById("q").value = `gene:${this.state.q}`;
      this.change({ q: `gene:${this.state.q}` });
    });
    const clear = (chips.length || this.state.q) && button("Clear", () => {
      this.set({ ...this.state, q: "", filters: {} });
      writeTableHash();
    });
    this.status ??= el("div.status");
    this.status.replaceChildren(...[count, gene, ...chips, clear].filter(Boolean));
    if (!this.bar.children.length) this.bar.append(this.status, this.chooser(), this.fileMenu());
    document.getElementById("empty")?.remove();
    if (!n) this.scroller.append(el("p", { id: "empty" }, A.n_nodes ? "No node fits." : "This run has no kept node: none passed the filters of the config."));
  },

  chooser() {
    const list = el("div.menu", { role: "group", "aria-label": "Columns" });
    const boxes = () => list.replaceChildren(el("p", null, button("All", () => this.change({ cols: this.names() }).then(boxes)),
      button("Usual", () => this.change({ cols: null }).then(boxes))), ...this.names().map((name) => {
      const take = (event) => {
        const wanted = new Set(this.shown());
        wanted[event.target.checked ? "add" : "delete"](name);
        this.change({ cols: this.names().filter((x) => wanted.has(x)) });
      };
      return el("label", { title: this.column(name).text }, el("input", { type: "checkbox", checked: this.shown().includes(name), onchange: take }), words(name));
    }));
    return el("details", { ontoggle: boxes }, el("summary", null, "Columns"), list);
  },

  fileMenu() {
    const file = el("input", { type: "file", accept: ".tsv,.txt", "aria-label": "Import labels from a TSV", onchange: async (event) => {
      const [chosen] = event.target.files;
      if (chosen) importLabels(await chosen.text());
      event.target.value = "";
    } });
    return el("details", null, el("summary", null, "Files"), el("div.menu", null,
      button("This table as shown, TSV", () => this.saveView()), button("Export my labels, TSV", exportLabels),
      el("label", null, "Import labels: ", file), el("hr"), downloads()));
  },

  saveView() {
    const names = this.names().filter((name) => name !== "logo");
    const cell = (name, row) => (name === "label" ? labels.get(value("node", row)) : value(name, row)) ?? "";
    const text = (x) => (typeof x === "number" ? exact(x) : String(x).replace(/[\t\r\n]+/g, " "));
    const rows = Array.from(this.view, (row) => names.map((name) => text(cell(name, row))).join("\t"));
    save("nodes_shown.tsv", `${[names.join("\t"), ...rows].join("\n")}\n`);
  },

  cell(name, row) {
    if (name === "node") return el("td.node", null, el("a", { href: `#n=${value("node", row)}` }, `n${value("node", row)}`));
    if (name === "label") return el("td.mine", null, labels.get(value("node", row)) ?? "");
    if (name === "logo") return el("td", null, rowLogo(row));
    const x = value(name, row), { type } = A.column[name];
    if (type !== "string") return el("td.num", { title: exact(x) }, num(x));
    const kind = name === "explained_by" && x ? `td.kind.${x.split(/[: ]/)[0]}` : name.includes("consensus") ? "td.bases" : "td";
    return el(kind, { title: x }, x ?? "–");
  },

  row(i) {
    const row = this.view[i], weak = value("motif_significant", row) !== true && !labels.has(value("node", row));
    return el("tr", { class: weak ? "weak" : null, "aria-rowindex": i + 3 }, this.shown().map((name) => this.cell(name, row)));
  },

  redraw() {
    for (const tr of this.live.values()) tr.remove();
    this.live.clear();
    this.element.setAttribute("aria-rowcount", this.view.length + 2);
    this.draw();
  },

  draw() {
    const n = this.view.length, top = this.scroller.scrollTop;
    const first = this.printing ? 0 : Math.max(0, Math.min(n, Math.floor(top / ROW)) - SPARE);
    const last = Math.min(n, this.printing || Math.ceil((top + this.scroller.clientHeight) / ROW) + SPARE);
    for (const [i, tr] of this.live) {
      if (i >= first && i < last) continue;
      if (tr.contains(document.activeElement)) this.scroller.focus({ preventScroll: true });
      tr.remove();
      this.live.delete(i);
    }
    let next = this.above.nextSibling;
    for (let i = first; i < last; i++) {
      const there = this.live.get(i);
      if (there) next = there.nextSibling;
      else this.live.set(i, this.body.insertBefore(this.row(i), next));
    }
    this.above.firstChild.style.height = `${first * ROW}px`;
    this.below.firstChild.style.height = `${this.printing ? 0 : (n - last) * ROW}px`;
  },

  /** Up and down move from node to node, Enter follows the link in focus. */
  key(event) {
    const step = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1 }[event.key];
    if (!step || event.ctrlKey || event.metaKey || event.altKey || /INPUT|SELECT/.test(event.target.tagName) || !this.view.length) return;
    event.preventDefault();
    this.go(Math.max(0, Math.min(this.view.length - 1, this.current + step)));
  },

  go(i) {
    const y = i * ROW, room = this.scroller.clientHeight - this.head.offsetHeight, top = this.scroller.scrollTop;
    this.current = i;
    if (y < top) this.scroller.scrollTop = y;
    else if (y + ROW > top + room) this.scroller.scrollTop = y + ROW - room;
    this.draw();
    this.live.get(i)?.querySelector("a")?.focus({ preventScroll: true });
  },

  /** Labels were changed: rows and the order by label follow. */
  changed() {
    if (this.element) this.apply();
  },
};
