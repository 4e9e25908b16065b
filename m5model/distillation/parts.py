"""The parts of a distillation, in their order, and what share of the steps each has. No torch here.

Steps of a part that a recipe does not have go to the others.
"""

PARTS = {"pretrain": 0.3, "imitation": 0.4, "judgements": 0.2, "contrast": 0.1}
