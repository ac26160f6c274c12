"use strict";
// Examples of a node: a row of text each, its background the activation of each base.

const NO_MOTIF = -32768;

/** Bases and activations of example i as text and numbers 0 to 255, on the strand that it is stored on. */
function example(node, i) {
  const w = A.window_bp, { sequence, other, activation } = node.examples, per = Math.ceil(w / 4), bits = Math.ceil(w / 8);
  let text = "";
  for (let j = 0; j < w; j++) {
    const unknown = other && (other[i * bits + (j >> 3)] >> (j & 7)) & 1;
    text += unknown ? "N" : BASES[(sequence[i * per + (j >> 2)] >> (2 * (j & 3))) & 3];
  }
  return { text, act: activation.subarray(i * w, (i + 1) * w) };
}

function flipText(text) { return Array.from(text, (c) => ({ A: "T", C: "G", G: "C", T: "A" })[c] ?? c).reverse().join(""); }

/** Where example i stands under an alignment: {flip, shift (bases to the right), motif: first base of the motif shown, or null}. */
function placeExample(node, i, align, turned, width) {
  const { strand, motif_at, motif_strand } = node.examples, found = motif_at[i] !== NO_MOTIF && width > 0;
  const byMotif = align === "motif" && found;
  const flip = (align === "genome" ? strand[i] === 1 : byMotif && motif_strand[i] === 1) !== turned;
  const at = found ? (flip ? A.window_bp - motif_at[i] - width : motif_at[i]) : null;
  return { flip, motif: at, shift: byMotif ? -at : 0 };
}

/** Gradient of the activations, equal neighbours as one step, and a line under the motif. */
function paintRow(row, act, flip, motif, width) {
  const n = act.length, steps = [], at = (j) => act[flip ? n - 1 - j : j];
  for (let j = 0, k; j < n; j = k) {
    for (k = j + 1; k < n && at(k) === at(j);) k++;
    steps.push(`rgb(var(--act)/calc(var(--full)*${(at(j) / 255).toFixed(2)})) ${(100 * j / n).toFixed(2)}% ${(100 * k / n).toFixed(2)}%`);
  }
  const line = motif === null ? "" : `linear-gradient(var(--text),var(--text)) ${motif}ch 100%/${width}ch 1px no-repeat,`;
  row.style.background = `${line}linear-gradient(90deg,${steps})`;
}

function locusLinks(e, i, flipped) {
  const chrom = A.chroms[e.chrom[i]], start = e.start[i], end = start + A.window_bp;
  const place = `${chrom}:${start + 1}-${end}`, strand = (e.strand[i] === 1) !== flipped ? "−" : "+", code = encodeURIComponent(place);
  const igv = el("a", { href: `http://localhost:60151/goto?locus=${code}`, target: "_blank", rel: "noreferrer", title: `Show ${place} in IGV desktop, which must be running` }, "IGV");
  const ucsc = A.assembly && el("a", { href: `https://genome.ucsc.edu/cgi-bin/hgTracks?db=${encodeURIComponent(A.assembly)}&position=${code}`, target: "_blank", rel: "noreferrer",
    title: `Show ${place} at UCSC (${A.assembly})` }, "UCSC");
  return [el("span.locus", null, `${place} ${strand}`), ucsc, igv];
}

/** List of the examples of one band. */
function bandList(node, rows, { align, turned, width }) {
  const e = node.examples, places = rows.map((i) => placeExample(node, i, align, turned, width));
  const left = Math.min(0, ...places.map((p) => p.shift));
  return el("ol.examples", null, rows.map((i, k) => {
    const { flip, motif, shift } = places[k], { text, act } = example(node, i);
    const row = el("span.bases", null, flip ? flipText(text) : text);
    paintRow(row, act, flip, motif, width);
    row.style.marginLeft = `${shift - left}ch`;
    return el("li", { title: motif === null ? null : `motif at ${percent(e.motif_score_share[i])} of its best score` },
      el("span.act", null, num(e.peak[i])), row, ...locusLinks(e, i, flip));
  }));
}

function exampleOrder(e, rows, align) {
  if (align === "genome") return rows.sort((a, b) => e.chrom[a] - e.chrom[b] || e.start[a] - e.start[b]);
  return rows.sort((a, b) => e.peak[b] - e.peak[a] || a - b);
}

/** The examples of a node in their bands; `bands` limits which, `most` how many of each. */
function examplesView(node, state, bands = A.bands.keys(), most = Infinity) {
  const e = node.examples;
  if (!e || !e.n) return [el("p.note", null, A.chroms.length ? "No examples of this node were kept." : "This run has no coordinates, so there are no examples.")];
  const width = (bestMotif(node)?.matrix.length ?? 0) / 4;
  return [...bands].map((band) => {
    const rows = Array.from(e.band.keys()).filter((i) => e.band[i] === band).slice(0, most);
    const ordered = A.bands[band] === "near miss" && state.align !== "genome" ? rows : exampleOrder(e, rows, state.align);
    return el("section.band", null, el("h3", null, `${A.bands[band]} `, el("small", null, `${rows.length}`)), el("p.note", null, A.band_text[band]),
      rows.length ? el("div.wide", { tabindex: 0, role: "region", "aria-label": `Examples: ${A.bands[band]}` }, bandList(node, ordered, { ...state, width })) : null);
  });
}

/** Every example as objects for a TSV, as stored: 0-based start, sequence on its strand. */
function exampleRows(node) {
  const e = node.examples;
  return Array.from({ length: e.n }, (_, i) => ({ band: A.bands[e.band[i]], chrom: A.chroms[e.chrom[i]], start: e.start[i], end: e.start[i] + A.window_bp,
    strand: "+-"[e.strand[i]], activation: exact(e.peak[i]), sequence: example(node, i).text,
    per_base: Array.from(example(node, i).act, (x) => exact(x / 255 * e.scale)).join(",") }));
}
