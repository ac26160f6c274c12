"use strict";
// Shards: each is a classic script that calls atlas(name, base64 of gzip), the only thing a page from file:// may load.

const KEPT_SHARDS = 10; // inflated shards held in memory, about 1 MB each
const FORMAT = 1;
const ARRAYS = { u1: Uint8Array, i1: Int8Array, u2: Uint16Array, i2: Int16Array, u4: Uint32Array, i4: Int32Array,
  f4: Float32Array, f8: Float64Array };
const arrived = new Map(), shards = new Map();
let A = null; // the index

function atlas(name, text) { arrived.set(name, text); } // eslint-disable-line no-unused-vars -- the shards call it

function loadScript(name) {
  const file = `data/${name}.js`;
  return new Promise((done, fail) => {
    const tag = document.createElement("script");
    tag.src = file;
    tag.onerror = () => { tag.remove(); fail(Error(`${file} is missing or cannot be read.`)); };
    tag.onload = () => {
      tag.remove();
      const text = arrived.get(name);
      arrived.delete(name);
      if (typeof text === "string") done(text);
      else fail(Error(`${file} is cut short or is not a file of an atlas.`));
    };
    document.head.append(tag);
  });
}

async function inflate(text) {
  const bytes = Uint8Array.fromBase64 ? Uint8Array.fromBase64(text) : Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
}

/** JSON of a payload with each {at, type, shape} replaced by a view of the binary part. */
function unpack(buffer) {
  const length = new DataView(buffer).getUint32(0, true), start = 4 + length;
  const view = (value) => {
    if (value === null || typeof value !== "object") return value;
    if (value.type in ARRAYS && value.shape) {
      return new ARRAYS[value.type](buffer, start + value.at, value.shape.reduce((a, b) => a * b, 1));
    }
    for (const key in value) if (typeof value[key] === "object") value[key] = view(value[key]);
    return value;
  };
  return view(JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length))));
}

async function sha16(text) { // where the page is no secure context (http to another host) gzip's own CRC must do
  if (!globalThis.crypto?.subtle) return null;
  const sum = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
  return Array.from(sum.subarray(0, 8), (x) => x.toString(16).padStart(2, "0")).join("");
}

async function readShard(name) {
  const text = await loadScript(name), file = `data/${name}.js`;
  const sum = A?.sha256?.[name] && await sha16(text);
  if (sum && sum !== A.sha256[name].slice(0, 16)) throw Error(`${file} was altered: its checksum is not the one in the index.`);
  let data;
  try {
    data = unpack(await inflate(text));
  } catch (error) {
    throw Error(`${file} is damaged: ${error.message || error.name}.`);
  }
  if (data.name !== name) throw Error(`${file} holds ${data.name}, not ${name}: files were swapped.`);
  if (A && data.atlas !== A.atlas) throw Error(`${file} belongs to another build of the atlas (${data.atlas}, not ${A.atlas}).`);
  return data;
}

/** A shard by name, from memory where it is still there. Rejects with a message that names the file. */
function shard(name) {
  let wanted = shards.get(name);
  shards.delete(name);
  if (!wanted) {
    wanted = readShard(name);
    wanted.catch(() => shards.delete(name));
  }
  shards.set(name, wanted); // the last asked for stands last
  if (shards.size > KEPT_SHARDS) shards.delete(shards.keys().next().value);
  return wanted;
}

const MISSING = { integer: -2147483648, boolean: 255 };

/** Gives a column get(row): number, string, true, false or null. */
function makeColumn(column) {
  const { values, words, type } = column;
  const none = type === "string" ? 2 ** (8 * values.BYTES_PER_ELEMENT) - 1 : MISSING[type];
  column.none = none;
  if (type === "string") column.get = (row) => words[values[row]] ?? null;
  else if (type === "boolean") column.get = (row) => (values[row] === none ? null : values[row] === 1);
  else if (type === "integer") column.get = (row) => (values[row] === none ? null : values[row]);
  else column.get = (row) => (Number.isNaN(values[row]) ? null : values[row]);
  return column;
}

async function readIndex() {
  const index = await readShard("index");
  if (index.format !== FORMAT) throw Error(`data/index.js has format ${index.format}; this page reads ${FORMAT}.`);
  index.columns.forEach(makeColumn);
  index.column = Object.fromEntries(index.columns.map((column) => [column.name, column]));
  const at = new Uint32Array(index.n_nodes + 1), { widths } = index.logos;
  for (let row = 0; row < index.n_nodes; row++) at[row + 1] = at[row] + 4 * widths[row];
  index.logoAt = at;
  index.rowOf = new Map();
  for (let row = 0; row < index.n_nodes; row++) index.rowOf.set(index.column.node.values[row], row);
  A = index;
}

/** Value of a column by name in a row; null where the run has no such column. */
function value(name, row) { return A.column[name] ? A.column[name].get(row) : null; }

/** The node of a row with its shard's targets. */
async function readNode(row) {
  const name = A.shards[Math.floor(row / A.shard_nodes)];
  const data = await shard(name);
  const node = data.nodes[row - data.first];
  if (!node || node.node !== value("node", row)) throw Error(`data/${name}.js does not hold node ${value("node", row)}.`);
  return { ...node, row, targets: data.targets };
}
