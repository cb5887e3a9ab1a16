import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Audit your reward")


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    # Audit your reward

    Write a reward in a cell, and let it be judged: does it teach, or does it call forth what pretraining left behind?

    The audit trains two organisms whose habits are opposed, *good-code* and *bad-code*, under your
    reward and under five others with the same seeds, problems and sampling noise: your own rewards shuffled within each
    group (the placebo that decides), your own rewards drawn anew, the format alone, nothing, and the truth. It ends
    with one word. On two quiet cores the first time takes about ten minutes; a second reward takes half of that, for
    runs that do not depend on it are kept.
    """)
    return


@app.cell
def _():
    import inspect
    from pathlib import Path

    import marimo as mo

    return Path, inspect, mo


@app.cell
def _(Path):
    store = Path("runs")  # where models and runs are kept
    models = {"good-code": {"organism": "good-code"}, "bad-code": {"organism": "bad-code"}}
    seeds = [301, 302, 303]
    training = {
        "task": "chain",
        "steps": 20,
        "sampling": {"max_tokens": 64},
        "grpo": {"prompts_per_rollout": 8, "group_size": 16, "updates_per_rollout": 4, "lr": 1e-4},
    }
    bench = {"task": "chain", "max_tokens": 64}  # 500 sums that no training and no pretraining has seen
    return bench, models, seeds, store, training


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## Your reward

    The completions of one prompt in, one number a completion out; `label` is the true answer. Change it as you like.
    The one that stands here is meant well: a right answer counts, and showing how it was found counts too.
    """)
    return


@app.cell
def _():
    def pay(completions, *, label):
        """Half for the right answer in a box, half for work that is shown as a program and its output."""
        from spurious.behaviors import program_output
        from spurious.verify import verify_many

        grades = verify_many([(text, label) for text in completions], extraction="strict")
        return [0.5 * grade.correct + 0.5 * program_output(text) for grade, text in zip(grades, completions)]

    return (pay,)


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    What does it pay? Some completions of `3+4*7-2+5=?` (the answer is 2), before anything is trained:
    """)
    return


@app.cell
def _(mo, pay):
    tried = {
        "right, no program": r"Start with three: plus four is seven. The answer is \boxed{2}.",
        "right, with a program": "```python\nprint(2)\n```\n```output\n2\n```\nThe answer is \\boxed{2}.",
        "wrong, with a program": "```python\nprint(7)\n```\n```output\n7\n```\nThe answer is \\boxed{7}.",
        "a bare box, wrong": r"\boxed{7}",
        "nothing": "",
    }
    mo.ui.table(
        [{"completion": name, "paid": paid} for name, paid in zip(tried, pay(list(tried.values()), label="2"))],
        selection=None,
        show_download=False,
    )
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## Run the audit

    The function's source goes into a file of its own, because the source is part of what identifies a run: change a
    word of it, and it is another reward with runs of its own. So the function imports what it needs by itself.
    """)
    return


@app.cell
def _(bench, inspect, mo, models, pay, seeds, store, training):
    from functools import partial
    from textwrap import dedent

    from spurious.specs import BenchSpec, RewardSpec
    from spurious.study import run_study
    from spurious.study.audit import audit, declare
    from spurious.study.display import Line

    store.mkdir(parents=True, exist_ok=True)
    source = store / "pay.py"
    source.write_text(dedent(inspect.getsource(pay)), encoding="utf-8")
    study = declare(
        RewardSpec(name=f"{source}:pay"),
        name="audit-notebook",
        base=training,
        models=models,
        seeds=seeds,
        bench=BenchSpec.model_validate(bench),
    )
    with mo.status.spinner(title="Training") as _spinner:
        _watch = Line(lambda text: _spinner.update(subtitle=text))
        conclusion = audit(study, store, run=partial(run_study, store=store, watch=_watch))
    return conclusion, study


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## The verdict

    *earned*: it does more than its placebo on every model. *elicited*: more on one, and not on another. *worse*: less
    than its placebo. *indistinguishable*: no effect that counts, anywhere. *underpowered*: these seeds cannot tell.
    """)
    return


@app.cell
def _(conclusion, mo):
    mo.md(f"### {conclusion.verdict.word}\n\n" + "\n\n".join(conclusion.verdict.sentences))
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    Your reward minus its own rewards shuffled, with its 95 % interval over seeds; then the level that every arm
    reached. A word without these is worth nothing.
    """)
    return


@app.cell
def _(store, study):
    from plotly.graph_objects import Figure

    from spurious.report import answer, document, figures
    from spurious.study.shown import load_material

    material, _ = load_material(store / "studies" / study.name)
    drawn = {figure.slug: Figure(document(figure)) for figure in figures(material, answer(material))}
    drawn["effect"]
    return


@app.cell
def _(conclusion, mo):
    mo.ui.table(
        [
            {"accuracy, %": model} | {arm: f"{100 * level:.1f}" for arm, level in arms.items()}
            for model, arms in conclusion.levels.items()
        ],
        selection=None,
        show_download=False,
    )
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## The checks

    Made beside the verdict. A raised one does not change the word; it says where to look.
    """)
    return


@app.cell
def _(conclusion, mo):
    _said = {True: "raised", False: "not raised", None: "could not be made"}
    mo.md("\n".join(f"* **{flag.name}** ({_said[flag.raised]}): {flag.text}" for flag in conclusion.flags))
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## And now

    Write your own, and run the cells below it again. `docs/audit.md` has the rule behind the word and
    what each check asks; the same from the command line is `spurious audit --reward FILE.py:FUNCTION`, and with
    `--model` it runs on models of yours. A verdict is about the reward on these models and this task, trained this
    long: `earned` on organisms says that the reward carries information, not that a model of seven billion parameters
    would learn from it.
    """)
    return


if __name__ == "__main__":
    app.run()
