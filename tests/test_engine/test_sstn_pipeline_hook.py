# SPDX-License-Identifier: Apache-2.0
from types import SimpleNamespace

import pytest
from mmengine.dataset import Compose
from mmpose.datasets.transforms import GetBBoxCenterScale, TopdownAffine
from mmpose.registry import HOOKS

from rmpe_plugin.datasets.transforms import (
    GenerateSSTNTarget,
    PackSSTNInputs,
    SSTNBBoxCenterScale,
)

CODEC = dict(type='MSRAHeatmap', input_size=(48, 64), heatmap_size=(12, 16), sigma=1)
STEPS = [
    SSTNBBoxCenterScale(),
    TopdownAffine((48, 64)),
    GenerateSSTNTarget(encoder=CODEC),
    PackSSTNInputs(),
]


def data_set(*transforms, **attributes):
    return SimpleNamespace(pipeline=Compose(list(transforms)), **attributes)


def check(dataset):
    loader = SimpleNamespace(dataset=dataset)
    hook = HOOKS.build(dict(type='SSTNPipelineHook'))
    hook.before_train(SimpleNamespace(train_dataloader=loader))


@pytest.mark.parametrize(
    'wrap',
    [
        lambda dataset: dataset,
        lambda dataset: SimpleNamespace(dataset=dataset),
        lambda dataset: SimpleNamespace(datasets=[data_set(*STEPS), dataset]),
    ],
)
def test_checks_data_sets_and_those_in_wrappers(wrap):
    check(wrap(data_set(*STEPS)))
    with pytest.raises(ValueError, match='needs SSTNBBoxCenterScale in place of GetBB'):
        check(wrap(data_set(GetBBoxCenterScale(), *STEPS[1:])))


def test_the_pipeline_of_a_combination_continues_those_of_its_data_sets():
    part = data_set(STEPS[0])
    check(data_set(*STEPS[1:], datasets=[part]))
    with pytest.raises(ValueError, match='needs one PackSSTNInputs, got 0'):
        check(data_set(*STEPS[1:-1], datasets=[part]))


def test_raises_on_a_data_set_without_a_pipeline():
    with pytest.raises(ValueError, match='needs one SSTNBBoxCenterScale, got 0'):
        check([])
