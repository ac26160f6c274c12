"use strict";
// One node: verdict, motifs, matches as they were aligned; its examples and other evidence follow.

const ALIGNS = ["activation", "motif", "genome"];
const nodeName = (row) =>
  [`n${value("node", row)}`, labels.get(value("node", row)) ?? value("target_name", row) ?? value("best_match", row)]
    .filter(Boolean)
    .join(" ");
const nodeLink = (row) => h("a", { href: `#n=${value("node", row)}` }, nodeName(row));
const bestMotif = ({ row, motifs }) => motifs.find(({ id }) => id === value("best_motif_id", row)) ?? motifs[0];

/** What the node is, and the evidence for it, in few words. */
function verdict(node) {
  const get = (name) => value(name, node.row),
    motif = bestMotif(node),
    [kind, what] = (get("explained_by") ?? "").split(": "),
    [carry, of] = node.n_top_with_motif ?? [],
    n = get("n_seqlets");
  const carried = of && `${percent(carry / of)} of the top ${of} carry it`,
    e = motif && `${motif.consensus}, E\u00a0=\u00a0${tiny(motif.e_value, motif.log10_e)}`;
  if (kind === "repeat")
    return [
      what,
      `a repeat, q\u00a0=\u00a0${num(get("repeat_q"), 2)}`,
      `${percent(get("repeat_class_share"))} of its seqlets lie in it`,
    ];
  if (get("named"))
    return [get("target_name") ?? get("best_match"), `q\u00a0=\u00a0${num(get("match_q_value"), 2)}`, carried];
  if (!motif) return ["No motif", `none was found in ${n} seqlet${n === 1 ? "" : "s"}`];
  if (!motif.significant) return ["No significant motif", `the best try: ${e}`];
  return [kind === "low complexity" ? "Low complexity" : "A motif without a name", e, carried];
}

function calibrated({ row }) {
  const kind = value("named", row) ? "match" : "motif",
    q = value(`${kind}_q_null`, row),
    stands = value(kind === "match" ? "named_calibrated" : "motif_calibrated", row);
  if (q === null) return value("motif_significant", row) === null ? "" : "Not held against null sets.";
  const text = stands
    ? `Its ${kind} stands out from every kind of null set`
    : `Its ${kind} does not stand out: null sets have as good a one`;
  return `${text} (q\u00a0=\u00a0${num(q, 2)}).`;
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
      facts.filter(Boolean).map((text) => `, ${text}`),
    ),
    h("p", calibrated(node)),
  );
}

/** Query over target at TomTom's offset and strand; `turned` shows both on the other strand. */
function alignment(query, target, { offset, orientation }, turned, column = 13) {
  const shift = turned ? (target.length - query.length) / 4 - offset : offset,
    left = Math.min(0, shift);
  return h(
    "div.pair",
    [
      ["query", query, shift, turned],
      ["target", target, 0, (orientation === "-") !== turned],
    ].map(([name, matrix, at, turn]) => {
      const drawn = logo(turn ? reverseComplement(matrix) : matrix, column, 44);
      drawn.style.marginLeft = `${column * (at - left)}px`;
      return h(`div.${name}`, drawn);
    }),
  );
}

function matchView(node, motif, match, turned) {
  const target = node.targets[match.target],
    id = target?.id ?? "a matrix that could not be read",
    more = [target?.name && id, target?.database];
  const facts = [
    `p = ${tiny(match.p_value, match.log10_p)}`,
    `E = ${num(match.e_value, 2)}`,
    `q = ${num(match.q_value, 2)}`,
    match.q_null !== null && `q of nulls = ${num(match.q_null, 2)}`,
    `strand ${match.orientation}`,
    `offset ${match.offset}`,
    `${match.overlap} bp`,
    !match.significant && "not significant",
    match.promiscuous && "many null motifs match it",
  ];
  return h(
    match.significant ? "li.match" : "li.match.weak",
    target && wide(`Alignment with ${id}`, alignment(motif.matrix, target.matrix, match, turned)),
    h(
      "p",
      h("b", target?.name ?? id),
      " ",
      h("small", more.filter(Boolean).join(" · ")),
      h("br"),
      facts.filter(Boolean).join(" · "),
    ),
  );
}

function motifView(node, motif, state, short) {
  const { id, matches, significant } = motif,
    turned = state.turned.has(id),
    best = motif === bestMotif(node),
    matrix = turned ? reverseComplement(motif.matrix) : motif.matrix;
  const facts = {
    E: tiny(motif.e_value, motif.log10_e),
    q: num(motif.q_value, 2),
    sites: motif.n_seqlets ? `${motif.n_sites} of ${motif.n_seqlets} seqlets` : motif.n_sites,
    forward: percent(motif.share_forward),
    bits: num(motif.information_bits),
    flag: motif.flag && words(motif.flag),
    engine: motif.engine,
  };
  const first = short ? 1 : 3,
    draw = (some) =>
      h(
        "ol.matches",
        some.map((match) => matchView(node, motif, match, turned)),
      ),
    more = matches.slice(first);
  const rest = more.length > 0 && !short && folded(`${more.length} more of ${motif.n_matches} matches`);
  if (rest) rest.addEventListener("toggle", () => rest.append(draw(more)), { once: true });
  return h(
    significant ? "section.motif" : "section.motif.weak",
    h(
      "div.head",
      h("h3", id, h("small", best ? " best" : "", significant ? "" : " not significant")),
      wide(
        `Logo of ${id}`,
        logo(matrix, short ? 20 : Math.min(44, Math.max(14, 2400 / matrix.length)), best && !short ? 130 : 80),
      ),
      h(
        "p.facts",
        Object.entries(facts)
          .filter(([, x]) => x)
          .map(([name, x]) => h("span", h("small", name), ` ${x}`)),
      ),
      h(
        "p.controls",
        button("Reverse complement", () => state.turn(id), { "aria-pressed": String(turned) }),
        memeButton(`${id}.meme`, [motif]),
      ),
    ),
    h("div", matches.length ? draw(matches.slice(0, first)) : note("No match was reported."), rest),
  );
}

