"""One step of the detector's training, its averaged weights and its learning rate."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, distributed, nn

from mien.networks.detector import PIXEL_MEAN, PIXEL_SCALE
from mien.training.detection.assignment import assign, cell_centres
from mien.training.detection.crops import TrainingCrop
from mien.training.detection.losses import BatchTargets, LossWeights, detector_losses, flatten
from mien.training.detection.muon import Muon
from mien.training.precision import faster_in_bfloat16

_Module = TypeVar("_Module", bound=nn.Module)


@dataclass(frozen=True, slots=True, eq=False)
class CropBatch:
    """Crops of one size and what is to be predicted for them.

    Attributes:
        pixels: ``(n, 3, side, side)`` uint8 RGB, channels last in memory.
        targets: see `BatchTargets`.
    """

    pixels: Tensor
    targets: BatchTargets


def collate(crops: list[TrainingCrop]) -> CropBatch:
    """Crops of one size → a batch."""
    side = crops[0].pixels.shape[0]
    cells, boxes, points, trust, ignored = [], [], [], [], []
    for i, crop in enumerate(crops):
        targets = assign(side, crop.boxes, crop.ignored)
        cells.append(targets.cells + i * len(targets.ignored))
        boxes.append(crop.boxes[targets.faces])
        points.append(crop.landmarks[targets.faces])
        trust.append(crop.trust[targets.faces])
        ignored.append(targets.ignored)
    pixels = torch.from_numpy(np.stack([crop.pixels for crop in crops])).permute(0, 3, 1, 2)
    return CropBatch(
        pixels,
        BatchTargets(
            torch.from_numpy(np.concatenate(cells)),
            torch.from_numpy(np.concatenate(boxes)),
            torch.from_numpy(np.concatenate(points)),
            torch.from_numpy(np.concatenate(trust)),
            torch.from_numpy(np.concatenate(ignored)),
        ),
    )


class AveragedWeights:
    """Exponential moving average of weights and batch statistics: what is evaluated and shipped.

    Args:
        module: the network that trains.
        decay: share of the average that one step keeps; smaller during the first steps.
    """

    def __init__(self, module: nn.Module, decay: float = 0.999) -> None:
        self.module = copy.deepcopy(module).eval().requires_grad_(False)
        self._decay = decay

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        """Move the average towards the weights after step ``step``."""
        decay = min(self._decay, (1 + step) / (10 + step))
        ours, theirs = self._floats(self.module), self._floats(module)
        torch._foreach_lerp_(ours, theirs, 1 - decay)

    @staticmethod
    def _floats(module: nn.Module) -> list[Tensor]:
        return [value for value in module.state_dict().values() if value.is_floating_point()]


@dataclass(frozen=True, slots=True)
class TrapezoidSchedule:
    """Learning rate: rises over the first steps, stays, falls to zero over the last share of the run.

    Attributes:
        peak: learning rate of the plateau.
        warmup: steps of the rise.
        decay: share of the run at its end over which it falls.
    """

    peak: float = 2e-3
    warmup: int = 300
    decay: float = 0.45

    def rate(self, step: int, progress: float) -> float:
        """Learning rate of a step; ``progress`` is the share of the run that is over, 0–1."""
        rise = min(1.0, (step + 1) / self.warmup)
        fall = min(1.0, max(0.0, 1 - progress) / self.decay)
        return self.peak * min(rise, fall)


class DetectorTrainer:
    """The network with its optimizers: Muon for hidden kernels, AdamW for the rest.

    Args:
        module: the network.
        weights: of the losses.
        weight_decay: of the kernels; offsets and batch statistics have none.
        muon: learning rate of the hidden kernels over that of the others.
        ema: decay of the averaged weights.
        bfloat16: compute convolutions in bfloat16; None where the device is faster with it.
        device: where it computes; None for `training_device`.
    """

    def __init__(
        self,
        module: nn.Module,
        weights: LossWeights,
        *,
        weight_decay: float = 0.02,
        muon: float = 2.0,
        ema: float = 0.999,
        bfloat16: bool | None = None,
        device: torch.device | None = None,
    ) -> None:
        self.device = device or training_device()
        module.to(self.device)
        self.module = channels_last(module).train()
        self.averaged = AveragedWeights(module, ema)
        self.step = 0
        self.batches = 0
        self._weights, self._muon = weights, muon
        self._bfloat16 = faster_in_bfloat16(self.device) if bfloat16 is None else bfloat16
        hidden, outputs, others = split_parameters(module)
        self.kernels = Muon(hidden, weight_decay=weight_decay)
        self.others = torch.optim.AdamW(
            [{"params": outputs, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}],
            lr=0.0,
            betas=(0.9, 0.99),
        )
        self._cells: dict[int, tuple[Tensor, Tensor]] = {}

    def train_step(
        self, batch: CropBatch, schedule: TrapezoidSchedule, progress: float
    ) -> tuple[dict[str, float], float]:
        """One step at ``progress``, the share of the run that is over.

        Where several processes train together, each with a batch of its own, gradients and progress are their means.

        Returns:
            The losses of this process's batch, and the progress that all processes agree on.
        """
        losses = self.losses(batch)
        self.module.zero_grad(set_to_none=True)
        losses["total"].backward()  # type: ignore[no-untyped-call]
        progress = share_gradients(self.module, progress)
        nn.utils.clip_grad_norm_(self.module.parameters(), 10.0)
        rate = schedule.rate(self.step, progress)
        for optimizer, share in ((self.kernels, self._muon), (self.others, 1.0)):
            for group in optimizer.param_groups:
                group["lr"] = rate * share
        self.kernels.step()
        self.others.step()
        self.step += 1
        self.averaged.update(self.module, self.step)
        self.batches += world_size()
        # one copy from the device instead of one per loss
        values = torch.stack([value.detach() for value in losses.values()]).tolist()
        return dict(zip(losses, values, strict=True)), progress

    def losses(self, batch: CropBatch) -> dict[str, Tensor]:
        """The losses of a batch, on the device: see `detector_losses`."""
        pixels = batch.pixels.to(self.device).float().sub_(PIXEL_MEAN).div_(PIXEL_SCALE)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._bfloat16):
            outputs = self.module(pixels)
        centres, strides = self._grid(pixels.shape[-1])
        return detector_losses(flatten(outputs), centres, strides, batch.targets.to(self.device), self._weights)

    def state(self) -> dict[str, Any]:
        """Everything that `restore` needs."""
        return {
            "step": self.step,
            "batches": self.batches,
            "module": self.module.state_dict(),
            "averaged": self.averaged.module.state_dict(),
            "kernels": self.kernels.state_dict(),
            "others": self.others.state_dict(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state` returned."""
        self.step = int(state["step"])
        self.batches = int(state["batches"])
        self.module.load_state_dict(state["module"])
        self.averaged.module.load_state_dict(state["averaged"])
        self.kernels.load_state_dict(state["kernels"])
        self.others.load_state_dict(state["others"])

    def _grid(self, side: int) -> tuple[Tensor, Tensor]:
        if side not in self._cells:
            centres, strides = cell_centres(side)
            self._cells[side] = (torch.from_numpy(centres).to(self.device), torch.from_numpy(strides).to(self.device))
        return self._cells[side]


