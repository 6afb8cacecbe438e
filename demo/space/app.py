# SPDX-License-Identifier: Apache-2.0
"""A page that draws the poses of all people in a photograph.

Example:
    python app.py
"""

from pathlib import Path

import gradio as gr
import numpy as np
from poses import PersonDetector, PoseEstimator

FOLDER = Path(__file__).parent
CREDITS = (
    'Code: [Apache-2.0](https://www.apache.org/licenses/LICENSE-2.0). Photographs: '
    'COCO, [CC BY 2.0](http://creativecommons.org/licenses/by/2.0/); the README of '
    'this page names their sources. Files that you send are deleted after a day.'
)
A_DAY = 24 * 60 * 60

detector = PersonDetector(FOLDER / 'detector.onnx')
estimator = PoseEstimator(FOLDER / 'pose.onnx')


def predict(
    photograph: np.ndarray | None, box_thr: float, kpt_thr: float
) -> tuple[np.ndarray, list[dict]]:
    """Draw the poses of all people.

    Args:
        photograph (np.ndarray, optional): RGB (H, W, 3), uint8.
        box_thr (float): Boxes of the detector with a lower score are dropped.
        kpt_thr (float): Keypoints with a lower score are not drawn.

    Returns:
        tuple[np.ndarray, list[dict]]: The drawing, RGB (H, W, 3), and for each person
        ``box``, xyxy, and ``keypoints``: x, y in pixels and score by name.

    Raises:
        gradio.Error: If there is no photograph, or no person in it.
    """
    if photograph is None:
        raise gr.Error('Choose a photograph first.', print_exception=False)
    image = np.ascontiguousarray(photograph[..., ::-1])
    boxes = detector(image, box_thr)
    if not len(boxes):
        message = f'The detector finds no person with a score of {box_thr:g}.'
        raise gr.Error(message, print_exception=False)
    keypoints, scores = estimator(image, boxes)
    drawing = estimator.draw(image, keypoints, scores, kpt_thr)
    names = estimator.meta['keypoint_names']
    values = np.dstack((keypoints, scores)).round(3).tolist()
    people = [
        dict(box=box, keypoints=dict(zip(names, pose, strict=True)))
        for box, pose in zip(boxes.round(1).tolist(), values, strict=True)
    ]
    return drawing[..., ::-1], people


demo = gr.Interface(
    predict,
    [
        gr.Image(label='Photograph', type='numpy', image_mode='RGB'),
        gr.Slider(0.1, 0.9, 0.35, label='Lowest score of a box'),
        gr.Slider(0.0, 0.9, 0.3, label='Lowest score of a keypoint'),
    ],
    [gr.Image(label='Poses', format='jpeg'), gr.JSON(label='Keypoints')],
    title='Poses with rmpe_plugin',
    article=CREDITS,
    examples=[[str(path), 0.35, 0.3] for path in sorted(FOLDER.glob('*.jpg'))] or None,
    cache_examples=False,
    flagging_mode='never',
    analytics_enabled=False,
    delete_cache=(3600, A_DAY),
)

if __name__ == '__main__':
    demo.launch()
