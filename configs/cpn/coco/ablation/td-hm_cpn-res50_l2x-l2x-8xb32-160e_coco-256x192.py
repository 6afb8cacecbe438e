_base_ = '../td-hm_cpn-res50_8xb32-160e_coco-256x192.py'

# GlobalNet L2*, RefineNet L2*: OHKM in both (AP of the paper: 69.1)
model = dict(head=dict(global_loss=dict(type='OHKMMSELoss', topk=8)))
