# What keeps a run safe. Entry configs put the pieces in.

# killed or out of disk at any time, a run resumes as if it had not been
safe_hooks = dict(
    checkpoint=dict(type='WholeCheckpointHook'), epoch_seed=dict(type='EpochSeedHook')
)
# EpochSeedHook's condition: workers start anew with each epoch
train_workers = dict(persistent_workers=False)

# damaged annotations and detections are refused with their ids
checked_dataset = dict(type='CheckedCocoDataset')
# OpenCV by itself fills a truncated image with grey
load_image = dict(type='LoadWholeImage')
