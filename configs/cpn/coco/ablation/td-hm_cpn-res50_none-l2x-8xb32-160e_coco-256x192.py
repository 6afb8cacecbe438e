_base_ = '../td-hm_cpn-res50_8xb32-160e_coco-256x192.py'

# no GlobalNet loss, RefineNet L2* (AP of the paper: 68.5)
model = dict(head=dict(global_loss=None))
