"use strict";
// Which rows fit and in what order: the search box, filters of columns, places in the genome.

const sortKeys = new Map(); // column → Float64Array, missing = NaN
const lowWords = column => (column.low ??= column.words.map(word => word.toLowerCase()));

/** Keys to sort by: numbers as they are, text by the rank of its words. */
function keysOf(name) {
  if (name === "label") {
    const all = [...labels.values()].sort();
    return Float64Array.from(A.column.node.values, node => (labels.has(node) ? all.indexOf(labels.get(node)) : NaN));
  }
  if (!sortKeys.has(name)) {
    const { values, none, type } = A.column[name],
      low = type === "string" && lowWords(A.column[name]),
      rank = [];
    if (low)
      [...low.keys()]
        .sort((a, b) => (low[a] < low[b] ? -1 : low[a] > low[b] ? 1 : 0))
        .forEach((word, i) => {
          rank[word] = i;
        });
    sortKeys.set(
      name,
      Float64Array.from(values, x => (x === none ? NaN : low ? rank[x] : x))
    );
  }
  return sortKeys.get(name);
}

/** Rows (Uint32Array in order of rank) by a column; missing values last, ties by rank. */
function sortRows(rows, name, down) {
  if (name === "rank" && !down) return rows;
  const keys = keysOf(name),
    sign = down ? -1 : 1,
    there = rows.filter(row => keys[row] === keys[row]);
  there.sort((a, b) => sign * (keys[a] - keys[b]) || a - b);
  const gone = rows.filter(row => keys[row] !== keys[row]),
    all = new Uint32Array(rows.length);
  all.set(there);
  all.set(gone, there.length);
  return all;
}

const HINTS = { string: "part of it, =exact, !not, a|b, missing", number: ">0.1, <1e-3, 0.1..0.5, =2, missing" };

/** Test of a filter on a value (text in lower case, null: missing); null: no filter; undefined: it cannot be read. */
function makeTest(filter, type, round = Number) {
  const text = filter.trim().toLowerCase();
  if (!text) return null;
  if (text === "missing" || text === "–") return x => x === null;
  if (type === "boolean") return { yes: x => x === true, no: x => x === false }[text];
  if (type === "string") {
    const tests = text
      .split("|")
      .map(part => part.trim())
      .filter(Boolean)
      .map(
        part =>
          ({ "=": x => x === part.slice(1), "!": x => !x.includes(part.slice(1)) })[part[0]] ??
          (x => x.includes(part))
      );
    return x => tests.some(test => test(x ?? ""));
  }
  const tests = text.split(/\s+/).map(part => {
    const [, sign, a, b] =
        part.match(/^([<>]=?|=)?(-?[\d.]+?(?:e[-+]?\d+)?)(?:\.\.(-?[\d.]+(?:e[-+]?\d+)?))?$/) ?? [],
      low = round(Number(a)),
      high = round(Number(b));
    if (low !== low || (b && (sign || high !== high))) return undefined;
    if (b) return x => x >= low && x <= high;
    const near = x => abs(x - low) <= 5e-4 * abs(low); // equal in the digits shown
    return { "<": x => x < low, "<=": x => x <= low, ">": x => x > low, ">=": x => x >= low }[sign] ?? near;
  });
  return tests.includes(undefined) ? undefined : x => x !== null && tests.every(test => test(x));
}

/** Clears mask[row] where a column's filter does not hold. Returns whether the filter could be read. */
function applyFilter(mask, name, text) {
  const { values, type, get, none, words: texts } = A.column[name],
    test = makeTest(text, type, values instanceof Float32Array ? Math.fround : Number);
  if (!test) return test === null;
  const fits = texts && lowWords(A.column[name]).map(test),
    gone = test(null); // each word is tested once
  const holds = texts ? row => (values[row] === none ? gone : fits[values[row]]) : row => test(get(row, true));
  for (let row = 0; row < mask.length; row++) if (mask[row] && !holds(row)) mask[row] = 0;
  return true;
}

/** Clears mask[row] where a word of the query is in no text, no label and is not the node's number. */
function applyText(mask, query) {
  for (const word of query.toLowerCase().split(/\s+/).filter(Boolean)) {
    const number = word.match(/^n?(\d+)$/),
      found = new Uint8Array(mask.length),
      add = node => {
        if (A.rowOf.has(node)) found[A.rowOf.get(node)] = 1;
      };
    if (number) add(Number(number[1]));
    for (const column of A.columns)
      if (column.words && !number) {
        const fits = lowWords(column).map(text => text.includes(word)),
          { values } = column;
        if (fits.includes(true)) for (let row = 0; row < mask.length; row++) if (fits[values[row]]) found[row] = 1;
      }
    for (const [node, text] of labels) if (text.toLowerCase().includes(word)) add(node);
    for (let row = 0; row < mask.length; row++) mask[row] &= found[row];
  }
}

/** {chrom (number), start, end, text} of "chr1:1,000-2,000" (from 1, both ends in it); null where the text is no place. */
function parseLocus(query) {
  const [, name, from, to = from] = query.trim().match(/^(.+):([\d,]+)(?:(?:-|–|\.\.)([\d,]+))?$/) ?? [],
    read = x => Number(x.replaceAll(",", "")),
    chrom = A.chroms.findIndex(other => other.toLowerCase() === name?.toLowerCase());
  return chrom < 0 ? null : { chrom, start: read(from) - 1, end: read(to), text: query.trim() };
}

async function findGene(query) {
  const name = query
      .trim()
      .replace(/^gene:/i, "")
      .toLowerCase(),
    data = await shard("genes"),
    at = data.genes.findIndex(gene => gene.toLowerCase() === name),
    [chrom, start, end] = [data.chrom[at], data.start[at], data.end[at]];
  return at < 0 ? null : { chrom, start, end, text: `${data.genes[at]} (${A.chroms[chrom]}:${start + 1}-${end})` };
}

/** Mask of the rows with a window of their top band in a place. */
async function rowsAt({ chrom, start, end }) {
  const mask = new Uint8Array(A.n_nodes),
    { first, shards: names } = A.loci,
    from = start - A.window_bp;
  for (let k = 0; k < names.length; k++) {
    const [c, x] = first[k],
      [nextC, nextX] = first[k + 1] ?? [Infinity];
    if (c > chrom || (c === chrom && x >= end) || nextC < chrom || (nextC === chrom && nextX <= from)) continue;
    const data = await shard(names[k]);
    for (let i = 0; i < data.n; i++)
      if (data.chrom[i] === chrom && data.start[i] < end && data.start[i] > from) mask[data.row[i]] = 1;
  }
  return mask;
}

/** What a query for a place or a gene finds: {note, mask} or {gene}; null where it is no such query. */
async function findPlace(query) {
  const locus = parseLocus(query),
    named = /^gene:/i.test(query),
    nothing = new Uint8Array(A.n_nodes);
  if (!locus && !named && !(A.has_genes && /^\S{2,}$/.test(query))) return null;
  try {
    const place = locus ?? (A.has_genes ? await findGene(query) : null);
    if (!place)
      return named
        ? { note: A.has_genes ? "no gene of that name" : "this atlas holds no genes", mask: nothing }
        : null;
    if (!locus && !named) return { gene: place };
    return A.loci
      ? { note: `with a top window in ${place.text}`, mask: await rowsAt(place) }
      : { note: "this run has no coordinates", mask: nothing };
  } catch (error) {
    warn(error.message);
    return { note: error.message, mask: nothing };
  }
}
