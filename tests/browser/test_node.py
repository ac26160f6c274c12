"""The page of one node: verdict, logos, alignments, examples, evidence, comparison."""

import numpy as np
import pytest
from small_atlas import table
from small_nodes import MARKUP, ONE_SEQLET, WITHOUT_EXAMPLES, WITHOUT_MOTIF, N, motif_matrix, node_number

from conftest import MISSING

TABLE = table()
# Heights of the letters of a logo in bits, read back from the drawn paths: a row a column, a value a base.
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
    logs = np.log2(p, out=np.zeros_like(p), where=p > 0)
    return p * np.maximum(0, 2 + (p * logs).sum(axis=1, keepdims=True))


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
    cells = page.values()
    assert list(cells) == list(TABLE)
    for name, text in cells.items():
        x = TABLE[name][row]
        if x is None:
            assert text == MISSING
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
        "((s, b = s.getBoundingClientRect()) => [b.x, 100 * b.width / s.viewBox.baseVal.width])"
        f"(document.querySelectorAll('.match')[{match}].querySelector('.{which} svg'))"
    )


@pytest.mark.parametrize("turned", [False, True])
def test_alignments_have_the_offset_and_strand_of_tomtom(page, turned):
    """First match: +, the query starts 2 columns after the target. Second: minus, 3 columns before it."""
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
    grey = page.each(".match", "getComputedStyle(e).color")
    assert grey[0] != grey[1]
    assert "5.6e-401" in page.text(".facts")  # below the range of a double: from its logarithm


def test_histogram_enrichments_and_background(page):
    page.open(f"#n={node_number(0)}")
    assert page.texts("#one .chart title")[0] == "0 to 5: 100000 positions"
    assert page.js("document.querySelectorAll('#one .chart rect').length") == 3  # an empty bin has no bar
    one = page.text("#one")
    for text in ("truth: CTCF site", "40 % of 100".replace(" %", "\u00a0%"), "4 [2, 8]", "background 0.410"):
        assert text in one, text
    weak = page.each("#one tr.weak", "e.textContent")
    assert len(weak) == 1
    assert MARKUP in weak[0]


def test_neighbours_lead_to_nodes_and_to_a_comparison(page):
    page.open(f"#n={node_number(0)}")
    assert page.texts(".neighbours h3") == ["decoder cosine", "co-activation cosine", "Jaccard of loci"]
    assert page.count(".neighbours div:first-child li") == 10
    page.click(".neighbours .small")
    page.wait(
        f"location.hash === '#cmp={node_number(0)},{node_number(1)}' && document.querySelector('.columns')"
    )
    assert page.count(".column") == 2
    assert "0.850" in page.text("#one .wide")
    assert [t.split(",")[0] for t in page.texts(".verdict h2")] == ["GATA1::TAL1", "CTCF"]
    figures = page.each("#one section:last-child tbody tr", "[...e.cells].map(c => c.textContent)")
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
    text = page.saved("document.querySelector('.motif [aria-label^=Download]').click()")
    file = tmp_path / "motif.meme"
    file.write_text(text)
    (motif,) = read_meme(file)
    assert motif.matrix == pytest.approx(motif_matrix(3), abs=2e-6)


def test_previous_and_next_follow_the_order_of_the_table(page):
    page.open("#sort=-density")
    order = page.js("[...table.view].map(row => A.column.node.values[row])")
    page.go(f"#n={order[3]}")
    assert page.each("nav a", "e.hash") == [
        "#sort=-density",
        f"#n={order[2]}",
        f"#n={order[4]}",
    ]
    page.press("ArrowRight")
    page.wait(f"location.hash === '#n={order[4]}'")
    assert len(order) == N
