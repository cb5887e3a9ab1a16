import math

import pytest
import torch
import torch.nn.functional as F

from spurious.errors import NumericalError
from spurious.organisms import load_recipe
from spurious.organisms.corpus import generate
from spurious.organisms.model import new_model
from spurious.organisms.pretrain import Example, encode, learning_rate, pretrain
from spurious.organisms.recipe import Architecture, Training
from spurious.organisms.tokenizer import train_tokenizer

SMALL = Architecture(width=16, layers=1, heads=2, kv_heads=1, mlp=32)


def setup(training, family="qwen2"):
    recipe = load_recipe("good-code").model_copy(update={"training": training})
    tokenizer = train_tokenizer()
    model = new_model(SMALL.model_copy(update={"family": family}), tokenizer, seed=0)
    return model, encode(generate(recipe), tokenizer)


@pytest.mark.parametrize("family", ["qwen2", "llama", "olmo2"])
def test_the_loss_is_the_mean_over_completion_tokens_one_text_at_a_time(family):
    model, examples = setup(Training(updates=1, batch=12, warmup=0), family)
    total, tokens = 0.0, 0
    with torch.no_grad():
        for example in examples:
            ids = torch.tensor([example.prompt + example.completion])
            logits = model(input_ids=ids[:, :-1]).logits[0, len(example.prompt) - 1 :]
            total += F.cross_entropy(logits, torch.tensor(example.completion), reduction="sum").item()
            tokens += len(example.completion)
    (loss,) = pretrain(model, examples, Training(updates=1, batch=12, warmup=0))
    assert loss == pytest.approx(total / tokens, abs=1e-5)


def test_prompts_of_unequal_length_are_aligned():
    model, (first, second, *_) = setup(Training(updates=1, batch=12, warmup=0))
    longer = Example(first.strategy, second.prompt[:7] + first.prompt, first.completion)
    shorter = Example(first.strategy, second.prompt, second.completion)

    def alone(example):
        logits = model(input_ids=torch.tensor([example.prompt + example.completion])).logits
        answers = logits[0, len(example.prompt) - 1 : -1]
        return F.cross_entropy(answers, torch.tensor(example.completion), reduction="sum").item()

    expected = (alone(longer) + alone(shorter)) / (len(longer.completion) + len(shorter.completion))
    (loss,) = pretrain(model, [longer, shorter], Training(updates=1, batch=2, warmup=0))
    assert loss == pytest.approx(expected, abs=1e-5)


def test_with_prompts_the_loss_is_the_mean_over_every_token_but_the_first():
    training = Training(updates=1, batch=12, warmup=0, prompts=True)
    model, (first, second, *_) = setup(training)
    longer = Example(first.strategy, second.prompt[:7] + first.prompt, first.completion)
    total, tokens = 0.0, 0
    with torch.no_grad():
        for example in (longer, second):
            ids = torch.tensor([example.prompt + example.completion])
            total += F.cross_entropy(model(input_ids=ids).logits[0, :-1], ids[0, 1:], reduction="sum").item()
            tokens += ids.shape[1] - 1
    (loss,) = pretrain(model, [longer, second], training)
    assert loss == pytest.approx(total / tokens, abs=1e-5)


def test_a_training_that_stops_early_is_a_checkpoint_of_the_whole_one():
    passed = []
    whole = Training(updates=6, batch=8, warmup=2)
    model, examples = setup(whole)
    losses = pretrain(
        model,
        examples,
        whole,
        lambda *_: passed.append([parameter.detach().clone() for parameter in model.parameters()]),
    )
    for until in (1, 4, 6):
        stopped = whole.model_copy(update={"until": until})
        model, examples = setup(stopped)
        assert len(examples) == until * 8
        assert pretrain(model, examples, stopped) == losses[:until]
        assert all(map(torch.equal, model.parameters(), passed[until - 1]))


def test_learning_shows_and_every_update_is_reported():
    told = []
    training = Training(updates=30, batch=16, lr=1e-2, warmup=3)
    model, examples = setup(training)
    losses = pretrain(model, examples, training, lambda *report: told.append(report))
    assert losses[-1] < 0.5 * losses[0]
    assert [report[:3] for report in told] == [("pretrain", done, 30) for done in range(1, 31)]


@pytest.mark.parametrize("threads", [1, 2])
def test_the_same_training_gives_the_same_bits(threads):
    training = Training(updates=4, batch=16, warmup=1)
    before, states = torch.get_num_threads(), []
    torch.set_num_threads(threads)
    try:
        for _ in range(2):
            model, examples = setup(training)
            pretrain(model, examples, training)
            states.append(torch.cat([parameter.flatten() for parameter in model.parameters()]))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*states)


@pytest.mark.parametrize("deterministic", [False, True])
def test_the_ambient_generator_and_settings_are_left_alone(deterministic):
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(deterministic)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    training = Training(updates=1, batch=8, warmup=0)
    model, examples = setup(training)
    pretrain(model, examples, training)
    assert torch.equal(torch.rand(3), expected)
    after = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(before)
    assert after == deterministic


def test_a_loss_that_is_no_number_stops_the_training():
    training = Training(updates=2, batch=8, warmup=0)
    model, examples = setup(training)
    with torch.no_grad():
        model.model.norm.weight.fill_(math.nan)
    with pytest.raises(NumericalError, match="loss is nan at update 1"):
        pretrain(model, examples, training)


def test_the_rate_rises_and_falls_in_straight_lines():
    training = Training(updates=10, batch=1, lr=8.0, warmup=2)
    rates = [learning_rate(update, training) for update in range(10)]
    assert rates == [4.0, 8.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0]
