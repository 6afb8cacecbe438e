# Stage 2: larger crops with less padding, because the precision of the joints limits PCK.
_base_ = './td-hm_cpn-efficientnet-lite0_lsp-128x96.py'

load_from = 'work_dirs/td-hm_cpn-efficientnet-lite0_lsp-128x96/epoch_8.pth'

input_size = (128, 160)
codec = [dict(c, input_size=input_size, heatmap_size=(32, 40)) for c in _base_.codec]
model = dict(head=dict(decoder=codec[-1]))

resized = dict(
    CPNBBoxCenterScale=dict(padding=(1.1, 1.1)),
    TopdownAffine=dict(input_size=input_size),
    GenerateTarget=dict(encoder=codec),
)
train_pipeline = [dict(t, **resized.get(t['type'], {})) for t in _base_.train_pipeline]
val_pipeline = [dict(t, **resized.get(t['type'], {})) for t in _base_.val_pipeline]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=val_pipeline))
test_dataloader = val_dataloader

# schedule
train_cfg = dict(max_epochs=10, val_interval=5)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
warmup, cosine = _base_.param_scheduler
param_scheduler = [dict(warmup, end=100), dict(cosine, end=10)]
