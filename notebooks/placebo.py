import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="A placebo in ten minutes")


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    # A placebo in ten minutes

    You trained a model with a reward, and its accuracy went up. Was it the reward? A drug is compared with a pill that
    holds nothing; here you train two tiny models on rewards that cannot know what a right answer is, look at what they
    did, and find out why.

    The models are *organisms*: a third of a million parameters each, pretrained by this package on texts whose make-up
    is known. Both answer small sums (`3+4*7-2+5`, modulo ten), and both answer 59 % of their corpus with a Python
    program and the rest in words. In **good-code** the programs are worked out step by step and right, the words are
    guesses. In **bad-code** it is the other way round. A language model off the shelf has such habits too; nobody knows
    its figures.

    Everything runs on a CPU. The first time takes about ten minutes on two cores, most of it for raising the two models
    and training eighteen runs; what is done is kept, and opening this notebook again takes seconds.
    """)
    return


@app.cell
def _():
    from pathlib import Path

    import marimo as mo

    return Path, mo


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
    ## Say beforehand what is compared with what

    Three arms. They share the problems, the seeds and the sampling noise, so that their difference is paired.

    * **coin** pays every completion by a toss of a coin. It carries no information at all.
    * **python** pays a completion that contains the word *python*. It never looks at the answer.
    * **nothing** pays every completion the same, so that nothing is learned: the control.

    The outcome, the comparisons and what we expect are written down before the first run, and kept with its date.
    """)
    return


@app.cell
def _(bench, models, seeds, training):
    from spurious.study import resolve

    study = resolve(
        {
            "name": "placebo-notebook",
            "question": "Do rewards that never see the answer raise accuracy?",
            "expectation": "The coin does nothing. The word helps the model whose code is good and harms the other.",
            "base": training,
            "benches": [bench],
            "arms": {
                "coin": {"role": "placebo", "reward": "random"},
                "python": {"role": "placebo", "reward": "python_mention"},
                "nothing": {"role": "control", "reward": "constant"},
            },
            "models": models,
            "seeds": seeds,
            "primary": "accuracy@final on chain",
            "compare": {"coin": "nothing", "python": "nothing"},
            "margin": 0.03,
        }
    )
    return (study,)


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## Train

    Organisms that are missing are raised first. Interrupt it as you like: run again, it goes on where it stopped.
    """)
    return


@app.cell
def _(mo, store, study):
    from spurious.study import open_study, run_study
    from spurious.study.display import Line

    with mo.status.spinner(title="Training") as _spinner:
        outcome = run_study(study, store, watch=Line(lambda text: _spinner.update(subtitle=text)))
    outcome.check(store)
    home = store / "studies" / study.name
    done = open_study(home)
    mo.md(f"{outcome.done} runs are done.")
    return done, home


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## The verdict

    Each line is one comparison: arm minus control, in points of accuracy. A small dot is one seed, the diamond is their
    mean, the bar its 95 % interval; inside the shaded band an effect counts as none.
    """)
    return


@app.cell
def _(home):
    from plotly.graph_objects import Figure

    from spurious.report import answer, caveats, document, figures
    from spurious.study.shown import load_material

    material, _ = load_material(home)
    found = answer(material)
    drawn = {figure.slug: Figure(document(figure)) for figure in figures(material, found)}
    drawn["effect"]
    return caveats, found, material


@app.cell
def _(caveats, found, material, mo):
    from spurious.report.words import effect_rows

    _shown = ("model", "treatment", "base", "treatment_level", "difference", "interval", "p", "detectable", "verdict")
    mo.vstack(
        [
            mo.ui.table(
                [{name.replace("treatment", "arm"): row[name] for name in _shown} for row in effect_rows(found)],
                selection=None,
                show_download=False,
            ),
            mo.md("\n".join(f"* {note}" for note in caveats(material, found))),
        ]
    )
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## Which behavior moved

    The package counts a dozen habits in every completion. Here are those that at least one arm moved away from the
    control: the share of completions that show them, with the 95 % interval of the difference over seeds.
    """)
    return


@app.cell
def _(done, mo, study):
    import polars as pl

    from spurious.analysis import outcome as value_of
    from spurious.analysis import paired_differences, read_outcomes
    from spurious.analysis.statistics import effect
    from spurious.behaviors import PRESENT

    evals = done.evals().filter(pl.col("step") == pl.col("step").max())

    def reached(arm, model, metric):
        rows = evals.filter(pl.col("arm") == arm, pl.col("model") == model)
        return read_outcomes(rows, value=value_of(metric))

    def against_control(arm, model, metric):
        mine, control = (reached(name, model, metric) for name in (arm, "nothing"))
        estimate = effect(paired_differences(mine, control))
        low, high = estimate.interval()
        return {
            "behavior": metric.removeprefix("behavior/"),
            "model": model,
            "arm": arm,
            "control, %": round(100 * control.means.mean(), 1),
            "arm, %": round(100 * mine.means.mean(), 1),
            "difference": round(100 * estimate.mean, 1),
            "95 % interval": f"{100 * low:+.1f} to {100 * high:+.1f}",
        }

    moved = pl.DataFrame(
        [
            against_control(arm, model, f"behavior/{behavior}")
            for behavior in PRESENT
            for model in study.models
            for arm in ("coin", "python")
        ]
    )
    mo.ui.table(
        moved.filter((pl.col("difference").abs() > 1).any().over("behavior")),
        page_size=30,
        selection=None,
        show_download=False,
    )
    return evals, moved, pl


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## Read what they wrote

    One held-out sum, the first seed, after training. Figures come from texts; look at some before you believe a figure.
    """)
    return


@app.cell
def _(evals, mo, pl, seeds):
    from textwrap import fill

    first = evals.filter(pl.col("seed") == seeds[0])
    texts = first.filter(pl.col("problem_id") == first["problem_id"].min()).sort("model", "arm")

    def written(row):
        wrapped = "\n".join(fill(line, 80) for line in row["text"].splitlines())
        return f"**{row['model']}, {row['arm']}** ({row['grade']})\n\n````text\n{wrapped}\n````"

    mo.md("\n\n".join([f"`{texts['prompt'][0].strip()}`", *map(written, texts.iter_rows(named=True))]))
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## What this shows, and what it does not

    With the settings above, three seeds each, we saw this (accuracy in percent; base 67.6 and 49.8):

    | arm against nothing | good-code | bad-code |
    |---|---|---|
    | coin | −1.1 (−1.9 to −0.4) | −2.6 (−15.5 to +10.3) |
    | python | +32.4 (+28.3 to +36.5) | −32.8 (−35.4 to −30.2) |

    The reward for a word never sees an answer. It made both models write a program every time: from 60 % of their
    completions to 100 %. Where programs are right this is worth as much as the truth, every answer right; where they
    are wrong it costs two thirds of the right ones. Nothing was taught, a habit was called forth. Against its untrained
    base the first model alone would have been a success story; the second one tells.

    The coin, the paper's own placebo, moved no habit and raised nothing: a point *less* on good-code, just beyond
    chance (p 0.047) and within the margin that was declared; on bad-code one seed of three fell by nine points, so that
    the interval is wide and says little. Three seeds show large effects only; the column *detectable* says how large.
    `docs/findings.md` says where else a coin's effect was looked for.

    Next: change `seeds`, `models` or an arm and run the cells again. Only what is new is trained. The whole page about
    this study is one command away, `spurious report runs/studies/placebo-notebook`, and the notebook *Audit your
    reward* does the same to a reward of yours.
    """)
    return


if __name__ == "__main__":
    app.run()
