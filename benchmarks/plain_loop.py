"""What one writes first, which the trainer is measured against: PIL, and `.item()` at each step."""

from __future__ import annotations

import os

import numpy as np
import torch
from bloxdb.trainer.data import DataSet
from bloxdb.trainer.model import Network
from bloxdb.trainer.recipe import TrainingRecipe
from bloxdb.trainer.vision import torchvision
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset


class Reference(Dataset[tuple[Tensor, int]]):
    """Images one by one, through PIL."""

    def __init__(self, data: DataSet, *, augment: bool) -> None:
        torchvision()
        from torchvision import transforms

        split = data.train if augment else data.val
        self.images = [Image.fromarray(image.permute(1, 2, 0).numpy()) for image in split.images.cpu()]
        self.labels = split.labels.tolist()
        last = [transforms.ToTensor(), transforms.Normalize(data.mean, data.std)]
        first = [
            transforms.RandAugment(2, 14),
            transforms.RandomHorizontalFlip(),
            transforms.RandomCrop(32, padding=4),
        ]
        self.transform = transforms.Compose([*first, *last, cut_out] if augment else last)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(self.images[index]), self.labels[index]


def cut_out(image: Tensor) -> Tensor:
    """A 16x16 square of zeros."""
    y, x = np.random.randint(32, size=2)
    image[:, max(0, y - 8) : y + 8, max(0, x - 8) : x + 8] = 0
    return image


class PlainLoop:
    """The reference's training of one network."""

    def __init__(self, vec: object, recipe: TrainingRecipe, data: DataSet, device: str) -> None:
        torch.manual_seed(0)
        torch.use_deterministic_algorithms(False)
        if device != "cpu":  # it is a switch of the whole process
            torch.backends.cudnn.conv.fp32_precision = "ieee"
        self.device = device
        self.network = Network(vec, data.classes).to(device)
        self.criterion = nn.CrossEntropyLoss()
        self.optimiser = torch.optim.SGD(
            self.network.parameters(), recipe.lr, momentum=0.9, weight_decay=5e-4, foreach=False, fused=False
        )
        workers = min(4, os.cpu_count() or 1)
        self.train = DataLoader(
            Reference(data, augment=True), recipe.batch, shuffle=True, num_workers=workers
        )
        self.val = DataLoader(Reference(data, augment=False), 100, num_workers=workers)

    def step(self, images: Tensor, labels: Tensor) -> tuple[float, int]:
        """One step, and what it tells."""
        images, labels = images.to(self.device), labels.to(self.device)
        self.optimiser.zero_grad()
        logits = self.network(images)
        loss = self.criterion(logits, labels)
        loss.backward()
        self.optimiser.step()
        return loss.item(), (logits.argmax(1) == labels).sum().item()

    def epoch(self) -> None:
        """Training and validation."""
        self.network.train()
        for images, labels in self.train:
            self.step(images, labels)
        self.network.eval()
        with torch.no_grad():
            for images, labels in self.val:
                logits = self.network(images.to(self.device))
                self.criterion(logits, labels.to(self.device)).item()
