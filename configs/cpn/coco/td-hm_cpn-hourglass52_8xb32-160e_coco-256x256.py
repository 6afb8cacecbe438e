_base_ = '../../_base_/cpn_coco-256x192.py'

# square crops, because Hourglass-52 halves its input seven times
codec = [dict(c, input_size=(256, 256), heatmap_size=(64, 64)) for c in _base_.codec]
model = dict(
    backbone=dict(_delete_=True, type='HourglassPyramid', num_stacks=1),
    head=dict(in_channels=[256, 256, 384, 384], decoder=codec[-1]),
)

resized = dict(
    TopdownAffine=dict(input_size=(256, 256)), GenerateTarget=dict(encoder=codec)
)
train_pipeline = [dict(t, **resized.get(t['type'], {})) for t in _base_.train_pipeline]
val_pipeline = [dict(t, **resized.get(t['type'], {})) for t in _base_.val_pipeline]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=val_pipeline))
test_dataloader = val_dataloader
