# Stage 2 trains the feature pyramid too.
_base_ = './td-hm_cpn-mobilenetv2_stage1_photo-256x192.py'

load_from = 'work_dirs/td-hm_cpn-mobilenetv2_stage1_photo-256x192/epoch_5.pth'
model = dict(
    neck=dict(frozen=False),
    # of ScoreReliabilityMetric on the people held out; changes scores only
    head=dict(decoder=dict(calibration=(5.43, -1.99))),
)

# schedule
train_cfg = dict(max_epochs=3, val_interval=1)
optim_wrapper = dict(optimizer=dict(lr=5e-4))
warmup, cosine = _base_.param_scheduler
param_scheduler = [dict(warmup, end=50), dict(cosine, end=3)]
default_hooks = dict(checkpoint=dict(max_keep_ckpts=3))
