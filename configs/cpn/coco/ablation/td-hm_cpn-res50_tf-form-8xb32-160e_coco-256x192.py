_base_ = '../td-hm_cpn-res50_8xb32-160e_coco-256x192.py'

# network, loss weight and level order of tf-cpn
model = dict(
    head=dict(
        global_net=dict(
            type='GlobalNet', merge_norm=False, norm_first=True, resize_grid='tf1'
        ),
        refine_net=dict(projection=False, resize_grid='tf1'),
        global_loss=dict(loss_weight=0.125),
        level_order='tf-cpn',
    )
)
