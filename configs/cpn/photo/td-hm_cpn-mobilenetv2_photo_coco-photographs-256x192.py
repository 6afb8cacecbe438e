# Test on the freely licensed COCO photographs in tests/data/coco_cc, which the head is
# not trained on, with annotated boxes.
_base_ = './td-hm_cpn-mobilenetv2_photo-256x192.py'

data_root = 'tests/data/coco_cc/'
ann_file = 'person_keypoints_cc.json'
test_dataloader = dict(dataset=dict(data_root=data_root, ann_file=ann_file))
test_evaluator = [
    _base_.val_evaluator[0],
    dict(_base_.val_evaluator[1], ann_file=data_root + ann_file),
]
