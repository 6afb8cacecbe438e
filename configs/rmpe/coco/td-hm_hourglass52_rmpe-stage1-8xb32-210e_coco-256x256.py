# Hourglass-52 on perturbed boxes
_base_ = [
    'mmpose::body_2d_keypoint/topdown_heatmap/coco/'
    'td-hm_hourglass52_8xb32-210e_coco-256x256.py',
    '../../_base_/rmpe.py',
]

# one stack's block between stacks is never used
find_unused_parameters = True

custom_imports = dict(imports=['rmpe_plugin'], allow_failed_imports=False)

# visualizer: MMPose 1.3's own fails with numpy >= 2.4
visualizer = dict(type='NumpySafePoseVisualizer')

train_pipeline = [
    dict(t, **_base_.perturbation) if t['type'] == 'RandomBBoxTransform' else t
    for t in _base_.train_pipeline
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
