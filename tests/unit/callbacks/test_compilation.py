"""Which steps run on the compiled network, and what is said where it cannot be compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from cage_lightning.callbacks import compilation
from cage_lightning.errors import ConfigError
from cage_lightning.models import compiled
from tests.conftest import Train

Seen = list[tuple[int, bool]]


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    """The sizes of the batches that a network is compiled for, and whether it trains then."""
    found: Seen = []

    def compile_network(network: nn.Module, mode: str) -> None:
        def backend(graph: Any, inputs: Any) -> Callable[..., Any]:
            [images] = [x for x in inputs if x.shape[1:] == (3, 32, 32)]
            found.append((len(images), network.training))
            return graph.forward  # type: ignore[no-any-return]

        network.compile(backend=backend, dynamic=False)

    torch._dynamo.reset()
    monkeypatch.setattr(compilation, "compile_network", compile_network)
    return found


@pytest.mark.slow
def test_whole_batches_of_the_training_alone_are_compiled(
    train_here: Train, few_faces: Any, seen: Seen
) -> None:
    few = (f"data.root={few_faces}", "data.batch_size=24", "trainer.max_epochs=2")
    train_here(*few, "compile=default")
    assert seen == [(24, True)]


def test_a_training_without_a_whole_batch_is_refused(
    train_here: Train, few_faces: Any, seen: Seen
) -> None:
    with pytest.raises(ConfigError, match=r"smaller data\.batch_size than 200, or compile=off"):
        train_here(f"data.root={few_faces}", "data.batch_size=200", "compile=default")
    assert not seen


@pytest.mark.slow
def test_what_the_compiler_raises_is_one_line(
    train_here: Train, few_faces: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def compile_network(network: nn.Module, mode: str) -> None:
        def backend(*_: Any) -> Any:
            raise ValueError("no such\nkernel")

        network.compile(backend=backend)

    monkeypatch.setattr(compilation, "compile_network", compile_network)
    with pytest.raises(ConfigError, match=r"cannot be compiled here .*: choose compile=off$"):
        train_here(f"data.root={few_faces}", "data.batch_size=16", "compile=default")


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(ConfigError, match="compile=fast: choose one of off, default, max-autotune"):
        compiled.check_compile("fast", gpu=False)


@pytest.mark.parametrize(("gpu", "compiler"), [(False, "CXX"), (True, "CC")])
def test_a_missing_compiler_is_named(
    monkeypatch: pytest.MonkeyPatch, gpu: bool, compiler: str
) -> None:
    monkeypatch.setenv(compiler, "/none/of/these")
    with pytest.raises(ConfigError, match=rf"/none/of/these.* another one in \${compiler}, or"):
        compiled.check_compile("default", gpu=gpu)
    compiled.check_compile("off", gpu=gpu)
