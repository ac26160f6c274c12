"use strict";
// Examples of a node: one row of text each, behind it the activation of each base.

/** Bases and activations (0 to 255) of example i, on the strand that it is stored on. */
function example({ examples: { n, sequence, other, activation } }, i) {
  const w = A.window_bp,
    per = ceil(w / 4),
    bits = ceil(w / 8),
    text = Array.from({ length: w }, (_, j) =>
      other && (other[i * bits + (j >> 3)] >> (j & 7)) & 1
        ? "N"
        : BASES[(sequence[i * per + (j >> 2)] >> (2 * (j & 3))) & 3]
    );
  return { text, act: Array.from({ length: w }, (_, j) => activation[j * n + i]) };
}
const complement = { A: "T", C: "G", G: "C", T: "A", N: "N" };

/** Where example i stands: {flip, motif (its first base as shown, or null), shift (bases to the right)}. */
function placeExample(
  { examples: { strand, motif_at, motif_strand, motif_score_share: share } },
  i,
  { align, flipped, width }
) {
  const found = width > 0 && motif_at[i] !== -32768 && share[i] > 0,
    byMotif = align === "motif" && found,
    flip = (align === "genome" ? strand?.[i] === 1 : byMotif && motif_strand[i] === 1) !== flipped,
    motif = found ? (flip ? A.window_bp - motif_at[i] - width : motif_at[i]) : null;
  return { flip, motif, shift: byMotif ? -motif : 0 };
}

/** Gradient of the activations, equal neighbours as one step, over it a line under the motif. */
function background(act, motif, width) {
  const steps = [],
    n = act.length;
  for (let j = 0, k; j < n; j = k) {
    for (k = j + 1; act[k] === act[j];) k++;
    steps.push(
      `rgb(var(--act)/calc(var(--full)*${(act[j] / 255).toFixed(2)})) ${((100 * j) / n).toFixed(2)}% ${((100 * k) / n).toFixed(2)}%`
    );
  }
  const line = `linear-gradient(var(--text),var(--text)) ${motif}ch 100%/${width}ch 1px no-repeat,`;
  return `${motif === null ? "" : line}linear-gradient(90deg,${steps})`;
}

function locus(e, i, flip) {
  const chrom = A.chroms[e.chrom[i]],
    place = `${chrom}:${e.start[i] + 1}-${e.start[i] + A.window_bp}`,
    code = encodeURIComponent(place),
    link = (text, href, where) =>
      h("a", { href, target: "_blank", rel: "noreferrer", title: `${place} ${where}` }, text);
  return [
    h("span.locus", `${place} ${(e.strand?.[i] === 1) !== flip ? "−" : "+"}`),
    A.assembly &&
      link(
        "UCSC",
        `https://genome.ucsc.edu/cgi-bin/hgTracks?db=${encodeURIComponent(A.assembly)}&position=${code}`,
        `at UCSC, ${A.assembly}`
      ),
    link("IGV", `http://localhost:60151/goto?locus=${code}`, "in IGV desktop, if it runs")
  ];
}

function exampleRow(node, i, { flip, motif, shift }, left, width) {
  const { text, act } = example(node, i),
    e = node.examples,
    shown = flip ? text.reverse().map(base => complement[base]) : text,
    row = h("span.bases", shown.join(""));
  row.style.background = background(flip ? act.reverse() : act, motif, width);
  row.style.marginLeft = `${shift - left}ch`;
  return h(
    "li",
    { title: motif === null ? null : `motif at ${percent(e.motif_score_share[i])} of its best score` },
    h("span.act", num(e.peak[i])),
    row,
    ...locus(e, i, flip)
  );
}

/** The examples of a node band by band; `bands` says which, `most` how many of each. */
function bandsView(node, state, bands = A.bands.keys(), most = Infinity) {
  const e = node.examples,
    how = { ...state, width: (bestMotif(node)?.matrix.length ?? 0) / 4 };
  if (!e?.n)
    return note(
      A.loci ? "No examples of this node were kept." : "This run has no coordinates, so there are no examples."
    );
  return [...bands].map(band => {
    const rows = [...e.band.keys()].filter(i => e.band[i] === band).slice(0, most),
      name = A.bands[band];
    if (state.align === "genome") rows.sort((a, b) => e.chrom[a] - e.chrom[b] || e.start[a] - e.start[b]);
    const places = rows.map(i => placeExample(node, i, how)),
      left = min(0, ...places.map(({ shift }) => shift));
    return h(
      "section.band",
      h("h3", `${name} `, h("small", String(rows.length))),
      note(A.band_text[band]),
      rows.length > 0 &&
        wide(
          `Examples: ${name}`,
          h(
            "ol.examples",
            rows.map((i, k) => exampleRow(node, i, places[k], left, how.width))
          )
        )
    );
  });
}

/** Every example for a TSV, as stored: start from 0, sequence on its strand. */
function exampleTable(node) {
  const e = node.examples;
  return Array.from({ length: e.n }, (_, i) => {
    const { text, act } = example(node, i),
      start = e.start[i];
    return {
      band: A.bands[e.band[i]],
      chrom: A.chroms[e.chrom[i]],
      start,
      end: start + A.window_bp,
      strand: "+-"[e.strand?.[i] ?? 0],
      activation: exact(e.peak[i]),
      sequence: text.join(""),
      per_base: Array.from(act, x => exact((x / 255) * e.scale)).join(",")
    };
  });
}
