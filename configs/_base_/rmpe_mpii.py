# MPII for RMPE: data, metrics and the authors' training settings.
#
# Training and multi-person test use the annotations of
# rmpe convert mpii. Validation is MMPose's: PCKh of single people.

root = 'data/mpii/'
mpii_people = dict(
    type='CheckedCocoDataset',
    data_mode='topdown',
    metainfo=dict(from_file='configs/_base_/datasets/mpii.py'),
    data_root=root,
    data_prefix=dict(img='images/'),
)
mpii_train = dict(mpii_people, ann_file='annotations/mpii_coco_train.json')
# bbox_file: the output of rmpe detect on the held-out images
mpii_test = dict(
    mpii_people,
    ann_file='annotations/mpii_coco_val.json',
    bbox_file=root + 'annotations/person_detections_val.json',
    test_mode=True,
)
mpii_single = dict(
    type='MpiiDataset',
    data_mode='topdown',
    data_root=root,
    ann_file='annotations/mpii_val.json',
    headbox_file=root + 'annotations/mpii_gt_val.mat',
    data_prefix=dict(img='images/'),
    test_mode=True,
)
multi_person_map = dict(
    type='MultiPersonMAP',
    ann_file=root + 'annotations/mpii_coco_val.json',
    groups='mpii',
    pose_nms='rmpe-mpii',
)

# schedule of both stages; stage 2 with a fifth of the learning rate
mpii_epochs = dict(max_epochs=30, val_interval=5)
mpii_scheduler = [
    dict(
        type='MultiStepLR', begin=0, end=30, milestones=[20], gamma=0.2, by_epoch=True
    ),
]
