# Settings of a run that do not depend on the task; schedules inherit from this file.
default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='mmfreq.CheckpointHook', max_keep_ckpts=2),
    data_check=dict(type='mmfreq.DataCheckHook'),
    nonfinite=dict(type='mmfreq.NonFiniteLossHook', max_skipped=10),
    sampler_seed=dict(type='DistSamplerSeedHook'),
)
env_cfg = dict(
    cudnn_benchmark=False,  # image sizes vary
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'),
)
log_level = 'INFO'
load_from = None  # a checkpoint to start from, with fresh optimiser
resume = False
randomness = dict(seed=None)
