"""The largest batch that fits, on a CPU: where the memory ends is made up."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import DictConfig
from torch import nn

from cage_lightning.app import build
from cage_lightning.commands import benchmark
from cage_lightning.commands.largest_batch import check_device, search
from cage_lightning.data.module import ExpressionData
from cage_lightning.errors import ConfigError
from cage_lightning.modules import ExpressionModule
from tests.conftest import TINY, Command, composed

QUICK = (*(x for x in TINY if "max_epochs" not in x), "model.image_size=32", "seconds=1")


@given(st.integers(0, 5_000), st.integers(1, 600), st.integers(8, 5_000))
def test_the_search_ends_close_below_what_does_not_fit(room: int, first: int, most: int) -> None:
    tried: list[int] = []

    def fits(size: int) -> bool:
        tried.append(size)
        return size <= room

    found = search(fits, first, most)
    assert found <= min(room, most)
    assert min(room, most) < found + max(8, found // 16)
    assert len(tried) == len(set(tried)) <= 20
    assert all(size <= most for size in tried)


Parts = tuple[DictConfig, ExpressionData, ExpressionModule]


@pytest.fixture
def parts(few_faces: Path, monkeypatch: pytest.MonkeyPatch) -> Parts:
    """A config of benchmark with the data, whose batches have 16 pictures, and the module."""
    # Nothing waits in the memory of a GPU, and to look through what the tests hold takes a second.
    collect = "cage_lightning.commands.largest_batch.garbage_collection_cuda"
    monkeypatch.setattr(collect, lambda: None)
    settings = (*QUICK, f"data.root={few_faces}", "data.batch_size=16")
    config = composed(*settings, config_name="benchmark")
    benchmark._prepare(config)
    data = build.build_data(config)
    data.setup("fit")
    return config, data, build.build_module(config, data)


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, RuntimeError])
def test_what_trains_is_what_fits(
    error: type[RuntimeError], parts: Parts, capsys: pytest.CaptureFixture[str]
) -> None:
    """Real steps of the real loader; the network takes at most 40 pictures at once."""
    _, data, module = parts
    seen: list[int] = []

    def forward(network: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        seen.append(len(inputs[0]))
        if len(inputs[0]) > 40:
            raise error("CUDA out of memory. Tried to allocate 2.00 GiB")

    module.network.register_forward_pre_hook(forward)
    assert benchmark._largest(*parts) == 40
    assert data.batch_size == 16
    assert {16, 32, 40} < set(seen)
    assert max(seen) == 48
    said = capsys.readouterr().out.splitlines()
    assert said[-2:] == ["  batches of 40 fit", "  batches of 48 do not fit"]


def test_where_samples_end_it_is_said(parts: Parts, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(parts[1].train) - 8 < benchmark._largest(*parts) <= len(parts[1].train)
    assert capsys.readouterr().out.endswith("there are too few samples to train on\n")


def test_another_error_is_none_of_the_memory(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts[2], "training_step", lambda *_: torch.ones(2) @ torch.ones(3))
    with pytest.raises(RuntimeError, match="size"):
        benchmark._largest(*parts)


@pytest.mark.parametrize(("found", "said"), [(8, "data.batch_size=8 does"), (0, "nor does a")])
def test_a_batch_that_does_not_fit_is_refused(
    found: int, said: str, parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(benchmark, "largest_batch", lambda *_: found)
    with pytest.raises(ConfigError, match=rf"data.batch_size=16 does not fit .*{said}"):
        benchmark._largest(*parts)


def test_a_cpu_has_no_largest_batch(command: Command) -> None:
    done = command("benchmark", *QUICK, "largest_batch=true", check=False)
    assert done.returncode == 1
    assert "a CPU has no memory of its own" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_no_size_is_compiled() -> None:
    with pytest.raises(ConfigError, match="compile=off"):
        check_device("cuda", compiled=True)
    check_device("cuda", compiled=False)
