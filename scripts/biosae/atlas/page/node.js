"use strict";
// One node: verdict, motifs, matches drawn as they were aligned, then what evidence.js and examples.js add.

const ALIGNS = { activation: "activation", motif: "motif", genome: "genome" };

function nodeName(row) {
  const node = value("node", row), text = labels.get(node) ?? value("target_name", row) ?? value("best_match", row);
  return text ? `n${node} ${text}` : `n${node}`;
}
function nodeLink(row, text = nodeName(row)) { return el("a", { href: `#n=${value("node", row)}` }, text); }

function bestMotif(node) {
  const id = value("best_motif_id", node.row);
  return node.motifs.find((motif) => motif.id === id) ?? node.motifs[0] ?? null;
}

/** [what the node is, its evidence] in one line each, from nodes.tsv. */
function verdict(node) {
  const get = (name) => value(name, node.row), motif = bestMotif(node), [kind, what] = (get("explained_by") ?? "").split(": ");
  const carry = node.n_top_with_motif?.[1] ? `${percent(node.n_top_with_motif[0] / node.n_top_with_motif[1])} of the top ${node.n_top_with_motif[1]} carry it` : null;
  const e = motif && `E = ${tiny(motif.e_value, motif.log10_e)}`;
  if (kind === "repeat") return [what, [`a repeat, q = ${num(get("repeat_q"), 2)}`, `${percent(get("repeat_class_share"))} of its seqlets lie in it`]];
  if (get("named")) return [get("target_name") ?? get("best_match"), [`q = ${num(get("match_q_value"), 2)}`, carry]];
  if (!motif) return ["No motif", [`none was found in ${get("n_seqlets")} seqlet${get("n_seqlets") === 1 ? "" : "s"}`]];
  if (kind === "low complexity") return ["Low complexity", [`${motif.consensus}, ${e}`, carry]];
  return motif.significant ? ["A motif without a name", [`${motif.consensus}, ${e}`, carry]] : ["No significant motif", [`the best try: ${motif.consensus}, ${e}`]];
}

function calibrated(node) {
  const got = value("named", node.row) ? ["match", value("match_q_null", node.row), value("named_calibrated", node.row)]
    : ["motif", value("motif_q_null", node.row), value("motif_calibrated", node.row)];
  if (got[1] === null) return node.motifs.length ? "Not held against null sets." : null;
  return got[2] ? `Its ${got[0]} stands out from every kind of null set (q = ${num(got[1], 2)}).`
    : `Null sets have as good a ${got[0]} too often for it to stand out (q = ${num(got[1], 2)}).`;
}

/** Query over target as TomTom aligned them; `turned` shows both on the other strand. */
function alignment(query, target, { offset, orientation }, turned, column = 13, height = 44) {
  const q = turned ? reverseComplement(query) : query, wq = query.length / 4, wt = target.length / 4;
  const t = (orientation === "-") !== turned ? reverseComplement(target) : target;
  const shift = turned ? wt - offset - wq : offset, left = Math.min(0, shift);
  const place = (matrix, at, name) => {
    const drawn = logo(matrix, column, height);
    drawn.style.marginLeft = `${column * (at - left)}px`;
    drawn.setAttribute("data-at", at);
    return el(`div.${name}`, null, drawn);
  };
  return el("div.pair", null, place(q, shift, "query"), place(t, 0, "target"));
}

function matchView(node, motif, match, turned) {
  const target = node.targets[match.target];
  const facts = [`p = ${tiny(match.p_value, match.log10_p)}`, `E = ${num(match.e_value, 2)}`, `q = ${num(match.q_value, 2)}`,
    match.q_null === null ? null : `q of nulls = ${num(match.q_null, 2)}`, `strand ${match.orientation}`, `offset ${match.offset}`, `${match.overlap} bp`];
  return el(match.significant ? "li.match" : "li.match.weak", null,
    el("div.wide", { tabindex: 0, role: "region", "aria-label": `Alignment of ${motif.id} and ${target.id}` }, alignment(motif.matrix, target.matrix, match, turned)),
    el("p", null, el("b", null, target.name ?? target.id), " ", el("small", null, target.name ? `${target.id} · ` : "", target.database), el("br"),
      facts.filter(Boolean).join(" · "), match.significant ? null : " · not significant", match.promiscuous ? " · matched by many null motifs" : null));
}

