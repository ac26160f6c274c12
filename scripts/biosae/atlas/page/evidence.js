"use strict";
// The rest of a node's page: its figures beside those of the run, histogram, enrichments, neighbours.

const SIMILAR = { decoder: "decoder cosine", coactivation: "co-activation cosine", jaccard: "Jaccard of loci" };

/** Share of the kept nodes with a smaller value. */
function quantile(name, x) {
  let less = 0, n = 0;
  for (const y of A.column[name].values) if (y === y) { n++; less += y < x; }
  return n ? less / n : null;
}

function factsView(node) {
  const names = ["max_act", "mean_act", "n_seqlets", "n_sequences", "seqlets_with_motif", "hits_fired", "motif_auroc", "stability", "cluster"];
  const title = { seqlets_with_motif: "recall of the motif", hits_fired: "precision", motif_auroc: "AUROC", n_seqlets: "seqlets", n_sequences: "sequences" };
  return el("dl.figures", null, names.filter((name) => value(name, node.row) !== null).map((name) =>
    el("div", { title: A.column[name].text }, el("dt", null, title[name] ?? words(name)), el("dd", null, num(value(name, node.row))))));
}

/** A share of the node as a bar, with a mark where the background (or the median node) lies. */
function against(name, x, mark, what, top) {
  if (x === null) return null;
  const at = (v) => Math.min(100, 100 * v / top);
  return el("li", null, el("span", null, name), svg("svg", { viewBox: "0 0 100 10", preserveAspectRatio: "none", role: "img", "aria-label": `${name} ${num(x)}, ${what} ${num(mark)}` },
    svg("rect.ground", { width: 100, height: 10 }), svg("rect.bar", { y: 2, width: at(x), height: 6 }), mark === null ? null : svg("rect.mark", { x: at(mark) - .4, width: .8, height: 10 })),
  el("span", null, num(x), el("small", null, mark === null ? "" : ` ${what} ${num(mark)}`)));
}

function shares(node) {
  const density = value("density", node.row), sorted = Array.from(A.column.density?.values ?? []).filter((x) => x === x).sort((a, b) => a - b), middle = sorted[sorted.length >> 1] ?? null;
  const gc = value("gc_share", node.row), repeat = value("repeat_share", node.row), ground = node.background ?? { gc_share: null, repeat_share: null };
  return el("ul.shares", null, against("density", density, middle, "median node", Math.max(density, middle) * 1.25), against("GC", gc, ground.gc_share, "background", 1),
    against("repeats", repeat, ground.repeat_share, "background", 1), el("li.note", null, density === null ? "" : `Denser than ${percent(quantile("density", density))} of the kept nodes.`));
}

/** Odds ratio and its interval on a logarithmic axis from 1/64 to 64. */
function forest({ odds_ratio, ci_low, ci_high }) {
  const x = (v) => Math.max(2, Math.min(118, 60 + 58 * Math.log2(v) / 6));
  return el("td", null, svg("svg.forest", { viewBox: "0 0 120 12", width: 120, height: 12, "aria-hidden": true }, svg("line", { x1: 60, x2: 60, y1: 0, y2: 12 }),
    svg("rect", { x: x(ci_low), width: Math.max(1, x(ci_high) - x(ci_low)), y: 5, height: 2 }), svg("circle", { cx: x(odds_ratio), cy: 6, r: 3.5 })), el("small", null, ` ${num(odds_ratio)} [${num(ci_low)}, ${num(ci_high)}]`));
}

function enrichments(title, rows, source, file) {
  if (!rows.length) return el("section", null, el("h2", null, title), el("p.note", null, "No rows for this node."));
  const sorted = rows.toSorted((a, b) => a.q_value - b.q_value || b.odds_ratio - a.odds_ratio);
  const cells = sorted.map((r) => Object.assign([`${r[source]}: ${r.class}`, el("td.num", null, `${percent(r.n_overlap / r.n_seqlets)} `, el("small", null, `of ${r.n_seqlets}`)),
    el("td.num", null, percent(r.n_background_overlap / r.n_background)), forest(r), el("td.num", null, num(r.q_value, 2))], { weak: r.q_value >= .05 }));
  return el("section", null, el("h2", null, title, " ", tsvButton(file, rows)), grid(["class", "seqlets", "background", "odds ratio [95 %]", "q"], cells, title));
}

function neighbours(node) {
  return el("section", null, el("h2", null, "Neighbours"), el("div.neighbours", null, Object.entries(SIMILAR).map(([kind, title]) => {
    const found = node.neighbours?.[kind] ?? [];
    return el("div", null, el("h3", null, title), found.length ? el("ol", null, found.map(([row, x]) => el("li", null, el("span.num", null, num(x)), nodeLink(row), rowLogo(row, 20) ?? "",
      el("a.small", { href: `#cmp=${node.node},${value("node", row)}`, title: "Side by side", "aria-label": `Compare with ${nodeName(row)}` }, "compare")))) : el("p.note", null, "None known."));
  })));
}

function evidence(node) {
  const all = A.columns.map((c) => [words(c.name), el("td.num", { "data-column": c.name }, exact(c.get(node.row))), el("small", null, c.text ?? "", c.unit ? ` [${c.unit}]` : "")]);
  return [el("div.split", null, el("section", null, el("h2", null, "Activations of the whole stream"), node.histogram ? [histogram(node.histogram), tsvButton(`n${node.node}_histogram.tsv`,
    node.histogram.counts.map((count, i) => ({ from: node.histogram.edges[i], to: node.histogram.edges[i + 1], count })))] : el("p.note", null, "No histogram was kept.")),
  el("section", null, el("h2", null, "Against the background"), shares(node))),
  neighbours(node), enrichments("Annotations", node.overlaps, "annotation", `n${node.node}_overlaps.tsv`), enrichments("Repeats", node.repeats, "source", `n${node.node}_repeats.tsv`),
  el("details.everything", null, el("summary", null, "Every column of nodes.tsv and umap.tsv"), grid(["column", "value", "meaning"], all, "Every column"))];
}
