"use strict";
// Shards are classic scripts that call atlas(name, base64 of gzip): nothing else can be loaded by a page from file://.

const KEPT_SHARDS = 10,
  FORMAT = 1; // inflated shards in memory, about 1 MB each
const ARRAYS = {
  u1: Uint8Array,
  i1: Int8Array,
  u2: Uint16Array,
  i2: Int16Array,
  u4: Uint32Array,
  i4: Int32Array,
  f4: Float32Array,
  f8: Float64Array
};
const { abs, ceil, floor, hypot, log10, log2, max, min, round } = Math;
const arrived = new Map(),
  shards = new Map();
let A = null; // the index

function atlas(name, text) {
  arrived.set(name, text);
}

function loadScript(name, file) {
  return new Promise((done, fail) => {
    const tag = document.createElement("script");
    tag.src = file;
    tag.onerror = () => fail(Error(`${file} is missing or cannot be read.`));
    tag.onload = () => {
      tag.remove();
      const text = arrived.get(name);
      arrived.delete(name);
      if (typeof text === "string") done(text);
      else fail(Error(`${file} is cut short or no file of an atlas.`));
    };
    document.head.append(tag);
  });
}

/** JSON of a payload, each {at, type, shape} in it replaced by a view of the binary part. */
async function unpack(text) {
  const bytes = Uint8Array.fromBase64
      ? Uint8Array.fromBase64(text)
      : Uint8Array.from(atob(text), c => c.charCodeAt(0)),
    buffer = await new Response(
      new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))
    ).arrayBuffer(),
    length = new DataView(buffer).getUint32(0, true),
    view = x => {
      if (x === null || typeof x !== "object") return x;
      if (x.shape && x.type in ARRAYS)
        return new ARRAYS[x.type](
          buffer,
          4 + length + x.at,
          x.shape.reduce((a, b) => a * b, 1)
        );
      for (const key in x) if (typeof x[key] === "object") x[key] = view(x[key]);
      return x;
    };
  return view(JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length))));
}

/** First 16 hex digits of the sha256; null where the page is no secure context, there gzip's own CRC must do. */
async function checksum(text) {
  if (!globalThis.crypto?.subtle) return null;
  const sum = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
  return Array.from(sum.subarray(0, 8), x => x.toString(16).padStart(2, "0")).join("");
}

async function readShard(name) {
  const file = `data/${name}.js`,
    text = await loadScript(name, file),
    sum = A && (await checksum(text));
  if (sum && sum !== A.sha256[name]?.slice(0, 16))
    throw Error(`${file} was altered: the index has another checksum.`);
  const data = await unpack(text).catch(error => {
    throw Error(`${file} is damaged: ${error.message || error.name}.`);
  });
  if (data.name !== name) throw Error(`${file} holds ${data.name}: files were swapped.`);
  if (A && data.atlas !== A.atlas) throw Error(`${file} belongs to another build of the atlas (${data.atlas}).`);
  return data;
}

/** A shard by name, from memory where it is still there. Rejects with a message that names the file. */
function shard(name) {
  let data = shards.get(name);
  shards.delete(name);
  if (!data) {
    data = readShard(name);
    data.catch(() => shards.delete(name));
  }
  shards.set(name, data); // the last asked for stands last
  if (shards.size > KEPT_SHARDS) shards.delete(shards.keys().next().value);
  return data;
}

/** Gives a column none (the code of a missing value) and get(row): number, string, true, false or null. */
function makeColumn(column) {
  const { values, words: texts, type } = column,
    none = { string: 2 ** (8 * values.BYTES_PER_ELEMENT) - 1, integer: -2147483648, boolean: 255 }[type],
    there = type === "number" ? x => x === x : x => x !== none,
    read = type === "string" ? x => texts[x] : type === "boolean" ? x => x === 1 : x => x;
  return Object.assign(column, { none, get: row => (there(values[row]) ? read(values[row]) : null) });
}

async function readIndex() {
  const index = await readShard("index"),
    n = index.n_nodes,
    { widths } = index.logos;
  if (index.format !== FORMAT) throw Error(`data/index.js has format ${index.format}; this page reads ${FORMAT}.`);
  index.column = Object.fromEntries(index.columns.map(column => [column.name, makeColumn(column)]));
  const own = (row, low) => labels.get(value("node", row))?.[low ? "toLowerCase" : "toString"]() ?? null;
  index.column.label = { type: "string", text: "your own, kept in this browser", get: own };
  index.column.logo = { type: "logo", text: "best motif, heights in bits", get: () => null };
  index.logoAt = new Uint32Array(n + 1);
  for (let row = 0; row < n; row++) index.logoAt[row + 1] = index.logoAt[row] + 4 * widths[row];
  index.rowOf = new Map(Array.from(index.column.node.values, (node, row) => [node, row]));
  A = index;
}

/** Value of a row by the column's name; null where the run has no such column. */
function value(name, row) {
  return A.column[name]?.get(row) ?? null;
}

let targetsRead = null; // matrices of the database, kept for good
async function readTargets() {
  return readShard("targets").catch(error => {
    warn(`${error.message} Matches are shown without their logos.`);
    return { targets: [] };
  });
}

async function readNode(row) {
  const name = A.shards[floor(row / A.shard_nodes)],
    [data, { targets }] = await Promise.all([shard(name), (targetsRead ??= readTargets())]),
    node = data.nodes[row - data.first];
  if (node?.node !== value("node", row)) throw Error(`data/${name}.js does not hold node ${value("node", row)}.`);
  return { ...node, row, targets };
}
