_base_ = '../td-hm_cpn-res50_8xb32-160e_coco-256x192.py'

# RefineNet without bottlenecks per level (AP of the paper: 68.5)
model = dict(head=dict(refine_net=dict(num_bottlenecks=(0, 0, 0, 0))))
