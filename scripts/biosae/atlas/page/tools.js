"use strict";
// Above the table: what is shown, the column chooser, files to save.

Object.assign(table, {
  drawStatus(unread, place) {
    const { filters, q } = this.state,
      n = this.view.length,
      gene = place?.gene;
    this.status.replaceChildren(
      h("output", { id: "count" }, `${n} of ${A.n_nodes} nodes ${place?.note ?? ""}`),
      ...Object.entries(filters).map(([name, text]) =>
        h(
          unread.includes(name) ? "span.chip.bad" : "span.chip",
          `${words(name)}${unread.includes(name) ? " cannot read" : ""} ${text}`,
          button(
            "×",
            () => {
              this.filter(name, "");
              this.drawHead();
            },
            { aria: `Drop the filter on ${words(name)}` }
          )
        )
      ),
      gene
        ? button(`${gene.text}: nodes with a window there`, () => {
            this.change({ q: `gene:${q}` });
            $("q").value = this.state.q;
          })
        : "",
      q || Object.keys(filters).length
        ? button("Clear", () => {
            this.set({ ...this.state, q: "", filters: {} });
            writeTableHash();
          })
        : ""
    );
    $("empty").textContent = n
      ? ""
      : A.n_nodes
        ? "No node fits."
        : "This run has no kept node: none passed the filters.";
  },

  chooser() {
    const list = h("div.menu", { role: "group", aria: "Columns" }),
      take = cols => this.change({ cols }).then(boxes),
      boxes = () =>
        list.replaceChildren(
          h(
            "p",
            button("All", () => take(this.names())),
            button("Usual", () => take(null))
          ),
          ...this.names().map(name => {
            const shown = this.shown(),
              checked = shown.includes(name);
            return h(
              "label",
              { title: A.column[name].text },
              h("input", {
                type: "checkbox",
                checked,
                onchange: () => take(this.names().filter(x => shown.includes(x) !== (x === name)))
              }),
              words(name)
            );
          })
        );
    return h("details", { ontoggle: boxes }, h("summary", "Columns"), list);
  },

  files() {
    const take = async ({ target }) => {
      importLabels(await target.files[0].text());
      target.value = "";
    };
    return folded(
      "Files",
      h(
        "div.menu",
        button("This table as shown, TSV", () => this.save()),
        button("My labels, TSV", exportLabels),
        h("label", "Import labels ", h("input", { type: "file", accept: ".tsv,.txt", onchange: take })),
        h(
          "ul",
          A.downloads.map(({ path, text, bytes }) =>
            h(
              "li",
              /^files(\/\w[\w.-]*)+$/.test(path) ? h("a", { href: path, download: true }, path.slice(6)) : path,
              ` ${text} (${num(bytes / 1e6, 2)} MB)`
            )
          )
        )
      )
    );
  },

  save() {
    const names = this.names().filter(name => name !== "logo"),
      text = x => (typeof x === "number" ? exact(x) : x);
    save("nodes_shown.tsv", tsv([names, ...Array.from(this.view, row => names.map(name => text(value(name, row))))]));
  }
});
