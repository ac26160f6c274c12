"use strict";
// Elements, numbers as text, logos and small charts. Text from the data only ever becomes text nodes or attributes.

/** el("td.num", {title: "x"}, "text", node): keys that start with "on" are listeners, null children are left out. */
function el(name, attributes, ...children) {
  const [tag, ...classes] = name.split(".");
  return fill(document.createElement(tag), classes, attributes, children);
}

function svg(name, attributes, ...children) {
  const [tag, ...classes] = name.split(".");
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), classes, attributes, children);
}

function fill(node, classes, attributes, children) {
  if (classes.length) node.setAttribute("class", classes.join(" "));
  for (const [key, x] of Object.entries(attributes ?? {})) {
    if (x === null || x === undefined || x === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), x);
    else node.setAttribute(key, x === true ? "" : x);
  }
  node.append(...children.flat(2).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** A number to `digits` significant digits, "–" where it is missing. */
function num(x, digits = 3) {
  if (x === null || x === undefined || Number.isNaN(x)) return "–";
  if (typeof x !== "number") return x === true ? "yes" : x === false ? "no" : String(x);
  if (x === 0 || (Number.isInteger(x) && Math.abs(x) < 1e9)) return String(x);
  const size = Math.abs(x);
  if (size < 1e-3 || size >= 1e9) return x.toExponential(digits - 1).replace(/\.?0+e/, "e").replace("e+", "e");
  return size >= 10 ** (digits - 1) ? x.toFixed(size < 1000 ? 1 : 0) : x.toPrecision(digits);
}
/** All digits that a 4-byte float holds. */
function exact(x) { return typeof x === "number" && !Number.isInteger(x) ? String(Number(x.toPrecision(7))) : num(x); }
function percent(x) { return x === null || x === undefined ? "–" : `${num(100 * x, 2).replace(/\.0$/, "")} %`; }
/** E-values far below what a double holds are given by their logarithm. */
function tiny(x, log10) {
  if (x !== 0 || log10 === null || log10 === undefined) return num(x, 2);
  const power = Math.floor(log10);
  return `${(10 ** (log10 - power)).toFixed(1)}e${power}`;
}
function words(name) { return name.replaceAll("_", " "); }

// ---- logos: 100 units a column, 200 units a bit, one path a base

const BASES = "ACGT";
function glyph(base, x, y, h) {
  const p = (u, v) => `${Math.round(x + 4 + 92 * u)} ${Math.round(y + v * h)} `;
  const arc = (rx, ry, sweep, u, v) => `A${92 * rx} ${(ry * h).toFixed(1)} 0 1 ${sweep} ${p(u, v)}`;
  const hollow = `L${p(.712, .755)}${arc(.3, .36, 1, .712, .245)}Z`;
  if (base === 0) {
    return `M${p(0, 1)}L${p(.38, 0)}${p(.62, 0)}${p(1, 1)}${p(.79, 1)}${p(.71, .77)}${p(.29, .77)}${p(.21, 1)}Z`
      + `M${p(.345, .61)}L${p(.5, .17)}${p(.655, .61)}Z`;
  }
  if (base === 1) return `M${p(.894, .192)}${arc(.5, .5, 0, .894, .808)}${hollow}`;
  if (base === 2) {
    return `M${p(.894, .192)}${arc(.5, .5, 0, .735, .941)}L${p(1, .83)}${p(1, .47)}${p(.55, .47)}${p(.55, .61)}${p(.8, .61)}`
      + `${p(.8, .74)}${hollow}`;
  }
  return `M${p(0, 0)}L${p(1, 0)}${p(1, .16)}${p(.61, .16)}${p(.61, 1)}${p(.39, 1)}${p(.39, .16)}${p(0, .16)}Z`;
}

function reverseComplement(matrix) { return matrix.slice().reverse(); } // columns turn, and A C G T becomes T G C A
function consensus(matrix) {
  let text = "";
  for (let i = 0; i < matrix.length; i += 4) {
    let best = 0;
    for (let b = 1; b < 4; b++) if (matrix[i + b] > matrix[i + best]) best = b;
    text += BASES[best];
  }
  return text;
}

/** SVG of a matrix (w x 4, probabilities times `unit`): letter heights in bits, p x (2 - entropy). */
function logo(matrix, column, height, unit = 1) {
  const paths = ["", "", "", ""], w = matrix.length / 4;
  for (let i = 0; i < w; i++) {
    const p = [0, 1, 2, 3].map((b) => matrix[4 * i + b] / unit);
    const bits = Math.max(0, p.reduce((sum, x) => (x > 0 ? sum + x * Math.log2(x) : sum), 2));
    let y = 400;
    for (const b of [0, 1, 2, 3].sort((a, c) => p[a] - p[c])) {
      const h = p[b] * bits * 200;
      y -= h;
      if (h >= 4) paths[b] += glyph(b, 100 * i, y, h);
    }
  }
  return svg("svg.logo", { viewBox: `0 0 ${100 * w} 400`, width: column * w, height, preserveAspectRatio: "none", role: "img",
    "aria-label": `logo ${consensus(matrix)}` },
  paths.map((d, b) => d && svg(`path.${BASES[b]}`, { d })));
}

/** The small logo of a row of the table, null where the node has no motif. */
function rowLogo(row, height = 22) {
  const from = A.logoAt[row], to = A.logoAt[row + 1];
  return to > from ? logo(A.logos.matrices.subarray(from, to), Math.min(7, 112 / ((to - from) / 4)), height, 255) : null;
}

// ---- charts

function niceTicks(low, high, count = 4) {
  const step = 10 ** Math.floor(Math.log10((high - low) / count || 1));
  const size = [1, 2, 5, 10].map((m) => m * step).find((s) => (high - low) / s <= count) ?? step;
  const ticks = [];
  for (let t = Math.ceil(low / size) * size; t <= high + size * 1e-9; t += size) ticks.push(Number(t.toPrecision(6)));
  return ticks;
}

/** Counts of a histogram as bars, heights by log10(1 + count). */
function histogram({ edges, counts }, width = 420, height = 110) {
  const top = Math.log10(1 + Math.max(...counts, 1)), low = edges[0], high = edges.at(-1);
  const x = (e) => 34 + (width - 40) * (e - low) / (high - low || 1), y = (c) => 6 + (height - 26) * (1 - Math.log10(1 + c) / top);
  const bars = counts.map((c, i) => c > 0 && svg("rect", { x: x(edges[i]), width: Math.max(.5, x(edges[i + 1]) - x(edges[i]) - 1),
    y: y(c), height: y(0) - y(c) }, svg("title", null, `${num(edges[i])} to ${num(edges[i + 1])}: ${c} positions`)));
  const ticks = niceTicks(low, high).map((t) => svg("text", { x: x(t), y: height - 6, "text-anchor": "middle" }, num(t)));
  const marks = [1, 1e2, 1e4, 1e6, 1e8].filter((c) => Math.log10(1 + c) <= top).map((c) => [
    svg("text", { x: 30, y: y(c) + 3, "text-anchor": "end" }, c < 1e4 ? String(c) : `1e${Math.log10(c)}`),
    svg("line", { x1: 34, x2: width - 6, y1: y(c), y2: y(c) })]);
  return svg("svg.chart", { viewBox: `0 0 ${width} ${height}`, role: "img",
    "aria-label": `histogram of activations from ${num(low)} to ${num(high)}, logarithmic counts` }, marks, bars, ticks);
}

/** Lines over one x axis: series = [{name, points: [[x, y], ...]}]. */
function lines(series, xName, width = 380, height = 170) {
  const all = series.flatMap((s) => s.points);
  if (!all.length) return el("p.note", null, "No figures.");
  const range = (k) => [Math.min(...all.map((p) => p[k])), Math.max(...all.map((p) => p[k]))];
  const [x0, x1] = range(0), [low, y1] = range(1), y0 = Math.min(low, 0);
  const x = (v) => 44 + (width - 52) * (v - x0) / (x1 - x0 || 1), y = (v) => 8 + (height - 40) * (1 - (v - y0) / (y1 - y0 || 1));
  const yTicks = niceTicks(y0, y1).map((t) => [svg("line", { x1: 44, x2: width - 8, y1: y(t), y2: y(t) }),
    svg("text", { x: 40, y: y(t) + 3, "text-anchor": "end" }, num(t))]);
  const xTicks = niceTicks(x0, x1, 3).map((t) => svg("text", { x: x(t), y: height - 20, "text-anchor": "middle" }, num(t)));
  const drawn = series.map((s, k) => svg(`polyline.s${k}`, { points: s.points.map(([a, b]) => `${x(a).toFixed(1)},${y(b).toFixed(1)}`).join(" ") },
    svg("title", null, s.name)));
  return svg("svg.chart", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": series.map((s) =>
    `${s.name}: ${num(s.points[0]?.[1])} to ${num(s.points.at(-1)?.[1])}`).join("; ") }, yTicks, xTicks, drawn,
  svg("text", { x: width / 2, y: height - 4, "text-anchor": "middle" }, xName));
}

