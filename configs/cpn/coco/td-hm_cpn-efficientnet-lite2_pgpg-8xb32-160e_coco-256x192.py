_base_ = [
    'td-hm_cpn-efficientnet-lite2_8xb32-160e_coco-256x192.py',
    '../../_base_/pgpg.py',
]

# pipeline: sampled proposals instead of random shift and scale
load, *steps = [
    dict(t, **_base_.unjittered.get(t['type'], {})) for t in _base_.train_pipeline
]
train_pipeline = [load, _base_.proposal, *steps]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
