"use strict";
// The map of the nodes on a canvas, coloured by any column.

const MAPS = { umap: ["umap1", "umap2", "decoder directions"], coact: ["coact1", "coact2", "co-activation"] };
const NEAR = 9,
  BUCKETS = 48,
  NAMED = 8,
  EDGE = 8; // px to a point; colours of a scale; words with a colour; px
const style = name => getComputedStyle(document.documentElement).getPropertyValue(name);

const map = {
  kind: "umap",
  by: "explained_by",

  build() {
    const dark = matchMedia("(prefers-color-scheme: dark)"),
      take = key => ({
        onchange: event => {
          this.set({ [key]: event.target.value });
          writeTableHash();
        }
      });
    this.canvas = h("canvas", {
      role: "img",
      aria: "Map of the nodes",
      onpointermove: e => this.hover(e),
      onpointerleave: () => {
        this.tip.hidden = true;
      },
      onpointerdown: e => {
        this.from = [e.offsetX, e.offsetY];
        this.canvas.setPointerCapture(e.pointerId);
      },
      onpointerup: e => this.release(e)
    });
    this.tip = h("div.tip", { hidden: true });
    this.legend = h("p.legend");
    this.box = {
      kind: h(
        "select",
        take("kind"),
        Object.keys(MAPS).map(kind => h("option", { value: kind }, MAPS[kind][2]))
      ),
      by: h(
        "select",
        take("by"),
        A.columns.map(({ name }) => h("option", { value: name }, words(name)))
      )
    };
    for (const [target, type] of [
      [window, "resize"],
      [dark, "change"]
    ])
      target.addEventListener(type, () => this.paint());
    return section(
      "Map",
      h("p.controls", h("label", "of ", this.box.kind), h("label", "by ", this.box.by)),
      h("div.map", this.canvas, this.tip),
      this.legend,
      note("Click opens a node; a dragged box filters the table.")
    );
  },

  set({ kind = this.kind, by = this.by }) {
    this.box.kind.value = this.kind = MAPS[kind] ? kind : "umap";
    this.box.by.value = this.by = A.column[by] ? by : "mean_act";
    this.paint();
  },

  /** {bucket (a row, −1: missing), colours, legend}. */
  scale() {
    const { get, type } = A.column[this.by],
      all = Array.from({ length: A.n_nodes }, (_, row) => get(row)),
      counts = new Map(),
      paint = colour => {
        const i = h("i");
        i.style.background = colour;
        return i;
      };
    for (const x of all) if (x !== null) counts.set(x, (counts.get(x) ?? 0) + 1);
    if (!counts.size) return { bucket: all.map(() => -1), colours: [], legend: ["No values."] };
    if (type === "string" || type === "boolean" || this.by === "cluster") {
      const common = [...counts]
          .sort((a, b) => b[1] - a[1])
          .map(([x]) => x)
          .slice(0, type === "integer" ? 60 : NAMED),
        light = style("--light"),
        rest = counts.size - min(common.length, NAMED),
        colours = common.map((_, i) => `hsl(${(212 + i * 137.5) % 360} 60% ${light})`);
      return {
        bucket: all.map(x => common.indexOf(x)),
        colours,
        legend: [
          ...common.slice(0, NAMED).flatMap((x, i) => [paint(colours[i]), `${num(x)} `]),
          rest > 0 ? `and ${rest} more` : ""
        ]
      };
    }
    const [low, high] = range(counts.keys()),
      log = low > 0 && high > 1000 * low,
      f = log ? log10 : Number,
      ramp = [0, 1, 2].map(i => style(`--ramp${i}`).split(" ").map(Number)),
      colours = Array.from({ length: BUCKETS }, (_, i) => {
        const t = (2 * i) / (BUCKETS - 1),
          k = min(1, floor(t));
        return `rgb(${ramp[k].map((c, j) => round(c + (t - k) * (ramp[k + 1][j] - c))).join(" ")})`;
      });
    return {
      bucket: all.map(x => (x === null ? -1 : floor(((BUCKETS - 1) * (f(x) - f(low))) / (f(high) - f(low) || 1)))),
      colours,
      legend: [
        num(low),
        ...Array.from({ length: 12 }, (_, i) => paint(colours[4 * i])),
        num(high),
        log ? " (log)" : ""
      ]
    };
  },

  paint() {
    const size = this.canvas?.clientWidth,
      ratio = devicePixelRatio,
      ctx = this.canvas?.getContext("2d"),
      pale = style("--line"),
      key = this.by + pale;
    if (!size) return;
    this.canvas.width = this.canvas.height = size * ratio;
    ctx.scale(ratio, ratio);
    if (this.key !== key) Object.assign(this, { key, shades: this.scale() }); // columns do not change, the theme may
    const axes = MAPS[this.kind].slice(0, 2).map(name => {
        const values = A.column[name]?.values ?? [],
          [low, high] = range(values);
        return { values, low, step: (high - low || 1) / (size - 2 * EDGE) };
      }),
      [xs, ys] = axes,
      { bucket, colours, legend } = this.shades,
      groups = [...colours, pale].map(() => []),
      d = A.n_nodes > 5000 ? 2 : A.n_nodes > 800 ? 3.5 : 5,
      place = row => [EDGE + (xs.values[row] - xs.low) / xs.step, size - EDGE - (ys.values[row] - ys.low) / ys.step];
    Object.assign(this, { axes, size, place });
    for (let row = 0; row < xs.values.length; row++) groups.at(table.mask?.[row] ? bucket[row] : -1).push(row);
    for (const i of [colours.length, ...colours.keys()]) {
      // those that are filtered out lie below
      ctx.fillStyle = colours[i] ?? pale;
      for (const row of groups[i]) {
        const [x, y] = place(row);
        ctx.fillRect(x - d / 2, y - d / 2, d, d);
      }
    }
    this.legend.replaceChildren(...(xs.low === Infinity ? ["No map: too few nodes."] : legend));
  },

  /** Row of the node of the table under a pointer, null where there is none. */
  nearest({ offsetX, offsetY }) {
    let best = null,
      least = NEAR;
    for (const row of table.view) {
      const [x, y] = this.place(row),
        far = hypot(x - offsetX, y - offsetY);
      if (far < least) [best, least] = [row, far];
    }
    return best;
  },

  hover(event) {
    const row = this.nearest(event);
    this.tip.hidden = row === null;
    this.canvas.style.cursor = row === null ? "crosshair" : "pointer";
    if (row === null) return;
    const [x, y] = this.place(row),
      right = x > this.size / 2;
    this.tip.style.cssText = `top:${y + 10}px;${right ? "right" : "left"}:${right ? this.size - x : x}px`;
    this.tip.replaceChildren(
      h("b", nodeName(row)),
      h("br"),
      `${words(this.by)} ${num(value(this.by, row))}`,
      rowLogo(row) ?? ""
    );
  },

  release(event) {
    const {
        axes: [xs, ys],
        size,
        kind
      } = this,
      [x0, y0] = this.from,
      { offsetX: x, offsetY: y } = event,
      found = this.nearest(event);
    if (hypot(x - x0, y - y0) < 5) {
      if (found !== null) openNode(found);
      return;
    }
    const span = (low, step, ends) =>
      ends
        .sort((a, b) => a - b)
        .map(p => (low + (p - EDGE) * step).toFixed(4))
        .join("..");
    table
      .change({
        filters: {
          ...table.state.filters,
          [MAPS[kind][0]]: span(xs.low, xs.step, [x0, x]),
          [MAPS[kind][1]]: span(ys.low, ys.step, [size - y0, size - y])
        }
      })
      .then(() => table.drawHead());
  }
};
