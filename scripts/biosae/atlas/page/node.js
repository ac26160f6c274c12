"use strict";
// One node: verdict, motifs, matches as they were aligned; its examples and other evidence follow.

const ALIGNS = ["activation", "motif", "genome"];

/** Query over target at TomTom's offset and strand; `turned` shows both on the other strand. */
function alignment(query, target, { offset, orientation }, turned, column = 13) {
  const shift = turned ? (target.length - query.length) / 4 - offset : offset,
    left = min(0, shift);
  return h(
    "div.pair",
    [
      ["query", query, shift, turned],
      ["target", target, 0, (orientation === "-") !== turned]
    ].map(([name, matrix, at, turn]) => {
      const drawn = logo(turn ? reverseComplement(matrix) : matrix, column, 44);
      drawn.style.marginLeft = `${column * (at - left)}px`;
      return h(`div.${name}`, drawn);
    })
  );
}

function matchView(node, motif, match, turned) {
  const target = node.targets[match.target],
    id = target?.id ?? "unread matrix",
    more = [target?.name && id, target?.database],
    facts = [
      `p = ${tiny(match.p_value, match.log10_p)}`,
      `E = ${num(match.e_value, 2)}`,
      `q = ${num(match.q_value, 2)}`,
      match.q_null !== null && `q of nulls = ${num(match.q_null, 2)}`,
      `strand ${match.orientation}`,
      `offset ${match.offset}`,
      `${match.overlap} bp`,
      !match.significant && "not significant",
      match.promiscuous && "many null motifs match it"
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
      facts.filter(Boolean).join(" · ")
    )
  );
}

function motifView(node, motif, state, short) {
  const { id, matches, significant } = motif,
    turned = state.turned.has(id),
    best = motif === bestMotif(node),
    matrix = turned ? reverseComplement(motif.matrix) : motif.matrix,
    facts = {
      E: tiny(motif.e_value, motif.log10_e),
      q: num(motif.q_value, 2),
      sites: `${motif.n_sites} of ${motif.n_seqlets} seqlets`,
      forward: motif.share_forward !== null && percent(motif.share_forward),
      bits: num(motif.information_bits),
      flag: motif.flag && words(motif.flag),
      engine: motif.engine
    },
    first = short ? 1 : 3,
    draw = some =>
      h(
        "ol.matches",
        some.map(match => matchView(node, motif, match, turned))
      ),
    more = matches.slice(first),
    rest = more.length > 0 && !short && folded(`${more.length} more of ${motif.n_matches} matches`);
  if (rest) rest.addEventListener("toggle", () => rest.append(draw(more)), { once: true });
  return h(
    significant ? "section.motif" : "section.motif.weak",
    { "data-motif": id },
    h(
      "div.head",
      h("h3", id, h("small", best ? " best" : "", significant ? "" : " not significant")),
      wide(
        `Logo of ${id}`,
        logo(matrix, short ? 20 : min(44, max(14, 2400 / matrix.length)), best && !short ? 130 : 80)
      ),
      h(
        "p.facts",
        Object.entries(facts)
          .filter(([, x]) => x)
          .map(([name, x]) => h("span", h("small", name), ` ${x}`))
      ),
      h(
        "p.controls",
        button("Reverse complement", () => state.turn(id), { "aria-pressed": String(turned) }),
        memeButton(`${id}.meme`, [motif])
      )
    ),
    h("div", matches.length ? draw(matches.slice(0, first)) : note("No match was reported."), rest)
  );
}

/** What of the address is about a node's view; `redraw` draws a part again. */
function nodeState(p, redraw) {
  const turned = new Set(p.get("rc")?.split(",")),
    state = { turned, align: ALIGNS.find(x => x === p.get("align")) ?? ALIGNS[0], flipped: p.get("flip") === "1" },
    write = part => {
      const now = params(),
        said = {
          rc: [...turned].join(),
          align: state.align === ALIGNS[0] ? "" : state.align,
          flip: state.flipped ? "1" : ""
        };
      for (const key in said) {
        if (said[key]) now.set(key, said[key]);
        else now.delete(key);
      }
      replaceHash(now);
      redraw(part);
    };
  state.turn = id => {
    if (!turned.delete(id)) turned.add(id);
    write("motifs");
  };
  state.set = (key, x) => {
    state[key] = x;
    write("bands");
  };
  return state;
}

