# The same test with perturbed boxes, as from a poor detector.
_base_ = './td-hm_cpn-mobilenetv2_photo_coco-photographs-256x192.py'

perturbation = dict(
    type='RandomBBoxTransform',
    shift_factor=0.16,
    shift_prob=1.0,
    scale_factor=(0.75, 1.25),
    scale_prob=1.0,
    rotate_prob=0.0,
)
load, box, *crop = _base_.val_pipeline
test_pipeline = [load, box, perturbation, *crop]
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
