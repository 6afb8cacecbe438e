# SPDX-License-Identifier: Apache-2.0
"""The web page: layout, events, and the server."""

import json
import shutil
from collections import defaultdict
from functools import partial
from html import escape
from itertools import chain
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder

from rmpe_plugin.inference import media_type

from .limits import Limits
from .predictor import MIN_BOX_THR, WebPredictor, WebResult, WebSettings

# Seconds between two deletions of old files, and their age.
DELETE_CACHE = (300, 1800)
# Users who can wait; others get a message.
QUEUE = 20
# Portraits fit into a window. Files that are results cannot be removed.
CSS = """
.result img, .result video {max-height: 70vh; object-fit: contain}
.result [aria-label='Remove this file'] {display: none}
"""
# Nothing is stored in browsers, shared, measured, or fetched from other hosts.
PRIVATE: dict[str, Any] = dict(
    share=False,
    run_history=False,
    enable_monitoring=False,
    mcp_server=False,
    pwa=False,
    ssr_mode=False,
    footer_links=[],
)


def build_page(
    predictor: WebPredictor, box_thr: float = 0.35, examples: Path | None = None
) -> gr.Blocks:
    """Build the page.

    Args:
        predictor (WebPredictor): Predicts the poses.
        box_thr (float): Threshold of the detector's boxes at first. Defaults to 0.35.
        examples (Path, optional): Folder of pictures to try, see :func:`find_examples`.
            Defaults to ``None``.

    Returns:
        gr.Blocks: The page.
    """
    title = 'Poses of all people'
    with gr.Blocks(
        title=title, analytics_enabled=False, delete_cache=DELETE_CACHE
    ) as page:
        gr.Markdown(f'# {title}\n{_describe(predictor.limits)}')
        with gr.Row():
            with gr.Column(scale=1, min_width=300):
                file = gr.File(
                    label='Picture or video', file_types=['image', 'video'], height=150
                )
                button = gr.Button('Predict poses', variant='primary')
                with gr.Accordion('Camera', open=False):
                    camera = gr.Image(
                        sources='webcam',
                        type='filepath',
                        image_mode=None,
                        show_label=False,
                        webcam_options=gr.WebcamOptions(mirror=False),
                    )
            with gr.Column(scale=2, min_width=300):
                message = gr.Markdown('The poses are shown here.', min_height=60)
                with gr.Row():
                    results = [
                        *_add_result('With pose NMS'),
                        *_add_result('Without pose NMS'),
                    ]
        settings = _add_settings(predictor, box_thr)
        event = dict(
            fn=partial(predict, predictor),
            inputs=[file, *settings],
            outputs=[message, *results],
            show_progress_on=message,
            concurrency_id='poses',
            api_visibility='private',
        )
        file.upload(**event)
        button.click(**event)
        copy = dict(outputs=file, api_visibility='private')
        camera.input(lambda path: path, camera, **copy).success(**event)
        if examples is not None:
            chosen = _add_examples(examples)
            chosen.click(lambda sample: sample[0], chosen, **copy).success(**event)
    for component in (file, camera):
        _refuse_addresses(component)
    return page


def predict(
    predictor: WebPredictor,
    path: str | None,
    *settings: Any,
    progress: Any = gr.Progress(),  # noqa: B008, gradio looks for it
) -> list:
    """Predict the poses in a file, for the page.

    Args:
        predictor (WebPredictor): Predicts the poses.
        path (str, optional): The uploaded file.
        settings (Any): As in :class:`WebSettings`, by position.
        progress (gr.Progress): Shows the number of frames that are done.

    Returns:
        list: A text, which says what is wrong with a file, and updates of the two
        results.
    """
    if path is None:
        return _outputs('Choose a picture or a video first.')
    folder = Path(mkdtemp(dir=get_upload_folder()))
    try:
        results = predictor(
            Path(path),
            WebSettings(*settings),
            folder,
            lambda done, number: progress((done, number), unit='frames'),
        )
    except Exception as error:
        shutil.rmtree(folder)
        if not isinstance(error, OSError | ValueError):
            raise  # gradio logs it, and tells the user that there was an error
        return _outputs(escape(f'{Path(path).name}: {error}'))
    return _outputs(_summary(results), *results)


def find_examples(folder: Path) -> tuple[list[Path], str]:
    """List pictures in a folder, and their sources.

    Args:
        folder (Path): The folder. Sources and licences are those in COCO annotations
            (``.json``) in it.

    Returns:
        tuple[list[Path], str]: The pictures, and a Markdown text, empty without
        annotations.

    Raises:
        OSError: If the folder cannot be read.
        ValueError: If it contains no pictures, or its annotations are invalid.
    """
    paths = sorted(x for x in folder.iterdir() if media_type(x) == 'image')
    if not paths:
        raise ValueError(f'the folder of examples {folder} contains no pictures')
    sources = defaultdict(list)
    for file in folder.glob('*.json'):
        coco = json.loads(file.read_text())
        licences = {x['id']: f'[{x["name"]}]({x["url"]})' for x in coco['licenses']}
        for image in coco['images']:
            link = f'[{Path(image["file_name"]).stem}]({image["flickr_url"]})'
            sources[licences[image['license']]].append(link)
    return paths, '\n\n'.join(
        f'{licence}: {", ".join(links)}' for licence, links in sources.items()
    )


