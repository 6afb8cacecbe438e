# SPDX-License-Identifier: Apache-2.0
"""Annotation of the person that a top-down model was tested on."""


def person_annotation(sample: dict, metric: str) -> dict:
    """Return the COCO annotation of a sample.

    Args:
        sample (dict): Output of a model that is tested on ground-truth boxes.
        metric (str): Name of the metric, for the error message.

    Returns:
        dict: The annotation, with ``keypoints``.

    Raises:
        ValueError: If the sample has no annotation, because its box is a detection.
    """
    annotation = sample.get('raw_ann_info')
    if annotation is None or 'keypoints' not in annotation:
        raise ValueError(
            f'{metric} needs the annotation of each person: set '
            'test_dataloader.dataset.bbox_file=None'
        )
    return annotation
