# Test on the freely licensed COCO photographs in tests/data/coco_cc, which no model is
# trained on, with annotated boxes and the 12 joints that COCO and LSP have in common.
_base_ = './td-hm_cpn-efficientnet-lite0_stage4_lsp-256x192.py'

# from COCO's 17 keypoints to LSP's joints: (index in COCO, index in LSP)
common_joints = dict(
    type='KeypointConverter',
    num_keypoints=14,
    mapping=[(16, 0), (14, 1), (12, 2), (11, 3), (13, 4), (15, 5)]
    + [(10, 6), (8, 7), (6, 8), (5, 9), (7, 10), (9, 11)],
)
load, *crop = _base_.val_pipeline
val_pipeline = [load, common_joints, *crop]
val_dataloader = dict(
    dataset=dict(
        # CheckedCocoDataset requires 14 keypoints in the file
        type='CocoDataset',
        data_root='tests/data/coco_cc/',
        ann_file='person_keypoints_cc.json',
        data_prefix=dict(img=''),
        pipeline=val_pipeline,
    )
)
test_dataloader = val_dataloader
val_evaluator = dict(
    _delete_=True,
    type='TorsoPCK',
    joints=[
        f'{side}_{joint}'
        for side in ('right', 'left')
        for joint in ('ankle', 'knee', 'hip', 'wrist', 'elbow', 'shoulder')
    ],
)
test_evaluator = val_evaluator
