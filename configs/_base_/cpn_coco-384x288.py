# CPN-ResNet-50 on COCO at 384x288: larger crops and wider targets.
_base_ = './cpn_coco-256x192.py'

codec = [
    dict(c, input_size=(288, 384), heatmap_size=(72, 96), kernel_size=kernel_size)
    for c, kernel_size in zip(_base_.codec, (9, 13, 17, 23, 9))
]
model = dict(head=dict(decoder=codec[-1]))

resized = dict(
    TopdownAffine=dict(input_size=(288, 384)), GenerateTarget=dict(encoder=codec)
)
train_pipeline = [dict(t, **resized.get(t['type'], {})) for t in _base_.train_pipeline]
val_pipeline = [dict(t, **resized.get(t['type'], {})) for t in _base_.val_pipeline]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=val_pipeline))
test_dataloader = val_dataloader
