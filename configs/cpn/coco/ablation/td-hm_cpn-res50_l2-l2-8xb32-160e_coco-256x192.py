_base_ = '../td-hm_cpn-res50_8xb32-160e_coco-256x192.py'

# GlobalNet L2, RefineNet L2 (AP of the paper: 68.6)
model = dict(
    head=dict(loss=dict(_delete_=True, type='KeypointMSELoss', use_target_weight=True))
)
