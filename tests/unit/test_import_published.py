"""Published checkpoints: read without running code, same codes as theirs, faults named."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers_store import random_arrays, write_store
from test_model import dense, published_forward
from test_training_programs import run_here

from biosae.checkpoint import load_checkpoint
from biosae.errors import InputError
from biosae.published import published_model, read_maxima, read_weights

CHANNELS, NODES = 20, 80
LAYER = ["--layer", "toy", "--channels", "20", "--stride-bp", "4", "--left-bp", "19", "--right-bp", "23"]


def state_dict() -> dict:
    generator = torch.Generator().manual_seed(0)

    def normal(*shape):
        return 0.3 * torch.randn(*shape, generator=generator)

    return {
        "encoder.weight": normal(NODES, CHANNELS),
        "decoder.weight": normal(CHANNELS, NODES),
        "pre_bias": normal(CHANNELS),
        "latent_bias": normal(NODES),
        "temperature": torch.tensor(1.0),
    }


def write_published(path: Path, **changes) -> Path:
    state = {name: value for name, value in {**state_dict(), **changes}.items() if value is not None}
    optimiser = {"state": {0: {"step": torch.tensor(1.0)}}, "param_groups": [{"lr": 1e-5}]}
    content = {
        "epoch": 3,
        "model_state_dict": state,
        "optimizer_state_dict": optimiser,
        "metrics": {"v": 0.1},
    }
    torch.save(content, path)
    return path


def maxima() -> np.ndarray:
    values = np.linspace(0.5, 9, CHANNELS).astype(np.float32)
    values[4] = -2.0  # the published rule flips such a channel's sign
    return values


def write_maxima(path: Path, values: np.ndarray) -> Path:
    path.write_text(json.dumps({str(i): float(value) for i, value in enumerate(values)}))
    return path


def test_codes_are_those_of_the_published_model(tmp_path, caplog):
    scale = read_maxima(write_maxima(tmp_path / "max.json", maxima()), CHANNELS)
    assert "1 channels have a negative maximum" in caplog.text
    path = write_published(tmp_path / "best_model.pt")
    model = published_model(path, np.zeros(CHANNELS), scale, CHANNELS, 0.05, "input_channels")
    assert (model.k, model.n_nodes, model.layer_norm) == (1, NODES, True)
    model = published_model(path, np.zeros(CHANNELS), scale, CHANNELS, 7, "absolute")
    x = torch.from_numpy(random_arrays([1], 60, CHANNELS)[0][0] * 3)
    names = {"encoder": "encoder.weight", "pre_bias": "pre_bias", "latent_bias": "latent_bias"}
    weights = {ours: state_dict()[theirs] for ours, theirs in names.items()}
    weights["decoder"] = state_dict()["decoder.weight"].T
    loss, sparse, output = published_forward(x, weights, torch.from_numpy(maxima()), 7)
    result = model(x)
    torch.testing.assert_close(dense(*model.encode(x), NODES).detach(), sparse, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(result.output.detach(), output, rtol=1e-4, atol=1e-5)
    assert float(((result.output - result.target) ** 2).mean().detach()) == pytest.approx(
        float(loss), rel=1e-5
    )


class _Code:
    def __reduce__(self):
        return (print, ("this ran",))


def test_a_pickle_with_code_is_refused_and_not_run(tmp_path, capsys):
    torch.save({"model_state_dict": {"pre_bias": _Code()}}, tmp_path / "bad.pt")
    with pytest.raises(InputError, match=r"could run code.*bad.pt"):
        read_weights(tmp_path / "bad.pt")
    assert "this ran" not in capsys.readouterr().out


def test_faults_are_named(tmp_path):
    with pytest.raises(InputError, match="Cannot read a published checkpoint"):
        (tmp_path / "x.pt").write_bytes(b"")
        read_weights(tmp_path / "x.pt")
    torch.save({"weights": 1}, tmp_path / "x.pt")
    with pytest.raises(InputError, match=r"lacks 'model_state_dict'.*\['weights'\]"):
        read_weights(tmp_path / "x.pt")
    with pytest.raises(InputError, match=r"missing \['pre_bias'\], unknown \['surprise'\]"):
        read_weights(write_published(tmp_path / "x.pt", pre_bias=None, surprise=torch.zeros(1)))


@pytest.mark.parametrize(
    ("name", "tensor"),
    [
        ("encoder.weight", torch.zeros(CHANNELS, NODES)),
        ("decoder.weight", torch.zeros(NODES, CHANNELS)),
        ("pre_bias", torch.zeros(CHANNELS + 1)),
    ],
)
def test_wrong_shapes_are_named(tmp_path, name, tensor):
    path = write_published(tmp_path / "x.pt", **{name: tensor})
    with pytest.raises(InputError, match=f"'{name}'.*wrong shape"):
        published_model(path, np.zeros(CHANNELS), np.ones(CHANNELS), CHANNELS, 1, "absolute")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1, 2]", "Cannot read the published maxima"),
        ('{"0": 1, "2": 1}', "Cannot read the published maxima.*'1'"),
        ('{"0": 1}', "of another layer.*Got: 1.*Expected: 2"),
        ('{"0": 1, "1": 0}', r"cannot be divided.*\[1\]"),
        ('{"0": NaN, "1": 1}', r"cannot be divided.*\[0\]"),
    ],
)
def test_bad_maxima_are_named(tmp_path, text, message):
    (tmp_path / "max.json").write_text(text)
    with pytest.raises(InputError, match=message):
        read_maxima(tmp_path / "max.json", 2)


def test_program(tmp_path, monkeypatch, capsys):
    path, scales = write_published(tmp_path / "best.pt"), write_maxima(tmp_path / "m.json", maxima())
    valid = write_store(tmp_path / "valid", random_arrays([2], 50, CHANNELS))
    words = ["--checkpoint", str(path), "--statistics-json", str(scales), *LAYER, "--k-of", "absolute"]
    words += ["--validation", str(valid), "--k", "5", "--output", str(tmp_path / "run")]
    assert run_here("import_published_checkpoint.py", words, monkeypatch, capsys)[0] == 0
    model = load_checkpoint(tmp_path / "run" / "checkpoint", channels=CHANNELS)
    np.testing.assert_array_equal(model.scale, maxima())
    assert model.config["imported"][0]["name"] == "best.pt"
    assert json.loads((tmp_path / "run" / "evaluation.json").read_text())["l0"] <= 5
    torch.save({"model_state_dict": _Code()}, path)
    code, text = run_here("import_published_checkpoint.py", words, monkeypatch, capsys)
    assert code == 2
    assert "could run code" in text
