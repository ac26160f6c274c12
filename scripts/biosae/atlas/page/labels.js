"use strict";
// The reader's own labels, one text a node, kept in this browser for this build of the atlas.

const labels = new Map();

function labelKey() { return `biosae labels ${A.atlas}`; }

function readLabels() {
  try {
    for (const [node, text] of Object.entries(JSON.parse(localStorage.getItem(labelKey()) ?? "{}"))) labels.set(Number(node), text);
  } catch (error) {
    warn(`This browser keeps no labels for this page (${error.name}): export them before you close it.`);
  }
}

function setLabel(node, text) {
  if (text.trim()) labels.set(node, text.trim());
  else labels.delete(node);
  keepLabels();
}

function keepLabels() {
  try {
    localStorage.setItem(labelKey(), JSON.stringify(Object.fromEntries(labels)));
  } catch (error) {
    warn(`The labels could not be kept in this browser (${error.name}): export them before you close the page.`);
  }
  table.changed();
}

function exportLabels() {
  const lines = [...labels].sort((a, b) => a[0] - b[0]).map(([node, text]) => `${node}\t${text.replace(/[\t\r\n]+/g, " ")}\n`);
  save("labels.tsv", `node\tlabel\n${lines.join("")}`);
}

/** Takes in a TSV with columns node and label; says what it took and what it could not place. */
function importLabels(text) {
  const [head, ...rows] = text.split(/\r?\n/).filter(Boolean).map((line) => line.split("\t"));
  const [at, what] = ["node", "label"].map((name) => head?.indexOf(name) ?? -1);
  if (at < 0 || what < 0) return warn("The file has no columns node and label (tab-separated, with a header line): nothing was imported.");
  let unknown = 0;
  for (const row of rows) {
    const node = Number(row[at]);
    if (!A.rowOf.has(node)) unknown++;
    else if (row[what]?.trim()) labels.set(node, row[what].trim());
    else labels.delete(node);
  }
  keepLabels();
  return warn(`${rows.length - unknown} labels imported${unknown ? `; ${unknown} rows name no node of this atlas` : ""}.`);
}

/** Shows a message at the head of the page, once, until the reader closes it. */
function warn(text) {
  const box = document.getElementById("alerts");
  if ([...box.children].some((line) => line.firstChild.textContent === text)) return;
  const line = el("p.alert", null, el("span", null, text), button("×", () => line.remove(), { "aria-label": "Close this message" }));
  box.append(line);
}
