"""The page of one node: verdict, logos, alignments, examples, evidence, comparison."""

import numpy as np
import pytest
import small_atlas
from small_atlas import (
    MARKUP,
    N,
    ONE_SEQLET,
    WINDOW,
    WITHOUT_EXAMPLES,
    WITHOUT_MOTIF,
    motif_matrix,
    node_number,
)

TABLE = small_atlas.table()
# Heights of the letters of a logo in bits, read back from the drawing: per column and base, from the path of that base.
HEIGHTS = """(svg => {
  const w = svg.viewBox.baseVal.width / 100, found = Array.from({length: w}, () => [0, 0, 0, 0]);
  [...'ACGT'].forEach((base, b) => {
    const path = svg.querySelector('path.' + base);
    if (!path) return;
    for (const part of path.getAttribute('d').split(/(?=M)/)) {
      const numbers = part.replace(/A[\\d.]+ [\\d.]+ 0 1 [01]/g, ' ').match(/-?[\\d.]+/g).map(Number);
      const xs = numbers.filter((_, i) => i % 2 === 0), ys = numbers.filter((_, i) => i % 2 === 1);
      const column = Math.floor(Math.min(...xs) / 100);
      const radius = part.match(/A[\\d.]+ ([\\d.]+) 0/);
      const height = radius ? 2 * radius[1] : Math.max(...ys) - Math.min(...ys);
      found[column][b] = Math.max(found[column][b], height / 200);
    }
  });
  return found;
})"""


def heights(matrix):
    """(w, 4) bits by the definition: p x (2 - entropy)."""
    p = np.asarray(matrix, float)
    return p * (2 + (p * np.log2(p)).sum(axis=1, keepdims=True))


def drawn(page, selector):
    return np.array(page.js(f"{HEIGHTS}(document.querySelector({selector!r}))"))


def reverse(matrix):
    return np.asarray(matrix)[::-1, ::-1]


def close(got, matrix):
    """Heights agree but for rounding to a unit and letters too low to draw."""
    wanted = heights(matrix)
    assert got.shape == wanted.shape
    assert np.abs(got - wanted).max() < 0.025


def test_the_verdict_is_one_line_with_name_q_and_share(page):
    page.open(f"#n={node_number(0)}")
    text = page.text(".verdict h1").replace("\u00a0", " ")
    assert text == "GATA1::TAL1, q = 3, 82 % of the top 100 carry it"
    assert "stands out" in page.text(".verdict p")
    page.go(f"#n={node_number(2)}")
    assert "without a name" in page.text(".verdict h1")
    page.go(f"#n={node_number(5)}")
    assert page.text(".verdict h1").startswith("Alu, a repeat")


@pytest.mark.parametrize("row", [0, 3, 63, 64, 129])
def test_every_column_of_the_tables_stands_on_the_page(page, row):
    page.open(f"#n={node_number(row)}")
    cells = page.js(
        "Object.fromEntries([...document.querySelectorAll('[data-column]')].map(td => [td.dataset.column, td.textContent]))"
    )
    assert list(cells) == list(TABLE)
    for name, text in cells.items():
        x = TABLE[name][row]
        if x is None:
            assert text == "–"
        elif isinstance(x, bool):
            assert text == ("yes" if x else "no")
        elif isinstance(x, float):
            assert float(text) == pytest.approx(x, rel=1e-6), name
        else:
            assert text == str(x), name


def test_logos_are_the_matrices(page):
    page.open(f"#n={node_number(0)}")
    close(drawn(page, ".head svg"), motif_matrix(0))
    page.go(f"#n={node_number(70)}")
    close(drawn(page, ".head svg"), motif_matrix(70))


