# SPDX-License-Identifier: Apache-2.0
import pytest
import torch
from torch._dynamo import explain

from tests.factories import build_sstn, set_stn_bias, sstn_crops


@pytest.mark.parametrize('training', [False, True])
def test_compiled_graph_of_the_transformer_has_no_break(training):
    sstn, _ = build_sstn('heatmap')
    sstn.train(training)
    set_stn_bias(sstn, 0.1, 0.05, 0.1)
    torch._dynamo.reset()
    explanation = explain(sstn.transform)(sstn_crops())
    assert explanation.graph_count == 1, explanation.break_reasons
