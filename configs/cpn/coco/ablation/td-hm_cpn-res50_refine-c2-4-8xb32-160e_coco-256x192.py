_base_ = '../td-hm_cpn-res50_8xb32-160e_coco-256x192.py'

# RefineNet on C2 to C4 (AP of the paper: 69.1)
model = dict(head=dict(refine_net=dict(num_bottlenecks=(0, 1, 2))))
