"""Training: an encoder or T5 fine-tuned on labelled rows until it is a classifier's folder.

    recipe          what a run is told: the paper's settings, and what can be changed
    split           rows in three parts by prompt group
    batches         rows as tokens, and the batches of an epoch
    backbone        the door to torch and transformers: a folder or a name of the hub
    network         what is trained (torch)
    fit             the epochs, with checkpoints (torch)
    progress        how far it is
    curves          loss and accuracy by epoch, with intervals
    exported        the graph (torch)
    parity          whether it says what the network says
    calibrated      the temperature
    folder          whose run a folder holds
    trained, card   what came of it, and its model card
    run             all of it in order

Only `network`, `fit` and `exported` import torch, and only functions of `run` and `backbone` import them.
Source of the recipe: arXiv 2512.03047.
"""
