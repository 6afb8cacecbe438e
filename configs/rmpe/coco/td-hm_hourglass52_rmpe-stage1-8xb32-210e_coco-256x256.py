# Stage 1 of RMPE: Hourglass-52 on perturbed boxes.
_base_ = [
    'mmpose::body_2d_keypoint/topdown_heatmap/coco/'
    'td-hm_hourglass52_8xb32-210e_coco-256x256.py',
    '../../_base_/rmpe.py',
    '../../_base_/safe.py',
]

# MMPose builds a block between stacks even for one stack; it has no gradient
find_unused_parameters = True

custom_imports = dict(imports=['rmpe_plugin'], allow_failed_imports=False)

# visualizer: the one of MMPose 1.3 fails with numpy >= 2.4
visualizer = dict(type='NumpySafePoseVisualizer')

changed = dict(LoadImage=_base_.load_image, RandomBBoxTransform=_base_.perturbation)
train_pipeline = [dict(t, **changed.get(t['type'], {})) for t in _base_.train_pipeline]
val_pipeline = [dict(t, **changed.get(t['type'], {})) for t in _base_.val_pipeline]
dataset_type = _base_.checked_dataset.type
train_dataloader = dict(
    **_base_.train_workers, dataset=dict(type=dataset_type, pipeline=train_pipeline)
)
val_dataloader = dict(dataset=dict(type=dataset_type, pipeline=val_pipeline))
test_dataloader = val_dataloader
default_hooks = _base_.safe_hooks
