"use strict";
// Beside the table: the score of the run and its nulls, training, limits.

/** Names and values of a nested object, one table. */
function list(object, caption) {
  const flat = (x, before) =>
    Object.entries(x ?? {}).flatMap(([key, y]) =>
      y && typeof y === "object" && !Array.isArray(y)
        ? flat(y, `${before}${key} `)
        : [
            [
              words(before + key),
              Array.isArray(y) ? (y.length > 8 ? `${y.length} values` : y.map(z => num(z)).join(", ")) : y
            ]
          ]
    );
  return folded(caption, grid(["what", "value"], flat(object, ""), caption));
}
const greyIf = (weak, row) => Object.assign(row, { weak });

function score() {
  const board = A.scoreboard.map(r =>
      greyIf(!(r.ci_low > 0), [
        words(r.figure),
        r.value,
        h("td.num", num(r.null_value), h("small", " " + `${r.best_null ?? ""}`.split("-")[0])),
        h("td.num", num(r.difference), h("small", r.ci_low === null ? "" : ` [${num(r.ci_low)}, ${num(r.ci_high)}]`))
      ])
    ),
    nulls = A.nulls.map(r =>
      greyIf(r.nodes_passing <= r.null_expected, [words(r.filter), r.null, r.nodes_passing, r.null_expected])
    );
  return section(
    "Score and nulls",
    board.length
      ? [
          grid(
            ["figure", "run", "best null", "difference [95 %]"],
            board,
            "Score"
          ),
          tsvButton("scoreboard.tsv", () => A.scoreboard)
        ]
      : note("No scoreboard row: a null itself, or compared with none."),
    nulls.length
      ? [
          grid(["filter", "null sets", "nodes that pass", "by chance"], nulls, "Null sets"),
          tsvButton("null_counts.tsv", () => A.nulls)
        ]
      : note("No null sets were made."),
    list(A.evaluation, "Evaluation"),
    A.recovery && list(A.recovery, "Recovery of the planted truth")
  );
}

function training() {
  const names = Object.keys(A.curve[0] ?? {}).filter(name => !/^(step|positions|epoch)$/.test(name)),
    holder = h("div");
  if (A.curve.length < 2) return section("Training", note("This dictionary was not trained here."));
  const draw = what =>
    holder.replaceChildren(
      lines(
        names
          .filter(name => (what === "fvu" ? /^(validation|train)_fvu$/.test(name) : name === what))
          .map(name => ({
            name: words(name),
            points: A.curve.filter(r => r[name] !== null).map(r => [r.positions, r[name]])
          })),
        "training positions"
      )
    );
  draw("fvu");
  return section(
    "Training",
    h(
      "p.controls",
      h(
        "label",
        "curve of ",
        h(
          "select",
          { onchange: event => draw(event.target.value) },
          ["fvu", ...names].map(value => h("option", { value }, words(value)))
        )
      ),
      tsvButton("training_curve.tsv", () => A.curve)
    ),
    holder
  );
}

function about() {
  const bullets = texts =>
      h(
        "ul",
        texts.map(text => h("li", text))
      ),
    { settings, window_bp, stride_bp, assembly, made_by, atlas: build } = A;
  return section(
    "Limits",
    bullets(A.limits),
    list(A.counts, "Left out of the atlas"),
    list({ ...settings, window_bp, stride_bp, assembly, build, ...made_by }, "About this run"),
    folded(
      "Keys and filters",
      bullets([
        "/ search; ↑ ↓ Enter a node of the table; ← → the nodes beside it; Esc back",
        `numbers: ${HINTS.number}`,
        `text: ${HINTS.string}`,
        "search: words, n127, gene:NAME, chr1:1000-2000 (a window of the top examples there)"
      ])
    )
  );
}
