# Settings for reliable runs, used by the other configs.

# a run that is killed or fails on a full disk resumes with identical results
safe_hooks = dict(
    checkpoint=dict(type='WholeCheckpointHook'), epoch_seed=dict(type='EpochSeedHook')
)
# required by EpochSeedHook: workers are restarted in every epoch
train_workers = dict(persistent_workers=False)

# raises an error with the id for invalid annotations and detections
checked_dataset = dict(type='CheckedCocoDataset')
# raises an error for a truncated image, which OpenCV fills with grey
load_image = dict(type='LoadWholeImage')
