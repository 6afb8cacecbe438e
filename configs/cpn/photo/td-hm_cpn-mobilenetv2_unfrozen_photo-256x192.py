# Like stage 2, and trains the last four layers of the backbone. photo is an average of
# both, see docs/photographs_training.md.
_base_ = './td-hm_cpn-mobilenetv2_photo-256x192.py'

model = dict(backbone=dict(frozen_stages=3))

# schedule
train_cfg = dict(max_epochs=4)
optim_wrapper = dict(paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.3))))
warmup, cosine = _base_.param_scheduler
param_scheduler = [warmup, dict(cosine, end=4)]
