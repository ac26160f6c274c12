"use strict";
// The table of all nodes: only the rows in sight are in the document.

const ROW = 30,
  SPARE = 6,
  PRINTED = 1000; // px a row; rows drawn beyond the edges of sight; rows on paper at most
const USUAL =
  "rank node label logo target_name match_q_value explained_by n_seqlets mean_act density seqlets_with_motif hits_fired repeat_share cluster stability consensus".split(
    " "
  );
const SHORT = {
  target_name: "match",
  match_q_value: "q",
  seqlets_with_motif: "recall",
  hits_fired: "precision",
  mean_act: "mean",
  n_seqlets: "seqlets",
  repeat_share: "repeats"
};
const WIDTHS = { rank: 62, label: 120, logo: 126, consensus: 150, target_name: 150, explained_by: 165 };
const table = {
  state: {},
  view: new Uint32Array(0),
  live: new Map(),
  current: -1,
  asked: 0,
  printing: 0,

  names() {
    return [
      "rank",
      "node",
      "label",
      "logo",
      ...A.columns.map(c => c.name).filter(name => name !== "rank" && name !== "node")
    ];
  },
  usual() {
    this.filled ??= USUAL.filter(name => A.column[name]?.values?.some((_, row) => value(name, row) !== null));
    return USUAL.filter(name => (name === "label" ? labels.size : name === "logo" || this.filled.includes(name)));
  },
  shown() {
    return this.state.cols ?? this.usual();
  },
  title(name) {
    return words(SHORT[name] ?? name);
  },

  build() {
    this.scroller = $("scroller");
    this.head = h("thead");
    this.columns = h("colgroup");
    [this.above, this.below] = [0, 1].map(() => h("tr", { "aria-hidden": "true" }, h("td")));
    this.body = h("tbody", this.above, this.below);
    this.element = h("table.nodes", h("caption.unseen", "All nodes"), this.columns, this.head, this.body);
    this.status = h("div.status");
    this.scroller.prepend(this.element);
    $("bar").append(this.status, this.chooser(), this.files());
    this.scroller.addEventListener("scroll", () => this.draw(), { passive: true });
    this.scroller.addEventListener("keydown", event => this.key(event));
    addEventListener("resize", () => this.draw());
    for (const [type, rows] of [
      ["beforeprint", PRINTED],
      ["afterprint", 0]
    ])
      addEventListener(type, () => {
        this.printing = rows;
        this.draw();
      });
  },

  /** Takes a whole state {q, sort, down, filters, cols} and shows it. */
  set(state) {
    const cols = state.cols?.filter(name => A.column[name]);
    this.state = { ...state, cols: cols?.length ? cols : null, sort: A.column[state.sort] ? state.sort : "rank" };
    $("q").value = state.q;
    this.drawHead();
    return (this.settled = this.apply());
  },

  /** Changes part of the state; the address and the rows follow. */
  async change(part) {
    Object.assign(this.state, part);
    writeTableHash();
    if (!part.sort && !("cols" in part)) return (this.settled = this.apply());
    this.drawHead();
    return this.order();
  },

  async apply() {
    const asked = ++this.asked,
      { q, filters } = this.state,
      place = await findPlace(q);
    if (asked !== this.asked) return; // a later key was pressed meanwhile
    const mask = place?.mask ?? new Uint8Array(A.n_nodes).fill(1),
      unread = Object.keys(filters).filter(name => !applyFilter(mask, name, filters[name]));
    if (!place?.mask) applyText(mask, q);
    this.mask = mask;
    this.rows ??= Uint32Array.from(mask, (_, row) => row);
    for (const input of this.head.querySelectorAll("[data-name]"))
      input.setAttribute("aria-invalid", unread.includes(input.dataset.name));
    this.order();
    this.drawStatus(unread, place);
    map.paint();
  },

  /** Sorts the rows that fit and shows the first of them. */
  order() {
    const { sort, down } = this.state;
    this.view = sortRows(
      this.rows.filter(row => this.mask[row]),
      sort,
      down
    );
    this.current = -1;
    this.scroller.scrollTop = 0;
    for (const tr of this.live.values()) tr.remove();
    this.live.clear();
    this.element.setAttribute("aria-rowcount", this.view.length + 2);
    this.draw();
  },

  drawHead() {
    const names = this.shown(),
      { sort, down, filters } = this.state,
      widths = names.map(
        name =>
          WIDTHS[name] ??
          min(
            220,
            max(
              78,
              12 +
                7.6 *
                  max(
                    ...this.title(name)
                      .split(" ")
                      .map(word => word.length)
                  ),
              24 + 7.4 * max(0, ...(A.column[name].words ?? []).slice(0, 500).map(word => word.length))
            )
          )
      );
    this.columns.replaceChildren(...widths.map(width => h("col", { width })));
    this.element.style.width = `${widths.reduce((a, b) => a + b, 0)}px`;
    this.head.replaceChildren(
      h(
        "tr",
        names.map(name => {
          const { type, text, unit } = A.column[name],
            by = name === sort;
          return h(
            `th.${type}`,
            {
              scope: "col",
              "aria-sort": by && (down ? "descending" : "ascending"),
              title: `${name}: ${text}${bracket(unit)}`
            },
            type === "logo"
              ? name
              : button(this.title(name) + (by ? (down ? " ↓" : " ↑") : ""), () => this.sortBy(name), {
                  "data-sort": name
                })
          );
        })
      ),
      h(
        "tr.filters",
        names.map(name => h("td", this.filterBox(name, filters[name] ?? "")))
      )
    );
  },

  filterBox(name, text) {
    const { type } = A.column[name],
      take = event => this.filter(name, event.target.value),
      same = { "data-name": name, aria: `Filter ${words(name)}` };
    if (type === "logo") return null;
    if (type === "boolean")
      return h(
        "select",
        { ...same, onchange: take },
        ["", "yes", "no", "missing"].map(x => h("option", { value: x, selected: x === text }, x))
      );
    return h("input", {
      ...same,
      oninput: take,
      value: text,
      title: HINTS[type === "string" ? type : "number"],
      autocomplete: "off"
    });
  },

  async sortBy(name) {
    await this.change({ sort: name, down: this.state.sort === name && !this.state.down });
    this.head.querySelector(`[data-sort="${CSS.escape(name)}"]`).focus();
  },

  filter(name, text) {
    const { [name]: _, ...others } = this.state.filters;
    this.change({ filters: text.trim() ? { ...others, [name]: text } : others });
  },

  cell(name, row) {
    const x = value(name, row),
      node = value("node", row);
    if (name === "node") return h("td", h("a", { href: `#n=${node}` }, `n${node}`));
    if (name === "logo") return h("td", rowLogo(row));
    if (A.column[name].type !== "string") return h("td.num", { title: exact(x) }, num(x));
    if (name === "target_name" && !value("match_significant", row)) return h("td.weak", { title: x }, x ?? "–");
    return h(
      name === "explained_by" ? `td.kind.${x?.split(/[: ]/)[0]}` : name === "consensus" ? "td.bases" : "td",
      { title: x },
      x ?? "–"
    );
  },

  row(i, names) {
    const row = this.view[i],
      weak = !value("motif_significant", row) && !value("label", row);
    return h(
      weak ? "tr.weak" : "tr",
      { "aria-rowindex": i + 3 },
      names.map(name => this.cell(name, row))
    );
  },

  draw() {
    const n = this.view.length,
      names = this.shown(),
      { scrollTop, clientHeight } = this.scroller,
      first = this.printing ? 0 : max(0, min(n, floor(scrollTop / ROW)) - SPARE),
      last = min(n, this.printing || ceil((scrollTop + clientHeight) / ROW) + SPARE);
    for (const [i, tr] of this.live)
      if (i < first || i >= last) {
        if (tr.contains(document.activeElement)) this.scroller.focus({ preventScroll: true });
        tr.remove();
        this.live.delete(i);
      }
    let next = this.above.nextSibling;
    for (let i = first; i < last; i++) {
      if (this.live.has(i)) next = this.live.get(i).nextSibling;
      else this.live.set(i, this.body.insertBefore(this.row(i, names), next));
    }
    this.above.firstChild.style.height = `${first * ROW}px`;
    this.below.firstChild.style.height = `${this.printing ? 0 : (n - last) * ROW}px`;
  },

  /** Up and down go from node to node; Enter follows the link in focus. */
  key(event) {
    const step = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1 }[event.key];
    if (!step || !plain(event) || !this.view.length) return;
    event.preventDefault();
    this.go(max(0, min(this.view.length - 1, this.current + step)));
  },

  go(i) {
    const { scroller } = this,
      y = i * ROW,
      room = scroller.clientHeight - this.head.offsetHeight - ROW;
    this.current = i;
    scroller.scrollTop = min(y, max(y - room, scroller.scrollTop));
    this.draw();
    this.live.get(i)?.querySelector("a")?.focus({ preventScroll: true });
  }
};