def serve(page: gr.Blocks, limits: Limits, host: str, port: int) -> None:
    """Serve a page until the process is interrupted.

    Args:
        page (gr.Blocks): The page.
        limits (Limits): ``megabytes`` bounds uploads.
        host (str): Address to listen on; ``'127.0.0.1'`` is this machine only.
        port (int): Port to listen on.

    Raises:
        OSError: If the port cannot be opened.
    """
    page.queue(max_size=QUEUE, api_open=False)
    page.launch(
        server_name=host,
        server_port=port,
        max_file_size=limits.megabytes * 2**20,
        css=CSS,
        quiet=True,
        prevent_thread_lock=True,
        **PRIVATE,
    )
    print(f'{page.local_url} (Ctrl-C stops)', flush=True)
    page.block_thread()


def _add_settings(predictor: WebPredictor, box_thr: float) -> list[gr.Component]:
    """Add the components of :class:`WebSettings`, in its order."""
    models, detectors = [*predictor.models], [*predictor.detectors]
    with gr.Accordion('Settings'):
        with gr.Row():
            model = gr.Dropdown(models, value=models[0], label='Pose model')
            detector = gr.Dropdown(detectors, value=detectors[0], label='Detector')
        with gr.Row():
            scores = [
                gr.Slider(
                    MIN_BOX_THR, 1, box_thr, step=0.05, label='Lowest score, boxes'
                ),
                gr.Slider(0, 1, 0.1, step=0.05, label='Lowest score, people'),
                gr.Slider(0, 1, 0.3, step=0.05, label='Lowest score, keypoints'),
            ]
        labels = ('Without pose NMS beside it', 'Skeleton on black', 'Ids in videos')
        choices = [gr.Checkbox(label=label) for label in labels]
    return [model, detector, *scores, *choices]


def _add_result(label: str) -> list[gr.Component]:
    """Add the place of a result: its column, picture, video and files."""
    with gr.Column(min_width=280, visible=False) as column:
        buttons = ['download', 'fullscreen']
        picture = gr.Image(label=label, buttons=buttons, elem_classes='result')
        video = gr.Video(label=label, elem_classes='result', loop=True)
        files = gr.File(label='Files', interactive=False, elem_classes='result')
    return [column, picture, video, files]


def _outputs(text: str, *results: WebResult) -> list:
    """The text, and updates of the components of two results."""
    updates = map(_updates, [*results, *[None] * (2 - len(results))])
    return [f'**{text}**', *chain.from_iterable(updates)]


def _updates(result: WebResult | None) -> list[dict]:
    """Updates of the components of a result; none is shown without one."""
    if result is None:
        return [gr.update(visible=False), *3 * [gr.update(value=None)]]
    drawing, files = str(result.drawing), [*map(str, result.files), str(result.drawing)]
    is_video = result.drawing.suffix != '.jpg'
    return [
        gr.update(visible=True),
        gr.update(value=None if is_video else drawing, visible=not is_video),
        gr.update(value=drawing if is_video else None, visible=is_video),
        gr.update(value=files),
    ]


def _add_examples(folder: Path) -> gr.Dataset:
    """Add pictures to try."""
    paths, sources = find_examples(folder)
    with gr.Accordion('Examples'):
        chosen = gr.Dataset(
            components=[gr.Image(visible=False)],
            samples=[[str(path)] for path in paths],
            samples_per_page=8,
            show_label=False,
        )
        gr.Markdown(sources)
    return chosen


def _describe(limits: Limits) -> str:
    """The limits in words."""
    return (
        f'A picture of up to {limits.megapixels:g} megapixels, or a video of up to '
        f'{limits.seconds:g} seconds and {limits.frames} frames; {limits.megabytes} MB.'
    )


def _summary(results: list[WebResult]) -> str:
    """Number of people, and what could not be read."""
    is_video = results[0].drawing.suffix != '.jpg'
    where = f' in {results[0].frames} frames' if is_video else ''
    text = f'People{where}: ' + ', without pose NMS: '.join(
        str(result.people) for result in results
    )
    if not results[-1].people:
        text = 'No people were found. Try a lower score of boxes.'
    return '; '.join([text, *map(escape, results[0].errors)])


def _refuse_addresses(component: gr.Component) -> None:
    """Let a component take uploads only; gradio would fetch a file by its address."""
    move = component.async_move_resource_to_block_cache

    async def move_upload(path: str | Path | None) -> str | None:
        if '://' in str(path):
            raise gr.Error('Upload the file, not its address.', print_exception=False)
        return await move(path)

    component.async_move_resource_to_block_cache = move_upload
