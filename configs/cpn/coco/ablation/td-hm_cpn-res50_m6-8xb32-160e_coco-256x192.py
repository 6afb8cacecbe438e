_base_ = '../td-hm_cpn-res50_8xb32-160e_coco-256x192.py'

# M = 6 hard keypoints of 17
model = dict(head=dict(loss=dict(topk=6)))