/** What of the address is about a node's view; `redraw` draws a part again. */
function nodeState(p, redraw) {
  const turned = new Set(p.get("rc")?.split(",")),
    state = {
      turned,
      align: ALIGNS.find((x) => x === p.get("align")) ?? "activation",
      flipped: p.get("flip") === "1",
    };
  const write = (key, x) => {
    const now = params();
    if (x) now.set(key, x);
    else now.delete(key);
    replaceHash(now);
  };
  state.turn = (id) => {
    if (!turned.delete(id)) turned.add(id);
    write("rc", [...turned].join());
    redraw("motifs");
  };
  state.set = (key, x) => {
    state[key] = x;
    write("align", state.align === "activation" ? "" : state.align);
    write("flip", state.flipped ? "1" : "");
    redraw("bands");
  };
  return state;
}

/** The parts of a node's page that its state draws: {motifs, controls, bands}. */
function nodeParts(node, p, short) {
  const draw = {
    motifs: () =>
      node.motifs.length
        ? (short ? [bestMotif(node)] : node.motifs).map((motif) => motifView(node, motif, state, short))
        : note("The engine reported no motif for this node."),
    bands: () => bandsView(node, state, ...(short ? [[0], 25] : [])),
  };
  const redraw = (name) => parts[name].replaceChildren(...[draw[name]()].flat()),
    state = nodeState(p, redraw),
    parts = { motifs: h("div.motifs"), bands: h("div.bands") };
  Object.keys(draw).forEach(redraw);
  parts.controls = h(
    "p.controls",
    h(
      "span",
      { role: "radiogroup", aria: "Align examples by" },
      "align by ",
      ALIGNS.map((value) =>
        h(
          "label",
          h("input", {
            type: "radio",
            name: `align${node.node}`,
            value,
            checked: state.align === value,
            onchange: () => state.set("align", value),
          }),
          value,
        ),
      ),
    ),
    h(
      "label",
      h("input", {
        type: "checkbox",
        checked: state.flipped,
        onchange: (event) => state.set("flipped", event.target.checked),
      }),
      "flip strands",
    ),
    node.examples && tsvButton(`n${node.node}_examples.tsv`, () => exampleTable(node)),
  );
  return parts;
}

const upLink = () => h("a", { href: table.hash ?? "#" }, "All nodes");

function nodePage(node, p) {
  const { row, motifs } = node,
    at = table.view.indexOf(row),
    step = (by) => at >= 0 && table.view[at + by] !== undefined && nodeLink(table.view[at + by]),
    parts = nodeParts(node, p);
  const label = h("input", {
    value: labels.get(node.node) ?? "",
    maxlength: 200,
    onchange: () => {
      setLabel(node.node, label.value);
      keepLabels();
    },
  });
  return [
    h(
      "nav",
      { aria: "Nodes" },
      upLink(),
      h("span", step(-1) && ["← ", step(-1)]),
      h("span", step(1) && [step(1), " →"]),
    ),
    h("p.which", `node ${node.node} · rank ${node.rank}`, h("label.mine", "Your label ", label)),
    verdictView(node, "h1"),
    figuresView(row),
    section("Motifs and matches", motifs.length > 1 && memeButton(`n${node.node}.meme`, motifs), parts.motifs),
    section("Examples", parts.controls, parts.bands),
    evidence(node),
  ];
}

function comparePage(nodes, p) {
  const [a, b] = nodes,
    found = (x, y, kind) => x.neighbours[kind].find(([row]) => row === y.row)?.[1];
  const similar = b
    ? Object.keys(SIMILAR).map((kind) => [
        SIMILAR[kind],
        found(a, b, kind) ?? found(b, a, kind) ?? "not among the ten nearest",
      ])
    : [];
  return [
    h("nav", { aria: "Nodes" }, upLink()),
    h("h1", { tabindex: -1 }, `Side by side: ${nodes.map(({ node }) => `n${node}`).join(", ")}`),
    similar.length > 0 && grid(["similarity", "value"], similar, "Similarity"),
    h(
      "div.columns",
      nodes.map((node) => {
        const { motifs, controls, bands } = nodeParts(node, p, true);
        return h(
          "section.column",
          { aria: `node ${node.node}` },
          h("p.which", h("span", nodeLink(node.row), ` · rank ${node.rank}`)),
          verdictView(node, "h2"),
          motifs,
          controls,
          bands,
        );
      }),
    ),
    section(
      "Figures",
      grid(
        ["figure", ...nodes.map(({ row }) => nodeLink(row))],
        A.columns.map((c) => [words(c.name), ...nodes.map(({ row }) => c.get(row))]),
        "Figures",
      ),
    ),
  ];
}
