# SPDX-License-Identifier: Apache-2.0
"""Imports that take seconds, put off until they are needed."""

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

# Packages with the classes of MMPose's registries.
REGISTRIES = dict(
    MODELS='models',
    KEYPOINT_CODECS='codecs',
    DATASETS='datasets',
    TRANSFORMS='datasets',
    HOOKS='engine',
    OPTIM_WRAPPERS='engine',
    METRICS='evaluation',
    VISUALIZERS='visualization',
    TASK_UTILS='tracking',
)


def register_packages() -> None:
    """Register all classes in MMPose's registries, as MMPose registers its own.

    A registry of MMEngine imports its locations when it first looks for a class.
    """
    from mmpose import registry

    for name, package in REGISTRIES.items():
        classes, location = getattr(registry, name), f'rmpe_plugin.{package}'
        if classes._imported:
            import_module(location)
        else:
            classes._locations.append(location)


def import_after(first: str, second: str) -> None:
    """Import a module as soon as another one has been imported; now if it is.

    Args:
        first (str): Name of the other module.
        second (str): Name of the module.
    """
    if first in sys.modules:
        import_module(second)
    else:
        sys.meta_path.insert(0, _Finder(first, second))


class _Finder(MetaPathFinder):
    """Finds a module as Python does, and imports a second one after it."""

    def __init__(self, first: str, second: str) -> None:
        self.first, self.second = first, second

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find the module and wrap its loader."""
        if name != self.first:
            return None
        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def execute_both(module: ModuleType) -> None:
            execute(module)
            import_module(self.second)

        spec.loader.exec_module = execute_both  # type: ignore[method-assign]
        return spec


def lazy_names(
    package: str, modules: Mapping[str, Sequence[str]]
) -> Callable[[str], Any]:
    """Make the function ``__getattr__`` of a package (PEP 562).

    Args:
        package (str): Name of the package.
        modules (Mapping[str, Sequence[str]]): Names that it exports, by the module in
            it that is imported when one of them is first used.

    Returns:
        Callable[[str], Any]: Function of a name that returns its value.

    Example:
        >>> get = lazy_names('xml', dict(sax=['make_parser']))
        >>> get('make_parser').__name__
        'make_parser'
    """
    places = {name: module for module, names in modules.items() for name in names}

    def get(name: str) -> Any:
        if name not in places:
            raise AttributeError(f'module {package!r} has no attribute {name!r}')
        value = getattr(import_module(f'{package}.{places[name]}'), name)
        setattr(sys.modules[package], name, value)
        return value

    return get
