"""The pipelines of the configs on every image of the small real data sets."""

import pytest
from mmengine.config import Config
from mmengine.registry import DATASETS, DefaultScope, init_default_scope


@pytest.mark.parametrize(
    ('config', 'folder', 'counts'),
    [
        ('upernet_gfnet_h_s_ade20k', 'ade20k_mini/ADEChallengeData2016', (79, 25)),
        ('fpn_gfnet_h_s_ade20k', 'ade20k_mini/ADEChallengeData2016', (79, 25)),
        (
            'mask_rcnn_gfnet_h_ti_coco',
            'coco_mini',
            (197, 100),
        ),  # images without objects are left out
        ('retinanet_gfnet_h_ti_coco', 'coco_mini', (197, 100)),
    ],
)
def test_every_sample(shared, config, folder, counts):
    cfg = Config.fromfile(f'configs/{config}.py')
    init_default_scope(cfg.default_scope)
    try:
        for loader, count in zip((cfg.train_dataloader, cfg.val_dataloader), counts, strict=True):
            loader.dataset.data_root = str(shared / 'data' / folder)
            dataset = DATASETS.build(loader.dataset)
            assert len(dataset) == count
            for sample in dataset:
                height, width = sample['inputs'].shape[1:]
                assert min(height, width) > 0
                assert max(height, width) <= 2048
    finally:
        DefaultScope._instance_dict.clear()
