# The quickstart's CPN on a synthetic crowd, trained on proposals of a fitted model and
# tested with simulated detections.
_base_ = 'td-hm_cpn-res18_synthetic-128x96.py'

# data
data_root = 'data/synthetic_crowd/'
unjittered = dict(RandomBBoxTransform=dict(shift_prob=0.0, scale_prob=0.0))
load, *steps = [dict(t, **unjittered.get(t['type'], {})) for t in _base_.train_pipeline]
proposal = dict(type='PoseGuidedProposal', model='work_dirs/pgpg/model.json')
train_pipeline = [load, proposal, *steps]
train_dataloader = dict(
    batch_size=32,
    num_workers=2,
    dataset=dict(data_root=data_root, pipeline=train_pipeline),
)
val_dataloader = dict(
    dataset=dict(
        data_root=data_root,
        bbox_file=data_root + 'annotations/person_detections_val.json',
    )
)
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + 'annotations/person_keypoints_val.json')
test_evaluator = val_evaluator

# schedule: that of the results in docs/pgpg.md and docs/results.md
train_cfg = dict(max_epochs=2)
warm_up, cosine = _base_.param_scheduler
param_scheduler = [dict(warm_up, end=50), dict(cosine, end=2)]
auto_scale_lr = dict(base_batch_size=32)
optim_wrapper = dict(
    # the results must not depend on the CPU
    precision='float32',
    optimizer=dict(lr=2e-3),
    paramwise_cfg=dict(custom_keys={'.norm.': dict(lr_mult=20.0)}),
)
