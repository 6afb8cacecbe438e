_base_ = '../../_base_/cpn_coco-256x192.py'
