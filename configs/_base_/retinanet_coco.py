# RetinaNet on COCO. Configs add a backbone and its channels.
_base_ = ['./models/retinanet.py', './datasets/coco_detection.py', './schedules/1x.py']
model = dict(bbox_head=dict(num_classes=_base_.num_classes))
