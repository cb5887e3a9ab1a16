"""The rewards of `spurious.signals` as other trainers want them: one module an engine, each with a `reward_func`.

    from spurious.engines.adapters import trl
    GRPOTrainer(reward_funcs=trl.reward_func({"shuffled": "ground_truth"}, seed=1), ...)

A reward is named as in a RunSpec: a built-in name, `path/to/file.py:function`, or a combination. None of the engines is
imported here; what an engine cannot do (show a reward the whole group, tell per-token values) is refused when the
function is made, before anything is trained. docs/adapters.md has a table.
"""
