# SPDX-License-Identifier: Apache-2.0
"""Crops of the people of several images, in batches."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import cv2
import numpy as np
import torch
from torch import Tensor

from rmpe_plugin.ops import stack_images, warp_crops

from .crop_geometry import CropGeometry

Images = Sequence[np.ndarray | None]
# OpenCV's conversion of warped images, by their channels and whether crops are RGB.
_CONVERSIONS = {
    (3, True): cv2.COLOR_BGR2RGB,
    (4, True): cv2.COLOR_BGRA2RGB,
    (4, False): cv2.COLOR_BGRA2BGR,
}


class PeopleCropper:
    """Crop people as a test pipeline does, all images and people together.

    On a CPU, OpenCV crops one person after another: it is several times faster there
    than ``grid_sample``, and reads only the pixels that it needs. On other devices the
    images are uploaded once, as uint8, and all people of images of the same size are
    cropped by one operation.

    Args:
        geometry (CropGeometry): The crop.
        device (torch.device): Device of the crops.
        color (str): Channel order of the crops, ``'bgr'`` or ``'rgb'``.
    """

    def __init__(
        self, geometry: CropGeometry, device: torch.device, color: str
    ) -> None:
        self.geometry, self.device, self.color = geometry, device, color

    def batches(
        self, images: Images, bboxes: Sequence[np.ndarray], batch_size: int
    ) -> Iterator[Callable[[], tuple[Tensor, Tensor]]]:
        """Divide all people into batches, image after image.

        Args:
            images (Images): BGR (H, W, 3), uint8, or ``None`` if there are no boxes.
            bboxes (Sequence[np.ndarray]): Boxes of each image (N, 4), xyxy, pixels.
            batch_size (int): Maximum number of people per batch.

        Yields:
            Callable: Function, for any thread, that crops the people of a batch. It
            returns

            - crops (B, 3, h, w), 0 to 255, channels-last: uint8 on a CPU, float32 with
              integral values on other devices.
            - matrices (B, 2, 3), float32, from pixels of the crops to pixels of the
              images.
        """
        index = np.repeat(np.arange(len(images)), [len(b) for b in bboxes])
        if not len(index):
            return
        matrices = self.geometry.matrices(np.concatenate(bboxes))
        people = [len(b) for b in bboxes]
        # Images without boxes are not uploaded.
        cropped = [x if n else None for x, n in zip(images, people, strict=True)]
        source = self._open(cropped, people)
        for start in range(0, len(index), batch_size):
            part = slice(start, start + batch_size)
            yield partial(self._crop, source, index[part], matrices[part])

    def _crop(
        self,
        source: 'HostCrops | DeviceCrops',
        index: np.ndarray,
        matrices: np.ndarray,
    ) -> tuple[Tensor, Tensor]:
        """Crops of people (B,) of images, and their matrices (B, 2, 3)."""
        affine = upload(matrices.astype(np.float32), self.device)
        return source.crop(index, matrices), affine

    def _open(self, images: Images, people: Sequence[int]) -> 'HostCrops | DeviceCrops':
        """Select the implementation for the device."""
        settings = (images, self.geometry.input_size, self.color == 'rgb')
        if self.device.type == 'cpu':
            return HostCrops(*settings, people)
        return DeviceCrops(*settings, self.device)


class HostCrops:
    """Crops in host memory, by OpenCV.

    Args:
        images (Images): See :meth:`PeopleCropper.batches`.
        size (tuple[int, int]): Size (w, h) of the crops, pixels.
        rgb (bool): Whether the crops are RGB instead of BGR.
        people (Sequence[int]): Number of people of each image.
    """

    def __init__(
        self,
        images: Images,
        size: tuple[int, int],
        rgb: bool,
        people: Sequence[int],
    ) -> None:
        self.size, self.rgb = size, rgb
        pixels = size[0] * size[1]
        self.images = [
            _with_alpha(image, number * pixels)
            for image, number in zip(images, people, strict=True)
        ]

    def crop(self, index: np.ndarray, matrices: np.ndarray) -> Tensor:
        """Crop people (B,) of images by matrices (B, 2, 3)."""
        width, height = self.size
        crops = np.empty((len(index), height, width, 3), np.uint8)
        for i, matrix, crop in zip(index, matrices, crops, strict=True):
            flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
            warped = cv2.warpAffine(self.images[i], matrix, self.size, flags=flags)
            conversion = _CONVERSIONS.get((warped.shape[2], self.rgb))
            if conversion is None:
                crop[:] = warped
            else:
                cv2.cvtColor(warped, conversion, dst=crop)
        return torch.from_numpy(crops).permute(0, 3, 1, 2)


def _with_alpha(image: np.ndarray | None, crop_pixels: int) -> np.ndarray | None:
    """Add a channel that is not used, unless this takes longer than it saves.

    OpenCV 5 warps four channels 2.7 times as fast as three.
    """
    if image is None or image.shape[0] * image.shape[1] > 16 * crop_pixels:
        return image
    return cv2.cvtColor(image, cv2.COLOR_BGR2BGRA)


class DeviceCrops:
    """Crops on a device, for images of the same size by one operation.

    Args:
        images (Images): See :meth:`PeopleCropper.batches`.
        size (tuple[int, int]): Size (w, h) of the crops, pixels.
        rgb (bool): Whether the crops are RGB instead of BGR.
        device (torch.device): The device.
    """

    def __init__(
        self, images: Images, size: tuple[int, int], rgb: bool, device: torch.device
    ) -> None:
        self.size, self.device = size, device
        by_shape: dict[tuple, list[int]] = {}
        for i, image in enumerate(images):
            if image is not None:
                by_shape.setdefault(image.shape, []).append(i)
        # Stack of each image, and its place there.
        self.stack_of, self.place_of = np.zeros((2, len(images)), int)
        self.stacks = []
        for number, members in enumerate(by_shape.values()):
            self.stack_of[members] = number
            self.place_of[members] = np.arange(len(members))
            arrays = [image for i in members if (image := images[i]) is not None]
            stack = upload(np.stack(arrays), device).permute(0, 3, 1, 2)
            self.stacks.append(stack_images(stack.flip(1) if rgb else stack))

    def crop(self, index: np.ndarray, matrices: np.ndarray) -> Tensor:
        """Crop people (B,) of images by matrices (B, 2, 3)."""
        stack_of = self.stack_of[index]
        order = np.argsort(stack_of, kind='stable')
        parts = [order[stack_of[order] == number] for number in np.unique(stack_of)]
        crops = torch.cat([self._crop_stack(index[p], matrices[p]) for p in parts])
        if len(parts) > 1:
            crops = crops[upload(np.argsort(order), self.device)]
        # As OpenCV, which returns uint8.
        return crops.round().contiguous(memory_format=torch.channels_last)

    def _crop_stack(self, index: np.ndarray, matrices: np.ndarray) -> Tensor:
        """Crop people of images of one size."""
        return warp_crops(
            self.stacks[self.stack_of[index[0]]],
            upload(self.place_of[index], self.device),
            upload(matrices.astype(np.float32), self.device),
            self.size,
        )


def upload(array: np.ndarray, device: torch.device) -> Tensor:
    """Copy an array to a device without waiting for it.

    Args:
        array (np.ndarray): The array.
        device (torch.device): The device.

    Returns:
        Tensor: The copy; on a CPU it shares the memory of the array.
    """
    tensor = torch.from_numpy(array)
    # A copy from pageable memory blocks the host.
    if device.type == 'cuda':
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)
