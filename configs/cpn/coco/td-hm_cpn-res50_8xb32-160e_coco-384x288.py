_base_ = '../../_base_/cpn_coco-384x288.py'
