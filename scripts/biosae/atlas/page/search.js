"use strict";
// Which rows fit: the search box, the filters of columns, and places in the genome.

const order = new Map(); // column name → Float64Array of sort keys, missing = NaN

function lowWords(column) { return (column.low ??= column.words.map((word) => word.toLowerCase())); }

/** Sort keys of a column: numbers as they are, text by the rank of its words. */
function sortKeys(name) {
  if (name === "label") {
    const ranks = new Map([...new Set(labels.values())].sort().map((text, i) => [text, i]));
    return Float64Array.from(A.column.node.values, (node) => ranks.get(labels.get(node)) ?? NaN);
  }
  if (!order.has(name)) {
    const { values, none, type } = A.column[name], keys = new Float64Array(A.n_nodes);
    let rank = null;
    if (type === "string") {
      const low = lowWords(A.column[name]);
      rank = new Float64Array(low.length);
      Uint32Array.from(low.keys()).sort((a, b) => (low[a] < low[b] ? -1 : low[a] > low[b] ? 1 : a - b)).forEach((word, i) => { rank[word] = i; });
    }
    for (let row = 0; row < keys.length; row++) keys[row] = values[row] === none ? NaN : rank ? rank[values[row]] : values[row];
    order.set(name, keys);
  }
  return order.get(name);
}

/** Rows (in order of rank) sorted by a column; missing values last, ties by rank. */
function sortRows(rows, name, descending) {
  if (name === "rank" && !descending) return rows;
  const keys = sortKeys(name), sign = descending ? -1 : 1;
  const there = rows.filter((row) => keys[row] === keys[row]), gone = rows.filter((row) => keys[row] !== keys[row]);
  there.sort((a, b) => sign * (keys[a] - keys[b]) || a - b);
  const all = new Uint32Array(rows.length);
  all.set(there);
  all.set(gone, there.length);
  return all;
}

const MISSING_WORDS = new Set(["–", "-", "missing"]);
const HOW = { string: "text, =exact, !not, a|b, missing", number: ">0.1, <1e-3, 0.1..0.5, =2, missing", boolean: "yes, no, missing" };

/** Test of a filter on a value of a column (text in lower case), null where it says nothing, undefined where it cannot be read. */
function makeTest(text, type, round) {
  const parts = text.trim().toLowerCase().split(/\s+/);
  if (!parts[0]) return null;
  if (MISSING_WORDS.has(text.trim().toLowerCase())) return (x) => x === null;
  if (type === "boolean") {
    const wanted = { yes: true, no: false }[parts.join(" ")];
    return wanted === undefined ? undefined : (x) => x === wanted;
  }
  if (type === "string") {
    const either = text.trim().toLowerCase().split("|").map((part) => part.trim()).filter(Boolean);
    return (x) => either.some((part) => (part[0] === "!" ? x === null || !x.includes(part.slice(1))
      : x !== null && (part[0] === "=" ? x === part.slice(1) : x.includes(part))));
  }
  const tests = parts.map((part) => {
    const [, sign, a, dots, b] = part.match(/^([<>]=?|=)?(-?[\d.]+?(?:e[-+]?\d+)?)(?:(\.\.)(-?[\d.]+(?:e[-+]?\d+)?))?$/) ?? [];
    const low = round(Number(a)), high = round(Number(b));
    if (a === undefined || Number.isNaN(low) || (dots && (sign || Number.isNaN(high)))) return undefined;
    if (dots) return (x) => x >= low && x <= high;
    return { "<": (x) => x < low, "<=": (x) => x <= low, ">": (x) => x > low, ">=": (x) => x >= low }[sign]
      ?? ((x) => Math.abs(x - low) <= 5e-4 * Math.abs(low)); // as equal as the digits that the table shows
  });
  return tests.includes(undefined) ? undefined : (x) => x !== null && tests.every((test) => test(x));
}

