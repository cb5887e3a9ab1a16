"""What a model does before any training: five questions about its prior, each asked by one function.

`prompts` (which template elicits most), `prefix` (a first sentence put into its mouth), `perturb` (other numbers),
`renarrate` (other words), `contamination` (does it know the questions by heart). They sample, or compute
log-probabilities, and never train. Importing this package does not import torch.
"""
