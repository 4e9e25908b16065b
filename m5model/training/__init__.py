"""Masked-language-model pre-training in plain PyTorch: order, masking, schedule, checkpoints, the loop; one file per idea."""
