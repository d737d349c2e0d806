# Mask R-CNN by the recipe of Swin (arXiv 2103.14030): 1x with twice the warm-up; vHeat's authors
# took it. Biases are not decayed here, as in all recipes of this library.
_base_ = './mask_rcnn_coco.py'
warmup = 1000
param_scheduler = [dict(_base_.param_scheduler[0], end=warmup), _base_.param_scheduler[1]]
