"""Keypoints of one person with an exported model: NumPy, OpenCV and onnxruntime only.

python onnx_keypoints.py MODEL.onnx IMAGE X1 Y1 X2 Y2
"""

import json
import sys

import cv2
import numpy as np
import onnxruntime

path, image_path, *box = sys.argv[1:]
session = onnxruntime.InferenceSession(path, providers=['CPUExecutionProvider'])
properties = session.get_modelmeta().custom_metadata_map
meta = {name: json.loads(value) for name, value in properties.items()}
width, height = meta['input_size']

# The box is enlarged around its centre, and extended to the aspect ratio of the crop.
x1, y1, x2, y2 = map(float, box)
center = np.array([(x1 + x2) / 2, (y1 + y2) / 2])
w, h = np.array([x2 - x1, y2 - y1]) * meta['crop_padding']
w, h = max(w, h * meta['crop_aspect_ratio']), max(h, w / meta['crop_aspect_ratio'])

# Affine matrix from pixels of the crop to pixels of the image.
extent = np.array([width, height]) - meta['crop_udp']
scale = np.array([w, h]) / extent
inverse = np.column_stack((np.diag(scale), center - np.array([w, h]) / 2))

image = cv2.imread(image_path)
crop = cv2.warpAffine(
    image, inverse, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
)
if meta['color'] == 'rgb':
    crop = crop[..., ::-1]
dtype = np.uint8 if session.get_inputs()[0].type == 'tensor(uint8)' else np.float32
crops = np.ascontiguousarray(crop.transpose(2, 0, 1)[None], dtype)  # (1, 3, h, w)
keypoints, scores = session.run(None, {'crops': crops})

keypoints = keypoints[0] @ inverse[:, :2].T + inverse[:, 2]
names = meta['keypoint_names']
for name, (x, y), score in zip(names, keypoints, scores[0], strict=True):
    print(f'{name:16} {x:7.1f} {y:7.1f} {score:.2f}')