/** Clears mask[row] where the column's filter does not hold. Returns whether the filter could be read. */
function applyFilter(mask, name, text) {
  if (name === "label") {
    const test = makeTest(text, "string");
    if (test) A.column.node.values.forEach((node, row) => { if (!test(labels.get(node)?.toLowerCase() ?? null)) mask[row] = 0; });
    return true;
  }
  const column = A.column[name], { values, type } = column;
  const test = makeTest(text, type === "integer" ? "number" : type, values instanceof Float32Array ? Math.fround : Number);
  if (!test) return test === null;
  if (type === "string") { // each word is tested once
    const fits = Uint8Array.from(lowWords(column), (word) => test(word)), none = test(null);
    for (let row = 0; row < mask.length; row++) if (!(values[row] === column.none ? none : fits[values[row]])) mask[row] = 0;
  } else {
    for (let row = 0; row < mask.length; row++) if (mask[row] && !test(column.get(row))) mask[row] = 0;
  }
  return true;
}

/** Clears mask[row] where a word of the query is in no text column, no label and is not the node's number. */
function applyText(mask, query) {
  for (const word of query.toLowerCase().split(/\s+/).filter(Boolean)) {
    const number = word.match(/^n?(\d+)$/), found = new Uint8Array(mask.length);
    if (number) { if (A.rowOf.has(Number(number[1]))) found[A.rowOf.get(Number(number[1]))] = 1; }
    for (const column of number ? [] : A.columns.filter((c) => c.type === "string")) {
      const fits = Uint8Array.from(lowWords(column), (text) => text.includes(word)), { values, none } = column;
      if (fits.includes(1)) for (let row = 0; row < mask.length; row++) if (values[row] !== none && fits[values[row]]) found[row] = 1;
    }
    for (const [node, text] of labels) if (text.toLowerCase().includes(word) && A.rowOf.has(node)) found[A.rowOf.get(node)] = 1;
    for (let row = 0; row < mask.length; row++) mask[row] &= found[row];
  }
}

/** {chrom number, start, end} of "chr1:1,000-2,000" (1-based, both ends in it), null where it is no such text. */
function parseLocus(query) {
  const found = query.trim().match(/^(.+):([\d,]+)(?:(?:-|–|\.\.)([\d,]+))?$/);
  const chrom = found ? A.chroms.findIndex((name) => name.toLowerCase() === found[1].toLowerCase()) : -1;
  if (chrom < 0) return null;
  const [start, end] = [found[2], found[3] ?? found[2]].map((x) => Number(x.replaceAll(",", "")));
  return { chrom, start: start - 1, end, text: `${A.chroms[chrom]}:${start}-${end}` };
}

async function findGene(query) {
  const name = query.trim().replace(/^gene:/i, "").toLowerCase();
  if (!A.has_genes || !name) return null;
  const data = await shard("genes"), at = data.genes.findIndex((gene) => gene.toLowerCase() === name);
  if (at < 0) return null;
  const [chrom, start, end] = [data.chrom[at], data.start[at], data.end[at]];
  return { chrom, start, end, text: `${data.genes[at]} (${A.chroms[chrom]}:${start + 1}-${end})` };
}

/** Mask of the rows with a window of their top band in a place. */
async function rowsAt({ chrom, start, end }) {
  const mask = new Uint8Array(A.n_nodes), { first, shards: names } = A.loci;
  const before = (c, s) => c < chrom || (c === chrom && s < end);
  for (let k = 0; k < names.length; k++) {
    const next = first[k + 1];
    if (!before(...first[k]) || (next && (next[0] < chrom || (next[0] === chrom && next[1] <= start - A.window_bp)))) continue;
    const data = await shard(names[k]);
    for (let i = 0; i < data.start.length; i++) {
      if (data.chrom[i] === chrom && data.start[i] < end && data.start[i] + A.window_bp > start) mask[data.row[i]] = 1;
    }
  }
  return mask;
}
