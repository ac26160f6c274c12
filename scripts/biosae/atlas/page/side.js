"use strict";
// Beside the table: the map of nodes, the score of the run and its nulls, the training curve, limits.

const MAPS = { umap: ["umap1", "umap2", "decoder directions"], coact: ["coact1", "coact2", "co-activation"] };
const NEAR = 9; // px at which a pointer finds a point
const BUCKETS = 48;

const map = {
  kind: "umap", by: "explained_by", points: [],

  build() {
    const names = A.columns.map((column) => column.name);
    if (!A.column[this.by]) this.by = "mean_act";
    this.canvas = el("canvas", { role: "img", "aria-label": "Map of the nodes; the table holds the same nodes" });
    this.tip = el("div.tip", { hidden: true });
    this.legend = el("p.legend");
    this.byBox = el("select", { onchange: (e) => this.set({ by: e.target.value }, true) }, names.map((n) => el("option", { value: n }, words(n))));
    this.kindBox = el("select", { onchange: (e) => this.set({ kind: e.target.value }, true) },
      Object.entries(MAPS).filter(([, [x]]) => A.column[x]).map(([k, [, , text]]) => el("option", { value: k }, text)));
    const on = (type, act) => this.canvas.addEventListener(type, act);
    on("pointermove", (e) => this.hover(e));
    on("pointerleave", () => { this.tip.hidden = true; });
    on("pointerdown", (e) => { this.from = [e.offsetX, e.offsetY]; this.canvas.setPointerCapture(e.pointerId); });
    on("pointerup", (e) => this.release(e));
    addEventListener("resize", () => this.paint());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.paint());
    return el("section", null, el("h2", null, "Map"), el("p.controls", null, el("label", null, "of ", this.kindBox), el("label", null, "coloured by ", this.byBox)),
      el("div.map", null, this.canvas, this.tip), this.legend, el("p.note", null, "Click a point to open its node; drag a box to filter the table."));
  },

  set({ kind, by }, write) {
    if (MAPS[kind]) this.kind = kind;
    if (A.column[by]) this.by = by;
    this.kindBox.value = this.kind;
    this.byBox.value = this.by;
    if (write) writeTableHash();
    this.paint();
  },

  /** Bucket of each row (−1: missing) and the colours and words of the legend. */
  scale() {
    const { type, words: texts, get } = A.column[this.by], css = getComputedStyle(document.documentElement);
    const all = Array.from({ length: A.n_nodes }, (_, row) => get(row)), there = all.filter((x) => x !== null);
    const counts = new Map();
    for (const x of there) counts.set(x, (counts.get(x) ?? 0) + 1);
    if (type === "string" || type === "boolean" || (this.by === "cluster" && counts.size <= 60)) {
      const common = [...counts].sort((a, b) => b[1] - a[1]).slice(0, this.by === "cluster" ? 60 : 8).map(([x]) => x);
      const at = new Map(common.map((x, i) => [x, i])), dark = matchMedia("(prefers-color-scheme: dark)").matches;
      const colours = common.map((_, i) => `hsl(${(212 + i * 137.5) % 360} 60% ${dark ? 66 : 44}%)`);
      const more = counts.size > common.length ? `; ${counts.size - common.length} others grey` : "";
      return { bucket: all.map((x) => at.get(x) ?? -1), colours, names: common.slice(0, 8).map((x) => num(x)), more };
    }
    const low = there.reduce((a, b) => Math.min(a, b), Infinity), high = there.reduce((a, b) => Math.max(a, b), -Infinity);
    const log = low > 0 && high > 1000 * low, f = log ? Math.log10 : (x) => x, ramp = [0, 1, 2].map((i) => css.getPropertyValue(`--ramp${i}`).split(" ").map(Number));
    const colours = Array.from({ length: BUCKETS }, (_, i) => {
      const t = 2 * i / (BUCKETS - 1), k = Math.min(1, Math.floor(t));
      return `rgb(${ramp[k].map((c, j) => Math.round(c + (t - k) * (ramp[k + 1][j] - c))).join(" ")})`;
    });
    const bucket = all.map((x) => (x === null ? -1 : Math.floor((BUCKETS - 1) * (f(x) - f(low)) / (f(high) - f(low) || 1))));
    return { bucket, colours, range: there.length ? [low, high, log ? " (log)" : ""] : null };
  },

  paint() {
    const size = this.canvas?.clientWidth;
    if (!size) return;
    const ratio = devicePixelRatio || 1, [xs, ys] = MAPS[this.kind].map((name) => A.column[name]), ctx = this.canvas.getContext("2d");
    this.canvas.width = this.canvas.height = size * ratio;
    ctx.scale(ratio, ratio);
    const range = (c) => { let a = Infinity, b = -Infinity; for (const x of c?.values ?? []) { if (x < a) a = x; if (x > b) b = x; } return [a, b]; };
    const [x0, x1] = range(xs), [y0, y1] = range(ys), scale = this.scale();
    this.box = [x0, (x1 - x0 || 1) / (size - 16), y0, (y1 - y0 || 1) / (size - 16), size];
    this.points = [];
    const d = A.n_nodes > 5000 ? 2 : A.n_nodes > 800 ? 3.5 : 5, groups = scale.colours.map(() => []), pale = [];
    if (x0 <= x1) for (let row = 0; row < A.n_nodes; row++) {
      const x = 8 + (xs.values[row] - x0) / this.box[1], y = size - 8 - (ys.values[row] - y0) / this.box[3];
      if (x !== x || y !== y) continue;
      const fits = table.mask?.[row] !== 0;
      if (fits) this.points.push([x, y, row]);
      (fits && scale.bucket[row] >= 0 ? groups[scale.bucket[row]] : pale).push(x, y, fits);
    }
    const dots = (list) => { for (let i = 0; i < list.length; i += 3) ctx.fillRect(list[i] - d / 2, list[i + 1] - d / 2, d, d); };
    ctx.fillStyle = getComputedStyle(document.documentElement).getPropertyValue("--line");
    dots(pale);
    groups.forEach((list, i) => { ctx.fillStyle = scale.colours[i]; dots(list); });
    const swatch = (i) => { const s = el("i"); s.style.background = scale.colours[i]; return s; };
    this.legend.replaceChildren(...(x0 > x1 ? ["No map: too few nodes were left for one."] : scale.range ? [num(scale.range[0]), ...Array.from({ length: 12 }, (_, i) => swatch(i * 4)), num(scale.range[1]), scale.range[2]]
      : scale.names ? [...scale.names.flatMap((name, i) => [swatch(i), `${name} `]), scale.more] : ["No values."]));
  },

  nearest(x, y) {
    let best = null, least = NEAR ** 2;
    for (const point of this.points) {
      const far = (point[0] - x) ** 2 + (point[1] - y) ** 2;
      if (far < least) [best, least] = [point, far];
    }
    return best;
  },

  hover(event) {
    const found = this.nearest(event.offsetX, event.offsetY);
    this.tip.hidden = !found;
    this.canvas.style.cursor = found ? "pointer" : "crosshair";
    if (!found) return;
    const [x, y, row] = found, right = x > this.box[4] / 2;
    this.tip.style.cssText = `top:${y + 10}px;${right ? "right" : "left"}:${right ? this.box[4] - x : x}px`;
    this.tip.replaceChildren(el("b", null, nodeName(row)), el("br"), `${words(this.by)} ${num(value(this.by, row))}`, rowLogo(row) ?? "");
  },

  release(event) {
    const [x0, y0] = this.from ?? [], [x, y] = [event.offsetX, event.offsetY], [ax, sx, ay, sy, size] = this.box;
    if (Math.hypot(x - x0, y - y0) < 5) {
      const found = this.nearest(x, y);
      if (found) location.hash = `n=${value("node", found[2])}`;
      return;
    }
    const between = (a, b) => `${Math.min(a, b).toFixed(4)}..${Math.max(a, b).toFixed(4)}`, [nx, ny] = MAPS[this.kind];
    const u = (p) => ax + (p - 8) * sx, v = (p) => ay + (size - 8 - p) * sy;
    table.change({ filters: { ...table.state.filters, [nx]: between(u(x0), u(x)), [ny]: between(v(y0), v(y)) } }).then(() => table.drawHead());
  },
};