// ---- tables and files

/** A table from head cells and rows of cells (text, number or element); numbers stand right. */
function grid(head, rows, caption) {
  const cell = (x) => (typeof x === "number" || x === null || x === undefined ? el("td.num", { title: exact(x) }, num(x)) : x instanceof Element && x.tagName === "TD" ? x : el("td", null, x));
  return el("div.wide", { tabindex: 0, role: "region", "aria-label": caption }, el("table", null, el("caption.unseen", null, caption),
    el("thead", null, el("tr", null, head.map((h) => el("th", { scope: "col" }, h)))),
    el("tbody", null, rows.map((row) => el("tr", row.weak ? { class: "weak" } : null, row.map(cell))))));
}

function save(name, text) {
  const url = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
  const link = el("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}
function button(text, act, more) { return el("button", { type: "button", onclick: act, ...more }, text); }
/** A button that saves rows (objects of equal keys) as TSV. */
function tsvButton(name, rows) {
  const text = () => {
    const keys = Object.keys(rows[0] ?? {});
    const cell = (x) => (x === null || x === undefined ? "" : String(x).replace(/[\t\r\n]+/g, " "));
    return [keys, ...rows.map((row) => keys.map((key) => row[key]))].map((line) => `${line.map(cell).join("\t")}\n`).join("");
  };
  return button("TSV", () => save(name, text()), { class: "small", title: `Download ${name}`, "aria-label": `Download ${name}` });
}
/** MEME text of motifs [{id, matrix, n_sites, e_value}]. */
function memeText(motifs) {
  const blocks = motifs.map((m) => {
    const rows = [];
    for (let i = 0; i < m.matrix.length; i += 4) rows.push(Array.from(m.matrix.subarray(i, i + 4), (x) => x.toFixed(6)).join(" "));
    const [id] = m.id.split(/\s/);
    return `MOTIF ${id} ${m.consensus ?? ""}\nletter-probability matrix: alength= 4 w= ${m.matrix.length / 4} nsites= ${m.n_sites ?? 20} E= ${m.e_value ?? 0}\n${rows.join("\n")}\n`;
  });
  return `MEME version 4\n\nALPHABET= ACGT\n\nstrands: + -\n\nBackground letter frequencies\nA 0.25 C 0.25 G 0.25 T 0.25\n\n${blocks.join("\n")}`;
}
