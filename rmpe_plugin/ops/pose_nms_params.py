# SPDX-License-Identifier: Apache-2.0
"""What parametric pose NMS depends on, and the published sets of it."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, fields
from pathlib import Path

_CHOICES = dict(
    region=('box', 'circle'),
    units=('box', 'pixel'),
    merge=('none', 'weighted', 'weighted-max'),
)
_POSITIVE = ('sigma1', 'sigma2', 'eta', 'alpha', 'match_radius', 'merge_radius')
_NOT_NEGATIVE = ('lambda_', 'max_score_thr', 'mean_score_thr', 'min_area')
_OPTIONAL = ('match_count', 'match_radius', 'merge_radius')


@dataclass(frozen=True)
class PoseNMSParams:
    r"""Parameters of parametric pose NMS (RMPE, section 3.2).

    Seen from pose i, pose j is as similar as

    .. math::
        d_{ij} = \sum_n \tanh\frac{c_i^n}{\sigma_1} \tanh\frac{c_j^n}{\sigma_1}
                 [k_j^n \in R(k_i^n)]
                 + \lambda \sum_n \exp\frac{-\|k_i^n - k_j^n\|^2}{\sigma_2},

    and i takes in j if :math:`d_{ij} > \eta`. The paper prints :math:`d \le \eta`,
    which would take in the poses that differ.

    Args:
        sigma1 (float): Scale of the keypoint scores.
        sigma2 (float): Scale of the distances, in ``units`` (squared with ``squared``).
        lambda_ (float): Weight of the distances against the scores. (``lambda`` is a
            word of Python's own.)
        eta (float): Similarity above which a pose is taken in.
        region (str): R, where a keypoint counts as matched. ``'box'``: a rectangle
            around k_i, ``alpha`` of the box's width and height in all, the paper's.
            ``'circle'``: one unit around k_i, the authors' code's. Defaults to
            ``'box'``.
        squared (bool): Whether the kernel takes the squared distance, as the paper
            has it, or the distance, as all public code has. Defaults to ``True``.
        units (str): What distances are measured in. ``'box'``: ``alpha`` of the longer
            side of pose i's box, so that the size of a picture changes nothing.
            ``'pixel'``: pixels. Defaults to ``'box'``.
        alpha (float): Share of the box that a keypoint may be off. Defaults to 0.1.
        normalize (bool): Whether both sums are divided by the number of keypoints, so
            that one ``eta`` serves 14, 17, 26 or 133 of them. Defaults to ``False``.
        match_count (int, optional): A second rule beside the similarity: i takes in j
            also if at least so many of their keypoints lie within ``alpha`` of the
            longer side of i's box, or within ``match_radius`` if that is less.
            Defaults to ``None``, off.
        match_radius (float, optional): See ``match_count``, pixels. Defaults to
            ``None``, no bound.
        max_score_thr (float): Poses whose best keypoint scores less are filtered out,
            before and after merging. Defaults to 0.
        mean_score_thr (float): Poses whose keypoints score less on average are
            filtered out, before and after merging. Defaults to 0.
        min_area (float): Poses are filtered out if the rectangle around their
            keypoints, enlarged 1.5 times each way, has less, square pixels. Defaults
            to 0.
        merge (str): What becomes of the poses taken in. ``'none'``: the most confident
            one stands, as in the paper. ``'weighted'``: each of its keypoints becomes
            the score-weighted mean of those taken in nearby, and so does its score.
            ``'weighted-max'``: the score becomes the best of them. Nearby is within
            ``alpha`` of the longer side of its box, or within ``merge_radius`` if that
            is less. Defaults to ``'none'``.
        merge_radius (float, optional): See ``merge``, pixels. Defaults to ``None``,
            no bound.

    Raises:
        ValueError: If a value makes no sense.

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
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                self._refuse(name, f'one of {", ".join(map(repr, allowed))}')
        for name in ('squared', 'normalize'):
            if not isinstance(getattr(self, name), bool):
                self._refuse(name, 'True or False')
        for name in (*_POSITIVE, *_NOT_NEGATIVE, 'match_count'):
            value = getattr(self, name)
            if value is None and name in _OPTIONAL:
                continue
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not number or not math.isfinite(value):
                self._refuse(name, 'a finite number')
            if value < 0 or (value == 0 and name in _POSITIVE):
                at_least = 'above' if name in _POSITIVE else 'at least'
                self._refuse(name, f'{at_least} 0')
        if self.match_count is not None and (
            self.match_count < 1 or self.match_count != int(self.match_count)
        ):
            self._refuse('match_count', 'a whole number of keypoints, or None')

    def _refuse(self, name: str, wanted: str) -> None:
        raise ValueError(
            f'pose_nms.{name} must be {wanted}, got {getattr(self, name)!r}'
        )

    @classmethod
    def preset(cls, name: str) -> PoseNMSParams:
        """Look up a published set of parameters.

        ==================== ==========================================================
        ``'rmpe-paper'``     The equations of RMPE, section 3.2, as printed but for the
                             direction of the criterion, nothing merged. The paper
                             prints no constants; these are the ones that the authors'
                             code ships, so they were not fitted to these equations.
        ``'rmpe-mpii'``      What that code computes (predict/batch_nms.py of
                             github.com/Fang-Haoshu/multi-human-pose), 16 keypoints of
                             MPII. The Caffe demo of github.com/Fang-Haoshu/RMPE is the
                             same with ``mean_score_thr=0.2``.
        ``'alphapose-coco'`` What alphapose/utils/pPose_nms.py of
                             github.com/MVIG-SJTU/AlphaPose computes for COCO's 17
                             keypoints. Its distances are in pixels, so on boxes larger
                             than about 13 of them the match count alone decides.
        ==================== ==========================================================

        Args:
            name (str): One of the names above.

        Returns:
            PoseNMSParams: The parameters.

        Raises:
            ValueError: If there is no such set.
        """
        if name not in _PRESETS:
            raise ValueError(
                f'pose_nms.preset must be one of {", ".join(map(repr, _PRESETS))}, '
                f'got {name!r}'
            )
        return cls(**_PRESETS[name])

    def to_json(self, path: str | Path) -> None:
        """Write the parameters to a file, one a line.

        Args:
            path (str | Path): File to write.
        """
        Path(path).write_text(json.dumps(asdict(self), indent=2) + '\n')

    @classmethod
    def from_json(cls, path: str | Path) -> PoseNMSParams:
        """Read what :meth:`to_json` wrote.

        Args:
            path (str | Path): File to read.

        Returns:
            PoseNMSParams: The parameters; those not in the file have their defaults.

        Raises:
            ValueError: If the file holds something else.
        """
        try:
            values = json.loads(Path(path).read_text())
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise ValueError(f'{path} is not JSON: {error}') from error
        if not isinstance(values, dict):
            raise ValueError(
                f'{path} must hold an object of pose NMS parameters, got a '
                f'{type(values).__name__}'
            )
        try:
            return cls.from_config(values)
        except ValueError as error:
            raise ValueError(f'{path}: {error}') from error

    @classmethod
    def from_config(cls, config: dict | str | Path) -> PoseNMSParams:
        """Read parameters as a config has them.

        Args:
            config (dict | str | Path): The arguments of this class, with ``preset``
                among them perhaps, whose values the others then change; or the name of
                a preset; or the path of a file that :meth:`to_json` wrote.

        Returns:
            PoseNMSParams: The parameters.

        Raises:
            ValueError: If one is unknown, missing or makes no sense.
            FileNotFoundError: If there is neither such a preset nor such a file.

        Example:
            >>> PoseNMSParams.from_config(dict(preset='rmpe-paper', eta=20.0)).eta
            20.0
        """
        if config in list(_PRESETS):
            return cls.preset(config)
        if isinstance(config, (str, Path)):
            if not Path(config).is_file():
                raise FileNotFoundError(
                    f'pose_nms must be {", ".join(map(repr, _PRESETS))}, a file or '
                    f'parameters, got {str(config)!r}, which is no file'
                )
            return cls.from_json(config)
        values = dict(config)
        if 'preset' in values:
            values = {**asdict(cls.preset(values.pop('preset'))), **values}
        known = [field.name for field in fields(cls)]
        unknown = sorted(set(values) - set(known))
        if unknown:
            raise ValueError(
                f'pose_nms has no {", ".join(unknown)}; it has {", ".join(known)}'
            )
        missing = [name for name in known[:4] if name not in values]
        if missing:
            raise ValueError(f'pose_nms lacks {", ".join(missing)}, or a preset')
        return cls(**values)


_MPII = dict(sigma1=0.01, sigma2=2.08, lambda_=2.08, eta=22.48)
_PRESETS = {
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
