_base_ = (
    'mmpose::body_3d_keypoint/video_pose_lift/h36m/'
    'video-pose-lift_tcn-27frm-supv_8xb128-160e_h36m.py'
)
# MMPose's VideoPoseLift on poses that a CPN has predicted in synthetic videos.

custom_imports = dict(imports=['rmpe_plugin'], allow_failed_imports=False)

train_cfg = dict(max_epochs=15, val_interval=5)
auto_scale_lr = dict(base_batch_size=128)
param_scheduler = [dict(type='ExponentialLR', gamma=0.8, begin=5, by_epoch=True)]
default_hooks = dict(checkpoint=dict(save_best=None, max_keep_ckpts=1))

model = dict(
    backbone=dict(stem_channels=256),
    head=dict(in_channels=256),
)

data_root = 'data/synthetic_videos/'
poses = dict(
    data_root=data_root,
    camera_param_file='annotation_body3d/cameras.pkl',
    keypoint_2d_src='detection',
)
train_dataloader = dict(
    dataset=dict(
        ann_file='annotation_body3d/h36m_train.npz',
        keypoint_2d_det_file='joint_2d_det_files/cpn_train.npy',
        **poses,
    )
)
val_dataloader = dict(
    dataset=dict(
        ann_file='annotation_body3d/h36m_test.npz',
        keypoint_2d_det_file='joint_2d_det_files/cpn_test.npy',
        **poses,
    )
)
test_dataloader = val_dataloader