/** Flat list of the values of a nested object. */
function flat(object, before = "") {
  return Object.entries(object ?? {}).flatMap(([key, x]) => (x !== null && typeof x === "object"
    ? Array.isArray(x) ? [[before + key, x.length > 8 ? `${x.length} values` : x.map((y) => num(y)).join(", ")]] : flat(x, `${before}${key}.`)
    : [[before + key, x]]));
}
function list(object, caption) { return grid(["what", "value"], flat(object).map(([key, x]) => [words(key), x]), caption); }
function folded(title, ...children) { return el("details", null, el("summary", null, title), ...children); }

function score() {
  const board = A.scoreboard.map((r) => Object.assign([words(r.figure), r.value, r.best_null ? el("td.num", null, `${num(r.null_value)} `, el("small", null, r.best_null)) : null,
    el("td.num", null, num(r.difference), r.ci_low === null ? "" : el("small", null, ` [${num(r.ci_low)}, ${num(r.ci_high)}]`))], { weak: !(r.ci_low > 0) }));
  const nulls = A.nulls.map((r) => Object.assign([words(r.filter), r.null, r.nodes_passing, r.null_expected], { weak: r.nodes_passing <= r.null_expected }));
  return el("section", null, el("h2", null, "Score and nulls"),
    board.length ? [grid(["figure", "run", "best null", "difference at equal nodes [95 %]"], board, "Score of the run beside its best null"), tsvButton("scoreboard.tsv", A.scoreboard)]
      : el("p.note", null, "No scoreboard row: this run is a null itself, or was not compared."),
    nulls.length ? [el("h3", null, "Null sets"), grid(["filter", "null sets", "nodes that pass", "as many sets by chance"], nulls, "Nodes that pass and null sets that do"), tsvButton("null_counts.tsv", A.nulls)]
      : el("p.note", null, "No null sets were made: significant means the tools' own tests alone."),
    folded("Evaluation", list(A.evaluation, "Evaluation")), A.recovery && folded("Recovery of the planted truth", list(A.recovery, "Recovery")));
}

