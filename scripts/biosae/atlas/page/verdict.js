"use strict";
// What a node is called and what is said of it in one line.

const LOW = "low complexity";
/** "n127 GATA1": the reader's label, else what explains the node, else its motif. */
function nodeName(row) {
  const node = value("node", row),
    [kind, what] = (value("explained_by", row) ?? "").split(": ");
  return [`n${node}`, value("label", row) ?? what ?? (kind === LOW ? kind : value("consensus", row))]
    .filter(Boolean)
    .join(" ");
}
const openNode = row => {
  location.hash = `n=${value("node", row)}`;
};
const nodeLink = row => h("a", { href: `#n=${value("node", row)}` }, nodeName(row));
const bestMotif = ({ row, motifs }) => motifs.find(({ id }) => id === value("best_motif_id", row)) ?? motifs[0];

/** What the node is, and the evidence for it, in few words. */
function verdict(node) {
  const get = name => value(name, node.row),
    motif = bestMotif(node),
    [kind, what] = (get("explained_by") ?? "").split(": "),
    [carry, of] = node.n_top_with_motif ?? [],
    carried = of && `${percent(carry / of)} of the top ${of} carry it`,
    e = motif && `${motif.consensus}, E = ${tiny(motif.e_value, motif.log10_e)}`;
  if (kind === "repeat")
    return [
      what,
      `a repeat, q = ${num(get("repeat_q"), 2)}`,
      `${percent(get("repeat_class_share"))} of its seqlets lie in it`
    ];
  if (motif && kind === LOW) return ["Low complexity", e, carried];
  if (get("named")) {
    const same = get("match_motif_id") === get("best_motif_id"); // n_top_with_motif is of the best motif
    return [get("target_name") ?? get("best_match"), `q = ${num(get("match_q_value"), 2)}`, same && carried];
  }
  if (!motif) return ["No motif", `none was found in ${get("n_seqlets")} seqlets`];
  return motif.significant ? ["A motif without a name", e, carried] : ["No significant motif", `the best try: ${e}`];
}

function calibrated({ row }) {
  const [kind, stands, name] = value("named", row)
      ? ["match", "named", "target_name"]
      : ["motif", "motif", "consensus"],
    q = value(`${kind}_q_null`, row);
  if (q === null) return value("motif_significant", row) === null ? "" : "Not held against null sets.";
  const text = value(`${stands}_calibrated`, row)
    ? "stands out from every kind of null set"
    : "does not stand out from null sets";
  return `Its ${kind} ${value(name, row)} ${text} (q = ${num(q, 2)}).`.replaceAll(" = ", " = ");
}

function verdictView(node, tag) {
  const [name, ...facts] = verdict(node),
    mine = labels.get(node.node);
  return h(
    "div.verdict",
    h(
      tag,
      { tabindex: -1 },
      h("b", mine ?? name),
      mine ? ` (${name})` : "",
      facts.filter(Boolean).map(text => `, ${text}`.replace(" = ", " = "))
    ),
    h("p", calibrated(node))
  );
}