function motifView(node, motif, state, compact) {
  const turned = state.turned.has(motif.id), best = motif === bestMotif(node);
  const facts = [["E", tiny(motif.e_value, motif.log10_e)], ["q", num(motif.q_value, 2)], ["sites", `${motif.n_sites}${motif.n_seqlets ? ` of ${motif.n_seqlets} seqlets` : ""}`],
    ["forward", percent(motif.share_forward)], ["bits", num(motif.information_bits)], ["flag", motif.flag && words(motif.flag)], ["engine", motif.engine]];
  const matrix = turned ? reverseComplement(motif.matrix) : motif.matrix, column = compact ? 20 : Math.min(44, Math.max(14, 640 / (matrix.length / 4)));
  const shown = motif.matches.slice(0, compact ? 1 : 3), rest = motif.matches.slice(shown.length);
  const draw = (match) => matchView(node, motif, match, turned);
  const more = !compact && rest.length && el("details", { ontoggle: (event) => { if (event.target.children.length < 2) event.target.append(el("ol.matches", null, rest.map(draw))); } },
    el("summary", null, `${rest.length} more matches${motif.n_matches > motif.matches.length ? ` of ${motif.n_matches}` : ""}`));
  return el(motif.significant ? "section.motif" : "section.motif.weak", { "data-motif": motif.id },
    el("h3", null, motif.id, el("small", null, best ? " best" : "", motif.significant ? "" : " not significant")),
    el("div.wide", { tabindex: 0, role: "region", "aria-label": `Logo of ${motif.id}` }, logo(matrix, column, best && !compact ? 130 : 80)),
    el("p.facts", null, facts.filter(([, x]) => x !== null && x !== undefined).map(([name, x]) => el("span", null, el("small", null, name), ` ${x}`))),
    el("p.controls", null, button("Reverse complement", () => state.turn(motif.id), { "aria-pressed": String(turned) }),
      button("MEME", () => save(`${motif.id}.meme`, memeText([motif])), { class: "small", "aria-label": `Download ${motif.id} in MEME format` })),
    shown.length ? el("ol.matches", null, shown.map(draw)) : el("p.note", null, "No match was reported."), more || null);
}

function labelBox(node) {
  return el("label.mine", null, "Your label ", el("input", { value: labels.get(node.node) ?? "", maxlength: 200, onchange: (event) => setLabel(node.node, event.target.value) }));
}

function verdictView(node, tag) {
  const [name, facts] = verdict(node), mine = labels.get(node.node);
  return el("div.verdict", null, el(tag, { tabindex: -1 }, el("b", null, mine ?? name), mine ? ` (${name})` : "", facts.filter(Boolean).map((x) => `, ${x}`).join("")), el("p", null, calibrated(node)));
}

/** State of one node's view: what of the address is about it. */
function nodeState(node, params, redraw) {
  const turned = new Set((params.get("rc") ?? "").split(",").filter(Boolean));
  const write = (key, x) => { changeHash((p) => (x ? p.set(key, x) : p.delete(key))); };
  const state = { turned, align: ALIGNS[params.get("align")] ?? "activation", flipped: params.get("flip") === "1" };
  state.turn = (id) => { turned[turned.has(id) ? "delete" : "add"](id); write("rc", [...turned].join(",")); redraw("motifs"); };
  state.set = (align, flipped) => { Object.assign(state, { align, flipped }); write("align", align === "activation" ? "" : align); write("flip", flipped ? "1" : ""); redraw("examples"); };
  return state;
}

