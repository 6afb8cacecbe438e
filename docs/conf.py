# SPDX-License-Identifier: Apache-2.0
"""Sphinx configuration. Build with ``sphinx-build -W -b html docs docs/_build/html``.

The built pages need no network: equations become MathML, diagrams are SVG files.
"""

import re
import sys
from importlib import import_module
from inspect import ismodule
from pathlib import Path
from pkgutil import iter_modules

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from rmpe_plugin.version import __version__  # noqa: E402

project = 'rmpe_plugin'
author = 'rmpe_plugin contributors'
project_copyright = author
release = version = __version__

extensions = [
    'myst_parser',
    'sphinx.ext.autodoc',
    'sphinx.ext.napoleon',
    'sphinx.ext.viewcode',
    'sphinx_copybutton',
]
exclude_patterns = ['_build']

# Markdown
myst_enable_extensions = ['dollarmath', 'html_image']
myst_heading_anchors = 3

# API reference
autodoc_default_options = {'members': True}
autodoc_typehints = 'none'
maximum_signature_line_length = 88
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_custom_sections = [
    'Convention',
    ('Required Keys', 'notes_style'),
    ('Modified Keys', 'notes_style'),
    ('Added Keys', 'notes_style'),
    ('Encoded', 'notes_style'),
]

# HTML
html_theme = 'furo'
html_title = f'rmpe_plugin {release}'
html_static_path = ['_static']
html_css_files = ['custom.css']
html_show_copyright = False
html_show_sphinx = False


def _visit_inline_math(self: HTML5Translator, node: nodes.math) -> None:
    self.body.append(tex2mathml(node.astext()))
    raise nodes.SkipNode


def _visit_math_block(self: HTML5Translator, node: nodes.math_block) -> None:
    self.body.append('<div class="math">')
    self.body.append(tex2mathml(node.astext(), as_block=True))
    self.body.append('</div>\n')
    raise nodes.SkipNode


def _escape_formulas(
    app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]
) -> None:
    # Docstrings write (*shape, 4) and E|X|, which reStructuredText takes for markup.
    lines[:] = [
        re.sub(r"(?<=[\w'])\|", r'\\|', line.replace('(*', r'(\*')) for line in lines
    ]


def _skip_fields(
    app: Sphinx, what: str, name: str, obj: object, skip: bool, options: object
) -> bool | None:
    # The class docstring describes the fields of a NamedTuple.
    text = getattr(obj, '__doc__', None) or ''
    return True if text.startswith('Alias for field number') else None


def _add_modules(app: Sphinx, docname: str, source: list[str]) -> None:
    """Document the modules of a package that exports no functions and classes."""
    folder, _, name = docname.partition('/')
    if folder != 'api' or name == 'index':
        return
    package = import_module(f'rmpe_plugin.{name}')
    exported = [getattr(package, x) for x in getattr(package, '__all__', ())]
    if exported and not any(map(ismodule, exported)):
        return
    options = '' if name == 'learning' else '   :show-inheritance:\n'
    for module in iter_modules(package.__path__, f'{package.__name__}.'):
        title = f'{module.name}\n{"-" * len(module.name)}\n'
        source[0] += f'\n{title}\n.. automodule:: {module.name}\n{options}'


def setup(app: Sphinx) -> None:
    """Connect the functions above."""
    app.add_html_math_renderer(
        'mathml', (_visit_inline_math, None), (_visit_math_block, None)
    )
    app.config.html_math_renderer = 'mathml'
    # Napoleon's handler includes private members on request, which no page does. It
    # fails on methods that mmcv's cache_randomness decorates.
    for listener in list(app.events.listeners['autodoc-skip-member']):
        if listener.handler.__module__ == 'sphinx.ext.napoleon':
            app.disconnect(listener.id)
    app.connect('autodoc-skip-member', _skip_fields)
    app.connect('autodoc-process-docstring', _escape_formulas)
    app.connect('source-read', _add_modules)
