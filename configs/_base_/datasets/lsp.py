# Leeds Sports Pose and its extended training set: 14 joints of one person per image, in
# the order of joints.mat. Sigmas and weights are those of CrowdPose's joints.
dataset_info = dict(
    dataset_name='lsp',
    paper_info=dict(
        author='Sam Johnson and Mark Everingham',
        title='Learning Effective Human Pose Estimation from Inaccurate Annotation',
        container='IEEE Conference on Computer Vision and Pattern Recognition (CVPR)',
        year='2011',
        homepage='http://sam.johnson.io/research/lspet.html',
    ),
    keypoint_info={
        index: dict(name=name, id=index, color=color, type=type, swap=swap)
        for index, (name, color, type, swap) in enumerate(
            [
                ('right_ankle', [255, 128, 0], 'lower', 'left_ankle'),
                ('right_knee', [255, 128, 0], 'lower', 'left_knee'),
                ('right_hip', [255, 128, 0], 'lower', 'left_hip'),
                ('left_hip', [0, 255, 0], 'lower', 'right_hip'),
                ('left_knee', [0, 255, 0], 'lower', 'right_knee'),
                ('left_ankle', [0, 255, 0], 'lower', 'right_ankle'),
                ('right_wrist', [255, 128, 0], 'upper', 'left_wrist'),
                ('right_elbow', [255, 128, 0], 'upper', 'left_elbow'),
                ('right_shoulder', [255, 128, 0], 'upper', 'left_shoulder'),
                ('left_shoulder', [0, 255, 0], 'upper', 'right_shoulder'),
                ('left_elbow', [0, 255, 0], 'upper', 'right_elbow'),
                ('left_wrist', [0, 255, 0], 'upper', 'right_wrist'),
                ('neck', [51, 153, 255], 'upper', ''),
                ('head_top', [51, 153, 255], 'upper', ''),
            ]
        )
    },
    skeleton_info={
        index: dict(link=link, id=index, color=color)
        for index, (link, color) in enumerate(
            [
                (('right_ankle', 'right_knee'), [255, 128, 0]),
                (('right_knee', 'right_hip'), [255, 128, 0]),
                (('left_ankle', 'left_knee'), [0, 255, 0]),
                (('left_knee', 'left_hip'), [0, 255, 0]),
                (('right_hip', 'left_hip'), [51, 153, 255]),
                (('right_shoulder', 'right_hip'), [51, 153, 255]),
                (('left_shoulder', 'left_hip'), [51, 153, 255]),
                (('right_shoulder', 'neck'), [51, 153, 255]),
                (('left_shoulder', 'neck'), [51, 153, 255]),
                (('right_shoulder', 'right_elbow'), [255, 128, 0]),
                (('right_elbow', 'right_wrist'), [255, 128, 0]),
                (('left_shoulder', 'left_elbow'), [0, 255, 0]),
                (('left_elbow', 'left_wrist'), [0, 255, 0]),
                (('neck', 'head_top'), [51, 153, 255]),
            ]
        )
    },
    joint_weights=[1.0] * 14,
    sigmas=[0.089, 0.087, 0.107, 0.107, 0.087, 0.089, 0.062]
    + [0.072, 0.079, 0.079, 0.072, 0.062, 0.079, 0.079],
)