def channels_last(module: _Module) -> _Module:
    """The module, its kernels laid out as processors convolve fastest."""
    for parameter in module.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return module


def split_parameters(module: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter], list[nn.Parameter]]:
    """Kernels of hidden layers; kernels of the first and the last; offsets and batch statistics."""
    hidden, outputs, others = [], [], []
    for name, parameter in module.named_parameters():
        if parameter.ndim <= 1:
            others.append(parameter)
        elif name.startswith("outputs.") or parameter.shape[1] == 3:
            outputs.append(parameter)
        else:
            hidden.append(parameter)
    return hidden, outputs, others


def training_device() -> torch.device:
    """The graphics processor of this process, which `torchrun` numbers, where there is one; else the processor."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())


def world_size() -> int:
    """Number of processes that train together."""
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


def rank() -> int:
    """Number of this process among those that train together, from 0."""
    return distributed.get_rank() if distributed.is_available() and distributed.is_initialized() else 0


def share_gradients(module: nn.Module, progress: float) -> float:
    """Replace gradients by their means over all processes; returns the mean of ``progress``."""
    processes = world_size()
    if processes == 1:
        return progress
    gradients = [p.grad for p in module.parameters() if p.grad is not None]
    flat = torch.cat([*(g.flatten() for g in gradients), gradients[0].new_tensor([progress])])
    distributed.all_reduce(flat)
    flat /= processes
    position = 0
    for gradient in gradients:
        gradient.copy_(flat[position : position + gradient.numel()].view_as(gradient))
        position += gradient.numel()
    return float(flat[-1])
