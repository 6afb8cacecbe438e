# Stage 4: 256x192, the usual size. Stage 3 has adapted the first level to photographs of
# people; it is frozen again, because training it would take longer.
_base_ = './td-hm_cpn-efficientnet-lite0_stage3_lsp-192x160.py'

load_from = 'work_dirs/td-hm_cpn-efficientnet-lite0_stage3_lsp-192x160/epoch_8.pth'

input_size = (192, 256)
codec = [dict(c, input_size=input_size, heatmap_size=(48, 64)) for c in _base_.codec]
# of ScoreReliabilityMetric on the people held out; changes scores only
codec[-1]['calibration'] = (7.19, -1.56)
model = dict(backbone=dict(frozen_stages=1), head=dict(decoder=codec[-1]))

resized = dict(
    TopdownAffine=dict(input_size=input_size), GenerateTarget=dict(encoder=codec)
)
train_pipeline = [dict(t, **resized.get(t['type'], {})) for t in _base_.train_pipeline]
val_pipeline = [dict(t, **resized.get(t['type'], {})) for t in _base_.val_pipeline]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=val_pipeline))
test_dataloader = val_dataloader
