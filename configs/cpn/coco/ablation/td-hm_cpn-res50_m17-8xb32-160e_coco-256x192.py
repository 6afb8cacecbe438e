_base_ = '../td-hm_cpn-res50_8xb32-160e_coco-256x192.py'

# M = 17: all keypoints, which equals L2 without OHKM
model = dict(head=dict(loss=dict(topk=17)))
