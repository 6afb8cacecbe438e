# PGPG: boxes as a detector would give them, in place of the base's own shift and scale.
# AlphaPose's constants where no model was fitted to the detector (tools/fit_pgpg.py).
proposal = dict(type='PoseGuidedProposal', model='alphapose')
unjittered = dict(RandomBBoxTransform=dict(shift_prob=0.0, scale_prob=0.0))
