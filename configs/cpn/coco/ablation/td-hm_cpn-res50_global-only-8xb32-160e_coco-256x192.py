_base_ = '../td-hm_cpn-res50_8xb32-160e_coco-256x192.py'

# GlobalNet without RefineNet (AP of the paper: 66.6)
model = dict(head=dict(refine_net=None))
