# HRNet-W32 on perturbed boxes
_base_ = [
    'mmpose::body_2d_keypoint/topdown_heatmap/coco/'
    'td-hm_hrnet-w32_8xb64-210e_coco-256x192.py',
    '../../_base_/rmpe.py',
]

custom_imports = dict(imports=['rmpe_plugin'], allow_failed_imports=False)

# visualizer: MMPose 1.3's own fails with numpy >= 2.4
visualizer = dict(type='NumpySafePoseVisualizer')

train_pipeline = [
    dict(t, **_base_.perturbation) if t['type'] == 'RandomBBoxTransform' else t
    for t in _base_.train_pipeline
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
