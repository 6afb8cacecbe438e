_base_ = '../td-hm_cpn-res50_8xb32-160e_coco-256x192.py'

# RefineNet with one bottleneck per level (AP of the paper: 69.2)
model = dict(head=dict(refine_net=dict(num_bottlenecks=(1, 1, 1, 1))))
