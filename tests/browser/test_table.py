"""The table of all nodes: what stands in it, sorting, filters, search, columns, files."""

import json

import pytest
import small_atlas
from small_nodes import WITHOUT_MOTIF, N, node_number

from conftest import MISSING

TABLE = small_atlas.table()


def shown_nodes(page):
    """Node numbers of the whole view, in order."""
    return page.js("[...table.view].map(row => A.column.node.values[row])")


def nodes(rows):
    return [node_number(row) for row in rows]


def set_filter(page, name, text):
    page.js(f"(document.querySelector('[data-name={name}]').value = {json.dumps(text)}, 0)")
    page.js(f"document.querySelector('[data-name={name}]').dispatchEvent(new Event('input'))")
    page.wait(f"(table.state.filters[{json.dumps(name)}] ?? '') === {json.dumps(text)}")


def test_rows_stand_in_order_of_rank_with_the_values_of_the_tables(page):
    page.open("#cols=" + ",".join(TABLE))
    assert page.column("node")[:20] == [f"n{x}" for x in TABLE["node"][:20]]
    for name in ("rank", "n_seqlets", "cluster"):
        assert page.column(name)[:20] == [str(x) for x in TABLE[name][:20]]
    for name in ("mean_act", "density", "repeat_share", "match_q_value", "hits_fired"):
        for text, x in zip(page.column(name)[:20], TABLE[name][:20], strict=True):
            assert (text == MISSING) if x is None else float(text) == pytest.approx(x, rel=6e-3, abs=1e-12), (
                name
            )
    for name in ("consensus", "target_name", "explained_by", "best_motif_id"):
        assert page.column(name)[:20] == [x or MISSING for x in TABLE[name][:20]]
    assert page.column("named")[:20] == ["yes" if x else "no" for x in TABLE["named"][:20]]


def test_only_rows_in_sight_are_in_the_document_and_all_can_be_scrolled_to(page):
    page.open()
    assert page.count(".nodes tbody tr[aria-rowindex]") < 60
    page.js("(document.getElementById('scroller').scrollTop = 1e9, 0)")
    page.wait(f"document.querySelector('.nodes a[href=\"#n={node_number(N - 1)}\"]') !== null")
    assert page.column("rank")[-1] == str(N)
    assert page.js("document.querySelector('.nodes').getAttribute('aria-rowcount')") == str(N + 2)


@pytest.mark.parametrize(
    "name", ["density", "repeat_share", "consensus", "named", "match_q_value", "cluster"]
)
def test_a_click_on_a_head_sorts_and_a_second_one_turns_the_order(page, name):
    page.open("#cols=" + ",".join(TABLE))
    there = [row for row in range(N) if TABLE[name][row] is not None]
    gone = [row for row in range(N) if TABLE[name][row] is None]
    for sign, said in ((1, "ascending"), (-1, "descending")):
        page.click(f"[data-sort={name}]")
        page.wait(f"table.state.sort === '{name}' && table.state.down === {json.dumps(sign < 0)}")
        keys = {
            row: str(TABLE[name][row]).lower() if name == "consensus" else TABLE[name][row] for row in there
        }
        order = sorted(there, key=lambda row: keys[row], reverse=sign < 0)  # stable: ties stay by rank
        assert shown_nodes(page) == nodes(order + gone)
        head = f"document.querySelector('[data-sort={name}]').closest('th').getAttribute('aria-sort')"
        assert page.js(head) == said


@pytest.mark.parametrize(
    ("name", "text", "fits"),
    [
        ("density", ">0.01", lambda x: x > 0.01),
        ("density", "1e-4..1e-3", lambda x: 1e-4 <= x <= 1e-3),
        ("n_seqlets", ">=110 <120", lambda x: 110 <= x < 120),
        ("cluster", "=3", lambda x: x == 3),
        ("repeat_share", "missing", lambda x: x is None),
        ("repeat_share", "<=0.5", lambda x: x is not None and x <= 0.5),
        ("explained_by", "ALU", lambda x: "Alu" in x),
        ("explained_by", "=factor: SP1|=nothing", lambda x: x in ("factor: SP1", "nothing")),
        ("target_name", "!GATA", lambda x: x is None or "GATA" not in x),
    ],
)
def test_filters_keep_what_fits(page, name, text, fits):
    page.open("#cols=" + ",".join(TABLE))
    set_filter(page, name, text)
    wanted = nodes([row for row in range(N) if fits(TABLE[name][row])])
    assert shown_nodes(page) == wanted
    assert 0 < len(wanted) < N
    assert page.text("#count").startswith(f"{len(wanted)} of {N} nodes")


def test_a_boolean_is_filtered_by_a_choice_and_filters_add_up(page):
    page.open("#cols=rank,node,motif_significant,density&f.motif_significant=no&f.density=%3E0.001")
    rows = [r for r in range(N) if TABLE["motif_significant"][r] is False and TABLE["density"][r] > 0.001]
    assert shown_nodes(page) == nodes(rows)
    assert page.js("document.querySelector('[data-name=motif_significant]').value") == "no"
    page.open("#f.motif_significant=missing")
    assert shown_nodes(page) == [node_number(WITHOUT_MOTIF)]


def test_a_filter_that_cannot_be_read_is_said_and_filters_nothing(page):
    page.open()
    set_filter(page, "density", "> many")
    assert page.js("document.querySelector('[data-name=density]').getAttribute('aria-invalid')") == "true"
    assert "cannot read" in page.text(".chip")
    assert len(shown_nodes(page)) == N


