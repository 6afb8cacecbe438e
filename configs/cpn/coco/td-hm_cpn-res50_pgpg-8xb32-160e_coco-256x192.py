# PGPG: proposals are sampled instead of the base's random shift and scale. These lines
# suit any config. rmpe fit-pgpg fits a model to your detector; 'alphapose' are AlphaPose's
# constants.
_base_ = 'td-hm_cpn-res50_8xb32-160e_coco-256x192.py'

unjittered = dict(RandomBBoxTransform=dict(shift_prob=0.0, scale_prob=0.0))
load, *steps = [dict(t, **unjittered.get(t['type'], {})) for t in _base_.train_pipeline]
proposal = dict(type='PoseGuidedProposal', model='alphapose')
train_pipeline = [load, proposal, *steps]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
