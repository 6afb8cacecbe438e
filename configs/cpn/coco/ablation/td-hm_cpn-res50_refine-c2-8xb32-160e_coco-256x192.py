_base_ = '../td-hm_cpn-res50_8xb32-160e_coco-256x192.py'

# RefineNet on C2 only (AP of the paper: 68.3)
model = dict(head=dict(refine_net=dict(num_bottlenecks=(0,))))
