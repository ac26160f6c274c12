"use strict";
// The rest of a node's page: figures, shares beside the background, enrichments, neighbours.

const SIMILAR = { decoder: "decoder cosine", coactivation: "co-activation cosine", jaccard: "Jaccard of loci" };
const FIGURES =
  "max_act mean_act n_seqlets n_sequences seqlets_with_motif hits_fired motif_auroc stability cluster".split(" ");

function figuresView(row) {
  const figure = name =>
    h("div", { title: A.column[name].text }, h("dt", table.title(name)), h("dd", num(value(name, row))));
  return h("dl.figures", FIGURES.filter(name => value(name, row) !== null).map(figure));
}

/** A share as a bar, with a mark where `ground` lies. */
function share(name, x, ground, what, top = 1) {
  const at = v => min(100, (100 * v) / top),
    text = ground === null ? "" : ` ${what} ${num(ground)}`;
  return (
    x !== null &&
    h(
      "li",
      h("span", name),
      s(
        "svg",
        { viewBox: "0 0 100 10", preserveAspectRatio: "none", role: "img", aria: `${name} ${num(x)}${text}` },
        s("rect.ground", { width: 100, height: 10 }),
        s("rect.bar", { y: 2, width: at(x), height: 6 }),
        ground !== null && s("rect.mark", { x: at(ground) - 0.4, width: 0.8, height: 10 })
      ),
      h("span", num(x), h("small", text))
    )
  );
}

function shares({ row, background: ground }) {
  if (A.middle === undefined) {
    const all = A.column.density.values.filter(x => x === x).sort();
    A.middle = all[all.length >> 1] ?? null;
  }
  const density = value("density", row),
    { middle } = A;
  return h(
    "ul.shares",
    share("density", density, middle, "median node", 1.25 * max(density, middle)),
    share("GC", value("gc_share", row), ground?.gc_share ?? null, "background"),
    share("repeats", value("repeat_share", row), ground?.repeat_share ?? null, "background")
  );
}

/** Odds ratio and its interval, drawn from 1/64 to 64 on a logarithmic axis. */
function forest({ odds_ratio: odds, ci_low: low, ci_high: high }) {
  const x = v => max(2, min(118, 60 + (58 * log2(v)) / 6));
  return h(
    "td",
    s(
      "svg.forest",
      { viewBox: "0 0 120 12", width: 120, height: 12, "aria-hidden": "true" },
      s("line", { x1: 60, x2: 60, y2: 12 }),
      s("rect", { x: x(low), width: max(1, x(high) - x(low)), y: 5, height: 2 }),
      s("circle", { cx: x(odds), cy: 6, r: 3.5 })
    ),
    h("small", ` ${num(odds)} [${num(low)}, ${num(high)}]`)
  );
}

function enrichments(title, rows, source, file) {
  const cells = [...rows]
    .sort((a, b) => a.q_value - b.q_value || b.odds_ratio - a.odds_ratio)
    .map(r =>
      greyIf(!(r.q_value < 0.05), [
        `${r[source]}: ${r.class}`,
        h("td.num", percent(r.n_overlap / r.n_seqlets), h("small", ` of ${r.n_seqlets}`)),
        h("td.num", percent(r.n_background_overlap / r.n_background)),
        forest(r),
        r.q_value
      ])
    );
  return section(
    title,
    rows.length
      ? [
          grid(["class", "seqlets", "background", "odds ratio [95 %]", "q"], cells, title),
          tsvButton(file, () => rows)
        ]
      : note("No rows for this node.")
  );
}

function neighbours({ node, neighbours: near }) {
  return section(
    "Neighbours",
    h(
      "div.neighbours",
      Object.entries(SIMILAR).map(([kind, title]) =>
        h(
          "div",
          h("h3", title),
          near[kind].length
            ? h(
                "ol",
                near[kind].map(([row, x]) =>
                  h(
                    "li",
                    h("span.num", num(x)),
                    nodeLink(row),
                    rowLogo(row, 20),
                    h(
                      "a.small",
                      { href: `#cmp=${node},${value("node", row)}`, aria: `Compare with ${nodeName(row)}` },
                      "compare"
                    )
                  )
                )
              )
            : note("None known.")
        )
      )
    )
  );
}

function evidence(node) {
  const { row, histogram: bins, overlaps, repeats } = node,
    file = what => `n${node.node}_${what}.tsv`;
  return [
    h(
      "div.split",
      section(
        "Activations, whole stream",
        bins
          ? [
              histogram(bins),
              tsvButton(file("histogram"), () =>
                bins.counts.map((count, i) => ({ from: bins.edges[i], to: bins.edges[i + 1], count }))
              )
            ]
          : note("No histogram.")
      ),
      section("Against the background", shares(node))
    ),
    neighbours(node),
    enrichments("Annotations", overlaps, "annotation", file("overlaps")),
    enrichments("Repeats", repeats, "source", file("repeats")),
    folded(
      "All columns",
      grid(
        ["column", "value", "meaning"],
        A.columns.map(({ name, get, text, unit }) => [
          words(name),
          h("td.num", { "data-column": name }, exact(get(row))),
          h("small", text, bracket(unit))
        ]),
        "Every column"
      )
    )
  ];
}
