# SPDX-License-Identifier: Apache-2.0
"""Parameters of parametric pose NMS, and published presets."""

from __future__ import annotations

import json
import math
from dataclasses import MISSING, asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, NoReturn

_CHOICES = dict(
    region=('box', 'circle'),
    units=('box', 'pixel'),
    merge=('none', 'weighted', 'weighted-max'),
)
_POSITIVE = ('sigma1', 'sigma2', 'eta', 'alpha', 'match_radius', 'merge_radius')
_NON_NEGATIVE = ('lambda_', 'max_score_thr', 'mean_score_thr', 'min_area')
_OPTIONAL = ('match_count', 'match_radius', 'merge_radius')
# The published parameters are for the 16 keypoints of MPII and the 17 of COCO.
_FULL_POSE = 16


@dataclass(frozen=True)
class PoseNMSParams:
    r"""Parameters of parametric pose NMS (RMPE, section 3.2).

    The similarity of pose j to pose i is

    .. math::
        d_{ij} = \sum_n \tanh\frac{c_i^n}{\sigma_1} \tanh\frac{c_j^n}{\sigma_1}
                 [k_j^n \in R(k_i^n)]
                 + \lambda \sum_n \exp\frac{-\|k_i^n - k_j^n\|^2}{\sigma_2},

    and i suppresses j if :math:`d_{ij} > \eta`. The paper prints :math:`d \le \eta`,
    which would suppress dissimilar poses.

    Args:
        sigma1 (float): Scale of the keypoint scores.
        sigma2 (float): Scale of the distances in ``units``, or of the squared distances
            if ``squared``.
        lambda_ (float): Weight of the distance term.
        eta (float): Similarity above which a pose is suppressed, for at least 16
            keypoints. With fewer, see :meth:`for_keypoints`.
        region (str): The region R in which keypoints match. ``'box'``, as in the paper:
            a rectangle centred on k_i, with ``alpha`` times the width and height of the
            box of pose i. ``'circle'``, as in the authors' code: a circle around k_i
            with a radius of one unit. Defaults to ``'box'``.
        squared (bool): Whether the exponent contains the squared distance, as in the
            paper, or the distance, as in all public code. Defaults to ``True``.
        units (str): Unit of the distances. ``'box'``: ``alpha`` times the longer side
            of the box of pose i, which makes the result independent of the image's
            scale. ``'pixel'``: pixels. Defaults to ``'box'``.
        alpha (float): Size of the region R relative to the box. Defaults to 0.1.
        normalize (bool): Whether to divide both sums by the number of keypoints, so
            that one ``eta`` is valid for any number of keypoints. Defaults to
            ``False``.
        match_count (int, optional): Second criterion: i also suppresses j if at least
            this many of at least 16 keypoints are within ``match_radius``. With fewer,
            see :meth:`for_keypoints`. Defaults to ``None``, no second criterion.
        match_radius (float, optional): Radius for ``match_count``, pixels. It is at
            most ``alpha`` times the longer side of the box of pose i. Defaults to
            ``None``, that bound.
        max_score_thr (float): Poses whose highest keypoint score is lower are filtered
            out, before and after merging. Defaults to 0.
        mean_score_thr (float): Poses whose mean keypoint score is lower are filtered
            out, before and after merging. Defaults to 0.
        min_area (float): Poses are filtered out if the rectangle around their
            keypoints, with sides enlarged by a factor of 1.5, is smaller, square
            pixels. Defaults to 0.
        merge (str): How kept poses are merged with the poses that they suppress.
            ``'none'``, as in the paper: kept poses do not change. ``'weighted'``:
            keypoints and their scores become the score-weighted mean of the cluster's
            keypoints within ``merge_radius``. ``'weighted-max'``: the same, but a score
            becomes the maximum of theirs. Defaults to ``'none'``.
        merge_radius (float, optional): Radius for ``merge``, pixels. It is at most
            ``alpha`` times the longer side of the kept pose's box. Defaults to
            ``None``, that bound.

    Raises:
        ValueError: If a value is of the wrong type or out of range.

    Example:
        >>> PoseNMSParams.preset('rmpe-mpii').eta
        22.48
    """

    sigma1: float
    sigma2: float
    lambda_: float
    eta: float
    region: str = 'box'
    squared: bool = True
    units: str = 'box'
    alpha: float = 0.1
    normalize: bool = False
    match_count: int | None = None
    match_radius: float | None = None
    max_score_thr: float = 0.0
    mean_score_thr: float = 0.0
    min_area: float = 0.0
    merge: str = 'none'
    merge_radius: float | None = None

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                self._raise(name, f'one of {", ".join(map(repr, choices))}')
        for name in ('squared', 'normalize'):
            if not isinstance(getattr(self, name), bool):
                self._raise(name, 'True or False')
        for name in (*_POSITIVE, *_NON_NEGATIVE, 'match_count'):
            self._check_number(name)
        if self.match_count is not None and (
            self.match_count < 1 or self.match_count != int(self.match_count)
        ):
            self._raise('match_count', 'a whole number of keypoints, or None')

    def _check_number(self, name: str) -> None:
        value = getattr(self, name)
        if value is None and name in _OPTIONAL:
            return
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not is_number or not math.isfinite(value):
            self._raise(name, 'a finite number')
        if value < 0 or (value == 0 and name in _POSITIVE):
            self._raise(name, 'above 0' if name in _POSITIVE else 'at least 0')

    def _raise(self, name: str, expected: str) -> NoReturn:
        raise ValueError(
            f'pose_nms.{name} must be {expected}, got {getattr(self, name)!r}'
        )

    @classmethod
    def preset(cls, name: str) -> PoseNMSParams:
        """Create the parameters of a published method.

        ==================== ==========================================================
        ``'rmpe-paper'``     The equations of RMPE, section 3.2, with the corrected
                             criterion d > eta and without merging. The paper gives no
                             constants; these are from the authors' code, whose
                             equations differ.
        ``'rmpe-mpii'``      The authors' code (predict/batch_nms.py of
                             github.com/Fang-Haoshu/multi-human-pose), for the 16
                             keypoints of MPII. The Caffe demo of
                             github.com/Fang-Haoshu/RMPE is the same with
                             ``mean_score_thr=0.2``.
        ``'alphapose-coco'`` alphapose/utils/pPose_nms.py of
                             github.com/MVIG-SJTU/AlphaPose, for the 17 keypoints of
                             COCO. Its distances are in pixels: on boxes longer than
                             about 13 pixels only the match count matters.
        ==================== ==========================================================

        Args:
            name (str): Name of the preset.

        Returns:
            PoseNMSParams: The parameters.

        Raises:
            ValueError: If there is no preset of this name.

        Example:
            >>> PoseNMSParams.preset('alphapose-coco').match_count
            5
        """
        if name not in _PRESETS:
            raise ValueError(
                f'pose_nms.preset must be one of {", ".join(map(repr, _PRESETS))}, '
                f'got {name!r}'
            )
        return cls(**_PRESETS[name])

    def for_keypoints(self, number: int) -> PoseNMSParams:
        """Scale the parameters to poses with few keypoints.

        The similarity is a sum over keypoints, so without scaling two equal poses of 7
        keypoints would not reach ``eta`` of the presets. With fewer than 16 keypoints,
        ``eta`` (unless ``normalize``) and ``match_count`` are multiplied by K / 16, and
        the count is rounded up.

        Args:
            number (int): Number of keypoints K.

        Returns:
            PoseNMSParams: The parameters that pose NMS applies to K keypoints; these
            parameters if K is at least 16.

        Example:
            >>> params = PoseNMSParams.preset('alphapose-coco').for_keypoints(4)
            >>> params.eta, params.match_count
            (5.62, 2)
        """
        if number >= _FULL_POSE:
            return self
        share = number / _FULL_POSE
        count = self.match_count
        return replace(
            self,
            eta=self.eta if self.normalize else self.eta * share,
            match_count=None if count is None else math.ceil(count * share),
        )

    def to_json(self, path: str | Path) -> None:
        """Write the parameters to a JSON file, one parameter per line.

        Args:
            path (str | Path): File to write.
        """
        Path(path).write_text(json.dumps(asdict(self), indent=2) + '\n')

    @classmethod
    def from_json(cls, path: str | Path) -> PoseNMSParams:
        """Read parameters from a JSON file that :meth:`to_json` wrote.

        Args:
            path (str | Path): File to read.

        Returns:
            PoseNMSParams: The parameters, with defaults for those not in the file.

        Raises:
            ValueError: If the file is not JSON, or its parameters are not valid.
        """
        try:
            values = json.loads(Path(path).read_text('utf-8-sig'))
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise ValueError(f'{path} is not JSON: {error}') from error
        if not isinstance(values, dict):
            raise ValueError(
                f'{path} must contain a JSON object of pose NMS parameters, got a '
                f'{type(values).__name__}'
            )
        try:
            return cls.from_config(values)
        except ValueError as error:
            raise ValueError(f'{path}: {error}') from error

    @classmethod
    def from_config(cls, config: dict | str | Path) -> PoseNMSParams:
        """Create parameters from a value in a config.

        Args:
            config (dict | str | Path): One of: the arguments of this class, optionally
                with the key ``preset``, whose values the other arguments override; the
                name of a preset; the path of a file that :meth:`to_json` wrote.

        Returns:
            PoseNMSParams: The parameters.

        Raises:
            ValueError: If a parameter is unknown, missing or not valid.
            FileNotFoundError: If ``config`` is neither the name of a preset nor the
                path of a file.

        Example:
            >>> PoseNMSParams.from_config(dict(preset='rmpe-paper', eta=20.0)).eta
            20.0
        """
        if isinstance(config, (str, Path)):
            if config in _PRESETS:
                return cls.preset(str(config))
            if not Path(config).is_file():
                raise FileNotFoundError(
                    f'pose_nms must be {", ".join(map(repr, _PRESETS))}, the '
                    'path of a JSON file or a dict of parameters, got '
                    f'{str(config)!r}, which is not a file'
                )
            return cls.from_json(config)
        values = dict(config)
        if 'preset' in values:
            values = {**asdict(cls.preset(values.pop('preset'))), **values}
        known = [field.name for field in fields(cls)]
        unknown = sorted(set(values) - set(known))
        if unknown:
            raise ValueError(
                f'pose_nms got unknown parameters {", ".join(unknown)}; the parameters '
                f'are {", ".join(known)}'
            )
        required = [field.name for field in fields(cls) if field.default is MISSING]
        missing = [name for name in required if name not in values]
        if missing:
            raise ValueError(
                f'pose_nms needs {", ".join(missing)}, or the key preset, got '
                f'{", ".join(values) or "no parameters"}'
            )
        return cls(**values)


#: Preset that raised AP, or changed it least, in the comparisons of docs/pose_nms.md.
DEFAULT_PRESET = 'alphapose-coco'

_MPII: dict[str, Any] = dict(sigma1=0.01, sigma2=2.08, lambda_=2.08, eta=22.48)
_PRESETS: dict[str, dict[str, Any]] = {
    'rmpe-paper': _MPII,
    'rmpe-mpii': dict(_MPII, region='circle', squared=False, merge='weighted-max'),
    'alphapose-coco': dict(
        sigma1=1.0,
        sigma2=2.65,
        lambda_=1.7,
        eta=22.48,
        region='circle',
        squared=False,
        units='pixel',
        match_count=5,
        match_radius=7.0,
        max_score_thr=0.3,
        merge='weighted',
        merge_radius=15.0,
    ),
}
