# PGPG: sampled proposals instead of the base's random shift and scale. 'alphapose' are
# AlphaPose's constants; rmpe fit-pgpg fits a model to your detector.
proposal = dict(type='PoseGuidedProposal', model='alphapose')
unjittered = dict(RandomBBoxTransform=dict(shift_prob=0.0, scale_prob=0.0))