def test_search_finds_nodes_by_number_motif_match_and_nothing_else(page):
    page.open()
    page.type("#q", "n986")
    page.wait("table.view.length === 1")
    assert shown_nodes(page) == [986]
    page.type("#q", "ctcf")
    page.wait("table.state.q === 'ctcf' && table.view.length > 1")
    assert shown_nodes(page) == nodes([r for r in range(N) if (TABLE["target_name"][r] or "") == "CTCF"])
    word = TABLE["consensus"][20]
    page.type("#q", word)
    page.wait(f"table.state.q === {json.dumps(word)} && table.view.length === 1")
    assert shown_nodes(page) == [node_number(20)]
    page.type("#q", "no such thing")
    page.wait("table.view.length === 0")
    assert page.text("#empty") == "No node fits."


def test_enter_on_a_number_opens_the_node(page):
    page.open()
    page.type("#q", "993")
    page.press("Enter")
    page.wait("location.hash === '#n=993' && !document.getElementById('one').hidden")


def test_search_by_place_finds_the_nodes_with_a_window_there(page):
    page.open()
    chrom, start, row = next(x for x in small_atlas.loci() if x[2] == 40)
    assert chrom == 0
    for query, found in (
        (f"chr1:{start + 1}-{start + 22}", [row]),
        (f"CHR1:{start + 22:,}", [row]),  # the window's last base
        (f"chr1:{start + 23}-{start + 30}", []),  # the base after it
        (f"chr1:{start - 5}-{start}", []),  # the base before it
        (f"chr1:{start + 1}-{start + 10001}", [row, row + 2]),
    ):
        page.go("#q=" + query)
        page.wait(f"table.state.q === {json.dumps(query)}")
        assert shown_nodes(page) == nodes(found), query
    odd = "encodeURIComponent(A.chroms[1] + ':5001')"
    page.js(f"(location.hash = 'q=' + {odd}, 0)")
    page.wait("table.state.q.endsWith(':5001')")
    page.wait(f"table.view.length === 1 && A.column.node.values[table.view[0]] === {node_number(1)}")


def test_search_by_gene(page):
    page.open("#q=gene:tp53")
    assert shown_nodes(page) == [node_number(1)]
    assert "TP53" in page.text("#count")
    page.go("#q=gene:nothing")
    page.wait("table.view.length === 0")
    assert "no gene of that name" in page.text("#count")


def test_a_word_that_is_a_gene_too_offers_its_place(page):
    page.open("#q=CTCF")
    assert len(shown_nodes(page)) == TABLE["target_name"].count("CTCF")
    page.click(".status button")
    page.wait("table.state.q === 'gene:CTCF' && table.view.length === 2")
    assert shown_nodes(page) == nodes([2, 4])  # windows at 10,000 and 20,000 of chr1; the gene ends at 20,010


def test_columns_are_chosen_and_kept_in_the_address(page):
    page.open()
    page.click("#bar summary")
    page.wait("document.querySelector('.menu [type=checkbox]') !== null")
    page.js("[...document.querySelectorAll('.menu label')].find(l => l.textContent === 'gc share').click()")
    page.wait("table.shown().includes('gc_share')")
    assert "gc_share" in page.js("decodeURIComponent(location.hash)")
    assert page.column("gc_share")[0] == f"{TABLE['gc_share'][0]:.3f}"
    page.js("[...document.querySelectorAll('.menu button')].find(b => b.textContent === 'All').click()")
    page.wait(f"table.shown().length === {len(TABLE) + 2}")
    assert page.count("#scroller [data-sort]") == len(TABLE) + 1  # every column but the logo sorts
    assert page.count("#scroller [data-name]") == len(TABLE) + 1  # and filters


def test_the_table_as_shown_is_saved_cell_by_cell(page):
    page.open("#f.cluster=%3D3&sort=-density")
    text = page.saved("table.save()")
    head, *rows = [line.split("\t") for line in text.rstrip("\n").split("\n")]
    wanted = sorted((r for r in range(N) if r % 9 == 3), key=lambda r: -TABLE["density"][r])
    assert [int(row[head.index("node")]) for row in rows] == nodes(wanted)
    for name in TABLE:
        for row, r in zip(rows, wanted, strict=True):
            got, x = row[head.index(name)], TABLE[name][r]
            if isinstance(x, float):
                assert float(got) == pytest.approx(x, rel=1e-6), name
            else:
                assert got == (
                    ""
                    if x is None
                    else {True: "true", False: "false"}.get(x, str(x))
                    if isinstance(x, bool)
                    else str(x)
                ), name


def test_small_logos_are_the_best_motifs(page):
    page.open()
    labels = page.each(
        ".nodes tbody tr[aria-rowindex]", "e.querySelector('svg')?.getAttribute('aria-label') ?? null"
    )
    assert labels[:20] == [None if x is None else f"logo {x}" for x in TABLE["consensus"][:20]]


def test_the_map_is_coloured_by_any_column_and_a_click_opens_a_node(page):
    page.open("#by=density")
    at = page.js(
        "(([x, y], box) => [box.x + x, box.y + y])(map.place(5), map.canvas.getBoundingClientRect())"
    )
    assert page.js("map.canvas.getContext('2d').getImageData(0, 0, 400, 400).data.some(x => x > 0)")
    for name in TABLE:
        page.js(f"map.set({{by: {name!r}}})")
        assert page.text(".legend"), name
    page.browser.click_at(*at)
    page.wait(f"location.hash === '#n={node_number(5)}'")


def test_score_nulls_curve_and_limits_are_told(page):
    page.open()
    side = page.text("#side")
    assert "nodes named" in side
    assert "1.67 [-7.89, 9.95]" in side
    assert "A second." in side
    assert "60" in page.texts("#side td")
    assert page.count("#side polyline") == 2
    points = page.each("#side polyline", "e.getAttribute('points').split(' ').length")
    assert sorted(points) == [9, 10]  # training has no figure before the first step
