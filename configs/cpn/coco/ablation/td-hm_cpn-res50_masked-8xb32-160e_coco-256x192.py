_base_ = '../td-hm_cpn-res50_8xb32-160e_coco-256x192.py'

# GlobalNet also learns occluded keypoints, unlabelled ones are masked (paper's text)
codec = [dict(c, occluded='keep') for c in _base_.codec]
train_pipeline = [
    dict(t, encoder=codec) if t['type'] == 'GenerateTarget' else t
    for t in _base_.train_pipeline
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
