"use strict";
// Elements, numbers as text, logos and small charts. Text of the data only ever becomes a text node or an attribute.

const $ = id => document.getElementById(id);

/** h("td.num", {title: "x"}, "text", element, …) makes an element: attributes if the first child is a plain object
 * ("on…": listeners), empty children are left out. s is the same for SVG. */
const maker =
  space =>
  (name, ...kids) => {
    const [tag, ...classes] = name.split("."),
      node = document.createElementNS("http://www.w3.org/" + space, tag);
    if (classes[0]) node.setAttribute("class", classes.join(" "));
    for (const [key, x] of Object.entries(kids[0]?.constructor === Object ? kids.shift() : {})) {
      if (key.startsWith("on")) node.addEventListener(key.slice(2), x);
      else if (x != null && x !== false) node.setAttribute(key === "aria" ? "aria-label" : key, x === true ? "" : x);
    }
    node.append(...kids.flat(3).filter(kid => kid || kid === 0));
    return node;
  };
const h = maker("1999/xhtml"),
  s = maker("2000/svg");
const note = (...kids) => h("p.note", ...kids);
const section = (title, ...kids) => h("section", h("h2", title), ...kids);
const folded = (title, ...kids) => h("details", h("summary", title), ...kids);
const button = (text, onclick, more) => h("button", { type: "button", onclick, ...more }, text);
const wide = (aria, ...kids) => h("div.wide", { tabindex: 0, role: "group", aria }, ...kids);

// ---- numbers

/** A number to `digits` significant digits, "–" where it is missing. */
function num(x, digits = 3) {
  if (x == null || x !== x) return "–"; // == null: undefined too
  if (typeof x !== "number") return { true: "yes", false: "no" }[x] ?? String(x);
  const size = abs(x);
  if (x === 0 || (Number.isInteger(x) && size < 1e9)) return String(x);
  if (size < 1e-3 || size >= 1e9) return x.toExponential(digits - 1).replace(/\.?0*e\+?/, "e");
  return size >= 10 ** (digits - 1) ? x.toFixed(size < 1000 ? 1 : 0) : x.toPrecision(digits);
}
const exact = x => (typeof x === "number" && !Number.isInteger(x) ? String(Number(x.toPrecision(7))) : num(x)); // all that 4 bytes hold
const percent = x => (x == null ? "–" : `${num(100 * x, 2).replace(/\.0$/, "")} %`);
/** An E-value; by its logarithm where a double cannot hold it. */
function tiny(x, log10) {
  if (x !== 0 || !log10) return num(x, 2);
  const power = floor(log10);
  return `${(10 ** (log10 - power)).toFixed(1)}e${power}`;
}
const bracket = unit => (unit ? ` [${unit}]` : "");
const words = name => name.replaceAll("_", " ");

// ---- logos: 100 units a column, 200 units a bit, one path a base

const BASES = "ACGT";
// outlines in a box of 100 x 100; "A30,36 1" is an arc of these radii, of more than half a turn, clockwise
const GLYPHS = [
  "M0,100L38,0 62,0 100,100 79,100 71,77 29,77 21,100ZM34,61L50,17 66,61Z",
  "M89,19A50,50 0 89,81L71,76A30,36 1 71,24Z",
  "M89,19A50,50 0 74,94L100,83 100,47 55,47 55,61 80,61 80,74 71,76A30,36 1 71,24Z",
  "M0,0L100,0 100,16 61,16 61,100 39,100 39,16 0,16Z"
];
function glyph(base, x, y, height) {
  return GLYPHS[base].replace(/(A?)(\d+),(\d+)/g, (_, arc, u, v) =>
    arc
      ? `A${u * 0.92} ${((v * height) / 100).toFixed(1)} 0 1`
      : `${round(x + 4 + u * 0.92)} ${round(y + (v * height) / 100)}`
  );
}

const reverseComplement = matrix => matrix.slice().reverse(); // turns the columns, and A C G T into T G C A
function consensus(matrix) {
  let text = "";
  for (let i = 0; i < matrix.length; i += 4) {
    const p = matrix.subarray(i, i + 4);
    text += BASES[p.indexOf(max(...p))];
  }
  return text;
}

/** SVG of a matrix (w × 4, probabilities times `unit`), heights in bits: p × (2 − entropy). */
function logo(matrix, column, height, unit = 1) {
  const paths = ["", "", "", ""],
    w = matrix.length / 4;
  for (let i = 0; i < w; i++) {
    const p = Array.from(matrix.subarray(4 * i, 4 * i + 4), x => x / unit),
      bits = max(
        0,
        p.reduce((sum, x) => (x > 0 ? sum + x * log2(x) : sum), 2)
      );
    let y = 400;
    for (const b of [0, 1, 2, 3].sort((a, c) => p[a] - p[c])) {
      const high = p[b] * bits * 200;
      y -= high;
      if (high >= 4) paths[b] += glyph(b, 100 * i, y, high);
    }
  }
  return s(
    "svg.logo",
    {
      viewBox: `0 0 ${100 * w} 400`,
      width: column * w,
      height,
      preserveAspectRatio: "none",
      role: "img",
      aria: `logo ${consensus(matrix)}`
    },
    paths.map((d, b) => d && s(`path.${BASES[b]}`, { d }))
  );
}

/** Small logo of a row of the table, null where the node has no motif. */
function rowLogo(row, height = 22) {
  const from = A.logoAt[row],
    to = A.logoAt[row + 1];
  return to > from ? logo(A.logos.matrices.subarray(from, to), min(7, 448 / (to - from)), height, 255) : null;
}

