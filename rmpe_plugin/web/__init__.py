# SPDX-License-Identifier: Apache-2.0
"""The web page of ``rmpe web``."""

from typing import TYPE_CHECKING

from rmpe_plugin.utils.lazy import lazy_names

from .limits import Limits, open_upload
from .predictor import MIN_BOX_THR, WebPredictor, WebResult, WebSettings

# It imports gradio.
if TYPE_CHECKING:
    from .page import build_page, serve
else:
    __getattr__ = lazy_names(__name__, dict(page=['build_page', 'serve']))

__all__ = [
    'Limits',
    'MIN_BOX_THR',
    'WebPredictor',
    'WebResult',
    'WebSettings',
    'build_page',
    'open_upload',
    'serve',
]
