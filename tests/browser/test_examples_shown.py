"""Examples of a node: what stands in them, their colours, how they are aligned and turned, their links."""

import numpy as np
import pytest
import small_nodes
from small_atlas import table
from small_nodes import WINDOW, node_number

TABLE = table()


def stored(row):
    """Sequences and activations of a row's examples as the fixture packed them: {name: array}."""
    payload = small_nodes.Payload()
    refs = small_nodes.examples(payload, row)
    raw = b"".join(payload.parts)
    values = {}
    for name, ref in refs.items():
        if isinstance(ref, dict):
            kind = small_nodes.CODES[ref["type"]]
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
    assert next(t.split(" ")[0] for t in page.texts(".band h3")) == "top"
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
    style = page.each(".band .bases", "e.style.background || e.style.backgroundImage")[0]
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
    lefts = page.each(".band:first-child .bases", "e.getBoundingClientRect().x")
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
    targets = page.each(".examples a", "e.target + ' ' + e.rel")
    assert set(targets) == {"_blank noreferrer"}


def test_examples_are_saved_as_stored(page):
    page.open(f"#n={node_number(0)}&flip=1&align=genome")
    rows = page.js("readNode(0).then(exampleTable)")
    kept = stored(0)
    assert [row["sequence"] for row in rows] == kept["text"]
    assert [row["start"] for row in rows] == kept["start"].tolist()
    assert rows[0]["end"] - rows[0]["start"] == WINDOW
    acts = [float(x) for x in rows[7]["per_base"].split(",")]
    assert acts == pytest.approx((kept["activation"][:, 7] / 255 * 20).tolist(), rel=1e-5)
