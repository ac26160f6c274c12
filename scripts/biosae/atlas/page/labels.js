"use strict";
// The reader's own labels, one text a node, kept in this browser for this build of the atlas.

const labels = new Map();
const labelKey = () => `biosae labels ${A.atlas}`;

function readLabels() {
  try {
    for (const [node, text] of Object.entries(JSON.parse(localStorage.getItem(labelKey()) ?? "{}")))
      labels.set(Number(node), text);
  } catch (error) {
    warn(`This browser keeps no labels here (${error.name}).`);
  }
}

function setLabel(node, text = "") {
  if (text.trim()) labels.set(node, text.trim());
  else labels.delete(node);
}

function keepLabels() {
  try {
    localStorage.setItem(labelKey(), JSON.stringify(Object.fromEntries(labels)));
  } catch (error) {
    warn(`Labels could not be kept here (${error.name}): save them as TSV before you leave.`);
  }
  table.drawHead();
  table.apply();
}

const exportLabels = () => save("labels.tsv", tsv([["node", "label"], ...[...labels].sort((a, b) => a[0] - b[0])]));

/** Takes in a TSV with columns node and label; says what it took and what it could not place. */
function importLabels(text) {
  const [head = [], ...rows] = text
      .split(/\r?\n/)
      .filter(Boolean)
      .map(line => line.split("\t")),
    at = head.indexOf("node"),
    what = head.indexOf("label"),
    known = rows.filter(row => A.rowOf.has(Number(row[at])));
  if (at < 0 || what < 0)
    return warn("Nothing was imported: the first line has no columns node and label.");
  for (const row of known) setLabel(Number(row[at]), row[what]);
  keepLabels();
  return warn(`${known.length} labels imported; ${rows.length - known.length} rows name no node here.`);
}

/** Shows a message at the head of the page, once, until the reader closes it. */
function warn(text) {
  if ([...$("alerts").children].some(line => line.firstChild.textContent === text)) return;
  const line = h(
    "p.alert",
    h("span", text),
    button("×", () => line.remove(), { aria: "Close this message" })
  );
  $("alerts").append(line);
}