function training() {
  const names = Object.keys(A.curve[0] ?? {}).filter((name) => !["step", "positions", "epoch"].includes(name));
  if (A.curve.length < 2) return el("section", null, el("h2", null, "Training"), el("p.note", null, "This dictionary was not trained here."));
  const holder = el("div"), draw = (what) => {
    const series = what === "fvu" ? ["validation_fvu", "train_fvu"] : [what];
    holder.replaceChildren(lines(series.filter((n) => names.includes(n)).map((name) => ({ name: words(name),
      points: A.curve.filter((r) => r[name] !== null && r[name] !== undefined).map((r) => [r.positions, r[name]]) })), "training positions"));
  };
  draw("fvu");
  return el("section", null, el("h2", null, "Training"), el("p.controls", null, el("label", null, "curve of ", el("select", { onchange: (e) => draw(e.target.value) },
    ["fvu", ...names].map((name) => el("option", { value: name }, name === "fvu" ? "FVU, validation and training" : words(name))))), tsvButton("training_curve.tsv", A.curve)), holder);
}

function downloads() {
  return el("ul", null, A.downloads.map(({ path, text, bytes }) => el("li", null,
    /^files\/[\w./-]+$/.test(path) ? el("a", { href: path, download: true }, path.slice(6)) : path, ` ${text} (${num(bytes / 1e6, 2)} MB)`)));
}

function about() {
  return el("section", null, el("h2", null, "Limits"), el("ul", null, A.limits.map((text) => el("li", null, text))),
    Object.keys(A.counts).length ? folded("Left out of the atlas", list(A.counts, "Left out")) : null,
    folded("About this run", list({ ...A.settings, window_bp: A.window_bp, stride_bp: A.stride_bp, assembly: A.assembly, atlas: A.atlas, ...A.made_by }, "Settings")),
    folded("Keys and filters", el("ul", null, ["/ search; ↑ ↓ or k j: node by node; Enter opens it", "on a node ← →: the one before and after, in the table's order; Esc: back to the table",
      "filters of numbers: >0.1, <1e-3, 0.1..0.5, =2, missing; several after a space must all hold", "filters of text: part of it, =exact, !not, a|b, missing", "gene:NAME or chr1:1000-2000: nodes with a window of their top examples there"]
      .map((text) => el("li", null, text)))));
}
