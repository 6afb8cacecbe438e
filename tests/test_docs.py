# SPDX-License-Identifier: Apache-2.0
"""The documentation: snippets, commands, options, links and the API reference."""

import ast
import contextlib
import importlib
import io
import json
import re
import runpy
import shlex
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from inspect import Parameter, isclass, isfunction, ismodule, signature
from pathlib import Path
from pydoc import locate
from types import ModuleType, SimpleNamespace
from unittest import mock
from urllib.parse import unquote

import pytest
from markdown_it import MarkdownIt
from mmengine.config import Config
from mmpose import registry

import rmpe
from tests.conftest import ROOT

PAGES = [
    ROOT / 'README.md',
    ROOT / 'CONTRIBUTING.md',
    ROOT / 'CHANGELOG.md',
    *sorted((ROOT / 'docs').glob('*.md')),
    *sorted((ROOT / 'configs').glob('*/README.md')),
    ROOT / 'tests' / 'data' / 'README.md',
    ROOT / 'demo' / 'space' / 'README.md',
]
# A Python snippet after this comment is executed.
EXECUTED = '<!-- test -->'
# rtmlib brings a second copy of OpenCV; tests/test_deploy/test_rtmlib.py imports it.
NOT_INSTALLED = {'rtmlib'}
REGISTRIES = [r for r in vars(registry).values() if isinstance(r, registry.Registry)]


@dataclass(frozen=True)
class Snippet:
    """A fenced block of a page."""

    page: Path
    line: int
    language: str
    code: str
    executed: bool

    def __str__(self) -> str:
        return f'{self.page.relative_to(ROOT)}:{self.line}'


@cache
def parse(page: Path) -> list:
    """Markdown tokens of a page, inline ones included."""
    tokens = MarkdownIt('commonmark').enable('table').parse(page.read_text())
    return [t for token in tokens for t in (token, *(token.children or ()))]


def snippets(language: str) -> list[Snippet]:
    """All fenced blocks of a language."""
    found = []
    for page in PAGES:
        before = None
        for token in parse(page):
            if token.type == 'fence' and token.info == language:
                executed = before is not None and before.content.strip() == EXECUTED
                found.append(
                    Snippet(page, token.map[0] + 1, language, token.content, executed)
                )
            before = token
    return found


def is_config(snippet: Snippet) -> bool:
    """Whether a snippet is (part of) a config: assignments without imports."""
    return all(isinstance(node, ast.Assign) for node in ast.parse(snippet.code).body)


PYTHON = snippets('python')
CONFIGS = [s for s in PYTHON if is_config(s)]


def tuples_of_one_config(code: str) -> list[int]:
    """Lines where a trailing comma makes a tuple of a config dict."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.Tuple)
        and len(node.elts) == 1
        and (
            isinstance(node.elts[0], ast.Dict)
            or (
                isinstance(node.elts[0], ast.Call)
                and isinstance(node.elts[0].func, ast.Name)
                and node.elts[0].func.id == 'dict'
            )
        )
    ]


def typed_dicts(code: str) -> list[tuple[str, set[str]]]:
    """Type and arguments of all ``dict(type=...)`` of a snippet."""
    found = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Call) and getattr(node.func, 'id', '') == 'dict':
            arguments = {k.arg: k.value for k in node.keywords if k.arg}
            arguments.pop('_delete_', None)
            kind = arguments.pop('type', None)
            if isinstance(kind, ast.Constant):
                found.append((kind.value, set(arguments)))
    return found


def accepted_arguments(cls: type) -> set[str]:
    """Arguments of a class and, as far as it passes them on, of its bases."""
    names = set()
    for base in cls.__mro__:
        if base is object or '__init__' not in vars(base):
            continue
        parameters = signature(base.__init__).parameters.values()
        names |= {p.name for p in parameters}
        if all(p.kind is not Parameter.VAR_KEYWORD for p in parameters):
            return names
    return names


def test_finds_snippets():
    assert len(PYTHON) > 10
    assert len(CONFIGS) > 8
    assert sum(s.executed for s in PYTHON) >= 2
    assert len(snippets('bash')) > 20


@pytest.mark.parametrize('snippet', PYTHON, ids=str)
def test_python_snippet_parses_without_accidental_tuples(snippet):
    assert not tuples_of_one_config(snippet.code)
    for node in ast.walk(ast.parse(snippet.code)):
        if isinstance(node, ast.ImportFrom) and node.module not in NOT_INSTALLED:
            module = importlib.import_module(node.module)
            assert all(hasattr(module, alias.name) for alias in node.names)


def test_detects_accidental_tuples():
    # Ruff formats a list element in a snippet of its own, "dict(...),", to this tuple.
    assert tuples_of_one_config("(dict(type='PoseGuidedProposal'),)") == [1]
    assert tuples_of_one_config("proposal = dict(type='PoseGuidedProposal'),") == [1]
    assert tuples_of_one_config("dict(dataset=(dict(type='CocoDataset'),))") == [1]
    assert not tuples_of_one_config('dict(num_bottlenecks=(0,))')
    assert not tuples_of_one_config("pipeline = [dict(type='LoadImage')]")


@pytest.mark.parametrize('snippet', [s for s in PYTHON if s.executed], ids=str)
def test_marked_snippet_runs(snippet):
    with contextlib.redirect_stdout(io.StringIO()):
        exec(compile(snippet.code, str(snippet), 'exec'), {})


def load_config(snippet: Snippet, folder: Path) -> Config:
    """Load a config snippet; ``mine.py`` is the page's snippet before it."""
    page = [s for s in CONFIGS if s.page == snippet.page]
    files = {'mine.py': page[page.index(snippet) - 1], 'snippet.py': snippet}
    for name, source in files.items():
        # in _base_, alone or in a list
        code = re.sub(
            r"(?m)^(_base_ = |    )'configs/", rf"\1'{ROOT}/configs/", source.code
        )
        (folder / name).write_text(code)
    return Config.fromfile(folder / 'snippet.py')


