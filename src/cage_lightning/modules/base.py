"""What all modes share: the loop, the metrics, the optimiser, what a checkpoint holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from cage_lightning.labels import Batch, LabelSpace, OutputLayout, Prediction
from cage_lightning.metrics import ExpressionMetrics
from cage_lightning.modules.divergence import LossWatch, check_skipping
from cage_lightning.modules.parameter_groups import all_at_once, grouped
from cage_lightning.modules.sharpness import check_sharpness, sharpness_aware
from cage_lightning.modules.step_log import EpochLosses, StepLog
from cage_lightning.schedules import with_warmup
from cage_lightning.system.paths import without_places
from cage_lightning.training_statistics import TrainingStatistics


class ExpressionModule(pl.LightningModule):
    """A network, its loss and its metrics. A mode says which outputs the network has.

    A mode is a subclass that sets the two attributes of the class below. One whose outputs are not
    simply the logits followed by the affect also replaces `num_outputs` and `read`.

    Args:
        network: Images float32 ``[B, 3, H, W]``, normalised, to outputs ``[B, num_outputs]``.
        label_space: What the outputs mean; stored in every checkpoint.
        loss: `Prediction` and `Batch` to a dict with ``loss`` and its named parts. Not needed for
            prediction and test.
        optimizer: Parameters to optimiser.
        scheduler: Optimiser and the run's number of steps to schedule.
        warmup: Share of the run over which the learning rate rises.
        layer_decay: See `parameter_groups.grouped`, as for the next one.
        decay_norms_and_biases: Whether weight decay holds for all parameters.
        sam: The radius of `sharpness.sharpness_aware`; 0: steps of one pass.
        config: The resolved config as plain containers; stored in every checkpoint, where only the
            names of the files and folders that it mentions are of use.
        training: What the training split is like; stored in every checkpoint.
        skip_not_finite: How many steps whose loss is not finite are left out; see `LossWatch`.

    Attributes:
        predicts_categories: Whether there is a logit for each category; of the class.
        predicts_affect: Whether there is a value for each affect dimension; of the class.
        flip: In a test, average the outputs for the picture and its mirror image.
        tested: What this rank predicted in the last test: the outputs for each batch, and the rows
            of its samples in the annotations of the split, int64 ``[B]`` on the CPU.
    """

    predicts_categories: bool
    predicts_affect: bool

    def __init__(
        self,
        network: nn.Module,
        label_space: LabelSpace,
        loss: nn.Module | None = None,
        optimizer: Callable[..., Optimizer] | None = None,
        scheduler: Callable[..., LRScheduler] | None = None,
        warmup: float = 0.0,
        layer_decay: float = 1.0,
        decay_norms_and_biases: bool = True,
        sam: float = 0.0,
        config: dict[str, Any] | None = None,
        training: TrainingStatistics | None = None,
        skip_not_finite: int = 0,
    ) -> None:
        super().__init__()
        self.network = network
        self.label_space = label_space
        self.loss = loss
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.warmup = warmup
        self.layer_decay = layer_decay
        self.decay_norms_and_biases = decay_norms_and_biases
        self.sam = sam
        self._second_pass = False
        self.config = config
        self.training_statistics = training
        self.flip = False
        self.metrics = ExpressionMetrics(
            label_space, categories=self.predicts_categories, affect=self.predicts_affect
        )
        self.tested: list[tuple[Prediction, Tensor]] = []
        self._validated: list[tuple[Prediction, Batch]] = []
        samples = None if training is None else training.n
        self._watch = LossWatch(network, samples, skip_not_finite)
        self._step_log = StepLog()
        self._epoch_losses = EpochLosses()

    @property
    def epoch_loss(self) -> float | None:
        """The mean loss of the steps of this epoch so far; None before the first one."""
        return self._epoch_losses.mean

    @property
    def step_loss(self) -> float | None:
        """The loss of the last step of the training; None before the first one."""
        return self._step_log.loss

    @classmethod
    def layout(cls, space: LabelSpace) -> OutputLayout:
        """What the columns of the network's output are."""
        return OutputLayout(space, cls.predicts_categories, cls.predicts_affect)

    @classmethod
    def num_outputs(cls, space: LabelSpace) -> int:
        """The width of the network's output: K logits and D affect values, as far as predicted."""
        return cls.layout(space).width

    def read(self, outputs: Tensor) -> Prediction:
        """Outputs ``[B, num_outputs]`` by meaning: logits ``[B, K]``, then affect ``[B, D]``."""
        return self.layout(self.label_space).read(outputs)

    def forward(self, image: Tensor) -> Prediction:
        """Predict from normalised images ``[B, 3, H, W]``."""
        return self.read(self.network(image))

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor | None:
        """The loss of one batch: that of the whole batch on every rank.

        Returns:
            None where the loss is not finite and the step is left out.

        Raises:
            DivergedError: It is not finite; on every rank at the same step.
        """
        assert self.loss is not None
        self._watch.before_step()
        parts = self.loss(self(batch.image), batch)
        name = f"train/loss of step {self.global_step + 1}, in epoch {self.current_epoch + 1}"
        loss = self._watch.of_step(parts["loss"], name, batch.index)
        if loss is None:
            return None
        if not self._second_pass:
            self._epoch_losses = self._epoch_losses.after(self.current_epoch, loss)
            self._step_log.keep(self, loss, parts)
        return parts["loss"]  # type: ignore[no-any-return]

    def on_train_start(self) -> None:
        """See who reads the losses of the steps."""
        self._step_log.begin(self.trainer)

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        """Log the losses of the step, where they are looked at."""
        self._step_log.end(self)

    def optimizer_step(
        self, epoch: int, batch_idx: int, optimizer: Any, optimizer_closure: Any = None
    ) -> None:
        """One step of the optimiser, with `sam` of two passes."""

        def second() -> Any:
            self._second_pass = True
            try:
                return optimizer_closure()
            finally:
                self._second_pass = False

        closure = sharpness_aware(self.network, self.sam, optimizer_closure, second)
        optimizer.step(closure=closure if self.sam else optimizer_closure)

    def on_validation_epoch_start(self) -> None:
        """Forget the pass before."""
        self._validated = [self._empty()]
        self.metrics.reset()

    def on_test_epoch_start(self) -> None:
        """Forget the pass before."""
        self.tested = []

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Predict, and keep it beside the labels, which the loss of the whole split needs."""
        labels = batch._replace(image=_no_images(batch))
        self._validated.append((_as_float32(self(batch.image)), labels))

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Predict and keep; the labels, maybe of another label space, are in the annotations."""
        outputs = self.network(batch.image)
        if self.flip:
            outputs = (outputs + self.network(batch.image.flip(-1))) / 2
        self.tested.append((_as_float32(self.read(outputs)), batch.index))

    def on_validation_epoch_end(self) -> None:
        """Loss and metrics of the whole split: never a mean over batches.

        Raises:
            DivergedError: The loss is not finite; before any checkpoint of this epoch.
        """
        assert self.loss is not None
        prediction, batch = self._validated_as_one()
        loss = self.loss(prediction, batch)
        name = f"val/loss after step {self.global_step}, in epoch {self.current_epoch + 1}"
        self._watch.of_split(loss["loss"], name)
        if len(batch.index):
            self.metrics.update(prediction, batch)
        self.log_dict({f"val/{name}": v for name, v in (loss | self.metrics.compute()).items()})

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """The optimiser, and its schedule stepped with every optimisation step."""
        assert self.optimizer is not None
        assert self.scheduler is not None
        if self.sam:
            check_sharpness(self.trainer.accumulate_grad_batches, str(self.trainer.precision))
        if self._watch.most_skipped:
            check_skipping(self.trainer.world_size, self.sam)
        optimizer = grouped(
            self.optimizer, self, self.network, self.layer_decay, self.decay_norms_and_biases
        )
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = with_warmup(self.scheduler(optimizer, steps), round(self.warmup * steps))
        return {
            "optimizer": all_at_once(optimizer),
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what rebuilds the module: plain containers, nothing pickled."""
        checkpoint["label_space"] = self.label_space.to_dict()
        # `local` says what one machine needs: where its data are, who pays for it.
        config = self.config and {k: v for k, v in self.config.items() if k != "local"}
        checkpoint["config"] = without_places(config)
        statistics = self.training_statistics
        checkpoint["training"] = None if statistics is None else asdict(statistics)
        checkpoint["epoch_losses"] = asdict(self._epoch_losses)
        checkpoint["skipped_steps"] = self._watch.skipped

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on with the mean loss of the epoch; checkpoints of older versions do not know it."""
        self._epoch_losses = EpochLosses(**checkpoint.get("epoch_losses", {}))
        self._watch.skipped = int(checkpoint.get("skipped_steps", 0))

    def score_names(self) -> tuple[list[str], list[str]]:
        """Names of the parts of the loss, and of the scores that a validation can have."""
        assert self.loss is not None
        k, d = len(self.label_space.categories), len(self.label_space.dimensions)
        one_of_each = torch.arange(k + 2) % max(k, 1)
        several = torch.nn.functional.one_hot(one_of_each, max(k, 1))[:, :k]
        affect = torch.linspace(-1, 1, k + 2)[:, None].expand(-1, d)
        prediction = Prediction(
            logits=several.float() if self.predicts_categories else None,
            affect=affect if self.predicts_affect else None,
        )
        category = several.float() if self.label_space.multi_label else one_of_each
        batch = Batch(torch.zeros(0), category, affect, one_of_each)
        self.metrics.reset()
        self.metrics.update(prediction, batch)
        scores = list(self.metrics.compute())
        self.metrics.reset()
        return list(self.loss(prediction, batch)), scores

    def _validated_as_one(self) -> tuple[Prediction, Batch]:
        """This rank's share of the split as one prediction and one batch without images."""
        predictions, batches = zip(*self._validated, strict=True)

        def join(parts: tuple[Any, ...], field: str) -> Any:
            tensors = [getattr(part, field) for part in parts]
            return None if tensors[0] is None else torch.cat(tensors)

        return (
            Prediction(*(join(predictions, field) for field in Prediction._fields)),
            Batch(*(join(batches, field) for field in Batch._fields)),
        )

    def _empty(self) -> tuple[Prediction, Batch]:
        """No sample: with it a rank that has none still takes part in the global sums."""
        k, d = len(self.label_space.categories), len(self.label_space.dimensions)
        nothing = torch.zeros(0, device=self.device)
        prediction = Prediction(
            logits=nothing.view(0, k) if self.predicts_categories else None,
            affect=nothing.view(0, d) if self.predicts_affect else None,
        )
        batch = Batch(
            image=nothing.view(0, 0, 0, 0),
            category=nothing.view(0, k) if self.label_space.multi_label else nothing.long(),
            affect=nothing.view(0, d),
            index=torch.zeros(0, dtype=torch.long),
        )
        return prediction, batch


def _as_float32(prediction: Prediction) -> Prediction:
    return Prediction(*(None if values is None else values.float() for values in prediction))


def _no_images(batch: Batch) -> Tensor:
    """As many images as the batch has, of no pixels each: a whole split of them takes no memory."""
    return batch.image.new_zeros(len(batch.image), 0, 0, 0)
