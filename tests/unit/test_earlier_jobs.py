"""Jobs that an earlier driver left in SLURM's queue."""

from __future__ import annotations

import pytest

from biosae import earlier_jobs
from biosae.errors import ClusterError

QUEUE = """\
12|RUNNING|rule_train_sae_wildcards_topk-x4|{here}
13|PENDING|rule_embed_nodes|{here}
14|RUNNING|rule_train_sae|{here}/below
15|RUNNING|(null)|{here}
16|RUNNING|rule_train_sae|/elsewhere
17|RUNNING|rule_with|a bar|{here}
"""


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "a | b"
    folder.mkdir()
    return folder


def test_only_snakemakes_jobs_of_this_folder_count(folder):
    link = folder.parent / "link"
    link.symlink_to(folder)
    for where in (folder, link):
        assert earlier_jobs.parse_jobs(QUEUE.format(here=folder), where) == ["12", "13"]
    assert earlier_jobs.parse_jobs("", folder) == []


def test_they_are_named_with_what_to_do(folder, monkeypatch):
    monkeypatch.setattr(earlier_jobs, "ask", lambda *command: QUEUE.format(here=folder))
    with pytest.raises(ClusterError) as error:
        earlier_jobs.check_no_earlier_jobs(folder)
    assert "Got: 2: 12 13." in str(error.value)
    assert "scancel 12 13;" in str(error.value)
    assert str(folder) in str(error.value)


def test_an_empty_queue_is_fine(folder, monkeypatch):
    monkeypatch.setattr(earlier_jobs, "ask", lambda *command: "")
    earlier_jobs.check_no_earlier_jobs(folder)