def test_reverse_complement_turns_the_logo_and_both_rows_of_an_alignment(page):
    page.open(f"#n={node_number(0)}")
    page.click(".motif [aria-pressed]")
    page.wait("document.querySelector('.motif [aria-pressed]').getAttribute('aria-pressed') === 'true'")
    close(drawn(page, ".head svg"), reverse(motif_matrix(0)))
    close(drawn(page, ".match .query svg"), reverse(motif_matrix(0)))
    close(drawn(page, ".match .target svg"), reverse(motif_matrix(500, 12)))
    assert "rc=" in page.js("location.hash")


def columns(page, match, which):
    """(left edge, width of a column) of a drawn matrix, CSS px."""
    return page.js(
        f"(s => {{ const b = s.getBoundingClientRect(); return [b.x, b.width / (s.viewBox.baseVal.width / 100)]; }})"
        f"(document.querySelectorAll('.match')[{match}].querySelector('.{which} svg'))"
    )


@pytest.mark.parametrize("turned", [False, True])
def test_alignments_have_the_offset_and_strand_of_tomtom(page, turned):
    """First match: +, the query starts 2 columns after the target. Second: −, 3 columns before it."""
    page.open(f"#n={node_number(0)}" + (f"&rc=1_n{node_number(0)}_m1" if turned else ""))
    for match, offset, width, strand in ((0, 2, 12, "+"), (1, -3, 6, "-")):
        query, target = columns(page, match, "query"), columns(page, match, "target")
        assert query[1] == pytest.approx(target[1], abs=0.01)
        wanted = width - offset - 8 if turned else offset  # seen from the other end
        assert (query[0] - target[0]) / target[1] == pytest.approx(wanted, abs=0.02)
        matrix = motif_matrix(500, 12) if match == 0 else motif_matrix(501, 6)
        if (strand == "-") != turned:
            matrix = reverse(matrix)
        got = page.js(f"{HEIGHTS}(document.querySelectorAll('.match')[{match}].querySelector('.target svg'))")
        close(np.array(got), matrix)


def test_matches_tell_p_e_q_and_database_and_those_not_significant_are_grey(page):
    page.open(f"#n={node_number(0)}")
    first, second = page.texts(".match")
    for text in (
        "GATA1::TAL1",
        "MA0140.1",
        "jaspar.meme",
        "p = 1e-9",
        "E = 1e-6",
        "q = 3e-9",
        "strand +",
        "offset 2",
        "8 bp",
    ):
        assert text in first
    assert "not significant" in second
    assert "not significant" not in first
    grey = page.js("[...document.querySelectorAll('.match')].map(e => getComputedStyle(e).color)")
    assert grey[0] != grey[1]
    assert "5.6e-401" in page.text(".facts")  # below the range of a double: from its logarithm


