# Stage 3: still larger crops, and the backbone is no longer frozen.
_base_ = './td-hm_cpn-efficientnet-lite0_stage2_lsp-160x128.py'

load_from = 'work_dirs/td-hm_cpn-efficientnet-lite0_stage2_lsp-160x128/epoch_10.pth'

input_size = (160, 192)
codec = [dict(c, input_size=input_size, heatmap_size=(40, 48)) for c in _base_.codec]
model = dict(backbone=dict(frozen_stages=0), head=dict(decoder=codec[-1]))

resized = dict(
    TopdownAffine=dict(input_size=input_size), GenerateTarget=dict(encoder=codec)
)
train_pipeline = [dict(t, **resized.get(t['type'], {})) for t in _base_.train_pipeline]
val_pipeline = [dict(t, **resized.get(t['type'], {})) for t in _base_.val_pipeline]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=val_pipeline))
test_dataloader = val_dataloader

# schedule
train_cfg = dict(max_epochs=8, val_interval=4)
warmup, cosine = _base_.param_scheduler
param_scheduler = [warmup, dict(cosine, end=8)]
