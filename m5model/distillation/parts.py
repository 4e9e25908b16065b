"""The parts of a distillation, in their order, and what share of the steps each has. No torch here.

Steps of a part that a recipe does not have go to the others.
"""

PARTS = {
    "pretrain": 0.3,
    "layers": 0.4,  # where layers of a teacher are taken
    "relations": 0.2,  # where a recipe asks for them
    "imitation": 0.4,
    "judgements": 0.2,
    "soft_targets": 0.2,  # where there is a cross-encoder
    "contrast": 0.1,
}