def stored(row):
    """Sequences and activations of a row's examples as the fixture packed them: {name: array}."""
    payload = small_atlas.Payload()
    refs = small_atlas.examples(payload, row)
    raw = b"".join(payload.parts)
    values = {}
    for name, ref in refs.items():
        if isinstance(ref, dict):
            kind = small_atlas.CODES[ref["type"]]
            n = int(np.prod(ref["shape"]))
            values[name] = np.frombuffer(raw, kind, n, ref["at"]).reshape(ref["shape"])
    letters = []
    for i in range(refs["n"]):
        codes = [values["sequence"][i][j // 4] >> 2 * (j % 4) & 3 for j in range(WINDOW)]
        other = [values["other"][i][j // 8] >> (j % 8) & 1 for j in range(WINDOW)]
        letters.append("".join("N" if o else "ACGT"[c] for c, o in zip(codes, other, strict=True)))
    return values | {"text": letters}


def flip(text):
    return text.translate(str.maketrans("ACGT", "TGCA"))[::-1]


def shown_rows(page, band=0):
    return page.js(
        f"[...document.querySelectorAll('.band')[{band}].querySelectorAll('.bases')].map(e => e.textContent)"
    )


def test_examples_stand_band_by_band_strongest_first(page):
    page.open(f"#n={node_number(0)}")
    kept = stored(0)
    assert [t.split(" ")[0] for t in page.texts(".band h3")][0] == "top"
    assert page.count(".band") == 6
    assert shown_rows(page) == kept["text"][:100]
    assert shown_rows(page)[0][2] == "N"
    assert shown_rows(page, 5) == kept["text"][-3:]
    acts = page.js(
        "[...document.querySelector('.band').querySelectorAll('.act')].map(e => Number(e.textContent))"
    )
    assert acts == pytest.approx(kept["peak"][:100].tolist(), rel=6e-3)
    assert acts == sorted(acts, reverse=True)


def test_colour_of_each_base_is_its_activation(page):
    page.open(f"#n={node_number(0)}")
    style = page.js(
        "document.querySelector('.band .bases').style.background || document.querySelector('.band .bases').style.backgroundImage"
    )
    stops = page.js("readNode(0).then(node => background(example(node, 0).act, null, 8))")
    act = stored(0)["activation"][:, 0]
    steps = [part.split("calc(var(--full)*")[1] for part in stops.split("rgb")[1:]]
    painted = []
    for step in steps:
        share, rest = step.split("))")
        first, last = [float(x.strip(" %,)")) for x in rest.split("%")[:2]]
        painted += [float(share)] * round((last - first) / 100 * WINDOW)
    assert painted == pytest.approx((act / 255).tolist(), abs=0.006)
    assert "linear-gradient" in style


def test_flipped_strands_show_the_reverse_complement(page):
    page.open(f"#n={node_number(0)}&flip=1")
    assert shown_rows(page) == [flip(text) for text in stored(0)["text"][:100]]
    page.click(".controls [type=checkbox]")
    page.wait("!location.hash.includes('flip')")
    assert shown_rows(page) == stored(0)["text"][:100]


def test_aligned_by_the_genome_rows_read_forward_in_order_of_place(page):
    page.open(f"#n={node_number(0)}&align=genome")
    kept = stored(0)
    order = sorted(range(100), key=lambda i: (kept["chrom"][i], kept["start"][i]))
    wanted = [flip(kept["text"][i]) if kept["strand"][i] else kept["text"][i] for i in order]
    assert shown_rows(page) == wanted
    assert {text[-1] for text in page.texts(".locus")} == {"+"}


def test_aligned_by_the_motif_its_occurrences_stand_in_one_column(page):
    page.open(f"#n={node_number(0)}")
    page.click("input[value=motif]")
    page.wait("location.hash.includes('align=motif')")
    motif = TABLE["consensus"][0]
    rows = shown_rows(page)
    assert all(motif in text for text in rows[1:])
    lefts = page.js(
        "[...document.querySelectorAll('.band')[0].querySelectorAll('.bases')].map(e => e.getBoundingClientRect().x)"
    )
    width = page.js("document.querySelector('.examples .bases').getBoundingClientRect().width") / WINDOW
    at = stored(0)["motif_at"][:100].astype(int)
    turned = stored(0)["motif_strand"][:100]
    first = np.where(turned == 1, WINDOW - 8 - at, at)
    motif_x = np.array(lefts) + first * width
    assert np.ptp(motif_x) < 0.5
    assert [rows[i][first[i] : first[i] + 8] for i in range(1, 100)] == [motif] * 99


def test_each_example_links_to_ucsc_and_igv(page):
    page.open(f"#n={node_number(0)}")
    start = int(stored(0)["start"][0])
    ucsc, igv = page.js("[...document.querySelector('.examples li').querySelectorAll('a')].map(a => a.href)")
    assert (
        ucsc
        == f"https://genome.ucsc.edu/cgi-bin/hgTracks?db=hg38&position=chr1%3A{start + 1}-{start + WINDOW}"
    )
    assert igv == f"http://localhost:60151/goto?locus=chr1%3A{start + 1}-{start + WINDOW}"
    targets = page.js(
        "[...document.querySelectorAll('.examples a')].every(a => a.target === '_blank' && a.rel.includes('noreferrer'))"
    )
    assert targets


def test_histogram_enrichments_and_background(page):
    page.open(f"#n={node_number(0)}")
    assert page.texts("#one .chart title")[0] == "0 to 5: 100000 positions"
    assert page.js("document.querySelectorAll('#one .chart rect').length") == 3  # an empty bin has no bar
    one = page.text("#one")
    for text in ("truth: CTCF site", "40 % of 100".replace(" %", "\u00a0%"), "4 [2, 8]", "background 0.410"):
        assert text in one, text
    weak = page.js("[...document.querySelectorAll('#one tr.weak')].map(tr => tr.textContent)")
    assert len(weak) == 1
    assert MARKUP in weak[0]


def test_neighbours_lead_to_nodes_and_to_a_comparison(page):
    page.open(f"#n={node_number(0)}")
    assert page.texts(".neighbours h3") == ["decoder cosine", "co-activation cosine", "Jaccard of loci"]
    assert page.count(".neighbours div:first-child li") == 10
    page.click(".neighbours .small")
    page.wait(
        f"location.hash === '#cmp={node_number(0)},{node_number(1)}' && document.querySelector('.columns') !== null"
    )
    assert page.count(".column") == 2
    assert "0.850" in page.text("#one .wide")
    assert [t.split(",")[0] for t in page.texts(".verdict h2")] == ["GATA1::TAL1", "CTCF"]
    figures = page.js(
        "[...document.querySelectorAll('#one section:last-child tbody tr')].map(tr => [...tr.cells].map(c => c.textContent))"
    )
    assert ["n seqlets", "100", "101"] in figures


def test_a_node_without_motif_with_one_seqlet_without_examples(page):
    page.open(f"#n={node_number(WITHOUT_MOTIF)}")
    assert page.text(".verdict h1") == f"No motif, none was found in {100 + WITHOUT_MOTIF} seqlets"
    assert page.count(".band") == 6
    page.go(f"#n={node_number(ONE_SEQLET)}")
    assert page.count(".examples li") == 1
    page.go(f"#n={node_number(WITHOUT_EXAMPLES)}")
    assert "No examples" in page.text(".bands")
    assert page.alerts() == ""


def test_a_motif_is_saved_in_meme_format_that_a_reader_reads(page, tmp_path):
    from biosae.motifs.formats import read_meme

    page.open(f"#n={node_number(3)}")
    text = page.js(
        "(async () => { const old = save; let got; save = (n, t) => { got = t; }; document.querySelector('.motif [aria-label^=Download]').click(); save = old; return got; })()"
    )
    file = tmp_path / "motif.meme"
    file.write_text(text)
    (motif,) = read_meme(file)
    assert motif.matrix == pytest.approx(motif_matrix(3), abs=2e-6)


def test_examples_are_saved_as_stored(page):
    page.open(f"#n={node_number(0)}&flip=1&align=genome")
    rows = page.js("readNode(0).then(exampleTable)")
    kept = stored(0)
    assert [row["sequence"] for row in rows] == kept["text"]
    assert [row["start"] for row in rows] == kept["start"].tolist()
    assert rows[0]["end"] - rows[0]["start"] == WINDOW
    acts = [float(x) for x in rows[7]["per_base"].split(",")]
    assert acts == pytest.approx((kept["activation"][:, 7] / 255 * 20).tolist(), rel=1e-5)


def test_previous_and_next_follow_the_order_of_the_table(page):
    page.open("#sort=-density")
    order = page.js("[...table.view].map(row => A.column.node.values[row])")
    page.go(f"#n={order[3]}")
    assert page.js("[...document.querySelectorAll('nav a')].map(a => a.hash)") == [
        "#sort=-density",
        f"#n={order[2]}",
        f"#n={order[4]}",
    ]
    page.press("ArrowRight")
    page.wait(f"location.hash === '#n={order[4]}'")
    assert len(order) == N