// ---- charts

/** [smallest, largest] of what is a number; [Infinity, -Infinity] of nothing. */
function range(values) {
  let low = Infinity,
    high = -Infinity;
  for (const x of values) {
    if (x < low) low = x;
    if (x > high) high = x;
  }
  return [low, high];
}

/** A chart: `draw(x, y)` gives what is in it; ranges [low, high] of both axes, marks [value, text] along them. */
function chart(aria, [x0, x1], [y0, y1], xMarks, yMarks, under, draw) {
  const x = v => 40 + (372 * (v - x0)) / (x1 - x0 || 1),
    y = v => 8 + 112 * (1 - (v - y0) / (y1 - y0 || 1)),
    text = (left, top, what, anchor = "middle") => s("text", { x: left, y: top, "text-anchor": anchor }, what);
  return s(
    "svg.chart",
    { viewBox: "0 0 420 154", role: "img", aria },
    yMarks.map(([v, what]) => [s("line", { x1: 40, x2: 412, y1: y(v), y2: y(v) }), text(36, y(v) + 3, what, "end")]),
    draw(x, y),
    xMarks.map(([v, what]) => text(x(v), 134, what)),
    text(226, 150, under)
  );
}

/** Counts as bars of equal width, heights by log10(1 + count). */
function histogram({ edges, counts }) {
  const f = c => log10(1 + c),
    top = f(max(...counts, 1)),
    marks = [1, 1e2, 1e4, 1e6, 1e8].filter(c => f(c) <= top).map(c => [f(c), num(c, 1)]),
    skip = ceil(edges.length / 12);
  return chart(
    `Histogram of activations from ${num(edges[0])} to ${num(edges.at(-1))}`,
    [0, counts.length],
    [0, top],
    edges.map((e, i) => [i, num(e)]).filter((_, i) => i % skip === 0),
    marks,
    "activation; counts are logarithmic",
    (x, y) =>
      counts.map(
        (c, i) =>
          c > 0 &&
          s(
            "rect",
            { x: x(i), width: x(i + 1) - x(i) - 1, y: y(f(c)), height: y(0) - y(f(c)) },
            s("title", `${num(edges[i])} to ${num(edges[i + 1])}: ${c} positions`)
          )
      )
  );
}

/** Lines over one axis: series = [{name, points: [[x, y], …]}]. */
function lines(series, under) {
  const all = series.flatMap(({ points }) => points),
    marks = ([low, high]) => [low, (low + high) / 2, high].map(v => [v, num(v)]),
    across = range(all.map(p => p[0])),
    ends = range([0, ...all.map(p => p[1])]);
  if (!all.length) return note("No figures.");
  return chart(
    series.map(({ name, points }) => `${name} from ${num(points[0]?.[1])} to ${num(points.at(-1)?.[1])}`).join("; "),
    across,
    ends,
    marks(across),
    marks(ends),
    under,
    (x, y) =>
      series.map(({ name, points }, k) =>
        s(
          `polyline.s${k}`,
          { points: points.map(([a, b]) => [x(a), y(b)].map(v => v.toFixed(1))).join(" ") },
          s("title", name)
        )
      )
  );
}

// ---- tables and files

/** A table of head cells and rows (text, number or element); a row with weak = true is grey. */
function grid(head, rows, caption) {
  const cell = x =>
    x?.tagName === "TD"
      ? x
      : typeof x === "number" || x === null
        ? h("td.num", { title: exact(x) }, num(x))
        : h("td", x);
  return wide(
    caption,
    h(
      "table",
      h("caption.unseen", caption),
      h(
        "thead",
        h(
          "tr",
          head.map(text => h("th", { scope: "col" }, text))
        )
      ),
      h(
        "tbody",
        rows.map(row => h(row.weak ? "tr.weak" : "tr", row.map(cell)))
      )
    )
  );
}

function save(name, text) {
  const href = URL.createObjectURL(new Blob([text])),
    link = h("a", { href, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(href), 1e4);
}
const clean = x => String(x ?? "").replace(/[\t\r\n]+/g, " ");
const tsv = rows => rows.map(row => `${row.map(clean).join("\t")}\n`).join("");
/** A button that saves as TSV the objects of equal keys that `make` gives. */
function tsvButton(name, give) {
  return button(
    "TSV",
    () => {
      const rows = give(),
        keys = Object.keys(rows[0] ?? {});
      save(name, tsv([keys, ...rows.map(row => keys.map(key => row[key]))]));
    },
    { class: "small", aria: `Download ${name}` }
  );
}
/** A button that saves motifs in MEME text format. */
function memeButton(name, motifs) {
  const text = ({ id, consensus: also, matrix, n_sites, e_value }) =>
    `MOTIF ${id} ${also}\nletter-probability matrix: alength= 4 w= ${matrix.length / 4} nsites= ${n_sites} E= ${e_value}\n${Array.from(
      matrix,
      (x, i) => x.toFixed(6) + (i % 4 < 3 ? " " : "\n")
    ).join("")}\n`;
  return button(
    "MEME",
    () =>
      save(
        name,
        `MEME version 4\n\nALPHABET= ACGT\n\nstrands: + -\n\nBackground letter frequencies\nA 0.25 C 0.25 G 0.25 T 0.25\n\n${motifs.map(text).join("")}`
      ),
    { class: "small", aria: `Download ${name}` }
  );
}