@pytest.mark.parametrize('snippet', CONFIGS, ids=str)
def test_config_snippet_loads(snippet, tmp_path):
    config = load_config(snippet, tmp_path)
    if '_base_' in snippet.code:
        pipeline = config.train_pipeline
        assert config.train_dataloader.dataset.pipeline == pipeline
        # MMEngine adds the scope to the transforms of a base config of MMPose
        pipeline = config.test_dataloader.dataset.pipeline
        assert [t.type for t in pipeline] == [t.type for t in config.val_pipeline]
        config.model.backbone.init_cfg = None
        registry.MODELS.build(config.model)


def test_custom_keypoints_extend_the_custom_data_config(tmp_path):
    (snippet,) = (s for s in CONFIGS if 'crowdpose.py' in s.code)
    config = load_config(snippet, tmp_path)
    assert config.model.head.out_channels == 14
    assert config.test_dataloader.dataset.data_root == 'data/mine/'
    assert config.test_dataloader.dataset.metainfo.from_file.endswith('crowdpose.py')


def test_fine_tuning_config_fits_the_included_weights(tmp_path):
    (snippet,) = (s for s in CONFIGS if "type='FinetuneHook'" in s.code)
    config = load_config(snippet, tmp_path)
    (category,) = (json.loads(s.code) for s in snippets('json') if 'swap' in s.code)
    names = category['keypoints']
    assert config.model.head.out_channels == len(names)
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        assert config[name].dataset.get('metainfo') is None
    assert [metric.type for metric in config.val_evaluator] == ['PoseNMSCocoMetric']
    model = registry.MODELS.build(config.model)
    before = {name: x.clone() for name, x in model.state_dict().items()}
    hook = registry.HOOKS.build(config.custom_hooks[-1])
    meta = dict(keypoint_name2id={name: i for i, name in enumerate(names)})
    loader = SimpleNamespace(dataset=SimpleNamespace(metainfo=meta))
    runner = SimpleNamespace(iter=0, model=model, cfg=config, train_dataloader=loader)
    hook.before_train(runner)
    # the rows of nose and left_ankle in the last layers of GlobalNet and of RefineNet
    layers = [
        (x != before[n]).flatten(1).any(1).tolist()
        for n, x in model.state_dict().items()
        if re.fullmatch(r'head\..*(predictors\.\d|refine_net)\.conv\.weight', n)
    ]
    assert layers == [[True, False, False, True, False]] * 5


@pytest.mark.parametrize('snippet', CONFIGS, ids=str)
def test_config_snippet_has_registered_types_and_their_arguments(snippet):
    for kind, arguments in typed_dicts(snippet.code):
        classes = [c for r in REGISTRIES if (c := r.get(kind)) is not None]
        assert classes, f'{kind} is not registered'
        assert any(arguments <= accepted_arguments(c) for c in classes), kind


def commands(snippet: Snippet) -> list[list[str]]:
    """The commands of a shell snippet, variables replaced."""
    variables, found = {}, []
    for line in snippet.code.replace('\\\n', ' ').splitlines():
        assigned = re.fullmatch(r'(\w+)=("[^"]*"|\S+)', line)
        if assigned:
            variables[assigned[1]] = assigned[2].strip('"')
            continue
        for name, value in variables.items():
            line = line.replace(f'${name}', value)
        words = shlex.split(line, comments=True)
        if words:
            found.append(words)
    return found


COMMANDS = [(s, words) for s in snippets('bash') for words in commands(s)]


@cache
def help_of(*words: str) -> str:
    """What a program prints for ``--help``; run here, so that imports are shared."""
    output = io.StringIO()
    with (
        mock.patch.object(sys, 'argv', [*words, '--help']),
        contextlib.redirect_stdout(output),
        contextlib.suppress(SystemExit),
    ):
        if words[0] == 'rmpe':
            rmpe.main()
        elif words[0].endswith('.py'):
            runpy.run_path(str(ROOT / words[0]), run_name='__main__')
        else:
            runpy.run_module(words[0], run_name='__main__')
    return output.getvalue()


