# Mask R-CNN on COCO. Configs add a backbone and its channels.
_base_ = ['./models/mask_rcnn.py', './datasets/coco.py', './schedules/1x.py']
