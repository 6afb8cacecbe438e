# The quickstart's detections without pose NMS, with MMPose's OKS-NMS and with each preset
# of parametric pose NMS, in one test.
_base_ = 'td-hm_cpn-res18_synthetic-128x96.py'

val_dataloader = dict(dataset=dict(bbox_file='work_dirs/detector/val_boxes.json'))
test_dataloader = val_dataloader
poses = 'work_dirs/quickstart/detections'
plain = dict(_base_.val_evaluator, prefix='none', outfile_prefix=poses)
test_evaluator = [
    plain,
    dict(
        plain, prefix='oks_nms', nms_mode='oks_nms', outfile_prefix=poses + '_oks_nms'
    ),
    *[
        dict(
            plain,
            type='PoseNMSCocoMetric',
            pose_nms=preset,
            prefix=preset,
            outfile_prefix=f'{poses}_{preset}',
        )
        for preset in ('rmpe-paper', 'rmpe-mpii', 'alphapose-coco')
    ],
]