function exampleControls(node, state) {
  const name = `align${node.node}`;
  return el("p.controls", null, el("span", { role: "radiogroup", "aria-label": "Align examples by" }, "align by ", Object.keys(ALIGNS).map((key) =>
    el("label", null, el("input", { type: "radio", name, value: key, checked: state.align === key, onchange: () => state.set(key, state.flipped) }), key))),
  el("label", null, el("input", { type: "checkbox", checked: state.flipped, onchange: (event) => state.set(state.align, event.target.checked) }), "flip strands"),
  node.examples ? tsvButton(`n${node.node}_examples.tsv`, { get length() { return node.examples.n; }, ...exampleRows(node) }) : null);
}

/** Holder of a part that is drawn again when its state changes. */
function part(id, draw) {
  const holder = el(`div.${id}`);
  holder.redraw = () => holder.replaceChildren(...[draw()].flat(2).filter(Boolean));
  holder.redraw();
  return holder;
}

function nodePage(node, params) {
  const parts = {}, state = nodeState(node, params, (id) => parts[id].redraw());
  const at = table.view.indexOf(node.row), step = (by) => (at >= 0 && table.view[at + by] !== undefined ? nodeLink(table.view[at + by]) : null);
  parts.motifs = part("motifs", () => (node.motifs.length ? node.motifs.map((motif) => motifView(node, motif, state)) : el("p.note", null, "The engine reported no motif for this node.")));
  parts.examples = part("bands", () => examplesView(node, { align: state.align, turned: state.flipped }));
  return [el("nav", { "aria-label": "Nodes" }, el("a", { href: table.hash ?? "#", rel: "up" }, "All nodes"),
    el("span", null, step(-1) && ["← ", step(-1)], " "), el("span", null, step(1) && [step(1), " →"])),
  el("p.which", null, `node ${node.node} · rank ${node.rank}`, labelBox(node)), verdictView(node, "h1"), factsView(node),
  el("section", null, el("h2", null, "Motifs and matches ", node.motifs.length ? button("MEME", () => save(`n${node.node}.meme`, memeText(node.motifs)), { class: "small", "aria-label": "Download the motifs of this node" }) : null), parts.motifs),
  el("section", null, el("h2", null, "Examples"), exampleControls(node, state), parts.examples), evidence(node)];
}

function comparePage(nodes, params) {
  const head = ["", ...nodes.map((node) => nodeLink(node.row))];
  const rows = A.columns.filter(({ name }) => name !== "rank").map((c) => [words(c.name), ...nodes.map((node) => c.get(node.row))]);
  const similar = nodes.length === 2 ? Object.entries(nodes[0].neighbours).map(([kind, found]) => {
    const got = found.find(([row]) => row === nodes[1].row) ?? nodes[1].neighbours[kind].find(([row]) => row === nodes[0].row);
    return [SIMILAR[kind], got ? got[1] : "not among the ten nearest"];
  }) : [];
  const columns = nodes.map((node) => {
    const parts = {}, state = nodeState(node, params, (id) => parts[id].redraw());
    parts.motifs = part("motifs", () => node.motifs.slice(0, 1).map(() => motifView(node, bestMotif(node), state, true)));
    parts.examples = part("bands", () => examplesView(node, { align: state.align, turned: state.flipped }, [0], 25));
    return el("section.column", { "aria-label": `node ${node.node}` }, el("p.which", null, nodeLink(node.row), ` · rank ${node.rank}`), verdictView(node, "h2"), parts.motifs, exampleControls(node, state), parts.examples);
  });
  return [el("nav", { "aria-label": "Nodes" }, el("a", { href: table.hash ?? "#" }, "All nodes")), el("h1", { tabindex: -1 }, `Side by side: ${nodes.map((node) => `n${node.node}`).join(", ")}`),
    similar.length ? grid(["similarity", "value"], similar, "Similarity of the two") : null, el("div.columns", null, columns), el("section", null, el("h2", null, "Figures"), grid(head, rows, "Figures of the nodes"))];
}
