# Faster R-CNN on COCO. Configs add a backbone and its channels.
_base_ = ['./models/faster_rcnn.py', './datasets/coco_detection.py', './schedules/1x_sgd.py']
model = dict(roi_head=dict(bbox_head=dict(num_classes=_base_.num_classes)))
