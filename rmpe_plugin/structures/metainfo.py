# SPDX-License-Identifier: Apache-2.0
"""MMPose's descriptions of keypoints, checked."""

import math
from collections.abc import Iterable
from numbers import Real
from pathlib import Path

import mmpose
from mmengine.config import Config

_REQUIRED = (
    'dataset_name', 'keypoint_info', 'skeleton_info', 'joint_weights', 'sigmas',
)  # fmt: skip
# MMPose searches here for files that do not exist.
OF_MMPOSE = Path(mmpose.__file__).parent / '.mim' / 'configs' / '_base_' / 'datasets'


def parse_metainfo(metainfo: dict) -> dict:
    """Check and parse a description of keypoints.

    MMPose parses it without checks: it trains with a ``swap`` that is no exchange, and
    fails in the first evaluation on a wrong number of sigmas.

    Args:
        metainfo (dict): Description, or ``from_file`` with its path, see
            ``mmpose.datasets.datasets.utils.parse_pose_metainfo``. Only MMPose's own
            files may have empty ``sigmas``, for data sets that OKS is not used for,
            such as Human3.6M. Their ``joint_weights`` and entries ``id``, some of which
            are wrong, are not checked.

    Returns:
        dict: The description as MMPose parses it.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If an entry is missing; ids are not 0 to K - 1 in this order; names
            are not unique; ``swap`` is unknown or not mutual; ``link`` is unknown; or
            ``sigmas`` or ``joint_weights`` are not K numbers, positive or not negative.
    """
    source, description = 'metainfo', metainfo
    is_of_mmpose = False
    if 'from_file' in metainfo:
        path = _find(Path(metainfo['from_file']))
        metainfo = dict(metainfo, from_file=str(path))  # MMPose warns if it searches
        source, description = str(path), Config.fromfile(path).get('dataset_info', {})
        is_of_mmpose = path.parent.resolve() == OF_MMPOSE.resolve()
    missing = [key for key in _REQUIRED if key not in description]
    if missing:
        raise ValueError(f'{source} has no {", ".join(missing)}')
    keypoints = description['keypoint_info']
    _check_keypoints(source, keypoints)
    _check_links(source, description['skeleton_info'], keypoints)
    number, sigmas = len(keypoints), description['sigmas']
    if not is_of_mmpose or len(sigmas):
        _check_numbers(source, 'sigmas', sigmas, number, False)
    if not is_of_mmpose:
        _check_ids(source, keypoints)
        weights = description['joint_weights']
        _check_numbers(source, 'joint_weights', weights, number, True)
    # Imports all data sets of MMPose, which takes seconds.
    from mmpose.datasets.datasets.utils import parse_pose_metainfo

    return parse_pose_metainfo(metainfo)


def _find(path: Path) -> Path:
    """The file, or MMPose's of the same name."""
    for found in (path, OF_MMPOSE / path.name):
        if found.is_file():
            return found
    raise FileNotFoundError(f'metainfo.from_file {path} does not exist')


def _check_keypoints(source: str, keypoints: dict[int, dict]) -> None:
    """Raise if ids, names or swaps are not valid."""
    if [*keypoints] != [*range(len(keypoints))]:
        raise ValueError(
            f'{source}: the keys of keypoint_info must be 0 to {len(keypoints) - 1} in '
            f'this order, got {[*keypoints]}'
        )
    names = [keypoint.get('name') for keypoint in keypoints.values()]
    if len({*names} - {None, ''}) < len(names):
        raise ValueError(
            f'{source}: keypoint_info must give each keypoint a name of its own, got '
            f'{names}'
        )
    partners = {
        name: keypoint.get('swap') or name
        for name, keypoint in zip(names, keypoints.values(), strict=True)
    }
    for index, own in enumerate(names):
        name = f'{source}: keypoint_info[{index}] ({own})'
        partner = partners[own]
        if partner not in partners:
            raise ValueError(f'{name}: swap {partner!r} is not the name of a keypoint')
        if partners[partner] != own:
            raise ValueError(
                f'{name}: swap must be mutual, got {partner!r}, whose swap is '
                f'{partners[partner]!r}'
            )


def _check_ids(source: str, keypoints: dict[int, dict]) -> None:
    """Raise if an entry ``id`` differs from its key, which MMPose uses."""
    for index, keypoint in keypoints.items():
        if keypoint.get('id', index) != index:
            raise ValueError(
                f'{source}: keypoint_info[{index}] has the id {keypoint["id"]}'
            )


def _check_links(source: str, links: dict[int, dict], keypoints: dict) -> None:
    """Raise if a link of the skeleton is not between two keypoints."""
    names = {keypoint['name'] for keypoint in keypoints.values()}
    for index, link in links.items():
        ends = link.get('link', ())
        if len(ends) != 2 or not names.issuperset(ends):
            raise ValueError(
                f'{source}: skeleton_info[{index}].link must be two names of '
                f'keypoints, got {ends!r}'
            )


def _check_numbers(
    source: str, key: str, values: Iterable, number: int, allow_zero: bool
) -> None:
    """Raise if ``values`` are not one finite number for each keypoint."""
    values = [*values]
    if len(values) != number:
        raise ValueError(
            f'{source}: {key} must have {number} numbers, one for each keypoint, got '
            f'{len(values)}'
        )
    for value in values:
        is_number = isinstance(value, Real) and math.isfinite(value)
        if not is_number or value < 0 or (value == 0 and not allow_zero):
            bound = 'not negative' if allow_zero else 'positive'
            raise ValueError(f'{source}: {key} must be {bound}, got {value!r}')
