# SPDX-License-Identifier: Apache-2.0
"""The web page of ``rmpe web``. Its module ``page`` needs gradio, the others do not."""

from .limits import Limits, open_upload
from .predictor import MIN_BOX_THR, WebPredictor, WebResult, WebSettings

__all__ = [
    'Limits',
    'MIN_BOX_THR',
    'WebPredictor',
    'WebResult',
    'WebSettings',
    'open_upload',
]
