"""What binds a training step: its arithmetic, counted, and the operations that take the time.

``python -m benchmarks.limits NETWORK ...`` writes limits.csv and limits.md beside itself, on a GPU
limits_gpu.csv and limits_gpu.md. The multiplications and additions of a step are counted by
PyTorch; how many a second are possible here is measured on square matrices. What is between the
pictures per second of a step and that limit went to memory and to waiting; the second table says
in which operations, those of a step that is not compiled.
"""

from __future__ import annotations

import argparse
import time

import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.measuring import FOLDER, in_turn, write
from benchmarks.switches import AS_TRAINED, DEVICE, GPU, SIDE, SWITCHES, Steps, settle
from cage_lightning.system.machine import keep_freed_memory
from cage_lightning.system.markdown import markdown_table

SHOWN, PROFILED = 10, 3


def arithmetic_rate() -> float:
    """Additions and multiplications a second, of a product of matrices in the step's precision."""
    side = 8192 if GPU else 1024
    kind = SWITCHES[AS_TRAINED].precision or torch.float32
    a, b = torch.randn(2, side, side, device=DEVICE, dtype=kind)

    def seconds() -> float:
        settle()
        began = time.perf_counter()
        for _ in range(10):
            a @ b
        settle()
        return (time.perf_counter() - began) / 10

    return 2 * side**3 / in_turn({"": seconds})[""]


def counted(steps: Steps) -> float:
    """Additions and multiplications of a step for a picture, without those of the optimiser.

    A gradient needs each product of the forward pass twice more, with the other factor. They are
    not counted themselves: PyTorch takes those of grouped convolutions for whole ones.
    """
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        steps.network(steps.image)
    return 3 * float(counter.get_total_flops()) / len(steps.image)


def operations(steps: Steps) -> list[list[str]]:
    """The operations that take the most time of the device, with their shares."""
    kinds = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if GPU else [])]
    with profile(activities=kinds) as seen:
        for _ in range(PROFILED):
            steps.step()
        settle()
    own = {
        e.key: e.self_device_time_total if GPU else e.self_cpu_time_total
        for e in seen.key_averages()
    }
    total = sum(own.values())
    most = sorted(own, key=own.__getitem__, reverse=True)[:SHOWN]
    return [[name[:60], f"{own[name] / total:.1%}"] for name in most]


def main() -> None:
    """Count, measure and profile the networks that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("networks", nargs="*", default=["tiny"])
    parser.add_argument("--batch", type=int, default=128 if GPU else 2, help="pictures of 224 px")
    typed = parser.parse_args()
    keep_freed_memory()
    possible, rows, tables = arithmetic_rate(), [], ""
    for name in typed.networks:
        batch = 64 if name in SIDE else typed.batch
        steps = Steps(name, batch, SWITCHES[AS_TRAINED])
        needed = counted(steps)
        rate = batch / in_turn({"": lambda s=steps: s.milliseconds(3)})[""] * 1e3  # type: ignore[misc]
        limit = possible / needed
        of_all = [f"{needed / 1e9:.2f}", f"{limit:.0f}", f"{rate:.0f}", f"{rate / limit:.0%}"]
        rows.append([f"{name}, {batch} pictures", *of_all])
        table = markdown_table(["operation", "of the time"], operations(steps), right=[1])
        tables += f"\n## {name}\n\n{table}"
    kind = "bfloat16" if GPU else "float32"
    title = "limits_gpu" if GPU else "limits"
    write(
        title,
        f"What a step could reach, at {possible / 1e12:.2f} trillion operations a second in {kind}",
        ["network", "billion operations a picture", "limit/s", "pictures/s", "of the limit"],
        rows,
        ["torchvision"],
    )
    file = FOLDER / f"{title}.md"
    file.write_text(file.read_text(encoding="utf-8") + tables, encoding="utf-8")


if __name__ == "__main__":
    main()
