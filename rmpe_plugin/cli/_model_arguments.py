# SPDX-License-Identifier: Apache-2.0
"""Arguments that name a model, ``MODEL [CHECKPOINT]``, the same in all commands."""

import argparse
import re
from pathlib import Path

from rmpe_plugin.apis import is_model_name

MODEL = (
    'a name that rmpe models lists; or a config, a file or PACKAGE::PATH such as '
    '{example}'
)
CHECKPOINT = (
    'file or address of its weights (default: those of the name; a config file has '
    'none)'
)
EXAMPLES = dict(pose='rmpe_plugin::cpn/coco/NAME.py', detector='mmdet::rtmdet/NAME.py')


def add_model_arguments(parser: argparse.ArgumentParser, kind: str) -> None:
    """Add the arguments ``config`` and ``checkpoint``.

    Args:
        parser (argparse.ArgumentParser): The parser of a command.
        kind (str): ``'pose'`` or ``'detector'``.
    """
    text = MODEL.format(example=EXAMPLES[kind])
    parser.add_argument('config', metavar='MODEL', help=f'the {kind} model: {text}')
    parser.add_argument('checkpoint', nargs='?', metavar='CHECKPOINT', help=CHECKPOINT)


def check_model(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """End the command if a config file is given without a checkpoint.

    Args:
        parser (argparse.ArgumentParser): The parser of the command.
        args (argparse.Namespace): Its arguments.
    """
    if args.checkpoint is None and _is_config_file(args.config):
        parser.error(f'the checkpoint of {args.config} is missing')


def take_model(words: list[str]) -> tuple[str, str | None]:
    """Take ``MODEL [CHECKPOINT]`` from the front of a list; the other words are left.

    Args:
        words (list[str]): At least one word.

    Returns:
        tuple[str, str | None]: The model, and its checkpoint if one follows.

    Raises:
        ValueError: If a config file is not followed by its checkpoint.
    """
    model = words.pop(0)
    if _is_config_file(model) and not words:
        raise ValueError(f'the checkpoint of {model} is missing')
    follows = words and (_is_config_file(model) or _is_checkpoint(words[0]))
    return model, words.pop(0) if follows else None


def is_pose_model(word: str) -> bool:
    """Whether a word is a pose model. A file or folder with the name of one is not.

    Args:
        word (str): The word.

    Returns:
        bool: Whether it is a ``.py`` or ``.onnx`` file, ``PACKAGE::PATH`` or a name.
    """
    if re.match(r'\w+::', word) or Path(word).suffix in ('.py', '.onnx'):
        return True
    return not Path(word).exists() and is_model_name(word)


def _is_config_file(word: str) -> bool:
    """Whether a word is a config file, which has no weights of its own."""
    return Path(word).suffix == '.py' and '::' not in word


def _is_checkpoint(word: str) -> bool:
    """Whether a word is a checkpoint by its form."""
    return bool(re.search(r'\.(pth|pt)$|^package://', word))
