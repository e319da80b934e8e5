"""Which steps run on the compiled network, and what is said where it cannot be compiled."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import GradientAccumulationScheduler
from torch import nn

from cage_lightning.callbacks import compilation
from cage_lightning.errors import ConfigError
from cage_lightning.models import build_network, compiled
from tests.conftest import Train

Seen = list[tuple[int, bool]]


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    """The sizes of the batches that a network is compiled for, and whether it trains then."""
    found: Seen = []

    def compile_network(network: nn.Module, mode: str, *, replayed: bool) -> None:
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
    def compile_network(network: nn.Module, mode: str, *, replayed: bool) -> None:
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


@pytest.mark.parametrize("mode", ["default", "max-autotune"])
def test_only_replayed_steps_are_cuda_graphs(monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    network, asked = nn.Linear(1, 1), dict[str, Any]()
    monkeypatch.setattr(network, "compile", lambda **given: asked.update(given))
    for replayed in (False, True):
        compiled.compile_network(network, mode, replayed=replayed)
        assert asked["options"].get("triton.cudagraphs", False) == replayed
        assert asked["options"].get("max_autotune", False) == (mode == "max-autotune")
        assert asked["options"]["fallback_random"]


def steps_on_a_gpu(**other: Any) -> tuple[Any, Any]:
    """As much of a trainer and a module on one GPU as decides whether steps are replayed."""
    trainer = {"accumulate_grad_batches": 1, "world_size": 1, "callbacks": []}
    module = {"sam": 0.0, "device": torch.device("cuda")}
    return tuple(  # type: ignore[return-value]
        SimpleNamespace(**given | {k: v for k, v in other.items() if k in given})
        for given in (trainer, module)
    )


def test_steps_on_one_gpu_are_replayed() -> None:
    assert compilation.can_be_replayed(*steps_on_a_gpu())


@pytest.mark.parametrize(
    "other",
    [
        {"accumulate_grad_batches": 2},
        {"callbacks": [GradientAccumulationScheduler({3: 2})]},
        {"world_size": 2},
        {"sam": 0.05},
        {"device": torch.device("cpu")},
    ],
    ids=lambda other: next(iter(other)),
)
def test_steps_that_need_what_was_before_are_not(other: dict[str, Any]) -> None:
    assert not compilation.can_be_replayed(*steps_on_a_gpu(**other))


@pytest.mark.parametrize("replayed", [False, True])
def test_a_replayed_step_leaves_no_gradients(
    monkeypatch: pytest.MonkeyPatch, replayed: bool
) -> None:
    module = LightningModule()
    module.network = nn.Linear(1, 1)
    module.network(torch.ones(1)).backward()
    monkeypatch.setattr(compilation, "can_be_replayed", lambda *_: replayed)
    monkeypatch.setattr(compilation, "compile_network", lambda *_, **__: None)
    steps = compilation.CompiledSteps("default", 1)
    trainer = Trainer(logger=False, enable_checkpointing=False, accelerator="cpu")
    steps.on_fit_start(trainer, module)
    steps.on_train_batch_end(trainer, module, None, None, 0)
    assert [p.grad is None for p in module.parameters()] == [replayed] * 2


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_replayed_steps_compute_what_others_do() -> None:
    losses = []
    for replayed in (False, True):
        torch._dynamo.reset()
        torch.manual_seed(0)
        network = build_network("tiny", num_outputs=3, weights="none", image_size=32).cuda()
        image = torch.randn(8, 3, 32, 32, device="cuda")
        optimizer = torch.optim.AdamW(network.parameters())
        compiled.compile_network(network, "default", replayed=replayed)
        for _ in range(6):
            torch.compiler.cudagraph_mark_step_begin()
            loss = network(image).square().mean()
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            losses.append(loss.item())
    assert losses[:6] == pytest.approx(losses[6:], rel=1e-5)
    assert losses[5] < losses[0]
