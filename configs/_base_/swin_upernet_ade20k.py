# UperNet by the recipe of Swin (arXiv 2103.14030): smaller steps, less decay, no clipping; vHeat's
# authors took it. Biases are not decayed here, as in all recipes of this library.
_base_ = './upernet_ade20k.py'
optim_wrapper = dict(
    optimizer=dict(lr=6e-5, weight_decay=0.01),
    clip_grad=None,
)