def program(words: list[str]) -> tuple[str, ...] | None:
    """Words that select the program of a command; ``None`` for other programs."""
    if words[:3] == ['mim', 'run', 'rmpe_plugin']:
        return (f'tools/{words[3]}.py',)
    if words[0] == 'rmpe':
        names = rmpe.find_commands()
        number = 2 if ' '.join(words[1:3]) in names else 1
        if words[1].startswith('--'):
            return None
        assert ' '.join(words[1 : 1 + number]) in names
        return ('rmpe', *words[1 : 1 + number])
    if words[:2] == ['python', '-m'] and words[2].startswith('experiments'):
        return (words[2],)
    if words[0] == 'python' and words[1].endswith('.py'):
        return (words[1],)
    return None


@pytest.mark.parametrize(
    ('snippet', 'words'), COMMANDS, ids=[f'{s}-{w[0]}' for s, w in COMMANDS]
)
def test_command_exists(snippet, words):
    assert '$' not in ' '.join(words), 'a variable is not assigned in the snippet'
    for word in words:
        if re.match(r'(configs|tools|tests|docs|demo)/', word):
            assert (ROOT / word).exists(), word
    if words[0] == 'make':
        target = words[-1]
        assert f'\n{target}:\n' in (ROOT / words[2] / 'Makefile').read_text()
    if (selected := program(words)) is None or selected[-1] in ('train', 'test'):
        return
    for option in (word for word in words if word.startswith('--')):
        assert re.search(rf'{option}[\s,\]]', help_of(*selected)), option


def slug(heading: str) -> str:
    """GitHub's anchor of a heading."""
    return re.sub(r'[^\w\- ]', '', heading.lower()).replace(' ', '-')


@cache
def anchors(page: Path) -> set[str]:
    """Anchors of the headings of a page and of the pages that it includes."""
    found, heading = set(), False
    for token in parse(page):
        if heading and token.type == 'inline':
            found.add(slug(token.content))
        heading = token.type == 'heading_open'
        if token.type == 'fence' and token.info.startswith('{include}'):
            included = token.info.removeprefix('{include}').strip()
            found |= anchors((page.parent / included).resolve())
    return found


@pytest.mark.parametrize('page', PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_and_images_resolve(page):
    targets = [
        token.attrGet('href') or token.attrGet('src')
        for token in parse(page)
        if token.type in ('link_open', 'image')
    ]
    for target in targets:
        if re.match('https?://', target):
            continue
        path, _, anchor = unquote(target).partition('#')
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), target
        if anchor:
            assert anchor in anchors(linked), target


@pytest.mark.parametrize('page', PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_in_the_text_exist(page):
    configs = {path.name for path in (ROOT / 'configs').rglob('*.py')}
    for token in parse(page):
        if token.type != 'code_inline' or re.search(r'[*{]|\.\.\.', token.content):
            continue
        for path in re.findall(r'\b(?:configs|tools|tests)/[\w./-]*', token.content):
            assert (ROOT / path).exists(), path
        if re.fullmatch(r'(\w+/)*td-hm_\S+\.py', token.content):
            assert token.content.rpartition('/')[2] in configs, token.content


def public_objects(package: ModuleType) -> set[str]:
    """Names of the functions and classes that a package and its packages export."""
    found = set()
    for name in getattr(package, '__all__', ()):
        value = getattr(package, name)
        if ismodule(value):
            found |= public_objects(value)
        elif isfunction(value) or isclass(value):
            found.add(f'{package.__name__}.{name}')
    return found


@pytest.mark.slow
@pytest.mark.skipif(
    any(find_spec(name) is None for name in ('sphinx', 'myst_parser', 'furo')),
    reason='needs the extra docs',
)
def test_html_builds_without_warnings_and_has_the_whole_api(tmp_path):
    command = [sys.executable, '-m', 'sphinx', '-q', '-W', '--keep-going']
    command += ['-b', 'html', str(ROOT / 'docs'), str(tmp_path)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    html = (tmp_path / 'architecture.html').read_text()
    assert '_images/architecture_inference.svg' in html
    pages = [p for p in (tmp_path / 'api').glob('*.html') if p.stem != 'index']
    assert len(pages) >= 10
    documented = {
        name
        for page in pages
        for name in re.findall(r'id="([\w.]+)"', page.read_text())
    }
    # Sphinx accepts a class only once, also if two packages export it.
    classes = {id(locate(name)) for name in documented}
    for page in pages:
        package = importlib.import_module(f'rmpe_plugin.{page.stem}')
        missing = public_objects(package) - documented
        assert {id(locate(name)) for name in missing} <= classes, missing