/** The parts of a node's page that its state draws: {motifs, controls, bands}. */
function nodeParts(node, p, short) {
  const draw = {
      motifs: () =>
        node.motifs.length
          ? [bestMotif(node), ...(short ? [] : node.motifs.filter(motif => motif !== bestMotif(node)))].map(motif =>
              motifView(node, motif, state, short)
            )
          : note("No motif was reported."),
      bands: () => bandsView(node, state, ...(short ? [[0], 25] : []))
    },
    redraw = name => parts[name].replaceChildren(...[draw[name]()].flat()),
    state = nodeState(p, redraw),
    parts = { redraw, motifs: h("div.motifs"), bands: h("div.bands") };
  redraw("motifs");
  if (short) redraw("bands");
  parts.controls = h(
    "p.controls",
    h(
      "span",
      { role: "radiogroup", aria: "Align examples by" },
      "align by ",
      ALIGNS.map(value =>
        h(
          "label",
          h("input", {
            type: "radio",
            name: `align${node.node}`,
            value,
            checked: state.align === value,
            onchange: () => state.set("align", value)
          }),
          value
        )
      )
    ),
    h(
      "label",
      h("input", {
        type: "checkbox",
        checked: state.flipped,
        onchange: event => state.set("flipped", event.target.checked)
      }),
      "flip strands"
    ),
    node.examples && tsvButton(`n${node.node}_examples.tsv`, () => exampleTable(node))
  );
  return parts;
}

const upLink = () => h("a", { href: table.hash ?? "#" }, "All nodes");

/** What is seen first, and last a function that makes the rest. */
function nodePage(node, p) {
  const { row, motifs } = node,
    at = table.view.indexOf(row),
    step = by => at >= 0 && table.view[at + by] != null && nodeLink(table.view[at + by]),
    parts = nodeParts(node, p),
    label = h("input", {
      value: labels.get(node.node) ?? "",
      maxlength: 200,
      onchange: () => {
        setLabel(node.node, label.value);
        keepLabels();
      }
    });
  return [
    h(
      "nav",
      { aria: "Nodes" },
      upLink(),
      h("span", step(-1) && ["← ", step(-1)]),
      h("span", step(1) && [step(1), " →"])
    ),
    h("p.which", `node ${node.node} · rank ${node.rank}`, h("label.mine", "Your label ", label)),
    verdictView(node, "h1"),
    figuresView(row),
    section("Motifs and matches", motifs.length > 1 && memeButton(`n${node.node}.meme`, motifs), parts.motifs),
    () => {
      parts.redraw("bands");
      return h("div", section("Examples", parts.controls, parts.bands), evidence(node));
    }
  ];
}

/** The same of nodes beside each other. */
function comparePage(nodes, p) {
  const [a, b] = nodes,
    found = (x, y, kind) => x.neighbours[kind].find(([row]) => row === y.row)?.[1],
    similar = b
      ? Object.keys(SIMILAR).map(kind => [
          SIMILAR[kind],
          found(a, b, kind) ?? found(b, a, kind) ?? "not in the nearest ten"
        ])
      : [];
  return [
    h("nav", { aria: "Nodes" }, upLink()),
    h("h1", { tabindex: -1 }, "Side by side: " + nodes.map(({ node }) => `n${node}`).join(", ")),
    similar.length > 0 && grid(["similarity", "value"], similar, "Similarity"),
    h(
      "div.columns",
      nodes.map(node => {
        const { motifs, controls, bands } = nodeParts(node, p, true);
        return h(
          "section.column",
          { aria: `node ${node.node}` },
          h("p.which", h("span", nodeLink(node.row), ` · rank ${node.rank}`)),
          verdictView(node, "h2"),
          motifs,
          controls,
          bands
        );
      })
    ),
    () =>
      section(
        "Figures",
        grid(
          ["figure", ...nodes.map(({ row }) => nodeLink(row))],
          A.columns.map(c => [words(c.name), ...nodes.map(({ row }) => c.get(row))]),
          "Figures"
        )
      )
  ];
}
